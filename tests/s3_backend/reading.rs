//! Reads whose answers break off, and what is read when an object changes meanwhile.

use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt as _;
use registry_store::backend::s3::S3Backend;
use registry_store::backend::{
    Backend as _, BackendExt as _, ErrorKind, Key, PutMode, ReadRange, Result,
};
use registry_tests::backends::BUCKET;
use registry_tests::s3::faults::Fault;
use registry_tests::s3::operation::Operation;
use registry_tests::s3::options::S3Options as ServerOptions;

use crate::fixture::{Bucket, content};

async fn one_object(size: usize) -> (Bucket, S3Backend, Key, Vec<u8>) {
    let bucket = Bucket::new(ServerOptions::default());
    let process = bucket.process();
    let (key, content): (Key, _) = ("docker/object".parse().unwrap(), content(1, size));
    process.put(&key, content.clone().into(), PutMode::Create).await.unwrap();
    (bucket, process, key, content)
}

async fn read(process: &S3Backend, key: &Key, range: ReadRange) -> Result<Vec<u8>> {
    let parts: Vec<Bytes> = process.read(key, range).await?.into_stream().try_collect().await?;
    Ok(parts.concat())
}

#[tokio::test]
async fn a_read_goes_on_wherever_it_breaks_off() {
    let (bucket, process, key, content) = one_object(40).await;
    for after in 0..40 {
        bucket.s3().faults().nth(Operation::GetObject, 1, Fault::CutAnswer { after });
        assert_eq!(read(&process, &key, ReadRange::Full).await.unwrap(), content);
    }
    for start in 0..40 {
        let (part, end) = (start as usize, (start + 13).min(40));
        bucket.s3().faults().nth(Operation::GetObject, 1, Fault::CutAnswer { after: 3 });
        let bounded = ReadRange::Bounded { start, end };
        assert_eq!(read(&process, &key, bounded).await.unwrap(), content[part..end as usize]);
        bucket.s3().faults().nth(Operation::GetObject, 1, Fault::CutAnswer { after: 3 });
        assert_eq!(read(&process, &key, ReadRange::From(start)).await.unwrap(), content[part..]);
        bucket.s3().faults().nth(Operation::GetObject, 1, Fault::CutAnswer { after: 3 });
        let suffix = read(&process, &key, ReadRange::Suffix(start + 1)).await.unwrap();
        assert_eq!(suffix, content[39 - part..]);
    }
}

#[tokio::test]
async fn a_read_goes_on_as_often_as_it_breaks_off_if_it_comes_further() {
    let (bucket, process, key, content) = one_object(3_000_000).await;
    bucket.s3().faults().every(Operation::GetObject, Fault::CutAnswer { after: 100_000 });
    assert!(read(&process, &key, ReadRange::Full).await.unwrap() == content);
    assert!(bucket.s3().count(Operation::GetObject) >= 30);
}

#[tokio::test]
async fn a_read_that_comes_no_further_ends_with_an_error() {
    let (bucket, process, key, content) = one_object(40).await;
    bucket.s3().faults().every(Operation::GetObject, Fault::CutAnswer { after: 0 });
    let error = read(&process, &key, ReadRange::Full).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    bucket.s3().faults().clear();
    assert_eq!(read(&process, &key, ReadRange::Full).await.unwrap(), content);
}

#[tokio::test]
async fn what_is_read_of_an_object_is_never_of_two() {
    let (bucket, process, key, content) = one_object(40).await;
    for gone in [false, true] {
        bucket.s3().put(BUCKET, key.as_str(), content.clone());
        bucket.s3().faults().nth(Operation::GetObject, 1, Fault::CutAnswer { after: 10 });
        let mut stream = process.read(&key, ReadRange::Full).await.unwrap().into_stream();
        let first = stream.try_next().await.unwrap().unwrap();
        assert_eq!(first, content[..10]);
        if gone {
            bucket.s3().remove(BUCKET, key.as_str());
        } else {
            bucket.s3().put(BUCKET, key.as_str(), vec![0; 40]);
        }
        assert!(stream.try_next().await.is_err());
    }
}

#[tokio::test]
async fn a_slow_answer_is_read_to_its_end() {
    let (bucket, process, key, content) = one_object(400).await;
    let slow = Fault::SlowAnswer { piece: 3, rest: Duration::from_micros(1) };
    bucket.s3().faults().every(Operation::GetObject, slow);
    assert_eq!(read(&process, &key, ReadRange::Full).await.unwrap(), content);
}

#[tokio::test]
async fn a_bucket_that_is_gone_says_nothing_of_what_was_in_it() {
    let bucket = Bucket::new(ServerOptions::default());
    let process = bucket.impatient_process();
    let key: Key = "docker/object".parse().unwrap();
    assert_eq!(process.head(&key).await.unwrap(), None);
    bucket.s3().remove_bucket(BUCKET);
    let kinds = [
        process.head(&key).await.map(drop).unwrap_err().kind(),
        process.settle(std::slice::from_ref(&key)).await.unwrap_err().kind(),
        read(&process, &key, ReadRange::Full).await.unwrap_err().kind(),
        read(&process, &key, ReadRange::Bounded { start: 1, end: 1 }).await.unwrap_err().kind(),
        process.list(&key, None).try_next().await.unwrap_err().kind(),
        process.list_children(&key, None, 1).await.unwrap_err().kind(),
        process.delete(std::slice::from_ref(&key)).await.unwrap_err().kind(),
        process.put(&key, "x".into(), PutMode::Create).await.unwrap_err().kind(),
    ];
    assert_eq!(kinds, [ErrorKind::Unavailable; 8]);
}
