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
    /// What else is wrong, of its kind.
    others: Vec<Self>,
}

impl Problem {
    /// With a key, at the place it comes from.
    pub(super) fn new(origin: &Origin, key: impl Into<String>, what: impl Into<String>) -> Self {
        Self {
            origin: Some(origin.clone()),
            key: key.into(),
            what: quotable(what.into(), origin),
            others: Vec::new(),
        }
    }

    /// With the source as a whole.
    pub(super) fn general(origin: Option<Origin>, what: impl Into<String>) -> Self {
        Self { origin, key: String::new(), what: what.into(), others: Vec::new() }
    }

    /// All of them as one, if there is any.
    pub(super) fn all(problems: Vec<Self>) -> Result<(), Self> {
        let mut problems = problems.into_iter();
        let Some(first) = problems.next() else { return Ok(()) };
        Err(Self { others: problems.collect(), ..first })
    }

    /// The same, here, unless it is known already where it is.
    pub(super) fn located(self, origin: &Origin, key: &str) -> Self {
        match self.origin {
            Some(_) => self,
            None => Self::new(origin, key, self.what),
        }
    }

    /// The same, of a key that lies in this section.
    pub(super) fn below(self, section: &str) -> Self {
        match section {
            "" => self,
            section => Self { key: format!("{section}.{}", self.key), ..self },
        }
    }

    /// Where it stands, if it is at one place.
    pub fn origin(&self) -> Option<&Origin> {
        self.origin.as_ref()
    }

    /// What is wrong, without where.
    pub(super) fn what(&self) -> String {
        self.what.replace(char::is_control, " ")
    }

    /// The key, such as `storage.delete.enabled`; empty if it is about no single one.
    pub fn key(&self) -> &str {
        &self.key
    }
}

/// Without the value at its end, where that may be a secret: who fills in a variable may have taken the wrong one, and a
/// password that belongs to a URL stands before `@`.
fn quotable(mut what: String, origin: &Origin) -> String {
    let quoted = [", found `", ", found the string \""].into_iter().find_map(|it| what.find(it));
    let Some(at) = quoted else { return what };
    if matches!(origin, Origin::Environment(_)) || what[at..].contains('@') {
        what.truncate(at);
        what.push_str(", found another value");
    }
    what
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
        f.write_str(&self.what.replace(char::is_control, " "))?;
        self.others.iter().try_for_each(|other| write!(f, "; {other}"))
    }
}

impl std::error::Error for Problem {}

impl de::Error for Problem {
    fn custom<T: fmt::Display>(what: T) -> Self {
        Self::general(None, what.to_string())
    }
}
