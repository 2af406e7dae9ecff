//! Upload sessions that several replicas take up, and whose answers are lost.

use futures::future::join_all;
use registry_store::backend::Tip;
use registry_store::digest::{Algorithm, Digest};
use registry_store::error::Error;
use registry_store::repository::Repository;
use registry_store::upload_id::UploadId;
use registry_store::uploads::ResumeAt;
use registry_tests::s3::faults::{Failure, Fault};
use registry_tests::s3::gate::Gate;
use registry_tests::s3::operation::Operation;
use registry_tests::s3::options::Honour;
use registry_tests::world::{body, no_body, pull, repository};

use crate::fixture::{Bucket, content, kind, kinds, store};

const MIB: usize = 1 << 20;

fn at(tip: &Tip) -> ResumeAt {
    ResumeAt { tip: Some(tip.clone()), offset: None }
}

/// So many replicas on one bucket.
fn replicas<const N: usize>(bucket: &Bucket) -> [Repository; N] {
    std::array::from_fn(|_| repository(&store(&bucket.process()), "a"))
}

async fn append(replica: &Repository, id: UploadId, tip: &Tip, bytes: &[u8]) -> Tip {
    replica.uploads().append(id, at(tip), body(&[bytes])).await.unwrap().tip
}

#[tokio::test]
async fn two_replicas_that_add_to_one_tip_never_mix_their_bytes() {
    for (options, size) in
        kinds().into_iter().flat_map(|kind| [(kind.clone(), 10), (kind, 6 * MIB)])
    {
        let bucket = Bucket::new(options);
        let [one, two] = replicas(&bucket);
        let start = one.uploads().start(Algorithm::Sha256).await.unwrap();
        let lines = [content(1, size), content(2, size)];
        // Both have read the tip before either has written.
        let gate = Gate::shut();
        bucket
            .s3()
            .faults()
            .when(|asked| asked.operation == Operation::PutObject, Fault::Delay(gate.clone()));
        let (first, second, ()) = tokio::join!(
            append(&one, start.id, &start.tip, &lines[0]),
            append(&two, start.id, &start.tip, &lines[1]),
            async {
                gate.arrived(2).await;
                gate.open();
            }
        );
        assert_ne!(first.token, second.token);
        // Each is committed from elsewhere, with only its own bytes.
        for (tip, line) in [(&first, &lines[1]), (&second, &lines[0])] {
            let other = Digest::sha256(line);
            let error = one.uploads().commit(start.id, at(tip), &other, no_body()).await;
            assert!(matches!(error, Err(Error::DigestMismatch { .. })), "{error:?}");
        }
        let digest = Digest::sha256(&lines[0]);
        two.uploads().commit(start.id, at(&first), &digest, no_body()).await.unwrap();
        assert!(pull(&one, &digest).await.unwrap() == lines[0]);
    }
}

#[tokio::test]
async fn each_request_may_come_to_another_replica() {
    for options in kinds() {
        let bucket = Bucket::new(options);
        let [one, two, three] = replicas(&bucket);
        let start = one.uploads().start(Algorithm::Sha256).await.unwrap();
        let content = content(3, 9 * MIB);
        let first = append(&two, start.id, &start.tip, &content[..MIB]).await;
        let second = append(&three, start.id, &first, &content[MIB..7 * MIB]).await;
        assert_eq!(one.uploads().status(start.id).await.unwrap().tip, second);
        let digest = Digest::sha256(&content);
        let tail = body(&[&content[7 * MIB..]]);
        two.uploads().commit(start.id, at(&second), &digest, tail).await.unwrap();
        assert!(pull(&three, &digest).await.unwrap() == content);
    }
}

#[tokio::test]
async fn a_request_whose_answer_was_lost_is_repeated_from_the_old_tip_or_told_of() {
    for options in kinds() {
        let bucket = Bucket::new(options);
        let [one, two] = replicas(&bucket);
        let start = one.uploads().start(Algorithm::Sha256).await.unwrap();
        let first = append(&one, start.id, &start.tip, b"hel").await;
        let lost = append(&one, start.id, &first, b"lo, ").await;
        assert_eq!(two.uploads().status(start.id).await.unwrap().tip, lost);
        let again = append(&two, start.id, &first, b"lo, ").await;
        assert_eq!(again.offset, lost.offset);
        let digest = Digest::sha256(b"hello, world");
        let tail = body(&["world"]);
        two.uploads().commit(start.id, at(&again), &digest, tail).await.unwrap();
        assert_eq!(pull(&one, &digest).await.unwrap(), b"hello, world");
    }
}

#[tokio::test]
async fn two_replicas_that_commit_one_session_at_once_leave_one_good_blob() {
    for options in kinds() {
        for (size, nth) in
            [(10, 1), (10, 2), (6 * MIB, 1), (6 * MIB, 2), (6 * MIB, 3), (6 * MIB, 4)]
        {
            let bucket = Bucket::new(options.clone());
            let replicas: [Repository; 2] = replicas(&bucket);
            let start = replicas[0].uploads().start(Algorithm::Sha256).await.unwrap();
            let content = content(4, size);
            let digest = Digest::sha256(&content);
            let tip = append(&replicas[0], start.id, &start.tip, &content).await;
            // In step up to the nth request of both.
            bucket.s3().faults().clear();
            let gate = Gate::shut();
            bucket
                .s3()
                .faults()
                .when(move |asked| asked.nth >= 2 * nth - 1, Fault::Delay(gate.clone()));
            let commits = replicas.each_ref().map(|replica| {
                let uploads = replica.uploads();
                let at = at(&tip);
                async move { uploads.commit(start.id, at, &digest, no_body()).await }
            });
            let (outcomes, ()) = tokio::join!(join_all(commits), async {
                gate.arrived(2).await;
                gate.open();
            });
            assert!(outcomes.iter().any(Result::is_ok), "{outcomes:?}");
            for outcome in outcomes {
                assert!(matches!(outcome, Ok(_) | Err(Error::UploadUnknown { .. })), "{outcome:?}");
            }
            assert!(pull(&replicas[1], &digest).await.unwrap() == content);
        }
    }
}

#[tokio::test]
async fn what_a_replica_that_died_had_under_way_changes_nothing_that_was_acknowledged() {
    for options in kinds() {
        let bucket = Bucket::new(options);
        let [one, two] = replicas(&bucket);
        let start = one.uploads().start(Algorithm::Sha256).await.unwrap();
        let (dead, alive) = (content(5, 6 * MIB), content(6, 7 * MIB));
        for operation in
            [Operation::UploadPart, Operation::CompleteMultipartUpload, Operation::PutObject]
        {
            let gate = Gate::shut();
            bucket.s3().faults().nth(operation, 1, Fault::Delay(gate.clone()));
            {
                let uploads = one.uploads();
                let dying = uploads.append(start.id, at(&start.tip), body(&[&dead]));
                tokio::select! {
                    _ = dying => panic!("nobody opened the gate"),
                    () = gate.arrived(1) => {}
                }
            }
            bucket.s3().faults().clear();
            let tip = append(&two, start.id, &start.tip, &alive[..6 * MIB]).await;
            gate.open();
            let digest = Digest::sha256(&alive);
            let tail = &alive[6 * MIB..];
            if operation == Operation::PutObject {
                let committed =
                    two.uploads().commit(start.id, at(&tip), &digest, body(&[tail])).await;
                committed.unwrap();
                assert!(pull(&two, &digest).await.unwrap() == alive);
            } else {
                append(&two, start.id, &tip, tail).await;
            }
        }
    }
}

#[tokio::test]
async fn copies_and_completions_that_fail_within_a_good_status_are_made_again() {
    for honour in [Honour::Honoured, Honour::Ignored] {
        for operation in
            [Operation::CopyObject, Operation::UploadPartCopy, Operation::CompleteMultipartUpload]
        {
            for fault in [
                Fault::Refuse(Failure::InsideOf200),
                Fault::DoAndDeny(Failure::InsideOf200),
                Fault::LoseAnswer,
                Fault::CutAnswer { after: 100 },
            ] {
                let bucket = Bucket::new(kind(honour));
                let [one] = replicas(&bucket);
                let is_copied = operation == Operation::CopyObject;
                let content = content(7, if is_copied { 6 * MIB } else { 11 * MIB });
                let start = one.uploads().start(Algorithm::Sha256).await.unwrap();
                let tip = append(&one, start.id, &start.tip, &content[..6 * MIB]).await;
                let met = bucket.s3().faults().nth(operation, 1, fault.clone());
                let digest = Digest::sha256(&content);
                let tail = body(&[&content[6 * MIB..]]);
                one.uploads().commit(start.id, at(&tip), &digest, tail).await.unwrap();
                assert_eq!(met.times(), 1, "{operation:?}");
                assert!(pull(&one, &digest).await.unwrap() == content);
            }
        }
    }
}
