//! From a certificate to what is told of it: of a client's who it is, of our own whether it is of use.

use registry_store::digest::Digest;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;
use x509_parser::time::ASN1Time;
use x509_parser::x509::X509Version;

use crate::peer::ClientCertificate;

/// Reads a certificate (DER). `None` if it cannot be read to its end, or has a name that is no text.
pub(super) fn read(der: &[u8]) -> Option<ClientCertificate> {
    let (rest, certificate) = X509Certificate::from_der(der).ok()?;
    if !rest.is_empty() {
        return None;
    }
    let common_name = match certificate.subject().iter_common_name().last() {
        Some(name) => Some(name.as_str().ok()?.to_owned()),
        None => None,
    };
    let mut read = ClientCertificate {
        common_name,
        serial: certificate.raw_serial().iter().map(|byte| format!("{byte:02x}")).collect(),
        fingerprint: Digest::sha256(der).hex(),
        ..ClientCertificate::default()
    };
    let names = certificate.subject_alternative_name().ok()?;
    for name in names.iter().flat_map(|names| &names.value.general_names) {
        match name {
            GeneralName::DNSName(name) => read.dns_names.push((*name).to_owned()),
            GeneralName::RFC822Name(name) => read.emails.push((*name).to_owned()),
            GeneralName::URI(name) => read.uris.push((*name).to_owned()),
            _ => {}
        }
    }
    Some(read)
}

/// Whether a server's certificate is of use to anybody.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// As far as can be seen here.
    Good,
    /// It is not of version 3.
    Old,
    /// It was, until then.
    Over(String),
    /// It will be, from then on.
    ToCome(String),
}

/// Looks at a certificate (DER). What cannot be read is for rustls to refuse.
pub(super) fn standing(der: &[u8]) -> Standing {
    let Ok((_, certificate)) = X509Certificate::from_der(der) else { return Standing::Good };
    let (validity, now) = (certificate.validity(), ASN1Time::now());
    if certificate.version() != X509Version::V3 {
        Standing::Old
    } else if now > validity.not_after {
        Standing::Over(validity.not_after.to_string())
    } else if now < validity.not_before {
        Standing::ToCome(validity.not_before.to_string())
    } else {
        Standing::Good
    }
}
