//! The catalog: every repository, in pages.

use registry_store::name::RepositoryName;
use registry_store::page::Page;
use registry_tests::documents::{image, push_manifest};
use registry_tests::world::{World, push};

on_every_backend!(
    repositories_are_listed_in_order_in_pages_of_any_size,
    a_page_begins_behind_a_name_that_need_not_exist,
    what_is_below_a_prefix_is_the_same_part_of_the_catalog,
    an_empty_store_has_no_repositories,
    a_repository_is_gone_with_the_last_thing_in_it,
    directories_that_are_no_names_are_passed_over,
);

/// Names of which some begin with others, in the catalog's order: `/` lowest.
const NAMES: [&str; 9] = ["0", "a", "a/b", "a/b/c", "a/b-c", "a-b", "a-b/c", "a.b/c/d/e", "a0"];

async fn with_repositories(world: &World) {
    for name in NAMES.iter().rev() {
        push(&world.repository(name), b"x").await;
    }
}

async fn repositories_are_listed_in_order_in_pages_of_any_size(world: World) {
    with_repositories(&world).await;
    for size in 1..=NAMES.len() + 1 {
        let mut found = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let page = world.store.repositories(after.as_deref(), size).await.unwrap();
            assert!(page.items.len() == size || !page.more);
            after = page.next_after().map(ToString::to_string);
            found.extend(page.items.into_iter().map(|name| name.to_string()));
            if after.is_none() {
                break;
            }
        }
        assert_eq!(found, NAMES, "in pages of {size}");
    }
}

async fn a_page_begins_behind_a_name_that_need_not_exist(world: World) {
    with_repositories(&world).await;
    for (after, first) in [
        ("0", "a"),
        ("1", "a"),
        ("a/", "a/b"),
        ("a/b/c/d", "a/b-c"),
        ("a/zzz/y", "a-b"),
        ("a-", "a-b"),
        ("a.b", "a.b/c/d/e"),
        ("A", "a"),
        ("//", "0"),
    ] {
        let page = world.store.repositories(Some(after), 1).await.unwrap();
        assert_eq!(page.items[0].as_str(), first, "behind {after}");
    }
    assert!(world.store.repositories(Some("zzz"), 5).await.unwrap().items.is_empty());
    assert!(world.store.repositories(None, 0).await.unwrap().items.is_empty());
}

async fn what_is_below_a_prefix_is_the_same_part_of_the_catalog(world: World) {
    with_repositories(&world).await;
    let all = world.store.repositories(None, 100).await.unwrap().items;
    let afters = [
        "0",
        "1",
        "A",
        "a",
        "a/",
        "a/b",
        "a/b-",
        "a/b/",
        "a/b/b",
        "a/b/c",
        "a/b/c/d",
        "a/zz",
        "a-",
        "a-b",
        "a.b/c",
        "a.b/c/d/e/f",
        "a0",
        "zzz",
        "//",
    ];
    for prefix in ["a", "a/b", "a-b", "a.b", "a.b/c", "0", "none", "a/b/c/d"] {
        let prefix = prefix.parse().unwrap();
        let below = format!("{prefix}/");
        for after in afters.map(Some).into_iter().chain([None]) {
            let behind = |name: &&RepositoryName| {
                after.is_none_or(|after| name.components().gt(after.split('/')))
            };
            let mut expected: Vec<RepositoryName> = all.iter().filter(behind).cloned().collect();
            expected.retain(|name| name.as_str().starts_with(&below));
            for limit in [0, 1, 2, 100] {
                let found = world.store.repositories_below(&prefix, after, limit).await.unwrap();
                let expected = Page::cut(expected.clone(), limit);
                assert_eq!(found, expected, "{prefix} behind {after:?}, {limit}");
            }
        }
    }
}

async fn an_empty_store_has_no_repositories(world: World) {
    assert!(world.store.repositories(None, 5).await.unwrap().items.is_empty());
}

async fn a_repository_is_gone_with_the_last_thing_in_it(world: World) {
    let repository = world.repository("a/b");
    let blob = push(&repository, b"{}").await;
    let manifest = push_manifest(&repository, &image(b"{}", &[]), &["v1"]).await;
    repository.blobs().delete(&blob).await.unwrap();
    assert!(repository.exists().await.unwrap());
    repository.manifests().delete(&manifest).await.unwrap();
    assert!(!repository.exists().await.unwrap());
    assert!(world.store.repositories(None, 5).await.unwrap().items.is_empty());
}

async fn directories_that_are_no_names_are_passed_over(world: World) {
    use registry_store::backend::{BackendExt as _, PutMode};
    with_repositories(&world).await;
    for stray in ["lost.and.found_", "UPPER/_layers/x", "_odd/_manifests/x", "a/stray.txt"] {
        let key = format!("docker/registry/v2/repositories/{stray}").parse().unwrap();
        world.backend.put(&key, "x".into(), PutMode::Create).await.unwrap();
    }
    let page = world.store.repositories(None, 100).await.unwrap();
    assert_eq!(page.items.len(), NAMES.len());
}
