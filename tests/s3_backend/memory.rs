//! Many transfers with room for few parts: all of them end, and no more parts are on their way than there is room for.

use std::sync::Arc;

use bytes::Bytes;
use futures::future::join_all;
use futures::{StreamExt as _, stream};
use registry_store::backend::s3::S3Options;
use registry_store::digest::{Algorithm, Digest};
use registry_store::error::BodyError;
use registry_store::store::Store;
use registry_store::uploads::ResumeAt;
use registry_tests::backends::open;
use registry_tests::child::PATIENCE;
use registry_tests::s3::faults::Fault;
use registry_tests::s3::gate::Gate;
use registry_tests::s3::operation::Operation;
use registry_tests::s3::options::Honour;
use registry_tests::s3::record::Outcome;
use registry_tests::world::{body, pull, repository};

use crate::fixture::{Bucket, content, kind, store};

const MIB: usize = 1 << 20;

/// The bound is for a run in which somebody waits for ever.
async fn ends<T>(transfers: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, transfers).await.expect("all transfers end")
}

/// A process with room for so many parts of 5 MiB.
fn with_room_for(bucket: &Bucket, parts: u64) -> Store {
    store(&open(S3Options { memory: parts * (5 << 20), ..bucket.options() }))
}

async fn push_in_two(store: Store, first: usize, second: usize, seed: usize) {
    let uploads = repository(&store, "a").uploads();
    let content = content(seed, first + second);
    let (head, tail) = content.split_at(first);
    let id = uploads.start(Algorithm::Sha256).await.unwrap().id;
    uploads.append(id, ResumeAt::default(), body(&[head])).await.unwrap();
    let digest = Digest::sha256(&content);
    uploads.commit(id, ResumeAt::default(), &digest, body(&[tail])).await.unwrap();
    assert!(pull(&repository(&store, "a"), &digest).await.unwrap() == content);
}

async fn push_at_once(store: Store, size: usize, seed: usize) {
    let content = content(seed, size);
    let digest = Digest::sha256(&content);
    repository(&store, "a").blobs().put(&digest, body(&[&content])).await.unwrap();
}

#[tokio::test]
async fn a_session_ends_where_its_last_bytes_take_all_the_room_there_is() {
    for honour in [Honour::Honoured, Honour::Ignored] {
        let bucket = Bucket::new(kind(honour));
        ends(push_in_two(with_room_for(&bucket, 1), 6 * MIB, MIB, 0)).await;
    }
}

#[tokio::test]
async fn transfers_of_one_blob_end_where_they_take_all_the_room_there_is() {
    for honour in [Honour::Honoured, Honour::Ignored] {
        let bucket = Bucket::new(kind(honour));
        let store = with_room_for(&bucket, 2);
        let transfers = (0..4).map(|n| {
            let store = store.clone();
            async move {
                match n % 2 {
                    0 => push_at_once(store, 7 * MIB, 0).await,
                    _ => push_in_two(store, 6 * MIB, MIB, 0).await,
                }
            }
        });
        ends(join_all(transfers)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_transfers_end_and_never_send_more_parts_than_there_is_room_for() {
    let bucket = Bucket::new(kind(Honour::Honoured));
    let store = with_room_for(&bucket, 4);
    bucket.s3().forget_requests();
    let gate = Gate::shut();
    bucket.s3().faults().every(Operation::UploadPart, Fault::Delay(gate.clone()));
    let transfers = (0..12).map(|n| {
        let store = store.clone();
        tokio::spawn(async move {
            match n % 2 {
                0 => push_at_once(store, 11 * MIB, n).await,
                _ => push_in_two(store, 6 * MIB, 5 * MIB, n).await,
            }
        })
    });
    let transfers: Vec<_> = transfers.collect();
    gate.arrived(4).await;
    assert_eq!(bucket.s3().count(Operation::UploadPart), 4);
    gate.open();
    for transfer in ends(join_all(transfers)).await {
        transfer.unwrap();
    }
}

#[tokio::test]
async fn what_a_client_that_stalls_has_sent_takes_no_room() {
    let bucket = Arc::new(Bucket::new(kind(Honour::Honoured)));
    let store = with_room_for(&bucket, 2);
    bucket.s3().forget_requests();
    let first = content(1, 10 * MIB);
    let parts = [Ok::<_, BodyError>(Bytes::from(first))];
    let stalled = stream::iter(parts).chain(stream::pending());
    let stalling = tokio::spawn({
        let store = store.clone();
        async move { repository(&store, "a").blobs().put(&Digest::sha256(b""), stalled).await }
    });
    let arrive = || {
        let requests = bucket.s3().requests();
        let parts = requests.iter().filter(|asked| asked.operation == Operation::UploadPart);
        parts.filter(|asked| asked.outcome == Outcome::Answered(200)).count() == 2
    };
    ends(async {
        while !arrive() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    ends(push_at_once(store, 6 * MIB, 2)).await;
    stalling.abort();
}
