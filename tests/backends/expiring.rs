//! `Backend::expire_staged`: litter goes, sessions and objects stay.

use std::time::{Duration, SystemTime};

use registry_tests::backends::Fixture;

use crate::common::{
    assert_same, content, copy, key, note, put, read, resume, session, session_of, stage_final,
    staged_bytes,
};

/// Later than anything that a test writes.
fn far_future() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(10_000_000_000)
}

pub(crate) async fn sessions_are_not_expired(fixture: &Fixture) {
    let backend = &*fixture.backend;
    let (open, closed) = (session("open"), session("closed"));
    let bytes = content(5_000, 1);
    let mut staged = session_of(backend, &open, &bytes).await;
    drop(session_of(backend, &closed, &bytes).await);
    backend.expire_staged(far_future()).await.unwrap();
    staged.append("more".into()).await.unwrap();
    staged.persist(note(5_004), &copy(&open, 5_004)).await.unwrap();
    assert_eq!(staged.note(5_003).await.unwrap(), Some((5_000, note(5_000))));
    let mut resumed = resume(backend, &closed).await;
    assert_same(&staged_bytes(&mut *resumed).await, &bytes);
    assert_eq!(resumed.note(5_000).await.unwrap(), Some((5_000, note(5_000))));
}

pub(crate) async fn objects_are_not_expired(fixture: &Fixture) {
    let backend = &*fixture.backend;
    let (small, blob) = (key("a/link"), key("blobs/data"));
    put(backend, &small, "link").await;
    let mut staged = stage_final(backend, &blob).await;
    staged.append("blob".into()).await.unwrap();
    staged.promote(&blob, 4).await.unwrap();
    drop(staged);
    backend.expire_staged(far_future()).await.unwrap();
    assert_eq!(read(backend, &small).await, "link");
    assert_eq!(read(backend, &blob).await, "blob");
}

pub(crate) async fn what_was_removed_is_not_removed_again(fixture: &Fixture) {
    let backend = &*fixture.backend;
    let mut staged = stage_final(backend, &key("blobs/data")).await;
    staged.append("never finished".into()).await.unwrap();
    drop(staged);
    backend.expire_staged(far_future()).await.unwrap();
    assert_eq!(backend.expire_staged(far_future()).await.unwrap(), 0);
}

pub(crate) async fn nothing_younger_is_expired(fixture: &Fixture) {
    let backend = &*fixture.backend;
    let to = key("blobs/data");
    let mut staged = stage_final(backend, &to).await;
    staged.append("being ".into()).await.unwrap();
    let removed = backend.expire_staged(SystemTime::UNIX_EPOCH).await.unwrap();
    assert_eq!(removed, 0);
    staged.append("written".into()).await.unwrap();
    staged.promote(&to, 13).await.unwrap();
    assert_eq!(read(backend, &to).await, "being written");
}
