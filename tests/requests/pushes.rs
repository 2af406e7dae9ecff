//! Writing: blobs, mounts, manifests, and deletes.

use bytes::Bytes;
use http::Method;
use registry_store::digest::Digest;
use registry_store::layout::RepositoryLayout;

use crate::bench::Bench;

fn layer(size: usize) -> Bytes {
    (0..size).map(|at| (at / 4096 + at) as u8).collect::<Vec<u8>>().into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_layer_of_1_mb_in_a_session() {
    let bench = Bench::new();
    bench.begin();
    bench.push_in_a_session("a", &layer(1_000_000)).await;
    bench.expect("DeleteObject 1, DeleteObjects 1, GetObject 4, ListObjectsV2 1, PutObject 5", 26);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_layer_of_100_mb_in_a_session() {
    let bench = Bench::new();
    let layer = layer(100_000_000);
    bench.begin();
    bench.push_in_a_session("a", &layer).await;
    bench.expect(
        "CompleteMultipartUpload 1, CopyObject 1, CreateMultipartUpload 1, DeleteObject 1, \
         DeleteObjects 1, GetObject 4, HeadObject 1, ListObjectsV2 1, PutObject 4, UploadPart 10",
        38,
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_layer_of_1_mb_in_a_put() {
    let bench = Bench::new();
    bench.begin();
    bench.push_in_a_put("a", &layer(1_000_000)).await;
    bench.expect("DeleteObject 2, GetObject 2, ListObjectsV2 1, PutObject 4", 19);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_layer_of_100_mb_in_a_put() {
    let bench = Bench::new();
    let layer = layer(100_000_000);
    bench.begin();
    bench.push_in_a_put("a", &layer).await;
    bench.expect(
        "CompleteMultipartUpload 1, CreateMultipartUpload 1, DeleteObject 2, GetObject 2, \
         ListObjectsV2 1, PutObject 3, UploadPart 10",
        31,
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_layer_of_100_mb_in_a_post() {
    let bench = Bench::new();
    let layer = layer(100_000_000);
    bench.begin();
    bench.push_in_a_post("a", &layer).await;
    bench.expect(
        "CompleteMultipartUpload 1, CreateMultipartUpload 1, PutObject 1, UploadPart 10",
        31,
    );
}

#[tokio::test]
async fn a_layer_that_is_there_in_a_session() {
    let bench = Bench::new();
    let layer = layer(1_000_000);
    bench.push_in_a_post("b", &layer).await;
    bench.begin();
    bench.push_in_a_session("a", &layer).await;
    bench.expect(
        "DeleteObject 1, DeleteObjects 1, GetObject 4, HeadObject 1, ListObjectsV2 1, PutObject 5",
        21,
    );
}

#[tokio::test]
async fn a_mount() {
    let bench = Bench::new();
    let content = Bytes::from_static(b"hello");
    bench.push_in_a_post("a", &content).await;
    bench.begin();
    let url = format!("/v2/b/blobs/uploads/?mount={}&from=a", Digest::sha256(&content));
    bench.ask(Method::POST, &url, "", 201).await;
    bench.expect("GetObject 1, HeadObject 1, PutObject 1", 3);
}

#[tokio::test]
async fn a_manifest_with_ten_layers_by_tag() {
    let bench = Bench::new();
    let manifest = bench.push_image("a", 10, "v1").await;
    // Another manifest of the same layers: nothing of it is there.
    let mut document: serde_json::Value = serde_json::from_slice(manifest.bytes()).unwrap();
    document["annotations"] = serde_json::json!({ "another": "manifest" });
    let manifest = registry_tests::documents::manifest(&document);
    bench.begin();
    bench.put("a", &manifest, "v2").await;
    bench.expect("GetObject 11, HeadObject 11, ListObjectsV2 1, PutObject 4", 27);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_manifest_in_a_repository_of_20_000_tags_is_deleted() {
    const TAGS: usize = 20_000;
    let bench = Bench::new();
    let manifest = bench.push_image("a", 1, "gone").await;
    let digest = Digest::sha256(manifest.bytes());
    let keys = RepositoryLayout::new(&"a".parse().unwrap());
    let others = ["one", "two", "three"].map(|other| Digest::sha256(other.as_bytes()));
    for number in 0..TAGS - 1 {
        bench.place_tag(&keys, &format!("v1.{number}-rc"), &others[number % 3..]);
    }
    bench.begin();
    bench.ask(Method::DELETE, &format!("/v2/a/manifests/{digest}"), "", 202).await;
    let (count, said) = bench.count();
    // Distribution reads every tag. Here the tags are listed twice: before the manifest goes and after.
    assert!(count < TAGS / 50, "{count} requests: {said}");
    let expected =
        "DeleteObject 4, GetObject 7, HeadBucket 1, HeadObject 2, ListObjectsV2 122, PutObject 1";
    assert_eq!(said, expected);
    bench.ask(Method::GET, "/v2/a/manifests/gone", "", 404).await;
}
