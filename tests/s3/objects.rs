//! One object: put, read, looked at, deleted.

use http::StatusCode;
use registry_store::options::Clock as _;

use crate::fixture::{BUCKET, Fixture, first, refusal, refused};

#[tokio::test]
async fn what_was_put_is_read_back_with_what_describes_it() {
    let s3 = Fixture::new().await;
    let headers = [
        ("content-type", "text/x"),
        ("x-amz-meta-colour", "red"),
        ("x-amz-storage-class", "STANDARD_IA"),
        ("x-amz-server-side-encryption", "AES256"),
    ];
    let put = s3.ask("PUT", "a/b%20c", &headers, b"hello").await;
    assert_eq!(put.status, StatusCode::OK);
    assert_eq!(put.header("etag"), "\"5d41402abc4b2a76b9719d911017c592\"");
    assert_eq!(put.header("x-amz-server-side-encryption"), "AES256");
    let got = s3.get("a/b%20c").await;
    assert_eq!((got.status, &got.body[..]), (StatusCode::OK, &b"hello"[..]));
    assert_eq!(got.header("etag"), put.header("etag"));
    for (name, value) in headers {
        assert_eq!(got.header(name), value, "{name}");
    }
    let head = s3.ask("HEAD", "a/b%20c", &[], b"").await;
    assert_eq!((head.status, head.header("content-length")), (StatusCode::OK, "5"));
    assert_eq!(head.header("last-modified"), got.header("last-modified"));
    let stored = &s3.s3.objects(BUCKET)["a/b c"];
    assert_eq!((stored.size, stored.storage_class.as_str()), (5, "STANDARD_IA"));
    assert_eq!(stored.encryption.as_deref(), Some("AES256"));
    assert_eq!(stored.modified, s3.clock.now());
}

#[tokio::test]
async fn an_object_may_be_empty_and_is_replaced_whole() {
    let s3 = Fixture::new().await;
    s3.put("k", b"long before").await;
    assert_eq!(s3.put("k", b"").await.header("etag"), "\"d41d8cd98f00b204e9800998ecf8427e\"");
    let got = s3.get("k").await;
    assert_eq!((got.status, got.header("content-length")), (StatusCode::OK, "0"));
    assert_eq!(got.header("content-type"), "binary/octet-stream");
}

#[tokio::test]
async fn what_is_not_there_is_404_and_a_head_says_it_without_a_body() {
    let s3 = Fixture::new().await;
    let got = s3.get("k").await;
    assert_eq!(refusal(&got), refused(404, "NoSuchKey"));
    assert_eq!(first(&got, "RequestId").len(), 16);
    assert!(!got.header("x-amz-request-id").is_empty());
    let head = s3.ask("HEAD", "k", &[], b"").await;
    assert_eq!((head.status, head.body.len()), (StatusCode::NOT_FOUND, 0));
}

#[tokio::test]
async fn ranges_are_bounded_open_or_a_suffix() {
    let s3 = Fixture::new().await;
    s3.put("k", b"0123456789").await;
    for (range, body, content_range) in [
        ("bytes=2-4", "234", "bytes 2-4/10"),
        ("bytes=7-", "789", "bytes 7-9/10"),
        ("bytes=-2", "89", "bytes 8-9/10"),
        ("bytes=8-99", "89", "bytes 8-9/10"),
    ] {
        let got = s3.ask("GET", "k", &[("range", range)], b"").await;
        assert_eq!((got.status, &got.body[..]), (StatusCode::PARTIAL_CONTENT, body.as_bytes()));
        assert_eq!(got.header("content-range"), content_range, "{range}");
        let head = s3.ask("HEAD", "k", &[("range", range)], b"").await;
        assert_eq!(head.status, StatusCode::PARTIAL_CONTENT);
        assert_eq!(head.header("content-length"), body.len().to_string());
    }
    let past = s3.ask("GET", "k", &[("range", "bytes=10-")], b"").await;
    assert_eq!(refusal(&past), refused(416, "InvalidRange"));
    assert_eq!(past.header("content-range"), "bytes */10");
    let two = s3.ask("GET", "k", &[("range", "bytes=0-1,3-4")], b"").await;
    assert_eq!((two.status, two.body.len()), (StatusCode::OK, 10));
}

#[tokio::test]
async fn what_was_deleted_is_gone_and_deleting_nothing_is_done() {
    let s3 = Fixture::new().await;
    s3.put("k", b"x").await;
    for _ in 0..2 {
        let deleted = s3.ask("DELETE", "k", &[], b"").await;
        assert_eq!((deleted.status, deleted.body.len()), (StatusCode::NO_CONTENT, 0));
        assert_eq!(s3.get("k").await.status, StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn an_address_may_say_which_headers_the_answer_has() {
    let s3 = Fixture::new().await;
    s3.ask("PUT", "k", &[("content-type", "a/b")], b"x").await;
    let got = s3.get("k?response-content-type=c%2Fd&response-cache-control=no-store").await;
    assert_eq!((got.header("content-type"), got.header("cache-control")), ("c/d", "no-store"));
}

#[tokio::test]
async fn the_etag_of_what_kms_encrypts_is_not_its_md5() {
    let s3 = Fixture::new().await;
    let headers = [
        ("x-amz-server-side-encryption", "aws:kms"),
        ("x-amz-server-side-encryption-aws-kms-key-id", "arn:key"),
    ];
    let put = s3.ask("PUT", "k", &headers, b"hello").await;
    assert_ne!(put.header("etag"), "\"5d41402abc4b2a76b9719d911017c592\"");
    assert_eq!(put.header("x-amz-server-side-encryption-aws-kms-key-id"), "arn:key");
    assert_eq!(s3.s3.objects(BUCKET)["k"].encryption_key.as_deref(), Some("arn:key"));
    assert_eq!(s3.get("k").await.header("etag"), put.header("etag"));
}

#[tokio::test]
async fn what_is_larger_than_one_put_may_be_is_refused() {
    let s3 = Fixture::with(|options| options.largest_put = 4).await;
    assert_eq!(s3.put("k", b"1234").await.status, StatusCode::OK);
    assert_eq!(refusal(&s3.put("l", b"12345").await), refused(400, "EntityTooLarge"));
}

#[tokio::test]
async fn what_it_does_not_know_it_refuses() {
    let s3 = Fixture::new().await;
    for (method, target) in
        [("GET", "k?acl"), ("PUT", "k?tagging"), ("GET", "?versions"), ("GET", "")]
    {
        let answer = s3.ask(method, target, &[], b"").await;
        assert_eq!(refusal(&answer), refused(501, "NotImplemented"), "{method} {target}");
    }
    let locked = s3.ask("PUT", "k", &[("x-amz-object-lock-mode", "GOVERNANCE")], b"").await;
    assert_eq!(refusal(&locked), refused(501, "NotImplemented"));
}

#[tokio::test]
async fn a_large_object_of_zeros_is_put_and_read() {
    let s3 = Fixture::new().await;
    let zeros = vec![0; 8 << 20];
    s3.put("k", &zeros).await;
    assert_eq!(s3.get("k").await.body, zeros);
}

#[tokio::test]
async fn a_test_may_look_and_change_without_a_request() {
    let s3 = Fixture::new().await;
    s3.put("k", b"good").await;
    s3.s3.put(BUCKET, "k", "bad");
    assert_eq!(s3.get("k").await.body, "bad");
    assert_eq!(s3.s3.read(BUCKET, "k").as_deref(), Some(&b"bad"[..]));
    s3.s3.remove(BUCKET, "k");
    assert_eq!(s3.get("k").await.status, StatusCode::NOT_FOUND);
}
