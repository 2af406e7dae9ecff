//! [`SigningKey`]: what tokens of our own are signed with.

use std::fmt;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING as P256, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use thiserror::Error;

use crate::auth::token::{Algorithm, Use, VerifyingKey};

/// A private key: P-256, which signs by ES256, or Ed25519, by EdDSA. Its `Debug` says no more than its id.
pub struct SigningKey {
    pair: Pair,
    public: VerifyingKey,
    id: String,
    /// ECDSA needs a number nobody knows for each signature. ring takes it from the system alone, on purpose.
    random: SystemRandom,
}

enum Pair {
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// A token could not be signed, or a key made: the system has no random numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the system has no random numbers to sign with")]
pub struct SigningError;

impl SigningKey {
    /// A key in PEM: PKCS#8, not encrypted, as `openssl genpkey` writes it.
    ///
    /// # Errors
    ///
    /// What was expected. Nothing of the file is shown.
    pub fn from_pem(pem: &[u8]) -> Result<Self, String> {
        const EXPECTED: &str =
            "expected a key of P-256 or Ed25519 in PEM, PKCS#8 (BEGIN PRIVATE KEY), not encrypted";
        let random = SystemRandom::new();
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem).map_err(|_| EXPECTED.to_owned())?;
        let der = der.secret_pkcs8_der();
        let (pair, public) = match EcdsaKeyPair::from_pkcs8(&P256, der, &random) {
            Ok(pair) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                let public = VerifyingKey::elliptic("P-256", x, y);
                (Pair::P256(pair), public)
            }
            Err(_) => {
                let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der);
                let pair = pair.map_err(|_| EXPECTED.to_owned())?;
                let public = VerifyingKey::ed25519(pair.public_key().as_ref());
                (Pair::Ed25519(pair), public)
            }
        };
        let public = public.ok_or_else(|| EXPECTED.to_owned())?;
        let id = public.thumbprint().ok_or_else(|| EXPECTED.to_owned())?;
        Ok(Self { pair, public, id, random })
    }

    /// A new key of P-256, as [`from_pem`](Self::from_pem) takes it.
    ///
    /// # Errors
    ///
    /// If the system has no random numbers.
    pub fn generate() -> Result<String, SigningError> {
        let der = EcdsaKeyPair::generate_pkcs8(&P256, &SystemRandom::new());
        let text = BASE64_STANDARD.encode(der.map_err(|_| SigningError)?.as_ref());
        let mut pem = "-----BEGIN PRIVATE KEY-----\n".to_owned();
        for (at, letter) in text.chars().enumerate() {
            if at > 0 && at % 64 == 0 {
                pem.push('\n');
            }
            pem.push(letter);
        }
        pem.push_str("\n-----END PRIVATE KEY-----\n");
        Ok(pem)
    }

    /// Its RFC 7638 thumbprint, which tokens name it by.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What its signatures are verified with.
    pub const fn public(&self) -> &VerifyingKey {
        &self.public
    }

    /// How it signs.
    pub const fn algorithm(&self) -> Algorithm {
        match self.pair {
            Pair::P256(_) => Algorithm::Es256,
            Pair::Ed25519(_) => Algorithm::EdDsa,
        }
    }

    /// A token of these claims: JSON Web Signature, compact (RFC 7515 §3.1).
    pub(super) fn sign(&self, of: Use, claims: &Value) -> Result<String, SigningError> {
        let algorithm = self.algorithm().to_string();
        let header = json!({ "alg": algorithm, "kid": self.id, "typ": of.typ() });
        let part = |json: &Value| BASE64_URL_SAFE_NO_PAD.encode(json.to_string());
        let signed = format!("{}.{}", part(&header), part(claims));
        let signature = match &self.pair {
            Pair::P256(pair) => {
                pair.sign(&self.random, signed.as_bytes()).map_err(|_| SigningError)?
            }
            Pair::Ed25519(pair) => pair.sign(signed.as_bytes()),
        };
        Ok(format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature.as_ref())))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("id", &self.id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of RFC 8410 §10.3.
    const ED25519: &str = "-----BEGIN PRIVATE KEY-----\n\
        MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
        -----END PRIVATE KEY-----\n";

    #[test]
    fn what_a_key_signs_its_public_one_verifies() {
        let made = SigningKey::generate().unwrap();
        for (pem, algorithm) in [(made.as_str(), Algorithm::Es256), (ED25519, Algorithm::EdDsa)] {
            let key = SigningKey::from_pem(pem.as_bytes()).unwrap();
            assert_eq!(key.algorithm(), algorithm);
            assert_eq!(key.public().thumbprint().as_deref(), Some(key.id()));
            let token = key.sign(Use::Access, &json!({"a": 1})).unwrap();
            let (signed, signature) = token.rsplit_once('.').unwrap();
            let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
            assert!(key.public().verifies(algorithm, signed.as_bytes(), &signature));
            assert!(!key.public().verifies(algorithm, b"other", &signature));
        }
        assert_ne!(made, SigningKey::generate().unwrap());
    }

    #[test]
    fn what_is_no_key_is_refused_and_not_shown() {
        let broken = ED25519.replace("MC4C", "AC4C");
        for bad in [
            "",
            "hunter2",
            "-----BEGIN PRIVATE KEY-----\naHVudGVyMg==\n-----END PRIVATE KEY-----\n",
            &broken,
        ] {
            let told = SigningKey::from_pem(bad.as_bytes()).unwrap_err();
            assert!(told.starts_with("expected a key of P-256 or Ed25519"), "{told}");
        }
        let key = SigningKey::from_pem(ED25519.as_bytes()).unwrap();
        assert_eq!(format!("{key:?}"), format!("SigningKey {{ id: {:?}, .. }}", key.id()));
    }
}
