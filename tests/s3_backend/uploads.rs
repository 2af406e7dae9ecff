//! Sessions of requests of any sizes: what they come to, and how often their bytes are written.

use std::iter::repeat_n;

use registry_store::backend::s3::S3Options;
use registry_store::digest::{Algorithm, Digest};
use registry_store::error::Error;
use registry_store::uploads::ResumeAt;
use registry_tests::backends::{BUCKET, open};
use registry_tests::s3::operation::Operation;
use registry_tests::world::{body, no_body, pull, repository};

use crate::fixture::{Bucket, content, kinds, store};

const MIB: usize = 1 << 20;

/// Sizes of requests, each list one session.
fn sessions() -> Vec<Vec<usize>> {
    let mut sessions: Vec<Vec<usize>> =
        [1, 1024, MIB, 4 * MIB, 5 * MIB, 5 * MIB + 1].map(|size| vec![size; 3]).into();
    sessions.extend([
        vec![5 * MIB - 1, 1, 5 * MIB],
        vec![1, 5 * MIB + 1, 1, 5 * MIB - 1, 2],
        vec![1, 1024, 4 * MIB, MIB, 1, 11 * MIB, 1024],
        repeat_n(MIB, 12).collect(),
        vec![0, 6 * MIB, 0, 1],
    ]);
    sessions
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_of_any_sizes_come_to_the_blob_and_are_written_twice_at_most() {
    for options in kinds() {
        let bucket = Bucket::new(options);
        let process = bucket.process();
        let a = repository(&store(&process), "a");
        for (seed, sizes) in sessions().into_iter().enumerate() {
            bucket.s3().forget_requests();
            let content = content(seed, sizes.iter().sum());
            let algorithm = if seed % 2 == 0 { Algorithm::Sha256 } else { Algorithm::Sha512 };
            let uploads = a.uploads();
            let mut at = uploads.start(algorithm).await.unwrap();
            let mut from = 0;
            for size in &sizes {
                let part = body(&[&content[from..from + size]]);
                let resume = ResumeAt { tip: Some(at.tip.clone()), offset: None };
                at = uploads.append(at.id, resume, part).await.unwrap();
                from += size;
            }
            let written = bucket.s3().requests().into_iter().filter(|asked| {
                matches!(asked.operation, Operation::PutObject | Operation::UploadPart)
            });
            let written: u64 = written.map(|asked| asked.bytes_in).sum();
            // What is written with them: a few hundred bytes for each request, and its piece's place in each later one.
            let beside = 4096 * sizes.len();
            assert!(written <= (2 * content.len() + beside) as u64, "{sizes:?}: {written}");

            let digest = Digest::of(algorithm, &content);
            let resume = ResumeAt { tip: Some(at.tip), offset: None };
            uploads.commit(at.id, resume, &digest, no_body()).await.unwrap();
            assert!(pull(&a, &digest).await.unwrap() == content, "{sizes:?}");
            let names = bucket.names();
            assert!(!names.iter().any(|name| name.contains("_uploads")), "{names:?}");
        }
    }
}

#[tokio::test]
async fn a_wrong_digest_takes_back_the_last_bytes_and_nothing_else() {
    let bucket = Bucket::new(kinds()[0].clone());
    let a = repository(&store(&bucket.process()), "a");
    for (before, wrong) in [
        (1, 1),
        (3 * MIB, 3 * MIB),
        (1, 6 * MIB),
        (6 * MIB, 1),
        (6 * MIB, 6 * MIB),
        (4 * MIB, 12 * MIB),
    ] {
        let content = content(before + wrong, before + wrong + 10);
        let uploads = a.uploads();
        let id = uploads.start(Algorithm::Sha256).await.unwrap().id;
        let anywhere = ResumeAt::default;
        uploads.append(id, anywhere(), body(&[&content[..before]])).await.unwrap();
        for _ in 0..2 {
            let tail = body(&[vec![7; wrong]]);
            let error = uploads.commit(id, anywhere(), &Digest::sha256(&content), tail).await;
            assert!(matches!(error, Err(Error::DigestMismatch { .. })), "{error:?}");
            assert_eq!(uploads.status(id).await.unwrap().tip.offset, before as u64);
        }
        let digest = Digest::sha256(&content);
        uploads.commit(id, anywhere(), &digest, body(&[&content[before..]])).await.unwrap();
        assert!(pull(&a, &digest).await.unwrap() == content);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blob_that_began_with_many_small_requests_is_whole() {
    let bucket = Bucket::new(kinds()[0].clone());
    let a = repository(&store(&bucket.process()), "a");
    let content = content(3, 6 * MIB);
    let uploads = a.uploads();
    let mut at = uploads.start(Algorithm::Sha256).await.unwrap();
    for byte in 0..100 {
        let resume = ResumeAt { tip: Some(at.tip), offset: None };
        at = uploads.append(at.id, resume, body(&[&content[byte..=byte]])).await.unwrap();
    }
    let digest = Digest::sha256(&content);
    let resume = ResumeAt { tip: Some(at.tip), offset: None };
    uploads.commit(at.id, resume, &digest, body(&[&content[100..]])).await.unwrap();
    assert!(pull(&a, &digest).await.unwrap() == content);
}

/// An upload of more parts than are taken as they come: two, in place of 5,000.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blob_of_more_parts_than_an_upload_takes_is_whole_and_leaves_nothing_beside() {
    for options in kinds() {
        let bucket = Bucket::new(options);
        let few = S3Options { plain_parts: 2, large_part: 6 << 20, ..bucket.options() };
        let a = repository(&store(&open(few)), "a");
        for size in [10 * MIB, 10 * MIB + 1, 22 * MIB, 29 * MIB] {
            let whole = content(size, size);
            let digest = Digest::sha256(&whole);
            a.blobs().put(&digest, body(&[&whole])).await.unwrap();
            assert!(pull(&a, &digest).await.unwrap() == whole, "{size}");

            let pieces = content(size + 1, size);
            let id = a.uploads().start(Algorithm::Sha256).await.unwrap().id;
            for piece in pieces.chunks(5 * MIB) {
                a.uploads().append(id, ResumeAt::default(), body(&[piece])).await.unwrap();
            }
            let digest = Digest::sha256(&pieces);
            a.uploads().commit(id, ResumeAt::default(), &digest, no_body()).await.unwrap();
            assert!(pull(&a, &digest).await.unwrap() == pieces, "{size}");
        }
        assert!(bucket.s3().uploads(BUCKET).is_empty());
        let names = bucket.names();
        assert!(!names.iter().any(|name| name.starts_with("_rs/")), "{names:?}");
    }
}
