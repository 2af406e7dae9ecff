//! Scrub: what it finds, what it leaves, and how it goes on.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use registry_store::backend::{BackendExt as _, ErrorKind, Key, PutMode};
use registry_store::digest::{Algorithm, Digest};
use registry_store::error::Error;
use registry_store::layout::{self, RepositoryLayout};
use registry_store::scrub::{Finding, ScrubOptions, ScrubbedBlob};
use registry_store::store::Store;
use registry_tests::backends::{Fault, FaultyBackend, GatedBackend, Method, Moment};
use registry_tests::documents::push_image;
use registry_tests::world::{World, pull, push, push_as, repository, store_on};
use tokio::time::Instant;

on_every_backend!(
    what_is_good_is_found_good_in_the_order_of_digests_and_stays,
    what_is_damaged_is_put_out_of_sight_and_brought_back_by_a_push,
    a_blob_of_nothing_is_good,
    a_manifest_that_was_altered_is_unknown_once_scrubbed,
    a_scrub_goes_on_behind_the_blob_it_had_come_to,
    a_blob_that_cannot_be_read_is_told_of_and_left,
    a_damaged_blob_that_cannot_be_put_out_of_sight_is_told_of_and_left,
    a_place_that_cannot_be_listed_is_told_of_and_passed_over,
    storage_that_is_not_there_ends_a_scrub,
    a_blob_that_goes_before_it_is_read_is_not_told_of,
    a_blob_that_is_deleted_while_it_is_read_does_not_stop_the_scrub,
    what_lies_among_blobs_and_is_none_is_passed_over,
    damaged_links_are_told_of_by_their_keys_and_stay,
    a_link_that_cannot_be_read_is_told_of,
);

pub(crate) async fn scrub(store: &Store) -> Vec<ScrubbedBlob> {
    store.scrub(ScrubOptions::default()).try_collect().await.unwrap()
}

pub(crate) async fn put(world: &World, key: &Key, content: impl Into<Bytes>) {
    world.backend.put(key, content.into(), PutMode::Overwrite).await.unwrap();
}

fn digests(found: &[ScrubbedBlob]) -> Vec<Digest> {
    found.iter().map(|blob| blob.digest).collect()
}

fn all_good(found: &[ScrubbedBlob]) -> bool {
    found.iter().all(|blob| matches!(blob.finding, Finding::Good))
}

/// Pushes so many blobs, and tells their digests in order.
async fn push_many(world: &World, many: u32) -> Vec<Digest> {
    let mut digests = Vec::new();
    for content in 0..many {
        let algorithm = if content % 3 == 0 { Algorithm::Sha512 } else { Algorithm::Sha256 };
        let content = content.to_string();
        digests.push(push_as(&world.repository("a"), algorithm, content.as_bytes()).await);
    }
    digests.sort();
    digests
}

async fn what_is_good_is_found_good_in_the_order_of_digests_and_stays(world: World) {
    let pushed = push_many(&world, 30).await;
    let found = scrub(&world.store).await;
    assert_eq!(digests(&found), pushed);
    assert!(all_good(&found));
    assert_eq!(found.iter().map(|blob| blob.size).sum::<u64>(), 10 + 2 * 20);
    assert_eq!(world.store.damage(), Default::default());
    for digest in pushed {
        pull(&world.repository("a"), &digest).await.unwrap();
    }
}

async fn what_is_damaged_is_put_out_of_sight_and_brought_back_by_a_push(world: World) {
    let repository = world.repository("a");
    for (round, damage) in ["", "hel", "hello, world", "hellp"].into_iter().enumerate() {
        let digest = push(&repository, b"hello").await;
        let other = push(&repository, b"other").await;
        put(&world, &layout::blob(&digest), damage).await;
        let found = scrub(&world.store).await;
        let aside: Vec<_> =
            found.iter().filter(|blob| matches!(blob.finding, Finding::PutAside)).collect();
        let [blob] = aside[..] else { panic!("{found:?}") };
        assert_eq!((blob.digest, blob.size), (digest, damage.len() as u64));
        assert_eq!(found.len(), 2);
        let gone = pull(&repository, &digest).await;
        assert!(matches!(gone, Err(Error::BlobUnknown { .. })), "{gone:?}");
        assert_eq!(pull(&repository, &other).await.unwrap(), b"other");
        // It is kept.
        assert!(world.quarantined().await.contains(&Bytes::from_static(damage.as_bytes())));
        assert_eq!(world.store.damage().put_aside, round as u64 + 1);

        push(&repository, b"hello").await;
        assert_eq!(pull(&repository, &digest).await.unwrap(), b"hello");
        assert!(all_good(&scrub(&world.store).await));
    }
    assert_eq!(world.quarantined().await.len(), 4);
}

async fn a_blob_of_nothing_is_good(world: World) {
    push(&world.repository("a"), b"").await;
    assert!(all_good(&scrub(&world.store).await));
}

async fn a_manifest_that_was_altered_is_unknown_once_scrubbed(world: World) {
    let repository = world.repository("a");
    let digest = push_image(&repository, b"{}", &[b"layer"], "v1").await;
    let blob = layout::blob(&digest);
    let stored = world.backend.read_small(&blob, 10_000).await.unwrap().unwrap();
    let text = String::from_utf8(stored.to_vec()).unwrap();
    put(&world, &blob, text.replace("image.layer", "image.later")).await;
    assert!(repository.manifests().get(&digest.into()).await.is_ok(), "not found yet");
    scrub(&world.store).await;
    let gone = repository.manifests().get(&"v1".parse().unwrap()).await;
    assert!(matches!(gone, Err(Error::ManifestUnknown { .. })), "{gone:?}");
    push_image(&repository, b"{}", &[b"layer"], "v1").await;
    assert_eq!(repository.manifests().get(&digest.into()).await.unwrap().bytes, stored);
}

async fn a_scrub_goes_on_behind_the_blob_it_had_come_to(world: World) {
    let pushed = push_many(&world, 12).await;
    for (at, digest) in pushed.iter().enumerate() {
        let options = ScrubOptions { after: Some(*digest), ..Default::default() };
        let found: Vec<_> = world.store.scrub(options).try_collect().await.unwrap();
        assert_eq!(digests(&found), pushed[at + 1..]);
    }
    // It need not be there.
    let absent = Digest::sha256(b"absent");
    let options = ScrubOptions { after: Some(absent), ..Default::default() };
    let found: Vec<_> = world.store.scrub(options).try_collect().await.unwrap();
    let expected: Vec<_> = pushed.iter().filter(|digest| **digest > absent).copied().collect();
    assert_eq!(digests(&found), expected);
}

async fn a_blob_that_cannot_be_read_is_told_of_and_left(world: World) {
    let pushed = push_many(&world, 6).await;
    let faulty = FaultyBackend::new(world.backend.clone());
    let store = store_on(faulty.clone());
    let kind = ErrorKind::Io;
    faulty.arm(Fault { method: Some(Method::Read), call: 2, kind, moment: Moment::Before });
    let found = scrub(&store).await;
    assert!(!faulty.disarm());
    assert_eq!(digests(&found), pushed);
    let unreadable: Vec<_> = found
        .iter()
        .filter(|blob| matches!(&blob.finding, Finding::Unreadable(error) if error.kind() == kind))
        .collect();
    assert_eq!(unreadable.len(), 1);
    assert!(all_good(&scrub(&store).await), "it stayed");
}

async fn a_damaged_blob_that_cannot_be_put_out_of_sight_is_told_of_and_left(world: World) {
    let digest = push(&world.repository("a"), b"hello").await;
    put(&world, &layout::blob(&digest), "hellp").await;
    let faulty = FaultyBackend::new(world.backend.clone());
    let store = store_on(faulty.clone());
    for kind in [ErrorKind::Denied, ErrorKind::Full] {
        let method = Some(Method::Quarantine);
        faulty.arm(Fault { method, call: 1, kind, moment: Moment::Before });
        let found = scrub(&store).await;
        assert!(!faulty.disarm());
        let [ScrubbedBlob { finding: Finding::Left(error), .. }] = &found[..] else {
            panic!("{found:?}")
        };
        assert_eq!(error.kind(), kind);
    }
    assert!(matches!(scrub(&store).await[0].finding, Finding::PutAside));
}

async fn a_place_that_cannot_be_listed_is_told_of_and_passed_over(world: World) {
    let pushed = push_many(&world, 8).await;
    let faulty = FaultyBackend::new(world.backend.clone());
    let store = store_on(faulty.clone());
    // The first is of the shards' names, the second of those in one.
    let (method, kind) = (Some(Method::ListChildren), ErrorKind::Io);
    faulty.arm(Fault { method, call: 2, kind, moment: Moment::Before });
    let found: Vec<_> = store.scrub(ScrubOptions::default()).collect().await;
    assert!(!faulty.disarm());
    let (good, failed): (Vec<_>, Vec<_>) = found.into_iter().partition(Result::is_ok);
    assert_eq!(failed.len(), 1);
    let good: Vec<_> = good.into_iter().map(|blob| blob.unwrap().digest).collect();
    let shard = layout::blob_shard(&pushed[0]);
    let expected: Vec<_> =
        pushed.into_iter().filter(|digest| layout::blob_shard(digest) != shard).collect();
    assert_eq!(good, expected);
}

async fn storage_that_is_not_there_ends_a_scrub(world: World) {
    push_many(&world, 8).await;
    let faulty = FaultyBackend::new(world.backend.clone());
    let store = store_on(faulty.clone());
    let (method, kind) = (Some(Method::Read), ErrorKind::Unavailable);
    faulty.arm(Fault { method, call: 3, kind, moment: Moment::Before });
    let found: Vec<_> = store.scrub(ScrubOptions::default()).collect().await;
    let (last, before) = found.split_last().unwrap();
    assert!(matches!(last, Err(Error::Storage(error)) if error.kind() == kind), "{found:?}");
    assert!(before.len() == 2 && before.iter().all(Result::is_ok), "{found:?}");
}

async fn a_blob_that_goes_before_it_is_read_is_not_told_of(world: World) {
    let digest = push(&world.repository("a"), b"hello").await;
    let blob = layout::blob(&digest);
    let gates = GatedBackend::new(world.backend.clone());
    let store = store_on(gates.clone());
    let gate = gates.shut(Moment::Before, Method::Read, &blob);
    let gone = async { world.backend.delete(std::slice::from_ref(&blob)).await.unwrap() };
    let found = gate.meanwhile(scrub(&store), gone).await;
    assert!(found.is_empty(), "{found:?}");
    assert_eq!(store.damage(), Default::default());
}

async fn a_blob_that_is_deleted_while_it_is_read_does_not_stop_the_scrub(world: World) {
    let pushed = push_many(&world, 5).await;
    let blob = layout::blob(&pushed[2]);
    let gates = GatedBackend::new(world.backend.clone());
    let store = store_on(gates.clone());
    let gate = gates.shut(Moment::After, Method::Read, &blob);
    let gone = async { world.backend.delete(std::slice::from_ref(&blob)).await.unwrap() };
    let found = gate.meanwhile(scrub(&store), gone).await;
    assert!(all_good(&found), "{found:?}");
    assert_eq!(digests(&found), pushed, "what was opened stays readable");
}

async fn what_lies_among_blobs_and_is_none_is_passed_over(world: World) {
    let digest = push(&world.repository("a"), b"hello").await;
    let shard = layout::blob_shard(&digest);
    let place = layout::blobs(Algorithm::Sha256);
    let below = |place: &Key, path: &str| format!("{place}/{path}").parse::<Key>().unwrap();
    let elsewhere = Digest::sha256(b"elsewhere");
    for stray in [
        below(&shard, "readme"),
        below(&shard, "short/data"),
        below(&shard, &format!("{}/data", elsewhere.hex())),
        below(&place, "zz/x/data"),
        below(&place, "readme"),
        below(&place, "long/x/data"),
        layout::blob(&digest).parent().unwrap().child("data.x.quarantined").unwrap(),
        layout::blob(&elsewhere).parent().unwrap().child("data.x.quarantined").unwrap(),
    ] {
        put(&world, &stray, "stray").await;
    }
    let found = scrub(&world.store).await;
    assert!(digests(&found) == [digest] && all_good(&found), "{found:?}");
}

async fn damaged_links_are_told_of_by_their_keys_and_stay(world: World) {
    let repository = world.repository("a");
    let manifest = push_image(&repository, b"{}", &[b"layer"], "v1").await;
    push_image(&repository, b"{}", &[b"layer"], "v2").await;
    push_image(&world.repository("b/c"), b"{}", &[], "v1").await;
    let links = RepositoryLayout::new(repository.name());
    let layer = links.layer_link(&Digest::sha256(b"layer"));
    let (tag, revision) =
        (links.tag_current_link(&"v1".parse().unwrap()), links.revision_link(&manifest));
    put(&world, &layer, "").await;
    put(&world, &revision, Digest::sha256(b"other").to_string()).await;
    put(&world, &tag, "\0\0\0").await;

    let found: Vec<_> = world.store.scrub_links().try_collect().await.unwrap();
    let [(a, of_a), (b, of_b)] = &found[..] else { panic!("{found:?}") };
    assert_eq!((a.as_str(), b.as_str()), ("a", "b/c"));
    let (of_a, of_b) = (of_a.as_ref().unwrap(), of_b.as_ref().unwrap());
    assert_eq!(of_a.first_damaged, [layer.clone(), revision.clone(), tag.clone()]);
    assert_eq!((of_a.links, of_a.damaged, of_a.unreadable), (5, 3, 0));
    assert_eq!((of_b.links, of_b.damaged), (3, 0));
    assert_eq!(world.store.damage().links, 3);
    assert!(world.backend.head(&layer).await.unwrap().is_some());

    push_image(&repository, b"{}", &[b"layer"], "v1").await;
    let found: Vec<_> = world.store.scrub_links().try_collect().await.unwrap();
    assert!(found.iter().all(|(_, report)| report.as_ref().unwrap().damaged == 0), "{found:?}");
}

async fn a_link_that_cannot_be_read_is_told_of(world: World) {
    push_image(&world.repository("a"), b"{}", &[b"layer"], "v1").await;
    let faulty = FaultyBackend::new(world.backend.clone());
    let store = store_on(faulty.clone());
    let (method, kind) = (Some(Method::Read), ErrorKind::Io);
    faulty.arm(Fault { method, call: 2, kind, moment: Moment::Before });
    let found: Vec<_> = store.scrub_links().try_collect().await.unwrap();
    let report = found[0].1.as_ref().unwrap();
    assert_eq!((report.links, report.unreadable, report.first_unreadable.len()), (3, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_scrub_reads_no_faster_than_it_is_told_to() {
    let world = World::memory();
    for content in [b"one", b"two", b"six"] {
        push(&world.repository("a"), content).await;
    }
    let started = Instant::now();
    let rate = NonZeroU64::new(3);
    let options = ScrubOptions { bytes_per_second: rate, ..Default::default() };
    let found: Vec<_> = world.store.scrub(options).try_collect().await.unwrap();
    assert_eq!(found.len(), 3);
    assert_eq!(started.elapsed(), Duration::from_secs(3));
}

#[tokio::test]
async fn a_scrub_that_is_not_asked_for_more_reads_no_more() {
    let world = World::memory();
    push_many(&world, 20).await;
    let counted = Arc::new(registry_tests::backends::CountedBackend::new(world.backend.clone()));
    let store = Store::new(counted.clone(), Default::default());
    let mut scrub = store.scrub(ScrubOptions::default());
    scrub.try_next().await.unwrap().unwrap();
    drop(scrub);
    let read = counted.counts().of(Method::Read);
    assert!(read <= 2, "{read}");
}

#[tokio::test]
async fn a_file_that_was_altered_in_its_place_is_found() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().to_owned();
    let world = World::in_directory(directory);
    let digest = push(&world.repository("a"), b"hello").await;
    let file = root.join(layout::blob(&digest).as_str());
    let modified = std::fs::metadata(&file).unwrap().modified().unwrap();
    // As a disk does it: the same file, of the same time.
    let open = std::fs::File::options().write(true).open(&file).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&open, b"j", 0).unwrap();
    open.set_modified(modified).unwrap();
    assert_eq!(pull(&world.repository("a"), &digest).await.unwrap(), b"jello", "not found yet");
    assert!(matches!(scrub(&world.store).await[0].finding, Finding::PutAside));
    let other = world.another_process();
    assert!(pull(&repository(&other, "a"), &digest).await.is_err());
    push(&repository(&other, "a"), b"hello").await;
    assert_eq!(pull(&world.repository("a"), &digest).await.unwrap(), b"hello");
    assert_eq!(world.quarantined().await, ["jello"]);
}
