//! [`Reloaded`]: what a file says, read again when it changes.
#![expect(clippy::disallowed_methods, reason = "users and keys are kept in files of their own")]

use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use thiserror::Error;
use tokio::task::spawn_blocking;
use tracing::{error, info};

/// Why a file of users or keys cannot be used. It holds nothing of what the file says.
#[derive(Debug, Error)]
#[error("{what} {path}: {problem}", path = path.display())]
pub struct FileError {
    /// What the file is for, such as "the htpasswd file".
    pub(super) what: &'static str,
    /// Where it was looked for.
    pub(super) path: PathBuf,
    /// What is wrong with it.
    pub(super) problem: FileProblem,
}

/// What is wrong with a file.
#[derive(Debug, Error)]
pub(super) enum FileProblem {
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    /// What was expected and found, without what is secret.
    #[error("{0}")]
    Content(String),
}

/// Makes a value of a file's bytes, or says what was expected and found.
type Parse<T> = dyn Fn(&[u8]) -> Result<T, String> + Send + Sync;

/// The value of a file. It is looked at before each use, by one stat on a blocking thread. If it can no longer be read
/// or understood, the last good value stays in force, which the log tells once for each state of the file.
///
/// A file that is written in place may be read half-written; it is read again when it has grown on. Who changes it puts
/// another in its place by rename.
pub(super) struct Reloaded<T> {
    shared: Arc<Shared<T>>,
}

struct Shared<T> {
    what: &'static str,
    path: PathBuf,
    parse: Box<Parse<T>>,
    state: Mutex<State<T>>,
}

struct State<T> {
    value: Arc<T>,
    /// How the file was when it was last read, or could not be.
    seen: Seen,
}

/// A state of a file, as far as a stat can tell two apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    File { device: u64, inode: u64, size: u64, modified: (i64, i64), changed: (i64, i64) },
    Unreadable(io::ErrorKind),
}

impl<T: Send + Sync + 'static> Reloaded<T> {
    /// Reads the file for the first time; it has to be good.
    pub(super) fn open(
        what: &'static str,
        path: impl Into<PathBuf>,
        parse: impl Fn(&[u8]) -> Result<T, String> + Send + Sync + 'static,
    ) -> Result<Self, FileError> {
        let path = path.into();
        let parse: Box<Parse<T>> = Box::new(parse);
        let (value, seen) = match read(&path, &parse) {
            (Ok(value), seen) => (Arc::new(value), seen),
            (Err(problem), _) => return Err(FileError { what, path, problem }),
        };
        let state = Mutex::new(State { value, seen });
        Ok(Self { shared: Arc::new(Shared { what, path, parse, state }) })
    }

    /// What the file says now.
    pub(super) async fn current(&self) -> Arc<T> {
        let shared = Arc::clone(&self.shared);
        match spawn_blocking(move || shared.look()).await {
            Ok(value) => value,
            // The runtime ends, and the request with it.
            Err(_) => Arc::clone(&self.shared.state().value),
        }
    }
}

impl<T: 'static> Shared<T> {
    fn look(&self) -> Arc<T> {
        let now = Seen::of(std::fs::metadata(&self.path).as_ref());
        let mut state = self.state();
        if state.seen == now {
            return Arc::clone(&state.value);
        }
        let (value, seen) = read(&self.path, &self.parse);
        let is_news = state.seen != seen;
        state.seen = seen;
        match value {
            Ok(value) => {
                info!("{} {}: read again, as it has changed", self.what, self.path.display());
                state.value = Arc::new(value);
            }
            Err(problem) if is_news => error!(
                "{} {}: {problem}; what it said before stays in force",
                self.what,
                self.path.display()
            ),
            Err(_) => {}
        }
        Arc::clone(&state.value)
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        // A state is whole at every instant.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The value, and the state of the file that it is of: looked at before the bytes are read, so that what is written
/// meanwhile is read next time.
fn read<T: 'static>(path: &Path, parse: &Parse<T>) -> (Result<T, FileProblem>, Seen) {
    let open = || {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        Ok((file, metadata))
    };
    let opened: io::Result<(File, Metadata)> = open();
    let seen = Seen::of(opened.as_ref().map(|(_, metadata)| metadata));
    let value = opened.map_err(FileProblem::Io).and_then(|(mut file, _)| {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        parse(&bytes).map_err(FileProblem::Content)
    });
    match &value {
        // What passes by itself, such as a failing disk, has to be tried again though the file stays as it is.
        Err(FileProblem::Io(error)) => {
            let seen = Seen::Unreadable(error.kind());
            (value, seen)
        }
        _ => (value, seen),
    }
}

impl Seen {
    fn of(looked: Result<&Metadata, &io::Error>) -> Self {
        match looked {
            Ok(it) => Self::File {
                device: it.dev(),
                inode: it.ino(),
                size: it.size(),
                modified: (it.mtime(), it.mtime_nsec()),
                changed: (it.ctime(), it.ctime_nsec()),
            },
            Err(error) => Self::Unreadable(error.kind()),
        }
    }
}

impl<T> Clone for Reloaded<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn open(path: &Path) -> Result<Reloaded<u32>, FileError> {
        Reloaded::open("the number", path, |bytes| {
            let text = std::str::from_utf8(bytes).map_err(|_| "expected text".to_owned())?;
            text.trim().parse().map_err(|_| "expected a number".to_owned())
        })
    }

    #[tokio::test]
    async fn a_changed_file_is_read_again_and_a_bad_one_leaves_the_last_good_value() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("number");
        fs::write(&path, "1").unwrap();
        let number = open(&path).unwrap();
        assert_eq!(*number.current().await, 1);

        fs::write(&path, "22").unwrap();
        assert_eq!(*number.current().await, 22);

        let other = directory.path().join("other");
        fs::write(&other, "33").unwrap();
        fs::rename(&other, &path).unwrap();
        assert_eq!(*number.current().await, 33, "of the same size, but another inode");

        fs::write(&path, "bad").unwrap();
        assert_eq!(*number.current().await, 33);
        fs::remove_file(&path).unwrap();
        assert_eq!(*number.current().await, 33);
        fs::write(&path, "4444").unwrap();
        assert_eq!(*number.current().await, 4444);
    }

    #[test]
    fn what_can_be_opened_and_not_read_is_tried_again() {
        // A directory: it is opened, and its bytes cannot be read.
        let directory = tempfile::tempdir().unwrap();
        let parse: Box<Parse<u32>> = Box::new(|_| Ok(1));
        let (value, seen) = read(directory.path(), &parse);
        assert!(matches!(value, Err(FileProblem::Io(_))));
        assert!(matches!(seen, Seen::Unreadable(_)), "{seen:?}");
    }

    #[test]
    fn a_file_that_is_not_there_or_not_good_at_first_is_an_error_that_names_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("number");
        let error = open(&path).err().unwrap().to_string();
        assert!(error.starts_with(&format!("the number {}: cannot be read", path.display())));
        fs::write(&path, "hush").unwrap();
        let error = open(&path).err().unwrap().to_string();
        assert_eq!(error, format!("the number {}: expected a number", path.display()));
    }
}
