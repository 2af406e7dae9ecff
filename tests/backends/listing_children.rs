//! `Backend::list_children`: what lies directly below a place, a page at a time.

use std::collections::BTreeMap;

use proptest::prelude::*;
use registry_store::backend::{Child, Key};
use registry_store::page::Page;
use registry_tests::backends::Fixture;

use crate::common::{
    check, children, children_paged, key, keys, names, put, put_named, read, session, session_of,
};

pub(crate) async fn names_are_listed_in_byte_order(fixture: &Fixture) {
    let backend = &*fixture.backend;
    let expected = ["-", ".b", "0", "1", "1-a", "1.b", "10", "A", "_", "a", "b"];
    let keys = expected.map(|name| key(&format!("t/{name}")));
    put_named(backend, keys.iter().rev()).await;
    assert_eq!(children(backend, &key("t")).await, expected);
}

pub(crate) async fn objects_and_prefixes_are_told_apart(fixture: &Fixture) {
    let backend = &*fixture.backend;
    put_named(backend, &keys(["t/b/x", "t/a", "t/c/x/y", "t/d"])).await;
    let page = backend.list_children(&key("t"), None, 10).await.unwrap();
    let expected = [
        Child::Object("a".into()),
        Child::Prefix("b".into()),
        Child::Prefix("c".into()),
        Child::Object("d".into()),
    ];
    assert_eq!(page.items, expected);
    assert!(!page.more);
}

pub(crate) async fn what_lies_deeper_makes_one_name(fixture: &Fixture) {
    let backend = &*fixture.backend;
    // A place is named once, wherever what lies below it sorts among the keys of its neighbours.
    let all = ["t/1/x", "t/1/y/z", "t/1-a/x", "t/1.b", "t/10/x", "t/1/-", "t/1_"];
    put_named(backend, &keys(all)).await;
    let expected = ["1/", "1-a/", "1.b", "10/", "1_"];
    for limit in 1..=6 {
        assert_eq!(children_paged(backend, &key("t"), limit).await, expected);
    }
}

pub(crate) async fn a_page_of_every_limit_goes_on_where_the_last_ended(fixture: &Fixture) {
    let backend = &*fixture.backend;
    let all: Vec<Key> = (0..12)
        .map(|n| key(&format!("t/{n:02}{}", if n % 3 == 0 { "/link" } else { "" })))
        .collect();
    put_named(backend, &all).await;
    let expected = children(backend, &key("t")).await;
    assert_eq!(expected.len(), 12);
    for limit in (1..=14).chain([usize::MAX]) {
        let found = children_paged(backend, &key("t"), limit).await;
        assert_eq!(found, expected, "by {limit}");
    }
}

pub(crate) async fn a_full_last_page_has_nothing_behind_it(fixture: &Fixture) {
    let backend = &*fixture.backend;
    put_named(backend, &keys(["t/a", "t/b/x", "t/c"])).await;
    for (after, limit, count, more) in [
        (None, 2, 2, true),
        (None, 3, 3, false),
        (None, 4, 3, false),
        (Some("a"), 1, 1, true),
        (Some("a"), 2, 2, false),
        (Some("b"), 1, 1, false),
        (Some("c"), 1, 0, false),
    ] {
        let page = backend.list_children(&key("t"), after, limit).await.unwrap();
        assert_eq!((page.items.len(), page.more), (count, more), "{after:?} {limit}");
    }
}

pub(crate) async fn a_page_of_nothing_has_nothing_behind_it(fixture: &Fixture) {
    let backend = &*fixture.backend;
    put_named(backend, &keys(["t/a", "t/b"])).await;
    let page = backend.list_children(&key("t"), None, 0).await.unwrap();
    assert_eq!(page, Page::empty());
}

pub(crate) async fn names_after_any_text_are_those_greater(fixture: &Fixture) {
    let backend = &*fixture.backend;
    let all = ["1", "1-a", "1.b", "10", "a"];
    let keys = all.map(|name| key(&format!("t/{name}/link")));
    put_named(backend, &keys).await;
    // Among them texts that cannot be names.
    let long = "1".repeat(400);
    let afters =
        ["", "0", "1", "1-", "1-a", "1-a/z", "1.", "1/", "10", "9", "a", "b", "..", "é", &long];
    for after in afters {
        let page = backend.list_children(&key("t"), Some(after), 10).await.unwrap();
        let found: Vec<&str> = page.items.iter().map(Child::name).collect();
        let expected: Vec<&str> = all.into_iter().filter(|name| *name > after).collect();
        assert_eq!(found, expected, "after {after:?}");
    }
}

pub(crate) async fn nothing_lies_below_nothing(fixture: &Fixture) {
    let backend = &*fixture.backend;
    put_named(backend, &keys(["t/1-a/x", "t/10"])).await;
    for place in ["u", "t/1", "t/1-a/y"] {
        let page = backend.list_children(&key(place), None, 10).await.unwrap();
        assert_eq!(page, Page::empty(), "{place}");
    }
}

pub(crate) async fn nothing_lies_below_an_object(fixture: &Fixture) {
    put(&*fixture.backend, &key("t/x"), "x").await;
    let page = fixture.backend.list_children(&key("t/x"), None, 10).await.unwrap();
    assert_eq!(page, Page::empty());
}

pub(crate) async fn a_name_that_is_an_object_and_a_prefix_is_listed_once_as_an_object(
    fixture: &Fixture,
) {
    let backend = &*fixture.backend;
    put_named(backend, &keys(["t/0", "t/1", "t/1-a/x"])).await;
    // Some storage cannot hold both, and says so.
    let below = crate::common::request(
        &key("t/1/below"),
        "below",
        registry_store::backend::PutMode::Create,
    );
    let outcome = backend.put_all(vec![below]).await;
    if outcome.is_ok() {
        assert_eq!(read(backend, &key("t/1/below")).await, "below");
    }
    for limit in 1..=4 {
        let found = children_paged(backend, &key("t"), limit).await;
        assert_eq!(found, ["0", "1", "1-a/"]);
    }
    assert_eq!(read(backend, &key("t/1")).await, key("t/1").to_string());
}

pub(crate) async fn thousands_of_names_are_listed_by_pages(fixture: &Fixture) {
    let backend = &*fixture.backend;
    let all: Vec<Key> = (0..2_000).map(|n| key(&format!("tags/v{:05}", n * 7 % 2_000))).collect();
    put_named(backend, &all).await;
    let expected: Vec<String> = (0..2_000).map(|n| format!("v{n:05}")).collect();
    for limit in [100, 999, 2_000] {
        assert!(children_paged(backend, &key("tags"), limit).await == expected, "by {limit}");
    }
}

pub(crate) async fn any_names_are_listed_as_a_set_lists_them(fixture: &Fixture) {
    let strategy = (names::keys(24), names::segment(), 1usize..6);
    let backend = &*fixture.backend;
    check(fixture, 16, &strategy, async |(keys, after, limit)| {
        put_named(backend, &keys).await;
        let mut places: Vec<Key> = keys.iter().filter_map(Key::parent).collect();
        places.push(key("t"));
        places.dedup();
        for place in places {
            let expected: BTreeMap<&str, bool> = keys
                .iter()
                .filter_map(|key| key.below(&place))
                .map(|rest| rest.split_once('/').map_or((rest, false), |(name, _)| (name, true)))
                .collect();
            let slashed = |(name, is_prefix): (&&str, &bool)| {
                format!("{name}{}", if *is_prefix { "/" } else { "" })
            };
            let all: Vec<String> = expected.iter().map(slashed).collect();
            prop_assert_eq!(children_paged(backend, &place, limit).await, all);
            let page = backend.list_children(&place, Some(&after), limit).await.unwrap();
            let found: Vec<&str> = page.items.iter().map(Child::name).collect();
            let behind = || expected.keys().copied().filter(|name| *name > after.as_str());
            prop_assert_eq!(found, behind().take(limit).collect::<Vec<_>>());
            prop_assert_eq!(page.more, behind().count() > limit);
        }
        Ok(())
    });
}

pub(crate) async fn a_session_makes_a_name_below_its_repositorys_uploads(fixture: &Fixture) {
    let backend = &*fixture.backend;
    let keys = session("some-id");
    drop(session_of(backend, &keys, &"bytes".into()).await);
    put(backend, &keys.root.child("startedat").unwrap(), "2026-08-18T12:34:56Z").await;
    let uploads = keys.root.parent().unwrap();
    assert_eq!(children(backend, &uploads).await, ["some-id/"]);
    backend.delete_tree(&keys.root).await.unwrap();
    assert_eq!(children(backend, &uploads).await, Vec::<String>::new());
}
