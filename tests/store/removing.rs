//! `Store::remove_blob`: a blob's bytes go, everywhere, as an operator's own collector asks for.

use futures::TryStreamExt as _;
use registry_store::backend::{ErrorKind, ReadRange};
use registry_store::digest::{Algorithm, Digest};
use registry_store::error::Error;
use registry_store::layout;
use registry_tests::backends::{Fault, FaultyBackend, GatedBackend, Method, Moment};
use registry_tests::documents::{image, push_image};
use registry_tests::world::{World, body, pull, push, push_as};

on_every_backend!(
    a_removed_blob_is_gone_from_every_repository,
    what_was_never_there_is_not_removed,
    a_removed_blob_is_not_removed_again,
    other_blobs_stay,
    a_removed_blob_is_there_again_with_the_next_push,
    a_removed_blob_is_not_mounted,
    a_blob_of_sha512_is_removed,
    who_reads_a_blob_reads_it_to_its_end,
    a_manifest_whose_layer_was_removed_is_put_once_the_layer_is_back,
    a_removed_manifest_is_unknown_until_it_is_put_again,
    an_open_session_of_the_same_bytes_becomes_the_blob_again,
    a_removal_that_fails_leaves_the_blob_and_can_be_asked_for_again,
    a_removal_whose_caller_leaves_comes_to_its_end,
);

async fn expect_unknown(world: &World, name: &str, digest: &Digest) {
    let repository = world.repository(name);
    let size = repository.blobs().size(digest).await;
    assert!(matches!(size, Err(Error::BlobUnknown { .. })), "{size:?}");
    let read = pull(&repository, digest).await;
    assert!(matches!(read, Err(Error::BlobUnknown { .. })), "{read:?}");
}

async fn a_removed_blob_is_gone_from_every_repository(world: World) {
    let digest = push(&world.repository("a"), b"hello").await;
    push(&world.repository("b/c"), b"hello").await;
    assert!(world.store.remove_blob(&digest).await.unwrap());
    assert_eq!(world.backend.head(&layout::blob(&digest)).await.unwrap(), None);
    for name in ["a", "b/c"] {
        expect_unknown(&world, name, &digest).await;
    }
    assert_eq!(world.store.damage(), Default::default(), "what was asked for is no damage");
}

async fn what_was_never_there_is_not_removed(world: World) {
    assert!(!world.store.remove_blob(&Digest::sha256(b"hello")).await.unwrap());
    assert!(!world.store.remove_blob(&Digest::of(Algorithm::Sha512, b"hello")).await.unwrap());
}

async fn a_removed_blob_is_not_removed_again(world: World) {
    let digest = push(&world.repository("a"), b"hello").await;
    assert!(world.store.remove_blob(&digest).await.unwrap());
    assert!(!world.store.remove_blob(&digest).await.unwrap());
    assert!(!world.another_process().remove_blob(&digest).await.unwrap());
}

async fn other_blobs_stay(world: World) {
    let repository = world.repository("a");
    let digest = push(&repository, b"hello").await;
    let other = push(&repository, b"world").await;
    assert!(world.store.remove_blob(&digest).await.unwrap());
    assert_eq!(pull(&repository, &other).await.unwrap(), b"world");
}

async fn a_removed_blob_is_there_again_with_the_next_push(world: World) {
    let digest = push(&world.repository("a"), b"hello").await;
    push(&world.repository("b"), b"hello").await;
    assert!(world.store.remove_blob(&digest).await.unwrap());
    push(&world.repository("a"), b"hello").await;
    // The links stayed, so the push of one is there for all.
    for name in ["a", "b"] {
        assert_eq!(pull(&world.repository(name), &digest).await.unwrap(), b"hello");
    }
    let reopened = world.another_process();
    let found = registry_tests::world::repository(&reopened, "a").blobs().size(&digest).await;
    assert_eq!(found.unwrap(), 5);
}

async fn a_removed_blob_is_not_mounted(world: World) {
    let from = world.repository("a");
    let digest = push(&from, b"hello").await;
    assert!(world.store.remove_blob(&digest).await.unwrap());
    assert_eq!(world.repository("b").mount(&digest, from.name()).await.unwrap(), None);
}

async fn a_blob_of_sha512_is_removed(world: World) {
    let repository = world.repository("a");
    let digest = push_as(&repository, Algorithm::Sha512, b"hello").await;
    let other = push(&repository, b"hello").await;
    assert!(world.store.remove_blob(&digest).await.unwrap());
    expect_unknown(&world, "a", &digest).await;
    assert_eq!(pull(&repository, &other).await.unwrap(), b"hello", "the other digest's own");
    push_as(&repository, Algorithm::Sha512, b"hello").await;
    assert_eq!(pull(&repository, &digest).await.unwrap(), b"hello");
}

async fn who_reads_a_blob_reads_it_to_its_end(world: World) {
    let repository = world.repository("a");
    let content: Vec<u8> = (0..3_000_000_u32).map(|number| number.to_le_bytes()[1]).collect();
    let digest = push(&repository, &content).await;
    let mut parts = repository.blobs().get(&digest, ReadRange::Full).await.unwrap().into_stream();
    let first = parts.try_next().await.unwrap().unwrap();
    assert!(world.store.remove_blob(&digest).await.unwrap());
    let rest: Vec<_> = parts.try_collect().await.unwrap();
    assert_eq!([first].into_iter().chain(rest).collect::<Vec<_>>().concat(), content);
    expect_unknown(&world, "a", &digest).await;
}

async fn a_manifest_whose_layer_was_removed_is_put_once_the_layer_is_back(world: World) {
    let repository = world.repository("a");
    push_image(&repository, b"{}", &[b"hello"], "v1").await;
    let manifest = image(b"{}", &[b"hello"]);
    let (digest, layer) = (Digest::sha256(manifest.bytes()), Digest::sha256(b"hello"));
    assert!(world.store.remove_blob(&layer).await.unwrap());
    let tags = ["latest".parse().unwrap()];
    let refused = repository.manifests().put(&manifest, &digest, &tags).await;
    assert!(matches!(refused, Err(Error::ManifestBlobUnknown { .. })), "{refused:?}");
    push(&repository, b"hello").await;
    repository.manifests().put(&manifest, &digest, &tags).await.unwrap();
}

async fn a_removed_manifest_is_unknown_until_it_is_put_again(world: World) {
    let repository = world.repository("a");
    push_image(&repository, b"{}", &[b"hello"], "v1").await;
    let manifest = image(b"{}", &[b"hello"]);
    let digest = Digest::sha256(manifest.bytes());
    assert!(world.store.remove_blob(&digest).await.unwrap());
    let found = repository.manifests().get(&digest.into()).await;
    assert!(matches!(found, Err(Error::ManifestUnknown { .. })), "{found:?}");
    repository.manifests().put(&manifest, &digest, &[]).await.unwrap();
    let found = repository.manifests().get(&digest.into()).await.unwrap();
    assert_eq!(found.bytes, *manifest.bytes());
}

async fn an_open_session_of_the_same_bytes_becomes_the_blob_again(world: World) {
    let repository = world.repository("a");
    let uploads = repository.uploads();
    let id = uploads.start(Algorithm::Sha256).await.unwrap().id;
    uploads.append(id, Default::default(), body(&["hel"])).await.unwrap();
    let digest = push(&repository, b"hello").await;
    assert!(world.store.remove_blob(&digest).await.unwrap());
    uploads.commit(id, Default::default(), &digest, body(&["lo"])).await.unwrap();
    assert_eq!(pull(&repository, &digest).await.unwrap(), b"hello");
}

async fn a_removal_that_fails_leaves_the_blob_and_can_be_asked_for_again(world: World) {
    let digest = push(&world.repository("a"), b"hello").await;
    let faulty = FaultyBackend::new(world.backend.clone());
    let store = world.over(faulty.clone());
    for method in [Method::Head, Method::Lock, Method::Delete] {
        let (kind, moment) = (ErrorKind::Unavailable, Moment::Before);
        faulty.arm(Fault { method: Some(method), call: 1, kind, moment });
        match store.remove_blob(&digest).await {
            Err(Error::Storage(error)) => assert_eq!(error.kind(), kind, "{method:?}"),
            other => panic!("{method:?}: {other:?}"),
        }
        assert_eq!(pull(&world.repository("a"), &digest).await.unwrap(), b"hello");
    }
    assert!(store.remove_blob(&digest).await.unwrap());
    expect_unknown(&world, "a", &digest).await;
}

async fn a_removal_whose_caller_leaves_comes_to_its_end(world: World) {
    let digest = push(&world.repository("a"), b"hello").await;
    let gated = GatedBackend::new(world.backend.clone());
    let store = world.over(gated.clone());
    let gate = gated.shut(Moment::Before, Method::Delete, &layout::blob(&digest));
    let left = tokio::spawn({
        let store = store.clone();
        async move { store.remove_blob(&digest).await }
    });
    let leaves = left.abort_handle();
    let ends = async {
        assert!(left.await.unwrap_err().is_cancelled());
        store.finish_detached().await;
    };
    gate.meanwhile(ends, async { leaves.abort() }).await;
    expect_unknown(&world, "a", &digest).await;
}
