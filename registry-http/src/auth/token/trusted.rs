//! [`TrustedKeys`]: which keys a token may be signed with.

use std::collections::HashMap;
use std::fmt;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ring::digest::{SHA256, digest};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use tracing::warn;
use webpki::{
    ALL_VERIFICATION_ALGS, EndEntityCert, Error, ExtendedKeyUsageValidator, KeyPurposeIdIter,
    anchor_from_trusted_cert,
};

use super::der;
use super::jwk::{Jwk, JwkSet};
use super::key::VerifyingKey;

/// The most certificates of a chain that a token brings.
const CHAIN_MAX: usize = 10;

/// Keys by the ids that tokens name them with, and certificates that chains have to lead to.
#[derive(Default)]
pub struct TrustedKeys {
    keys: HashMap<String, VerifyingKey>,
    certificates: Vec<CertificateDer<'static>>,
    anchors: Vec<TrustAnchor<'static>>,
}

impl TrustedKeys {
    /// Certificates in PEM, as Distribution's `rootcertbundle`.
    ///
    /// The key of each has two ids: that of libtrust, which Distribution 2.x takes, and its RFC 7638 thumbprint, which
    /// 3.x takes. Whether a certificate of this file has expired is not looked at, also where it signs another: it is
    /// trusted for as long as it is in the file. Those of a token's own chain are looked at.
    ///
    /// # Errors
    ///
    /// What was expected and found, if there is no certificate, or one that cannot be read.
    pub fn of_certificates(pem: &[u8]) -> Result<Self, String> {
        let mut trusted = Self::default();
        for (number, certificate) in (1..).zip(CertificateDer::pem_slice_iter(pem)) {
            let unreadable = |error: String| {
                format!("certificate {number}: expected an X.509 certificate in PEM, found {error}")
            };
            let certificate = certificate.map_err(|error| unreadable(error.to_string()))?;
            let anchor = anchor_from_trusted_cert(&certificate);
            let anchor = anchor.map_err(|error| unreadable(error.to_string()))?.to_owned();
            let info = webpki::spki_for_anchor(&anchor);
            match der::public_key(info.as_ref()) {
                Some(key) => {
                    trusted.keys.insert(libtrust_id(info.as_ref()), key.clone());
                    trusted.keys.extend(key.thumbprint().map(|id| (id, key)));
                }
                None => warn!(
                    "rootcertbundle, certificate {number}: tokens cannot be verified with its key; expected RSA of 2048 \
                     to 8192 bits, P-256, P-384, P-521 or Ed25519"
                ),
            }
            trusted.anchors.push(anchor);
            trusted.certificates.push(certificate);
        }
        if trusted.certificates.is_empty() {
            return Err("expected certificates in PEM, found none".to_owned());
        }
        Ok(trusted)
    }

    /// A JSON Web Key Set (RFC 7517 §5). Each key has its `kid` for an id and, if it is a public one, its RFC 7638
    /// thumbprint.
    ///
    /// # Errors
    ///
    /// What was expected and found, if it is no such set. Nothing of a key is shown.
    pub fn of_jwks(json: &[u8]) -> Result<Self, String> {
        let set: JwkSet = serde_json::from_slice(json).map_err(|error| {
            // What serde says may quote a part of a secret.
            format!("line {}: expected a JSON Web Key Set, found another form", error.line())
        })?;
        let mut trusted = Self::default();
        for (number, jwk) in (1..).zip(set.keys) {
            let Some(key) = jwk.key() else {
                warn!(
                    "jwks, key {number}: passed over; expected RSA of 2048 to 8192 bits, P-256, P-384, P-521, Ed25519, \
                     or a secret of 32 bytes or more"
                );
                continue;
            };
            if let Some(id) = key.thumbprint() {
                trusted.keys.entry(id).or_insert_with(|| key.clone());
            }
            trusted.keys.extend(jwk.kid.map(|id| (id, key)));
        }
        Ok(trusted)
    }

    /// One public key, by its RFC 7638 thumbprint. A shared secret has none, and is not trusted by it.
    pub fn of_key(key: VerifyingKey) -> Self {
        let keys = key.thumbprint().map(|id| (id, key)).into_iter().collect();
        Self { keys, ..Self::default() }
    }

    /// The key of this id.
    pub(super) fn by_id(&self, id: &str) -> Option<&VerifyingKey> {
        self.keys.get(id)
    }

    /// The key that a `jwk` in a token's header says it is signed with, if that is a trusted one by its thumbprint or
    /// else its id. What comes back is the trusted one: of the header's nothing is believed.
    pub(super) fn by_jwk(&self, jwk: &Jwk) -> Option<&VerifyingKey> {
        let thumbprint = jwk.key().and_then(|key| key.thumbprint());
        let by_thumbprint = thumbprint.and_then(|id| self.by_id(&id));
        by_thumbprint.or_else(|| self.by_id(jwk.kid.as_deref()?))
    }

    /// The key of the first certificate of a chain, in Base64 of DER (RFC 7515 §4.1.6), if it leads to a trusted one.
    /// Certificates may be for any use.
    pub(super) fn by_chain(&self, chain: &[String], now: SystemTime) -> Option<VerifyingKey> {
        if chain.len() > CHAIN_MAX {
            return None;
        }
        let decode = |text: &String| BASE64_STANDARD.decode(text).ok().map(CertificateDer::from);
        let chain: Option<Vec<CertificateDer<'_>>> = chain.iter().map(decode).collect();
        let chain = chain?;
        let (own, others) = chain.split_first()?;
        let certificate = EndEntityCert::try_from(own).ok()?;
        if !self.certificates.contains(own) {
            let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
            let now = UnixTime::since_unix_epoch(since);
            let (algorithms, anchors) = (ALL_VERIFICATION_ALGS, &self.anchors);
            certificate
                .verify_for_usage(algorithms, anchors, others, now, AnyUse, None, None)
                .ok()?;
        }
        der::public_key(certificate.subject_public_key_info().as_ref())
    }
}

/// Certificates may be for any use, as Distribution has it.
struct AnyUse;

impl ExtendedKeyUsageValidator for AnyUse {
    fn validate(&self, _: KeyPurposeIdIter<'_, '_>) -> Result<(), Error> {
        Ok(())
    }
}

/// The id that libtrust gives to a public key in DER: the first 240 bits of its SHA-256 in base32, in twelve groups.
fn libtrust_id(info: &[u8]) -> String {
    const DIGITS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let hash = digest(&SHA256, info);
    let mut id = String::with_capacity(59);
    for (group, five) in hash.as_ref()[..30].chunks(5).enumerate() {
        let bits = five.iter().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
        for digit in 0..8 {
            if digit % 4 == 0 && (group, digit) != (0, 0) {
                id.push(':');
            }
            let value = bits >> (35 - 5 * digit) & 31;
            id.push(char::from(DIGITS[usize::try_from(value).expect("it is below 32")]));
        }
    }
    id
}

impl fmt::Debug for TrustedKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrustedKeys").field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}
