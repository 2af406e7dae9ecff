//! [`World`]: a store whose storage fails, and what can be seen of it from a process whose storage does not.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures::TryStreamExt as _;
use registry_store::backend::{MemoryBackend, ReadRange};
use registry_store::digest::{Algorithm, Digest};
use registry_store::error::{Error, Result};
use registry_store::manifest::Manifest;
use registry_store::name::RepositoryName;
use registry_store::options::{Clock, Random, StoreOptions};
use registry_store::reference::Tag;
use registry_store::repository::Repository;
use registry_store::store::Store;

use super::super::documents::manifests;
use super::super::faulty::Faulty;

pub const NAMES: [&str; 3] = ["a", "a/b", "a-b"];
pub const TAGS: [&str; 3] = ["1", "1-a", "latest"];

/// A store, and the time and chance it goes by.
#[derive(Debug)]
pub struct World {
    pub backend: Faulty,
    pub store: Store,
    pub clock: Arc<Ticks>,
    random: Arc<Counter>,
}

/// Whole seconds, which pass when they are told to.
#[derive(Debug)]
pub struct Ticks(AtomicU64);

impl Ticks {
    pub fn pass(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::Relaxed);
    }
}

impl Clock for Ticks {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.0.load(Ordering::Relaxed))
    }
}

/// Each id is another, and the same in every run.
#[derive(Debug, Default)]
struct Counter(AtomicU64);

impl Random for Counter {
    fn bytes(&self) -> [u8; 16] {
        u128::from(self.0.fetch_add(1, Ordering::Relaxed)).to_be_bytes()
    }
}

impl World {
    pub fn new(is_bucket: bool) -> Self {
        let clock = Arc::new(Ticks(AtomicU64::new(1_000_000_000)));
        let memory = MemoryBackend::with_clock(clock.clone());
        let backend = Faulty::new(memory, is_bucket);
        let random = Arc::new(Counter::default());
        let store = open(&backend, &clock, &random);
        Self { backend, store, clock, random }
    }

    /// Another process takes the place of this one.
    pub fn restart(&mut self) {
        self.store = open(&self.backend, &self.clock, &self.random);
    }

    /// A process whose storage does not fail.
    pub fn sound(&self) -> Store {
        open(&self.backend.sound(), &self.clock, &self.random)
    }
}

fn open(backend: &Faulty, clock: &Arc<Ticks>, random: &Arc<Counter>) -> Store {
    let (clock, random) = (clock.clone(), random.clone());
    let options = StoreOptions { clock, random, ..StoreOptions::default() };
    Store::new(Arc::new(backend.clone()), options)
}

pub fn repository(store: &Store, name: &str) -> Repository {
    store.repository(&repository_name(name))
}

pub fn repository_name(name: &str) -> RepositoryName {
    name.parse().expect("a constant is a name")
}

pub fn tag(text: &str) -> Tag {
    text.parse().expect("a constant is a tag")
}

/// What a repository holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    pub blobs: BTreeSet<Digest>,
    pub manifests: BTreeSet<Digest>,
    /// The manifests that are listed as referrers of their subject.
    pub listed: BTreeSet<Digest>,
    pub tags: BTreeMap<&'static str, Digest>,
}

impl Held {
    pub fn is_empty(&self) -> bool {
        self.blobs.is_empty() && self.manifests.is_empty()
    }
}

/// Reads all of a repository. What is there is whole and right.
pub async fn look(store: &Store, name: &str, known: &BTreeMap<Digest, Bytes>) -> Held {
    let repository = repository(store, name);
    let mut held = Held::default();
    for (digest, content) in known {
        match pull(&repository, digest, ReadRange::Full).await {
            Ok(found) => {
                assert_eq!(&found, content, "half a blob: {digest}");
                held.blobs.insert(*digest);
            }
            Err(error) => assert!(matches!(error, Error::BlobUnknown { .. }), "{error:?}"),
        }
    }
    for (manifest, digest) in every_manifest() {
        match repository.manifests().get(&digest.into()).await {
            Ok(found) => {
                assert_eq!(found.bytes, manifest.bytes());
                assert_eq!(found.media_type, *manifest.media_type());
                held.manifests.insert(digest);
            }
            Err(error) => assert!(matches!(error, Error::ManifestUnknown { .. }), "{error:?}"),
        }
    }
    held.tags = tags(&repository).await;
    held.listed = listed(&repository).await;
    for (tag, digest) in &held.tags {
        assert!(held.manifests.contains(digest), "{tag} of {name} points at nothing");
    }
    assert!(held.listed.is_subset(&held.manifests), "{held:?}");
    held
}

/// Every manifest by each of its digests.
pub fn every_manifest() -> impl Iterator<Item = (&'static Manifest, Digest)> {
    let both = |manifest: &'static Manifest| {
        Algorithm::ALL.into_iter().map(move |algorithm| (manifest, manifest.digest(algorithm)))
    };
    manifests().iter().flat_map(both)
}

pub async fn pull(repository: &Repository, digest: &Digest, range: ReadRange) -> Result<Bytes> {
    let blob = repository.blobs().get(digest, range).await?;
    let parts: Vec<Bytes> = blob.into_stream().try_collect().await?;
    Ok(parts.concat().into())
}

/// The tags there are, each listed, resolved and in its own history.
async fn tags(repository: &Repository) -> BTreeMap<&'static str, Digest> {
    let listed = match repository.tags().list(None, 100).await {
        Ok(page) => page.items,
        Err(error) => {
            assert!(matches!(error, Error::NameUnknown { .. }), "{error:?}");
            Vec::new()
        }
    };
    let mut found = BTreeMap::new();
    for text in TAGS {
        let tag = tag(text);
        let Ok(digest) = repository.tags().resolve(&tag).await else {
            assert!(!listed.contains(&tag), "{tag} is listed");
            continue;
        };
        assert!(listed.contains(&tag), "{tag} is not listed");
        let history = repository.tags().history(&tag, None, 100).await;
        let history = history.expect("there is such a tag").items;
        assert!(history.contains(&digest), "{tag} is not in its own history");
        found.insert(text, digest);
    }
    assert_eq!(found.len(), listed.len(), "{listed:?}");
    found
}

async fn listed(repository: &Repository) -> BTreeSet<Digest> {
    let mut found = BTreeSet::new();
    for algorithm in Algorithm::ALL {
        let subject = manifests()[0].digest(algorithm);
        let page = repository.referrers().list(&subject, None, None, 100).await;
        let page = page.expect("nothing fails");
        found.extend(page.items.iter().filter_map(|referrer| referrer.digest.known()));
    }
    found
}
