//! Deletion of many objects with one request.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use registry_tests::s3::faults::{Failure, Fault};
use registry_tests::s3::operation::Operation;
use registry_tests::s3::signature::signer::payload_hash;
use registry_tests::server::Answer;

use crate::fixture::{BUCKET, Fixture, all, first, refusal, refused};

/// Asks for a deletion, with a checksum of the body, without which it would be refused.
async fn delete(s3: &Fixture, body: &str) -> Answer {
    let hash = hex::decode(payload_hash(body.as_bytes())).unwrap();
    let headers = [("x-amz-checksum-sha256", &*STANDARD.encode(hash))];
    s3.ask("POST", "?delete", &headers, body.as_bytes()).await
}

fn batch(keys: &[&str], quiet: bool) -> String {
    let objects: String =
        keys.iter().map(|key| format!("<Object><Key>{key}</Key></Object>")).collect();
    format!("<Delete><Quiet>{quiet}</Quiet>{objects}</Delete>")
}

#[tokio::test]
async fn what_is_there_and_what_is_not_is_deleted() {
    let s3 = Fixture::new().await;
    for key in ["a", "b & <c>", "d"] {
        s3.s3.put(BUCKET, key, "x");
    }
    let answer = delete(&s3, &batch(&["a", "b &amp; &lt;c&gt;", "absent"], false)).await;
    assert_eq!(all(&answer, "Key"), ["a", "b &amp; &lt;c&gt;", "absent"]);
    assert_eq!(all(&answer, "Deleted").len(), 3);
    assert_eq!(s3.s3.objects(BUCKET).into_keys().collect::<Vec<_>>(), ["d"]);
}

#[tokio::test]
async fn one_key_may_fail_and_only_that_is_told_to_who_wants_quiet() {
    let s3 = Fixture::new().await;
    for key in ["a", "b", "c"] {
        s3.s3.put(BUCKET, key, "x");
    }
    s3.s3.faults().when(
        |asked| asked.operation == Operation::DeleteOfBatch && asked.key == "b",
        Fault::Refuse(Failure::InternalError),
    );
    let answer = delete(&s3, &batch(&["a", "b", "c"], true)).await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        (all(&answer, "Key"), first(&answer, "Code")),
        (vec!["b".to_owned()], "InternalError".to_owned())
    );
    assert!(all(&answer, "Deleted").is_empty());
    assert_eq!(s3.s3.objects(BUCKET).into_keys().collect::<Vec<_>>(), ["b"]);
    assert_eq!(s3.s3.requests().len(), 1);
}

#[tokio::test]
async fn a_key_may_be_deleted_only_if_it_is_unchanged() {
    let s3 = Fixture::new().await;
    s3.s3.put(BUCKET, "a", "x");
    let body = "<Delete><Object><Key>a</Key><ETag>\"e\"</ETag></Object></Delete>";
    assert_eq!(first(&delete(&s3, body).await, "Code"), "PreconditionFailed");
    let body = body.replace("\"e\"", &s3.s3.objects(BUCKET)["a"].etag);
    assert_eq!(all(&delete(&s3, &body).await, "Deleted").len(), 1);
}

#[tokio::test]
async fn a_batch_is_of_1_to_1000_keys_and_has_a_checksum() {
    let s3 = Fixture::new().await;
    let malformed = refused(400, "MalformedXML");
    assert_eq!(delete(&s3, &batch(&["k"; 1000], true)).await.status, 200);
    assert_eq!(refusal(&delete(&s3, &batch(&["k"; 1001], true)).await), malformed);
    assert_eq!(refusal(&delete(&s3, &batch(&[], true)).await), malformed);
    assert_eq!(refusal(&delete(&s3, "<Delete>").await), malformed);
    let bare = s3.ask("POST", "?delete", &[], batch(&["k"], true).as_bytes()).await;
    assert_eq!(refusal(&bare), refused(400, "InvalidRequest"));
}
