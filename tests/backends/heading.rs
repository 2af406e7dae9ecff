//! `Backend::head`: what is known of an object without reading it.

use registry_tests::backends::Fixture;

use crate::common::{content, key, put, size};

pub(crate) async fn head_tells_the_size(fixture: &Fixture) {
    let backend = &*fixture.backend;
    for length in [0, 1, 71, 4096, 70_000] {
        let key = key("blobs/sha256/ab/abcd/data");
        put(backend, &key, content(length, 1)).await;
        assert_eq!(size(backend, &key).await, Some(length as u64));
    }
}

pub(crate) async fn nothing_is_known_of_what_is_not_there(fixture: &Fixture) {
    let backend = &*fixture.backend;
    assert_eq!(backend.head(&key("a/b/c")).await.unwrap(), None);
    put(backend, &key("a/b/cc"), "beside").await;
    assert_eq!(backend.head(&key("a/b/c")).await.unwrap(), None);
}

pub(crate) async fn a_replaced_object_has_its_new_size(fixture: &Fixture) {
    let backend = &*fixture.backend;
    let key = key("a/link");
    for length in [10, 20, 5] {
        put(backend, &key, content(length, 1)).await;
        assert_eq!(size(backend, &key).await, Some(length as u64));
        assert_eq!(size(&*fixture.reopen(), &key).await, Some(length as u64));
    }
}
