//! Collection on storage of any content, compared with a model that knows what refers to what without reading it.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use registry_store::backend::{ErrorKind, Key, PutMode, PutRequest};
use registry_store::digest::{Algorithm, Digest};
use registry_store::gc::{CollectOptions, Step};
use registry_store::layout::{self, RepositoryLayout};
use registry_store::media_type::MediaType;
use registry_tests::backends::{Fault, FaultyBackend, Moment, YieldingBackend};
use registry_tests::polls::drop_after_polls;
use registry_tests::world::World;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

use crate::collecting::{collect, objects};

const NAMES: [&str; 3] = ["a", "a/b", "c"];

/// How a thing is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    Sha256,
    Sha512,
    /// By its sha512, under its sha256, as Distribution does. Blobs only.
    Both,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Damage {
    Emptied,
    Altered,
    Gone,
}

/// What a thing is. What it refers to stands before it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Blob,
    /// Of these blobs.
    Image(Vec<usize>),
    /// Of these manifests.
    Index(Vec<usize>),
    /// Of a type that nobody knows, of any things.
    Unknown(Vec<usize>),
}

#[derive(Clone, Debug)]
struct Thing {
    kind: Kind,
    subject: Option<usize>,
    kept: Kept,
    damage: Option<Damage>,
    bytes: Bytes,
}

impl Thing {
    /// What it is called by.
    fn digest(&self) -> Digest {
        let algorithm =
            if self.kept == Kept::Sha256 { Algorithm::Sha256 } else { Algorithm::Sha512 };
        Digest::of(algorithm, &self.bytes)
    }

    /// What its bytes are kept under.
    fn stored(&self) -> Digest {
        let algorithm =
            if self.kept == Kept::Sha512 { Algorithm::Sha512 } else { Algorithm::Sha256 };
        Digest::of(algorithm, &self.bytes)
    }

    fn is_manifest(&self) -> bool {
        self.kind != Kind::Blob
    }

    /// What it keeps: all it refers to, but for its subject.
    fn keeps(&self) -> &[usize] {
        match &self.kind {
            Kind::Blob => &[],
            Kind::Image(those) | Kind::Index(those) | Kind::Unknown(those) => those,
        }
    }
}

/// What a repository has of the things, by their number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Has {
    manifests: BTreeSet<usize>,
    blobs: BTreeSet<usize>,
    tags: BTreeMap<String, usize>,
}

#[derive(Clone, Debug)]
struct Content {
    things: Vec<Thing>,
    has: Vec<Has>,
}

impl Content {
    /// Makes content of any numbers.
    fn of(things: &[[u8; 6]], placed: &[[u8; 3]]) -> Self {
        let mut this = Self { things: Vec::new(), has: vec![Has::default(); NAMES.len()] };
        for numbers in things {
            let thing = this.thing(numbers);
            this.things.push(thing);
        }
        for [name, which, how] in placed {
            this.place(usize::from(*name) % NAMES.len(), usize::from(*which), *how);
        }
        this
    }

    fn thing(&self, [kind, one, two, subject, kept, damage]: &[u8; 6]) -> Thing {
        let number = self.things.len();
        let among = |are_manifests: bool, chosen: &u8| {
            let all = self.things.iter().enumerate();
            let all: Vec<usize> = all
                .filter(|(_, thing)| thing.is_manifest() == are_manifests)
                .map(|(number, _)| number)
                .collect();
            (!all.is_empty()).then(|| all[usize::from(*chosen) % all.len()])
        };
        let (blobs, manifests) =
            ([among(false, one), among(false, two)], [among(true, one), among(true, two)]);
        let some = |those: [Option<usize>; 2]| those.into_iter().flatten().collect::<Vec<_>>();
        let kind = match kind % 8 {
            0..=2 => Kind::Blob,
            3..=4 => Kind::Image(some(blobs)),
            5..=6 => Kind::Index(some(manifests)),
            _ => Kind::Unknown(some([blobs[0], manifests[1]])),
        };
        let kept = match (kept % 8, &kind) {
            (0..=5, _) => Kept::Sha256,
            (6, _) => Kept::Sha512,
            (_, Kind::Blob) => Kept::Both,
            _ => Kept::Sha256,
        };
        let subject = among(true, subject).filter(|_| subject % 3 == 0 && kind != Kind::Blob);
        let damage = match damage % 24 {
            0 => Some(Damage::Emptied),
            1 => Some(Damage::Altered),
            2 => Some(Damage::Gone),
            _ => None,
        };
        let bytes = self.bytes(number, &kind, subject);
        Thing { kind, subject, kept, damage, bytes }
    }

    fn bytes(&self, number: usize, kind: &Kind, subject: Option<usize>) -> Bytes {
        let media_type = |thing: &Thing| match thing.kind {
            Kind::Blob => "application/octet-stream",
            Kind::Image(_) => MediaType::OCI_MANIFEST,
            Kind::Index(_) => MediaType::OCI_INDEX,
            Kind::Unknown(_) => "application/vnd.example.manifest",
        };
        let descriptor = |number: &usize| {
            let thing = &self.things[*number];
            json!({"mediaType": media_type(thing), "digest": thing.digest().to_string(), "size": 1})
        };
        let all = |those: &[usize]| those.iter().map(descriptor).collect::<Vec<Value>>();
        let mut document = match kind {
            Kind::Blob => return format!("blob {number}").into(),
            Kind::Image(blobs) => json!({
                "schemaVersion": 2, "mediaType": MediaType::OCI_MANIFEST,
                "config": {"mediaType": "application/x", "digest": "none", "size": 0}, "layers": all(blobs),
            }),
            Kind::Index(manifests) => json!({
                "schemaVersion": 2, "mediaType": MediaType::OCI_INDEX, "manifests": all(manifests),
            }),
            Kind::Unknown(those) => json!({
                "schemaVersion": 2, "mediaType": "application/vnd.example.manifest", "deep": [{"er": all(those)}],
            }),
        };
        document["annotations"] = json!({"number": number.to_string()});
        if let Some(subject) = subject {
            document["subject"] = descriptor(&subject);
        }
        document.to_string().into()
    }

    /// Gives a thing to a repository, as a push would have left it, perhaps without the links of manifests that it lists.
    fn place(&mut self, name: usize, which: usize, how: u8) {
        if self.things.is_empty() {
            return;
        }
        let which = which % self.things.len();
        let below = self.below(which);
        let has = &mut self.has[name];
        has.blobs.extend(below.iter().filter(|number| !self.things[**number].is_manifest()));
        if !self.things[which].is_manifest() {
            has.blobs.insert(which);
            return;
        }
        if !how.is_multiple_of(4) {
            has.manifests.extend(below.iter().filter(|number| self.things[**number].is_manifest()));
        }
        match how % 16 {
            // As Distribution 2.1 did.
            15 => _ = has.blobs.insert(which),
            _ => _ = has.manifests.insert(which),
        }
        if (how / 16).is_multiple_of(2) {
            has.tags.insert(format!("t{}", how / 64), which);
        }
    }

    /// All that a thing keeps, and what that keeps in turn.
    fn below(&self, which: usize) -> BTreeSet<usize> {
        let (mut found, mut next) = (BTreeSet::new(), self.things[which].keeps().to_vec());
        while let Some(number) = next.pop() {
            if found.insert(number) {
                next.extend(self.things[number].keeps());
            }
        }
        found
    }

    async fn write(&self, world: &World) {
        let mut puts: BTreeMap<Key, Bytes> = BTreeMap::new();
        for thing in &self.things {
            let bytes = match thing.damage.filter(|_| thing.is_manifest()) {
                None => thing.bytes.clone(),
                Some(Damage::Emptied) => Bytes::new(),
                Some(Damage::Altered) => Bytes::from_static(b"{\"schemaVersion\": 2}"),
                Some(Damage::Gone) => continue,
            };
            puts.insert(layout::blob(&thing.stored()), bytes);
        }
        for (name, has) in NAMES.iter().zip(&self.has) {
            let links = RepositoryLayout::new(&name.parse().unwrap());
            let mut link = |key: Key, to: Digest| _ = puts.insert(key, to.to_string().into());
            for thing in has.manifests.iter().map(|number| &self.things[*number]) {
                link(links.revision_link(&thing.digest()), thing.stored());
            }
            for thing in has.blobs.iter().map(|number| &self.things[*number]) {
                link(links.layer_link(&thing.digest()), thing.stored());
            }
            for (tag, which) in &has.tags {
                let digest = self.things[*which].digest();
                let tag = tag.parse().unwrap();
                link(links.tag_index_link(&tag, &digest), digest);
                link(links.tag_current_link(&tag), digest);
            }
        }
        let put = |(key, bytes)| PutRequest { key, bytes, mode: PutMode::Overwrite };
        world.backend.put_all(puts.into_iter().map(put).collect()).await.unwrap();
    }

    /// What can be read as a manifest of a repository, and whether something cannot that ought to.
    fn explored(&self, has: &Has) -> (BTreeSet<usize>, bool) {
        let is_good = |number: &usize| self.things[*number].damage.is_none();
        let listed = has.blobs.iter().filter(|number| self.things[**number].is_manifest());
        let mut next: Vec<usize> =
            has.manifests.iter().chain(listed.filter(|it| is_good(it))).copied().collect();
        let (mut explored, mut is_damaged) = (BTreeSet::new(), false);
        while let Some(number) = next.pop() {
            let thing = &self.things[number];
            match thing.damage {
                None if explored.insert(number) => {
                    next.extend(thing.keeps().iter().filter(|it| self.things[**it].is_manifest()));
                }
                None => {}
                // What was never linked and is not there is nothing.
                Some(Damage::Gone) if !has.manifests.contains(&number) => {}
                Some(_) => is_damaged = true,
            }
        }
        (explored, is_damaged)
    }

    /// What is left of a repository without what no tag keeps.
    fn without_untagged(&self, has: &Has) -> Has {
        let (explored, is_damaged) = self.explored(has);
        if is_damaged {
            return has.clone();
        }
        let mut kept: BTreeSet<usize> = has.tags.values().copied().collect();
        loop {
            let before = kept.len();
            for number in
                explored.iter().filter(|it| kept.contains(it)).copied().collect::<Vec<_>>()
            {
                kept.extend(self.things[number].keeps());
                kept.extend(self.things[number].subject);
            }
            let about = explored.iter().filter(|it| {
                self.things[**it].subject.is_some_and(|subject| kept.contains(&subject))
            });
            let about: Vec<usize> = about.copied().collect();
            kept.extend(about);
            if kept.len() == before {
                break;
            }
        }
        let mut left = has.clone();
        left.manifests.retain(|number| kept.contains(number));
        left
    }

    /// What a collection leaves: the objects there are, below Distribution's place.
    fn left(&self, untagged: bool) -> Self {
        let mut left = self.clone();
        if untagged {
            left.has = self.has.iter().map(|has| self.without_untagged(has)).collect();
        }
        let mut marked: BTreeSet<usize> = BTreeSet::new();
        for has in &left.has {
            let (explored, is_damaged) = left.explored(has);
            marked.extend(has.manifests.iter().chain(&explored));
            marked.extend(explored.iter().flat_map(|number| self.things[*number].keeps()));
            if is_damaged {
                marked.extend(&has.blobs);
            }
        }
        for has in &mut left.has {
            has.blobs.retain(|number| marked.contains(number));
        }
        for (number, thing) in left.things.iter_mut().enumerate() {
            if !marked.contains(&number) {
                *thing = Thing {
                    kind: Kind::Image(Vec::new()),
                    damage: Some(Damage::Gone),
                    ..thing.clone()
                };
            }
        }
        left
    }
}

/// What there is of a content when it is written anew.
async fn written(content: &Content) -> BTreeSet<String> {
    let world = World::memory();
    content.write(&world).await;
    objects(&*world.backend).await
}

fn options(untagged: bool, most_marks: usize) -> CollectOptions {
    CollectOptions {
        delete_untagged: untagged,
        most_marks,
        nobody_writes: true,
        no_repositories: true,
        older_than: Duration::ZERO,
        dry_run: false,
    }
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn is_collected_as_the_model_says(world: &World, content: &Content, untagged: bool, marks: usize) {
    runtime().block_on(async {
        content.write(world).await;
        let before = objects(&*world.backend).await;
        let expected = written(&content.left(untagged)).await;
        let options = options(untagged, marks);
        let dry = CollectOptions { dry_run: true, ..options };
        let (told, told_steps) = collect(&world.store, dry).await;
        assert_eq!(objects(&*world.backend).await, before, "a dry run changes nothing");
        let (done, steps) = collect(&world.store, options).await;
        let left = objects(&*world.backend).await;
        let lost: Vec<_> = expected.difference(&left).collect();
        assert!(lost.is_empty(), "lost: {lost:#?}");
        let garbage: Vec<_> = left.difference(&expected).collect();
        assert!(garbage.is_empty(), "left: {garbage:#?}");
        assert_eq!(told, done);
        let taken = |steps: Vec<Step>| {
            let blobs = steps
                .into_iter()
                .filter(|step| matches!(step, Step::Blob { .. } | Step::Untagged { .. }));
            blobs.map(|step| format!("{step:?}")).collect::<BTreeSet<_>>()
        };
        assert_eq!(taken(told_steps), taken(steps));
    });
}

fn content() -> impl Strategy<Value = Content> {
    let things = prop::collection::vec(any::<[u8; 6]>(), 0..14);
    let placed = prop::collection::vec(any::<[u8; 3]>(), 0..12);
    (things, placed).prop_map(|(things, placed)| Content::of(&things, &placed))
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config(192))]

    #[test]
    fn everything_reachable_stays_and_the_rest_goes_on_memory(
        content in content(), untagged in any::<bool>(), marks in prop::sample::select(vec![4, 7, 1000])
    ) {
        is_collected_as_the_model_says(&World::memory(), &content, untagged, marks);
    }
}

proptest! {
    #![proptest_config(config(12))]

    #[test]
    fn everything_reachable_stays_and_the_rest_goes_on_a_filesystem(
        content in content(), untagged in any::<bool>(), marks in prop::sample::select(vec![4, 1000])
    ) {
        is_collected_as_the_model_says(&World::filesystem(), &content, untagged, marks);
    }

    #[test]
    fn everything_reachable_stays_and_the_rest_goes_on_a_bucket(
        content in content(), untagged in any::<bool>(), marks in prop::sample::select(vec![4, 1000])
    ) {
        is_collected_as_the_model_says(&World::s3(), &content, untagged, marks);
    }
}

/// Two repositories, of which one has an index that no tag keeps, signatures, what both have, and garbage.
fn ground() -> Content {
    let things: &[[u8; 6]] = &[
        [0, 0, 0, 1, 0, 9], // 0 to 3: blobs, one by its sha512
        [0, 0, 0, 1, 0, 9],
        [0, 0, 0, 1, 6, 9],
        [0, 0, 0, 1, 0, 9],
        [3, 0, 1, 1, 0, 9], // 4: an image of 0 and 1
        [3, 1, 2, 1, 0, 9], // 5: an image of 1 and 2
        [5, 0, 1, 1, 0, 9], // 6: an index of 4 and 5
        [3, 3, 3, 0, 0, 9], // 7: an image of 3 that is about 4
        [5, 2, 3, 1, 0, 9], // 8: an index of 6 and 7
    ];
    // Tagged 4 in the first, 8 without a tag; 5 without a tag in the second, and a loose blob.
    Content::of(things, &[[0, 4, 4], [0, 8, 21], [0, 7, 20], [1, 5, 20], [1, 3, 0]])
}

/// Nothing that stays has gone, and nothing that is visible has lost what it needs.
fn assert_sound(
    left: &BTreeSet<String>,
    before: &Content,
    expected: &BTreeSet<String>,
    when: &str,
) {
    let lost: Vec<_> = expected.difference(left).collect();
    assert!(lost.is_empty(), "{when}: lost: {lost:#?}");
    let top = layout::top();
    let is_there = |key: Key| left.contains(key.below(&top).unwrap());
    for (name, has) in NAMES.iter().zip(&before.has) {
        let links = RepositoryLayout::new(&name.parse().unwrap());
        for thing in has.blobs.iter().map(|number| &before.things[*number]) {
            if is_there(links.layer_link(&thing.digest())) {
                assert!(
                    is_there(layout::blob(&thing.stored())),
                    "{when}: a link leads nowhere in {name}"
                );
            }
        }
        for thing in has.manifests.iter().map(|number| &before.things[*number]) {
            if !is_there(links.revision_link(&thing.digest())) {
                continue;
            }
            assert!(
                is_there(layout::blob(&thing.stored())),
                "{when}: a manifest is not there in {name}"
            );
            for needed in thing.keeps().iter().map(|number| &before.things[*number]) {
                let link = if needed.is_manifest() {
                    links.revision_link(&needed.digest())
                } else {
                    links.layer_link(&needed.digest())
                };
                assert!(is_there(link), "{when}: a manifest lacks something in {name}");
            }
        }
    }
}

/// What a call may fail with: faults of one object, and of the storage as a whole.
const KINDS: [ErrorKind; 6] = [
    ErrorKind::Io,
    ErrorKind::Unavailable,
    ErrorKind::Full,
    ErrorKind::Denied,
    ErrorKind::Busy,
    ErrorKind::Foreign,
];

/// Those of the kinds that a call fails with: each if everything is to be gone through, else another one at each call, and
/// again another at the same call of the next moment.
fn kinds(call: usize, moment: usize) -> Vec<ErrorKind> {
    if env::var("FAULTS").is_ok_and(|faults| faults == "each") {
        return KINDS.into();
    }
    vec![KINDS[(call + call / KINDS.len() + 2 * moment) % KINDS.len()]]
}

/// Lets one call of a collection fail; whether there was that call.
async fn fails_at(content: &Content, fault: Fault) -> bool {
    let options = options(true, 4);
    let world = World::memory();
    content.write(&world).await;
    let expected = written(&content.left(true)).await;
    let backend = FaultyBackend::new(world.backend.clone());
    let store = world.over(backend.clone());
    backend.arm(fault);
    let _ = store.collect(options, &mut |_| {}).await;
    store.finish_detached().await;
    let was_met = !backend.disarm();
    let when = format!("{fault:?}");
    assert_sound(&objects(&*world.backend).await, content, &expected, &when);
    collect(&world.store, options).await;
    assert_eq!(objects(&*world.backend).await, expected, "{when}, and again");
    was_met
}

#[test]
fn wherever_a_call_fails_nothing_is_lost_and_nothing_visible_lacks_anything() {
    let (content, runtime) = (ground(), runtime());
    let mut met = [0; KINDS.len()];
    for (number, moment) in [Moment::Before, Moment::After, Moment::Partway].into_iter().enumerate()
    {
        for call in 1.. {
            let mut was_met = false;
            for kind in kinds(call, number) {
                let call = u64::try_from(call).unwrap();
                let fault = Fault { method: None, call, kind, moment };
                was_met = runtime.block_on(fails_at(&content, fault));
                let index = KINDS.iter().position(|known| *known == kind).unwrap();
                met[index] += usize::from(was_met);
            }
            if !was_met {
                break;
            }
        }
    }
    assert!(met.iter().sum::<usize>() > 200 && met.iter().all(|met| *met > 30), "{met:?}");
}

#[test]
fn wherever_it_is_dropped_nothing_is_lost_and_nothing_visible_lacks_anything() {
    let (content, options) = (ground(), options(true, 4));
    let mut states = BTreeSet::new();
    for polls in 0.. {
        let has_ended = runtime().block_on(async {
            let world = World::memory();
            content.write(&world).await;
            let expected = written(&content.left(true)).await;
            let store = world.over(YieldingBackend::new(world.backend.clone(), || 1));
            let mut tell = |_| {};
            let done = drop_after_polls(polls, store.collect(options, &mut tell)).await;
            store.finish_detached().await;
            let left = objects(&*world.backend).await;
            assert_sound(&left, &content, &expected, &format!("dropped after {polls} polls"));
            collect(&world.store, options).await;
            assert_eq!(objects(&*world.backend).await, expected, "after {polls} polls, and again");
            states.insert(left);
            done.is_some()
        });
        if has_ended {
            break;
        }
    }
    assert!(states.len() > 5, "it is stopped within its effects: {}", states.len());
}
