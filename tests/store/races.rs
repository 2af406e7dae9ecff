//! Races: an operation is stopped between two of its steps, something else happens, and it goes on.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt as _, stream};
use registry_store::backend::{Backend, BackendExt as _, ErrorKind, Key, PutMode};
use registry_store::digest::{Algorithm, Digest};
use registry_store::error::{BodyError, Error};
use registry_store::layout::{self, RepositoryLayout};
use registry_store::reference::Tag;
use registry_store::repository::Repository;
use registry_store::uploads::ResumeAt;
use registry_tests::backends::{Fault, FaultyBackend, GatedBackend, Method, Moment};
use registry_tests::documents::{image, push_image, push_manifest};
use registry_tests::world::{World, pull, push, repository, store_on};

// Where what is visible is durable, one look is enough: see below.
on_every_backend_that_is_looked_at_twice!(
    a_link_that_goes_during_a_manifest_put_is_missed_before_the_tag,
    a_blob_that_goes_during_a_manifest_put_is_missed_before_the_tag,
    a_link_that_goes_after_the_tag_is_missed_all_the_same,
    a_blob_that_goes_after_the_tag_is_missed_all_the_same,
    a_manifest_that_goes_after_its_tag_is_missed_too,
    a_blob_that_goes_before_it_is_linked_is_not_mounted,
    a_blob_that_goes_after_it_is_linked_is_not_mounted,
);

on_every_backend!(
    a_manifest_that_goes_before_its_tag_is_missed,
    what_goes_during_a_put_is_missed_by_the_next_and_healed_by_a_push,
    a_tag_made_by_another_program_during_a_manifest_delete_goes,
    a_tag_moved_by_another_program_during_a_manifest_delete_stays,
    a_tag_pushed_by_another_program_during_its_delete_keeps_its_history,
    a_tag_newly_pushed_by_another_program_during_its_delete_keeps_its_history,
    a_blob_that_is_healed_while_it_is_judged_damaged_stays,
    a_tag_is_read_where_it_was_moved_to_when_the_old_manifest_is_gone,
    a_fault_of_the_storage_during_an_append_does_not_wait_for_the_client,
    a_fault_of_the_storage_during_a_put_does_not_wait_for_the_client,
);

/// A repository whose calls can be stopped, and its keys.
struct Stoppable {
    gates: GatedBackend,
    repository: Repository,
    keys: RepositoryLayout,
}

fn stoppable(world: &World, name: &str) -> Stoppable {
    let gates = GatedBackend::new(world.backend.clone());
    let repository = repository(&store_on(gates.clone()), name);
    let keys = RepositoryLayout::new(repository.name());
    Stoppable { gates, repository, keys }
}

fn v1() -> Tag {
    "v1".parse().unwrap()
}

async fn is_there(world: &World, key: &Key) -> bool {
    world.backend.head(key).await.unwrap().is_some()
}

/// What a program that does not know our locks does to make, or move, a tag: its history first.
async fn tag_as_another_program(
    backend: &Arc<dyn Backend>,
    keys: &RepositoryLayout,
    tag: &Tag,
    digest: &Digest,
) {
    for link in [keys.tag_index_link(tag, digest), keys.tag_current_link(tag)] {
        backend.put(&link, digest.to_string().into(), PutMode::Overwrite).await.unwrap();
    }
}

/// Which of the steps of a manifest put is the last before something goes.
enum Step {
    RevisionLink,
    Tag,
}

/// Puts an image with a tag. After `step` another program takes away what `gone` names.
async fn put_while_something_goes(
    world: &World,
    step: Step,
    gone: impl FnOnce(&RepositoryLayout, &Digest) -> Key,
) -> Stoppable {
    let stoppable = stoppable(world, "a");
    let Stoppable { gates, repository, keys } = &stoppable;
    push(repository, b"{}").await;
    let layer = push(repository, b"hello").await;
    let manifest = image(b"{}", &[b"hello"]);
    let digest = manifest.digest(Algorithm::Sha256);
    let written = match step {
        Step::RevisionLink => keys.revision_link(&digest),
        Step::Tag => keys.tag_current_link(&v1()),
    };
    let gone = gone(keys, &layer);
    let missing = if gone == keys.revision_link(&digest) { digest } else { layer };

    let tags = [v1()];
    let manifests = repository.manifests();
    let method = match step {
        Step::RevisionLink => Method::PutAll,
        Step::Tag => Method::Point,
    };
    let gate = gates.shut(Moment::After, method, &written);
    let outcome = gate
        .meanwhile(manifests.put(&manifest, &digest, &tags), async {
            world.backend.delete(std::slice::from_ref(&gone)).await.unwrap();
        })
        .await;
    let Err(Error::ManifestBlobUnknown { missing: found, .. }) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(found, [missing]);
    stoppable
}

async fn a_link_that_goes_during_a_manifest_put_is_missed_before_the_tag(world: World) {
    let put = put_while_something_goes(&world, Step::RevisionLink, RepositoryLayout::layer_link);
    let Stoppable { keys, .. } = put.await;
    assert!(!is_there(&world, &keys.tag_current_link(&v1())).await);
}

async fn a_blob_that_goes_during_a_manifest_put_is_missed_before_the_tag(world: World) {
    let blob = |_: &RepositoryLayout, layer: &Digest| layout::blob(layer);
    let Stoppable { keys, .. } = put_while_something_goes(&world, Step::RevisionLink, blob).await;
    assert!(!is_there(&world, &keys.tag_current_link(&v1())).await);
}

async fn a_link_that_goes_after_the_tag_is_missed_all_the_same(world: World) {
    let put = put_while_something_goes(&world, Step::Tag, RepositoryLayout::layer_link);
    let Stoppable { repository, .. } = put.await;
    // What was missing is pushed again, and so is the manifest: that puts it right.
    push_image(&repository, b"{}", &[b"hello"], "v1").await;
}

async fn a_blob_that_goes_after_the_tag_is_missed_all_the_same(world: World) {
    let blob = |_: &RepositoryLayout, layer: &Digest| layout::blob(layer);
    let Stoppable { repository, .. } = put_while_something_goes(&world, Step::Tag, blob).await;
    push_image(&repository, b"{}", &[b"hello"], "v1").await;
    assert_eq!(pull(&repository, &Digest::sha256(b"hello")).await.unwrap(), b"hello");
}

async fn a_manifest_that_goes_after_its_tag_is_missed_too(world: World) {
    let own = |keys: &RepositoryLayout, _: &Digest| {
        keys.revision_link(&image(b"{}", &[b"hello"]).digest(Algorithm::Sha256))
    };
    put_while_something_goes(&world, Step::Tag, own).await;
}

async fn a_manifest_that_goes_before_its_tag_is_missed(world: World) {
    let Stoppable { gates, repository, keys } = stoppable(&world, "a");
    push(&repository, b"{}").await;
    let manifest = image(b"{}", &[]);
    let digest = manifest.digest(Algorithm::Sha256);
    let (manifests, tags) = (repository.manifests(), [v1()]);
    let gate = gates.shut(Moment::Before, Method::Point, &keys.tag_current_link(&v1()));
    let outcome = gate
        .meanwhile(manifests.put(&manifest, &digest, &tags), async {
            world.backend.delete(&[keys.revision_link(&digest)]).await.unwrap();
        })
        .await;
    let Err(Error::ManifestBlobUnknown { missing, .. }) = outcome else { panic!("{outcome:?}") };
    assert_eq!(missing, [digest]);
}

/// What a foreign program takes away beside us may be missed at once or not; never for ever.
async fn what_goes_during_a_put_is_missed_by_the_next_and_healed_by_a_push(world: World) {
    let Stoppable { gates, repository, keys } = stoppable(&world, "a");
    push(&repository, b"{}").await;
    let manifest = image(b"{}", &[b"hello"]);
    let digest = manifest.digest(Algorithm::Sha256);
    let (manifests, tags) = (repository.manifests(), [v1()]);
    for goes in
        [RepositoryLayout::layer_link, |_: &RepositoryLayout, digest: &Digest| layout::blob(digest)]
    {
        let layer = push(&repository, b"hello").await;
        let gate = gates.shut(Moment::Before, Method::Point, &keys.tag_current_link(&v1()));
        let outcome = gate
            .meanwhile(manifests.put(&manifest, &digest, &tags), async {
                world.backend.delete(&[goes(&keys, &layer)]).await.unwrap();
            })
            .await;
        let again = manifests.put(&manifest, &digest, &tags).await;
        for outcome in [outcome, again] {
            match outcome {
                Ok(()) => assert!(world.backend.medium().visible_is_durable),
                Err(Error::ManifestBlobUnknown { missing, .. }) => assert_eq!(missing, [layer]),
                Err(error) => panic!("{error}"),
            }
        }
        let error = manifests.put(&manifest, &digest, &tags).await.unwrap_err();
        assert!(matches!(error, Error::ManifestBlobUnknown { .. }), "{error}");
        push_image(&repository, b"{}", &[b"hello"], "v1").await;
    }
}

async fn a_blob_that_goes_before_it_is_linked_is_not_mounted(world: World) {
    let Stoppable { gates, repository, keys } = stoppable(&world, "b");
    let source = world.repository("a");
    let digest = push(&source, b"hello").await;
    let blob = layout::blob(&digest);
    let gate = gates.shut(Moment::After, Method::Head, &blob);
    let mounted = gate
        .meanwhile(repository.mount(&digest, source.name()), async {
            world.backend.delete(std::slice::from_ref(&blob)).await.unwrap();
        })
        .await;
    assert_eq!(mounted.unwrap(), None);
    assert!(!is_there(&world, &keys.layer_link(&digest)).await);
}

async fn a_blob_that_goes_after_it_is_linked_is_not_mounted(world: World) {
    let Stoppable { gates, repository, keys } = stoppable(&world, "b");
    let source = world.repository("a");
    let digest = push(&source, b"hello").await;
    let gate = gates.shut(Moment::After, Method::PutAll, &keys.layer_link(&digest));
    let mounted = gate
        .meanwhile(repository.mount(&digest, source.name()), async {
            world.backend.delete(&[layout::blob(&digest)]).await.unwrap();
        })
        .await;
    assert_eq!(mounted.unwrap(), None);
    assert!(matches!(repository.blobs().size(&digest).await, Err(Error::BlobUnknown { .. })));
}

async fn a_tag_made_by_another_program_during_a_manifest_delete_goes(world: World) {
    let Stoppable { gates, repository, keys } = stoppable(&world, "a");
    let digest = push_image(&repository, b"{}", &[], "v1").await;
    let manifests = repository.manifests();
    let late: Tag = "late".parse().unwrap();
    let gate = gates.shut(Moment::Before, Method::Delete, &keys.revision_link(&digest));
    gate.meanwhile(manifests.delete(&digest), async {
        assert!(!is_there(&world, &keys.tag_current_link(&v1())).await);
        tag_as_another_program(&world.backend, &keys, &late, &digest).await;
    })
    .await
    .unwrap();
    assert!(!is_there(&world, &keys.tag_current_link(&late)).await);
    assert!(repository.tags().list(None, 9).await.unwrap().items.is_empty());
}

async fn a_tag_moved_by_another_program_during_a_manifest_delete_stays(world: World) {
    let Stoppable { gates, repository, keys } = stoppable(&world, "a");
    let new = push_image(&repository, b"{}", &[b"new"], "v2").await;
    let old = push_image(&repository, b"{}", &[], "v1").await;
    let manifests = repository.manifests();
    let current = keys.tag_current_link(&v1());
    let gate = gates.shut(Moment::Before, Method::DeleteIf, &current);
    gate.meanwhile(manifests.delete(&old), async {
        tag_as_another_program(&world.backend, &keys, &v1(), &new).await;
    })
    .await
    .unwrap();
    assert_eq!(manifests.get(&v1().into()).await.unwrap().digest, new);
}

/// Deletes a tag on the second of two images. When the tag itself is gone, and the rest of it is not yet,
/// another program points it at `pushed`. Its history then holds that, and nothing of before.
async fn delete_a_tag_while_it_is_pushed(
    world: &World,
    pushed: impl AsyncFnOnce(&Repository) -> Digest,
) {
    let Stoppable { gates, repository, keys } = stoppable(world, "a");
    push_image(&repository, b"{}", &[], "v1").await;
    push_image(&repository, b"{}", &[b"new"], "v1").await;
    let pushed = pushed(&repository).await;
    let tags = repository.tags();
    let gate = gates.shut(Moment::After, Method::Delete, &keys.tag_current_link(&v1()));
    gate.meanwhile(tags.delete(&v1()), async {
        assert!(!is_there(world, &keys.tag_current_link(&v1())).await);
        tag_as_another_program(&world.backend, &keys, &v1(), &pushed).await;
    })
    .await
    .unwrap();
    assert_eq!(tags.resolve(&v1()).await.unwrap(), pushed);
    assert_eq!(tags.history(&v1(), None, 9).await.unwrap().items, [pushed]);
}

async fn a_tag_pushed_by_another_program_during_its_delete_keeps_its_history(world: World) {
    let again = async |_: &Repository| image(b"{}", &[b"new"]).digest(Algorithm::Sha256);
    delete_a_tag_while_it_is_pushed(&world, again).await;
}

async fn a_tag_newly_pushed_by_another_program_during_its_delete_keeps_its_history(world: World) {
    let other = async |repository: &Repository| {
        push(repository, b"other").await;
        push_manifest(repository, &image(b"{}", &[b"other"]), &[]).await
    };
    delete_a_tag_while_it_is_pushed(&world, other).await;
}

async fn a_blob_that_is_healed_while_it_is_judged_damaged_stays(world: World) {
    let Stoppable { gates, repository, .. } = stoppable(&world, "a");
    push(&repository, b"{}").await;
    let layer = push(&repository, b"hello").await;
    let blob = layout::blob(&layer);
    world.backend.put(&blob, "hel".into(), PutMode::Overwrite).await.unwrap();

    let manifest = image(b"{}", &[b"hello"]);
    let digest = manifest.digest(Algorithm::Sha256);
    let (manifests, tags) = (repository.manifests(), [v1()]);
    let gate = gates.shut(Moment::After, Method::Read, &blob);
    let judged = gate
        .meanwhile(manifests.put(&manifest, &digest, &tags), async {
            push_image(&repository, b"{}", &[b"hello"], "v2").await;
        })
        .await;
    // It was damaged when it was looked at and is good by now: either answer is true.
    assert!(matches!(judged, Ok(()) | Err(Error::ManifestBlobUnknown { .. })), "{judged:?}");
    assert_eq!(pull(&repository, &layer).await.unwrap(), b"hello");
    manifests.get(&"v2".parse().unwrap()).await.unwrap();
}

async fn a_tag_is_read_where_it_was_moved_to_when_the_old_manifest_is_gone(world: World) {
    let Stoppable { gates, repository, keys } = stoppable(&world, "a");
    let old = push_image(&repository, b"{}", &[], "v1").await;
    let (manifests, reference) = (repository.manifests(), v1().into());
    let gate = gates.shut(Moment::Before, Method::Read, &keys.revision_link(&old));
    let found = gate
        .meanwhile(manifests.get(&reference), async {
            push_image(&repository, b"{}", &[b"new"], "v1").await;
            manifests.delete(&old).await.unwrap();
        })
        .await;
    assert_eq!(found.unwrap().bytes, image(b"{}", &[b"new"]).bytes());
}

/// Enough to be written, and then nothing for ever.
fn stalled_body() -> impl Stream<Item = Result<Bytes, BodyError>> {
    let first = stream::iter([Ok(Bytes::from(vec![7; 600 * 1024]))]);
    first.chain(stream::pending())
}

/// A repository on storage that fails the first append.
fn failing(world: &World) -> Repository {
    let backend = FaultyBackend::new(world.backend.clone());
    let (method, kind, moment) = (Some(Method::Append), ErrorKind::Full, Moment::Before);
    backend.arm(Fault { method, call: 1, kind, moment });
    repository(&store_on(backend), "a")
}

/// The answer to a request whose client does not go on. The bound is for a run in which there is none.
async fn is_full<T>(request: impl Future<Output = Result<T, Error>>) -> bool {
    let answer = tokio::time::timeout(Duration::from_secs(60), request).await;
    let answer = answer.expect("an answer, though the client does not go on").map(drop);
    matches!(answer, Err(Error::Storage(error)) if error.kind() == ErrorKind::Full)
}

async fn a_fault_of_the_storage_during_an_append_does_not_wait_for_the_client(world: World) {
    let uploads = failing(&world).uploads();
    let id = uploads.start(Algorithm::Sha256).await.unwrap().id;
    assert!(is_full(uploads.append(id, ResumeAt::default(), stalled_body())).await);
    assert_eq!(uploads.status(id).await.unwrap().tip.offset, 0);
}

async fn a_fault_of_the_storage_during_a_put_does_not_wait_for_the_client(world: World) {
    let repository = failing(&world);
    let digest = Digest::sha256(&[7; 600 * 1024]);
    assert!(is_full(repository.blobs().put(&digest, stalled_body())).await);
    assert!(!is_there(&world, &layout::blob(&digest)).await);
}
