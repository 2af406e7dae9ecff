//! [`Key`]: the name of an object, below the root of a backend.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

/// The longest key, in bytes (S3's limit for an object's name).
pub const MAX_KEY_LENGTH: usize = 1024;
/// The longest segment, in bytes (the limit of common filesystems for a file's name).
pub const MAX_SEGMENT_LENGTH: usize = 255;

/// The name of an object, or of the place above several: segments joined by `/`.
///
/// * At least one segment; none is empty, `.` or `..`, or longer than [`MAX_SEGMENT_LENGTH`].
/// * Segments consist of `A-Z a-z 0-9 . _ -`, as Distribution's drivers ask.
/// * No leading or trailing `/`; at most [`MAX_KEY_LENGTH`] bytes.
/// * So a key joined to a directory stays below it.
///
/// The order is the byte order of the text.
///
/// Only `layout.rs` makes keys from text; a backend makes them of what a listing found, with [`Key::child`].
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(Arc<str>);

impl Key {
    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key one segment below this one.
    pub fn child(&self, segment: &str) -> Result<Self, KeyError> {
        check_segment(segment)?;
        checked_length(format!("{}/{segment}", self.0))
    }

    /// The last segment.
    pub fn name(&self) -> &str {
        self.0.rsplit_once('/').map_or(&self.0, |(_, name)| name)
    }

    /// The key one segment above; `None` at the top.
    pub fn parent(&self) -> Option<Self> {
        self.0.rsplit_once('/').map(|(parent, _)| Self(parent.into()))
    }

    /// The segments between the slashes, at least one.
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }

    /// What follows `prefix/` in this key; `None` if it is not below `prefix`.
    pub fn below(&self, prefix: &Self) -> Option<&str> {
        self.0.strip_prefix(&*prefix.0)?.strip_prefix('/')
    }
}

impl FromStr for Key {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        text.split('/').try_for_each(check_segment)?;
        checked_length(text.to_owned())
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text is not a key, or a segment of one.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum KeyError {
    /// A segment is empty, `.`, `..`, too long, or has other characters.
    #[error(
        "expected a segment of 1 to {MAX_SEGMENT_LENGTH} of A-Z a-z 0-9 . _ -, found {found:?}"
    )]
    Segment {
        /// The segment, cut to a length that is fit for a message.
        found: String,
    },
    /// The whole is too long.
    #[error("expected a key of at most {MAX_KEY_LENGTH} bytes, found {found}")]
    TooLong {
        /// Its length in bytes.
        found: usize,
    },
}

pub(super) fn check_segment(segment: &str) -> Result<(), KeyError> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    let sound = (1..=MAX_SEGMENT_LENGTH).contains(&segment.len())
        && segment.bytes().all(allowed)
        && !matches!(segment, "." | "..");
    if sound {
        Ok(())
    } else {
        Err(KeyError::Segment { found: segment.chars().take(MAX_SEGMENT_LENGTH + 1).collect() })
    }
}

fn checked_length(text: String) -> Result<Key, KeyError> {
    if text.len() <= MAX_KEY_LENGTH {
        Ok(Key(text.into()))
    } else {
        Err(KeyError::TooLong { found: text.len() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_key_is_the_child_of_its_parent(text in "[A-Za-z0-9_-]{1,5}(/[A-Za-z0-9._-]{1,5}x){1,5}") {
            let key: Key = text.parse().unwrap();
            prop_assert_eq!(key.as_str(), &text);
            let parent = key.parent().unwrap();
            prop_assert_eq!(key.below(&parent), Some(key.name()));
            prop_assert_eq!(parent.child(key.name()).unwrap(), key);
        }
    }

    #[test]
    fn text_outside_the_grammar_is_refused() {
        for text in ["", "/", "/a", "a/", "a//b", ".", "a/..", "../a", "a b", "a\0", "a\\b", "é"] {
            assert!(matches!(text.parse::<Key>(), Err(KeyError::Segment { .. })), "{text:?}");
        }
        assert!("a".parse::<Key>().unwrap().child("b/c").is_err());
    }

    #[test]
    fn a_sibling_with_the_same_beginning_is_not_below() {
        let key: Key = "a/bc/d".parse().unwrap();
        assert_eq!(key.below(&"a/b".parse().unwrap()), None);
        assert_eq!(key.below(&"a".parse().unwrap()), Some("bc/d"));
    }

    #[test]
    fn lengths_are_bounded() {
        assert!("a".repeat(255).parse::<Key>().is_ok());
        assert!("a".repeat(256).parse::<Key>().is_err());
        assert!("ab/".repeat(400).trim_end_matches('/').parse::<Key>().is_err());
    }
}
