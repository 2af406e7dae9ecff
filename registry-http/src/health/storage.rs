//! [`StorageProbe`]: does the storage work?

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use registry_store::backend::{Action, BackendObserver, ErrorKind};
use registry_store::error::{Error, Result};
use registry_store::store::Store;
use tokio::task::AbortHandle;

use super::Probe;
use crate::read_only::ReadOnlySwitch;

/// Whether the medium has failed (`EIO`), or has refused something (`EACCES`, `EROFS`), since a trial went well that began
/// later. That it refuses to be read or listed is a failure. Clones share it.
///
/// That it is full is no failure: what is there is served and can be deleted, which makes room, and other registries of
/// that storage have no more of it.
#[derive(Clone, Debug, Default)]
pub struct Suspicion(Arc<Doubts>);

#[derive(Debug, Default)]
struct Doubts {
    failed: Doubt,
    refused: Doubt,
}

/// Counted, so that a trial takes back no more than what it began behind, and none that does not end does.
#[derive(Debug, Default)]
struct Doubt {
    raised: AtomicU64,
    taken_back: AtomicU64,
}

impl Doubt {
    fn raise(&self) {
        self.raised.fetch_add(1, Ordering::Relaxed);
    }

    fn is_raised(&self) -> bool {
        self.raised() > self.taken_back.load(Ordering::Relaxed)
    }

    fn raised(&self) -> u64 {
        self.raised.load(Ordering::Relaxed)
    }

    fn take_back(&self, until: u64) {
        self.taken_back.fetch_max(until, Ordering::Relaxed);
    }
}

impl Suspicion {
    /// It has failed or refused something.
    pub fn is_raised(&self) -> bool {
        self.0.failed.is_raised() || self.0.refused.is_raised()
    }
}

impl BackendObserver for Suspicion {
    fn called(&self, action: Action, _: Duration, failed: Option<ErrorKind>) {
        let is_of_reading = matches!(action, Action::Look | Action::Read | Action::List);
        match failed {
            Some(ErrorKind::Io) => self.0.failed.raise(),
            Some(ErrorKind::Denied) if is_of_reading => self.0.failed.raise(),
            Some(ErrorKind::Denied) => self.0.refused.raise(),
            _ => {}
        }
    }
}

/// Looks at the storage, which costs a page of names; after a failure or a refusal of the medium, writes, syncs, reads and
/// removes a small object instead, until that goes well. While there is no room for that it looks as before. While nothing is to
/// be written for anybody, that writing is refused is no matter.
///
/// One bad sector under one blob fails nothing for long by this: it raises the suspicion, and the trial takes it back.
///
/// Of clones one probe is under way at a time, and goes on if nobody waits for it any longer: a storage that hangs has one
/// call waiting, not one for each who asks.
#[derive(Clone, Debug)]
pub struct StorageProbe {
    asked: Asked,
    under_way: Arc<Mutex<Option<UnderWay>>>,
}

#[derive(Clone, Debug)]
struct Asked {
    store: Store,
    suspicion: Suspicion,
    read_only: ReadOnlySwitch,
    may_write: bool,
    is_of_pulls: bool,
}

#[derive(Debug)]
struct UnderWay {
    outcome: Shared<BoxFuture<'static, Result<(), String>>>,
    task: AbortHandle,
}

impl StorageProbe {
    /// `suspicion` is to be told of each call to the store's backend. While `read_only` is on, that writing is refused is no
    /// matter. What may not write, as its storage was opened for reading, only looks.
    pub fn new(
        store: Store,
        suspicion: Suspicion,
        read_only: ReadOnlySwitch,
        may_write: bool,
    ) -> Self {
        let asked = Asked { store, suspicion, read_only, may_write, is_of_pulls: false };
        Self { asked, under_way: Arc::default() }
    }

    /// Another one, that passes while writing is refused: what is there can be served.
    pub fn of_pulls(&self) -> Self {
        let asked = Asked { is_of_pulls: true, ..self.asked.clone() };
        Self { asked, under_way: Arc::default() }
    }

    fn begin_or_join(&self) -> Shared<BoxFuture<'static, Result<(), String>>> {
        // It is whole whatever happened to who held it.
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(it) = under_way.as_ref().filter(|it| !it.task.is_finished()) {
            return it.outcome.clone();
        }
        let task = tokio::spawn(self.asked.clone().answer());
        let handle = task.abort_handle();
        let outcome = task.map(|it| it.unwrap_or_else(|panicked| Err(panicked.to_string())));
        let outcome = outcome.boxed().shared();
        *under_way = Some(UnderWay { outcome: outcome.clone(), task: handle });
        outcome
    }
}

impl Asked {
    async fn answer(self) -> Result<(), String> {
        self.look_or_try_out().await.map_err(|error| match error {
            // Whose words may name a place, and hold nothing secret.
            Error::Storage(error) => format!("the storage failed: {error}"),
            error => error.to_string(),
        })
    }

    async fn look_or_try_out(&self) -> Result<()> {
        let Doubts { failed, refused } = &*self.suspicion.0;
        let until = (failed.raised(), refused.raised());
        let is_in_doubt = failed.is_raised() || (refused.is_raised() && self.has_to_write());
        if !self.may_write || !is_in_doubt {
            return self.store.look().await;
        }
        match self.store.try_out().await {
            Ok(()) => {
                failed.take_back(until.0);
                refused.take_back(until.1);
                Ok(())
            }
            // What is there can be read all the same: nothing else has failed meanwhile.
            Err(Error::Storage(error))
                if self.lets_pass(error.kind()) && failed.raised() == until.0 =>
            {
                self.store.look().await
            }
            Err(error) => Err(error),
        }
    }

    fn has_to_write(&self) -> bool {
        !self.is_of_pulls && !self.read_only.is_on()
    }

    fn lets_pass(&self, kind: ErrorKind) -> bool {
        kind == ErrorKind::Full || (kind == ErrorKind::Denied && !self.has_to_write())
    }
}

#[async_trait]
impl Probe for StorageProbe {
    async fn probe(&self) -> Result<(), String> {
        self.begin_or_join().await
    }
}

#[cfg(test)]
mod tests {
    use registry_store::backend::{MemoryBackend, ObservedBackend};
    use registry_store::options::StoreOptions;

    use super::*;

    /// What the calls of a probe come to, by the actions it is told of.
    #[derive(Debug, Default)]
    struct Seen(Mutex<Vec<Action>>);

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
        let switch = ReadOnlySwitch::default();
        let probe = StorageProbe::new(store.clone(), suspicion.clone(), switch.clone(), true);
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
        told(&suspicion, ErrorKind::Denied);
        assert_eq!(did(&probe.of_pulls()).await, look, "who pulls is refused nothing");
        switch.set(true);
        assert_eq!(did(&probe).await, look, "nothing is to be written");
        assert!(suspicion.is_raised());
        told(&suspicion, ErrorKind::Io);
        let reads = StorageProbe::new(store, suspicion.clone(), switch, false);
        assert_eq!(did(&reads).await, look);
        assert!(suspicion.is_raised());
        assert_eq!(did(&probe).await, trial, "what is there may not be read either");
        assert!(!suspicion.is_raised());
        for action in [Action::Look, Action::Read, Action::List] {
            suspicion.called(action, Duration::ZERO, Some(ErrorKind::Denied));
            assert_eq!(did(&probe.of_pulls()).await, trial, "{action:?}");
        }
    }

    #[test]
    fn a_trial_takes_back_what_it_began_behind() {
        let doubt = Doubt::default();
        doubt.raise();
        let until = doubt.raised();
        doubt.raise();
        doubt.take_back(until);
        assert!(doubt.is_raised());
        doubt.take_back(doubt.raised());
        assert!(!doubt.is_raised());
        doubt.take_back(until);
        assert!(!doubt.is_raised());
    }
}
