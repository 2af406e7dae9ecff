//! [`RepositoryName`]: where images are pushed to, without the registry's host.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

/// The longest repository name, in bytes. Clients cap host, `/` and name at 255; Distribution caps the name.
pub const MAX_NAME_LENGTH: usize = 255;

/// A repository's name, such as `library/debian`.
///
/// * `component *( "/" component )`, where a component is lower-case letters and digits, joined by one `.`,
///   one or two `_`, or any number of `-` (OCI distribution-spec, "Pulling manifests").
/// * At most [`MAX_NAME_LENGTH`] bytes.
/// * So no component is empty, starts with `_`, or is `.` or `..`: a name is safe as a path.
///
/// The order is the catalog's: component by component, as if `/` were the lowest character, so that a
/// repository comes directly before those nested below it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RepositoryName(Arc<str>);

impl RepositoryName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The parts between the slashes, at least one.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }
}

impl FromStr for RepositoryName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.len() > MAX_NAME_LENGTH {
            return Err(NameError::TooLong { found: text.len() });
        }
        if text.split('/').all(is_name_component) {
            Ok(Self(text.into()))
        } else {
            Err(NameError::Grammar { found: text.to_owned() })
        }
    }
}

impl fmt::Display for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

impl PartialOrd for RepositoryName {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for RepositoryName {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.components().cmp(other.components())
    }
}

/// Why a text is not a repository name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NameError {
    /// Not of the grammar.
    #[error(
        "expected a repository name such as library/debian (lower-case letters and digits joined by . _ __ - and /), found {found:?}"
    )]
    Grammar {
        /// The text, at most [`MAX_NAME_LENGTH`] bytes.
        found: String,
    },
    /// Too long.
    #[error("expected a repository name of at most {MAX_NAME_LENGTH} bytes, found {found}")]
    TooLong {
        /// Its length in bytes.
        found: usize,
    },
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
pub fn is_name_component(text: &str) -> bool {
    let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = text.as_bytes();
    let mut at = 0;
    loop {
        let word = bytes[at..].iter().take_while(|&&b| alphanumeric(b)).count();
        at += word;
        if word == 0 {
            return false;
        }
        match &bytes[at..] {
            [] => return true,
            [b'_', b'_', ..] => at += 2,
            [b'.' | b'_', ..] => at += 1,
            rest => match rest.iter().take_while(|&&b| b == b'-').count() {
                0 => return false,
                dashes => at += dashes,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_name_of_the_grammar_survives_its_text_form(
            text in "[a-z0-9]{1,4}((\\.|_|__|-{1,3})[a-z0-9]{1,4}){0,3}(/[a-z0-9]{1,4}((\\.|_|__|-{1,3})[a-z0-9]{1,4}){0,3}){0,4}"
        ) {
            prop_assert_eq!(text.parse::<RepositoryName>().unwrap().to_string(), text);
        }

        #[test]
        fn what_parses_is_a_safe_path(text in "[-a-zA0-9._/]{0,12}") {
            if let Ok(name) = text.parse::<RepositoryName>() {
                for component in name.components() {
                    prop_assert!(!component.is_empty() && !component.starts_with(['.', '_', '-']));
                    prop_assert!(!component.ends_with(['.', '_', '-']));
                    prop_assert!(!component.contains("..") && !component.contains("___"));
                }
            }
        }

        #[test]
        fn order_is_that_of_bytes_with_the_slash_lowest(
            a in "[ab0](/|-|\\.|__)?[ab0](/|-|_)?[ab0]", b in "[ab0](/|-|\\.|__)?[ab0](/|-|_)?[ab0]"
        ) {
            let (Ok(left), Ok(right)) = (a.parse::<RepositoryName>(), b.parse::<RepositoryName>()) else {
                return Ok(());
            };
            let lowest = |text: &str| text.replace('/', "\0");
            prop_assert_eq!(left.cmp(&right), lowest(&a).cmp(&lowest(&b)));
        }
    }

    #[test]
    fn names_outside_the_grammar_are_refused() {
        for text in [
            "",
            "/",
            "a/",
            "/a",
            "a//b",
            "A",
            "a_",
            "_a",
            "-a",
            "a-",
            "a..b",
            "a._b",
            "a___b",
            "a/../b",
            "a/_uploads",
            "a b",
            "a\0",
            "é",
            "a:b",
            "a@b",
        ] {
            assert!(
                matches!(text.parse::<RepositoryName>(), Err(NameError::Grammar { .. })),
                "{text:?}"
            );
        }
    }

    #[test]
    fn a_name_is_at_most_255_bytes() {
        assert!("a".repeat(255).parse::<RepositoryName>().is_ok());
        assert_eq!(
            "a".repeat(256).parse::<RepositoryName>(),
            Err(NameError::TooLong { found: 256 })
        );
    }
}
