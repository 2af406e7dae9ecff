//! What becomes of one object that several replicas write, put aside and take away.

use registry_store::backend::s3::S3Backend;
use registry_store::backend::{Backend as _, DeleteIf, ErrorKind, Key, Promotion, Result, Stage};
use registry_tests::backends::BUCKET;
use registry_tests::s3::faults::{Asked, Failure, Fault};
use registry_tests::s3::gate::Gate;
use registry_tests::s3::operation::Operation;

use crate::fixture::{Bucket, content, kinds};

const MIB: usize = 1 << 20;

fn key() -> Key {
    "docker/registry/v2/blobs/sha256/00/00/data".parse().unwrap()
}

async fn promote(process: &S3Backend, content: &[u8]) -> Result<Promotion> {
    let key = key();
    let mut staged = process.stage(Stage::Final { key: &key }).await?;
    staged.append(content.to_vec().into()).await?;
    let promotion = staged.promote(&key, content.len() as u64).await;
    staged.discard().await?;
    promotion
}

#[tokio::test]
async fn an_object_that_was_promoted_and_is_gone_is_never_made_anew_of_nothing() {
    for options in kinds() {
        for size in [10, 6 * MIB] {
            let bucket = Bucket::new(options.clone());
            let process = bucket.process();
            let (key, content) = (key(), content(1, size));
            let mut staged = process.stage(Stage::Final { key: &key }).await.unwrap();
            staged.append(content.into()).await.unwrap();
            staged.promote(&key, size as u64).await.unwrap();
            assert_eq!(staged.promote(&key, size as u64).await.unwrap(), Promotion::Kept);
            bucket.s3().remove(BUCKET, key.as_str());
            let again = staged.promote(&key, size as u64).await;
            assert_eq!(again.unwrap_err().kind(), ErrorKind::NotFound);
            assert!(bucket.names().is_empty());
        }
    }
}

/// The request is on its way when who waits for it leaves; the staging is then promoted once more.
#[tokio::test]
async fn a_promotion_that_was_dropped_leaves_all_bytes_to_the_next() {
    for options in kinds() {
        for size in [10, 6 * MIB] {
            let bucket = Bucket::new(options.clone());
            let process = bucket.process();
            let (key, content) = (key(), content(1, size));
            let mut staged = process.stage(Stage::Final { key: &key }).await.unwrap();
            staged.append(content.clone().into()).await.unwrap();
            let gate = Gate::shut();
            let finishes = |asked: &Asked| {
                matches!(asked.operation, Operation::PutObject | Operation::CompleteMultipartUpload)
            };
            bucket.s3().faults().clear();
            bucket.s3().faults().when(
                move |asked| finishes(asked) && asked.nth_of_operation == 1,
                Fault::Delay(gate.clone()),
            );
            tokio::select! {
                _ = staged.promote(&key, size as u64) => panic!("its request is held back"),
                () = gate.arrived(1) => {}
            }
            staged.promote(&key, size as u64).await.unwrap();
            assert!(bucket.s3().read(BUCKET, key.as_str()).unwrap() == content);
            gate.open();
        }
    }
}

#[tokio::test]
async fn a_part_that_failed_is_never_left_out_of_the_object() {
    for options in kinds() {
        let bucket = Bucket::new(options);
        let process = bucket.impatient_process();
        let (key, content) = (key(), content(1, 12 * MIB));
        let mut staged = process.stage(Stage::Final { key: &key }).await.unwrap();
        bucket.s3().faults().clear();
        let fault = Fault::Refuse(Failure::InternalError);
        bucket.s3().faults().when(|asked| asked.operation == Operation::UploadPart, fault);
        let appended = staged.append(content.into()).await;
        let first = staged.promote(&key, 12 * MIB as u64).await;
        assert!(appended.is_err() || first.is_err());
        bucket.s3().faults().clear();
        let kind = staged.promote(&key, 12 * MIB as u64).await.unwrap_err().kind();
        assert!(matches!(kind, ErrorKind::Unavailable | ErrorKind::Io), "{kind:?}");
        assert!(bucket.names().is_empty());
    }
}

#[tokio::test]
async fn a_delete_on_a_condition_that_is_refused_leaves_no_note() {
    for options in kinds() {
        for nth in 1..=2 {
            let bucket = Bucket::new(options.clone());
            let process = bucket.impatient_process();
            bucket.s3().put(BUCKET, key().as_str(), "x");
            let fault = Fault::Refuse(Failure::InternalError);
            let is_late = move |asked: &Asked| {
                asked.operation == Operation::PutObject && asked.nth_of_operation >= nth
            };
            bucket.s3().faults().clear();
            bucket.s3().faults().when(is_late, fault);
            let target = "docker/target/link".parse().unwrap();
            let condition = DeleteIf { holds: "x".into(), target, only_if_gone: true };
            let deleted = process.delete_if(&key(), condition).await;
            let names = bucket.names();
            assert!(deleted.is_ok() || names == [key().as_str()], "{names:?}");
            assert!(!names.iter().any(|name| name.contains("deleting")), "{names:?}");
        }
    }
}

#[tokio::test]
async fn two_replicas_that_promote_one_object_keep_one_and_replace_a_damaged_one() {
    for options in kinds() {
        for (size, operation) in
            [(10, Operation::PutObject), (6 * MIB, Operation::CompleteMultipartUpload)]
        {
            for damaged in [false, true] {
                let bucket = Bucket::new(options.clone());
                let (one, two) = (bucket.process(), bucket.process());
                let content = content(2, size);
                if damaged {
                    bucket.s3().put(BUCKET, key().as_str(), "damaged");
                }
                let gate = Gate::shut();
                bucket.s3().faults().every(operation, Fault::Delay(gate.clone()));
                let (first, second, ()) =
                    tokio::join!(promote(&one, &content), promote(&two, &content), async {
                        gate.arrived(2).await;
                        gate.open();
                    });
                for promotion in [first.unwrap(), second.unwrap()] {
                    assert!(damaged || matches!(promotion, Promotion::Created | Promotion::Kept));
                }
                assert!(bucket.s3().read(BUCKET, key().as_str()).unwrap() == content);
                assert!(bucket.s3().uploads(BUCKET).is_empty());
                assert_eq!(promote(&one, &content).await.unwrap(), Promotion::Kept);
            }
        }
    }
}

#[tokio::test]
async fn what_is_healed_while_a_damaged_one_is_put_aside_stays() {
    for options in kinds() {
        for operation in [Operation::CopyObject, Operation::DeleteObject] {
            let bucket = Bucket::new(options.clone());
            let (one, two) = (bucket.process(), bucket.process());
            if operation == Operation::DeleteObject && !one.abilities().delete_if_match {
                // Between the last look and the delete nothing keeps others away there.
                continue;
            }
            bucket.s3().put(BUCKET, key().as_str(), "damaged");
            let gate = Gate::shut();
            bucket.s3().faults().nth(operation, 1, Fault::DelayAnswer(gate.clone()));
            if operation == Operation::DeleteObject {
                bucket.s3().faults().clear();
                bucket.s3().faults().nth(operation, 1, Fault::Delay(gate.clone()));
            }
            let (put_aside, ()) =
                tokio::join!(async { one.quarantine(&key(), None).await }, async {
                    gate.arrived(1).await;
                    promote(&two, b"as it should be").await.unwrap();
                    gate.open();
                });
            put_aside.unwrap();
            let found = bucket.s3().read(BUCKET, key().as_str());
            assert_eq!(found.unwrap(), "as it should be");
        }
    }
}
