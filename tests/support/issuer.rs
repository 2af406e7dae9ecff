//! [`Issuer`]: a token service in small, which signs whatever it is asked to.
//!
//! The keys and certificates in the folder beside this file are made by OpenSSL, for these tests and nothing else.

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use ring::{digest, hmac};
use serde_json::{Value, json};

/// Signs with one key.
#[derive(Debug)]
pub struct Issuer {
    key: Key,
    /// What the registry is given to know it by: a certificate in PEM.
    pub certificate: &'static str,
}

#[derive(Debug)]
enum Key {
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(Box<RsaKeyPair>),
    Shared(hmac::Key),
}

macro_rules! issuer {
    ($name:literal, $key:expr) => {
        Issuer {
            key: $key(&der(include_str!(concat!("issuer/", $name, ".key")))),
            certificate: include_str!(concat!("issuer/", $name, ".crt")),
        }
    };
}

impl Issuer {
    /// ES256, whose certificate is an authority's.
    pub fn root() -> Self {
        issuer!("root", p256)
    }

    /// ES256, whose certificate [`root`](Self::root) has signed, for code signing.
    pub fn leaf() -> Self {
        issuer!("leaf", p256)
    }

    /// ES256, whose certificate is an authority's of the same name as the other.
    pub fn stranger() -> Self {
        issuer!("stranger", p256)
    }

    /// EdDSA.
    pub fn ed25519() -> Self {
        let key = |der: &[u8]| {
            let key = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der);
            Key::Ed25519(key.expect("OpenSSL made it"))
        };
        issuer!("ed25519", key)
    }

    /// RS256.
    pub fn rsa() -> Self {
        let key =
            |der: &[u8]| Key::Rsa(Box::new(RsaKeyPair::from_pkcs8(der).expect("OpenSSL made it")));
        issuer!("rsa", key)
    }

    /// HS256 with this secret.
    pub fn shared(secret: &[u8]) -> Self {
        Self { key: Key::Shared(hmac::Key::new(hmac::HMAC_SHA256, secret)), certificate: "" }
    }

    /// The name of what it signs by.
    pub fn algorithm(&self) -> &'static str {
        match self.key {
            Key::P256(_) => "ES256",
            Key::Ed25519(_) => "EdDSA",
            Key::Rsa(_) => "RS256",
            Key::Shared(_) => "HS256",
        }
    }

    /// Its certificate as an element of `x5c`.
    pub fn x5c(&self) -> String {
        BASE64_STANDARD.encode(der(self.certificate))
    }

    /// Its public key as a JSON Web Key, with the thumbprint as its id. Of P-256 and Ed25519 only.
    pub fn jwk(&self) -> Value {
        use ring::signature::KeyPair as _;
        let mut key = match &self.key {
            Key::P256(key) => {
                let (x, y) = key.public_key().as_ref()[1..].split_at(32);
                json!({"crv": "P-256", "kty": "EC", "x": text(x), "y": text(y)})
            }
            Key::Ed25519(key) => {
                json!({"crv": "Ed25519", "kty": "OKP", "x": text(key.public_key().as_ref())})
            }
            Key::Rsa(_) | Key::Shared(_) => panic!("nobody has asked for it yet"),
        };
        // serde_json writes members in the order of their names, as RFC 7638 has it.
        let thumbprint = digest::digest(&digest::SHA256, key.to_string().as_bytes());
        key["kid"] = text(thumbprint.as_ref()).into();
        key
    }

    /// A token with these claims, and these members of the header beside `alg` or in its place.
    pub fn token(&self, header: &Value, claims: &Value) -> String {
        let mut whole = json!({"alg": self.algorithm(), "typ": "JWT"});
        for (name, value) in header.as_object().expect("a header is an object") {
            whole[name] = value.clone();
        }
        let signed = format!(
            "{}.{}",
            text(whole.to_string().as_bytes()),
            text(claims.to_string().as_bytes())
        );
        let random = SystemRandom::new();
        let message = signed.as_bytes();
        let signature = match &self.key {
            Key::P256(key) => key.sign(&random, message).expect("it can sign").as_ref().to_vec(),
            Key::Ed25519(key) => key.sign(message).as_ref().to_vec(),
            Key::Rsa(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).expect("it can sign");
                signature
            }
            Key::Shared(key) => hmac::sign(key, message).as_ref().to_vec(),
        };
        format!("{signed}.{}", text(&signature))
    }
}

/// `access` of one element.
pub fn access(name: &str, actions: &[&str]) -> Value {
    json!([{"type": "repository", "class": "", "name": name, "actions": actions}])
}

fn p256(der: &[u8]) -> Key {
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der, &SystemRandom::new());
    Key::P256(key.expect("OpenSSL made it"))
}

fn der(pem: &str) -> Vec<u8> {
    let lines = pem.lines().filter(|line| !line.starts_with("-----"));
    BASE64_STANDARD.decode(lines.collect::<String>()).expect("PEM is Base64")
}

fn text(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}
