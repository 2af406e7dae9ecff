//! `Backend::list`: every object below a place, in the byte order of whole keys.

use std::collections::BTreeSet;

use futures::StreamExt as _;
use proptest::prelude::*;
use proptest::sample::Index;
use registry_store::backend::Key;
use registry_tests::backends::Fixture;

use crate::common::{
    TOP, check, key, keys, listed, listed_after, names, put, put_named, session, session_of,
};

pub(crate) async fn objects_are_listed_in_the_byte_order_of_whole_keys(fixture: &Fixture) {
    // `-` and `.` come before the slash, `0`, `_` and `a` behind it.
    let expected = keys([
        "t/-", "t/1-a/x", "t/1.b", "t/1/-/x", "t/1/0", "t/1/_", "t/10", "t/1_/x", "t/1a", "t/_/.x",
        "t/_/0", "t/a/link",
    ]);
    put_named(&*fixture.backend, expected.iter().rev()).await;
    assert_eq!(listed(&*fixture.backend, &key("t")).await, expected);
    assert_eq!(listed(&*fixture.reopen(), &TOP.parse().unwrap()).await, expected);
}

pub(crate) async fn any_keys_are_listed_in_order_after_any_key(fixture: &Fixture) {
    let elsewhere = prop::collection::vec(names::path(4), 4);
    let strategy = (names::keys(24), elsewhere, any::<Index>());
    let backend = &*fixture.backend;
    check(fixture, 16, &strategy, async |(keys, elsewhere, chosen)| {
        put_named(backend, &keys).await;
        // Every place above the keys from the beginning, and one of them after every key and place.
        let above = |key: &Key| std::iter::successors(key.parent(), Key::parent);
        let places: BTreeSet<Key> = keys.iter().flat_map(above).collect();
        let other = elsewhere.iter().map(|path| key(&format!("t/{path}")));
        let afters: BTreeSet<Key> = keys.iter().cloned().chain(other).collect();
        for place in &places {
            let below = || keys.iter().filter(|key| key.below(place).is_some());
            let found = listed(backend, place).await;
            prop_assert!(found.iter().eq(below()), "{place}: {found:?}");
        }
        let place = chosen.get(&Vec::from_iter(&places)).to_owned();
        for after in afters.iter().chain(&places) {
            let found = listed_after(backend, place, Some(after)).await;
            let behind = keys.iter().filter(|key| key.below(place).is_some() && *key > after);
            prop_assert!(found.iter().eq(behind), "{place} after {after}: {found:?}");
        }
        Ok(())
    });
}

pub(crate) async fn a_place_with_nothing_below_it_lists_nothing(fixture: &Fixture) {
    let backend = &*fixture.backend;
    assert_eq!(listed(backend, &key("t")).await, []);
    assert_eq!(listed(backend, &TOP.parse().unwrap()).await, []);
    put(backend, &key("u/x"), "x").await;
    assert_eq!(listed(backend, &key("t")).await, []);
    assert_eq!(listed_after(backend, &key("u"), Some(&key("u/x"))).await, []);
}

pub(crate) async fn an_object_is_not_below_itself(fixture: &Fixture) {
    put(&*fixture.backend, &key("t/x"), "x").await;
    assert_eq!(listed(&*fixture.backend, &key("t/x")).await, []);
}

pub(crate) async fn siblings_with_the_same_beginning_are_not_listed(fixture: &Fixture) {
    let backend = &*fixture.backend;
    put_named(backend, &keys(["t/1-a/x", "t/1.b", "t/10", "t/1_/x", "t/0"])).await;
    assert_eq!(listed(backend, &key("t/1")).await, []);
    put(backend, &key("t/1/x"), "x").await;
    assert_eq!(listed(backend, &key("t/1")).await, [key("t/1/x")]);
}

pub(crate) async fn after_need_not_be_there_nor_below_the_place(fixture: &Fixture) {
    let backend = &*fixture.backend;
    let all = keys(["t/b/1", "t/b/2", "t/d"]);
    put_named(backend, &all).await;
    let cases = [
        ("a", 0),
        ("t", 0),
        ("t/a/z", 0),
        ("t/b", 0),
        ("t/b-", 0),
        ("t/b/1", 1),
        ("t/b/1/x", 1),
        ("t/b/10", 1),
        ("t/b/2", 2),
        ("t/b/zz", 2),
        ("t/c", 2),
        ("t/d", 3),
        ("t/e", 3),
        ("z", 3),
    ];
    for (after, behind) in cases {
        let found = listed_after(backend, &key("t"), Some(&key(after))).await;
        assert_eq!(found, all[behind..], "after {after}");
    }
}

pub(crate) async fn what_stays_is_listed_once_whatever_comes_and_goes(fixture: &Fixture) {
    let stay: Vec<Key> = (0..200).map(|n| key(&format!("t/{n:03}/link"))).collect();
    put_named(&*fixture.backend, &stay).await;
    let backend = fixture.backend.clone();
    let writer = tokio::spawn(async move {
        for n in 0..30 {
            let goes = keys([format!("t/{:03}-x/link", n * 3).as_str(), "t/goes/y"]);
            put_named(&*backend, &goes).await;
            backend.delete(&goes).await.unwrap();
        }
    });
    let mut listings = 0;
    while !writer.is_finished() || listings == 0 {
        let mut found = listed(&*fixture.backend, &key("t")).await;
        assert!(found.is_sorted_by(|a, b| a < b), "{found:?}");
        found.retain(|key| stay.contains(key));
        assert_eq!(found, stay);
        listings += 1;
        tokio::task::yield_now().await;
    }
    writer.await.unwrap();
}

pub(crate) async fn a_listing_can_be_given_up_halfway(fixture: &Fixture) {
    let backend = &*fixture.backend;
    let all: Vec<Key> = (0..300).map(|n| key(&format!("t/{n:03}"))).collect();
    put_named(backend, &all).await;
    for taken in [0, 1, 150] {
        let some = backend.list(&key("t"), None).take(taken).map(Result::unwrap);
        assert_eq!(some.collect::<Vec<_>>().await, all[..taken]);
    }
    assert_eq!(listed(backend, &key("t")).await, all);
}

pub(crate) async fn a_long_listing_is_whole(fixture: &Fixture) {
    let mut all: Vec<Key> =
        (0..1_500).map(|n| key(&format!("t/{}/{:x}", n % 3, n * 7919))).collect();
    put_named(&*fixture.backend, &all).await;
    drop(session_of(&*fixture.backend, &session("1"), &"beside".into()).await);
    all.sort();
    assert!(listed(&*fixture.backend, &key("t")).await == all);
    let behind = listed_after(&*fixture.backend, &key("t"), Some(&all[1_100])).await;
    assert!(behind == all[1_101..]);
}
