//! Every order of damage, HEAD, push, mount, read and scrub, compared with a model of what may be answered.
//!
//! An image of one layer lies in repository `a`; `b` may mount its layer. Steps are done to both the store and the
//! [`Model`], and what the store answers has to be what the model says, from two processes. `DAMAGE_MODEL_LENGTH=3`
//! does every order of three steps, `DAMAGE_MODEL_CASES` makes the random walks more than a few.

use std::env;
use std::str::FromStr;

use bytes::Bytes;
use futures::TryStreamExt as _;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use registry_store::backend::{Key, Meta, PutMode, PutRequest, ReadRange};
use registry_store::digest::{Algorithm, Digest};
use registry_store::error::{Error, Result};
use registry_store::layout::{self, RepositoryLayout};
use registry_store::manifest::Manifest;
use registry_store::repository::Repository;
use registry_store::scrub::{Finding, ScrubOptions};
use registry_store::store::Store;
use registry_tests::documents::{image_document, manifest};
use registry_tests::world::{World, body, pull, pull_range, repository};

const CONFIG: &[u8] = b"{}";
const LAYER: &[u8] = b"hello, layer";

/// What is stored of a blob, and what is known of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Blob {
    Good,
    /// Nobody has found it yet.
    Damaged(Kind),
    /// Not there, to anybody: it was removed, or found and put aside.
    Found,
}

/// How a blob is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Emptied,
    Cut,
    Lengthened,
    /// At the same size.
    Altered,
}

/// What is stored of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Absent,
    Good,
    Damaged,
}

/// All that is stored, as the store may show it.
#[derive(Debug)]
struct Model {
    layer: Blob,
    manifest: Blob,
    /// To the layer, in `a` and in `b`.
    layer_links: [Link; 2],
    revision: Link,
    tag: Link,
    /// What was put aside: it stays.
    aside: Vec<Bytes>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    Layer,
    Manifest,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Layer(usize),
    Revision,
    Tag,
}

/// What can happen. `usize` is a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Damage(Which, Kind),
    Remove(Which),
    /// With what is written there instead.
    DamageLink(Place, &'static str),
    Head(usize),
    Get(usize),
    GetPart(usize),
    Push(usize),
    PushBySession(usize),
    Mount,
    PutManifest,
    GetManifest,
    GetByTag,
    Scrub,
    ScrubLinks,
}

const KINDS: [Kind; 4] = [Kind::Emptied, Kind::Cut, Kind::Lengthened, Kind::Altered];

fn all_steps() -> Vec<Step> {
    let mut steps = damages();
    for repository in [0, 1] {
        steps.extend([Step::Head(repository), Step::Get(repository), Step::GetPart(repository)]);
        steps.extend([Step::Push(repository), Step::PushBySession(repository)]);
    }
    steps.extend([Step::Mount, Step::PutManifest, Step::GetManifest, Step::GetByTag]);
    steps.extend([Step::Scrub, Step::ScrubLinks]);
    steps
}

fn damages() -> Vec<Step> {
    let mut steps = Vec::new();
    for which in [Which::Layer, Which::Manifest] {
        steps.extend(KINDS.map(|kind| Step::Damage(which, kind)));
        steps.push(Step::Remove(which));
    }
    let other = "sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";
    for place in [Place::Layer(0), Place::Layer(1), Place::Revision] {
        steps.extend(["", "no digest", other].map(|text| Step::DamageLink(place, text)));
    }
    // Whatever digest a tag holds is where it points.
    steps.extend(["", "no digest"].map(|text| Step::DamageLink(Place::Tag, text)));
    steps
}

impl Blob {
    /// What a read of it may give, if `good` is what it was: of one that is damaged what is stored, until it is found.
    /// An emptied one is found by every look.
    fn read(self, good: &Bytes, is_manifest: bool) -> Option<Bytes> {
        match self {
            Self::Good => Some(good.clone()),
            // What is no manifest any more is found by who reads it as one.
            Self::Damaged(Kind::Cut | Kind::Lengthened) if is_manifest => None,
            Self::Damaged(Kind::Emptied) | Self::Found => None,
            Self::Damaged(kind) => Some(kind.of(good)),
        }
    }

    /// After a push of a blob: it keeps what is there of the right size.
    fn pushed(self) -> Self {
        if self == Self::Damaged(Kind::Altered) { self } else { Self::Good }
    }
}

impl Kind {
    fn of(self, good: &Bytes) -> Bytes {
        let mut bytes = good.to_vec();
        match self {
            Self::Emptied => bytes.clear(),
            Self::Cut => bytes.truncate(good.len() / 2),
            Self::Lengthened => bytes.extend_from_slice(b"longer"),
            Self::Altered => {
                let at = bytes.windows(5).position(|part| part == b"hello").unwrap_or(0);
                bytes[at] = b'j';
            }
        }
        bytes.into()
    }
}

impl Model {
    fn new() -> Self {
        Self {
            layer: Blob::Good,
            manifest: Blob::Good,
            layer_links: [Link::Good, Link::Absent],
            revision: Link::Good,
            tag: Link::Good,
            aside: Vec::new(),
        }
    }

    /// What a read of the layer from a repository may give.
    fn layer_from(&self, repository: usize) -> Option<Bytes> {
        let is_linked = self.layer_links[repository] == Link::Good;
        self.layer.read(&Bytes::from_static(LAYER), false).filter(|_| is_linked)
    }

    fn put_aside(&mut self, which: Which, good: &Bytes) {
        let blob = match which {
            Which::Layer => &mut self.layer,
            Which::Manifest => &mut self.manifest,
        };
        if let Blob::Damaged(kind) = *blob {
            self.aside.push(kind.of(good));
            *blob = Blob::Found;
        }
    }
}

/// A store, another process's, and the model of both.
struct Run<'w> {
    world: &'w World,
    stores: [Store; 2],
    image: Manifest,
    model: Model,
}

impl<'w> Run<'w> {
    fn new(world: &'w World) -> Self {
        let mut document = image_document(CONFIG, &[LAYER]);
        document["annotations"] = serde_json::json!({"greeting": "hello"});
        let stores = [world.store.clone(), world.another_process()];
        Self { world, stores, image: manifest(&document), model: Model::new() }
    }

    fn digest(&self, which: Which) -> Digest {
        match which {
            Which::Layer => Digest::sha256(LAYER),
            Which::Manifest => self.image.digest(Algorithm::Sha256),
        }
    }

    fn good(&self, which: Which) -> Bytes {
        match which {
            Which::Layer => Bytes::from_static(LAYER),
            Which::Manifest => self.image.bytes().clone(),
        }
    }

    fn key(&self, place: Place) -> Key {
        let layout = |name: usize| RepositoryLayout::new(&["a", "b"][name].parse().unwrap());
        match place {
            Place::Layer(name) => layout(name).layer_link(&self.digest(Which::Layer)),
            Place::Revision => layout(0).revision_link(&self.digest(Which::Manifest)),
            Place::Tag => layout(0).tag_current_link(&"v1".parse().unwrap()),
        }
    }

    fn link(&mut self, place: Place) -> &mut Link {
        match place {
            Place::Layer(name) => &mut self.model.layer_links[name],
            Place::Revision => &mut self.model.revision,
            Place::Tag => &mut self.model.tag,
        }
    }

    async fn write(&self, objects: Vec<(Key, Bytes)>) {
        let mode = PutMode::Overwrite;
        let put = |(key, bytes)| PutRequest { key, bytes, mode };
        self.world.backend.put_all(objects.into_iter().map(put).collect()).await.unwrap();
    }

    /// All good, and nothing in `b`; whatever there was. What was put aside stays.
    async fn begin(&mut self) {
        let a = RepositoryLayout::new(&"a".parse().unwrap());
        let (own, config) = (self.digest(Which::Manifest), Digest::sha256(CONFIG));
        let text = |digest: &Digest| Bytes::from(digest.to_string());
        self.write(vec![
            (layout::blob(&config), Bytes::from_static(CONFIG)),
            (layout::blob(&self.digest(Which::Layer)), Bytes::from_static(LAYER)),
            (layout::blob(&own), self.good(Which::Manifest)),
            (a.layer_link(&config), text(&config)),
            (self.key(Place::Layer(0)), text(&self.digest(Which::Layer))),
            (self.key(Place::Revision), text(&own)),
            (self.key(Place::Tag), text(&own)),
        ])
        .await;
        self.world.backend.delete(&[self.key(Place::Layer(1))]).await.unwrap();
        let aside = std::mem::take(&mut self.model.aside);
        self.model = Model { aside, ..Model::new() };
    }

    /// Does a step in one of the processes, and compares. A blob that was good and is has to be the same object.
    async fn step(&mut self, step: Step, process: usize) {
        let before = self.good_ones().await;
        self.act(step, process).await;
        for (then, now) in before.into_iter().zip(self.good_ones().await) {
            if let (Some(then), Some(now)) = (then, now) {
                assert_eq!(then, now, "a good blob was replaced by {step:?}");
            }
        }
    }

    async fn good_ones(&self) -> [Option<Meta>; 2] {
        let mut found = [None; 2];
        for (at, (which, state)) in
            [(Which::Layer, self.model.layer), (Which::Manifest, self.model.manifest)]
                .into_iter()
                .enumerate()
        {
            if state == Blob::Good {
                let blob = layout::blob(&self.digest(which));
                let meta = self.world.backend.head(&blob).await.unwrap();
                assert!(meta.is_some(), "a good blob is gone");
                found[at] = meta;
            }
        }
        found
    }

    async fn act(&mut self, step: Step, process: usize) {
        let store = self.stores[process].clone();
        match step {
            Step::Damage(which, kind) => self.damage(which, Some(kind)).await,
            Step::Remove(which) => self.damage(which, None).await,
            Step::DamageLink(place, text) => {
                if *self.link(place) != Link::Absent {
                    self.write(vec![(self.key(place), text.into())]).await;
                    *self.link(place) = Link::Damaged;
                }
            }
            Step::Head(name) | Step::Get(name) | Step::GetPart(name) => {
                self.look(step, &named(&store, name), name).await;
            }
            Step::Push(name) | Step::PushBySession(name) => {
                self.push(step, &named(&store, name)).await;
                self.model.layer = self.model.layer.pushed();
                self.model.layer_links[name] = Link::Good;
            }
            Step::Mount => {
                let (from, to) = (named(&store, 0), named(&store, 1));
                let mounted = to.mount(&self.digest(Which::Layer), from.name()).await.unwrap();
                let expected = self.model.layer_from(0).map(|bytes| bytes.len() as u64);
                assert_eq!(mounted, expected);
                if expected.is_some() {
                    self.model.layer_links[1] = Link::Good;
                }
            }
            Step::PutManifest => self.put_manifest(&named(&store, 0)).await,
            Step::GetManifest | Step::GetByTag => self.get_manifest(step, &named(&store, 0)).await,
            Step::Scrub => self.scrub(&store).await,
            Step::ScrubLinks => self.scrub_links(&store).await,
        }
    }

    /// What a foreign program or a disk does. What is not there cannot be damaged.
    async fn damage(&mut self, which: Which, kind: Option<Kind>) {
        let (key, good) = (layout::blob(&self.digest(which)), self.good(which));
        let blob = match which {
            Which::Layer => &mut self.model.layer,
            Which::Manifest => &mut self.model.manifest,
        };
        if *blob == Blob::Found {
            return;
        }
        *blob = kind.map_or(Blob::Found, Blob::Damaged);
        match kind {
            Some(kind) => self.write(vec![(key, kind.of(&good))]).await,
            None => self.world.backend.delete(&[key]).await.unwrap(),
        }
    }

    async fn look(&self, how: Step, repository: &Repository, name: usize) {
        let digest = self.digest(Which::Layer);
        let expected = self.model.layer_from(name);
        match how {
            Step::Head(_) => {
                let found = if_known(repository.blobs().size(&digest).await);
                assert_eq!(found, expected.map(|bytes| bytes.len() as u64));
            }
            Step::Get(_) => {
                let found = if_known(pull(repository, &digest).await);
                assert_eq!(found.map(Bytes::from), expected);
            }
            _ => {
                let part = ReadRange::Bounded { start: 1, end: 4 };
                let found = if_known(pull_range(repository, &digest, part).await);
                assert_eq!(found.map(Bytes::from), expected.map(|bytes| bytes.slice(1..4)));
            }
        }
    }

    async fn push(&self, how: Step, repository: &Repository) {
        let digest = self.digest(Which::Layer);
        if how == Step::Push(0) || how == Step::Push(1) {
            repository.blobs().put(&digest, body(&[LAYER])).await.unwrap();
            return;
        }
        let uploads = repository.uploads();
        let id = uploads.start(Algorithm::Sha256).await.unwrap().id;
        let (head, tail) = LAYER.split_at(5);
        uploads.append(id, Default::default(), body(&[head])).await.unwrap();
        uploads.commit(id, Default::default(), &digest, body(&[tail])).await.unwrap();
    }

    /// It looks at the size of its layer. What is of another is found, and put aside.
    async fn put_manifest(&mut self, repository: &Repository) {
        let own = self.digest(Which::Manifest);
        let tags = ["v1".parse().unwrap()];
        let put = repository.manifests().put(&self.image, &own, &tags).await;
        let layer = self.model.layer_from(0);
        if layer.as_ref().is_some_and(|bytes| bytes.len() == LAYER.len()) {
            put.unwrap();
            // It compares its own bytes, so that any damage to them is healed.
            self.model.manifest = Blob::Good;
            (self.model.revision, self.model.tag) = (Link::Good, Link::Good);
            return;
        }
        let expected = [self.digest(Which::Layer)];
        assert!(
            matches!(&put, Err(Error::ManifestBlobUnknown { missing, .. }) if *missing == expected),
            "{put:?}"
        );
        if layer.is_some() {
            self.model.put_aside(Which::Layer, &self.good(Which::Layer));
        }
    }

    async fn get_manifest(&self, how: Step, repository: &Repository) {
        let own = self.digest(Which::Manifest);
        let by_tag = how == Step::GetByTag;
        let reference = if by_tag { "v1".parse().unwrap() } else { own.into() };
        let found = if_known(repository.manifests().get(&reference).await);
        let is_linked =
            self.model.revision == Link::Good && (!by_tag || self.model.tag == Link::Good);
        let good = self.good(Which::Manifest);
        let expected = self.model.manifest.read(&good, true).filter(|_| is_linked);
        assert_eq!(found.map(|found| found.bytes), expected);
    }

    async fn scrub(&mut self, store: &Store) {
        let found: Vec<_> = store.scrub(ScrubOptions::default()).try_collect().await.unwrap();
        for (which, state) in
            [(Which::Layer, self.model.layer), (Which::Manifest, self.model.manifest)]
        {
            let found = found.iter().find(|blob| blob.digest == self.digest(which));
            let finding = found.map(|blob| &blob.finding);
            let is_right = match state {
                Blob::Good => matches!(finding, Some(Finding::Good)),
                Blob::Damaged(_) => matches!(finding, Some(Finding::PutAside)),
                Blob::Found => finding.is_none(),
            };
            assert!(is_right, "{state:?} {found:?}");
            self.model.put_aside(which, &self.good(which));
        }
    }

    async fn scrub_links(&self, store: &Store) {
        let found: Vec<_> = store.scrub_links().try_collect().await.unwrap();
        let damaged: u64 = found.iter().map(|(_, report)| report.as_ref().unwrap().damaged).sum();
        let Model { layer_links: [a, b], revision, tag, .. } = self.model;
        let expected = [a, b, revision, tag].into_iter().filter(|link| *link == Link::Damaged);
        assert_eq!(damaged, expected.count() as u64);
    }

    /// What was put aside is there and nothing else is; and a scrub and a push of the image make all good.
    async fn end(&mut self) {
        self.is_kept().await;
        self.step(Step::Scrub, 1).await;
        self.is_kept().await;
        for name in [0, 1] {
            self.step(Step::Push(name), name).await;
        }
        self.step(Step::PutManifest, 0).await;
        assert_eq!((self.model.layer, self.model.manifest), (Blob::Good, Blob::Good));
        for process in [0, 1] {
            for name in [0, 1] {
                self.step(Step::Head(name), process).await;
                self.step(Step::Get(name), process).await;
            }
            self.step(Step::GetByTag, process).await;
        }
        self.is_kept().await;
    }

    async fn is_kept(&self) {
        let mut found = self.world.quarantined().await;
        let mut expected = self.model.aside.clone();
        found.sort();
        expected.sort();
        assert_eq!(found, expected, "in quarantine");
    }
}

fn named(store: &Store, name: usize) -> Repository {
    repository(store, ["a", "b"][name])
}

/// What is not known is `None`; nothing else may go wrong.
fn if_known<T>(result: Result<T>) -> Option<T> {
    match result {
        Ok(found) => Some(found),
        Err(Error::BlobUnknown { .. } | Error::ManifestUnknown { .. }) => None,
        Err(error) => panic!("{error}"),
    }
}

fn block_on(future: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(future);
}

/// Orders that one world is for: what was put aside adds up, and is compared each time.
const AT_ONCE: usize = 100;

/// Does every order of damage and then any steps, `length` together.
fn every_order(world: fn() -> World, length: u32) {
    let (damages, steps) = (damages(), all_steps());
    let all = damages.len() * steps.len().pow(length - 1);
    for begin in (0..all).step_by(AT_ONCE) {
        let world = world();
        block_on(async {
            let mut run = Run::new(&world);
            for order in begin..all.min(begin + AT_ONCE) {
                run.begin().await;
                run.step(damages[order % damages.len()], 0).await;
                let mut rest = order / damages.len();
                for at in 1..length {
                    run.step(steps[rest % steps.len()], at as usize % 2).await;
                    rest /= steps.len();
                }
                run.end().await;
            }
        });
    }
}

/// A number that makes this longer where it is to be thorough.
fn from_environment<N: FromStr>(name: &str) -> Option<N> {
    env::var(name).ok()?.parse().ok()
}

#[test]
fn every_order_of_damage_and_a_step_on_memory_is_as_the_model_says() {
    every_order(World::memory, from_environment("DAMAGE_MODEL_LENGTH").unwrap_or(2));
}

#[test]
fn every_damage_on_a_filesystem_is_healed_as_the_model_says() {
    every_order(World::filesystem, 1);
}

#[test]
fn every_damage_on_s3_is_healed_as_the_model_says() {
    every_order(World::s3, 1);
}

/// Walks of `length` random steps, each in a world of its own.
fn walks(world: fn() -> World, cases: u32, length: usize) {
    let cases = from_environment("DAMAGE_MODEL_CASES").unwrap_or(cases);
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let step = (prop::sample::select(all_steps()), 0..2usize);
    let walk = prop::collection::vec(step, length / 2..length);
    TestRunner::new(config)
        .run(&walk, |walk| {
            let world = world();
            block_on(async {
                let mut run = Run::new(&world);
                run.begin().await;
                for (step, process) in walk {
                    run.step(step, process).await;
                }
                run.end().await;
            });
            Ok(())
        })
        .unwrap();
}

#[test]
fn every_walk_on_memory_is_as_the_model_says() {
    walks(World::memory, 200, 40);
}

#[test]
fn every_walk_on_a_filesystem_is_as_the_model_says() {
    walks(World::filesystem, 16, 40);
}

#[test]
fn every_walk_on_s3_is_as_the_model_says() {
    walks(World::s3, 3, 30);
}
