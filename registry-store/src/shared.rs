//! [`Shared`]: what all handles of one store have in common.

use std::sync::Arc;

use tokio::sync::{Mutex, Semaphore};

use crate::backend::Backend;
use crate::buffers::Buffers;
use crate::damage::Damage;
use crate::detach::Detached;
use crate::guard::Guard;
use crate::options::StoreOptions;
use crate::turns::Turns;

/// What all handles of one store have in common.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) options: StoreOptions,
    pub(crate) guard: Guard,
    pub(crate) buffers: Buffers,
    pub(crate) turns: Turns,
    pub(crate) damage: Damage,
    pub(crate) detached: Detached,
    /// Who may read a whole blob to tell whether it is damaged: a client can ask for that with a few bytes.
    pub(crate) judging: Semaphore,
    /// The number of this store's trials, which no other process has. Whoever holds it tries out: one at a time, so that one
    /// name does, and a storage that refuses to delete is left with one small object.
    pub(crate) trial: Mutex<Option<[u8; 16]>>,
}

impl Shared {
    pub(crate) fn new(backend: Arc<dyn Backend>, options: StoreOptions) -> Self {
        Self {
            guard: Guard::new(backend.clone()),
            backend,
            options,
            buffers: Buffers::default(),
            turns: Turns::default(),
            damage: Damage::default(),
            detached: Detached::default(),
            judging: Semaphore::new(2),
            trial: Mutex::default(),
        }
    }
}
