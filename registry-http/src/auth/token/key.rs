//! [`VerifyingKey`]: what a signature is verified with.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use p521::ecdsa::signature::Verifier as _;
use ring::digest::{SHA256, digest};
use ring::hmac;
use ring::signature::{
    self, ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RsaParameters,
    RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};

use super::algorithm::Algorithm;

/// A key of one kind, which only algorithms of that kind verify with: a public key is never taken for a shared secret.
/// Its `Debug` says no more than the kind.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifyingKey(Kind);

#[derive(Clone, PartialEq, Eq)]
enum Kind {
    /// Modulus and exponent, big-endian, without zeros in front.
    Rsa {
        modulus: Vec<u8>,
        exponent: Vec<u8>,
    },
    /// Points, uncompressed (SEC 1 §2.3.3).
    P256([u8; 65]),
    P384([u8; 97]),
    P521([u8; 133]),
    Ed25519([u8; 32]),
    /// A secret that the signer shares.
    Shared(Vec<u8>),
}

/// Bits of an RSA modulus.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// The fewest bytes of a shared secret: those of the shortest hash (RFC 7518 §3.2).
const SHARED_MIN: usize = 32;

impl VerifyingKey {
    /// Of a big-endian modulus of 2048 to 8192 bits, and an exponent.
    pub(super) fn rsa(modulus: &[u8], exponent: &[u8]) -> Option<Self> {
        let (modulus, exponent) = (without_zeros(modulus), without_zeros(exponent));
        let leading = modulus.first()?.leading_zeros();
        let bits = modulus.len() * 8 - usize::try_from(leading).ok()?;
        let is_fine = RSA_BITS.contains(&bits) && (1..=8).contains(&exponent.len());
        let key = Kind::Rsa { modulus: modulus.to_vec(), exponent: exponent.to_vec() };
        is_fine.then_some(Self(key))
    }

    /// Of the coordinates of a point of a curve by its name in RFC 7518 §6.2.1.1.
    pub(in crate::auth) fn elliptic(curve: &str, x: &[u8], y: &[u8]) -> Option<Self> {
        Some(Self(match curve {
            "P-256" => Kind::P256(point(x, y)?),
            "P-384" => Kind::P384(point(x, y)?),
            "P-521" => Kind::P521(point(x, y)?),
            _ => return None,
        }))
    }

    pub(in crate::auth) fn ed25519(key: &[u8]) -> Option<Self> {
        Some(Self(Kind::Ed25519(key.try_into().ok()?)))
    }

    /// A secret of 32 bytes at least.
    pub(super) fn shared(secret: Vec<u8>) -> Option<Self> {
        (secret.len() >= SHARED_MIN).then_some(Self(Kind::Shared(secret)))
    }

    /// Is this the signature of that message? Never by an algorithm of another kind of key.
    pub(in crate::auth) fn verifies(
        &self,
        algorithm: Algorithm,
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        let by = |how: &'static dyn VerificationAlgorithm, key: &[u8]| {
            UnparsedPublicKey::new(how, key).verify(message, signature).is_ok()
        };
        match (&self.0, algorithm) {
            (Kind::Rsa { modulus, exponent }, algorithm) => {
                let key = RsaPublicKeyComponents { n: modulus, e: exponent };
                rsa(algorithm).is_some_and(|how| key.verify(how, message, signature).is_ok())
            }
            (Kind::P256(key), Algorithm::Es256) => by(&ECDSA_P256_SHA256_FIXED, key),
            (Kind::P384(key), Algorithm::Es384) => by(&ECDSA_P384_SHA384_FIXED, key),
            (Kind::P521(key), Algorithm::Es512) => {
                let key = p521::ecdsa::VerifyingKey::from_sec1_bytes(key);
                let signature = p521::ecdsa::Signature::from_slice(signature);
                matches!((key, signature), (Ok(key), Ok(it)) if key.verify(message, &it).is_ok())
            }
            (Kind::Ed25519(key), Algorithm::EdDsa) => by(&ED25519, key),
            (Kind::Shared(secret), algorithm) => shared(algorithm).is_some_and(|how| {
                hmac::verify(&hmac::Key::new(how, secret), message, signature).is_ok()
            }),
            _ => false,
        }
    }

    /// Its thumbprint by SHA-256 (RFC 7638 §3), in base64url. `None` for a shared secret, of which none is to be told.
    pub fn thumbprint(&self) -> Option<String> {
        let text = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let elliptic = |curve: &str, point: &[u8]| {
            let (x, y) = point[1..].split_at(point.len() / 2);
            let (x, y) = (text(x), text(y));
            format!(r#"{{"crv":"{curve}","kty":"EC","x":"{x}","y":"{y}"}}"#)
        };
        let canonical = match &self.0 {
            Kind::Rsa { modulus, exponent } => {
                format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, text(exponent), text(modulus))
            }
            Kind::P256(point) => elliptic("P-256", point),
            Kind::P384(point) => elliptic("P-384", point),
            Kind::P521(point) => elliptic("P-521", point),
            Kind::Ed25519(key) => {
                format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, text(key))
            }
            Kind::Shared(_) => return None,
        };
        Some(text(digest(&SHA256, canonical.as_bytes()).as_ref()))
    }
}

fn rsa(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    Some(match algorithm {
        Algorithm::Rs256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        Algorithm::Rs384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        Algorithm::Rs512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        Algorithm::Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
        Algorithm::Ps384 => &signature::RSA_PSS_2048_8192_SHA384,
        Algorithm::Ps512 => &signature::RSA_PSS_2048_8192_SHA512,
        _ => return None,
    })
}

fn shared(algorithm: Algorithm) -> Option<hmac::Algorithm> {
    Some(match algorithm {
        Algorithm::Hs256 => hmac::HMAC_SHA256,
        Algorithm::Hs384 => hmac::HMAC_SHA384,
        Algorithm::Hs512 => hmac::HMAC_SHA512,
        _ => return None,
    })
}

/// `N` is one more than the length of both coordinates, which have to have their full one (RFC 7518 §6.2.1.2).
fn point<const N: usize>(x: &[u8], y: &[u8]) -> Option<[u8; N]> {
    let mut point = [0x04; N];
    let (left, right) = point[1..].split_at_mut(N / 2);
    if x.len() != left.len() || y.len() != right.len() {
        return None;
    }
    left.copy_from_slice(x);
    right.copy_from_slice(y);
    Some(point)
}

fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::Rsa { .. } => "Rsa(..)",
            Kind::P256(_) => "P256(..)",
            Kind::P384(_) => "P384(..)",
            Kind::P521(_) => "P521(..)",
            Kind::Ed25519(_) => "Ed25519(..)",
            Kind::Shared(_) => "Shared(..)",
        })
    }
}
