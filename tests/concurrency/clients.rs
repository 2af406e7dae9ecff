//! Clients that all go to work at once, and what must hold when they have done.

use std::env;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use registry_store::digest::Digest;
use registry_store::error::Error;
use registry_store::manifest::Manifest;
use registry_store::store::Store;
use registry_tests::world::{push, repository};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::calls::{
    BLOBS, Call, Chance, MANIFESTS, REPOSITORIES, TAGS, layer, manifest, repository_name,
};
use crate::doors::Door;
use crate::history::History;

/// How many clients each door has, and how many calls each of them makes.
pub(crate) const CLIENTS: usize = 4;

/// Tells of how many calls were answered.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    answered: AtomicUsize,
    went_on: Notify,
}

impl Progress {
    fn add(&self) {
        self.answered.fetch_add(1, Ordering::Relaxed);
        self.went_on.notify_waiters();
    }

    /// Waits until so many calls were answered.
    pub(crate) async fn reaches(&self, calls: usize) {
        loop {
            let went_on = self.went_on.notified();
            if self.answered.load(Ordering::Relaxed) >= calls {
                return;
            }
            went_on.await;
        }
    }
}

/// The seeds to go through: so many by default.
pub(crate) fn seeds(by_default: u64) -> impl Iterator<Item = u64> {
    let number = |name| env::var(name).ok().map(|value| value.parse::<u64>().unwrap());
    let first = number("SEED").unwrap_or(1);
    first..first + number("HISTORIES").unwrap_or(by_default)
}

/// Pushes what the manifests name, which nobody deletes.
pub(crate) async fn prepare(store: &Store) {
    for at in 0..REPOSITORIES {
        let repository = repository(store, &repository_name(at));
        push(&repository, b"{}").await;
        for which in 0..MANIFESTS {
            push(&repository, &layer(which)).await;
        }
    }
}

/// Lets clients of each door make so many calls each, at once.
pub(crate) async fn work(
    doors: &[Arc<dyn Door>],
    calls: usize,
    seed: u64,
    history: &Arc<History>,
    progress: &Arc<Progress>,
) {
    let mut clients = JoinSet::new();
    for (nth, door) in doors.iter().cycle().take(doors.len() * CLIENTS).enumerate() {
        let (door, history, progress) = (door.clone(), history.clone(), progress.clone());
        let mut chance = Chance::new(seed.wrapping_mul(1_000).wrapping_add(nth as u64));
        clients.spawn(async move {
            for _ in 0..calls {
                ask(&*door, &chance.call(), &history).await;
                progress.add();
                tokio::task::yield_now().await;
            }
        });
    }
    while let Some(ended) = clients.join_next().await {
        ended.unwrap();
    }
}

async fn ask(door: &dyn Door, call: &Call, history: &History) {
    let invoked = history.now();
    if let Some(outcome) = door.answer(call).await {
        history.add(call, invoked, &outcome);
    }
}

/// Looks at everything once more, as part of the history: what is there at last is explained too.
pub(crate) async fn look_at_all(door: &dyn Door, history: &History) {
    for repository in 0..REPOSITORIES {
        ask(door, &Call::ListTags { repository }, history).await;
        for tag in 0..TAGS {
            ask(door, &Call::ReadTag { repository, tag }, history).await;
        }
        for manifest in 0..MANIFESTS {
            ask(door, &Call::ReadManifest { repository, manifest }, history).await;
        }
        for blob in 0..BLOBS {
            ask(door, &Call::ReadBlob { repository, blob }, history).await;
        }
    }
}

/// What is served is whole: the manifest of every tag, and all that any manifest refers to.
pub(crate) async fn wholeness(store: &Store) -> Result<(), String> {
    for at in 0..REPOSITORIES {
        let repository = repository(store, &repository_name(at));
        for tag in repository.tags().list(None, 100).await.unwrap().items {
            let found = repository.manifests().get(&tag.clone().into()).await;
            let found = found.map_err(|error| format!("tag {tag}: {error}"))?;
            let history = repository.tags().history(&tag, None, 100).await.unwrap().items;
            if !history.contains(&found.digest) {
                return Err(format!("tag {tag} is not in its own history"));
            }
        }
        for which in 0..MANIFESTS {
            let digest: Digest = manifest(which).1;
            let found = match repository.manifests().get(&digest.into()).await {
                Err(Error::ManifestUnknown { .. }) => continue,
                found => found.unwrap(),
            };
            let parsed = Manifest::parse(None, found.bytes).unwrap();
            for needed in parsed.dependencies() {
                let digest = *needed.descriptor().digest.known().unwrap();
                let size = repository.blobs().size(&digest).await;
                size.map_err(|error| format!("manifest {which}: {error}"))?;
            }
        }
    }
    Ok(())
}
