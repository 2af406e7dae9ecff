//! What is recorded of requests.

use registry_tests::s3::faults::Fault;
use registry_tests::s3::gate::Gate;
use registry_tests::s3::operation::Operation;
use registry_tests::s3::record::Outcome;

use crate::fixture::{BUCKET, Fixture};

#[tokio::test]
async fn every_request_is_recorded_with_its_bytes_and_its_end() {
    let s3 = Fixture::new().await;
    s3.put("k", b"12345").await;
    s3.get("k").await;
    s3.get("absent?x-id=GetObject").await;
    let requests = s3.s3.requests();
    let told: Vec<_> = requests
        .iter()
        .map(|request| (request.operation, request.key.as_str(), request.bytes_in, request.outcome))
        .collect();
    assert_eq!(
        told,
        [
            (Operation::PutObject, "k", 5, Outcome::Answered(200)),
            (Operation::GetObject, "k", 0, Outcome::Answered(200)),
            (Operation::GetObject, "absent", 0, Outcome::Answered(404)),
        ]
    );
    assert_eq!((requests[0].bytes_out, requests[1].bytes_out), (0, 5));
    assert_eq!(
        (requests[2].bucket.as_str(), requests[2].line.as_str()),
        (BUCKET, "GET /bucket/absent?x-id=GetObject")
    );
    assert_eq!((s3.s3.count(Operation::GetObject), s3.s3.count(Operation::HeadObject)), (2, 0));
    s3.s3.forget_requests();
    assert!(s3.s3.requests().is_empty());
}

#[tokio::test]
async fn what_was_lost_is_recorded_as_lost() {
    let s3 = Fixture::new().await;
    s3.s3.faults().nth(Operation::PutObject, 1, Fault::LoseAnswer);
    assert!(s3.try_ask("PUT", "k", &[], b"x").await.is_err());
    assert_eq!(s3.s3.requests()[0].outcome, Outcome::Lost);
}

#[tokio::test]
async fn the_most_requests_at_one_time_are_known() {
    let s3 = Fixture::new().await;
    let gate = Gate::shut();
    s3.s3.faults().every(Operation::GetObject, Fault::Delay(gate.clone()));
    let open = async {
        gate.arrived(3).await;
        assert!(s3.s3.requests().iter().all(|request| request.outcome == Outcome::Pending));
        gate.open();
    };
    tokio::join!(s3.get("a"), s3.get("b"), s3.get("c"), open);
    assert_eq!(s3.s3.most_at_once(), 3);
    s3.get("d").await;
    assert_eq!(s3.s3.most_at_once(), 3);
}
