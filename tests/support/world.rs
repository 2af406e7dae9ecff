//! [`World`]: a store to test on, whatever backend is below it.

use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures::{Stream, TryStreamExt as _, stream};
use registry_store::backend::fs::FilesystemBackend;
use registry_store::backend::{Backend, Key, MemoryBackend, ReadRange};
use registry_store::digest::{Algorithm, Digest};
use registry_store::error::{BodyError, Result};
use registry_store::options::{Clock, Random, StoreOptions};
use registry_store::repository::Repository;
use registry_store::store::Store;
use tempfile::TempDir;

use crate::backends::{
    ServedBucket, on_a_disk_that_fills_up, on_garage, on_moto, open, open_where_the_boot_is_hidden,
};
use crate::s3::options::S3Options;

/// A store, what is below it, and the means to look at it as another process would.
pub struct World {
    /// The store under test.
    pub store: Store,
    /// What is below it: for damage, and for a look at what was written.
    pub backend: Arc<dyn Backend>,
    /// The store's time.
    pub clock: Arc<TestClock>,
    again: Box<dyn Fn() -> Arc<dyn Backend> + Send + Sync>,
    random: Arc<TestRandom>,
    /// Where it is in memory, whose quarantine has no keys.
    memory: Option<MemoryBackend>,
}

impl World {
    /// On memory.
    pub fn memory() -> Self {
        let backend = MemoryBackend::new();
        let memory = Some(backend.clone());
        Self { memory, ..Self::on(move || Arc::new(backend.clone())) }
    }

    /// On a directory that goes when this does.
    pub fn filesystem() -> Self {
        Self::in_directory(tempfile::tempdir().expect("there is room for a directory"))
    }

    /// On a directory where nobody is told which boot it is: in a container that hides it, for one.
    pub fn filesystem_without_boot_id() -> Self {
        let directory = tempfile::tempdir().expect("there is room for a directory");
        Self::on(move || open_where_the_boot_is_hidden(directory.path()))
    }

    /// On this directory and what is in it, which goes when this does.
    pub fn in_directory(directory: TempDir) -> Self {
        Self::on(move || {
            let root = directory.path();
            Arc::new(FilesystemBackend::open(root).expect("a directory of ours can be opened"))
        })
    }

    /// On this directory, which stays, of a disk without space for anything new once `is_full`.
    pub fn on_a_disk_that_fills_up(root: &Path, is_full: &Arc<AtomicBool>) -> Self {
        let (root, is_full) = (root.to_owned(), is_full.clone());
        Self::on(move || on_a_disk_that_fills_up(&root, is_full.clone()))
    }

    /// On a bucket in a server of ours.
    pub fn s3() -> Self {
        let served = ServedBucket::new(S3Options::default());
        Self::on(move || Arc::new(served.open()))
    }

    /// On a place of its own in Garage.
    pub fn garage() -> Self {
        let (garage, options) = on_garage();
        Self::on(move || {
            let _kept = &garage;
            Arc::new(open(options.clone()))
        })
    }

    /// On a bucket of its own in moto.
    pub fn moto() -> Self {
        let (moto, options) = on_moto();
        Self::on(move || {
            let _kept = &moto;
            Arc::new(open(options.clone()))
        })
    }

    fn on(again: impl Fn() -> Arc<dyn Backend> + Send + Sync + 'static) -> Self {
        let (clock, random) = (Arc::new(TestClock::default()), Arc::new(TestRandom::default()));
        let backend = again();
        let options = options(&clock, &random);
        let store = Store::new(backend.clone(), options);
        Self { store, backend, clock, again: Box::new(again), random, memory: None }
    }

    /// What another process that opens the same storage works with.
    pub fn another_process(&self) -> Store {
        Store::new((self.again)(), options(&self.clock, &self.random))
    }

    /// What was put out of sight, and is there for an operator, in no order.
    pub async fn quarantined(&self) -> Vec<Bytes> {
        if let Some(memory) = &self.memory {
            return memory.quarantined().into_iter().map(|(_, bytes)| bytes).collect();
        }
        let place = "_rs/quarantine".parse().expect("it is of a key's grammar");
        let keys: Vec<Key> = self.backend.list(&place, None).try_collect().await.expect("a list");
        let mut found = Vec::new();
        for key in keys {
            let object = self.backend.read(&key, ReadRange::Full).await.expect("it stays");
            let parts: Vec<Bytes> = object.into_stream().try_collect().await.expect("it stays");
            found.push(parts.concat().into());
        }
        found
    }

    /// A store on a wrapper of what is below this one's, with its time and chance.
    pub fn over(&self, backend: impl Backend) -> Store {
        Store::new(Arc::new(backend), options(&self.clock, &self.random))
    }

    /// A repository of the store.
    pub fn repository(&self, name: &str) -> Repository {
        repository(&self.store, name)
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "World({:?})", self.backend)
    }
}

fn options(clock: &Arc<TestClock>, random: &Arc<TestRandom>) -> StoreOptions {
    StoreOptions { clock: clock.clone(), random: random.clone(), ..StoreOptions::default() }
}

/// A store on a wrapper of what is below another.
pub fn store_on(backend: impl Backend) -> Store {
    Store::new(Arc::new(backend), StoreOptions::default())
}

/// A repository of a store, by a name that is known to be good.
pub fn repository(store: &Store, name: &str) -> Repository {
    store.repository(&name.parse().expect("a test's names are of the grammar"))
}

/// Time that stands still until it is moved on. It begins now, so that what a filesystem notes is not older.
#[derive(Debug)]
pub struct TestClock(Mutex<SystemTime>);

impl Default for TestClock {
    fn default() -> Self {
        Self(Mutex::new(registry_store::options::SystemClock.now()))
    }
}

impl TestClock {
    /// Moves time on.
    pub fn advance(&self, by: Duration) {
        *self.0.lock().expect("nobody panics while holding it") += by;
    }
}

impl Clock for TestClock {
    fn now(&self) -> SystemTime {
        *self.0.lock().expect("nobody panics while holding it")
    }
}

/// Bytes that differ each time and are the same in every run.
#[derive(Debug, Default)]
pub struct TestRandom(AtomicU64);

impl Random for TestRandom {
    fn bytes(&self) -> [u8; 16] {
        let count = self.0.fetch_add(1, Ordering::Relaxed);
        let digest = Digest::sha256(&count.to_be_bytes());
        digest.as_bytes()[..16].try_into().expect("a digest is longer")
    }
}

/// A body that comes in these parts.
pub fn body<P: AsRef<[u8]>>(parts: &[P]) -> impl Stream<Item = Result<Bytes, BodyError>> + use<P> {
    let parts: Vec<_> =
        parts.iter().map(|part| Ok(Bytes::copy_from_slice(part.as_ref()))).collect();
    stream::iter(parts)
}

/// A body that breaks off after these bytes.
pub fn broken_body(bytes: &[u8]) -> impl Stream<Item = Result<Bytes, BodyError>> + use<> {
    let parts = vec![Ok(Bytes::copy_from_slice(bytes)), Err("the client left".into())];
    stream::iter(parts)
}

/// A body of nothing.
pub fn no_body() -> impl Stream<Item = Result<Bytes, BodyError>> {
    stream::empty()
}

/// Pushes a blob and returns its sha256 digest.
pub async fn push(repository: &Repository, content: &[u8]) -> Digest {
    push_as(repository, Algorithm::Sha256, content).await
}

/// Pushes a blob and returns its digest of an algorithm.
pub async fn push_as(repository: &Repository, algorithm: Algorithm, content: &[u8]) -> Digest {
    let digest = Digest::of(algorithm, content);
    let size = repository.blobs().put(&digest, body(&[content])).await.expect("a good blob");
    assert_eq!(size, content.len() as u64);
    digest
}

/// Reads a whole blob.
pub async fn pull(repository: &Repository, digest: &Digest) -> Result<Vec<u8>> {
    pull_range(repository, digest, ReadRange::Full).await
}

/// Reads a part of a blob.
pub async fn pull_range(
    repository: &Repository,
    digest: &Digest,
    range: ReadRange,
) -> Result<Vec<u8>> {
    let blob = repository.blobs().get(digest, range).await?;
    let parts: Vec<Bytes> = blob.into_stream().try_collect().await?;
    Ok(parts.concat())
}
