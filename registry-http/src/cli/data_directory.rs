//! The data directory: there, a directory, and one that may be used, before anything is promised.
#![expect(
    clippy::disallowed_methods,
    reason = "looks at the directory before a store is opened on it"
)]

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use registry_store::backend::ErrorKind;
use registry_store::backend::fs::FilesystemBackend;
use registry_store::layout;
use rustix::fs::{Access, access};

use super::Failure;
use super::said::Said;

const WRITABLE: Access = Access::READ_OK.union(Access::WRITE_OK).union(Access::EXEC_OK);

/// The whole path of a directory that can be read and written, made if it was not there.
pub(super) fn writable(said: &Said<PathBuf>) -> Result<PathBuf, Failure> {
    let root = whole_path(said)?;
    let by = &said.by;
    // One that is there and cannot be used is told of below, as what it is.
    if !root.is_dir() {
        FilesystemBackend::create(&root).map_err(|error| match error.kind() {
            ErrorKind::Foreign => not_a_directory(&root, by),
            _ if root.ancestors().any(Path::is_file) => not_a_directory(&root, by),
            _ => Failure::new(format!(
                "cannot make the data directory {}: {error}; expected a place where one can be made \
                 (see {by})",
                root.display()
            )),
        })?;
    }
    let expected = "a directory that this user may read and write (or --read-only)";
    check(&root, by, WRITABLE, expected)
}

/// The whole path of a directory that can be read, and written if that is wanted, and holds a registry's data, which may be
/// none yet: a directory that is empty, or has nothing but what the program keeps for itself.
pub(super) fn existing(said: &Said<PathBuf>, writes: bool) -> Result<PathBuf, Failure> {
    let root = if writes {
        let expected = "a directory that this user may read and write";
        check(&whole_path(said)?, &said.by, WRITABLE, expected)?
    } else {
        readable(said)?
    };
    let top = root.join(layout::top().as_str());
    let is_ours = |entry: &io::Result<fs::DirEntry>| {
        entry.as_ref().is_ok_and(|entry| entry.file_name() == layout::private().as_str())
    };
    if fs::read_dir(&root).is_ok_and(|mut entries| entries.all(|entry| is_ours(&entry))) {
        return Ok(root);
    }
    let found = match fs::metadata(&top) {
        Ok(found) if found.is_dir() => return Ok(root),
        Ok(_) => "it is no directory".to_owned(),
        Err(error) => error.to_string(),
    };
    Err(Failure::new(format!(
        "no registry's data in {}: expected the directory {} (see {}), found: {found}",
        root.display(),
        top.display(),
        said.by
    )))
}

/// The whole path of a directory that can be read.
pub(super) fn readable(said: &Said<PathBuf>) -> Result<PathBuf, Failure> {
    let readable = Access::READ_OK.union(Access::EXEC_OK);
    check(&whole_path(said)?, &said.by, readable, "a directory that this user may read")
}

fn whole_path(Said { value: root, by }: &Said<PathBuf>) -> Result<PathBuf, Failure> {
    std::path::absolute(root).map_err(|error| {
        Failure::usage(format!(
            "{by}: '{}': {error}; expected the path of a directory",
            root.display()
        ))
    })
}

fn check(root: &Path, by: &str, needed: Access, expected: &str) -> Result<PathBuf, Failure> {
    let shown = root.display();
    let root = root.canonicalize().map_err(|error| {
        Failure::new(format!(
            "cannot open the data directory {shown}: {error}; expected a directory (see {by})"
        ))
    })?;
    if !root.is_dir() {
        return Err(not_a_directory(&root, by));
    }
    // Asked for, not tried: a start writes nothing.
    access(&root, needed).map_err(|error| {
        let error = io::Error::from(error);
        Failure::new(format!(
            "cannot use the data directory {shown}: {error}; expected {expected} (see {by})"
        ))
    })?;
    Ok(root)
}

fn not_a_directory(root: &Path, by: &str) -> Failure {
    Failure::new(format!(
        "cannot keep data in {}: it is a file, or lies below one; expected a directory (see {by})",
        root.display()
    ))
}
