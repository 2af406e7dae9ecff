//! `Staged::promote`: what was staged becomes an object, once.

use std::slice;

use bytes::Bytes;
use futures::TryStreamExt as _;
use futures::future::join_all;
use registry_store::backend::{BackendExt as _, ErrorKind, Promotion, PutMode, ReadRange};
use registry_tests::backends::Fixture;

use crate::common::{
    assert_nothing_is_left, assert_same, begin, collect, content, copy, is_there, key, kind,
    listed, note, put, read, resume, session, session_of, size, staged_bytes,
};

pub(crate) async fn a_session_becomes_an_object(fixture: &Fixture) {
    let backend = &*fixture.backend;
    let (keys, to) = (session("1"), key("blobs/sha256/ab/abcd/data"));
    let bytes = content(10_000, 1);
    let mut staged = session_of(backend, &keys, &bytes).await;
    assert!(!is_there(backend, &to).await);
    let promotion = staged.promote(&to, 10_000).await.unwrap();
    assert_eq!(promotion, Promotion::Created);
    assert_same(&read(backend, &to).await, &bytes);
    staged.discard().await.unwrap();
    backend.delete(&[to]).await.unwrap();
    assert_nothing_is_left(fixture).await;
}

pub(crate) async fn an_empty_session_becomes_an_empty_object(fixture: &Fixture) {
    let to = key("blobs/data");
    let mut staged = begin(&*fixture.backend, &session("1")).await;
    assert_eq!(staged.promote(&to, 0).await.unwrap(), Promotion::Created);
    assert_eq!(size(&*fixture.backend, &to).await, Some(0));
}

pub(crate) async fn a_promoted_object_is_listed_and_seen_by_other_handles(fixture: &Fixture) {
    let to = key("blobs/sha256/ab/abcd/data");
    let mut staged = session_of(&*fixture.backend, &session("1"), &"bytes".into()).await;
    staged.promote(&to, 5).await.unwrap();
    for backend in [fixture.backend.clone(), fixture.reopen()] {
        assert_eq!(listed(&*backend, &key("blobs")).await, slice::from_ref(&to));
        assert_eq!(read(&*backend, &to).await, "bytes");
    }
}

pub(crate) async fn a_big_session_becomes_an_object(fixture: &Fixture) {
    let (backend, keys) = (&*fixture.backend, session("1"));
    let to = key("blobs/data");
    let bytes = content(12_000_007, 1);
    drop(session_of(backend, &keys, &bytes.slice(..7_000_000)).await);
    let mut staged = resume(backend, &keys).await;
    staged.append(bytes.slice(7_000_000..)).await.unwrap();
    staged.promote(&to, 12_000_007).await.unwrap();
    assert_same(&read(backend, &to).await, &bytes);
    let middle = ReadRange::Bounded { start: 6_999_990, end: 8_100_000 };
    let part = crate::common::read_range(backend, &to, middle).await.unwrap();
    assert_same(&part, &bytes[6_999_990..8_100_000]);
}

pub(crate) async fn an_object_of_the_same_size_is_kept(fixture: &Fixture) {
    let backend = &*fixture.backend;
    let to = key("blobs/data");
    put(backend, &to, "there").await;
    let mut staged = session_of(backend, &session("1"), &"other".into()).await;
    assert_eq!(staged.promote(&to, 5).await.unwrap(), Promotion::Kept);
    assert_eq!(read(backend, &to).await, "there");
    staged.discard().await.unwrap();
    assert_eq!(read(backend, &to).await, "there");
}

pub(crate) async fn an_object_of_another_size_is_replaced(fixture: &Fixture) {
    let backend = &*fixture.backend;
    for (n, damaged) in ["short", "longer than what is to be there"].iter().enumerate() {
        let to = key(&format!("blobs/{n}/data"));
        put(backend, &to, *damaged).await;
        let keys = session(&n.to_string());
        let mut staged = session_of(backend, &keys, &"good bytes".into()).await;
        let expected = Promotion::Replaced { found: damaged.len() as u64 };
        assert_eq!(staged.promote(&to, 10).await.unwrap(), expected);
        assert_eq!(read(backend, &to).await, "good bytes");
        assert_eq!(staged.promote(&to, 10).await.unwrap(), Promotion::Kept);
        staged.discard().await.unwrap();
        assert_eq!(read(backend, &to).await, "good bytes");
    }
}

pub(crate) async fn an_empty_object_is_replaced(fixture: &Fixture) {
    let backend = &*fixture.backend;
    let to = key("blobs/data");
    put(backend, &to, Bytes::new()).await;
    let mut staged = session_of(backend, &session("1"), &"good".into()).await;
    let promotion = staged.promote(&to, 4).await.unwrap();
    assert_eq!(promotion, Promotion::Replaced { found: 0 });
    assert_eq!(read(backend, &to).await, "good");
}

pub(crate) async fn a_wrong_size_is_an_error_and_nothing_is_visible(fixture: &Fixture) {
    let (backend, keys) = (&*fixture.backend, session("1"));
    let to = key("blobs/data");
    let mut staged = session_of(backend, &keys, &"bytes".into()).await;
    for wrong in [0, 4, 6, u64::MAX] {
        assert_eq!(kind(staged.promote(&to, wrong).await), ErrorKind::Io);
        assert!(!is_there(backend, &to).await);
    }
    drop(staged);
    let mut staged = resume(backend, &keys).await;
    assert!(!staged.is_promoted());
    assert_eq!(staged.promote(&to, 5).await.unwrap(), Promotion::Created);
}

pub(crate) async fn the_staging_stays_after_its_promotion(fixture: &Fixture) {
    let (backend, keys) = (&*fixture.backend, session("1"));
    let bytes = content(10_000, 1);
    let mut staged = session_of(backend, &keys, &bytes).await;
    staged.promote(&key("blobs/data"), 10_000).await.unwrap();
    assert_eq!(staged.note(10_000).await.unwrap(), Some((10_000, note(10_000))));
    for _ in 0..2 {
        assert_eq!(staged.offset(), 10_000);
        assert_same(&staged_bytes(&mut *staged).await, &bytes);
        let rest = staged.read_back(9_000).await.unwrap();
        let rest: Vec<Bytes> = rest.try_collect().await.unwrap();
        assert_same(&rest.concat(), &bytes[9_000..]);
        drop(staged);
        staged = resume(backend, &keys).await;
    }
    // Of a session that was opened again the object itself may be all that vouches for the bytes.
    let found = staged.note(10_000).await.unwrap();
    assert!(found.is_none_or(|found| found == (10_000, note(10_000))));
}

pub(crate) async fn a_promotion_can_be_repeated(fixture: &Fixture) {
    let (backend, keys) = (&*fixture.backend, session("1"));
    let to = key("blobs/data");
    let mut staged = session_of(backend, &keys, &"bytes".into()).await;
    staged.promote(&to, 5).await.unwrap();
    assert_eq!(staged.promote(&to, 5).await.unwrap(), Promotion::Kept);
    drop(staged);
    for backend in [fixture.backend.clone(), fixture.reopen()] {
        let mut staged = resume(&*backend, &keys).await;
        assert_eq!(staged.promote(&to, 5).await.unwrap(), Promotion::Kept);
    }
    assert_eq!(read(backend, &to).await, "bytes");
}

pub(crate) async fn discarding_leaves_the_object(fixture: &Fixture) {
    let (backend, keys) = (&*fixture.backend, session("1"));
    let to = key("blobs/data");
    let bytes = content(100_000, 1);
    let mut staged = session_of(backend, &keys, &bytes).await;
    staged.promote(&to, 100_000).await.unwrap();
    staged.discard().await.unwrap();
    assert_same(&read(backend, &to).await, &bytes);
    assert_eq!(listed(backend, &keys.root).await, []);
    backend.delete(&[to]).await.unwrap();
    assert_nothing_is_left(fixture).await;
}

pub(crate) async fn deleting_the_session_leaves_the_object(fixture: &Fixture) {
    let (backend, keys) = (&*fixture.backend, session("1"));
    let to = key("blobs/data");
    let mut staged = session_of(backend, &keys, &"bytes".into()).await;
    staged.promote(&to, 5).await.unwrap();
    drop(staged);
    backend.delete_tree(&keys.root).await.unwrap();
    assert_eq!(read(backend, &to).await, "bytes");
}

pub(crate) async fn deleting_the_object_leaves_the_session(fixture: &Fixture) {
    let (backend, keys) = (&*fixture.backend, session("1"));
    let to = key("blobs/data");
    let mut staged = session_of(backend, &keys, &"bytes".into()).await;
    staged.promote(&to, 5).await.unwrap();
    drop(staged);
    backend.delete(slice::from_ref(&to)).await.unwrap();
    let mut staged = resume(backend, &keys).await;
    assert_eq!(staged_bytes(&mut *staged).await, "bytes");
    assert_eq!(staged.promote(&to, 5).await.unwrap(), Promotion::Created);
    assert_eq!(read(backend, &to).await, "bytes");
}

pub(crate) async fn of_sessions_that_become_one_object_one_creates_it(fixture: &Fixture) {
    let to = key("blobs/sha256/ab/abcd/data");
    let mut sessions = Vec::new();
    for seed in 0..8u64 {
        let keys = session(&seed.to_string());
        sessions.push(session_of(&*fixture.backend, &keys, &content(9_000, seed)).await);
    }
    let promotions = sessions.into_iter().map(|mut staged| {
        let to = to.clone();
        tokio::spawn(async move { staged.promote(&to, 9_000).await.unwrap() })
    });
    let mut created = Vec::new();
    for (seed, outcome) in (0..).zip(join_all(promotions).await) {
        match outcome.unwrap() {
            Promotion::Created => created.push(seed),
            Promotion::Kept => {}
            Promotion::Replaced { found } => panic!("an object of {found} bytes was replaced"),
        }
    }
    assert_eq!(created.len(), 1, "created by {created:?}");
    assert_same(&read(&*fixture.backend, &to).await, &content(9_000, created[0]));
}

pub(crate) async fn a_reader_of_a_replaced_object_keeps_what_it_opened(fixture: &Fixture) {
    let (backend, keys) = (&*fixture.backend, session("1"));
    let to = key("blobs/data");
    let damaged = content(2_000_000, 1);
    backend.put(&to, damaged.clone(), PutMode::Create).await.unwrap();
    let opened = backend.read(&to, ReadRange::Full).await.unwrap();
    let good = content(3_000_000, 2);
    let mut staged = begin(backend, &keys).await;
    staged.append(good.clone()).await.unwrap();
    staged.persist(note(3_000_000), &copy(&keys, 3_000_000)).await.unwrap();
    let promotion = staged.promote(&to, 3_000_000).await.unwrap();
    assert_eq!(promotion, Promotion::Replaced { found: 2_000_000 });
    assert_same(&collect(opened.into_stream()).await.unwrap(), &damaged);
    assert_same(&read(backend, &to).await, &good);
}
