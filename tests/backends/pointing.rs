//! `Backend::point` and `Backend::delete_if`: small objects that refer to others, and how they go.

use std::slice;

use bytes::Bytes;
use futures::future::join_all;
use registry_store::backend::BackendExt as _;
use registry_store::backend::{Backend, DeleteIf, Key, PointIf, Pointed, PutMode, Result};
use registry_tests::backends::Fixture;

use crate::common::{is_there, key, put, read};

/// A tag, and the manifest it is to point at, which is there.
async fn tag_and_target(backend: &dyn Backend) -> (Key, Key) {
    let target = key("repositories/a/_manifests/revisions/sha256/11/link");
    put(backend, &target, "target").await;
    (key("repositories/a/_manifests/tags/v1/current/link"), target)
}

async fn point(
    backend: &dyn Backend,
    keys: &(Key, Key),
    bytes: &'static str,
    condition: PointIf,
) -> Pointed {
    let (key, target) = keys;
    backend.point(key, bytes.into(), target, condition).await.unwrap()
}

async fn delete_if(
    backend: &dyn Backend,
    key: &Key,
    holds: &'static str,
    (target, only_if_gone): (&Key, bool),
) -> Result<bool> {
    let condition = DeleteIf { holds: holds.into(), target: target.clone(), only_if_gone };
    backend.delete_if(key, condition).await
}

pub(crate) async fn what_points_is_written_whatever_was_there(fixture: &Fixture) {
    let backend = &*fixture.backend;
    let keys = tag_and_target(backend).await;
    for bytes in ["one", "longer", ""] {
        assert_eq!(point(backend, &keys, bytes, PointIf::Always).await, Pointed::Written);
        assert_eq!(read(&*fixture.reopen(), &keys.0).await, bytes);
    }
}

pub(crate) async fn a_target_that_is_not_there_is_told_of(fixture: &Fixture) {
    let backend = &*fixture.backend;
    let keys = tag_and_target(backend).await;
    fixture.reopen().delete(slice::from_ref(&keys.1)).await.unwrap();
    assert_eq!(point(backend, &keys, "one", PointIf::Always).await, Pointed::TargetGone);
    assert_eq!(read(backend, &keys.0).await, "one");
}

pub(crate) async fn what_points_is_written_if_it_is_absent_or_as_it_was(fixture: &Fixture) {
    let backend = &*fixture.backend;
    let keys = tag_and_target(backend).await;
    let holds = |bytes: &'static str| PointIf::Holds(bytes.into());
    for (condition, bytes, expected) in [
        (holds(""), "no", Pointed::Refused),
        (PointIf::Absent, "one", Pointed::Written),
        (PointIf::Absent, "no", Pointed::Refused),
        (holds("two"), "no", Pointed::Refused),
        (holds("onee"), "no", Pointed::Refused),
        (holds("on"), "no", Pointed::Refused),
        (holds("one"), "two", Pointed::Written),
        (holds("one"), "no", Pointed::Refused),
    ] {
        assert_eq!(
            point(backend, &keys, bytes, condition.clone()).await,
            expected,
            "{condition:?}"
        );
    }
    assert_eq!(read(&*fixture.reopen(), &keys.0).await, "two");
    // What is refused says nothing of its target.
    backend.delete(slice::from_ref(&keys.1)).await.unwrap();
    assert_eq!(point(backend, &keys, "no", PointIf::Absent).await, Pointed::Refused);
}

pub(crate) async fn of_many_that_point_if_it_is_absent_one_does(fixture: &Fixture) {
    let keys = tag_and_target(&*fixture.backend).await;
    let pointing = (0..16).map(|n: u8| {
        let (backend, keys) = (fixture.backend.clone(), keys.clone());
        tokio::spawn(async move {
            backend.point(&keys.0, vec![n].into(), &keys.1, PointIf::Absent).await.unwrap()
        })
    });
    let outcomes = join_all(pointing).await.into_iter().map(Result::unwrap);
    let written: Vec<usize> = outcomes
        .enumerate()
        .filter_map(|(n, outcome)| (outcome == Pointed::Written).then_some(n))
        .collect();
    assert_eq!(written.len(), 1, "{written:?}");
    assert_eq!(read(&*fixture.backend, &keys.0).await[..], [written[0] as u8]);
}

pub(crate) async fn what_is_as_expected_is_deleted(fixture: &Fixture) {
    let backend = &*fixture.backend;
    let (target, key, other) = (key("target/link"), key("a/link"), key("b/link"));
    put(backend, &target, "is there, and may be").await;
    put(backend, &key, "expected").await;
    for wrong in ["", "expecte", "expectedd", "Expected"] {
        assert!(!delete_if(backend, &key, wrong, (&target, false)).await.unwrap(), "{wrong}");
    }
    assert!(!delete_if(backend, &other, "", (&target, false)).await.unwrap());
    assert_eq!(read(backend, &key).await, "expected");
    assert!(delete_if(backend, &key, "expected", (&target, false)).await.unwrap());
    assert!(!is_there(&*fixture.reopen(), &key).await);
    assert!(!delete_if(backend, &key, "expected", (&target, false)).await.unwrap());
}

pub(crate) async fn what_points_stays_as_long_as_its_target_is_there(fixture: &Fixture) {
    let backend = &*fixture.backend;
    let keys = tag_and_target(backend).await;
    point(backend, &keys, "one", PointIf::Always).await;
    let (key, target) = &keys;
    assert!(!delete_if(backend, key, "one", (target, true)).await.unwrap());
    assert_eq!(read(backend, key).await, "one");
    backend.delete(slice::from_ref(target)).await.unwrap();
    assert!(delete_if(backend, key, "one", (target, true)).await.unwrap());
    assert!(!is_there(backend, key).await);
    // It can be pointed anew at once.
    put(backend, target, "target").await;
    assert_eq!(point(backend, &keys, "one", PointIf::Absent).await, Pointed::Written);
}

pub(crate) async fn an_empty_object_is_deleted_if_it_is_expected_empty(fixture: &Fixture) {
    let (backend, key, target) = (&*fixture.backend, key("a/link"), key("target/link"));
    backend.put(&key, Bytes::new(), PutMode::Create).await.unwrap();
    assert!(!delete_if(backend, &key, "x", (&target, false)).await.unwrap());
    assert!(delete_if(backend, &key, "", (&target, false)).await.unwrap());
}
