//! Sessions that are one with the object they became.

use registry_store::backend::ErrorKind;
use registry_tests::backends::Fixture;

use crate::common::{key, kind, listed, put, read, resume, session, session_of};

pub(crate) async fn a_session_knows_that_it_was_promoted_when_it_is_opened_again(
    fixture: &Fixture,
) {
    let keys = session("1");
    let mut staged = session_of(&*fixture.backend, &keys, &"bytes".into()).await;
    assert!(!staged.is_promoted());
    staged.promote(&key("blobs/data"), 5).await.unwrap();
    assert!(staged.is_promoted());
    drop(staged);
    assert!(resume(&*fixture.backend, &keys).await.is_promoted());
    assert!(resume(&*fixture.reopen(), &keys).await.is_promoted());
}

pub(crate) async fn nothing_is_added_to_a_promoted_session(fixture: &Fixture) {
    let (backend, keys) = (&*fixture.backend, session("1"));
    let to = key("blobs/data");
    let mut staged = session_of(backend, &keys, &"bytes".into()).await;
    staged.promote(&to, 5).await.unwrap();
    for _ in 0..2 {
        let outcome = staged.append("more".into()).await;
        assert_eq!(kind(outcome), ErrorKind::NotFound);
        drop(staged);
        assert_eq!(read(backend, &to).await, "bytes");
        staged = resume(backend, &keys).await;
        assert_eq!(staged.offset(), 5);
    }
}

pub(crate) async fn nothing_is_cut_from_a_promoted_session(fixture: &Fixture) {
    let (backend, keys) = (&*fixture.backend, session("1"));
    let to = key("blobs/data");
    let mut staged = session_of(backend, &keys, &"bytes".into()).await;
    staged.promote(&to, 5).await.unwrap();
    for _ in 0..2 {
        assert_eq!(kind(staged.rewind(2).await), ErrorKind::NotFound);
        drop(staged);
        assert_eq!(read(backend, &to).await, "bytes");
        staged = resume(backend, &keys).await;
        assert_eq!(staged.offset(), 5);
    }
}

pub(crate) async fn a_promoted_session_becomes_no_other_object(fixture: &Fixture) {
    let (backend, keys) = (&*fixture.backend, session("1"));
    let [to, other, damaged] = ["blobs/1/data", "blobs/2/data", "blobs/3/data"].map(key);
    put(backend, &damaged, "damaged").await;
    let mut staged = session_of(backend, &keys, &"bytes".into()).await;
    staged.promote(&to, 5).await.unwrap();
    for _ in 0..2 {
        for other in [&other, &damaged] {
            assert_eq!(kind(staged.promote(other, 5).await), ErrorKind::NotFound);
        }
        assert_eq!(listed(backend, &key("blobs")).await, [to.clone(), damaged.clone()]);
        assert_eq!(read(backend, &damaged).await, "damaged");
        drop(staged);
        staged = resume(backend, &keys).await;
    }
}
