//! What can go wrong in a backend.

use std::error::Error as StdError;
use std::fmt;

use crate::backend::Key;

/// What a caller can act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// There is no such object, or no such session.
    NotFound,
    /// A part of the object was asked for of which not one byte exists.
    RangeNotSatisfiable,
    /// The session is in use by another process.
    Busy,
    /// The medium is full, or a quota is used up. Goes away when space is made.
    Full,
    /// The medium refuses us: permissions, a read-only mount.
    Denied,
    /// Something is there that is not ours: a directory where an object should be, a link that leads nowhere.
    Foreign,
    /// The storage cannot be reached now; the same call may succeed later.
    Unavailable,
    /// The medium failed: what it holds of this object is uncertain.
    Io,
    /// This backend cannot do it.
    Unsupported,
}

/// A failed operation of a backend.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    operation: &'static str,
    key: Option<Key>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// The result of an operation of a backend.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// `operation` is a verb of the backend, such as "read" or "sync".
    pub fn new(kind: ErrorKind, operation: &'static str) -> Self {
        Self { kind, operation, key: None, source: None }
    }

    /// What it was done to.
    #[must_use]
    pub fn at(mut self, key: &Key) -> Self {
        self.key = Some(key.clone());
        self
    }

    /// Why it failed.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What a caller can act on.
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Is it one object that could not be looked at or read, not the storage as a whole?
    pub(crate) const fn is_of_one_object(&self) -> bool {
        use ErrorKind::{Denied, Foreign, Io, NotFound};
        matches!(self.kind, Denied | Foreign | Io | NotFound)
    }

    /// What was attempted.
    pub const fn operation(&self) -> &'static str {
        self.operation
    }

    /// What it was attempted on, where it was one thing.
    pub const fn key(&self) -> Option<&Key> {
        self.key.as_ref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            ErrorKind::NotFound => "not found",
            ErrorKind::RangeNotSatisfiable => "no byte of the range exists",
            ErrorKind::Busy => "in use by another process",
            ErrorKind::Full => "no space left",
            ErrorKind::Denied => "not permitted",
            ErrorKind::Foreign => "something else is in its place",
            ErrorKind::Unavailable => "storage is not available",
            ErrorKind::Io => "input/output error",
            ErrorKind::Unsupported => "not supported",
        };
        write!(f, "{}", self.operation)?;
        if let Some(key) = &self.key {
            write!(f, " {key}")?;
        }
        write!(f, ": {kind}")?;
        match &self.source {
            Some(source) => write!(f, ": {source}"),
            None => Ok(()),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
