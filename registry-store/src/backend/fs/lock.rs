//! Advisory locks between processes: `flock` on a file of the backend's own, and for those who
//! write on the root itself.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::durable::Parents;
use super::fault::write_fault;
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
pub(super) async fn lock<S: System>(
    root: Arc<Root<S>>,
    scope: &Key,
    mode: LockMode,
) -> Result<LockGuard> {
    let among_tasks = root.locks.lock(scope, mode).await;
    // Guards are dropped in the order in which they stand: the process's own waiters find the file free.
    if *scope != layout::writers() {
        let file = hold(&root, scope, mode, Root::open_lock).await?;
        return Ok(LockGuard::new((file, among_tasks)));
    }
    let directory = hold(&root, scope, mode, Root::open_root).await?;
    let file = match hold(&root, scope, mode, Root::open_lock_as_may_be).await {
        Ok(file) => Some(file),
        Err(error) if goes_without(error.kind(), mode) => None,
        Err(error) => return Err(error),
    };
    Ok(LockGuard::new((file, directory, among_tasks)))
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
    let mut file = blocking("lock", move || open(&path, &key)).await?;
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

    fn open_lock(&self, scope: &Key) -> Result<S::File> {
        self.before_writing()?;
        let path = self.lock_file(scope);
        let directory = path.parent().unwrap_or(&self.path).to_owned();
        let open = || self.system.open(&path, Open::ReadWrite);
        self.making_parents(&directory, &mut Parents::below(&self.path), open)
            .map_err(|error| write_fault("lock", scope, error))
    }

    /// As [`Self::open_lock`]; a file that another user made may be only read.
    fn open_lock_as_may_be(&self, scope: &Key) -> Result<S::File> {
        self.open_lock(scope).or_else(|error| {
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
