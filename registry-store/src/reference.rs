//! [`Tag`] and [`Reference`]: what a manifest is asked for by.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

use crate::digest::Digest;

/// The longest tag, in bytes (OCI distribution-spec).
pub const MAX_TAG_LENGTH: usize = 128;

/// A name that can be moved from one manifest to another: `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.
///
/// The order is the byte order of the text.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(Arc<str>);

impl Tag {
    /// The tag as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Tag {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        let sound = text.len() <= MAX_TAG_LENGTH
            && text.bytes().next().is_some_and(word)
            && text.bytes().all(|b| word(b) || matches!(b, b'.' | b'-'));
        if sound {
            Ok(Self(text.into()))
        } else {
            Err(ReferenceError { found: text.chars().take(MAX_TAG_LENGTH + 32).collect() })
        }
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

/// A tag or a digest. A text with a colon can only be a digest: no tag holds one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reference {
    /// Whatever the tag points at now.
    Tag(Tag),
    /// One manifest, for ever.
    Digest(Digest),
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        match text.parse() {
            Ok(digest) => Ok(Self::Digest(digest)),
            Err(_) => text.parse().map(Self::Tag),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => tag.fmt(f),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

impl From<Tag> for Reference {
    fn from(tag: Tag) -> Self {
        Self::Tag(tag)
    }
}

impl From<Digest> for Reference {
    fn from(digest: Digest) -> Self {
        Self::Digest(digest)
    }
}

/// Why a text is neither a tag nor a digest.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("expected a tag ([a-zA-Z0-9_][a-zA-Z0-9._-]{{0,127}}) or a digest, found {found:?}")]
pub struct ReferenceError {
    /// The text, cut to a length that is fit for a message.
    pub found: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_tag_of_the_grammar_survives_its_text_form(text in "[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}") {
            prop_assert_eq!(text.parse::<Tag>().unwrap().to_string(), text.clone());
            prop_assert_eq!(text.parse::<Reference>().unwrap().to_string(), text);
        }

        #[test]
        fn what_parses_prints_the_same(text in "\\PC{0,20}") {
            if let Ok(reference) = text.parse::<Reference>() {
                prop_assert_eq!(reference.to_string(), text);
            }
        }
    }

    #[test]
    fn text_with_a_colon_is_a_digest_or_nothing() {
        let digest = Digest::sha256(b"x");
        assert_eq!(digest.to_string().parse(), Ok(Reference::Digest(digest)));
        assert!("sha256:abc".parse::<Reference>().is_err());
    }

    #[test]
    fn tags_outside_the_grammar_are_refused() {
        let long = "a".repeat(129);
        for text in ["", ".a", "-a", "a/b", "a b", "a:b", "a@b", "é", "a\n", long.as_str()] {
            assert!(text.parse::<Tag>().is_err(), "{text:?}");
        }
    }
}
