//! Operations on a store whose storage fails now and then, compared with a model of plain maps.
//!
//! What was acknowledged is there. What failed, or was left, is as before or as after, and never in between. A fault
//! of the storage is never told as one of the client, nor the other way round.

mod content;
mod sessions;
mod trial;
mod world;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use registry_store::damage::DamageReport;
use registry_store::digest::{Algorithm, Digest};
use registry_store::error::BodyError;
use registry_store::name::RepositoryName;
use tokio::runtime::Builder;

use super::documents::CONTENTS;
use super::input::Input;
use sessions::Session;
use trial::Trial;
use world::{Held, NAMES, World, look};

/// More than a fuzzer needs to show anything.
const MOST: usize = 48;

/// The bytes are choices: of what the medium is like, and then of operations and how each is disturbed.
pub fn operations(data: &[u8]) {
    let mut input = Input::new(data);
    let runtime = Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime without a driver for sockets needs nothing of the system");
    runtime.block_on(async {
        let mut run = Run::new(input.flag());
        for _ in 0..MOST {
            if !input.is_over() {
                run.step(&mut input).await;
            }
        }
        run.ends_as_the_model_says().await;
    });
}

/// A store, and what should be in it.
struct Run {
    world: World,
    held: BTreeMap<&'static str, Held>,
    sessions: Vec<Session>,
    /// Sessions that are known to have ended.
    ended: Vec<Session>,
    /// All that was ever sent, or said to be.
    known: BTreeMap<Digest, Bytes>,
    /// What may be stored although no repository has it.
    sent: BTreeSet<Digest>,
    /// Something failed, and may have left places without anything to see in them.
    is_littered: bool,
}

/// A body, and how it ends.
struct Sent {
    parts: Vec<Bytes>,
    /// It breaks off when all of the parts have arrived.
    is_broken: bool,
}

impl Sent {
    fn new(content: &Bytes, input: &mut Input<'_>) -> Self {
        Self { parts: input.parts(content), is_broken: input.below(8) == 7 }
    }

    fn stream(&self) -> impl futures::Stream<Item = Result<Bytes, BodyError>> + Send + use<> {
        let parts = self.parts.clone().into_iter().map(Ok);
        let end = self.is_broken.then(|| Err(BodyError::from("the client has gone")));
        futures::stream::iter(parts.chain(end))
    }
}

impl Run {
    fn new(is_bucket: bool) -> Self {
        let held = NAMES.map(|name| (name, Held::default()));
        Self {
            world: World::new(is_bucket),
            held: held.into(),
            sessions: Vec::new(),
            ended: Vec::new(),
            known: BTreeMap::new(),
            sent: BTreeSet::new(),
            is_littered: false,
        }
    }

    async fn step(&mut self, input: &mut Input<'_>) {
        let choice = input.below(16);
        let trial = Trial::new(input);
        match choice {
            0 => self.push(trial, input).await,
            1 => self.put(trial, input).await,
            2 => self.start(trial, input).await,
            3 => self.append(trial, input).await,
            4 => self.commit(trial, input).await,
            5 => self.cancel(trial, input).await,
            6 => self.status(trial, input).await,
            7 => self.mount(trial, input).await,
            8 => self.delete_blob(trial, input).await,
            9 => self.delete_tag(trial, input).await,
            10 => self.delete_manifest(trial, input).await,
            11 => self.read_blob(trial, input).await,
            12 => self.read_manifest(trial, input).await,
            13 => self.list(trial, input).await,
            14 => self.purge(trial, input).await,
            _ => self.restart(),
        }
    }

    fn of(&mut self, name: &'static str) -> &mut Held {
        self.held.entry(name).or_default()
    }

    /// Some content, and a digest of it.
    fn content(&mut self, input: &mut Input<'_>) -> (Digest, Bytes) {
        let content = Self::bytes(input);
        let digest = Digest::of(input.one_of(&Algorithm::ALL), &content);
        self.known.insert(digest, content.clone());
        (digest, content)
    }

    fn bytes(input: &mut Input<'_>) -> Bytes {
        match input.below(CONTENTS.len() + 1) {
            number if number < CONTENTS.len() => Bytes::from_static(CONTENTS[number]),
            _ => Bytes::copy_from_slice(input.bytes(16)),
        }
    }

    /// After something failed that would have made a repository `after`: it is that, or as it was, thing by thing.
    async fn settle(&mut self, name: &'static str, after: &Held) {
        self.is_littered = true;
        let seen = look(&self.world.sound(), name, &self.known).await;
        let before = self.of(name);
        is_between(&before.blobs, &after.blobs, &seen.blobs);
        is_between(&before.manifests, &after.manifests, &seen.manifests);
        is_between(&before.listed, &after.listed, &seen.listed);
        for tag in world::TAGS {
            let (before, after, seen) =
                (before.tags.get(tag), after.tags.get(tag), seen.tags.get(tag));
            assert!(seen == before || seen == after, "{tag}: {before:?} {after:?} {seen:?}");
        }
        *before = seen;
    }

    /// Another process takes the place of the one that was there. Nothing was ever damaged.
    fn restart(&mut self) {
        assert_eq!(self.world.store.damage(), DamageReport::default());
        self.world.restart();
    }

    /// Everything is as the model says, seen by a process whose storage does not fail.
    async fn ends_as_the_model_says(&mut self) {
        self.sessions_hold_what_was_sent().await;
        let store = self.world.sound();
        for (name, held) in &self.held {
            assert_eq!(look(&store, name, &self.known).await, *held, "{name}");
        }
        let page = store.repositories(None, 100).await.expect("nothing fails");
        let listed: Vec<&str> = page.items.iter().map(RepositoryName::as_str).collect();
        let expected = NAMES.iter().filter(|name| {
            let is_there = self.held.get(**name).is_some_and(|held| !held.is_empty());
            is_there || self.is_littered && listed.contains(*name)
        });
        assert_eq!(listed, expected.copied().collect::<Vec<_>>(), "in the order of names");
        assert_eq!(store.damage(), DamageReport::default());
        self.restart();
    }
}

/// What both have is there, and what neither has is not.
fn is_between(before: &BTreeSet<Digest>, after: &BTreeSet<Digest>, seen: &BTreeSet<Digest>) {
    let is_one = |digest: &&Digest| before.contains(digest) || after.contains(digest);
    assert!(seen.iter().all(|digest| is_one(&digest)), "{before:?} {after:?} {seen:?}");
    let kept = before.intersection(after);
    assert!(kept.into_iter().all(|digest| seen.contains(digest)), "{before:?} {after:?} {seen:?}");
}
