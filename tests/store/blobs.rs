//! Blobs: pushed in one go, read whole and in parts, deleted.

use std::sync::Arc;

use registry_store::backend::{ErrorKind, ReadRange};
use registry_store::digest::{Algorithm, Digest};
use registry_store::error::Error;
use registry_store::options::StoreOptions;
use registry_store::store::Store;
use registry_tests::backends::{Fault, FaultyBackend, Method, Moment};
use registry_tests::world::{
    World, body, broken_body, pull, pull_range, push, push_as, repository,
};

on_every_backend!(
    a_blob_is_read_back_as_it_was_pushed,
    a_blob_of_many_buffers_is_read_back_as_it_was_pushed,
    a_blob_pushed_by_its_sha512_is_read_by_it,
    the_empty_blob_is_a_blob,
    a_blob_is_not_in_a_repository_it_was_not_pushed_to,
    a_blob_is_read_in_parts,
    a_part_that_does_not_exist_is_refused_with_the_size,
    content_of_another_digest_is_refused_and_leaves_nothing,
    a_body_that_breaks_off_leaves_nothing,
    a_deleted_blob_is_gone_and_can_be_pushed_again,
    deleting_a_blob_leaves_it_to_other_repositories,
    deleting_a_blob_that_is_not_there_is_an_error,
    two_pushes_of_one_blob_at_once_both_succeed,
    a_blob_that_is_deleted_while_it_is_read_is_read_to_its_end,
    a_push_whose_clean_up_fails_is_a_push,
);

async fn a_blob_is_read_back_as_it_was_pushed(world: World) {
    let repository = world.repository("library/debian");
    let digest = push(&repository, b"hello").await;
    assert_eq!(pull(&repository, &digest).await.unwrap(), b"hello");
    assert_eq!(repository.blobs().size(&digest).await.unwrap(), 5);
}

async fn a_blob_of_many_buffers_is_read_back_as_it_was_pushed(world: World) {
    let repository = world.repository("a");
    let content: Vec<u8> = (0..5_000_003u32).map(|n| (n % 251) as u8).collect();
    let digest = Digest::sha256(&content);
    let parts: Vec<&[u8]> = content.chunks(70_001).collect();
    repository.blobs().put(&digest, body(&parts)).await.unwrap();
    assert!(pull(&repository, &digest).await.unwrap() == content);
}

async fn a_blob_pushed_by_its_sha512_is_read_by_it(world: World) {
    let repository = world.repository("a");
    let digest = push_as(&repository, Algorithm::Sha512, b"hello").await;
    assert_eq!(pull(&repository, &digest).await.unwrap(), b"hello");
    let error = pull(&repository, &Digest::sha256(b"hello")).await.unwrap_err();
    assert!(matches!(error, Error::BlobUnknown { .. }));
}

async fn the_empty_blob_is_a_blob(world: World) {
    let repository = world.repository("a");
    let digest = push(&repository, b"").await;
    assert_eq!(pull(&repository, &digest).await.unwrap(), b"");
    assert_eq!(repository.blobs().size(&digest).await.unwrap(), 0);
}

async fn a_blob_is_not_in_a_repository_it_was_not_pushed_to(world: World) {
    let digest = push(&world.repository("a"), b"hello").await;
    for name in ["b", "a/b"] {
        let error = world.repository(name).blobs().size(&digest).await.unwrap_err();
        assert!(matches!(error, Error::BlobUnknown { digest: found, .. } if found == digest));
    }
}

async fn a_blob_is_read_in_parts(world: World) {
    let repository = world.repository("a");
    let digest = push(&repository, b"0123456789").await;
    for (range, expected) in [
        (ReadRange::Bounded { start: 2, end: 5 }, &b"234"[..]),
        (ReadRange::Bounded { start: 8, end: 99 }, b"89"),
        (ReadRange::From(7), b"789"),
        (ReadRange::Suffix(3), b"789"),
        (ReadRange::Suffix(99), b"0123456789"),
    ] {
        assert_eq!(pull_range(&repository, &digest, range).await.unwrap(), expected);
    }
}

async fn a_part_that_does_not_exist_is_refused_with_the_size(world: World) {
    let repository = world.repository("a");
    let digest = push(&repository, b"0123456789").await;
    let error = pull_range(&repository, &digest, ReadRange::From(10)).await.unwrap_err();
    assert!(matches!(error, Error::RangeNotSatisfiable { size: 10, .. }), "{error}");
}

async fn content_of_another_digest_is_refused_and_leaves_nothing(world: World) {
    let repository = world.repository("a");
    let digest = Digest::sha256(b"hello");
    let error = repository.blobs().put(&digest, body(&[b"help"])).await.unwrap_err();
    assert!(
        matches!(error, Error::DigestMismatch { found, .. } if found == Digest::sha256(b"help"))
    );
    assert!(repository.blobs().size(&digest).await.is_err());
    assert!(!repository.exists().await.unwrap());
}

async fn a_body_that_breaks_off_leaves_nothing(world: World) {
    let repository = world.repository("a");
    let digest = Digest::sha256(b"hello");
    let error = repository.blobs().put(&digest, broken_body(b"hello")).await.unwrap_err();
    assert!(matches!(error, Error::Body(_)));
    assert!(repository.blobs().size(&digest).await.is_err());
}

async fn a_deleted_blob_is_gone_and_can_be_pushed_again(world: World) {
    let repository = world.repository("a");
    for _ in 0..3 {
        let digest = push(&repository, b"{}").await;
        repository.blobs().delete(&digest).await.unwrap();
        assert!(matches!(pull(&repository, &digest).await, Err(Error::BlobUnknown { .. })));
    }
    assert!(!repository.exists().await.unwrap());
}

async fn deleting_a_blob_leaves_it_to_other_repositories(world: World) {
    let (a, b) = (world.repository("a"), world.repository("b"));
    let digest = push(&a, b"hello").await;
    push(&b, b"hello").await;
    a.blobs().delete(&digest).await.unwrap();
    assert_eq!(pull(&b, &digest).await.unwrap(), b"hello");
}

async fn deleting_a_blob_that_is_not_there_is_an_error(world: World) {
    let error = world.repository("a").blobs().delete(&Digest::sha256(b"")).await.unwrap_err();
    assert!(matches!(error, Error::BlobUnknown { .. }));
}

async fn two_pushes_of_one_blob_at_once_both_succeed(world: World) {
    let content = vec![7; 300_000];
    let digest = Digest::sha256(&content);
    let (a, b) = (world.repository("a"), world.repository("b"));
    let (one, other) = (a.blobs(), b.blobs());
    let both =
        futures::join!(one.put(&digest, body(&[&content])), other.put(&digest, body(&[&content])),);
    both.0.unwrap();
    both.1.unwrap();
    assert!(pull(&a, &digest).await.unwrap() == content);
    assert!(pull(&b, &digest).await.unwrap() == content);
}

async fn a_blob_that_is_deleted_while_it_is_read_is_read_to_its_end(world: World) {
    use futures::TryStreamExt as _;
    let repository = world.repository("a");
    let content = vec![7; 3_000_000];
    let digest = push(&repository, &content).await;
    let blob = repository.blobs().get(&digest, ReadRange::Full).await.unwrap();
    repository.blobs().delete(&digest).await.unwrap();
    let read: Vec<bytes::Bytes> = blob.into_stream().try_collect().await.unwrap();
    assert!(read.concat() == content);
}

async fn a_push_whose_clean_up_fails_is_a_push(world: World) {
    let backend = FaultyBackend::new(world.backend.clone());
    let (method, kind) = (Some(Method::Discard), ErrorKind::Io);
    backend.arm(Fault { method, call: 1, kind, moment: Moment::Before });
    let store = Store::new(Arc::new(backend.clone()), StoreOptions::default());
    let digest = push(&repository(&store, "a"), b"hello").await;
    assert!(!backend.disarm(), "the clean-up was to fail");
    assert_eq!(pull(&world.repository("a"), &digest).await.unwrap(), b"hello");
}
