//! Uploads in parts.

use registry_store::options::Clock as _;
use registry_tests::s3::options::CompletedAgain;
use std::time::Duration;

use crate::fixture::{BUCKET, Fixture, first, refusal, refused};

#[tokio::test]
async fn parts_become_one_object_with_what_was_said_at_the_beginning() {
    let s3 = Fixture::new().await;
    let begun = s3.clock.now();
    let headers = [
        ("content-type", "a/b"),
        ("x-amz-meta-colour", "red"),
        ("x-amz-storage-class", "STANDARD_IA"),
        ("x-amz-server-side-encryption", "AES256"),
    ];
    let id = s3.begin("a/k", &headers).await;
    let second = s3.part("a/k", &id, 5, b"world").await;
    let first_part = s3.part("a/k", &id, 2, b"hello ").await;
    let open = s3.s3.uploads(BUCKET);
    assert_eq!((open[0].id.as_str(), open[0].parts.len()), (id.as_str(), 2));
    assert_eq!(s3.get("a/k").await.status, 404);
    s3.clock.advance(Duration::from_hours(1));
    let done = s3.complete("a/k", &id, &[], &[(2, &first_part), (5, &second)]).await;
    assert_eq!(done.status, 200);
    assert_eq!(
        (first(&done, "Bucket"), first(&done, "Key")),
        (BUCKET.to_owned(), "a/k".to_owned())
    );
    let got = s3.get("a/k").await;
    assert_eq!(got.body, "hello world");
    for (name, value) in headers {
        assert_eq!(got.header(name), value, "{name}");
    }
    assert_eq!(s3.s3.objects(BUCKET)["a/k"].modified, begun);
    assert!(s3.s3.uploads(BUCKET).is_empty());
}

#[tokio::test]
async fn the_etag_is_the_md5_of_the_md5s_and_the_count() {
    let s3 = Fixture::new().await;
    let id = s3.begin("k", &[]).await;
    let parts = [s3.part("k", &id, 1, b"aaaaa").await, s3.part("k", &id, 2, b"b").await];
    assert_eq!(parts[0], "\"594f803b380a41396ed63dca39503542\"");
    let done = s3.complete("k", &id, &[], &[(1, &parts[0]), (2, &parts[1])]).await;
    assert_eq!(first(&done, "ETag"), "&quot;d6cf633d4421b23c497ad462505168a1-2&quot;");
}

#[tokio::test]
async fn a_part_that_comes_again_takes_the_place_of_the_first() {
    let s3 = Fixture::new().await;
    let id = s3.begin("k", &[]).await;
    let before = s3.part("k", &id, 1, b"before").await;
    let after = s3.part("k", &id, 1, b"after").await;
    let stale = s3.complete("k", &id, &[], &[(1, &before)]).await;
    assert_eq!(refusal(&stale), refused(400, "InvalidPart"));
    assert_eq!(s3.complete("k", &id, &[], &[(1, &after)]).await.status, 200);
    assert_eq!(s3.get("k").await.body, "after");
}

#[tokio::test]
async fn a_completion_names_parts_that_are_there_in_their_order() {
    let s3 = Fixture::new().await;
    let id = s3.begin("k", &[]).await;
    let etag = s3.part("k", &id, 1, b"12345").await;
    s3.part("k", &id, 2, b"12345").await;
    for (parts, code) in [
        (&[(2, etag.as_str()), (1, &etag)][..], "InvalidPartOrder"),
        (&[(1, &etag), (1, &etag)], "InvalidPartOrder"),
        (&[(1, &etag), (3, &etag)], "InvalidPart"),
        (&[(1, "\"e\"")], "InvalidPart"),
        (&[], "MalformedXML"),
    ] {
        let answer = s3.complete("k", &id, &[], parts).await;
        assert_eq!(refusal(&answer), refused(400, code), "{parts:?}");
    }
    let done = s3.complete("k", &id, &[], &[(2, &etag)]).await;
    assert_eq!(done.status, 200, "parts may be left out");
    assert_eq!(s3.get("k").await.body, "12345");
}

#[tokio::test]
async fn only_the_last_part_may_be_small() {
    let s3 = Fixture::new().await;
    let id = s3.begin("k", &[]).await;
    let (small, last) = (s3.part("k", &id, 1, b"1234").await, s3.part("k", &id, 2, b"1").await);
    let answer = s3.complete("k", &id, &[], &[(1, &small), (2, &last)]).await;
    assert_eq!(refusal(&answer), refused(400, "EntityTooSmall"));
    assert_eq!(
        (first(&answer, "ProposedSize"), first(&answer, "MinSizeAllowed")),
        ("4".into(), "5".into())
    );
    let enough = s3.part("k", &id, 1, b"12345").await;
    assert_eq!(s3.complete("k", &id, &[], &[(1, &enough), (2, &last)]).await.status, 200);
}

#[tokio::test]
async fn a_number_of_a_part_is_of_1_to_10000() {
    let s3 = Fixture::new().await;
    let id = s3.begin("k", &[]).await;
    for number in ["0", "10001", "x"] {
        let answer = s3.ask("PUT", &format!("k?partNumber={number}&uploadId={id}"), &[], b"").await;
        assert_eq!(refusal(&answer), refused(400, "InvalidArgument"), "{number}");
    }
}

#[tokio::test]
async fn the_same_completion_again_has_the_same_answer() {
    let s3 = Fixture::new().await;
    let id = s3.begin("k", &[]).await;
    let (etag, other) = (s3.part("k", &id, 1, b"12345").await, s3.part("k", &id, 2, b"1").await);
    let done = s3.complete("k", &id, &[], &[(1, &etag)]).await;
    s3.put("k", b"later").await;
    let again = s3.complete("k", &id, &[("if-none-match", "*")], &[(1, &etag)]).await;
    assert_eq!((again.status, again.body), (done.status, done.body));
    assert_eq!(s3.get("k").await.body, "later");
    let different = s3.complete("k", &id, &[], &[(1, &etag), (2, &other)]).await;
    assert_eq!(refusal(&different), refused(404, "NoSuchUpload"));
}

#[tokio::test]
async fn a_completion_again_may_find_no_upload_as_with_garage() {
    let s3 = Fixture::with(|options| options.completed_again = CompletedAgain::NoSuchUpload).await;
    let id = s3.begin("k", &[]).await;
    let etag = s3.part("k", &id, 1, b"12345").await;
    assert_eq!(s3.complete("k", &id, &[], &[(1, &etag)]).await.status, 200);
    let again = s3.complete("k", &id, &[], &[(1, &etag)]).await;
    assert_eq!(refusal(&again), refused(404, "NoSuchUpload"));
}

#[tokio::test]
async fn nothing_can_be_done_with_an_upload_that_is_gone() {
    let s3 = Fixture::new().await;
    let id = s3.begin("k", &[]).await;
    let etag = s3.part("k", &id, 1, b"12345").await;
    let upload = format!("k?uploadId={id}");
    assert_eq!(s3.ask("DELETE", &upload, &[], b"").await.status, 204);
    let answers = [
        s3.ask("DELETE", &upload, &[], b"").await,
        s3.get(&upload).await,
        s3.ask("PUT", &format!("{upload}&partNumber=1"), &[], b"x").await,
        s3.complete("k", &id, &[], &[(1, &etag)]).await,
    ];
    for answer in answers {
        assert_eq!(refusal(&answer), refused(404, "NoSuchUpload"));
    }
    assert_eq!(s3.get("k").await.status, 404);
}

#[tokio::test]
async fn a_completion_may_say_how_long_the_whole_is() {
    let s3 = Fixture::new().await;
    let id = s3.begin("k", &[]).await;
    let etag = s3.part("k", &id, 1, b"12345").await;
    let wrong = s3.complete("k", &id, &[("x-amz-mp-object-size", "4")], &[(1, &etag)]).await;
    assert_eq!(refusal(&wrong), refused(400, "InvalidRequest"));
    let right = s3.complete("k", &id, &[("x-amz-mp-object-size", "5")], &[(1, &etag)]).await;
    assert_eq!(right.status, 200);
}
