//! `Backend::list_children_with`: the names that have an object at a path below them.

use std::collections::BTreeSet;

use proptest::prelude::*;
use registry_store::backend::{Backend, Key};
use registry_tests::backends::Fixture;

use crate::common::{check, key, keys, names, put, put_named};

const PATH: &str = "current/link";

/// All the names that have the object, a page at a time.
async fn paged(backend: &dyn Backend, place: &Key, path: &str, limit: usize) -> Vec<String> {
    let mut all = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let page = backend.list_children_with(place, path, after.as_deref(), limit).await.unwrap();
        assert!(page.items.len() <= limit && (page.items.len() == limit || !page.more));
        after = page.next_after().map(|(name, _)| name.clone());
        all.extend(page.items.into_iter().map(|(name, _)| name));
        if after.is_none() {
            return all;
        }
    }
}

pub(crate) async fn names_that_have_the_object_are_listed_with_its_size(fixture: &Fixture) {
    let backend = &*fixture.backend;
    for (below, bytes) in [
        ("t/b/current/link", "12345"),
        ("t/a/current/link", ""),
        ("t/a/index/sha256/11/link", "123"),
        ("t/none/index/sha256/11/link", "123"),
        ("t/deeper/x/current/link", "123"),
        ("t/beside/current/link.tmp", "123"),
        ("t/c/current/link", "1"),
        ("other/d/current/link", "1"),
        ("t/object", "1"),
    ] {
        put(backend, &key(below), bytes).await;
    }
    for backend in [fixture.backend.clone(), fixture.reopen()] {
        let page = backend.list_children_with(&key("t"), PATH, None, 10).await.unwrap();
        let found: Vec<_> =
            page.items.iter().map(|(name, meta)| (name.as_str(), meta.size)).collect();
        assert_eq!(found, [("a", 0), ("b", 5), ("c", 1)]);
        assert!(!page.more);
    }
}

pub(crate) async fn a_page_of_names_with_an_object_goes_on_where_the_last_ended(fixture: &Fixture) {
    let names: Vec<String> = (0..40).map(|n| format!("v{}", n * n)).collect();
    let links: Vec<Key> = names
        .iter()
        .flat_map(|name| {
            keys(
                [format!("t/{name}/{PATH}"), format!("t/{name}/z/link")].iter().map(String::as_str),
            )
        })
        .collect();
    put_named(&*fixture.backend, &links).await;
    let expected: BTreeSet<String> = names.into_iter().collect();
    for limit in [1, 2, 7, 39, 40, 41, usize::MAX] {
        let found = paged(&*fixture.backend, &key("t"), PATH, limit).await;
        assert!(found.iter().eq(&expected), "pages of {limit}: {found:?}");
    }
    let page = fixture.backend.list_children_with(&key("t"), PATH, None, 0).await.unwrap();
    assert!(page.items.is_empty() && !page.more);
}

pub(crate) async fn what_lies_beside_the_object_hides_no_name(fixture: &Fixture) {
    let mut links = Vec::new();
    for name in ["a", "b", "b-1", "b.2", "c"] {
        links.push(key(&format!("t/{name}/current/link")));
        links.extend((0..30).map(|n| key(&format!("t/{name}/index/sha256/{n:02}/link"))));
        links.extend((0..30).map(|n| key(&format!("t/{name}/before/{n:02}/link"))));
    }
    links.push(key("t/b-1/index/sha256/99/link"));
    put_named(&*fixture.backend, &links).await;
    for limit in [1, 2, 3, 10] {
        let found = paged(&*fixture.backend, &key("t"), PATH, limit).await;
        assert_eq!(found, ["a", "b", "b-1", "b.2", "c"]);
        let found = paged(&*fixture.backend, &key("t"), "index/sha256/99/link", limit).await;
        assert_eq!(found, ["b-1"]);
        let found = paged(&*fixture.backend, &key("t"), "index/sha256/29/link", limit).await;
        assert_eq!(found, ["a", "b", "b-1", "b.2", "c"]);
    }
}

pub(crate) async fn nothing_has_an_object_below_nothing(fixture: &Fixture) {
    let found = fixture.backend.list_children_with(&key("t"), PATH, Some("x"), 9).await.unwrap();
    assert!(found.items.is_empty() && !found.more);
}

pub(crate) async fn any_names_with_an_object_are_listed_as_a_set_lists_them(fixture: &Fixture) {
    let tree = prop::collection::btree_map(names::segment(), any::<(bool, u8)>(), 1..30);
    let strategy = (tree, prop::option::of(names::segment()), 1usize..12);
    check(fixture, 48, &strategy, async |(tree, after, limit)| {
        let mut links = Vec::new();
        for (name, (has, beside)) in &tree {
            links.extend((0..*beside % 4).map(|n| key(&format!("t/{name}/index/{n}/link"))));
            links.extend(has.then(|| key(&format!("t/{name}/{PATH}"))));
        }
        put_named(&*fixture.backend, &links).await;
        let behind = |name: &&String| after.as_ref().is_none_or(|after| *name > after);
        let all = tree.iter().filter(|(_, (has, _))| *has).map(|(name, _)| name).filter(behind);
        let expected: Vec<&String> = all.collect();
        let page = fixture
            .backend
            .list_children_with(&key("t"), PATH, after.as_deref(), limit)
            .await
            .unwrap();
        let found: Vec<&String> = page.items.iter().map(|(name, _)| name).collect();
        prop_assert_eq!(&found[..], &expected[..limit.min(expected.len())]);
        prop_assert_eq!(page.more, expected.len() > limit);
        Ok(())
    });
}
