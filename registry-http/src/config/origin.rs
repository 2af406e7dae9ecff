//! [`Origin`]: where a value of the configuration comes from.

use std::fmt;
use std::sync::Arc;

/// Where a value, or a key, comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A line of a file.
    File {
        /// The path as it was given.
        file: Arc<str>,
        /// The line, from 1.
        line: usize,
    },
    /// An environment variable, by its name.
    Environment(Arc<str>),
}

impl Origin {
    /// The same source, at another line. A variable has no lines.
    pub(super) fn at_line(&self, line: usize) -> Self {
        match self {
            Self::File { file, .. } => Self::File { file: Arc::clone(file), line },
            Self::Environment(name) => Self::Environment(Arc::clone(name)),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { file, line } => write!(f, "{file}:{line}"),
            Self::Environment(name) => f.write_str(name),
        }
    }
}
