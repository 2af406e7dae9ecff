//! `Backend::signed_url`: an address from which a client may fetch an object itself.

use std::time::Duration;

use registry_store::backend::SignedMethod;
use registry_tests::backends::Fixture;

use crate::common::{key, put};

pub(crate) async fn a_signed_address_is_one_of_the_web(fixture: &Fixture) {
    let key = key("blobs/data");
    put(&*fixture.backend, &key, "bytes").await;
    for method in [SignedMethod::Get, SignedMethod::Head] {
        let address = fixture.backend.signed_url(&key, method, Duration::from_secs(60));
        // Where there are none, that is the answer, and no error.
        assert!(address.await.unwrap().is_none_or(|address| address.starts_with("http")));
    }
}
