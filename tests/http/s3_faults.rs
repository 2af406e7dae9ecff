//! Faults of a server of S3, as a client sees them.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request};
use registry_http::{Options, Redirect, service};
use registry_store::backend::s3::S3Options;
use registry_store::options::StoreOptions;
use registry_store::store::Store;
use registry_tests::backends::{ServedBucket, open};
use registry_tests::s3::faults::{Failure, Fault};
use registry_tests::s3::operation::Operation;
use registry_tests::s3::options::S3Options as ServerOptions;
use registry_tests::server::{Protocol, Server, whole};
use registry_tests::world::{push, repository};

#[tokio::test]
async fn a_server_that_cannot_answer_now_is_503_and_one_that_will_not_is_500() {
    let served = ServedBucket::new(ServerOptions::default());
    let backend = open(S3Options { retry_for: Duration::ZERO, ..served.options() });
    let store = Store::new(Arc::new(backend), StoreOptions::default());
    let digest = push(&repository(&store, "app"), b"content").await;
    let redirect = Redirect { minimum_size: 0, ..Redirect::default() };
    for redirect in [None, Some(redirect)] {
        let options = Options { redirect, ..Options::default() };
        let server = Server::start(service(store.clone(), options)).await;
        let mut client = server.connect(Protocol::Http1).await;
        for (failure, status) in [
            (Failure::SlowDown, 503),
            (Failure::InternalError, 503),
            (Failure::TooManyRequests, 503),
            (Failure::AccessDenied, 500),
        ] {
            for operation in [Operation::GetObject, Operation::HeadObject] {
                served.s3.faults().every(operation, Fault::Refuse(failure));
            }
            for method in [Method::GET, Method::HEAD] {
                let request = Request::builder().method(&method);
                let request = request.uri(format!("/v2/app/blobs/{digest}"));
                let answer = client.send(request, whole("")).await;
                let told = format!("{failure:?} {method} {answer:?}");
                assert_eq!(answer.status, status, "{told}");
                assert_eq!(answer.header("retry-after").is_empty(), status == 500, "{told}");
                if method == Method::GET {
                    let code = &answer.json()["errors"][0]["code"];
                    assert_eq!(code, if status == 500 { "UNKNOWN" } else { "UNAVAILABLE" });
                }
            }
            served.s3.faults().clear();
        }
        let request = Request::head(format!("/v2/app/blobs/{digest}"));
        assert!(client.send(request, whole("")).await.status.as_u16() < 400, "it has recovered");
    }
}
