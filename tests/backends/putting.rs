//! `Backend::put_all`: small objects, each whole or nothing, visible in the order given.

use std::collections::BTreeSet;
use std::slice;

use bytes::Bytes;
use futures::future::join_all;
use registry_store::backend::{BackendExt as _, Key, Put, PutMode, PutRequest};
use registry_tests::backends::Fixture;
use tokio::task::yield_now;

use crate::common::{
    assert_no_place_is_left, content, is_there, key, keys, listed, put, put_named, read, request,
};

pub(crate) async fn nothing_to_put_is_done(fixture: &Fixture) {
    assert_eq!(fixture.backend.put_all(Vec::new()).await.unwrap(), []);
    assert_no_place_is_left(fixture).await;
}

pub(crate) async fn an_object_can_be_empty(fixture: &Fixture) {
    let key = key("a/empty");
    for mode in [PutMode::Create, PutMode::Overwrite] {
        let outcome = fixture.backend.put(&key, Bytes::new(), mode).await;
        assert_eq!(outcome.unwrap(), Put::Written);
        assert_eq!(read(&*fixture.backend, &key).await, Bytes::new());
        fixture.backend.delete(slice::from_ref(&key)).await.unwrap();
    }
    assert_no_place_is_left(fixture).await;
}

pub(crate) async fn the_outcomes_stand_in_the_order_of_the_requests(fixture: &Fixture) {
    let backend = &*fixture.backend;
    let [old, new, other] = ["a/old", "b/new", "a/other"].map(key);
    put(backend, &old, "old").await;
    let puts = vec![
        request(&new, "1", PutMode::Create),
        request(&old, "2", PutMode::Create),
        request(&old, "3", PutMode::Overwrite),
        request(&other, "4", PutMode::Overwrite),
        request(&new, "5", PutMode::Create),
    ];
    let outcomes = backend.put_all(puts).await.unwrap();
    let expected = [Put::Written, Put::Kept, Put::Written, Put::Written, Put::Kept];
    assert_eq!(outcomes, expected);
    assert_eq!(read(backend, &new).await, "1");
    assert_eq!(read(backend, &old).await, "3");
    assert_eq!(read(backend, &other).await, "4");
}

pub(crate) async fn create_keeps_what_is_there(fixture: &Fixture) {
    let backend = &*fixture.backend;
    let key = key("a/link");
    put(backend, &key, "first").await;
    for bytes in ["", "other", "longer than the first"] {
        let outcome = backend.put(&key, bytes.into(), PutMode::Create).await;
        assert_eq!(outcome.unwrap(), Put::Kept);
        assert_eq!(read(backend, &key).await, "first");
    }
}

pub(crate) async fn overwrite_replaces_what_is_there_by_longer_and_shorter(fixture: &Fixture) {
    let backend = &*fixture.backend;
    let key = key("a/link");
    for length in [10, 100_000, 0, 3, 1] {
        let bytes = content(length, length as u64);
        put(backend, &key, bytes.clone()).await;
        assert_eq!(read(backend, &key).await, bytes);
    }
}

pub(crate) async fn one_key_twice_in_a_list_is_put_twice_in_order(fixture: &Fixture) {
    let backend = &*fixture.backend;
    let [first, second] = ["a/1", "a/2"].map(key);
    let puts = vec![
        request(&first, "1", PutMode::Create),
        request(&first, "2", PutMode::Create),
        request(&second, "3", PutMode::Overwrite),
        request(&second, "4", PutMode::Overwrite),
    ];
    let outcomes = backend.put_all(puts).await.unwrap();
    assert_eq!(outcomes, [Put::Written, Put::Kept, Put::Written, Put::Written]);
    assert_eq!(read(backend, &first).await, "1");
    assert_eq!(read(backend, &second).await, "4");
}

pub(crate) async fn another_handle_reads_what_was_put(fixture: &Fixture) {
    let key = key("a/b/c");
    put(&*fixture.backend, &key, "bytes").await;
    assert_eq!(read(&*fixture.reopen(), &key).await, "bytes");
}

pub(crate) async fn names_with_every_allowed_byte_can_be_put(fixture: &Fixture) {
    let backend = &*fixture.backend;
    let names = [
        "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        "abcdefghijklmnopqrstuvwxyz0123456789._-",
        "-",
        "_",
        "0",
        ".hidden",
        "...",
        "a.tmp",
        "-rf",
    ];
    let keys = names.map(|name| key(&format!("{name}/{name}")));
    put_named(backend, &keys).await;
    for key in &keys {
        assert_eq!(read(backend, key).await, key.to_string());
    }
    assert_eq!(listed(backend, &key("-rf")).await, [key("-rf/-rf")]);
}

pub(crate) async fn the_longest_segment_can_be_put(fixture: &Fixture) {
    let long = "l".repeat(255);
    let longest = key(&format!("{long}/{long}"));
    put(&*fixture.backend, &longest, "1").await;
    put(&*fixture.backend, &longest, "2").await;
    assert_eq!(read(&*fixture.backend, &longest).await, "2");
    assert_eq!(listed(&*fixture.backend, &key(&long)).await, [longest]);
}

pub(crate) async fn keys_may_nest_deeply(fixture: &Fixture) {
    let deep = key(&vec!["d"; 100].join("/"));
    put(&*fixture.backend, &deep, "deep").await;
    assert_eq!(read(&*fixture.backend, &deep).await, "deep");
    assert_eq!(listed(&*fixture.backend, &key("d")).await, [deep]);
}

pub(crate) async fn a_name_and_its_extensions_are_different_objects(fixture: &Fixture) {
    let keys = keys(["a/1", "a/1.tmp", "a/1-", "a/10", "a/.1", "a/1_"]);
    put_named(&*fixture.backend, &keys).await;
    for key in &keys {
        assert_eq!(read(&*fixture.backend, key).await, key.to_string());
    }
}

pub(crate) async fn names_become_visible_in_the_order_given(fixture: &Fixture) {
    for round in 0..10 {
        let keys: Vec<Key> =
            [3, 1, 4, 0, 2].map(|name| key(&format!("{round}/{name}/link"))).into();
        let puts: Vec<PutRequest> =
            keys.iter().map(|key| request(key, "link", PutMode::Create)).collect();
        let backend = fixture.backend.clone();
        let writer = tokio::spawn(async move { backend.put_all(puts).await.map(|_| ()) });
        while !writer.is_finished() {
            // Backwards: what is seen here must be preceded by all that is looked at afterwards.
            let mut later = None;
            for key in keys.iter().rev() {
                let visible = is_there(&*fixture.backend, key).await;
                if let Some(later) = later {
                    assert!(visible, "{later} was visible before {key}");
                }
                later = later.or(visible.then_some(key));
            }
            yield_now().await;
        }
        writer.await.unwrap().unwrap();
    }
}

pub(crate) async fn after_an_error_what_is_there_is_a_beginning_of_the_list(fixture: &Fixture) {
    let backend = &*fixture.backend;
    put(backend, &key("object"), "in the way, on some storage").await;
    let keys = keys(["a/1", "a/2", "object/below", "a/3", "b/4"]);
    let puts: Vec<PutRequest> =
        keys.iter().map(|key| request(key, key.to_string(), PutMode::Create)).collect();
    let outcome = backend.put_all(puts).await;
    let mut visible = Vec::new();
    for key in &keys {
        visible.push(is_there(backend, key).await);
    }
    assert!(visible.is_sorted_by(|earlier, later| earlier >= later), "{visible:?}");
    assert_eq!(outcome.is_ok(), visible.iter().all(|&visible| visible));
    for (key, _) in keys.iter().zip(visible).filter(|(_, visible)| *visible) {
        assert_eq!(read(backend, key).await, key.to_string());
    }
}

pub(crate) async fn of_many_concurrent_creations_one_is_written(fixture: &Fixture) {
    let key = key("a/b/link");
    let creations = (0..32u64).map(|seed| {
        let (backend, key) = (fixture.backend.clone(), key.clone());
        tokio::spawn(async move { backend.put(&key, content(1000, seed), PutMode::Create).await })
    });
    let outcomes = join_all(creations).await;
    let mut written = Vec::new();
    for (seed, outcome) in (0..).zip(outcomes) {
        if outcome.unwrap().unwrap() == Put::Written {
            written.push(seed);
        }
    }
    assert_eq!(written.len(), 1, "written by {written:?}");
    assert_eq!(read(&*fixture.backend, &key).await, content(1000, written[0]));
}

pub(crate) async fn concurrent_overwrites_leave_one_of_them_whole(fixture: &Fixture) {
    let key = key("a/b/link");
    let puts = (1..=16u64).map(|seed| {
        let (backend, key) = (fixture.backend.clone(), key.clone());
        tokio::spawn(async move { put(&*backend, &key, content(seed as usize * 500, seed)).await })
    });
    for put in join_all(puts).await {
        put.unwrap();
    }
    let found = read(&*fixture.backend, &key).await;
    assert_eq!(found, content(found.len(), found.len() as u64 / 500));
}

pub(crate) async fn a_reader_sees_the_old_or_the_new_and_nothing_between(fixture: &Fixture) {
    let key = key("tags/latest/current/link");
    put(&*fixture.backend, &key, content(1000, 1)).await;
    let (backend, place) = (fixture.backend.clone(), key.clone());
    let writer = tokio::spawn(async move {
        for seed in 2..=40u64 {
            put(&*backend, &place, content(seed as usize * 1000, seed)).await;
        }
    });
    let mut last = 1;
    while !writer.is_finished() {
        let found = read(&*fixture.backend, &key).await;
        let seed = found.len() as u64 / 1000;
        assert_eq!(found, content(seed as usize * 1000, seed));
        assert!(seed >= last, "version {seed} after version {last}");
        last = seed;
        yield_now().await;
    }
    writer.await.unwrap();
}

pub(crate) async fn many_concurrent_lists_are_all_put(fixture: &Fixture) {
    let keys_of = |list: usize| (0..5).map(move |n| key(&format!("{}/{list}-{n}", n % 2)));
    let lists = (0..20).map(|list| {
        let backend = fixture.backend.clone();
        tokio::spawn(async move { put_named(&*backend, &keys_of(list).collect::<Vec<_>>()).await })
    });
    for list in join_all(lists).await {
        list.unwrap();
    }
    let expected: BTreeSet<Key> = (0..20).flat_map(keys_of).collect();
    for key in &expected {
        assert_eq!(read(&*fixture.backend, key).await, key.to_string());
    }
    let found = listed(&*fixture.backend, &"docker".parse().unwrap()).await;
    assert!(found.iter().eq(&expected));
}
