//! From a certificate to what is told of it.

use registry_store::digest::Digest;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;

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
