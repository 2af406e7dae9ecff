//! Manifests: stored verbatim, only with what they refer to, deleted with their tags.

use registry_store::backend::BackendExt as _;
use registry_store::digest::{Algorithm, Digest};
use registry_store::error::Error;
use registry_store::layout::{self, RepositoryLayout};
use registry_store::manifest::{Manifest, ManifestError};
use registry_store::media_type::MediaType;
use registry_store::reference::Tag;
use registry_tests::backends::{CountedBackend, Method};
use registry_tests::documents::{
    descriptor, descriptor_of, image, image_document, index, manifest, push_image, push_manifest,
};
use registry_tests::world::{self, World, push, store_on};
use serde_json::{Value, json};

on_every_backend!(
    a_manifest_is_read_back_as_it_was_pushed,
    a_manifest_lies_where_distribution_has_it,
    a_manifest_pushed_by_its_sha512_is_read_by_it,
    a_manifest_whose_bytes_have_another_digest_is_refused,
    a_manifest_whose_blobs_are_missing_is_refused_and_names_them,
    blobs_of_another_repository_do_not_count,
    an_index_needs_its_manifests_in_the_same_repository,
    an_index_of_indexes_and_an_empty_index_are_accepted,
    what_an_index_lists_as_a_manifest_and_as_a_blob_has_to_be_there_as_both,
    a_layer_that_is_fetched_from_elsewhere_is_not_demanded_of_an_index_either,
    a_size_that_is_wrong_in_the_manifest_is_refused,
    each_size_that_a_manifest_gives_for_one_blob_has_to_be_right,
    a_manifest_may_get_several_tags_at_once_or_none,
    pushing_a_manifest_again_changes_nothing,
    a_deleted_manifest_is_gone_with_every_tag_on_it,
    deleting_a_manifest_leaves_the_tags_that_have_moved_on,
    deleting_a_manifest_tells_of_each_tag_that_goes_with_it,
    deleting_a_manifest_that_is_not_there_is_an_error,
    a_manifest_is_not_a_blob_of_the_repository,
    many_puts_at_once_all_succeed,
    puts_and_deletes_at_once_leave_no_tag_without_its_manifest,
);

async fn a_manifest_is_read_back_as_it_was_pushed(world: World) {
    let repository = world.repository("a/b");
    let digest = push_image(&repository, b"{}", &[b"one", b"two"], "v1").await;
    let pushed = image(b"{}", &[b"one", b"two"]);
    for reference in ["v1".to_owned(), digest.to_string()] {
        let found = repository.manifests().get(&reference.parse().unwrap()).await.unwrap();
        assert_eq!(found.bytes, pushed.bytes());
        assert_eq!(found.digest, digest);
        assert_eq!(found.media_type.as_str(), MediaType::OCI_MANIFEST);
    }
}

async fn a_manifest_lies_where_distribution_has_it(world: World) {
    let repository = world.repository("a/b");
    let digest = push_image(&repository, b"{}", &[], "v1").await;
    let hex = digest.hex();
    let root = "docker/registry/v2";
    let content = async |path: String| {
        let found = world.backend.read_small(&path.parse().unwrap(), 10_000).await.unwrap();
        String::from_utf8(found.unwrap_or_else(|| panic!("{path} is missing")).to_vec()).unwrap()
    };
    let blob = content(format!("{root}/blobs/sha256/{}/{hex}/data", &hex[..2])).await;
    assert_eq!(blob.as_bytes(), image(b"{}", &[]).bytes());
    for link in [
        format!("revisions/sha256/{hex}/link"),
        "tags/v1/current/link".to_owned(),
        format!("tags/v1/index/sha256/{hex}/link"),
    ] {
        let link = content(format!("{root}/repositories/a/b/_manifests/{link}")).await;
        assert_eq!(link, digest.to_string());
    }
}

async fn a_manifest_pushed_by_its_sha512_is_read_by_it(world: World) {
    let repository = world.repository("a");
    push(&repository, b"{}").await;
    let manifest = image(b"{}", &[]);
    let digest = manifest.digest(Algorithm::Sha512);
    repository.manifests().put(&manifest, &digest, &["v1".parse().unwrap()]).await.unwrap();
    let found = repository.manifests().get(&"v1".parse().unwrap()).await.unwrap();
    assert_eq!(found.digest, digest);
    assert_eq!(found.bytes, manifest.bytes());
}

async fn a_manifest_whose_bytes_have_another_digest_is_refused(world: World) {
    let repository = world.repository("a");
    push(&repository, b"{}").await;
    let wrong = Digest::sha256(b"wrong");
    let error = repository.manifests().put(&image(b"{}", &[]), &wrong, &[]).await.unwrap_err();
    assert!(matches!(error, Error::DigestMismatch { expected, .. } if expected == wrong));
}

async fn a_manifest_whose_blobs_are_missing_is_refused_and_names_them(world: World) {
    let repository = world.repository("a");
    push(&repository, b"{}").await;
    let manifest = image(b"{}", &[b"one", b"two", b"one"]);
    let digest = manifest.digest(Algorithm::Sha256);
    let tags = ["v1".parse().unwrap()];
    let error = repository.manifests().put(&manifest, &digest, &tags).await.unwrap_err();
    let Error::ManifestBlobUnknown { mut missing, .. } = error else { panic!("{error}") };
    let mut expected = vec![Digest::sha256(b"one"), Digest::sha256(b"two")];
    missing.sort();
    expected.sort();
    assert_eq!(missing, expected);
    assert!(repository.manifests().get(&digest.into()).await.is_err());
    assert!(repository.tags().resolve(&tags[0]).await.is_err());
}

async fn blobs_of_another_repository_do_not_count(world: World) {
    push(&world.repository("b"), b"{}").await;
    let manifest = image(b"{}", &[]);
    let digest = manifest.digest(Algorithm::Sha256);
    let error = world.repository("a").manifests().put(&manifest, &digest, &[]).await.unwrap_err();
    assert!(matches!(error, Error::ManifestBlobUnknown { .. }));
}

async fn an_index_needs_its_manifests_in_the_same_repository(world: World) {
    let (a, b) = (world.repository("a"), world.repository("b"));
    push_image(&a, b"{}", &[], "v1").await;
    let index = index(&[&image(b"{}", &[])]);
    let digest = index.digest(Algorithm::Sha256);
    let error = b.manifests().put(&index, &digest, &[]).await.unwrap_err();
    assert!(matches!(error, Error::ManifestBlobUnknown { .. }));
    push_manifest(&a, &index, &["multi"]).await;
    let found = a.manifests().get(&"multi".parse().unwrap()).await.unwrap();
    assert_eq!(found.media_type.as_str(), MediaType::OCI_INDEX);
}

async fn an_index_of_indexes_and_an_empty_index_are_accepted(world: World) {
    let repository = world.repository("a");
    let empty = index(&[]);
    push_manifest(&repository, &empty, &["empty"]).await;
    push_manifest(&repository, &index(&[&empty]), &["nested"]).await;
}

async fn a_size_that_is_wrong_in_the_manifest_is_refused(world: World) {
    let repository = world.repository("a");
    let blob = push(&repository, b"{}").await;
    let mut document = image_document(b"{}", &[]);
    document["config"]["size"] = 3.into();
    let manifest = manifest(&document);
    let digest = manifest.digest(Algorithm::Sha256);
    let error = repository.manifests().put(&manifest, &digest, &[]).await.unwrap_err();
    let expected = ManifestError::DescriptorSize { digest: blob, expected: 2, found: 3 };
    assert!(matches!(error, Error::ManifestInvalid(found) if found == expected));
    assert_eq!(repository.blobs().size(&blob).await.unwrap(), 2);
}

async fn a_manifest_may_get_several_tags_at_once_or_none(world: World) {
    let repository = world.repository("a");
    push(&repository, b"{}").await;
    push_manifest(&repository, &image(b"{}", &[]), &[]).await;
    assert!(repository.tags().list(None, 10).await.unwrap().items.is_empty());
    let digest = push_manifest(&repository, &image(b"{}", &[]), &["v1", "v2", "latest"]).await;
    for tag in ["v1", "v2", "latest"] {
        assert_eq!(repository.tags().resolve(&tag.parse().unwrap()).await.unwrap(), digest);
    }
}

async fn pushing_a_manifest_again_changes_nothing(world: World) {
    let repository = world.repository("a");
    for _ in 0..3 {
        push_image(&repository, b"{}", &[b"x"], "v1").await;
    }
    assert_eq!(repository.tags().list(None, 10).await.unwrap().items.len(), 1);
    let report = world.store.damage();
    assert_eq!((report.links, report.blobs, report.healed), (0, 0, 0));
}

async fn a_deleted_manifest_is_gone_with_every_tag_on_it(world: World) {
    let repository = world.repository("a");
    let digest = push_image(&repository, b"{}", &[], "v1").await;
    push_manifest(&repository, &image(b"{}", &[]), &["v2", "v3"]).await;
    repository.manifests().delete(&digest).await.unwrap();
    for reference in ["v1".to_owned(), "v2".to_owned(), "v3".to_owned(), digest.to_string()] {
        let error = repository.manifests().get(&reference.parse().unwrap()).await.unwrap_err();
        assert!(matches!(error, Error::ManifestUnknown { .. }));
    }
    assert!(repository.tags().list(None, 10).await.unwrap().items.is_empty());
}

async fn deleting_a_manifest_leaves_the_tags_that_have_moved_on(world: World) {
    let repository = world.repository("a");
    let old = push_image(&repository, b"{}", &[], "v1").await;
    let new = push_image(&repository, b"{}", &[b"x"], "v1").await;
    repository.manifests().delete(&old).await.unwrap();
    assert_eq!(repository.tags().resolve(&"v1".parse().unwrap()).await.unwrap(), new);
}

async fn deleting_a_manifest_tells_of_each_tag_that_goes_with_it(world: World) {
    let repository = world.repository("a");
    let digest = push_image(&repository, b"{}", &[], "v1").await;
    push_manifest(&repository, &image(b"{}", &[]), &["v2"]).await;
    push_image(&repository, b"other", &[], "v3").await;
    let (sender, told) = std::sync::mpsc::channel();
    let removed = move |tag: Tag| sender.send(tag.to_string()).unwrap();
    repository.manifests().delete_telling(&digest, removed).await.unwrap();
    assert_eq!(told.iter().collect::<Vec<_>>(), ["v1", "v2"]);
}

async fn deleting_a_manifest_that_is_not_there_is_an_error(world: World) {
    let repository = world.repository("a");
    let digest = push_image(&repository, b"{}", &[], "v1").await;
    let error = world.repository("b").manifests().delete(&digest).await.unwrap_err();
    assert!(matches!(error, Error::ManifestUnknown { .. }));
    repository.manifests().delete(&digest).await.unwrap();
    let error = repository.manifests().delete(&digest).await.unwrap_err();
    assert!(matches!(error, Error::ManifestUnknown { .. }));
}

async fn a_manifest_is_not_a_blob_of_the_repository(world: World) {
    let repository = world.repository("a");
    let digest = push_image(&repository, b"{}", &[], "v1").await;
    let error = repository.blobs().size(&digest).await.unwrap_err();
    assert!(matches!(error, Error::BlobUnknown { .. }));
    assert!(world.backend.head(&layout::blob(&digest)).await.unwrap().is_some());
}

async fn many_puts_at_once_all_succeed(world: World) {
    let repository = world.repository("a");
    push(&repository, b"{}").await;
    let manifests: Vec<Manifest> = (0..24)
        .map(|n| {
            let mut document = image_document(b"{}", &[]);
            document["annotations"] = serde_json::json!({ "n": (n % 8).to_string() });
            manifest(&document)
        })
        .collect();
    let puts = manifests.iter().map(|manifest| push_manifest(&repository, manifest, &["v1"]));
    let digests = futures::future::join_all(puts).await;
    let current = repository.tags().resolve(&"v1".parse().unwrap()).await.unwrap();
    assert!(digests.contains(&current));
    let history = repository.tags().history(&"v1".parse().unwrap(), None, 100).await.unwrap();
    assert_eq!(history.items.len(), 8);
}

async fn puts_and_deletes_at_once_leave_no_tag_without_its_manifest(world: World) {
    let repository = world.repository("a");
    push(&repository, b"{}").await;
    let image = image(b"{}", &[]);
    let digest = image.digest(Algorithm::Sha256);
    for round in 0..10 {
        let tags = [format!("v{round}").parse().unwrap(), "latest".parse().unwrap()];
        push_manifest(&repository, &image, &["first"]).await;
        let manifests = repository.manifests();
        let (put, deleted) =
            futures::join!(manifests.put(&image, &digest, &tags), manifests.delete(&digest));
        put.unwrap();
        deleted.unwrap();
        let is_there = repository.manifests().get(&digest.into()).await.is_ok();
        let left = repository.tags().list(None, 100).await;
        let left = left.map(|page| page.items).unwrap_or_default();
        assert!(is_there || left.is_empty(), "{left:?}");
        let links = RepositoryLayout::new(repository.name());
        let record = world.backend.head(&links.revision_link(&digest)).await.unwrap();
        assert_eq!(record.is_some(), is_there);
    }
}

async fn what_an_index_lists_as_a_manifest_and_as_a_blob_has_to_be_there_as_both(world: World) {
    let repository = world.repository("a");
    push(&repository, b"{}").await;
    let listed = image(b"{}", &[]);
    let as_manifest = descriptor_of(&listed);
    let mut as_blob = as_manifest.clone();
    as_blob["mediaType"] = "application/vnd.example.blob".into();
    let orders = [[&as_manifest, &as_blob], [&as_blob, &as_manifest]].map(|entries| {
        let media_type = MediaType::OCI_INDEX;
        manifest(&json!({ "schemaVersion": 2, "mediaType": media_type, "manifests": entries }))
    });
    push(&repository, listed.bytes()).await;
    for index in &orders {
        let digest = index.digest(Algorithm::Sha256);
        let error = repository.manifests().put(index, &digest, &[]).await.unwrap_err();
        assert!(matches!(error, Error::ManifestBlobUnknown { missing, .. } if missing.len() == 1));
    }
    push_manifest(&repository, &listed, &[]).await;
    for index in &orders {
        push_manifest(&repository, index, &[]).await;
    }
}

async fn a_layer_that_is_fetched_from_elsewhere_is_not_demanded_of_an_index_either(world: World) {
    let repository = world.repository("a");
    push(&repository, b"something").await;
    let layer = "application/vnd.oci.image.layer.nondistributable.v1.tar";
    let mut entry = descriptor(layer, &Digest::sha256(b"elsewhere"), 9);
    let put = async |entry: &Value| {
        let media_type = MediaType::OCI_INDEX;
        let index = json!({ "schemaVersion": 2, "mediaType": media_type, "manifests": [entry] });
        let index = manifest(&index);
        repository.manifests().put(&index, &index.digest(Algorithm::Sha256), &[]).await
    };
    put(&entry).await.unwrap_err();
    entry["urls"] = json!(["https://elsewhere.example/layer"]);
    put(&entry).await.unwrap();
}

async fn each_size_that_a_manifest_gives_for_one_blob_has_to_be_right(world: World) {
    let repository = world.repository("a");
    push(&repository, b"{}").await;
    push(&repository, b"hello").await;
    for wrong in 0..2 {
        let mut document = image_document(b"{}", &[b"hello", b"hello"]);
        document["layers"][wrong]["size"] = 99.into();
        let manifest = manifest(&document);
        let digest = manifest.digest(Algorithm::Sha256);
        let error = repository.manifests().put(&manifest, &digest, &[]).await.unwrap_err();
        assert!(matches!(error, Error::ManifestInvalid(ManifestError::DescriptorSize { .. })));
    }
}

/// A lock leaves a file on a filesystem, and names are free to be made up.
#[tokio::test]
async fn a_delete_of_what_is_not_there_takes_no_lock() {
    let world = World::memory();
    let backend = CountedBackend::new(world.backend.clone());
    let repository = world::repository(&store_on(backend.clone()), "made/up");
    let digest = Digest::sha256(b"nothing");
    repository.manifests().delete(&digest).await.unwrap_err();
    let tag: Tag = "v1".parse().unwrap();
    repository.tags().delete(&tag).await.unwrap_err();
    assert_eq!(backend.counts().of(Method::Lock), 0);
}
