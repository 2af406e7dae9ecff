//! Advisory locks between processes: `flock` on a file of the backend's own.

use std::sync::Arc;
use std::time::Duration;

use super::durable::Parents;
use super::fault::write_fault;
use super::system::{Open, System};
use super::{Root, blocking};
use crate::backend::{Key, LockGuard, LockMode, Result};
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
    let (path, key) = (Arc::clone(&root), scope.clone());
    let mut file = blocking("lock", move || path.open_lock(&key)).await?;
    let mut rest = RESTS[0];
    loop {
        let (root, key) = (Arc::clone(&root), scope.clone());
        let tried = blocking("lock", move || {
            let tried = root.system.try_lock(&file, mode);
            Ok((tried.map_err(|error| write_fault("lock", &key, error))?, file))
        });
        let (is_ours, back) = tried.await?;
        file = back;
        if is_ours {
            // Dropped in this order: the process's own waiters find the file free.
            return Ok(LockGuard::new((file, among_tasks)));
        }
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
    fn open_lock(&self, scope: &Key) -> Result<S::File> {
        self.before_writing()?;
        let directory = self.path.join(layout::private().as_str()).join("lock");
        let name = Digest::sha256(scope.as_str().as_bytes()).hex();
        let path = directory.join(name);
        let open = || self.system.open(&path, Open::ReadWrite);
        self.making_parents(&directory, &mut Parents::below(&self.path), open)
            .map_err(|error| write_fault("lock", scope, error))
    }
}
