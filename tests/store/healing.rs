//! Healing: what was damaged is as good as not there, and the next push of it puts it right.

use bytes::Bytes;
use registry_store::backend::{BackendExt as _, PutMode};
use registry_store::digest::{Algorithm, Digest};
use registry_store::error::Error;
use registry_store::layout::{self, RepositoryLayout};
use registry_tests::documents::{image, push_image};
use registry_tests::world::{World, body, pull, push};

on_every_backend!(
    an_emptied_blob_is_unknown_until_it_is_pushed_again,
    a_truncated_blob_is_replaced_by_the_next_push,
    a_session_replaces_a_truncated_blob,
    a_good_blob_is_kept_by_the_next_push,
    an_emptied_link_is_as_if_it_were_not_there,
    a_manifest_put_finds_a_truncated_blob,
    a_damaged_manifest_is_unknown_until_it_is_pushed_again,
    an_altered_manifest_is_put_right_by_the_next_push,
    an_emptied_tag_is_unknown_and_not_listed,
    a_link_of_distributions_to_another_digest_is_followed,
    a_link_of_the_right_length_that_holds_no_digest_is_as_if_it_were_not_there,
    a_link_to_other_content_is_as_if_it_were_not_there_and_put_right_by_the_next_push,
    a_tag_whose_history_was_emptied_goes_with_its_manifest,
    something_else_in_place_of_a_tags_link_hides_no_other_tag,
);

async fn damage(world: &World, key: &registry_store::backend::Key, content: &'static str) {
    let bytes = Bytes::from_static(content.as_bytes());
    world.backend.put(key, bytes, PutMode::Overwrite).await.unwrap();
}

async fn an_emptied_blob_is_unknown_until_it_is_pushed_again(world: World) {
    let repository = world.repository("a");
    let digest = push(&repository, b"hello").await;
    damage(&world, &layout::blob(&digest), "").await;
    assert!(matches!(repository.blobs().size(&digest).await, Err(Error::BlobUnknown { .. })));
    assert!(matches!(pull(&repository, &digest).await, Err(Error::BlobUnknown { .. })));
    assert_eq!(world.repository("b").mount(&digest, repository.name()).await.unwrap(), None);
    push(&repository, b"hello").await;
    assert_eq!(pull(&repository, &digest).await.unwrap(), b"hello");
    let report = world.store.damage();
    assert!(report.blobs >= 3 && report.healed == 1, "{report:?}");
}

async fn a_truncated_blob_is_replaced_by_the_next_push(world: World) {
    let repository = world.repository("a");
    let digest = push(&repository, b"hello").await;
    damage(&world, &layout::blob(&digest), "hel").await;
    push(&repository, b"hello").await;
    assert_eq!(pull(&repository, &digest).await.unwrap(), b"hello");
    assert_eq!(world.store.damage().healed, 1);
}

async fn a_session_replaces_a_truncated_blob(world: World) {
    let repository = world.repository("a");
    let digest = push(&repository, b"hello").await;
    damage(&world, &layout::blob(&digest), "hel").await;
    let uploads = repository.uploads();
    let id = uploads.start(Algorithm::Sha256).await.unwrap().id;
    uploads.commit(id, Default::default(), &digest, body(&["hello"])).await.unwrap();
    assert_eq!(pull(&repository, &digest).await.unwrap(), b"hello");
}

async fn a_good_blob_is_kept_by_the_next_push(world: World) {
    let repository = world.repository("a");
    let digest = push(&repository, b"hello").await;
    let before = world.backend.head(&layout::blob(&digest)).await.unwrap();
    push(&repository, b"hello").await;
    assert_eq!(world.backend.head(&layout::blob(&digest)).await.unwrap(), before);
    assert_eq!(world.store.damage(), Default::default());
}

async fn an_emptied_link_is_as_if_it_were_not_there(world: World) {
    let repository = world.repository("a");
    let digest = push(&repository, b"hello").await;
    let link = RepositoryLayout::new(repository.name()).layer_link(&digest);
    for content in ["", "sha256:", "sha256:abc\n", "\n"] {
        damage(&world, &link, content).await;
        assert!(matches!(repository.blobs().size(&digest).await, Err(Error::BlobUnknown { .. })));
        assert!(matches!(
            repository
                .manifests()
                .put(&image(b"hello", &[]), &image(b"hello", &[]).digest(Algorithm::Sha256), &[],)
                .await,
            Err(Error::ManifestBlobUnknown { .. })
        ));
        push(&repository, b"hello").await;
        assert_eq!(pull(&repository, &digest).await.unwrap(), b"hello");
        let content = world.backend.read_small(&link, 100).await.unwrap().unwrap();
        assert_eq!(content, digest.to_string());
    }
}

async fn a_manifest_put_finds_a_truncated_blob(world: World) {
    let repository = world.repository("a");
    push(&repository, b"{}").await;
    let digest = push(&repository, b"hello").await;
    damage(&world, &layout::blob(&digest), "hel").await;
    let manifest = image(b"{}", &[b"hello"]);
    let own = manifest.digest(Algorithm::Sha256);
    let error = repository.manifests().put(&manifest, &own, &[]).await.unwrap_err();
    assert!(matches!(error, Error::ManifestBlobUnknown { missing, .. } if missing == [digest]));
    // Out of everybody's sight: a client that asks first is told to upload.
    assert!(repository.blobs().size(&digest).await.is_err());
    push_image(&repository, b"{}", &[b"hello"], "v1").await;
    assert_eq!(pull(&repository, &digest).await.unwrap(), b"hello");
}

async fn a_damaged_manifest_is_unknown_until_it_is_pushed_again(world: World) {
    let repository = world.repository("a");
    let digest = push_image(&repository, b"{}", &[], "v1").await;
    for content in ["", "{", "\u{0}\u{0}\u{0}"] {
        damage(&world, &layout::blob(&digest), content).await;
        for reference in ["v1".to_owned(), digest.to_string()] {
            let error = repository.manifests().get(&reference.parse().unwrap()).await.unwrap_err();
            assert!(matches!(error, Error::ManifestUnknown { .. }));
        }
        push_image(&repository, b"{}", &[], "v1").await;
        let found = repository.manifests().get(&digest.into()).await.unwrap();
        assert_eq!(found.bytes, image(b"{}", &[]).bytes());
    }
}

async fn an_altered_manifest_is_put_right_by_the_next_push(world: World) {
    let repository = world.repository("a");
    let digest = push_image(&repository, b"{}", &[], "v1").await;
    damage(&world, &layout::blob(&digest), "{\"schemaVersion\": 2}").await;
    push_image(&repository, b"{}", &[], "v1").await;
    let found = repository.manifests().get(&digest.into()).await.unwrap();
    assert_eq!(found.bytes, image(b"{}", &[]).bytes());
}

async fn an_emptied_tag_is_unknown_and_not_listed(world: World) {
    let repository = world.repository("a");
    let digest = push_image(&repository, b"{}", &[], "v1").await;
    let tag = "v1".parse().unwrap();
    let links = RepositoryLayout::new(repository.name());
    damage(&world, &links.tag_current_link(&tag), "").await;
    damage(&world, &links.tag_index_link(&tag, &digest), "").await;
    assert!(repository.tags().resolve(&tag).await.is_err());
    assert!(repository.tags().list(None, 9).await.unwrap().items.is_empty());
    push_image(&repository, b"{}", &[], "v1").await;
    assert_eq!(repository.tags().resolve(&tag).await.unwrap(), digest);
    let entry = links.tag_index_link(&tag, &digest);
    let content = world.backend.read_small(&entry, 100).await.unwrap().unwrap();
    assert_eq!(content, digest.to_string());
}

async fn a_link_of_distributions_to_another_digest_is_followed(world: World) {
    let repository = world.repository("a");
    let kept = push(&repository, b"hello").await;
    let pushed = Digest::of(Algorithm::Sha512, b"hello");
    let link = RepositoryLayout::new(repository.name()).layer_link(&pushed);
    world.backend.put(&link, kept.to_string().into(), PutMode::Create).await.unwrap();
    assert_eq!(pull(&repository, &pushed).await.unwrap(), b"hello");
    let mut document = registry_tests::documents::image_document(b"hello", &[]);
    document["config"]["digest"] = pushed.to_string().into();
    let manifest = registry_tests::documents::manifest(&document);
    let digest = manifest.digest(Algorithm::Sha256);
    repository.manifests().put(&manifest, &digest, &[]).await.unwrap();
    assert_eq!(world.repository("b").mount(&pushed, repository.name()).await.unwrap(), Some(5));
    assert_eq!(pull(&world.repository("b"), &pushed).await.unwrap(), b"hello");
}

async fn a_link_of_the_right_length_that_holds_no_digest_is_as_if_it_were_not_there(world: World) {
    let repository = world.repository("a");
    let digest = push(&repository, b"{}").await;
    let link = RepositoryLayout::new(repository.name()).layer_link(&digest);
    let zeros = Bytes::from(vec![0; digest.to_string().len()]);
    world.backend.put(&link, zeros, PutMode::Overwrite).await.unwrap();
    assert!(matches!(repository.blobs().size(&digest).await, Err(Error::BlobUnknown { .. })));
    let manifest = image(b"{}", &[]);
    let own = manifest.digest(Algorithm::Sha256);
    let error = repository.manifests().put(&manifest, &own, &[]).await.unwrap_err();
    assert!(matches!(error, Error::ManifestBlobUnknown { missing, .. } if missing == [digest]));
}

async fn a_link_to_other_content_is_as_if_it_were_not_there_and_put_right_by_the_next_push(
    world: World,
) {
    let repository = world.repository("a");
    let digest = push(&repository, b"hello").await;
    let own = push_image(&repository, b"{}", &[b"hello"], "v1").await;
    let other = push_image(&repository, b"{}", &[], "v2").await;
    let links = RepositoryLayout::new(repository.name());
    for (link, content) in
        [(links.layer_link(&digest), Digest::sha256(b"{}")), (links.revision_link(&own), other)]
    {
        world.backend.put(&link, content.to_string().into(), PutMode::Overwrite).await.unwrap();
    }
    assert!(matches!(repository.blobs().size(&digest).await, Err(Error::BlobUnknown { .. })));
    assert!(matches!(pull(&repository, &digest).await, Err(Error::BlobUnknown { .. })));
    assert_eq!(world.repository("b").mount(&digest, repository.name()).await.unwrap(), None);
    assert!(repository.manifests().get(&own.into()).await.is_err());
    let manifest = image(b"{}", &[b"hello"]);
    let error = repository.manifests().put(&manifest, &own, &[]).await.unwrap_err();
    assert!(matches!(error, Error::ManifestBlobUnknown { missing, .. } if missing == [digest]));

    push_image(&repository, b"{}", &[b"hello"], "v1").await;
    assert_eq!(pull(&repository, &digest).await.unwrap(), b"hello");
    assert_eq!(repository.manifests().get(&own.into()).await.unwrap().bytes, manifest.bytes());
    assert_eq!(world.store.damage().healed, 2);
}

async fn a_tag_whose_history_was_emptied_goes_with_its_manifest(world: World) {
    let repository = world.repository("a");
    let digest = push_image(&repository, b"{}", &[], "v1").await;
    let tag = "v1".parse().unwrap();
    let entry = RepositoryLayout::new(repository.name()).tag_index_link(&tag, &digest);
    damage(&world, &entry, "").await;
    repository.manifests().delete(&digest).await.unwrap();
    assert!(repository.tags().resolve(&tag).await.is_err());
}

async fn something_else_in_place_of_a_tags_link_hides_no_other_tag(world: World) {
    let repository = world.repository("a");
    push_image(&repository, b"{}", &[], "v1").await;
    // An object where a directory should be, and the other way round.
    let tags = RepositoryLayout::new(repository.name()).tags();
    let stray = tags.child("v2").unwrap().child("current").unwrap().child("link").unwrap();
    world.backend.put(&stray.child("x").unwrap(), "x".into(), PutMode::Create).await.unwrap();
    let listed = repository.tags().list(None, 9).await.unwrap().items;
    assert_eq!(listed.iter().map(ToString::to_string).collect::<Vec<_>>(), ["v1"]);
}
