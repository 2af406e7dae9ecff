//! `Backend::stage` with a final key: an object that is written in one go, or given up.

use bytes::Bytes;
use futures::future::join_all;
use registry_store::backend::Promotion;
use registry_tests::backends::Fixture;

use crate::common::{
    assert_nothing_is_left, assert_same, content, is_there, key, listed, read, stage_final,
};

pub(crate) async fn what_is_staged_is_not_visible(fixture: &Fixture) {
    let to = key("blobs/data");
    let mut staged = stage_final(&*fixture.backend, &to).await;
    assert_eq!(staged.offset(), 0);
    staged.append(content(100_000, 1)).await.unwrap();
    assert_eq!(staged.offset(), 100_000);
    for backend in [fixture.backend.clone(), fixture.reopen()] {
        assert!(!is_there(&*backend, &to).await);
        assert_eq!(listed(&*backend, &key("blobs")).await, []);
    }
}

pub(crate) async fn a_final_staging_becomes_its_object(fixture: &Fixture) {
    let to = key("blobs/sha256/ab/abcd/data");
    let bytes = content(70_000, 1);
    let mut staged = stage_final(&*fixture.backend, &to).await;
    staged.append(bytes.clone()).await.unwrap();
    let promotion = staged.promote(&to, 70_000).await.unwrap();
    assert_eq!(promotion, Promotion::Created);
    assert_same(&read(&*fixture.reopen(), &to).await, &bytes);
    assert_eq!(staged.promote(&to, 70_000).await.unwrap(), Promotion::Kept);
}

pub(crate) async fn a_dropped_final_staging_leaves_nothing(fixture: &Fixture) {
    let to = key("blobs/data");
    for length in [0, 10, 3_000_000] {
        let mut staged = stage_final(&*fixture.backend, &to).await;
        staged.append(content(length, 1)).await.unwrap();
        drop(staged);
        assert!(!is_there(&*fixture.backend, &to).await);
        assert_nothing_is_left(fixture).await;
    }
}

pub(crate) async fn a_discarded_final_staging_leaves_nothing(fixture: &Fixture) {
    let to = key("blobs/data");
    let mut staged = stage_final(&*fixture.backend, &to).await;
    staged.append("bytes".into()).await.unwrap();
    staged.discard().await.unwrap();
    assert!(!is_there(&*fixture.backend, &to).await);
    assert_nothing_is_left(fixture).await;
}

pub(crate) async fn a_final_staging_that_was_promoted_leaves_its_object(fixture: &Fixture) {
    let backend = &*fixture.backend;
    for (discards, name) in [(true, "discarded"), (false, "dropped")] {
        let to = key(name);
        let mut staged = stage_final(backend, &to).await;
        staged.append("bytes".into()).await.unwrap();
        staged.promote(&to, 5).await.unwrap();
        if discards {
            staged.discard().await.unwrap();
        } else {
            drop(staged);
        }
        assert_eq!(read(backend, &to).await, "bytes");
        backend.delete(&[to]).await.unwrap();
    }
    assert_nothing_is_left(fixture).await;
}

pub(crate) async fn a_final_staging_of_many_parts_becomes_one_object(fixture: &Fixture) {
    let to = key("blobs/data");
    let bytes = content(6_000_001, 1);
    let mut staged = stage_final(&*fixture.backend, &to).await;
    for part in bytes.chunks(123_457) {
        staged.append(Bytes::copy_from_slice(part)).await.unwrap();
    }
    staged.promote(&to, 6_000_001).await.unwrap();
    assert_same(&read(&*fixture.backend, &to).await, &bytes);
}

pub(crate) async fn an_empty_final_staging_becomes_an_empty_object(fixture: &Fixture) {
    let to = key("blobs/data");
    let mut staged = stage_final(&*fixture.backend, &to).await;
    assert_eq!(staged.promote(&to, 0).await.unwrap(), Promotion::Created);
    assert_eq!(read(&*fixture.backend, &to).await, Bytes::new());
}

pub(crate) async fn final_stagings_of_one_key_do_not_touch_each_other(fixture: &Fixture) {
    let to = key("blobs/data");
    let stagings = (0..6u64).map(|seed| {
        let (backend, to) = (fixture.backend.clone(), to.clone());
        tokio::spawn(async move {
            let mut staged = stage_final(&*backend, &to).await;
            for part in content(50_000, seed).chunks(10_000) {
                staged.append(Bytes::copy_from_slice(part)).await.unwrap();
            }
            staged.promote(&to, 50_000).await.unwrap()
        })
    });
    let outcomes: Vec<Promotion> =
        join_all(stagings).await.into_iter().map(Result::unwrap).collect();
    let created: Vec<u64> = (0..)
        .zip(&outcomes)
        .filter_map(|(seed, outcome)| (*outcome == Promotion::Created).then_some(seed))
        .collect();
    assert_eq!(created.len(), 1, "{outcomes:?}");
    let kept = outcomes.iter().filter(|outcome| **outcome == Promotion::Kept);
    assert_eq!(kept.count(), 5, "{outcomes:?}");
    assert_same(&read(&*fixture.backend, &to).await, &content(50_000, created[0]));
}
