//! [`StorageProbe`]: does the storage work?

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use registry_store::backend::{Action, BackendObserver, ErrorKind};
use registry_store::error::Error;
use registry_store::store::Store;

use super::Probe;

/// Whether the medium has failed (`EIO`), or has refused something (`EACCES`, `EROFS`), since it was last tried out. Clones
/// share it.
///
/// That it is full is no failure: what is there is served and can be deleted, which makes room, and other registries of
/// that storage have no more of it.
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
        if matches!(failed, Some(ErrorKind::Io | ErrorKind::Denied)) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

/// Looks at the storage, which costs a page of names; after a failure or a refusal of the medium, writes, syncs, reads and
/// removes a small object instead, until that goes well. While there is no room for that, it is looked as before.
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

impl StorageProbe {
    async fn try_out(&self) -> Result<(), Error> {
        // Lowered first: a failure in between, and that of the trial itself, raises it again.
        self.suspicion.0.store(false, Ordering::Relaxed);
        let outcome = self.store.try_out().await;
        if outcome.is_err() {
            self.suspicion.0.store(true, Ordering::Relaxed);
        }
        match outcome {
            Err(Error::Storage(error)) if error.kind() == ErrorKind::Full => {
                self.store.look().await
            }
            outcome => outcome,
        }
    }
}

#[async_trait]
impl Probe for StorageProbe {
    async fn probe(&self) -> Result<(), String> {
        let outcome = if self.may_write && self.suspicion.is_raised() {
            self.try_out().await
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

#[cfg(test)]
mod tests {
    use registry_store::backend::{MemoryBackend, ObservedBackend};
    use registry_store::options::StoreOptions;

    use super::*;

    /// What the calls of a probe come to, by the actions it is told of.
    #[derive(Debug, Default)]
    struct Seen(std::sync::Mutex<Vec<Action>>);

    impl BackendObserver for Seen {
        fn called(&self, action: Action, _: Duration, _: Option<ErrorKind>) {
            self.0.lock().unwrap().push(action);
        }
    }

    fn told(suspicion: &Suspicion, kind: ErrorKind) {
        suspicion.called(Action::Put, Duration::ZERO, Some(kind));
    }

    #[tokio::test]
    async fn it_writes_only_after_a_failure_or_a_refusal_of_the_medium_and_only_once() {
        let (suspicion, seen) = (Suspicion::default(), Arc::new(Seen::default()));
        let observers = vec![Arc::clone(&seen) as Arc<dyn BackendObserver>];
        let backend = ObservedBackend::new(Arc::new(MemoryBackend::new()), observers);
        let store = Store::new(Arc::new(backend), StoreOptions::default());
        let probe = StorageProbe::new(store.clone(), suspicion.clone(), true);
        let did = async |probe: &StorageProbe| {
            probe.probe().await.unwrap();
            std::mem::take(&mut *seen.0.lock().unwrap())
        };
        let (look, trial) = (vec![Action::List], vec![Action::Put, Action::Read, Action::Delete]);
        assert_eq!(did(&probe).await, look);
        for kind in [ErrorKind::Io, ErrorKind::Denied] {
            told(&suspicion, kind);
            assert_eq!(did(&probe).await, trial, "{kind:?}");
            assert!(!suspicion.is_raised());
            assert_eq!(did(&probe).await, look, "{kind:?}");
        }
        for kind in [ErrorKind::NotFound, ErrorKind::Full, ErrorKind::Unavailable] {
            told(&suspicion, kind);
            assert!(!suspicion.is_raised(), "{kind:?}");
        }
        told(&suspicion, ErrorKind::Io);
        let reads = StorageProbe::new(store, suspicion.clone(), false);
        assert_eq!(did(&reads).await, look);
        assert!(suspicion.is_raised());
    }
}
