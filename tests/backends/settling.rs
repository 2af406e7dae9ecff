//! `Backend::settle`: looking anew at what somebody else made.

use registry_store::backend::{Backend, Key};
use registry_tests::backends::Fixture;

use crate::common::{content, key, put, session, session_of};

async fn settled(backend: &dyn Backend, keys: &[Key]) -> Vec<Option<u64>> {
    let answers = backend.settle(keys).await.unwrap();
    answers.into_iter().map(|meta| meta.map(|meta| meta.size)).collect()
}

pub(crate) async fn answers_stand_in_the_order_of_the_keys(fixture: &Fixture) {
    let backend = &*fixture.backend;
    let [one, two, none] = ["z/1", "a/2", "m/none"].map(key);
    put(backend, &one, "1").await;
    put(backend, &two, "22").await;
    let keys = [two.clone(), none.clone(), one, none, two.clone(), two];
    let expected = [Some(2), None, Some(1), None, Some(2), Some(2)];
    assert_eq!(settled(backend, &keys).await, expected);
}

pub(crate) async fn nothing_to_settle_is_settled(fixture: &Fixture) {
    assert_eq!(fixture.backend.settle(&[]).await.unwrap(), []);
}

pub(crate) async fn what_another_handle_deleted_is_not_there(fixture: &Fixture) {
    let keys = ["a/1", "a/2"].map(key);
    for key in &keys {
        put(&*fixture.backend, key, "link").await;
    }
    assert_eq!(settled(&*fixture.backend, &keys).await, [Some(4), Some(4)]);
    let other = fixture.reopen();
    other.delete(&keys[..1]).await.unwrap();
    assert_eq!(settled(&*fixture.backend, &keys).await, [None, Some(4)]);
    other.delete_tree(&key("a")).await.unwrap();
    assert_eq!(settled(&*fixture.backend, &keys).await, [None, None]);
}

pub(crate) async fn what_another_handle_replaced_has_its_new_size(fixture: &Fixture) {
    let keys = [key("a/link")];
    put(&*fixture.backend, &keys[0], "link").await;
    assert_eq!(settled(&*fixture.backend, &keys).await, [Some(4)]);
    put(&*fixture.reopen(), &keys[0], "another").await;
    assert_eq!(settled(&*fixture.backend, &keys).await, [Some(7)]);
}

pub(crate) async fn what_another_handle_promoted_is_there(fixture: &Fixture) {
    let to = [key("blobs/sha256/aa/aa/data")];
    assert_eq!(settled(&*fixture.backend, &to).await, [None]);
    let other = fixture.reopen();
    let mut staged = session_of(&*other, &session("1"), &content(100, 1)).await;
    staged.promote(&to[0], 100).await.unwrap();
    assert_eq!(settled(&*fixture.backend, &to).await, [Some(100)]);
}

pub(crate) async fn all_that_is_settled_is_as_it_was(fixture: &Fixture) {
    let backend = &*fixture.backend;
    let [one, two] = ["a/b/1", "a/2"].map(key);
    put(backend, &one, "1").await;
    put(&*fixture.reopen(), &two, "22").await;
    backend.delete(std::slice::from_ref(&one)).await.unwrap();
    let places = ["a", "a/b", "none", "none/below", "a/2", "a"].map(key);
    backend.settle_all(&places).await.unwrap();
    backend.settle_all(&[]).await.unwrap();
    assert_eq!(settled(backend, &[one, two]).await, [None, Some(2)]);
}

pub(crate) async fn all_is_settled_while_others_write(fixture: &Fixture) {
    let (backend, other) = (&*fixture.backend, fixture.reopen());
    let keys: Vec<Key> = (0..8).map(|number| key(&format!("a/{number}/link"))).collect();
    let write = async {
        for key in &keys {
            put(&*other, key, "link").await;
            other.delete(std::slice::from_ref(key)).await.unwrap();
        }
    };
    let settle = async {
        for _ in 0..4 {
            backend.settle_all(&keys).await.unwrap();
        }
    };
    futures::join!(write, settle);
    assert_eq!(settled(backend, &keys).await, [None; 8]);
}
