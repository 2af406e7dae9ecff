//! [`FilesystemBackend`]: objects as files below a directory, in whatever layout their keys spell.
//!
//! An object is a regular file at the path that its key spells below the root; symbolic links that an operator
//! has laid are followed. What is the backend's own lies in the place that `layout.rs` reserves:
//!
//! ```text
//! _rs/tmp/          files that are written before they get their name
//! _rs/lock/         a file for every scope that was ever locked
//! _rs/quarantine/   what was put out of sight, each below a directory of its own
//! ```
//!
//! Opening a root writes nothing. Every operation runs on a thread for blocking work, to its end, also if its
//! future is dropped.

mod conditional;
mod durable;
mod fault;
mod left_out;
mod lock;
mod naming;
mod open_file;
mod promote;
mod put;
mod record;
mod remove;
mod rooted;
mod staged;
pub mod system;
mod temp;
#[cfg(test)]
mod tests;
mod walk;

use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf, absolute};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

use self::durable::{Durable, Parents};
use self::fault::{fault, foreign};
use self::rooted::Opened;
use self::system::{Kind, Open, OperatingSystem, Stat, System};
use self::temp::Refused;
use crate::backend::locks::KeyedLocks;
use crate::backend::places;
use crate::backend::{
    Backend, BackendExt as _, Body, Child, DeleteIf, Error, ErrorKind, Key, LockGuard, LockMode,
    Medium, Meta, Object, PointIf, Pointed, Put, PutRequest, ReadRange, Result, SignedMethod,
    Stage, Staged,
};
use crate::layout;
use crate::page::Page;

pub use open_file::OpenFile;

/// Keeps objects as files below a directory. Cheap to clone; clones share all state.
///
/// Several processes may use one directory at the same time, Distribution among them.
#[derive(Clone)]
pub struct FilesystemBackend<S: System = OperatingSystem> {
    root: Arc<Root<S>>,
}

impl FilesystemBackend {
    /// Opens a directory that exists, and writes nothing.
    ///
    /// Errors: `NotFound`; `Foreign` if it is something else than a directory; `Denied`; `Unsupported` if its
    /// names do not tell upper case from lower.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self> {
        Self::with_system(root, OperatingSystem)
    }

    /// Opens a directory, which is made, with those above it, if it does not exist. Errors: as [`Self::open`].
    pub fn create(root: impl Into<PathBuf>) -> Result<Self> {
        let root = root.into();
        let failed = |error: io::Error| open_error(&root, &error);
        let root = absolute(&root).map_err(failed)?;
        let top = root.ancestors().last().unwrap_or(&root).to_owned();
        let durable = Durable::new(OperatingSystem, top.clone());
        let mut parents = Parents::below(&top);
        durable
            .make_directories(&root, &mut parents)
            .and_then(|()| durable.sync_made(&parents))
            .map_err(|error| open_error(&root, &error))?;
        Self::open(root)
    }
}

impl<S: System> FilesystemBackend<S> {
    /// Opens a directory through other system calls than the operating system's. Errors: as [`Self::open`].
    pub fn with_system(root: impl Into<PathBuf>, system: S) -> Result<Self> {
        let root = root.into();
        let failed = |error: io::Error| open_error(&root, &error);
        let path = absolute(&root).map_err(failed)?;
        if system.stat(&path).map_err(failed)?.kind != Kind::Directory {
            return Err(failed(foreign("a directory")));
        }
        let opened = Opened::open(&system, &path).map_err(failed)?;
        let root = Root::new(path, opened, system);
        for name in [outermost(), layout::private().to_string()] {
            root.tell_case_apart(&name)?;
        }
        let root = Arc::new(root);
        Ok(Self { root })
    }

    /// Does work on a thread for blocking work, to its end.
    async fn run<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Root<S>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let root = Arc::clone(&self.root);
        blocking(operation, move || work(&root)).await
    }
}

impl<S: System> fmt::Debug for FilesystemBackend<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FilesystemBackend({})", self.root.path.display())
    }
}

#[async_trait]
impl<S: System> Backend for FilesystemBackend<S> {
    async fn head(&self, key: &Key) -> Result<Option<Meta>> {
        let key = key.clone();
        self.run("head", move |root| root.head(&key)).await
    }

    async fn read(&self, key: &Key, range: ReadRange) -> Result<Object> {
        let key = key.clone();
        self.run("read", move |root| root.read(&key, range)).await
    }

    async fn put_all(&self, puts: Vec<PutRequest>) -> Result<Vec<Put>> {
        self.run("put", move |root| root.put_all(&puts)).await
    }

    async fn settle(&self, keys: &[Key]) -> Result<Vec<Option<Meta>>> {
        let keys = keys.to_vec();
        self.run("settle", move |root| root.settle(&keys)).await
    }

    async fn settle_all(&self, places: &[Key]) -> Result<()> {
        let places = places.to_vec();
        self.run("settle", move |root| root.settle_all(&places)).await
    }

    async fn delete(&self, keys: &[Key]) -> Result<()> {
        let keys = keys.to_vec();
        self.run("delete", move |root| root.delete(&keys)).await
    }

    /// Order: the look at the condition → the put, by rename → the look at the target. What the caller's lock does
    /// not keep out can come between.
    async fn point(
        &self,
        key: &Key,
        bytes: Bytes,
        target: &Key,
        condition: PointIf,
    ) -> Result<Pointed> {
        let (key, target) = (key.clone(), target.clone());
        self.run("put", move |root| root.point(&key, bytes, &target, &condition)).await
    }

    /// Order: the look, then the delete. What the caller's lock does not keep out can come between.
    async fn delete_if(&self, key: &Key, condition: DeleteIf) -> Result<bool> {
        let key = key.clone();
        self.run("delete", move |root| root.delete_if(&key, &condition)).await
    }

    async fn delete_tree(&self, prefix: &Key) -> Result<()> {
        let prefix = prefix.clone();
        self.run("delete", move |root| root.delete_tree(&prefix)).await
    }

    async fn quarantine(&self, key: &Key, found: Option<Meta>) -> Result<()> {
        let key = key.clone();
        self.run("quarantine", move |root| root.quarantine(&key, found)).await
    }

    fn list(&self, prefix: &Key, after: Option<&Key>) -> BoxStream<'_, Result<Key>> {
        walk::list(Arc::clone(&self.root), prefix, after)
    }

    async fn list_children(
        &self,
        prefix: &Key,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<Child>> {
        let (prefix, after) = (prefix.clone(), after.map(str::to_owned));
        self.run("list", move |root| walk::list_children(root, &prefix, after.as_deref(), limit))
            .await
    }

    async fn list_children_with(
        &self,
        prefix: &Key,
        path: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<(String, Meta)>> {
        self.list_children_by_looking(prefix, path, after, limit).await
    }

    async fn left_out(&self, prefix: &Key, marks: &[&str]) -> Result<Option<String>> {
        let prefix = prefix.clone();
        let marks: Vec<String> = marks.iter().map(|mark| (*mark).to_owned()).collect();
        self.run("list", move |root| left_out::left_out(root, &prefix, &marks)).await
    }

    async fn list_places(
        &self,
        prefix: &Key,
        marks: &[&str],
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<String>> {
        places::by_walking(self, prefix, marks, after, limit).await
    }

    async fn stage(&self, stage: Stage<'_>) -> Result<Box<dyn Staged>> {
        staged::open(Arc::clone(&self.root), stage).await
    }

    async fn expire_staged(&self, before: SystemTime) -> Result<u64> {
        self.run("expire", move |root| root.expire_staged(before)).await
    }

    async fn lock(&self, scope: &Key, mode: LockMode) -> Result<LockGuard> {
        lock::lock(Arc::clone(&self.root), scope, mode).await
    }

    async fn signed_url(
        &self,
        _key: &Key,
        _method: SignedMethod,
        _expires_in: Duration,
    ) -> Result<Option<String>> {
        Ok(None)
    }

    fn medium(&self) -> Medium {
        Medium { visible_is_durable: false, promotion_copies: false, locks_reach_processes: true }
    }
}

/// What all operations on one directory share.
#[derive(Debug)]
struct Root<S: System> {
    /// Below this everything lies.
    path: PathBuf,
    opened: Opened<S>,
    system: S,
    durable: Durable<S>,
    /// The directory that all objects of the layout lie in.
    outermost: PathBuf,
    /// The directory of temporary files.
    temporaries: PathBuf,
    /// Under which boot the machine runs; where that is not told, a name that is this process's alone.
    boot: String,
    /// Another process can tell that what this one wrote is still in memory.
    boot_is_told: bool,
    refused: Refused,
    /// Held between the look and the rename where the filesystem cannot do both at once.
    checked_rename: Mutex<()>,
    locks: KeyedLocks,
    /// Something was written, so the filesystem is known to tell upper case from lower.
    written: OnceLock<()>,
}

impl<S: System> Root<S> {
    fn new(path: PathBuf, opened: Opened<S>, system: S) -> Self {
        let boot = system.boot_id();
        if boot.is_none() {
            tracing::info!("which boot it is cannot be read: uploads are synced with each answer");
        }
        Self {
            durable: Durable::new(system.clone(), path.clone()),
            outermost: path.join(outermost()),
            temporaries: path.join(layout::private().as_str()).join("tmp"),
            boot_is_told: boot.is_some(),
            boot: boot.unwrap_or_else(|| system.random_name()),
            refused: Refused::default(),
            checked_rename: Mutex::new(()),
            locks: KeyedLocks::default(),
            written: OnceLock::new(),
            path,
            opened,
            system,
        }
    }

    /// Where an object is.
    fn path_of(&self, key: &Key) -> PathBuf {
        self.path.join(key.as_str())
    }

    /// The directory an object is in.
    fn directory_of(&self, key: &Key) -> PathBuf {
        key.parent().map_or_else(|| self.path.clone(), |parent| self.path_of(&parent))
    }

    /// Comes before everything that makes or removes a name: sees that the root is in its place, makes the reserved
    /// one, and looks at how names compare.
    fn before_writing(&self) -> Result<()> {
        self.in_its_place("write")?;
        if self.written.get().is_some() {
            return Ok(());
        }
        let private = layout::private();
        self.durable
            .make_directories(&self.temporaries, &mut Parents::below(&self.path))
            .map_err(|error| fault::write_fault("write", &private, error))?;
        self.tell_case_apart(private.as_str())?;
        self.written.get_or_init(|| ());
        Ok(())
    }

    /// Refuses a filesystem where `name` is found under another case: tags and repositories would be
    /// mistaken for one another. Says nothing if `name` does not exist.
    fn tell_case_apart(&self, name: &str) -> Result<()> {
        let found = |name: &str| self.system.stat(&self.path.join(name)).ok();
        let (Some(one), Some(other)) = (found(name), found(&name.to_uppercase())) else {
            return Ok(());
        };
        if !one.is_same_file(&other) {
            return Ok(());
        }
        let message = format!(
            "{}: expected a filesystem that tells upper case from lower",
            self.path.display()
        );
        Err(Error::new(ErrorKind::Unsupported, "open").because(message))
    }

    fn head(&self, key: &Key) -> Result<Option<Meta>> {
        match self.system.stat(&self.path_of(key)) {
            Ok(stat) if stat.kind == Kind::File => Ok(Some(meta(&stat))),
            Ok(stat) if stat.kind == Kind::Directory => Ok(None),
            Ok(_) => Err(fault("head", key, foreign("a regular file"))),
            Err(error) if fault::is_missing(&error) => self.in_its_place("head").map(|()| None),
            Err(error) => Err(fault("head", key, error)),
        }
    }

    fn read(&self, key: &Key, range: ReadRange) -> Result<Object> {
        let failed = |error| fault("read", key, error);
        let file = self.system.open(&self.path_of(key), Open::Read).or_else(|error| {
            if fault::is_missing(&error) {
                self.in_its_place("read")?;
            }
            Err(failed(error))
        })?;
        let stat = self.system.stat_file(&file).map_err(failed)?;
        match stat.kind {
            Kind::File => {}
            Kind::Directory => return Err(failed(rustix::io::Errno::NOENT.into())),
            _ => return Err(failed(foreign("a regular file"))),
        }
        let size = stat.size;
        let range = range
            .within(size)
            .ok_or_else(|| Error::new(ErrorKind::RangeNotSatisfiable, "read").at(key))?;
        let body = Body::File(OpenFile::new(key.clone(), self.system.clone(), Arc::new(file)));
        Ok(Object { size, range, body })
    }

    /// Looks at objects anew and makes those that are there durable.
    ///
    /// Order: bytes of the files, then their directories. A crash in between leaves visible what was visible.
    fn make_durable(
        &self,
        operation: &'static str,
        objects: &[(Key, PathBuf)],
    ) -> Result<Vec<Option<Stat>>> {
        let mut directories = BTreeSet::new();
        let found = self.durable.settle_files(operation, objects, &mut directories)?;
        let Some((first, _)) = objects.first() else {
            return Ok(found);
        };
        self.durable
            .sync_directories(directories, &Parents::below(&self.path))
            .map_err(|error| fault(operation, first, error))?;
        for ((key, _), stat) in objects.iter().zip(&found) {
            if let Some(stat) = stat {
                self.durable.learn(key, stat);
            }
        }
        Ok(found)
    }

    fn settle(&self, keys: &[Key]) -> Result<Vec<Option<Meta>>> {
        let named = |key: &Key| (key.clone(), self.path_of(key));
        let objects: Vec<_> = keys.iter().map(named).collect();
        let found = self.make_durable("settle", &objects)?;
        if found.iter().any(Option::is_none) {
            self.in_its_place("settle")?;
        }
        for (key, _) in keys.iter().zip(&found).filter(|(_, stat)| stat.is_none()) {
            let synced = self.durable.sync_removals(&self.directory_of(key));
            synced.map_err(|error| fault("settle", key, error))?;
        }
        Ok(found.iter().map(|stat| stat.as_ref().map(meta)).collect())
    }

    fn settle_all(&self, places: &[Key]) -> Result<()> {
        self.in_its_place("settle")?;
        let mut synced = HashSet::new();
        for place in places {
            let settled = self.durable.sync_filesystem_of(&self.path_of(place), &mut synced);
            settled.map_err(|error| fault("settle", place, error))?;
        }
        Ok(())
    }
}

fn meta(stat: &Stat) -> Meta {
    let mut version = DefaultHasher::new();
    // The number of a file that is gone is given to another.
    (stat.device, stat.inode, stat.created).hash(&mut version);
    Meta { size: stat.size, modified: stat.modified, version: version.finish() }
}

/// The first name on the way to what the layout has.
fn outermost() -> String {
    layout::top().as_str().split('/').take(1).collect()
}

fn open_error(root: &Path, error: &io::Error) -> Error {
    Error::new(fault::kind(error), "open").because(format!("{}: {error}", root.display()))
}

/// Does work on a thread for blocking work, to its end, whether anybody waits for it or not.
async fn blocking<T: Send + 'static>(
    operation: &'static str,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            // The runtime is being shut down.
            Err(error) => Err(Error::new(ErrorKind::Unavailable, operation).because(error)),
        },
    }
}
