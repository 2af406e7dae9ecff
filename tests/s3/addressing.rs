//! Buckets, where they are named, and several servers of one.

use http::Request;
use registry_tests::s3::server::S3Server;
use registry_tests::s3::signature::signer::{UNSIGNED, payload_hash};
use registry_tests::server::whole;

use crate::fixture::{BUCKET, Fixture, refusal, refused};

#[tokio::test]
async fn a_bucket_may_be_named_by_the_host() {
    let s3 = Fixture::new().await;
    let host = format!("{BUCKET}.localhost:{}", s3.server.address().port());
    let mut head = Request::put("/a/k").header("host", host).body(()).unwrap().into_parts().0;
    s3.signer().sign(&mut head, &payload_hash(b"x"));
    let put = s3.send(Request::from_parts(head, ()), whole("x")).await;
    assert_eq!(put.status, 200);
    assert_eq!(s3.get("a/k").await.body, "x");
    assert!(s3.server.endpoint_of_hosts().starts_with("http://localhost:"));
}

#[tokio::test]
async fn a_bucket_is_there_or_not() {
    let s3 = Fixture::new().await;
    let head = s3.ask("HEAD", "", &[], b"").await;
    assert_eq!((head.status.as_u16(), head.header("x-amz-bucket-region")), (200, "us-east-1"));
    let host = s3.server.address().to_string();
    for (method, target, status) in [
        ("HEAD", "/nowhere", 404),
        ("PUT", "/nowhere/k", 404),
        ("GET", "/nowhere/k", 404),
        ("GET", "/nowhere?uploads", 404),
    ] {
        let request = Request::builder().method(method).uri(target).header("host", &host);
        let mut head = request.body(()).unwrap().into_parts().0;
        s3.signer().sign(&mut head, UNSIGNED);
        let answer = s3.send(Request::from_parts(head, ()), whole("")).await;
        assert_eq!(answer.status, status, "{method} {target}");
        if method != "HEAD" {
            assert_eq!(refusal(&answer), refused(404, "NoSuchBucket"));
        }
    }
}

#[tokio::test]
async fn a_bucket_tells_its_region_but_for_the_oldest() {
    let s3 = Fixture::with(|options| options.region = "eu-west-1".to_owned()).await;
    let text = String::from_utf8(s3.get("?location").await.body.to_vec()).unwrap();
    assert!(text.ends_with(">eu-west-1</LocationConstraint>"), "{text}");
    let oldest = Fixture::new().await.get("?location").await;
    let text = String::from_utf8(oldest.body.to_vec()).unwrap();
    assert!(text.ends_with("></LocationConstraint>"), "{text}");
}

#[tokio::test]
async fn several_servers_serve_one_bucket() {
    let s3 = Fixture::new().await;
    s3.put("k", b"x").await;
    let other = Fixture {
        server: S3Server::start(&s3.s3).await,
        s3: s3.s3.clone(),
        clock: s3.clock.clone(),
    };
    assert_eq!(other.get("k").await.body, "x");
    drop(s3);
    assert_eq!(other.get("k").await.body, "x");
    let servers: Vec<usize> = other.s3.requests().iter().map(|request| request.server).collect();
    assert_eq!(servers, [0, 1, 1]);
}
