//! Advisory locks between processes: `flock` on a file of the backend's own, and for those who
//! write on the root itself.
//!
//! A file takes space, once for each scope, and who deletes has to get his lock where there is none. So the directory that
//! all objects lie in is locked too, by those who lack a file:
//!
//! * shared, while a file is made, and no longer;
//! * alone, in the place of the file, by who deletes and has no space to make it.
//!
//! So while somebody deletes without a file nobody makes it, hence nobody holds the same scope by it; and who finds a
//! file needs no more than that.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::durable::Parents;
use super::fault::{is_missing, write_fault};
use super::system::{Open, System};
use super::{Root, blocking};
use crate::backend::{ErrorKind, Key, LockGuard, LockMode, Result};
use crate::digest::Digest;
use crate::layout;

/// How long a waiter rests between two tries, at first and at most.
const RESTS: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(50)];

/// Takes a lock. See [`Backend::lock`](crate::backend::Backend::lock).
///
/// The lock between tasks comes first, so that a process has at most one waiter at the file. The file is made
/// once and never removed: two files of one name could be locked by two holders.
///
/// A file that is there is opened and locked, with no call more. Whoever holds the directory of all objects in its
/// place waits for nobody meanwhile, as [`LockMode::ToDelete`] has it; nor does who makes a file. So neither is ever part of a
/// deadlock.
pub(super) async fn lock<S: System>(
    root: Arc<Root<S>>,
    scope: &Key,
    mode: LockMode,
) -> Result<LockGuard> {
    let among_tasks = root.locks.lock(scope, mode).await;
    let held = match *scope == layout::writers() {
        true => lock_root(&root, scope, mode).await?,
        false => lock_scope(&root, scope, mode).await?,
    };
    // Guards are dropped in the order in which they stand: the process's own waiters find the file free.
    Ok(LockGuard::new((held, among_tasks)))
}

async fn lock_root<S: System>(
    root: &Arc<Root<S>>,
    scope: &Key,
    mode: LockMode,
) -> Result<LockGuard> {
    let directory = hold(root, scope, mode, Root::open_root).await?;
    let file = match hold(root, scope, mode, Root::open_lock_as_may_be).await {
        Ok(file) => Some(file),
        Err(error) if goes_without(error.kind(), mode) => None,
        Err(error) => return Err(error),
    };
    Ok(LockGuard::new((file, directory)))
}

async fn lock_scope<S: System>(
    root: &Arc<Root<S>>,
    scope: &Key,
    mode: LockMode,
) -> Result<LockGuard> {
    if let Some(file) = find(root, scope).await? {
        return wait(root, scope, mode, file).await.map(LockGuard::new);
    }
    let error = match make(root, scope).await {
        Ok(file) => return wait(root, scope, mode, file).await.map(LockGuard::new),
        Err(error) => error,
    };
    if error.kind() != ErrorKind::Full || mode != LockMode::ToDelete {
        return Err(error);
    }
    let above = lock_above(root, LockMode::Exclusive).await?;
    match find(root, scope).await? {
        // There was space for it since.
        Some(file) => {
            drop(above);
            wait(root, scope, mode, file).await.map(LockGuard::new)
        }
        None => Ok(above),
    }
}

/// The file of a scope; `None` if nobody has made it.
async fn find<S: System>(root: &Arc<Root<S>>, scope: &Key) -> Result<Option<S::File>> {
    let (root, scope) = (Arc::clone(root), scope.clone());
    blocking("lock", move || root.find_lock(&scope)).await
}

/// Makes the file of a scope, if nobody else has by now.
async fn make<S: System>(root: &Arc<Root<S>>, scope: &Key) -> Result<S::File> {
    let above = lock_above(root, LockMode::Shared).await?;
    let (root, scope) = (Arc::clone(root), scope.clone());
    blocking("lock", move || {
        let _until_it_is_made = above;
        root.make_lock(&scope)
    })
    .await
}

/// Locks the directory that all objects lie in.
async fn lock_above<S: System>(root: &Arc<Root<S>>, mode: LockMode) -> Result<LockGuard> {
    let scope = layout::private();
    let among_tasks = root.locks.lock(&scope, mode).await;
    let directory = hold(root, &scope, mode, Root::open_outermost).await?;
    Ok(LockGuard::new((directory, among_tasks)))
}

/// Is the lock of the root itself enough? It is, on this machine. Machines that share a directory, as by NFS, see the
/// locks of one another's files alone: who collects wants both, unless there is no space to make the file in.
fn goes_without(kind: ErrorKind, mode: LockMode) -> bool {
    match kind {
        ErrorKind::Full => true,
        ErrorKind::Denied => mode == LockMode::Shared,
        _ => false,
    }
}

/// Opens what is locked, and waits until it is ours.
async fn hold<S: System>(
    root: &Arc<Root<S>>,
    scope: &Key,
    mode: LockMode,
    open: impl FnOnce(&Root<S>, &Key) -> Result<S::File> + Send + 'static,
) -> Result<S::File> {
    let (path, key) = (Arc::clone(root), scope.clone());
    let file = blocking("lock", move || open(&path, &key)).await?;
    wait(root, scope, mode, file).await
}

/// Waits until what was opened is ours.
async fn wait<S: System>(
    root: &Arc<Root<S>>,
    scope: &Key,
    mode: LockMode,
    mut file: S::File,
) -> Result<S::File> {
    let mut rest = RESTS[0];
    loop {
        let (root, key) = (Arc::clone(root), scope.clone());
        let tried = blocking("lock", move || {
            let tried = root.system.try_lock(&file, mode);
            Ok((tried.map_err(|error| write_fault("lock", &key, error))?, file))
        });
        let (is_ours, back) = tried.await?;
        if is_ours {
            return Ok(back);
        }
        file = back;
        tokio::time::sleep(rest).await;
        rest = (rest * 2).min(RESTS[1]);
    }
}

/// Makes the caller the only one, among all processes, who replaces a damaged object of the shard that `object` lies in.
pub(super) async fn lock_replacing<S: System>(
    root: Arc<Root<S>>,
    object: &Key,
) -> Result<LockGuard> {
    lock(root, &layout::replacing(object), LockMode::Exclusive).await
}

impl<S: System> Root<S> {
    /// The root itself: to lock it takes neither space nor a right to write. Where another was put in its place nobody
    /// is kept out by it, but nobody writes either, see [`Root::in_its_place`].
    fn open_root(&self, scope: &Key) -> Result<S::File> {
        self.in_its_place("lock")?;
        let opened = self.system.open(&self.path, Open::Directory);
        let file = opened.map_err(|error| write_fault("lock", scope, error))?;
        let found = self.system.stat_file(&file).map_err(|error| write_fault("lock", scope, error));
        self.is_the_opened("lock", &found?)?;
        Ok(file)
    }

    /// The directory that all objects lie in. It is there wherever there is something to delete, and
    /// [stays](Root::remove_empty).
    fn open_outermost(&self, scope: &Key) -> Result<S::File> {
        self.in_its_place("lock")?;
        let open = || self.system.open(&self.outermost, Open::Directory);
        self.making_parents(&self.outermost, &mut Parents::below(&self.path), open)
            .map_err(|error| write_fault("lock", scope, error))
    }

    fn find_lock(&self, scope: &Key) -> Result<Option<S::File>> {
        self.in_its_place("lock")?;
        match self.system.open(&self.lock_file(scope), Open::Existing) {
            Ok(file) => Ok(Some(file)),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(write_fault("lock", scope, error)),
        }
    }

    fn make_lock(&self, scope: &Key) -> Result<S::File> {
        self.before_writing()?;
        let path = self.lock_file(scope);
        let directory = path.parent().unwrap_or(&self.path).to_owned();
        let open = || self.system.open(&path, Open::ReadWrite);
        self.making_parents(&directory, &mut Parents::below(&self.path), open)
            .map_err(|error| write_fault("lock", scope, error))
    }

    /// As [`Self::make_lock`]; a file that another user made may be only read.
    fn open_lock_as_may_be(&self, scope: &Key) -> Result<S::File> {
        self.make_lock(scope).or_else(|error| {
            let is_denied = error.kind() == ErrorKind::Denied;
            let opened = is_denied.then(|| self.system.open(&self.lock_file(scope), Open::Read));
            opened.and_then(io::Result::ok).ok_or(error)
        })
    }

    fn lock_file(&self, scope: &Key) -> PathBuf {
        let directory = self.path.join(layout::private().as_str()).join("lock");
        directory.join(Digest::sha256(scope.as_str().as_bytes()).hex())
    }
}
