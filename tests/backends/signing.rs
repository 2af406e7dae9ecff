//! `Backend::signed_url`: an address from which a client may fetch an object itself.

use std::time::Duration;

use registry_tests::backends::Fixture;

use crate::common::{key, put};

pub(crate) async fn a_signed_address_is_one_of_the_web(fixture: &Fixture) {
    let key = key("blobs/data");
    put(&*fixture.backend, &key, "bytes").await;
    let address = fixture.backend.signed_url(&key, Duration::from_secs(60)).await.unwrap();
    // Where there are none, that is the answer, and no error.
    assert!(address.is_none_or(|address| address.starts_with("http")));
}
