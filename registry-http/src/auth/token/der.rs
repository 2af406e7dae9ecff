//! The public key of a certificate, in DER (RFC 5280 §4.1.2.7), taken apart.

use super::key::VerifyingKey;

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OBJECT_IDENTIFIER: u8 = 0x06;

/// 1.2.840.113549.1.1.1
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
/// 1.2.840.10045.2.1
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
/// 1.2.840.10045.3.1.7
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
/// 1.3.132.0.34
const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
/// 1.3.132.0.35
const P521: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x23];
/// 1.3.101.112
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];

/// The key of a SubjectPublicKeyInfo; `None` if it is of a kind, or of a size, that no token is verified with.
pub(super) fn public_key(info: &[u8]) -> Option<VerifyingKey> {
    let (info, _) = element(info, SEQUENCE)?;
    let (algorithm, rest) = element(info, SEQUENCE)?;
    let (kind, parameters) = element(algorithm, OBJECT_IDENTIFIER)?;
    let (bits, _) = element(rest, BIT_STRING)?;
    let [0, key @ ..] = bits else { return None };
    if kind == RSA {
        let (numbers, _) = element(key, SEQUENCE)?;
        let (modulus, rest) = element(numbers, INTEGER)?;
        let (exponent, _) = element(rest, INTEGER)?;
        return VerifyingKey::rsa(modulus, exponent);
    }
    if kind == ED25519 {
        return VerifyingKey::ed25519(key);
    }
    if kind != EC {
        return None;
    }
    let (curve, _) = element(parameters, OBJECT_IDENTIFIER)?;
    let [0x04, point @ ..] = key else { return None };
    let (x, y) = point.split_at(point.len() / 2);
    let curve = match curve {
        P256 => "P-256",
        P384 => "P-384",
        P521 => "P-521",
        _ => return None,
    };
    VerifyingKey::elliptic(curve, x, y)
}

/// What an element of this tag holds, and what stands behind it.
fn element(input: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let [found, length, rest @ ..] = input else { return None };
    if *found != tag {
        return None;
    }
    let (length, rest) = match length {
        0..=0x7f => (usize::from(*length), rest),
        0x81..=0x83 => {
            let (digits, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
            (digits.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}
