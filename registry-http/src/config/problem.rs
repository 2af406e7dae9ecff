//! [`Problem`]: what is wrong with a configuration, in one line.

use std::fmt;

use serde::de;

use super::origin::Origin;

/// What is wrong: where it stands, which key it is, what was expected and what was found. As an error the program
/// cannot start; as a warning something in the configuration has no effect.
///
/// It never holds a value that may be a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    origin: Option<Origin>,
    key: String,
    what: String,
}

impl Problem {
    /// With a key, at the place it comes from.
    pub(super) fn new(origin: &Origin, key: impl Into<String>, what: impl Into<String>) -> Self {
        Self { origin: Some(origin.clone()), key: key.into(), what: what.into() }
    }

    /// With the source as a whole.
    pub(super) fn general(origin: Option<Origin>, what: impl Into<String>) -> Self {
        Self { origin, key: String::new(), what: what.into() }
    }

    /// The same, here, unless it is known already where it is.
    pub(super) fn located(self, origin: &Origin, key: &str) -> Self {
        match self.origin {
            Some(_) => self,
            None => Self::new(origin, key, self.what),
        }
    }

    /// Where it stands, if it is at one place.
    pub fn origin(&self) -> Option<&Origin> {
        self.origin.as_ref()
    }

    /// The key, such as `storage.delete.enabled`; empty if it is about no single one.
    pub fn key(&self) -> &str {
        &self.key
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(origin) = &self.origin {
            write!(f, "{origin}: ")?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        // A name in the file may hold anything, and this is one line.
        f.write_str(&self.what.replace(char::is_control, " "))
    }
}

impl std::error::Error for Problem {}

impl de::Error for Problem {
    fn custom<T: fmt::Display>(what: T) -> Self {
        Self::general(None, what.to_string())
    }
}
