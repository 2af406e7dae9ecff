//! What a server can do is found out, and what that took is taken away.

use registry_store::backend::ErrorKind;
use registry_store::backend::s3::{Abilities, S3Backend, S3Options};
use registry_tests::backends::BUCKET;
use registry_tests::s3::faults::{Failure, Fault};
use registry_tests::s3::operation::Operation;
use registry_tests::s3::options::{ConditionalWrites, Honour, Listing, S3Options as ServerOptions};

use crate::fixture::{Bucket, kinds};

fn is_clean(bucket: &Bucket) -> bool {
    bucket.names().is_empty() && bucket.s3().uploads(BUCKET).is_empty()
}

#[tokio::test]
async fn what_becomes_of_each_condition_is_found_out() {
    let all = [Honour::Honoured, Honour::Ignored, Honour::Refused];
    let mut servers: Vec<ConditionalWrites> = all.map(ConditionalWrites::all).into();
    for honour in all {
        for others in all {
            let others = ConditionalWrites::all(others);
            servers.extend([
                ConditionalWrites { put: honour, ..others },
                ConditionalWrites { complete: honour, ..others },
                ConditionalWrites { copy: honour, ..others },
                ConditionalWrites { delete: honour, ..others },
            ]);
        }
    }
    for conditional_writes in servers {
        let options = ServerOptions { conditional_writes, ..ServerOptions::default() };
        let bucket = Bucket::new(options);
        let is_honoured = |honour| honour == Honour::Honoured;
        let expected = Abilities {
            put_if_absent: is_honoured(conditional_writes.put),
            put_if_match: is_honoured(conditional_writes.put),
            complete_if_absent: is_honoured(conditional_writes.complete),
            copy_if_absent: is_honoured(conditional_writes.copy),
            delete_if_match: is_honoured(conditional_writes.delete),
        };
        assert_eq!(bucket.process().abilities(), expected, "{conditional_writes:?}");
        assert!(is_clean(&bucket), "{conditional_writes:?}: {:?}", bucket.s3().uploads(BUCKET));
    }
}

#[tokio::test]
async fn a_server_whose_listings_cannot_be_relied_on_is_refused_by_name() {
    let unordered = Listing { ordered: false, ..Listing::default() };
    let late = Listing { writes_behind: 2, ..Listing::default() };
    for (listing, expected) in [(unordered, "another order"), (late, "at once")] {
        let bucket = Bucket::new(ServerOptions { listing, ..ServerOptions::default() });
        let error = S3Backend::open(bucket.options()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains(expected), "{error}");
        assert!(is_clean(&bucket));
    }
}

#[tokio::test]
async fn who_only_reads_writes_nothing() {
    let bucket = Bucket::new(ServerOptions::default());
    let options = S3Options { read_only: true, ..bucket.options() };
    assert_eq!(S3Backend::open(options).await.unwrap().abilities(), Abilities::default());
    let asked: Vec<Operation> =
        bucket.s3().requests().iter().map(|asked| asked.operation).collect();
    assert_eq!(asked, [Operation::HeadBucket]);
}

#[tokio::test]
async fn faults_on_the_way_do_not_change_what_is_found() {
    for options in kinds() {
        let bucket = Bucket::new(options);
        let expected = bucket.process().abilities();
        for fault in
            [Fault::LoseAnswer, Fault::DoAndDeny(Failure::InternalError), Fault::LoseRequest]
        {
            for odd in [1, 0] {
                bucket.s3().faults().clear();
                bucket.s3().faults().when(move |asked| asked.nth % 2 == odd, fault.clone());
                let found = S3Backend::open(bucket.options()).await;
                assert_eq!(found.unwrap().abilities(), expected, "{fault:?}");
                assert!(bucket.names().is_empty());
            }
        }
    }
}

#[tokio::test]
async fn what_was_made_is_taken_away_wherever_it_fails() {
    for options in kinds() {
        for nth in 1.. {
            let bucket = Bucket::new(options.clone());
            let fault = Fault::Refuse(Failure::AccessDenied);
            let met = bucket.s3().faults().when(move |asked| asked.nth == nth, fault);
            let opened = S3Backend::open(bucket.options()).await;
            if met.times() == 0 {
                opened.unwrap();
                break;
            }
            let refused = bucket.s3().requests()[nth - 1].operation;
            let takes_away = [Operation::AbortMultipartUpload, Operation::DeleteObjects];
            let left = (bucket.names(), bucket.s3().uploads(BUCKET));
            assert!(is_clean(&bucket) || takes_away.contains(&refused), "{refused:?}: {left:?}");
        }
    }
}
