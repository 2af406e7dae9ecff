//! What every object is written with, however it is written, and where and as whom.

use std::collections::BTreeMap;

use registry_store::backend::s3::{Encryption, S3Backend, S3Credentials, S3Options};
use registry_store::backend::{Backend as _, SignedMethod};
use registry_store::digest::{Algorithm, Digest};
use registry_store::uploads::ResumeAt;
use registry_tests::backends::{BUCKET, open};
use registry_tests::documents::push_image;
use registry_tests::s3::operation::Operation;
use registry_tests::s3::options::{Credentials, S3Options as ServerOptions};
use registry_tests::world::{body, repository};

use crate::fixture::{Bucket, content, kinds, store};

const MIB: usize = 1 << 20;

type Options = fn(&Bucket) -> S3Options;

/// Writes objects in every way there is.
async fn write_all(bucket: &Bucket, options: S3Options) {
    let process = open(options);
    let a = repository(&store(&process), "a");
    bucket.s3().forget_requests();
    push_image(&a, b"{}", &[b"layer"], "v1").await;
    let large = content(1, 6 * MIB);
    a.blobs().put(&Digest::sha256(&large), body(&[large])).await.unwrap();
    for tail in [0, 6 * MIB] {
        let content = content(2 + tail, 6 * MIB + tail);
        let id = a.uploads().start(Algorithm::Sha256).await.unwrap().id;
        let (head, tail) = content.split_at(6 * MIB);
        a.uploads().append(id, ResumeAt::default(), body(&[head])).await.unwrap();
        let digest = Digest::sha256(&content);
        a.uploads().commit(id, ResumeAt::default(), &digest, body(&[tail])).await.unwrap();
    }
    let key = registry_store::layout::blob(&Digest::sha256(b"layer"));
    process.quarantine(&key, None).await.unwrap();
    // A session that is not over.
    let id = a.uploads().start(Algorithm::Sha256).await.unwrap().id;
    a.uploads().append(id, ResumeAt::default(), body(&[content(9, 6 * MIB)])).await.unwrap();
    for operation in [
        Operation::PutObject,
        Operation::CopyObject,
        Operation::UploadPart,
        Operation::UploadPartCopy,
        Operation::CompleteMultipartUpload,
    ] {
        assert!(bucket.s3().count(operation) > 0, "{operation:?}");
    }
}

#[tokio::test]
async fn every_object_has_what_the_options_say() {
    let standard = |bucket: &Bucket| bucket.options();
    let kms = |bucket: &Bucket| S3Options {
        storage_class: Some("STANDARD_IA".to_owned()),
        acl: Some("bucket-owner-full-control".to_owned()),
        encryption: Encryption::Kms("a-key".to_owned()),
        root: "some/where".to_owned(),
        ..bucket.options()
    };
    let sse = |bucket: &Bucket| S3Options { encryption: Encryption::S3, ..bucket.options() };
    let typed = ("content-type", "application/octet-stream");
    let cases: [(Options, Vec<(&str, &str)>); 3] = [
        (standard, vec![typed]),
        (sse, vec![typed, ("x-amz-server-side-encryption", "AES256")]),
        (
            kms,
            vec![
                typed,
                ("x-amz-acl", "bucket-owner-full-control"),
                ("x-amz-storage-class", "STANDARD_IA"),
                ("x-amz-server-side-encryption", "aws:kms"),
                ("x-amz-server-side-encryption-aws-kms-key-id", "a-key"),
            ],
        ),
    ];
    for (options, expected) in cases {
        let bucket = Bucket::new(kinds()[0].clone());
        let options = options(&bucket);
        let root = options.root.clone();
        write_all(&bucket, options).await;
        let expected: BTreeMap<String, String> =
            expected.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        for (name, stored) in bucket.s3().objects(BUCKET) {
            assert_eq!(stored.attributes, expected, "{name}");
            assert!(name.starts_with(&root), "{name}");
        }
    }
}

#[tokio::test]
async fn keys_that_are_lent_are_used_with_their_token() {
    let lent = Credentials { session_token: Some("a token".to_owned()), ..Credentials::default() };
    let server = ServerOptions { credentials: Some(lent.clone()), ..ServerOptions::default() };
    let bucket = Bucket::new(server);
    let Credentials { access_key, secret_key, session_token } = lent;
    let credentials = Some(S3Credentials { access_key, secret_key, session_token });
    let options = S3Options { credentials, ..bucket.options() };
    let process = S3Backend::open(options).await.unwrap();
    push_image(&repository(&store(&process), "a"), b"{}", &[], "v1").await;
    let without = S3Backend::open(bucket.options()).await;
    assert!(without.is_err());
}

#[tokio::test]
async fn clients_are_sent_to_the_bucket_where_it_is_public() {
    let bucket = Bucket::new(ServerOptions::default());
    for (path_style, expected) in [
        (true, "https://s3.example.test/bucket/some/where/docker/x?"),
        (false, "https://bucket.s3.example.test/some/where/docker/x?"),
    ] {
        let process = open(S3Options {
            path_style,
            root: "/some/where/".to_owned(),
            public_endpoint: Some("https://s3.example.test".to_owned()),
            ..bucket.options()
        });
        let (key, soon) = ("docker/x".parse().unwrap(), std::time::Duration::from_secs(60));
        let signed = process.signed_url(&key, SignedMethod::Get, soon).await.unwrap().unwrap();
        assert!(signed.starts_with(expected), "{signed}");
    }
}
