//! `Backend::list_places`: places at any depth that are marked, in the order of paths.

use std::cmp::Ordering;

use proptest::prelude::*;
use registry_store::backend::{Backend, Key};
use registry_tests::backends::Fixture;

use crate::common::{check, key, names, put_named};

const MARKS: [&str; 2] = ["_layers", "_manifests"];

fn order(one: &str, other: &str) -> Ordering {
    one.split('/').cmp(other.split('/'))
}

/// All places, a page at a time.
async fn paged(backend: &dyn Backend, limit: usize) -> Vec<String> {
    let mut all = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let page = backend.list_places(&key("r"), &MARKS, after.as_deref(), limit).await.unwrap();
        assert!(page.items.len() <= limit && (page.items.len() == limit || !page.more));
        after = page.next_after().cloned();
        all.extend(page.items);
        if after.is_none() {
            return all;
        }
    }
}

async fn place(fixture: &Fixture, objects: &[&str]) {
    let keys: Vec<Key> = objects.iter().map(|below| key(&format!("r/{below}"))).collect();
    put_named(&*fixture.backend, &keys).await;
}

pub(crate) async fn places_are_those_with_a_mark_in_the_order_of_paths(fixture: &Fixture) {
    place(
        fixture,
        &[
            "a/_layers/sha256/1/link",
            "a/0/_manifests/x",
            "a/b/_layers/x",
            "a-b/_layers/x",
            "a.b/c/_layers/x",
            "a0/_uploads/x",
            "b/_uploads/1/startedat",
            "b/c/d/_manifests/tags/v1/current/link",
            "c/no/mark",
            "c/_other/_layers/x",
            "_layers/x",
        ],
    )
    .await;
    for limit in [1, 2, 3, 10] {
        let found = paged(&*fixture.reopen(), limit).await;
        assert_eq!(found, ["a", "a/0", "a/b", "a-b", "a.b/c", "b/c/d"], "pages of {limit}");
    }
}

pub(crate) async fn what_lies_below_marks_hides_no_place(fixture: &Fixture) {
    let mut objects = Vec::new();
    for name in ["a", "a/0", "a/x", "a-1", "a-1/y", "b"] {
        for number in 0..20 {
            objects.push(format!("{name}/_layers/sha256/{number:02}/link"));
            objects.push(format!("{name}/_manifests/revisions/{number:02}/link"));
        }
    }
    objects.extend((0..20).map(|number| format!("b/c/_uploads/{number:02}/startedat")));
    objects.push("b/d/_manifests/link".to_owned());
    let objects: Vec<&str> = objects.iter().map(String::as_str).collect();
    place(fixture, &objects).await;
    for limit in [1, 2, 5, 100] {
        let found = paged(&*fixture.backend, limit).await;
        assert_eq!(found, ["a", "a/0", "a/x", "a-1", "a-1/y", "b", "b/d"], "pages of {limit}");
    }
}

pub(crate) async fn no_place_lies_below_nothing(fixture: &Fixture) {
    for (after, limit) in [(None, 10), (Some("a/b"), 10), (None, 0)] {
        let page = fixture.backend.list_places(&key("r"), &MARKS, after, limit).await.unwrap();
        assert!(page.items.is_empty() && !page.more);
    }
}

pub(crate) async fn any_places_are_listed_as_a_sorted_list_has_them(fixture: &Fixture) {
    let component = || names::segment().prop_filter("no mark", |name| !name.starts_with('_'));
    let path = || prop::collection::vec(component(), 1..4).prop_map(|path| path.join("/"));
    let tree = prop::collection::btree_map(path(), (any::<bool>(), 0usize..5), 1..25);
    let strategy = (tree, prop::option::of(path()), 1usize..10);
    check(fixture, 64, &strategy, async |(tree, after, limit)| {
        let mut keys = Vec::new();
        for (path, (is_marked, more)) in &tree {
            keys.push(key(&format!("r/{path}/_uploads/x")));
            if *is_marked {
                keys.extend((0..=*more).map(|n| key(&format!("r/{path}/_layers/{n}/link"))));
            }
        }
        put_named(&*fixture.backend, &keys).await;
        let marked = tree.iter().filter(|(_, (is_marked, _))| *is_marked).map(|(path, _)| path);
        let behind = |path: &&String| {
            after.as_ref().is_none_or(|after| order(path, after) == Ordering::Greater)
        };
        let mut expected: Vec<&String> = marked.filter(behind).collect();
        expected.sort_by(|one, other| order(one, other));
        let page =
            fixture.backend.list_places(&key("r"), &MARKS, after.as_deref(), limit).await.unwrap();
        let found: Vec<&String> = page.items.iter().collect();
        prop_assert_eq!(&found[..], &expected[..limit.min(expected.len())]);
        prop_assert_eq!(page.more, expected.len() > limit);
        Ok(())
    });
}
