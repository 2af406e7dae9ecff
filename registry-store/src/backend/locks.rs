//! [`KeyedLocks`]: advisory locks between the tasks of one process, by key.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::RwLock;

use crate::backend::{Key, LockGuard, LockMode};

/// A lock for every key that somebody holds or waits for, and for no other.
#[derive(Debug, Default)]
pub(crate) struct KeyedLocks {
    locks: Mutex<HashMap<Key, Weak<RwLock<()>>>>,
}

impl KeyedLocks {
    /// Waits for the lock of `key`.
    pub(crate) async fn lock(&self, key: &Key, mode: LockMode) -> LockGuard {
        let lock = self.of(key);
        match mode {
            LockMode::Shared => LockGuard::new(lock.read_owned().await),
            LockMode::Exclusive | LockMode::ToDelete => LockGuard::new(lock.write_owned().await),
        }
    }

    fn of(&self, key: &Key) -> Arc<RwLock<()>> {
        // The map is whole after every statement, so a panic elsewhere has not broken it.
        let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lock) = locks.get(key).and_then(Weak::upgrade) {
            return lock;
        }
        // Only when a key is locked that nobody holds: so at most one key is forgotten for each that is held.
        locks.retain(|_, lock| lock.strong_count() > 0);
        let lock = Arc::new(RwLock::new(()));
        locks.insert(key.clone(), Arc::downgrade(&lock));
        lock
    }
}
