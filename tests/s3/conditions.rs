//! Conditions on reads and writes, where they are honoured, passed over, or refused.

use http::StatusCode;
use registry_tests::s3::options::{ConditionalWrites, Honour};

use crate::fixture::{BUCKET, Fixture, refusal, refused};

const IF_NEW: (&str, &str) = ("if-none-match", "*");

#[tokio::test]
async fn a_put_if_new_keeps_what_is_there() {
    let s3 = Fixture::new().await;
    assert_eq!(s3.ask("PUT", "k", &[IF_NEW], b"1").await.status, StatusCode::OK);
    let second = s3.ask("PUT", "k", &[IF_NEW], b"2").await;
    assert_eq!(refusal(&second), refused(412, "PreconditionFailed"));
    assert_eq!(s3.get("k").await.body, "1");
}

#[tokio::test]
async fn a_put_if_unchanged_is_held_against_the_etag() {
    let s3 = Fixture::new().await;
    let absent = s3.ask("PUT", "k", &[("if-match", "\"e\"")], b"1").await;
    assert_eq!(refusal(&absent), refused(404, "NoSuchKey"));
    let etag = s3.put("k", b"1").await.header("etag").to_owned();
    assert_eq!(s3.ask("PUT", "k", &[("if-match", &etag)], b"2").await.status, StatusCode::OK);
    let stale = s3.ask("PUT", "k", &[("if-match", &etag)], b"3").await;
    assert_eq!(refusal(&stale), refused(412, "PreconditionFailed"));
    assert_eq!(s3.get("k").await.body, "2");
}

#[tokio::test]
async fn of_many_puts_if_new_at_once_one_wins() {
    let s3 = Fixture::new().await;
    let bodies: Vec<Vec<u8>> = (0..16).map(|number| vec![b'a' + number]).collect();
    let puts = bodies.iter().map(|body| s3.ask("PUT", "k", std::slice::from_ref(&IF_NEW), body));
    let statuses = futures::future::join_all(puts).await;
    let winners: Vec<usize> =
        (0..16).filter(|index| statuses[*index].status == StatusCode::OK).collect();
    assert_eq!(winners.len(), 1);
    assert_eq!(s3.get("k").await.body, bodies[winners[0]]);
}

#[tokio::test]
async fn a_completion_if_new_keeps_what_is_there_and_its_upload() {
    let s3 = Fixture::new().await;
    let id = s3.begin("k", &[]).await;
    let etag = s3.part("k", &id, 1, b"parts").await;
    s3.put("k", b"whole").await;
    let refusal_of = s3.complete("k", &id, &[IF_NEW], &[(1, &etag)]).await;
    assert_eq!(refusal(&refusal_of), refused(412, "PreconditionFailed"));
    assert_eq!(s3.get("k").await.body, "whole");
    s3.ask("DELETE", "k", &[], b"").await;
    let done = s3.complete("k", &id, &[IF_NEW], &[(1, &etag)]).await;
    assert_eq!(done.status, StatusCode::OK);
    assert_eq!(s3.get("k").await.body, "parts");
}

#[tokio::test]
async fn a_copy_if_new_keeps_what_is_there() {
    let s3 = Fixture::new().await;
    s3.put("from", b"1").await;
    s3.put("to", b"2").await;
    let headers = [("x-amz-copy-source", "bucket/from"), IF_NEW];
    let copied = s3.ask("PUT", "to", &headers, b"").await;
    assert_eq!(refusal(&copied), refused(412, "PreconditionFailed"));
    assert_eq!(s3.get("to").await.body, "2");
    assert_eq!(s3.ask("PUT", "new", &headers, b"").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_delete_if_unchanged_is_held_against_the_etag() {
    let s3 = Fixture::new().await;
    let etag = s3.put("k", b"1").await.header("etag").to_owned();
    let other = s3.ask("DELETE", "k", &[("if-match", "\"e\"")], b"").await;
    assert_eq!(refusal(&other), refused(412, "PreconditionFailed"));
    let same = s3.ask("DELETE", "k", &[("if-match", &etag)], b"").await;
    assert_eq!(same.status, StatusCode::NO_CONTENT);
    let absent = s3.ask("DELETE", "k", &[("if-match", "*")], b"").await;
    assert_eq!(refusal(&absent), refused(404, "NoSuchKey"));
}

#[tokio::test]
async fn a_read_is_refused_or_answered_with_304() {
    let s3 = Fixture::new().await;
    let etag = s3.put("k", b"1").await.header("etag").to_owned();
    for method in ["GET", "HEAD"] {
        let known = s3.ask(method, "k", &[("if-none-match", &etag)], b"").await;
        assert_eq!((known.status, known.body.len()), (StatusCode::NOT_MODIFIED, 0));
        assert_eq!(known.header("etag"), etag);
        let other = s3.ask(method, "k", &[("if-match", "\"e\"")], b"").await;
        assert_eq!(other.status, StatusCode::PRECONDITION_FAILED);
        let same =
            s3.ask(method, "k", &[("if-match", &etag), ("if-none-match", "\"e\"")], b"").await;
        assert_eq!(same.status, StatusCode::OK);
    }
}

/// Every conditional write whose condition does not hold, with what it would leave.
async fn all_writes(s3: &Fixture) -> Vec<(u16, String)> {
    s3.s3.put(BUCKET, "from", "new");
    for key in ["put", "complete", "copy", "delete"] {
        s3.s3.put(BUCKET, key, "old");
    }
    let id = s3.begin("complete", &[]).await;
    let etag = s3.part("complete", &id, 1, b"new").await;
    let answers = [
        s3.ask("PUT", "put", &[IF_NEW], b"new").await,
        s3.complete("complete", &id, &[IF_NEW], &[(1, &etag)]).await,
        s3.ask("PUT", "copy", &[("x-amz-copy-source", "bucket/from"), IF_NEW], b"").await,
        s3.ask("DELETE", "delete", &[("if-match", "\"e\"")], b"").await,
    ];
    let left = ["put", "complete", "copy", "delete"].map(|key| {
        let left = s3.s3.read(BUCKET, key).unwrap_or_default();
        String::from_utf8(left.to_vec()).unwrap()
    });
    answers.iter().map(|answer| answer.status.as_u16()).zip(left).collect()
}

#[tokio::test]
async fn conditions_may_be_passed_over_as_garage_does_it() {
    let ignored = ConditionalWrites::all(Honour::Ignored);
    let s3 = Fixture::with(|options| options.conditional_writes = ignored).await;
    let new = || "new".to_owned();
    assert_eq!(
        all_writes(&s3).await,
        [(200, new()), (200, new()), (200, new()), (204, String::new())]
    );
}

#[tokio::test]
async fn conditions_may_be_refused() {
    let not_there = ConditionalWrites::all(Honour::Refused);
    let s3 = Fixture::with(|options| options.conditional_writes = not_there).await;
    assert_eq!(all_writes(&s3).await, vec![(501, "old".to_owned()); 4]);
    assert_eq!(s3.put("put", b"new").await.status, StatusCode::OK);
}

#[tokio::test]
async fn each_operation_has_its_own_way_with_conditions() {
    let copy = ConditionalWrites { copy: Honour::Ignored, ..ConditionalWrites::default() };
    let s3 = Fixture::with(|options| options.conditional_writes = copy).await;
    let statuses: Vec<u16> = all_writes(&s3).await.into_iter().map(|(status, _)| status).collect();
    assert_eq!(statuses, [412, 412, 200, 412]);
}
