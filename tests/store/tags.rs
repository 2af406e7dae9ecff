//! Tags: moved, listed in pages, with a history, deleted.

use registry_store::backend::BackendExt as _;
use registry_store::digest::Digest;
use registry_store::error::Error;
use registry_store::layout::RepositoryLayout;
use registry_tests::documents::{image, push_image, push_manifest};
use registry_tests::world::{World, push};

on_every_backend!(
    a_tag_moves_and_remembers,
    tags_are_listed_in_byte_order_in_pages_of_any_size,
    a_page_begins_behind_a_tag_that_need_not_exist,
    tags_of_an_unknown_repository_are_an_error,
    a_repository_may_have_no_tags,
    a_deleted_tag_is_gone_and_its_manifest_stays,
    deleting_a_tag_that_is_not_there_is_an_error,
    a_tag_without_a_current_link_does_not_exist,
    names_that_are_no_tags_are_passed_over,
    the_history_of_a_tag_comes_in_pages,
);

async fn a_tag_moves_and_remembers(world: World) {
    let repository = world.repository("a");
    let tag = "latest".parse().unwrap();
    let one = push_image(&repository, b"{}", &[], "latest").await;
    let two = push_image(&repository, b"{}", &[b"x"], "latest").await;
    assert_eq!(repository.tags().resolve(&tag).await.unwrap(), two);
    push_image(&repository, b"{}", &[], "latest").await;
    assert_eq!(repository.tags().resolve(&tag).await.unwrap(), one);
    let mut expected = vec![one, two];
    expected.sort();
    assert_eq!(repository.tags().history(&tag, None, 10).await.unwrap().items, expected);
}

/// Tags of which some begin with others: listings of keys and of names order these differently.
const TAGS: [&str; 9] = ["1", "1-a", "1.b", "10", "A", "_", "a", "a-", "a.b-c_d"];

async fn with_tags(world: &World) -> registry_store::repository::Repository {
    let repository = world.repository("a");
    push(&repository, b"{}").await;
    push_manifest(&repository, &image(b"{}", &[]), &TAGS).await;
    repository
}

async fn tags_are_listed_in_byte_order_in_pages_of_any_size(world: World) {
    let tags = with_tags(&world).await.tags();
    for size in 1..=TAGS.len() + 1 {
        let mut found = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let page = tags.list(after.as_deref(), size).await.unwrap();
            assert!(page.items.len() == size || !page.more);
            after = page.next_after().map(ToString::to_string);
            found.extend(page.items.into_iter().map(|tag| tag.to_string()));
            if after.is_none() {
                break;
            }
        }
        assert_eq!(found, TAGS, "in pages of {size}");
    }
}

async fn a_page_begins_behind_a_tag_that_need_not_exist(world: World) {
    let tags = with_tags(&world).await.tags();
    for (after, first) in [("0", "1"), ("1", "1-a"), ("1-", "1-a"), ("1/", "10"), ("B", "_")] {
        let page = tags.list(Some(after), 1).await.unwrap();
        assert_eq!(page.items[0].as_str(), first, "behind {after}");
    }
    assert!(tags.list(Some("zzz"), 5).await.unwrap().items.is_empty());
    assert!(tags.list(None, 0).await.unwrap().items.is_empty());
}

async fn tags_of_an_unknown_repository_are_an_error(world: World) {
    with_tags(&world).await;
    let error = world.repository("a/b").tags().list(None, 5).await.unwrap_err();
    assert!(matches!(error, Error::NameUnknown { .. }));
}

async fn a_repository_may_have_no_tags(world: World) {
    let repository = world.repository("a");
    push(&repository, b"{}").await;
    assert!(repository.tags().list(None, 5).await.unwrap().items.is_empty());
}

async fn a_deleted_tag_is_gone_and_its_manifest_stays(world: World) {
    let repository = world.repository("a");
    push_image(&repository, b"{}", &[], "v1").await;
    let digest = push_image(&repository, b"{}", &[b"x"], "v1").await;
    let tag = "v1".parse().unwrap();
    repository.tags().delete(&tag).await.unwrap();
    assert!(matches!(repository.tags().resolve(&tag).await, Err(Error::ManifestUnknown { .. })));
    assert!(repository.tags().history(&tag, None, 1).await.is_err());
    repository.manifests().get(&digest.into()).await.unwrap();
    assert!(repository.tags().list(None, 5).await.unwrap().items.is_empty());

    push_manifest(&repository, &image(b"{}", &[b"x"]), &["v1"]).await;
    let history = repository.tags().history(&tag, None, 10).await.unwrap();
    assert_eq!(history.items, [digest]);
}

async fn deleting_a_tag_that_is_not_there_is_an_error(world: World) {
    let repository = with_tags(&world).await;
    let error = repository.tags().delete(&"v1".parse().unwrap()).await.unwrap_err();
    assert!(matches!(error, Error::ManifestUnknown { .. }));
}

async fn a_tag_without_a_current_link_does_not_exist(world: World) {
    let repository = with_tags(&world).await;
    let layout = RepositoryLayout::new(repository.name());
    let tag = "10".parse().unwrap();
    world.backend.delete(&[layout.tag_current_link(&tag)]).await.unwrap();
    let listed = repository.tags().list(None, 100).await.unwrap().items;
    assert_eq!(listed.len(), TAGS.len() - 1);
    assert!(repository.tags().resolve(&tag).await.is_err());
    // The page is filled all the same.
    let page = repository.tags().list(Some("1.b"), 1).await.unwrap();
    assert_eq!(page.items[0].as_str(), "A");
}

async fn names_that_are_no_tags_are_passed_over(world: World) {
    use registry_store::backend::PutMode;
    let repository = with_tags(&world).await;
    let tags = RepositoryLayout::new(repository.name()).tags();
    for stray in [".hidden", "stray.tmp", "-x"] {
        let key = tags.child(stray).unwrap();
        world.backend.put(&key, "x".into(), PutMode::Create).await.unwrap();
    }
    let listed = repository.tags().list(None, 100).await.unwrap().items;
    assert_eq!(listed.iter().map(ToString::to_string).collect::<Vec<_>>(), TAGS);
}

async fn the_history_of_a_tag_comes_in_pages(world: World) {
    let repository = world.repository("a");
    let mut expected = Vec::new();
    for layer in [&b"a"[..], b"b", b"c", b"d", b"e"] {
        expected.push(push_image(&repository, b"{}", &[layer], "v1").await);
    }
    expected.sort();
    let tag = "v1".parse().unwrap();
    let mut found: Vec<Digest> = Vec::new();
    loop {
        let page = repository.tags().history(&tag, found.last(), 2).await.unwrap();
        found.extend(&page.items);
        if !page.more {
            break;
        }
    }
    assert_eq!(found, expected);
}
