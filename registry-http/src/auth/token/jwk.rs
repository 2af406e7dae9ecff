//! [`Jwk`]: a key in JSON (RFC 7517), of a file of them or in the header of a token.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Deserialize;

use super::key::VerifyingKey;

/// The members that verifying asks for; the others, those of private keys among them, are passed over.
#[derive(Deserialize)]
pub(super) struct Jwk {
    kty: String,
    pub(super) kid: Option<String>,
    /// Certificates, the key's own first, in Base64 of DER.
    pub(super) x5c: Option<Vec<String>>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
    k: Option<String>,
}

/// A file of keys.
#[derive(Deserialize)]
pub(super) struct JwkSet {
    pub(super) keys: Vec<Jwk>,
}

impl Jwk {
    /// The key, if it is one that tokens are verified with.
    pub(super) fn key(&self) -> Option<VerifyingKey> {
        let number = |text: &Option<String>| {
            text.as_deref().and_then(|text| BASE64_URL_SAFE_NO_PAD.decode(text).ok())
        };
        let curve = self.crv.as_deref();
        match self.kty.as_str() {
            "RSA" => VerifyingKey::rsa(&number(&self.n)?, &number(&self.e)?),
            "EC" => VerifyingKey::elliptic(curve?, &number(&self.x)?, &number(&self.y)?),
            "OKP" if curve == Some("Ed25519") => VerifyingKey::ed25519(&number(&self.x)?),
            "oct" => VerifyingKey::shared(number(&self.k)?),
            _ => None,
        }
    }
}
