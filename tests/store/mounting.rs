//! Mounting: a blob of one repository made one of another.

use registry_store::backend::BackendExt as _;
use registry_store::digest::Digest;
use registry_store::layout::{self, RepositoryLayout};
use registry_tests::world::{World, pull, push};

on_every_backend!(
    a_mounted_blob_is_read_from_its_new_repository,
    a_mounted_blob_survives_deletion_at_its_source,
    a_blob_the_source_does_not_have_is_not_mounted,
    mounting_twice_is_mounting_once,
    without_a_source_a_blob_is_mounted_from_anywhere,
    a_link_without_a_blob_is_not_mounted,
);

async fn a_mounted_blob_is_read_from_its_new_repository(world: World) {
    let (source, target) = (world.repository("a"), world.repository("b/c"));
    let digest = push(&source, b"hello").await;
    assert_eq!(target.mount(&digest, source.name()).await.unwrap(), Some(5));
    assert_eq!(pull(&target, &digest).await.unwrap(), b"hello");
    let link = RepositoryLayout::new(target.name()).layer_link(&digest);
    let content = world.backend.read_small(&link, 100).await.unwrap().unwrap();
    assert_eq!(content, digest.to_string());
}

async fn a_mounted_blob_survives_deletion_at_its_source(world: World) {
    let (source, target) = (world.repository("a"), world.repository("b"));
    let digest = push(&source, b"hello").await;
    assert!(target.mount(&digest, source.name()).await.unwrap().is_some());
    source.blobs().delete(&digest).await.unwrap();
    assert_eq!(pull(&target, &digest).await.unwrap(), b"hello");
}

async fn a_blob_the_source_does_not_have_is_not_mounted(world: World) {
    let (source, target) = (world.repository("a"), world.repository("b"));
    let digest = push(&world.repository("c"), b"hello").await;
    assert_eq!(target.mount(&digest, source.name()).await.unwrap(), None);
    assert!(!target.exists().await.unwrap());
}

async fn mounting_twice_is_mounting_once(world: World) {
    let (source, target) = (world.repository("a"), world.repository("b"));
    let digest = push(&source, b"hello").await;
    for _ in 0..2 {
        assert!(target.mount(&digest, source.name()).await.unwrap().is_some());
    }
    assert_eq!(pull(&target, &digest).await.unwrap(), b"hello");
}

async fn without_a_source_a_blob_is_mounted_from_anywhere(world: World) {
    let target = world.repository("b");
    let digest = push(&world.repository("a"), b"hello").await;
    assert!(target.mount_from_anywhere(&digest).await.unwrap().is_some());
    assert_eq!(pull(&target, &digest).await.unwrap(), b"hello");
    assert_eq!(target.mount_from_anywhere(&Digest::sha256(b"other")).await.unwrap(), None);
}

async fn a_link_without_a_blob_is_not_mounted(world: World) {
    let (source, target) = (world.repository("a"), world.repository("b"));
    let digest = push(&source, b"hello").await;
    world.backend.delete(&[layout::blob(&digest)]).await.unwrap();
    assert_eq!(target.mount(&digest, source.name()).await.unwrap(), None);
    assert!(!target.exists().await.unwrap());
}
