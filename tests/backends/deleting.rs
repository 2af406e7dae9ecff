//! `Backend::delete` and `Backend::delete_tree`: what goes, what stays, what is no longer listed.

use std::slice;

use registry_store::backend::{BackendExt as _, ErrorKind, Key, PutMode, ReadRange};
use registry_tests::backends::Fixture;

use crate::common::{
    assert_no_place_is_left, assert_nothing_is_left, children, content, is_there, key, keys, kind,
    listed, put, put_named, read, session, session_of,
};

pub(crate) async fn what_is_deleted_is_gone(fixture: &Fixture) {
    let key = key("a/b/link");
    put(&*fixture.backend, &key, "link").await;
    fixture.backend.delete(slice::from_ref(&key)).await.unwrap();
    for backend in [fixture.backend.clone(), fixture.reopen()] {
        assert_eq!(backend.head(&key).await.unwrap(), None);
        let outcome = backend.read(&key, ReadRange::Full).await;
        assert_eq!(kind(outcome), ErrorKind::NotFound);
    }
    assert_no_place_is_left(fixture).await;
}

pub(crate) async fn what_is_not_there_counts_as_deleted(fixture: &Fixture) {
    let backend = &*fixture.backend;
    backend.delete(&[]).await.unwrap();
    backend.delete(&keys(["a", "a/b/c"])).await.unwrap();
    let there = key("x/there");
    put(backend, &there, "link").await;
    let twice = [key("x/not"), there.clone(), key("y/not"), there.clone()];
    backend.delete(&twice).await.unwrap();
    backend.delete(&[there]).await.unwrap();
    assert_no_place_is_left(fixture).await;
}

pub(crate) async fn only_what_is_named_is_deleted(fixture: &Fixture) {
    let backend = &*fixture.backend;
    let stay = keys(["a/1.b", "a/1-a", "a/10", "a/2/1"]);
    let go = [key("a/1")];
    put_named(backend, stay.iter().chain(&go)).await;
    backend.delete(&go).await.unwrap();
    for key in &stay {
        assert_eq!(read(backend, key).await, key.to_string());
    }
    assert!(!is_there(backend, &go[0]).await);
}

pub(crate) async fn places_that_become_empty_are_not_listed(fixture: &Fixture) {
    let backend = &*fixture.backend;
    let [one, two, beside] = ["r/_layers/1/link", "r/_layers/2/link", "r/s/link"].map(key);
    put_named(backend, [&one, &two, &beside]).await;
    backend.delete(&[one]).await.unwrap();
    assert_eq!(children(backend, &key("r/_layers")).await, ["2/"]);
    backend.delete(&[two]).await.unwrap();
    assert_eq!(children(backend, &key("r")).await, ["s/"]);
    backend.delete(&[beside]).await.unwrap();
    assert_no_place_is_left(fixture).await;
}

pub(crate) async fn places_that_do_not_become_empty_stay(fixture: &Fixture) {
    let backend = &*fixture.backend;
    let stay = keys(["a/b/c/stays", "a/d"]);
    let go = keys(["a/b/c/x/y/goes", "a/b/goes"]);
    put_named(backend, stay.iter().chain(&go)).await;
    backend.delete(&go).await.unwrap();
    assert_eq!(listed(backend, &key("a")).await, stay);
    assert_eq!(children(backend, &key("a/b")).await, ["c/"]);
    assert_eq!(children(backend, &key("a/b/c")).await, ["stays"]);
}

pub(crate) async fn a_deep_place_goes_with_its_last_object(fixture: &Fixture) {
    let deep = key(&vec!["d"; 60].join("/"));
    put(&*fixture.backend, &deep, "deep").await;
    fixture.backend.delete(&[deep]).await.unwrap();
    assert_no_place_is_left(fixture).await;
}

pub(crate) async fn a_deleted_object_can_be_put_again(fixture: &Fixture) {
    let backend = &*fixture.backend;
    let key = key("a/b/c/link");
    for round in 0..5u64 {
        let outcome = backend.put(&key, content(9, round), PutMode::Create).await;
        assert_eq!(outcome.unwrap(), registry_store::backend::Put::Written);
        assert_eq!(read(backend, &key).await, content(9, round));
        backend.delete(slice::from_ref(&key)).await.unwrap();
    }
    assert_no_place_is_left(fixture).await;
}

pub(crate) async fn puts_beside_deletes_are_not_lost(fixture: &Fixture) {
    const ROUNDS: usize = 30;
    let stays = |task: usize, n: usize| key(&format!("p/q/{task}-{n}/stays/link"));
    let mut tasks = Vec::new();
    for task in 0..2 {
        // Empties the place and its parents again and again, while the others put beside it.
        let backend = fixture.backend.clone();
        tasks.push(tokio::spawn(async move {
            let goes = key(&format!("p/q/{task}/goes/link"));
            for _ in 0..ROUNDS {
                put(&*backend, &goes, "goes").await;
                backend.delete(slice::from_ref(&goes)).await.unwrap();
            }
        }));
        let backend = fixture.reopen();
        tasks.push(tokio::spawn(async move {
            for n in 0..ROUNDS {
                let key = stays(task, n);
                put(&*backend, &key, key.to_string()).await;
                if n % 2 == 1 {
                    backend.delete(&[key]).await.unwrap();
                }
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    for (task, n) in (0..ROUNDS).flat_map(|n| [(0, n), (1, n)]) {
        let key = stays(task, n);
        let expected = n % 2 == 0;
        assert_eq!(is_there(&*fixture.backend, &key).await, expected, "{key}");
    }
    let all = children(&*fixture.backend, &key("p/q")).await;
    assert_eq!(all.len(), ROUNDS, "{all:?}");
}

pub(crate) async fn a_tree_is_deleted_with_everything_below_it(fixture: &Fixture) {
    let backend = &*fixture.backend;
    put_named(backend, &keys(["t/1", "t/a/2", "t/a/b/c/3", "t/a/b/4"])).await;
    let session = session("1");
    drop(session_of(backend, &session, &content(10, 1)).await);
    backend.delete_tree(&key("t/a")).await.unwrap();
    assert_eq!(listed(backend, &key("t")).await, [key("t/1")]);
    assert_eq!(children(backend, &key("t")).await, ["1"]);
    backend.delete_tree(&key("t")).await.unwrap();
    backend.delete_tree(&session.root).await.unwrap();
    assert_nothing_is_left(fixture).await;
}

pub(crate) async fn an_object_of_the_trees_name_is_deleted(fixture: &Fixture) {
    let backend = &*fixture.backend;
    put_named(backend, &keys(["t/1", "t/2"])).await;
    backend.delete_tree(&key("t/1")).await.unwrap();
    assert_eq!(listed(backend, &key("t")).await, [key("t/2")]);
    backend.delete_tree(&key("t/2")).await.unwrap();
    assert_nothing_is_left(fixture).await;
}

pub(crate) async fn a_tree_that_is_not_there_counts_as_deleted(fixture: &Fixture) {
    let backend = &*fixture.backend;
    backend.delete_tree(&key("t")).await.unwrap();
    put(backend, &key("t/a"), "a").await;
    backend.delete_tree(&key("t/b/c")).await.unwrap();
    for _ in 0..2 {
        backend.delete_tree(&key("t")).await.unwrap();
        assert_nothing_is_left(fixture).await;
    }
}

pub(crate) async fn siblings_with_the_same_beginning_are_not_of_the_tree(fixture: &Fixture) {
    let backend = &*fixture.backend;
    let stay = keys(["t/1-a/x", "t/1.b", "t/10/x", "t/1_", "t/2"]);
    put_named(backend, stay.iter().chain(&keys(["t/1/x", "t/1/y/z"]))).await;
    backend.delete_tree(&key("t/1")).await.unwrap();
    assert_eq!(listed(backend, &key("t")).await, stay);
}

pub(crate) async fn a_large_tree_is_deleted(fixture: &Fixture) {
    let backend = &*fixture.backend;
    let inside: Vec<Key> = (0..700).map(|n| key(&format!("t/{}/{}/{n}", n % 7, n % 11))).collect();
    put_named(backend, &inside).await;
    put(backend, &key("u"), "stays").await;
    backend.delete_tree(&key("t")).await.unwrap();
    assert_eq!(listed(backend, &"docker".parse().unwrap()).await, [key("u")]);
}

pub(crate) async fn what_is_put_into_a_tree_that_is_being_deleted_stays_whole_or_goes(
    fixture: &Fixture,
) {
    let place = |n: u64| key(&format!("t/{}/{}/link", n % 3, n % 5));
    let backend = fixture.backend.clone();
    let writer = tokio::spawn(async move {
        for n in 0..60u64 {
            put(&*backend, &place(n), content(200, n % 15)).await;
        }
    });
    let mut deleted = 0;
    while !writer.is_finished() || deleted == 0 {
        fixture.backend.delete_tree(&key("t")).await.unwrap();
        deleted += 1;
        tokio::task::yield_now().await;
    }
    writer.await.unwrap();
    // The puts go round 3 and 5: a place belongs to one number below 15.
    for n in 0..15u64 {
        if is_there(&*fixture.backend, &place(n)).await {
            assert_eq!(read(&*fixture.backend, &place(n)).await, content(200, n));
        }
    }
    fixture.backend.delete_tree(&key("t")).await.unwrap();
    assert_nothing_is_left(fixture).await;
}
