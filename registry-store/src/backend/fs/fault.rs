//! What an error of the operating system means to a caller of the backend.

use std::io;

use rustix::io::Errno;
use thiserror::Error as ThisError;

use crate::backend::{Error, ErrorKind, Key};

/// Something is there that is not ours.
#[derive(Debug, ThisError)]
#[error("expected {expected}")]
struct Foreign {
    expected: &'static str,
}

/// Something else lies where `expected` should be.
pub(super) fn foreign(expected: &'static str) -> io::Error {
    io::Error::other(Foreign { expected })
}

/// What was done to an object failed.
pub(super) fn fault(operation: &'static str, key: &Key, error: io::Error) -> Error {
    Error::new(kind(&error), operation).at(key).because(error)
}

/// What was to make an object failed: what is missing then is a place above it, one that cannot be made.
pub(super) fn write_fault(operation: &'static str, key: &Key, error: io::Error) -> Error {
    let kind = match kind(&error) {
        ErrorKind::NotFound => ErrorKind::Foreign,
        kind => kind,
    };
    Error::new(kind, operation).at(key).because(error)
}

/// What a caller can act on.
pub(super) fn kind(error: &io::Error) -> ErrorKind {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    if let Some(Foreign { .. }) = inner {
        return ErrorKind::Foreign;
    }
    match Errno::from_io_error(error) {
        Some(Errno::NOENT | Errno::NOTDIR) => ErrorKind::NotFound,
        Some(Errno::NOSPC | Errno::DQUOT) => ErrorKind::Full,
        Some(Errno::ACCESS | Errno::PERM | Errno::ROFS) => ErrorKind::Denied,
        Some(Errno::ISDIR | Errno::LOOP) => ErrorKind::Foreign,
        // Too many open files, a server that does not answer: neither says anything about the object.
        Some(Errno::MFILE | Errno::NFILE | Errno::STALE | Errno::TIMEDOUT | Errno::HOSTDOWN) => {
            ErrorKind::Unavailable
        }
        _ => ErrorKind::Io,
    }
}

/// Does the error say that nothing has the name?
pub(super) fn is_missing(error: &io::Error) -> bool {
    is(error, &[Errno::NOENT, Errno::NOTDIR])
}

/// Does the error say that nobody sees anything below the name, be it there or not?
pub(super) fn is_out_of_sight(error: &io::Error) -> bool {
    matches!(kind(error), ErrorKind::NotFound | ErrorKind::Denied | ErrorKind::Foreign)
}

/// Does the error say that something has the name already?
pub(super) fn exists(error: &io::Error) -> bool {
    is(error, &[Errno::EXIST])
}

/// Does the error say that two names are on different filesystems?
pub(super) fn is_across(error: &io::Error) -> bool {
    is(error, &[Errno::XDEV])
}

/// Does the error say that this filesystem, or this kernel, does not do such a thing at all?
pub(super) fn is_refusal(error: &io::Error) -> bool {
    let refusals =
        [Errno::OPNOTSUPP, Errno::PERM, Errno::XDEV, Errno::INVAL, Errno::NOSYS, Errno::MLINK];
    is(error, &refusals)
}

/// Is a refusal certain to be that of the whole filesystem? Another may be of one file only: it belongs to
/// another user, is immutable, or has too many names.
pub(super) fn is_of_filesystem(refusal: &io::Error) -> bool {
    is(refusal, &[Errno::OPNOTSUPP, Errno::INVAL, Errno::NOSYS])
}

/// Is it one of these errors?
pub(super) fn is(error: &io::Error, numbers: &[Errno]) -> bool {
    Errno::from_io_error(error).is_some_and(|number| numbers.contains(&number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_errno_says_what_a_caller_can_do_about_it() {
        let kinds = [
            (Errno::NOENT, ErrorKind::NotFound),
            (Errno::NOTDIR, ErrorKind::NotFound),
            (Errno::NOSPC, ErrorKind::Full),
            (Errno::DQUOT, ErrorKind::Full),
            (Errno::ACCESS, ErrorKind::Denied),
            (Errno::PERM, ErrorKind::Denied),
            (Errno::ROFS, ErrorKind::Denied),
            (Errno::ISDIR, ErrorKind::Foreign),
            (Errno::LOOP, ErrorKind::Foreign),
            (Errno::MFILE, ErrorKind::Unavailable),
            (Errno::IO, ErrorKind::Io),
            (Errno::NODEV, ErrorKind::Io),
        ];
        for (number, expected) in kinds {
            assert_eq!(kind(&number.into()), expected, "{number:?}");
        }
        assert_eq!(kind(&foreign("a file")), ErrorKind::Foreign);
        assert_eq!(kind(&io::Error::other("broken")), ErrorKind::Io);
    }

    #[test]
    fn what_cannot_be_made_is_never_reported_as_missing() {
        let key: Key = "a/b".parse().unwrap();
        let error = write_fault("put", &key, Errno::NOTDIR.into());
        assert_eq!(error.kind(), ErrorKind::Foreign);
        assert_eq!(error.key(), Some(&key));
    }
}
