//! Referrers rebuilt: what programs wrote that keep no records of ours.

use std::sync::Arc;

use futures::TryStreamExt as _;
use registry_store::backend::{Backend, BackendExt as _, ErrorKind, Key, PutMode};
use registry_store::digest::{Algorithm, Digest};
use registry_store::error::{Error, Result};
use registry_store::layout::{self, RepositoryLayout};
use registry_store::manifest::Manifest;
use registry_store::referrers::{NAMED, RebuildReport};
use registry_store::repository::Repository;
use registry_store::store::Store;
use registry_tests::backends::{Fault, FaultyBackend, GatedBackend, Method, Moment};
use registry_tests::documents::{
    descriptor_of, image, image_document, manifest, push_image, push_manifest,
};
use registry_tests::polls::drop_after_polls;
use registry_tests::world::{World, push, repository, store_on};
use serde_json::json;

on_every_backend!(
    a_manifest_that_another_program_wrote_is_listed_once_it_is_rebuilt,
    a_second_rebuild_finds_all_as_it_should_be,
    a_manifest_named_by_its_sha512_is_recorded_too,
    a_manifest_that_distribution_keeps_under_another_digest_is_recorded_by_the_one_it_has,
    a_damaged_record_is_written_anew,
    a_record_whose_manifest_is_gone_is_removed,
    damaged_manifests_are_named_and_passed_over,
    what_distribution_leaves_of_a_deleted_manifest_is_no_damage,
    manifests_of_old_types_have_no_subject,
    a_manifest_whose_link_holds_another_digest_is_named_and_not_recorded,
    a_repository_that_is_not_there_cannot_be_rebuilt,
    every_repository_is_rebuilt_and_none_nested_is_missed,
    a_manifest_that_is_deleted_while_it_is_read_is_not_recorded,
    a_record_whose_manifest_is_pushed_again_in_time_stays,
    more_manifests_than_are_named_are_counted,
);

/// What another program knows how to write.
struct Foreign {
    backend: Arc<dyn Backend>,
    keys: RepositoryLayout,
}

impl Foreign {
    fn new(world: &World, name: &str) -> Self {
        let keys = RepositoryLayout::new(&name.parse().unwrap());
        Self { backend: world.backend.clone(), keys }
    }

    async fn put(&self, key: &Key, content: impl Into<bytes::Bytes> + Send) {
        self.backend.put(key, content.into(), PutMode::Overwrite).await.unwrap();
    }

    /// Stores a manifest as Distribution does: no record, and nothing looked for.
    async fn push(&self, manifest: &Manifest) -> Digest {
        self.push_as(manifest, Algorithm::Sha256).await
    }

    async fn push_as(&self, manifest: &Manifest, algorithm: Algorithm) -> Digest {
        let digest = manifest.digest(algorithm);
        self.put(&layout::blob(&digest), manifest.bytes().clone()).await;
        self.put(&self.keys.revision_link(&digest), digest.to_string()).await;
        digest
    }

    async fn delete(&self, digest: &Digest) {
        self.backend.delete(&[self.keys.revision_link(digest)]).await.unwrap();
    }

    async fn has_record(&self, subject: &Digest, referrer: &Digest) -> bool {
        let record = self.keys.referrer_link(subject, referrer);
        self.backend.head(&record).await.unwrap().is_some()
    }
}

fn subject() -> Manifest {
    image(b"{}", &[])
}

fn subject_digest() -> Digest {
    subject().digest(Algorithm::Sha256)
}

fn signature(note: &str) -> Manifest {
    let mut document = image_document(b"{}", &[]);
    document["subject"] = descriptor_of(&subject());
    document["annotations"] = json!({ "note": note });
    manifest(&document)
}

async fn listed(repository: &Repository) -> Vec<Digest> {
    let page = repository.referrers().list(&subject_digest(), None, None, 100).await.unwrap();
    page.items.iter().map(|found| *found.digest.known().unwrap()).collect()
}

async fn rebuilt(repository: &Repository) -> RebuildReport {
    repository.referrers().rebuild().await.unwrap()
}

async fn a_manifest_that_another_program_wrote_is_listed_once_it_is_rebuilt(world: World) {
    let foreign = Foreign::new(&world, "a");
    foreign.push(&subject()).await;
    let mut expected = Vec::new();
    for note in ["1", "2", "3"] {
        expected.push(foreign.push(&signature(note)).await);
    }
    expected.sort();
    let a = world.repository("a");
    assert_eq!(listed(&a).await, []);
    let report = rebuilt(&a).await;
    assert_eq!(report, RebuildReport { manifests: 4, recorded: 3, ..RebuildReport::default() });
    assert_eq!(listed(&a).await, expected);
}

async fn a_second_rebuild_finds_all_as_it_should_be(world: World) {
    let (foreign, a) = (Foreign::new(&world, "a"), world.repository("a"));
    foreign.push(&signature("theirs")).await;
    push(&a, b"{}").await;
    push_manifest(&a, &signature("ours"), &[]).await;
    let report = rebuilt(&a).await;
    let expected = RebuildReport { manifests: 2, recorded: 1, kept: 1, ..RebuildReport::default() };
    assert_eq!(report, expected);
    let report = rebuilt(&a).await;
    assert_eq!(report, RebuildReport { manifests: 2, kept: 2, ..RebuildReport::default() });
    assert_eq!(world.store.damage().links, 0);
}

async fn a_manifest_named_by_its_sha512_is_recorded_too(world: World) {
    let (foreign, a) = (Foreign::new(&world, "a"), world.repository("a"));
    let digest = foreign.push_as(&signature(""), Algorithm::Sha512).await;
    assert_eq!(rebuilt(&a).await.recorded, 1);
    assert_eq!(listed(&a).await, [digest]);
}

async fn a_manifest_that_distribution_keeps_under_another_digest_is_recorded_by_the_one_it_has(
    world: World,
) {
    let (foreign, a) = (Foreign::new(&world, "a"), world.repository("a"));
    let signature = signature("");
    let [kept, named] =
        [Algorithm::Sha256, Algorithm::Sha512].map(|algorithm| signature.digest(algorithm));
    foreign.put(&layout::blob(&kept), signature.bytes().clone()).await;
    foreign.put(&foreign.keys.revision_link(&named), kept.to_string()).await;
    assert_eq!(rebuilt(&a).await.recorded, 1);
    assert_eq!(listed(&a).await, [named]);
}

async fn a_damaged_record_is_written_anew(world: World) {
    let (foreign, a) = (Foreign::new(&world, "a"), world.repository("a"));
    let digest = foreign.push(&signature("")).await;
    let record = foreign.keys.referrer_link(&subject_digest(), &digest);
    for damage in ["", "no digest", &Digest::sha256(b"another").to_string()] {
        foreign.put(&record, damage.to_owned()).await;
        assert_eq!(rebuilt(&a).await.recorded, 1, "{damage:?}");
        assert_eq!(rebuilt(&a).await.kept, 1, "{damage:?}");
    }
}

async fn a_record_whose_manifest_is_gone_is_removed(world: World) {
    let (foreign, a) = (Foreign::new(&world, "a"), world.repository("a"));
    let [kept, gone] = [foreign.push(&signature("kept")).await, foreign.push(&signature("")).await];
    assert_eq!(rebuilt(&a).await.recorded, 2);
    foreign.delete(&gone).await;
    let report = rebuilt(&a).await;
    let expected = RebuildReport { manifests: 1, kept: 1, stale: 1, ..RebuildReport::default() };
    assert_eq!(report, expected);
    assert!(!foreign.has_record(&subject_digest(), &gone).await);
    assert!(foreign.has_record(&subject_digest(), &kept).await);
    assert_eq!(rebuilt(&a).await.stale, 0);
}

async fn damaged_manifests_are_named_and_passed_over(world: World) {
    let (foreign, a) = (Foreign::new(&world, "a"), world.repository("a"));
    let sound = foreign.push(&signature("sound")).await;
    let mut damaged = Vec::new();
    for (note, content) in [("emptied", ""), ("cut", "{"), ("another", "{\"schemaVersion\": 2}")] {
        let digest = foreign.push(&signature(note)).await;
        foreign.put(&layout::blob(&digest), content).await;
        damaged.push(digest);
    }
    for (note, link) in [("empty link", ""), ("no link", "sha256:0")] {
        let digest = foreign.push(&signature(note)).await;
        foreign.put(&foreign.keys.revision_link(&digest), link).await;
        damaged.push(digest);
    }
    let missing = foreign.push(&signature("missing")).await;
    world.backend.delete(&[layout::blob(&missing)]).await.unwrap();
    damaged.push(missing);
    damaged.sort();
    // A record of such a one stays: the next push of the manifest heals it.
    let record = foreign.keys.referrer_link(&subject_digest(), &missing);
    foreign.put(&record, missing.to_string()).await;

    let report = rebuilt(&a).await;
    let expected = RebuildReport {
        manifests: 1,
        recorded: 1,
        unreadable: 6,
        first_unreadable: damaged,
        ..RebuildReport::default()
    };
    assert_eq!(report, expected);
    assert_eq!(listed(&a).await, [sound]);
    assert!(foreign.has_record(&subject_digest(), &missing).await);
}

/// Followed, the link would have the one recorded under the other's subject.
async fn a_manifest_whose_link_holds_another_digest_is_named_and_not_recorded(world: World) {
    let foreign = Foreign::new(&world, "a");
    let one = foreign.push(&signature("one")).await;
    let other = foreign.push(&signature("other")).await;
    foreign.put(&foreign.keys.revision_link(&one), other.to_string()).await;
    let report = rebuilt(&world.repository("a")).await;
    assert_eq!((report.recorded, report.first_unreadable), (1, vec![one]));
    assert!(!foreign.has_record(&subject_digest(), &one).await);
}

async fn what_distribution_leaves_of_a_deleted_manifest_is_no_damage(world: World) {
    let (foreign, a) = (Foreign::new(&world, "a"), world.repository("a"));
    foreign.push(&subject()).await;
    // The directory of a link that went; something has to lie in it, for a backend without directories.
    let left = foreign.keys.revision_link(&Digest::sha256(b"gone")).parent().unwrap();
    foreign.put(&left.child("link.tmp").unwrap(), "").await;
    let report = rebuilt(&a).await;
    assert_eq!(report, RebuildReport { manifests: 1, ..RebuildReport::default() });
}

async fn manifests_of_old_types_have_no_subject(world: World) {
    let (foreign, a) = (Foreign::new(&world, "a"), world.repository("a"));
    let old = b"{\"schemaVersion\": 1, \"name\": \"a\", \"tag\": \"old\"}".as_slice();
    let digest = Digest::sha256(old);
    foreign.put(&layout::blob(&digest), old).await;
    foreign.put(&foreign.keys.revision_link(&digest), digest.to_string()).await;
    let report = rebuilt(&a).await;
    assert_eq!(report, RebuildReport { manifests: 1, ..RebuildReport::default() });
}

async fn a_repository_that_is_not_there_cannot_be_rebuilt(world: World) {
    Foreign::new(&world, "a/b").push(&subject()).await;
    for name in ["a", "b"] {
        let error = world.repository(name).referrers().rebuild().await.unwrap_err();
        assert!(matches!(error, Error::NameUnknown { .. }), "{error}");
    }
}

async fn every_repository_is_rebuilt_and_none_nested_is_missed(world: World) {
    let names = ["a", "a/b", "a/b-c", "a-b", "only/a/parent/above"];
    for name in names {
        Foreign::new(&world, name).push(&signature(name)).await;
    }
    let all: Vec<_> = world.store.rebuild_referrers().try_collect().await.unwrap();
    let found: Vec<&str> = all.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(found, names);
    for (name, report) in &all {
        assert_eq!(report.as_ref().unwrap().recorded, 1, "{name}");
        assert_eq!(listed(&world.store.repository(name)).await.len(), 1, "{name}");
    }
}

async fn a_manifest_that_is_deleted_while_it_is_read_is_not_recorded(world: World) {
    let foreign = Foreign::new(&world, "a");
    let digest = foreign.push(&signature("")).await;
    let gates = GatedBackend::new(world.backend.clone());
    let a = repository(&store_on(gates.clone()), "a");
    // It has been read, and no lock is held yet.
    let gate = gates.shut(Moment::Before, Method::Lock, foreign.keys.root());
    let (referrers, manifests) = (a.referrers(), world.repository("a").manifests());
    let report = gate
        .meanwhile(referrers.rebuild(), async {
            manifests.delete(&digest).await.unwrap();
            push(&world.repository("a"), b"so that the repository is there").await;
        })
        .await
        .unwrap();
    assert_eq!(report, RebuildReport::default());
    assert!(!foreign.has_record(&subject_digest(), &digest).await);
}

async fn a_record_whose_manifest_is_pushed_again_in_time_stays(world: World) {
    let (foreign, ours) = (Foreign::new(&world, "a"), world.repository("a"));
    push(&ours, b"{}").await;
    let digest = foreign.push(&signature("")).await;
    rebuilt(&ours).await;
    foreign.delete(&digest).await;
    let gates = GatedBackend::new(world.backend.clone());
    let a = repository(&store_on(gates.clone()), "a");
    // The record was found to be stale, and the lock is not held yet.
    let gate = gates.shut(Moment::Before, Method::Lock, foreign.keys.root());
    let referrers = a.referrers();
    let report = gate
        .meanwhile(referrers.rebuild(), async {
            push_manifest(&ours, &signature(""), &[]).await;
        })
        .await
        .unwrap();
    assert_eq!(report.stale, 0);
    assert_eq!(listed(&ours).await, [digest]);
}

async fn more_manifests_than_are_named_are_counted(world: World) {
    let foreign = Foreign::new(&world, "a");
    let count = NAMED as u64 + 5;
    for number in 0..count {
        let digest = Digest::sha256(&number.to_be_bytes());
        foreign.put(&foreign.keys.revision_link(&digest), digest.to_string()).await;
    }
    let report = rebuilt(&world.repository("a")).await;
    assert_eq!((report.unreadable, report.first_unreadable.len()), (count, NAMED));
}

/// A manifest to record, and a record to remove.
async fn something_to_rebuild(world: &World) -> [Digest; 2] {
    let foreign = Foreign::new(world, "a");
    let gone = foreign.push(&signature("gone")).await;
    rebuilt(&world.repository("a")).await;
    foreign.delete(&gone).await;
    [foreign.push(&signature("new")).await, gone]
}

/// Every listing tells the truth whatever became of a rebuild; another one does the rest.
async fn check(world: &World, [new, gone]: &[Digest; 2], was_rebuilt: bool, when: &str) {
    let another = world.another_process();
    let a = repository(&another, "a");
    let found = listed(&a).await;
    assert!(found.is_empty() || found == [*new], "{when}: {found:?}");
    assert!(!was_rebuilt || !found.is_empty(), "{when}: acknowledged, lost");
    let report = rebuilt(&a).await;
    assert_eq!((report.manifests, report.unreadable), (1, 0), "{when}");
    assert_eq!(listed(&a).await, [*new], "{when}");
    let foreign = Foreign::new(world, "a");
    assert!(!foreign.has_record(&subject_digest(), gone).await, "{when}");
}

async fn rebuild_all(store: &Store) -> Result<RebuildReport> {
    repository(store, "a").referrers().rebuild().await
}

async fn with_call_failed(world: World, moment: Moment, call: u64) -> bool {
    let digests = something_to_rebuild(&world).await;
    let backend = FaultyBackend::new(world.backend.clone());
    backend.arm(Fault { method: None, call, kind: ErrorKind::Io, moment });
    let outcome = rebuild_all(&store_on(backend.clone())).await;
    let was_met = !backend.disarm();
    let was_rebuilt = match outcome {
        // What could not be read was named, and nothing was taken for gone because of it.
        Ok(report) => report.unreadable == 0,
        Err(error) => {
            assert!(matches!(&error, Error::Storage(error) if error.kind() == ErrorKind::Io));
            false
        }
    };
    let when = format!("call {call} failed {moment:?}");
    check(&world, &digests, was_rebuilt, &when).await;
    was_met
}

/// The link, the manifest, the record.
#[tokio::test]
async fn what_lies_foreign_in_the_place_of_one_object_keeps_no_other_from_being_recorded() {
    for call in 1..=3 {
        let world = World::memory();
        let foreign = Foreign::new(&world, "a");
        foreign.push(&signature("one")).await;
        foreign.push(&signature("other")).await;
        let backend = FaultyBackend::new(world.backend.clone());
        let (method, kind) = (Some(Method::Read), ErrorKind::Foreign);
        backend.arm(Fault { method, call, kind, moment: Moment::Before });
        let report = rebuild_all(&store_on(backend)).await.unwrap();
        assert_eq!((report.recorded, report.unreadable), (1, 1), "call {call}");
    }
}

#[tokio::test]
async fn a_call_that_fails_harms_nothing() {
    for world in [World::memory, World::filesystem] {
        for moment in [Moment::Before, Moment::After] {
            let mut calls = 0;
            while with_call_failed(world(), moment, calls + 1).await {
                calls += 1;
            }
            assert!(calls > 10, "{calls} calls");
        }
    }
}

#[test]
fn a_rebuild_that_is_dropped_harms_nothing() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ended = (0..300).find(|&polls| {
        let world = World::filesystem();
        runtime.block_on(async {
            let digests = something_to_rebuild(&world).await;
            let result = drop_after_polls(polls, rebuild_all(&world.store)).await;
            while runtime.metrics().num_alive_tasks() > 0 {
                tokio::task::yield_now().await;
            }
            let ended = result.is_some();
            check(&world, &digests, ended, &format!("dropped after {polls} polls")).await;
            ended
        })
    });
    assert!(ended.is_some_and(|polls| polls > 0), "{ended:?} polls");
}

#[tokio::test]
async fn one_repository_that_fails_does_not_keep_the_next_from_being_rebuilt() {
    let world = World::memory();
    for name in ["a", "b"] {
        push_image(&world.repository(name), b"{}", &[], "v1").await;
        Foreign::new(&world, name).push(&signature(name)).await;
    }
    let backend = FaultyBackend::new(world.backend.clone());
    backend.arm(Fault {
        method: Some(Method::Lock),
        call: 1,
        kind: ErrorKind::Denied,
        moment: Moment::Before,
    });
    let store = store_on(backend);
    let all: Vec<_> = store.rebuild_referrers().try_collect().await.unwrap();
    let outcomes: Vec<bool> = all.iter().map(|(_, outcome)| outcome.is_ok()).collect();
    assert_eq!(outcomes, [false, true]);
}
