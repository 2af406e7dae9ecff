//! How objects go: deleted, put into quarantine, expired.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::io::Errno;

use super::Root;
use super::durable::{ATTEMPTS, Parents};
use super::fault::{self, fault, write_fault};
use super::system::{Kind, System};
use super::temp::Place;
use crate::backend::{Key, Meta, Result};
use crate::layout;

/// Old names that are removed after one sync; each is some 100 bytes in memory.
pub(super) const AT_ONCE: usize = 1000;

/// Names that have expired.
#[derive(Debug, Default)]
struct Expired {
    paths: Vec<PathBuf>,
    /// Has the file of one of them further names?
    are_shared: bool,
}

impl<S: System> Root<S> {
    /// Deletes objects. See [`Backend::delete`](crate::backend::Backend::delete).
    ///
    /// Order, for every run of keys in one directory: names removed → directory synced → the directory, and
    /// those above it, removed while they are empty. So the order given is also the order of durability
    /// between directories. A crash leaves empty directories at worst.
    ///
    /// A file that has further names keeps one more until the directory is synced, or until that expires: see
    /// [`Self::set_aside`].
    pub(super) fn delete(&self, keys: &[Key]) -> Result<()> {
        self.in_its_place("delete")?;
        for run in keys.chunk_by(|one, next| one.parent() == next.parent()) {
            let mut aside = Vec::new();
            for key in run {
                let removed = self.remove_or_set_aside(&self.path_of(key));
                aside.extend(removed.map_err(|error| fault("delete", key, error))?);
            }
            let directory = self.directory_of(&run[0]);
            self.durable
                .sync_removals(&directory)
                .and_then(|()| aside.iter().try_for_each(|path| self.remove_name(path).map(drop)))
                .and_then(|()| self.remove_empty(&directory))
                .map_err(|error| fault("delete", &run[0], error))?;
        }
        Ok(())
    }

    /// Takes a file's name away; the one it has instead until that is durable, if it needs one.
    fn remove_or_set_aside(&self, path: &Path) -> io::Result<Option<PathBuf>> {
        match self.system.stat(path) {
            Ok(stat) if stat.kind == Kind::File && stat.links > 1 => self.set_aside(path),
            _ => self.remove_name(path).map(|_| None),
        }
    }

    /// Gives a file that has further names another name instead of this one; `None` if nothing has it.
    ///
    /// An object with a further name is one file with the bytes of a session, and that it has two is what says that
    /// nothing may be added to them. Were it left with the session's alone before the removal of the object's is durable, a
    /// process killed there would leave a session to go on with, and a loss of power give what was added to the object.
    fn set_aside(&self, path: &Path) -> io::Result<Option<PathBuf>> {
        let aside = self.temp_name(Place::Reserved);
        let mut parents = Parents::below(&self.path);
        let renamed = self.durable.make_directories(&self.temporaries, &mut parents);
        if renamed.and_then(|()| self.system.rename(path, &aside)).is_ok() {
            return Ok(Some(aside));
        }
        // It is on another filesystem, or there is no space for a name in the reserved place: beside it there is.
        let aside = self.temp_name(Place::Beside(path));
        match self.system.rename(path, &aside) {
            Ok(()) => Ok(Some(aside)),
            Err(error) if fault::is_missing(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Deletes a tree. See [`Backend::delete_tree`](crate::backend::Backend::delete_tree).
    ///
    /// Order: depth first; what stays, because somebody writes there, is synced where it is; at last the
    /// directory above is, which makes the whole removal durable. A crash leaves a part of the tree.
    pub(super) fn delete_tree(&self, prefix: &Key) -> Result<()> {
        self.in_its_place("delete")?;
        self.remove_tree(&self.path_of(prefix))
            .and_then(|()| self.durable.sync_removals(&self.directory_of(prefix)))
            .map_err(|error| fault("delete", prefix, error))
    }

    /// Puts an object out of sight. See [`Backend::quarantine`](crate::backend::Backend::quarantine).
    ///
    /// Order: looked at → place made → renamed → new directory synced, with those above it → old directory synced. A crash
    /// leaves the object at one of the two places, or at both.
    pub(super) fn quarantine(&self, key: &Key, found: Option<Meta>) -> Result<()> {
        if found.is_some() && self.head(key)? != found {
            return Ok(());
        }
        self.before_writing()?;
        self.put_out_of_sight(key).map_err(|error| write_fault("quarantine", key, error))
    }

    fn put_out_of_sight(&self, key: &Key) -> io::Result<()> {
        let from = self.path_of(key);
        if self.look(&from)?.is_none() {
            return Ok(());
        }
        let place = self.path.join(layout::private().as_str()).join("quarantine");
        let place = place.join(self.system.random_name());
        let to = place.join(key.as_str());
        let directory = to.parent().unwrap_or(&place);
        let mut parents = Parents::below(&self.path);
        self.durable.make_directories(directory, &mut parents)?;
        match self.system.rename(&from, &to) {
            Ok(()) => self.durable.sync_directories([directory.to_owned()], &parents)?,
            // Its sight is that of walkers, and none takes a name of this form for a blob or a link. A copy
            // is no way: what is damaged may not be readable.
            Err(error) if fault::is_across(&error) => {
                self.remove_empty(directory)?;
                let name = self.system.random_name();
                let to = from.with_file_name(format!("{}.{name}.quarantined", key.name()));
                self.system.rename(&from, &to)?;
            }
            Err(error) => {
                self.remove_empty(directory)?;
                return if fault::is_missing(&error) { Ok(()) } else { Err(error) };
            }
        }
        let directory = self.directory_of(key);
        self.durable.sync_removals(&directory)?;
        self.remove_empty(&directory)
    }

    /// Removes old temporary files. See [`Backend::expire_staged`](crate::backend::Backend::expire_staged).
    pub(super) fn expire_staged(&self, before: SystemTime) -> Result<u64> {
        self.in_its_place("expire")?;
        self.expire_temporaries(before).map_err(|error| fault("expire", &layout::private(), error))
    }

    /// Order, for each part: names found → if a file of theirs has further names, everything synced → these names removed.
    /// What has further names may be what a delete [set aside](Self::set_aside), and only what was found before the sync is
    /// covered by it: a delete under way sets more aside, old from the first. A crash leaves the rest.
    fn expire_temporaries(&self, before: SystemTime) -> io::Result<u64> {
        let mut entries = match self.system.read_directory(&self.temporaries) {
            Ok(entries) => entries,
            Err(error) if fault::is_missing(&error) => return Ok(0),
            Err(error) => return Err(error),
        };
        let mut removed = 0;
        loop {
            let expired = self.next_expired(&mut entries, before)?;
            if expired.are_shared {
                self.durable.sync_filesystem_of(&self.temporaries, &mut HashSet::new())?;
            }
            for path in &expired.paths {
                removed += u64::from(self.remove_name(path)?);
            }
            if expired.paths.len() < AT_ONCE {
                return Ok(removed);
            }
        }
    }

    /// The next names that have expired, no more than [`AT_ONCE`]; fewer are the last.
    fn next_expired(&self, entries: &mut S::Entries, before: SystemTime) -> io::Result<Expired> {
        let mut expired = Expired::default();
        for entry in entries {
            let entry = entry?;
            // What else lies there is not ours to look at: a symbolic link may lead anywhere, or in a circle.
            if !matches!(entry.kind, Kind::File | Kind::Unknown) {
                continue;
            }
            let path = self.temporaries.join(entry.name);
            let stat = match self.system.stat(&path) {
                Ok(stat) => stat,
                Err(error) if fault::is_missing(&error) => continue,
                Err(error) => return Err(error),
            };
            let is_old = stat.modified.is_some_and(|modified| modified < before);
            if stat.kind != Kind::File || !is_old {
                continue;
            }
            expired.are_shared |= stat.links > 1;
            expired.paths.push(path);
            if expired.paths.len() == AT_ONCE {
                break;
            }
        }
        Ok(expired)
    }

    /// Removes a name of a file; `false` if no file has it.
    pub(super) fn remove_name(&self, path: &Path) -> io::Result<bool> {
        match self.system.unlink(path) {
            Ok(()) => Ok(true),
            Err(error) if fault::is_missing(&error) || is_directory(&error) => Ok(false),
            Err(error) => match self.system.stat(path) {
                // What POSIX answers for a directory cannot be told from what it answers for a lack of rights.
                Ok(stat) if stat.kind == Kind::Directory => Ok(false),
                _ => Err(error),
            },
        }
    }

    /// Removes a directory and those above it as long as they are empty, never the root, nor the directory that all objects
    /// lie in: that is [locked](super::lock) by who deletes and has no space for another lock.
    fn remove_empty(&self, directory: &Path) -> io::Result<()> {
        let stays = [&self.path, &self.outermost];
        let goes = |level: &&Path| {
            !stays.iter().any(|path| *path == *level) && level.starts_with(&self.path)
        };
        for level in directory.ancestors().take_while(goes) {
            if !self.durable.remove_directory(level)? {
                break;
            }
        }
        Ok(())
    }

    /// Removes a file, a symbolic link, or a directory with all that is in it. Symbolic links are not followed.
    pub(super) fn remove_tree(&self, path: &Path) -> io::Result<()> {
        if self.remove_name(path)? {
            return Ok(());
        }
        // Names that are removed while a directory is read may hide others from the reader on some systems.
        for _ in 0..ATTEMPTS {
            let entries = match self.system.read_directory(path) {
                Ok(entries) => entries,
                Err(error) if fault::is_missing(&error) => return Ok(()),
                Err(error) => return Err(error),
            };
            for entry in entries {
                let entry = entry?;
                let path = path.join(&entry.name);
                if entry.kind == Kind::Directory {
                    self.remove_tree(&path)?;
                } else if !self.remove_name(&path)? {
                    // The filesystem does not say what is a directory.
                    self.remove_tree(&path)?;
                }
            }
            if self.durable.remove_directory(path)? {
                return Ok(());
            }
        }
        self.durable.sync_removals(path)
    }
}

fn is_directory(error: &io::Error) -> bool {
    fault::is(error, &[Errno::ISDIR])
}
