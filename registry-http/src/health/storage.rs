//! [`StorageProbe`]: does the storage work?

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use registry_store::backend::{Action, BackendObserver, ErrorKind};
use registry_store::error::Error;
use registry_store::store::Store;

use super::Probe;

/// Whether the medium has failed (`EIO`) since it was last tried out. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Suspicion(Arc<AtomicBool>);

impl Suspicion {
    /// It has.
    pub fn is_raised(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl BackendObserver for Suspicion {
    fn called(&self, _: Action, _: Duration, failed: Option<ErrorKind>) {
        if failed == Some(ErrorKind::Io) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

/// Looks at the storage, which costs a page of names; after a failure of the medium, writes, syncs, reads and removes a
/// small object instead, until that goes well.
///
/// One bad sector under one blob fails nothing for long by this: it raises the suspicion, and the trial lowers it.
#[derive(Clone, Debug)]
pub struct StorageProbe {
    store: Store,
    suspicion: Suspicion,
    may_write: bool,
}

impl StorageProbe {
    /// `suspicion` is to be told of each call to the store's backend. What may not write only looks.
    pub const fn new(store: Store, suspicion: Suspicion, may_write: bool) -> Self {
        Self { store, suspicion, may_write }
    }
}

#[async_trait]
impl Probe for StorageProbe {
    async fn probe(&self) -> Result<(), String> {
        let outcome = if self.may_write && self.suspicion.is_raised() {
            // Lowered first: a failure in between, and that of the trial itself, raises it again.
            self.suspicion.0.store(false, Ordering::Relaxed);
            let outcome = self.store.try_out().await;
            if outcome.is_err() {
                self.suspicion.0.store(true, Ordering::Relaxed);
            }
            outcome
        } else {
            self.store.look().await
        };
        outcome.map_err(|error| match error {
            // Whose words may name a place, and hold nothing secret.
            Error::Storage(error) => format!("the storage failed: {error}"),
            error => error.to_string(),
        })
    }
}
