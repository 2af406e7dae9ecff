//! Whether the root is still the directory that was opened.
//!
//! Objects are found by paths, locks hang on the directory itself. A disk that was unmounted, or a directory that was
//! put in the place of the root while it is served, would be written to under a lock that lies elsewhere, beside a
//! collection; and all that was pushed would be missing rather than out of reach.

use std::io;
use std::path::Path;

use super::Root;
use super::fault;
use super::system::{Open, Stat, System};
use crate::backend::{Error, ErrorKind, Result};

/// The root as it was opened. It stays open, so that no other directory is given its number.
#[derive(Debug)]
pub(super) struct Opened<S: System> {
    _held: S::File,
    stat: Stat,
}

impl<S: System> Opened<S> {
    pub(super) fn open(system: &S, path: &Path) -> io::Result<Self> {
        let held = system.open(path, Open::Directory)?;
        let stat = system.stat_file(&held)?;
        Ok(Self { _held: held, stat })
    }
}

impl<S: System> Root<S> {
    /// Looks whether the path of the root leads to the directory that was opened.
    ///
    /// Asked before every write, and before it is said that something is not there. What is put in the place of the
    /// root between the look and the write is not noticed.
    ///
    /// Errors: `Unavailable`, until it is back or the backend is opened anew; those of the look.
    pub(super) fn in_its_place(&self, operation: &'static str) -> Result<()> {
        match self.system.stat(&self.path) {
            Ok(found) => self.is_the_opened(operation, &found),
            Err(error) if fault::is_missing(&error) => {
                Err(self.elsewhere(operation, "nothing is there"))
            }
            Err(error) => Err(Error::new(fault::kind(&error), operation).because(error)),
        }
    }

    /// Is what was found at the root's path the directory that was opened? Errors: `Unavailable`.
    pub(super) fn is_the_opened(&self, operation: &'static str, found: &Stat) -> Result<()> {
        if found.is_same_file(&self.opened.stat) {
            return Ok(());
        }
        Err(self.elsewhere(operation, "another directory is there"))
    }

    fn elsewhere(&self, operation: &'static str, found: &str) -> Error {
        let path = self.path.display();
        let told = format!("{path}: {found}; expected the directory that was opened at start");
        Error::new(ErrorKind::Unavailable, operation).because(told)
    }
}
