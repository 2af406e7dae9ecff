//! Copies inside of S3.

use registry_tests::server::Answer;

use crate::fixture::{BUCKET, Fixture, first, refusal, refused};

async fn copy(s3: &Fixture, from: &str, to: &str, headers: &[(&str, &str)]) -> Answer {
    let headers = [&[("x-amz-copy-source", from)], headers].concat();
    s3.ask("PUT", to, &headers, b"").await
}

#[tokio::test]
async fn a_copy_has_the_bytes_and_what_describes_them() {
    let s3 = Fixture::new().await;
    let headers =
        [("content-type", "a/b"), ("x-amz-meta-m", "1"), ("x-amz-storage-class", "GLACIER")];
    s3.ask("PUT", "a%20b", &headers, b"hello").await;
    for from in ["bucket/a%20b", "/bucket/a%20b", "%2Fbucket%2Fa%20b"] {
        let copied = copy(&s3, from, "copy", &[]).await;
        assert_eq!(copied.status, 200, "{from}: {:?}", copied.body);
        assert_eq!(first(&copied, "ETag"), "&quot;5d41402abc4b2a76b9719d911017c592&quot;");
        let got = s3.get("copy").await;
        assert_eq!(got.body, "hello");
        assert_eq!((got.header("content-type"), got.header("x-amz-meta-m")), ("a/b", "1"));
        assert_eq!(got.header("x-amz-storage-class"), "");
    }
    let replace = [("x-amz-metadata-directive", "REPLACE"), ("content-type", "c/d")];
    copy(&s3, "bucket/a%20b", "copy", &replace).await;
    let got = s3.get("copy").await;
    assert_eq!((got.header("content-type"), got.header("x-amz-meta-m")), ("c/d", ""));
}

#[tokio::test]
async fn a_copy_may_be_between_buckets() {
    let s3 = Fixture::new().await;
    s3.s3.create_bucket("other");
    s3.s3.put("other", "k", "x");
    assert_eq!(copy(&s3, "other/k", "copy", &[]).await.status, 200);
    assert_eq!(s3.get("copy").await.body, "x");
}

#[tokio::test]
async fn what_is_not_there_or_has_changed_is_not_copied() {
    let s3 = Fixture::new().await;
    assert_eq!(refusal(&copy(&s3, "bucket/k", "l", &[]).await), refused(404, "NoSuchKey"));
    assert_eq!(refusal(&copy(&s3, "nowhere/k", "l", &[]).await), refused(404, "NoSuchBucket"));
    assert_eq!(refusal(&copy(&s3, "k", "l", &[]).await), refused(400, "InvalidArgument"));
    let etag = s3.put("k", b"x").await.header("etag").to_owned();
    let failed = refused(412, "PreconditionFailed");
    let changed = copy(&s3, "bucket/k", "l", &[("x-amz-copy-source-if-match", "\"e\"")]).await;
    assert_eq!(refusal(&changed), failed);
    let same = copy(&s3, "bucket/k", "l", &[("x-amz-copy-source-if-none-match", &etag)]).await;
    assert_eq!(refusal(&same), failed);
    let fine = copy(&s3, "bucket/k", "l", &[("x-amz-copy-source-if-match", &etag)]).await;
    assert_eq!(fine.status, 200);
}

#[tokio::test]
async fn a_copy_onto_itself_has_to_change_something() {
    let s3 = Fixture::new().await;
    s3.put("k", b"x").await;
    let refusal_of = copy(&s3, "bucket/k", "k", &[]).await;
    assert_eq!(refusal(&refusal_of), refused(400, "InvalidRequest"));
    let changed = copy(&s3, "bucket/k", "k", &[("x-amz-storage-class", "GLACIER")]).await;
    assert_eq!(changed.status, 200);
    assert_eq!(s3.s3.objects(BUCKET)["k"].storage_class, "GLACIER");
}

#[tokio::test]
async fn what_is_too_large_is_copied_in_parts() {
    let s3 = Fixture::with(|options| options.largest_copy = 6).await;
    let etag = s3.put("k", b"0123456789").await.header("etag").to_owned();
    assert_eq!(refusal(&copy(&s3, "bucket/k", "l", &[]).await), refused(400, "InvalidRequest"));
    let id = s3.begin("l", &[]).await;
    let mut etags = Vec::new();
    for (number, range) in [(1, "bytes=0-5"), (2, "bytes=6-9")] {
        let target = format!("l?partNumber={number}&uploadId={id}");
        let headers =
            [("x-amz-copy-source-range", range), ("x-amz-copy-source-if-match", etag.as_str())];
        let part = copy(&s3, "bucket/k", &target, &headers).await;
        assert_eq!(part.status, 200, "{:?}", part.body);
        etags.push(first(&part, "ETag").replace("&quot;", "\""));
    }
    let done = s3.complete("l", &id, &[], &[(1, &etags[0]), (2, &etags[1])]).await;
    assert_eq!(done.status, 200);
    assert_eq!(s3.get("l").await.body, "0123456789");
}

#[tokio::test]
async fn a_range_that_is_copied_lies_inside_of_its_source() {
    let s3 = Fixture::new().await;
    s3.put("k", b"0123456789").await;
    let id = s3.begin("l", &[]).await;
    let target = format!("l?partNumber=1&uploadId={id}");
    for range in ["bytes=0-10", "bytes=5-", "bytes=-5", "bytes=5-4"] {
        let part = copy(&s3, "bucket/k", &target, &[("x-amz-copy-source-range", range)]).await;
        assert_eq!(refusal(&part), refused(400, "InvalidArgument"), "{range}");
    }
    let stale = [("x-amz-copy-source-if-match", "\"e\"")];
    let part = copy(&s3, "bucket/k", &target, &stale).await;
    assert_eq!(refusal(&part), refused(412, "PreconditionFailed"));
    let part = copy(&s3, "bucket/k", &format!("{target}0"), &[]).await;
    assert_eq!(refusal(&part), refused(404, "NoSuchUpload"));
}
