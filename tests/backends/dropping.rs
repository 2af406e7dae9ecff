//! Any future may be dropped: what is left is a state that a crash could have left.
//!
//! Each clause drops a call after every number of polls up to one at which it is ready, and looks at what is left.

use std::future::Future;
use std::slice;

use bytes::Bytes;
use registry_store::backend::{
    BackendExt as _, ErrorKind, Key, OpenSession, Promotion, PutMode, ReadRange, Result,
};
use registry_tests::backends::Fixture;
use registry_tests::polls::drop_after_polls;
use tokio::runtime::Builder;
use tokio::task::block_in_place;

use crate::common::{
    assert_same, begin, collect, content, copy, is_there, key, keys, listed, note, open, put,
    put_named, read, request, resume, session, session_of, stage_final, staged_bytes,
};

/// More polls than any call here asks for.
const MANY: usize = 200;

/// Drops a call after 0, 1, 2 … polls, until it is ready before it can be dropped.
async fn at_every_poll(mut attempt: impl AsyncFnMut(usize) -> Option<()>) {
    for polls in 0..MANY {
        if attempt(polls).await.is_some() {
            return;
        }
    }
    panic!("not ready after {MANY} polls");
}

/// Polls a call so often at most, and waits for whatever it has left running when it was dropped.
///
/// Else that could come behind what a clause looks at. The call has a runtime of its own, whose end waits for the
/// work that it has begun and forgets the work that it has not.
async fn poll<T>(polls: usize, call: impl Future<Output = Result<T>>) -> Option<()> {
    let outcome = block_in_place(|| {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(drop_after_polls(polls, call))
    });
    outcome.map(|outcome| {
        outcome.unwrap();
    })
}

pub(crate) async fn a_dropped_put_is_whole_or_nothing(fixture: &Fixture) {
    let backend = &*fixture.backend;
    let [created, replaced] = ["new/link", "old/link"].map(key);
    let (old, new) = (content(50_000, 1), content(70_000, 2));
    at_every_poll(async |polls| {
        put(backend, &replaced, old.clone()).await;
        let puts = [(&created, PutMode::Create), (&replaced, PutMode::Overwrite)];
        let mut done = Some(());
        for (key, mode) in puts {
            done = done.and(poll(polls, backend.put(key, new.clone(), mode)).await);
        }
        if is_there(backend, &created).await {
            assert_same(&read(backend, &created).await, &new);
        }
        let found = read(backend, &replaced).await;
        assert_same(&found, if found.len() == old.len() { &old } else { &new });
        backend.put(&replaced, "last".into(), PutMode::Overwrite).await.unwrap();
        backend.put(&created, new.clone(), PutMode::Create).await.unwrap();
        assert_same(&read(backend, &created).await, &new);
        backend.delete(slice::from_ref(&created)).await.unwrap();
        done
    })
    .await;
}

pub(crate) async fn a_dropped_list_of_puts_is_a_beginning_of_it(fixture: &Fixture) {
    let backend = &*fixture.backend;
    let keys = keys(["a/3", "b/1", "c/2", "a/1"]);
    at_every_poll(async |polls| {
        let puts = keys.iter().map(|key| request(key, key.to_string(), PutMode::Create));
        let done = poll(polls, backend.put_all(puts.collect())).await;
        let mut earlier_is_there = true;
        for key in &keys {
            let found = is_there(backend, key).await;
            assert!(earlier_is_there || !found, "{key} without those before it");
            earlier_is_there = found;
            if found {
                assert_eq!(read(backend, key).await, key.to_string());
            }
        }
        put_named(backend, &keys).await;
        backend.delete(&keys).await.unwrap();
        done
    })
    .await;
}

pub(crate) async fn a_dropped_delete_leaves_objects_whole(fixture: &Fixture) {
    let backend = &*fixture.backend;
    let keys = keys(["t/a/b/1", "t/a/2", "t/c/3"]);
    let stays = key("t/a/b/stays");
    at_every_poll(async |polls| {
        put_named(backend, keys.iter().chain([&stays])).await;
        let done = poll(polls, backend.delete(&keys)).await;
        assert_whole_or_gone(fixture, &keys).await;
        backend.delete(&keys).await.unwrap();
        assert_eq!(listed(backend, &key("t")).await, slice::from_ref(&stays));
        done
    })
    .await;
}

pub(crate) async fn a_dropped_delete_of_a_tree_leaves_objects_whole(fixture: &Fixture) {
    let backend = &*fixture.backend;
    let keys = keys(["t/a/b/1", "t/a/2", "t/c/3", "t/c/4"]);
    at_every_poll(async |polls| {
        put_named(backend, &keys).await;
        let done = poll(polls, backend.delete_tree(&key("t"))).await;
        assert_whole_or_gone(fixture, &keys).await;
        backend.delete_tree(&key("t")).await.unwrap();
        assert_eq!(listed(backend, &key("t")).await, []);
        done
    })
    .await;
}

async fn assert_whole_or_gone(fixture: &Fixture, keys: &[Key]) {
    for key in keys {
        match fixture.backend.read_small(key, 1_000).await.unwrap() {
            Some(found) => assert_eq!(found, key.to_string()),
            None => assert!(!is_there(&*fixture.backend, key).await),
        }
    }
}

pub(crate) async fn a_dropped_quarantine_leaves_an_object_whole_or_out_of_sight(fixture: &Fixture) {
    let keys = keys(["a/b"]);
    at_every_poll(async |polls| {
        put_named(&*fixture.backend, &keys).await;
        let done = poll(polls, fixture.backend.quarantine(&keys[0], None)).await;
        assert_whole_or_gone(fixture, &keys).await;
        fixture.backend.quarantine(&keys[0], None).await.unwrap();
        assert!(!is_there(&*fixture.backend, &keys[0]).await);
        done
    })
    .await;
}

pub(crate) async fn a_session_whose_beginning_was_dropped_is_there_or_not(fixture: &Fixture) {
    let backend = &*fixture.backend;
    at_every_poll(async |polls| {
        let keys = session(&polls.to_string());
        let done = poll(polls, open(backend, &keys, OpenSession::New)).await;
        match open(backend, &keys, OpenSession::Resume(None)).await {
            Ok(staged) => assert_eq!(staged.offset(), 0),
            Err(error) => assert_eq!(error.kind(), ErrorKind::NotFound),
        }
        backend.delete_tree(&keys.root).await.unwrap();
        done
    })
    .await;
}

pub(crate) async fn a_session_after_a_dropped_append_has_a_part_of_its_bytes(fixture: &Fixture) {
    let backend = &*fixture.backend;
    let bytes = content(3_000_000, 1);
    at_every_poll(async |polls| {
        let keys = session(&polls.to_string());
        let mut staged = session_of(backend, &keys, &bytes.slice(..1_000)).await;
        let done = poll(polls, staged.append(bytes.slice(1_000..))).await;
        drop(staged);
        let mut staged = resume(backend, &keys).await;
        let offset = staged.offset() as usize;
        assert!((1_000..=bytes.len()).contains(&offset), "{offset}");
        assert_same(&staged_bytes(&mut *staged).await, &bytes[..offset]);
        // Nothing of the dropped append comes later: it goes on exactly here.
        staged.append(bytes.slice(offset..)).await.unwrap();
        assert_same(&staged_bytes(&mut *staged).await, &bytes);
        staged.discard().await.unwrap();
        done
    })
    .await;
}

pub(crate) async fn a_session_after_a_dropped_persist_has_its_bytes(fixture: &Fixture) {
    let backend = &*fixture.backend;
    let bytes = content(30_000, 1);
    at_every_poll(async |polls| {
        let keys = session(&polls.to_string());
        let mut staged = session_of(backend, &keys, &bytes.slice(..10_000)).await;
        staged.append(bytes.slice(10_000..)).await.unwrap();
        let copy = copy(&keys, 30_000);
        let done = poll(polls, staged.persist(note(30_000), &copy)).await;
        drop(staged);
        let mut staged = resume(backend, &keys).await;
        let offset = staged.offset();
        assert!((10_000..=30_000).contains(&offset), "{offset}");
        assert_same(&staged_bytes(&mut *staged).await, &bytes[..offset as usize]);
        match staged.note(offset).await.unwrap() {
            Some((kept_at @ (10_000 | 30_000), found)) => assert_eq!(found, note(kept_at)),
            other => panic!("expected one of two notes, found {other:?}"),
        }
        staged.discard().await.unwrap();
        done
    })
    .await;
}

pub(crate) async fn a_session_after_a_dropped_rewind_has_a_beginning_of_its_bytes(
    fixture: &Fixture,
) {
    let backend = &*fixture.backend;
    let bytes = content(30_000, 1);
    at_every_poll(async |polls| {
        let keys = session(&polls.to_string());
        let mut staged = session_of(backend, &keys, &bytes).await;
        let done = poll(polls, staged.rewind(10_000)).await;
        drop(staged);
        let mut staged = resume(backend, &keys).await;
        assert!([10_000, 30_000].contains(&staged.offset()), "{}", staged.offset());
        staged.rewind(10_000).await.unwrap();
        staged.append("after".into()).await.unwrap();
        let expected = [&bytes[..10_000], b"after"].concat();
        assert_same(&staged_bytes(&mut *staged).await, &expected);
        staged.discard().await.unwrap();
        done
    })
    .await;
}

pub(crate) async fn a_dropped_promotion_happened_whole_or_not(fixture: &Fixture) {
    let backend = &*fixture.backend;
    let bytes = content(30_000, 1);
    for damaged in [None, Some("damaged")] {
        at_every_poll(async |polls| {
            let keys = session(&polls.to_string());
            let to = key(&format!("blobs/{polls}/data"));
            if let Some(damaged) = damaged {
                put(backend, &to, damaged).await;
            }
            let mut staged = session_of(backend, &keys, &bytes).await;
            let done = poll(polls, staged.promote(&to, 30_000)).await;
            drop(staged);
            if let Some(found) = backend.read_small(&to, 100_000).await.unwrap() {
                assert_same(&found, if found.len() == 7 { b"damaged" } else { &bytes });
            }
            let mut staged = resume(backend, &keys).await;
            assert_same(&staged_bytes(&mut *staged).await, &bytes);
            staged.promote(&to, 30_000).await.unwrap();
            assert_same(&read(backend, &to).await, &bytes);
            staged.discard().await.unwrap();
            assert_same(&read(backend, &to).await, &bytes);
            backend.delete(&[to]).await.unwrap();
            done
        })
        .await;
    }
}

pub(crate) async fn a_dropped_final_promotion_happened_whole_or_not(fixture: &Fixture) {
    let backend = &*fixture.backend;
    let bytes = content(30_000, 1);
    at_every_poll(async |polls| {
        let to = key(&format!("blobs/{polls}/data"));
        let mut staged = stage_final(backend, &to).await;
        staged.append(bytes.clone()).await.unwrap();
        let done = poll(polls, staged.promote(&to, 30_000)).await;
        drop(staged);
        if let Some(found) = backend.read_small(&to, 100_000).await.unwrap() {
            assert_same(&found, &bytes);
        }
        let mut again = stage_final(backend, &to).await;
        again.append(bytes.clone()).await.unwrap();
        let promotion = again.promote(&to, 30_000).await.unwrap();
        assert!(matches!(promotion, Promotion::Created | Promotion::Kept));
        assert_same(&read(backend, &to).await, &bytes);
        done
    })
    .await;
}

pub(crate) async fn a_dropped_discard_leaves_the_object(fixture: &Fixture) {
    let backend = &*fixture.backend;
    let to = key("blobs/data");
    let bytes = content(30_000, 1);
    at_every_poll(async |polls| {
        let keys = session(&polls.to_string());
        let mut staged = session_of(backend, &keys, &bytes).await;
        staged.promote(&to, 30_000).await.unwrap();
        let done = poll(polls, staged.discard()).await;
        assert_same(&read(backend, &to).await, &bytes);
        match open(backend, &keys, OpenSession::Resume(None)).await {
            Ok(staged) => staged.discard().await.unwrap(),
            Err(error) => assert_eq!(error.kind(), ErrorKind::NotFound),
        }
        backend.delete_tree(&keys.root).await.unwrap();
        assert_same(&read(backend, &to).await, &bytes);
        done
    })
    .await;
}

pub(crate) async fn a_dropped_read_harms_nothing(fixture: &Fixture) {
    let backend = &*fixture.backend;
    let key = key("blobs/data");
    let bytes = content(3_000_000, 1);
    put(backend, &key, bytes.clone()).await;
    at_every_poll(async |polls| {
        let reading = async {
            let object = backend.read(&key, ReadRange::Full).await?;
            collect(object.into_stream()).await
        };
        let done = poll(polls, reading).await;
        assert_same(&read(backend, &key).await, &bytes);
        done
    })
    .await;
    let mut staged = begin(backend, &session("1")).await;
    staged.append(bytes.clone()).await.unwrap();
    at_every_poll(async |polls| {
        let done = poll(polls, staged.read_back(0)).await;
        assert_eq!(staged.offset(), bytes.len() as u64);
        done
    })
    .await;
    staged.append(Bytes::from_static(b"more")).await.unwrap();
    assert_eq!(staged.offset(), bytes.len() as u64 + 4);
}
