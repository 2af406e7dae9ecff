//! [`Fixture`]: storage to test on, of every kind there is.

mod counted;
mod faulty;
mod gated;
mod method;
mod recorded;
mod yielding;

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use registry_store::backend::{
    Action, Backend, BackendObserver, ErrorKind, MemoryBackend, ObservedBackend,
};

pub use counted::{CountedBackend, Counts};
pub use faulty::{Fault, FaultyBackend, Moment};
pub use gated::{Gate, GatedBackend};
pub use method::Method;
pub use recorded::RecordedBackend;
pub use yielding::{Flaw, YieldingBackend};

mod filesystem;
mod s3;
pub use filesystem::{
    filesystem, filesystem_with_named_temps, filesystem_without_hard_links,
    on_a_disk_that_fills_up, open_where_the_boot_is_hidden,
};
pub use s3::{
    BUCKET, ServedBucket, on_garage, on_moto, open, s3, s3_in_small_pages, s3_on_garage,
    s3_on_moto, s3_without_conditions,
};

/// Storage of some kind, empty when it is made and gone when this is dropped.
pub struct Fixture {
    /// A handle to it.
    pub backend: Arc<dyn Backend>,
    open: Box<dyn Fn() -> Arc<dyn Backend> + Send + Sync>,
    litter: Box<dyn Fn() -> Vec<String> + Send + Sync>,
    // After the handles, which may write as they are dropped.
    _storage: Box<dyn Any + Send + Sync>,
}

impl Fixture {
    /// Storage that `open` makes a handle to, each time a new one, and that ends when `storage` is dropped.
    pub fn new(
        storage: impl Any + Send + Sync,
        open: impl Fn() -> Arc<dyn Backend> + Send + Sync + 'static,
    ) -> Self {
        Self {
            backend: open(),
            open: Box::new(open),
            litter: Box::new(Vec::new),
            _storage: Box::new(storage),
        }
    }

    /// Says how to look, past the backend, for what ought not to be on storage from which all was deleted.
    #[must_use]
    pub fn with_litter(mut self, look: impl Fn() -> Vec<String> + Send + Sync + 'static) -> Self {
        self.litter = Box::new(look);
        self
    }

    /// Another handle to the same storage, as another process would have.
    pub fn reopen(&self) -> Arc<dyn Backend> {
        (self.open)()
    }

    /// What is on the storage past the backend's listings, once all has been deleted; best nothing.
    pub fn litter(&self) -> Vec<String> {
        (self.litter)()
    }
}

impl fmt::Debug for Fixture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fixture({:?})", self.backend)
    }
}

/// Memory.
pub fn memory() -> Fixture {
    let memory = MemoryBackend::new();
    Fixture::new((), move || Arc::new(memory.clone()))
}

/// Memory, counted.
pub fn counted_memory() -> Fixture {
    let memory = MemoryBackend::new();
    Fixture::new((), move || Arc::new(CountedBackend::new(Arc::new(memory.clone()))))
}

/// Memory that could fail, and does not.
pub fn faultless_memory() -> Fixture {
    let memory = MemoryBackend::new();
    Fixture::new((), move || Arc::new(FaultyBackend::new(Arc::new(memory.clone()))))
}

/// Memory in whose way no gate is shut.
pub fn gated_memory() -> Fixture {
    let memory = MemoryBackend::new();
    Fixture::new((), move || Arc::new(GatedBackend::new(Arc::new(memory.clone()))))
}

/// Memory that lets others go first.
pub fn yielding_memory() -> Fixture {
    let memory = MemoryBackend::new();
    Fixture::new((), move || Arc::new(YieldingBackend::new(Arc::new(memory.clone()), || 1)))
}

/// Memory, observed by somebody who keeps nothing of it.
pub fn observed_memory() -> Fixture {
    let memory = MemoryBackend::new();
    Fixture::new((), move || {
        Arc::new(ObservedBackend::new(Arc::new(memory.clone()), vec![Arc::new(Unheeding)]))
    })
}

/// Is told of calls, and does nothing.
#[derive(Debug)]
struct Unheeding;

impl BackendObserver for Unheeding {
    fn called(&self, _: Action, _: Duration, _: Option<ErrorKind>) {}
}

/// Memory, recorded.
pub fn recorded_memory() -> Fixture {
    let memory = MemoryBackend::new();
    Fixture::new((), move || Arc::new(RecordedBackend::new(Arc::new(memory.clone()))))
}
