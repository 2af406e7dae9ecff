//! What listings leave out though objects may lie below it.

use std::io;
use std::path::Path;

use rustix::io::Errno;

use super::Root;
use super::fault::{self, fault};
use super::system::{Entry, Kind, System};
use crate::backend::key::check_segment;
use crate::backend::{Key, Result};

/// How deep a directory of a foreign name is looked into; one that is deeper counts as one that has something.
const DEEPEST: usize = 16;

/// See [`Backend::left_out`](crate::backend::Backend::left_out).
pub(super) fn left_out<S: System>(
    root: &Root<S>,
    prefix: &Key,
    marks: &[String],
) -> Result<Option<String>> {
    root.in_its_place("list")?;
    first(root, &root.path_of(prefix), marks).map_err(|error| fault("list", prefix, error))
}

fn first<S: System>(
    root: &Root<S>,
    directory: &Path,
    marks: &[String],
) -> io::Result<Option<String>> {
    let entries = match root.system.read_directory(directory) {
        Ok(entries) => entries,
        Err(error) if fault::is_missing(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let path = directory.join(&entry.name);
        let is_left_out = match kind(root, &path, &entry)? {
            Some(Kind::File) => false,
            Some(Kind::Directory) => {
                let is_segment =
                    entry.name.to_str().is_some_and(|name| check_segment(name).is_ok());
                !is_segment && has_mark(root, &path, marks, DEEPEST)?
            }
            _ => true,
        };
        if is_left_out {
            return Ok(Some(entry.name.to_string_lossy().into_owned()));
        }
    }
    Ok(None)
}

/// What it is, through symbolic links; `None` for one that leads nowhere.
fn kind<S: System>(root: &Root<S>, path: &Path, entry: &Entry) -> io::Result<Option<Kind>> {
    match entry.kind {
        Kind::Link | Kind::Unknown => match root.system.stat(path) {
            Ok(stat) => Ok(Some(stat.kind)),
            Err(error) if fault::is_missing(&error) || fault::is(&error, &[Errno::LOOP]) => {
                Ok(None)
            }
            Err(error) => Err(error),
        },
        kind => Ok(Some(kind)),
    }
}

/// Does something of such a name lie below a directory? A symbolic link is not followed, and counts.
fn has_mark<S: System>(
    root: &Root<S>,
    directory: &Path,
    marks: &[String],
    depth: usize,
) -> io::Result<bool> {
    if marks.is_empty() {
        return Ok(false);
    }
    if depth == 0 {
        return Ok(true);
    }
    for entry in root.system.read_directory(directory)? {
        let entry = entry?;
        if entry.kind == Kind::Link || marks.iter().any(|mark| entry.name == mark.as_str()) {
            return Ok(true);
        }
        let path = directory.join(&entry.name);
        if kind(root, &path, &entry)? == Some(Kind::Directory)
            && has_mark(root, &path, marks, depth - 1)?
        {
            return Ok(true);
        }
    }
    Ok(false)
}
