//! Reading: manifests and blobs.

use bytes::Bytes;
use http::Method;
use registry_http::{Options, Redirect};
use registry_store::digest::Digest;

use crate::bench::Bench;

#[tokio::test]
async fn a_manifest_by_tag() {
    let bench = Bench::new();
    bench.push_image("a", 2, "v1").await;
    for method in [Method::GET, Method::HEAD] {
        bench.begin();
        bench.ask(method, "/v2/a/manifests/v1", "", 200).await;
        bench.expect("GetObject 3", 4);
    }
}

#[tokio::test]
async fn a_manifest_by_digest() {
    let bench = Bench::new();
    let manifest = bench.push_image("a", 2, "v1").await;
    let url = format!("/v2/a/manifests/{}", Digest::sha256(manifest.bytes()));
    for method in [Method::GET, Method::HEAD] {
        bench.begin();
        bench.ask(method, &url, "", 200).await;
        bench.expect("GetObject 2", 3);
    }
}

#[tokio::test]
async fn a_tag_that_is_not_there() {
    let bench = Bench::new();
    bench.push_image("a", 0, "v1").await;
    bench.begin();
    bench.ask(Method::GET, "/v2/a/manifests/v2", "", 404).await;
    bench.expect("GetObject 1", 1);
}

#[tokio::test]
async fn the_head_of_a_blob() {
    let bench = Bench::new();
    let content = Bytes::from_static(b"hello");
    bench.push_in_a_post("a", &content).await;
    let url = format!("/v2/a/blobs/{}", Digest::sha256(&content));
    bench.begin();
    bench.ask(Method::HEAD, &url, "", 200).await;
    bench.expect("GetObject 1, HeadObject 1", 7);
}

#[tokio::test]
async fn the_head_of_a_blob_that_is_not_there() {
    let bench = Bench::new();
    bench.begin();
    let url = format!("/v2/a/blobs/{}", Digest::sha256(b"nothing"));
    bench.ask(Method::HEAD, &url, "", 404).await;
    bench.expect("GetObject 1", 1);
}

#[tokio::test]
async fn a_blob() {
    let bench = Bench::new();
    let content = Bytes::from(vec![1; 1 << 20]);
    bench.push_in_a_post("a", &content).await;
    bench.begin();
    let url = format!("/v2/a/blobs/{}", Digest::sha256(&content));
    let answer = bench.ask(Method::GET, &url, "", 200).await;
    assert!(answer.body == content);
    bench.expect("GetObject 2", 8);
}

#[tokio::test]
async fn a_blob_to_the_redirect() {
    let redirect = Some(Redirect::default());
    let bench = Bench::with(Options { redirect, ..Options::default() });
    let content = Bytes::from(vec![1; 1 << 20]);
    bench.push_in_a_post("a", &content).await;
    let url = format!("/v2/a/blobs/{}", Digest::sha256(&content));
    for method in [Method::GET, Method::HEAD] {
        bench.begin();
        bench.ask(method, &url, "", 307).await;
        bench.expect("GetObject 1, HeadObject 1", 7);
    }
}
