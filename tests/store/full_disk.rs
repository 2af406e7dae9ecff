//! A full disk, and data that no lock was ever taken of, as another registry leaves it: what makes room goes on.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use registry_store::backend::{ErrorKind, Key};
use registry_store::digest::{Algorithm, Digest};
use registry_store::error::{Error, Result};
use registry_store::gc::CollectOptions;
use registry_store::layout::{self, RepositoryLayout};
use registry_store::repository::Repository;
use registry_store::store::Store;
use registry_store::upload_id::UploadId;
use registry_tests::documents::{
    descriptor_of, image, image_document, manifest, push_image, push_manifest,
};
use registry_tests::world::{World, body, push, repository};
use tempfile::TempDir;

use crate::collecting::collect;

/// Data on a disk that can be filled.
struct Scene {
    world: World,
    is_full: Arc<AtomicBool>,
    directory: TempDir,
}

impl Scene {
    fn new() -> Self {
        let (directory, is_full) = (tempfile::tempdir().unwrap(), Arc::default());
        let world = World::on_a_disk_that_fills_up(directory.path(), &is_full);
        Self { world, is_full, directory }
    }

    fn a(&self) -> Repository {
        self.world.repository("a")
    }

    /// Leaves nothing of ours and no space, and opens what there is.
    fn fills_up(&self) -> Store {
        fs::remove_dir_all(self.directory.path().join("_rs")).unwrap();
        self.is_full.store(true, Ordering::SeqCst);
        self.world.another_process()
    }

    fn has(&self, key: &Key) -> bool {
        self.directory.path().join(key.as_str()).exists()
    }

    fn remove(&self, key: &Key) {
        fs::remove_file(self.directory.path().join(key.as_str())).unwrap();
    }

    /// A session as Distribution begins it: without its bytes, until the first comes.
    async fn session_without_bytes(&self) -> UploadId {
        let id = self.a().uploads().start(Algorithm::Sha256).await.unwrap().id;
        let keys = RepositoryLayout::new(self.a().name()).session(id);
        self.remove(&keys.data);
        self.remove(&keys.record);
        id
    }

    fn is_open(&self, id: UploadId) -> bool {
        self.has(&RepositoryLayout::new(self.a().name()).session(id).root)
    }
}

fn a(store: &Store) -> Repository {
    repository(store, "a")
}

fn assert_full<T>(result: Result<T>) {
    match result {
        Err(Error::Storage(error)) => assert_eq!(error.kind(), ErrorKind::Full, "{error}"),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("there is space"),
    }
}

#[tokio::test]
async fn a_tag_is_deleted() {
    let scene = Scene::new();
    let digest = push_image(&scene.a(), b"{}", &[], "v1").await;
    let store = scene.fills_up();
    a(&store).tags().delete(&"v1".parse().unwrap()).await.unwrap();
    assert!(a(&store).manifests().get(&digest.into()).await.is_ok());
    assert_eq!(a(&store).tags().list(None, 9).await.unwrap().items, []);
}

#[tokio::test]
async fn a_manifest_is_deleted_with_its_tags_and_its_record() {
    let scene = Scene::new();
    let subject = image(b"not pushed", &[]);
    let mut document = image_document(b"{}", &[]);
    document["subject"] = descriptor_of(&subject);
    push(&scene.a(), b"{}").await;
    let digest = push_manifest(&scene.a(), &manifest(&document), &["v1", "v2"]).await;
    let keys = RepositoryLayout::new(scene.a().name());
    let record = keys.referrer_link(&subject.digest(Algorithm::Sha256), &digest);
    assert!(scene.has(&record));
    let store = scene.fills_up();
    a(&store).manifests().delete(&digest).await.unwrap();
    assert!(!scene.has(&record) && !scene.has(&keys.tags()));
    assert!(a(&store).manifests().get(&digest.into()).await.is_err());
}

#[tokio::test]
async fn a_record_whose_manifest_is_gone_is_removed() {
    let scene = Scene::new();
    let subject = image(b"not pushed", &[]);
    let mut document = image_document(b"{}", &[]);
    document["subject"] = descriptor_of(&subject);
    push(&scene.a(), b"{}").await;
    let digest = push_manifest(&scene.a(), &manifest(&document), &[]).await;
    let keys = RepositoryLayout::new(scene.a().name());
    scene.remove(&keys.revision_link(&digest));
    let store = scene.fills_up();
    a(&store).referrers().rebuild().await.unwrap();
    assert!(!scene.has(&keys.referrer_link(&subject.digest(Algorithm::Sha256), &digest)));
}

#[tokio::test]
async fn a_blob_is_removed() {
    let scene = Scene::new();
    let digest = push(&scene.a(), b"hello").await;
    let store = scene.fills_up();
    a(&store).blobs().delete(&digest).await.unwrap();
    assert!(store.remove_blob(&digest).await.unwrap());
    assert!(!scene.has(&layout::blob(&digest)));
}

#[tokio::test]
async fn a_blob_that_is_one_file_with_the_bytes_of_a_session_is_removed() {
    let scene = Scene::new();
    let digest = push(&scene.a(), b"hello").await;
    let id = scene.session_without_bytes().await;
    let data = RepositoryLayout::new(scene.a().name()).session(id).data;
    let at = |key: &Key| scene.directory.path().join(key.as_str());
    fs::hard_link(at(&layout::blob(&digest)), at(&data)).unwrap();
    let store = scene.fills_up();
    assert!(store.remove_blob(&digest).await.unwrap());
    assert!(!scene.has(&layout::blob_place(&digest)) && scene.has(&data));
}

#[tokio::test]
async fn an_upload_is_cancelled_whoever_began_it() {
    let scene = Scene::new();
    let uploads = scene.a().uploads();
    let ours = uploads.start(Algorithm::Sha256).await.unwrap().id;
    uploads.append(ours, Default::default(), body(&["hello"])).await.unwrap();
    let theirs = scene.session_without_bytes().await;
    let store = scene.fills_up();
    for id in [ours, theirs] {
        a(&store).uploads().cancel(id).await.unwrap();
        assert!(!scene.is_open(id));
    }
}

#[tokio::test]
async fn uploads_expire_whoever_began_them() {
    let scene = Scene::new();
    let ours = scene.a().uploads().start(Algorithm::Sha256).await.unwrap().id;
    let theirs = scene.session_without_bytes().await;
    let store = scene.fills_up();
    scene.world.clock.advance(Duration::from_secs(3600));
    assert_eq!(store.purge_uploads(Duration::from_secs(60)).await.unwrap().uploads, 2);
    assert!(!scene.is_open(ours) && !scene.is_open(theirs));
}

#[tokio::test]
async fn garbage_is_collected_and_who_writes_keeps_it_away() {
    let scene = Scene::new();
    push_image(&scene.a(), b"{}", &[b"old"], "v1").await;
    push_image(&scene.a(), b"{}", &[b"new"], "v1").await;
    let store = scene.fills_up();
    let writes = scene.world.another_process().hold_off_collection().await.unwrap();
    let options = CollectOptions { delete_untagged: true, ..CollectOptions::default() };
    let refused = store.collect(options, &mut |_| {}).await;
    assert!(matches!(refused, Err(Error::Storage(error)) if error.kind() == ErrorKind::Busy));
    drop(writes);
    let (collected, _) = collect(&store, options).await;
    assert_eq!((collected.removed_manifests, collected.removed_blobs), (1, 2));
    assert!(!scene.has(&layout::blob(&Digest::sha256(b"old"))));
    assert!(scene.has(&layout::blob(&Digest::sha256(b"new"))));
}

#[tokio::test]
async fn what_is_pushed_is_refused_as_there_is_no_space() {
    let scene = Scene::new();
    push_image(&scene.a(), b"{}", &[], "v1").await;
    let store = scene.fills_up();
    assert_full(a(&store).uploads().start(Algorithm::Sha256).await);
    let manifest = image(b"{}", &[]);
    let digest = manifest.digest(Algorithm::Sha256);
    assert_full(a(&store).manifests().put(&manifest, &digest, &["v2".parse().unwrap()]).await);
}

/// The room that a delete made is there to be used.
#[tokio::test]
async fn what_was_deleted_without_a_lock_file_can_be_pushed_again_once_there_is_space() {
    let scene = Scene::new();
    let digest = push_image(&scene.a(), b"{}", &[], "v1").await;
    let store = scene.fills_up();
    a(&store).manifests().delete(&digest).await.unwrap();
    assert!(store.remove_blob(&digest).await.unwrap());
    scene.is_full.store(false, Ordering::SeqCst);
    assert_eq!(push_image(&a(&store), b"{}", &[], "v1").await, digest);
    a(&store).manifests().delete(&digest).await.unwrap();
}
