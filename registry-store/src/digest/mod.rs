//! [`Digest`]: the name of content, `algorithm:hex`.
//!
//! Grammar and registered algorithms: OCI image-spec, `descriptor.md`, "Digests".

mod hasher;
mod verify;

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

pub use hasher::{Hasher, HasherStateError};
pub use verify::{ContentMismatch, VerifyingStream};

/// A hash algorithm content can be named with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// SHA-256: 32 bytes. Every registry and client has it.
    Sha256,
    /// SHA-512: 64 bytes.
    Sha512,
}

impl Algorithm {
    /// Every algorithm, in the byte order of their names.
    pub const ALL: [Self; 2] = [Self::Sha256, Self::Sha512];

    /// The name as it stands before the colon.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// Length of the hash in bytes; its hexadecimal form is twice as long.
    pub const fn size(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Algorithm {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.as_str() == text)
            .ok_or_else(|| DigestError::UnsupportedAlgorithm { algorithm: text.to_owned() })
    }
}

/// A verified-form digest of an algorithm this crate computes.
///
/// * Only lower-case hexadecimal of the algorithm's exact length parses.
/// * The order is the byte order of the text form.
/// * `Copy`: 64 bytes and a tag.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest {
    algorithm: Algorithm,
    /// The hash, padded with zeros behind `algorithm.size()`.
    hash: [u8; 64],
}

impl Digest {
    /// The digest of bytes that are at hand.
    pub fn of(algorithm: Algorithm, content: &[u8]) -> Self {
        let mut hasher = Hasher::new(algorithm);
        hasher.update(content);
        hasher.finish()
    }

    /// The SHA-256 digest of bytes that are at hand.
    pub fn sha256(content: &[u8]) -> Self {
        Self::of(Algorithm::Sha256, content)
    }

    /// The digest an algorithm and its hexadecimal form make.
    pub fn from_hex(algorithm: Algorithm, encoded: &str) -> Result<Self, DigestError> {
        let mut hash = [0; 64];
        let lower = encoded.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if !lower || hex::decode_to_slice(encoded, &mut hash[..algorithm.size()]).is_err() {
            return Err(DigestError::Encoded {
                algorithm,
                expected: algorithm.size() * 2,
                found: encoded.len(),
            });
        }
        Ok(Self { algorithm, hash })
    }

    /// What the hash was computed with.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The hash itself: 32 or 64 bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.hash[..self.algorithm.size()]
    }

    /// The part behind the colon: 64 or 128 lower-case hexadecimal digits.
    pub fn hex(&self) -> String {
        hex::encode(self.as_bytes())
    }

    /// Is this the digest of no bytes at all? The one blob whose file may be empty.
    pub fn is_of_nothing(&self) -> bool {
        *self == Self::of(self.algorithm, b"")
    }

    fn from_hash(algorithm: Algorithm, bytes: &[u8]) -> Self {
        let mut hash = [0; 64];
        hash[..bytes.len()].copy_from_slice(bytes);
        Self { algorithm, hash }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm, self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let (algorithm, encoded) = split(text)?;
        Self::from_hex(algorithm.parse()?, encoded)
    }
}

/// A digest as it may stand in a descriptor: ours, or of an algorithm we do not know.
///
/// A manifest may refer to content by an algorithm this crate does not compute (image-spec: "digests of
/// unknown algorithms that fit the grammar pass validation"); such a digest is kept as text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AnyDigest {
    /// Of an algorithm this crate computes, so content can be found by it.
    Known(Digest),
    /// Fits the grammar, of another algorithm. Nothing stored here has such a name.
    Foreign(String),
}

impl AnyDigest {
    /// The digest, if it is of an algorithm this crate computes.
    pub const fn known(&self) -> Option<&Digest> {
        match self {
            Self::Known(digest) => Some(digest),
            Self::Foreign(_) => None,
        }
    }
}

impl fmt::Display for AnyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(digest) => digest.fmt(f),
            Self::Foreign(text) => f.write_str(text),
        }
    }
}

impl FromStr for AnyDigest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        match text.parse() {
            Ok(digest) => Ok(Self::Known(digest)),
            Err(DigestError::UnsupportedAlgorithm { .. }) => Ok(Self::Foreign(text.to_owned())),
            Err(error) => Err(error),
        }
    }
}

/// Why a text is not a digest.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DigestError {
    /// Not `algorithm ":" encoded` as image-spec's `descriptor.md` has it.
    #[error("expected a digest like sha256:<64 hexadecimal digits>, found {found:?}")]
    Grammar {
        /// The text, cut to a length that is fit for a message.
        found: String,
    },
    /// A digest by its grammar, of an algorithm this crate does not compute.
    #[error("expected a digest of algorithm sha256 or sha512, found algorithm {algorithm:?}")]
    UnsupportedAlgorithm {
        /// The part before the colon.
        algorithm: String,
    },
    /// The algorithm is known; what follows is not its hexadecimal form.
    #[error(
        "expected {expected} lower-case hexadecimal digits behind {algorithm}:, found {found} characters that are not"
    )]
    Encoded {
        /// The part before the colon.
        algorithm: Algorithm,
        /// How many hexadecimal digits the algorithm has.
        expected: usize,
        /// How many bytes stand behind the colon.
        found: usize,
    },
}

/// Splits `algorithm ":" encoded`, checking the grammar of both parts.
///
/// algorithm = component *( [+._-] component ), component = 1*[a-z0-9]; encoded = 1*[a-zA-Z0-9=_-].
fn split(text: &str) -> Result<(&str, &str), DigestError> {
    let grammar = || DigestError::Grammar { found: text.chars().take(160).collect() };
    let (algorithm, encoded) = text.split_once(':').ok_or_else(grammar)?;
    let component = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    };
    let sound = algorithm.split(['+', '.', '_', '-']).all(component)
        && !encoded.is_empty()
        && encoded.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'=' | b'_' | b'-'));
    if sound { Ok((algorithm, encoded)) } else { Err(grammar()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OF_NOTHING: &str =
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    proptest! {
        #[test]
        fn every_digest_survives_its_text_form(content: Vec<u8>, long: bool) {
            let algorithm = if long { Algorithm::Sha512 } else { Algorithm::Sha256 };
            let digest = Digest::of(algorithm, &content);
            prop_assert_eq!(digest.to_string().parse::<Digest>(), Ok(digest));
        }

        #[test]
        fn order_is_the_order_of_the_text(a: Vec<u8>, b: Vec<u8>, la: bool, lb: bool) {
            let pick = |long| if long { Algorithm::Sha512 } else { Algorithm::Sha256 };
            let (a, b) = (Digest::of(pick(la), &a), Digest::of(pick(lb), &b));
            prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
        }

        #[test]
        fn what_parses_prints_the_same(text in "[a-z0-9+._:A-F-]{0,80}") {
            if let Ok(digest) = text.parse::<AnyDigest>() {
                prop_assert_eq!(digest.to_string(), text);
            }
        }
    }

    #[test]
    fn the_empty_blob_has_its_well_known_digest() {
        assert_eq!(Digest::sha256(b"").to_string(), OF_NOTHING);
        assert!(Digest::sha256(b"").is_of_nothing());
        assert!(!Digest::sha256(b"x").is_of_nothing());
    }

    #[test]
    fn upper_case_hexadecimal_is_refused() {
        let text = OF_NOTHING.replace('e', "E");
        assert!(matches!(text.parse::<Digest>(), Err(DigestError::Encoded { .. })));
    }

    #[test]
    fn a_digest_of_the_wrong_length_is_refused() {
        assert!(matches!("sha256:abcd".parse::<Digest>(), Err(DigestError::Encoded { .. })));
        assert!(matches!(
            OF_NOTHING.replace("sha256", "sha512").parse::<Digest>(),
            Err(DigestError::Encoded { .. })
        ));
    }

    #[test]
    fn text_outside_the_grammar_is_refused() {
        for text in [
            "",
            ":",
            "sha256",
            "sha256:",
            ":abc",
            "sha256:../..",
            "SHA256:ab",
            "a..b:cd",
            "sha256:a b",
        ] {
            assert!(
                matches!(text.parse::<AnyDigest>(), Err(DigestError::Grammar { .. })),
                "{text}"
            );
        }
    }

    #[test]
    fn an_unknown_algorithm_is_kept_as_text_in_descriptors_only() {
        let text = "multihash+base58:QmRZxt2b1FVZPNqd8hsiykDL3TdBDeTSPX9Kv46HmX4Gx8";
        assert_eq!(text.parse(), Ok(AnyDigest::Foreign(text.to_owned())));
        assert!(matches!(text.parse::<Digest>(), Err(DigestError::UnsupportedAlgorithm { .. })));
    }
}
