//! `Backend::quarantine`: out of everybody's sight.

use std::slice;

use bytes::Bytes;
use registry_store::backend::{BackendExt as _, ErrorKind, Put, PutMode, ReadRange};
use registry_tests::backends::Fixture;

use crate::common::{
    assert_nothing_is_left, content, key, keys, kind, listed, put, put_named, read, session,
    session_of,
};

pub(crate) async fn a_quarantined_object_is_out_of_sight(fixture: &Fixture) {
    let key = key("blobs/sha256/ab/abcd/data");
    put(&*fixture.backend, &key, content(2_000_000, 1)).await;
    fixture.backend.quarantine(&key, None).await.unwrap();
    for backend in [fixture.backend.clone(), fixture.reopen()] {
        assert_eq!(backend.head(&key).await.unwrap(), None);
        let outcome = backend.read(&key, ReadRange::Full).await;
        assert_eq!(kind(outcome), ErrorKind::NotFound);
        assert_eq!(backend.settle(slice::from_ref(&key)).await.unwrap(), [None]);
    }
    assert_nothing_is_left(fixture).await;
}

pub(crate) async fn what_is_not_there_counts_as_quarantined(fixture: &Fixture) {
    fixture.backend.quarantine(&key("a"), None).await.unwrap();
    fixture.backend.quarantine(&key("a/b/c"), None).await.unwrap();
    assert_nothing_is_left(fixture).await;
}

pub(crate) async fn an_object_can_take_the_place_of_a_quarantined_one(fixture: &Fixture) {
    let backend = &*fixture.backend;
    let place = key("blobs/sha256/ab/abcd/data");
    put(backend, &place, Bytes::new()).await;
    backend.quarantine(&place, None).await.unwrap();
    let good = content(100, 1);
    let mut staged = session_of(backend, &session("1"), &good).await;
    let promotion = staged.promote(&place, 100).await.unwrap();
    assert_eq!(promotion, registry_store::backend::Promotion::Created);
    assert_eq!(read(backend, &place).await, good);
    backend.quarantine(&place, None).await.unwrap();
    let outcome = backend.put(&place, "again".into(), PutMode::Create).await;
    assert_eq!(outcome.unwrap(), Put::Written);
}

pub(crate) async fn one_key_can_be_quarantined_again_and_again(fixture: &Fixture) {
    for round in 0..4u64 {
        put(&*fixture.backend, &key("a/b"), content(50, round)).await;
        fixture.backend.quarantine(&key("a/b"), None).await.unwrap();
        assert_nothing_is_left(fixture).await;
    }
}

pub(crate) async fn a_quarantine_leaves_the_neighbours(fixture: &Fixture) {
    let backend = &*fixture.backend;
    let stay = keys(["a/1-a", "a/1.b", "a/10"]);
    put_named(backend, &stay).await;
    put(backend, &key("a/1"), "damaged").await;
    backend.quarantine(&key("a/1"), None).await.unwrap();
    assert_eq!(listed(backend, &key("a")).await, stay);
    for key in &stay {
        assert_eq!(read(backend, key).await, key.to_string());
    }
}

pub(crate) async fn what_is_quarantined_is_what_was_judged(fixture: &Fixture) {
    let backend = &*fixture.backend;
    let place = key("a/b");
    put(backend, &place, "damaged").await;
    let judged = backend.head(&place).await.unwrap();
    backend.quarantine(&place, None).await.unwrap();
    backend.quarantine(&place, judged).await.unwrap();
    // Of the same size, and perhaps in the same tick of the medium's clock.
    put(backend, &place, "healthy").await;
    backend.quarantine(&place, judged).await.unwrap();
    assert_eq!(read(backend, &place).await, "healthy");
    let found = backend.head(&place).await.unwrap();
    backend.quarantine(&place, found).await.unwrap();
    assert_eq!(backend.head(&place).await.unwrap(), None);
}
