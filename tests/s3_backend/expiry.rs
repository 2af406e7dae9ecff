//! What was begun and never finished goes when it is old, and nothing else does.

use std::sync::Arc;
use std::time::Duration;

use registry_store::backend::Backend as _;
use registry_store::backend::s3::{S3Backend, S3Options};
use registry_store::digest::{Algorithm, Digest};
use registry_store::options::{Clock as _, StoreOptions};
use registry_store::store::Store;
use registry_store::uploads::ResumeAt;
use registry_tests::backends::{BUCKET, open};
use registry_tests::documents::{image, push_image, push_manifest};
use registry_tests::s3::options::{Honour, S3Options as ServerOptions};
use registry_tests::world::{TestClock, body, repository};

use crate::fixture::{Bucket, kind};

/// A bucket and processes that all have one time.
struct Timed {
    bucket: Bucket,
    clock: Arc<TestClock>,
    root: &'static str,
}

impl Timed {
    fn new(options: ServerOptions, root: &'static str) -> Self {
        let clock = Arc::new(TestClock::default());
        let bucket =
            Bucket::new(ServerOptions { credentials: None, clock: clock.clone(), ..options });
        Self { bucket, clock, root }
    }

    fn process(&self) -> S3Backend {
        let (clock, root) = (self.clock.clone(), self.root.to_owned());
        open(S3Options { clock, root, ..self.bucket.options() })
    }

    fn store(&self) -> Store {
        let options = StoreOptions { clock: self.clock.clone(), ..StoreOptions::default() };
        Store::new(Arc::new(self.process()), options)
    }

    fn uploads(&self) -> Vec<String> {
        self.bucket.s3().uploads(BUCKET).into_iter().map(|upload| upload.key).collect()
    }
}

const BLOB: &str = "docker/registry/v2/blobs/sha256/00/00/data";
const SESSION: &str =
    "docker/registry/v2/repositories/a/_uploads/0d09d9b2-4e3f-4b7e-8f5b-2a3f1c0e9d11";

#[tokio::test]
async fn old_uploads_of_ours_are_aborted_and_no_others() {
    for root in ["", "some/where"] {
        let timed = Timed::new(ServerOptions::default(), root);
        let below = if root.is_empty() { String::new() } else { format!("{root}/") };
        let ours = [
            format!("{below}{BLOB}"),
            format!("{below}{SESSION}/_record/s-00"),
            format!("{below}_rs/tmp/00"),
            format!("{below}_rs/quarantine/00/x"),
        ];
        let others = [
            "another program's".to_owned(),
            format!("elsewhere/{BLOB}"),
            format!("elsewhere/{SESSION}/_record/s-00"),
            format!("{below}docker/registry/v2/repositories/a/_layers/s-00"),
            format!("{below}docker/registry/v3/blobs/sha256/00/00/data"),
            format!("{below}{SESSION}/data"),
        ];
        for key in ours.iter().chain(&others) {
            timed.bucket.s3().begin_upload(BUCKET, key);
        }
        // A session of Distribution that lives, and one that does not.
        timed.bucket.s3().put(
            BUCKET,
            &format!("{below}{SESSION}/startedat"),
            "2026-08-18T12:34:56Z",
        );
        let gone = format!("{below}{}/data", SESSION.replace("0d09", "0000"));
        timed.bucket.s3().begin_upload(BUCKET, &gone);

        let process = timed.process();
        let begun = timed.clock.now();
        let before = begun - Duration::from_secs(5);
        assert_eq!(process.expire_staged(before).await.unwrap(), 0);
        timed.clock.advance(Duration::from_secs(10));
        let young = format!("{below}{BLOB}/young/data");
        timed.bucket.s3().begin_upload(BUCKET, &young);
        let removed = process.expire_staged(begun + Duration::from_secs(5)).await.unwrap();
        assert_eq!(removed, ours.len() as u64 + 1, "{:?}", timed.uploads());
        let mut expected = others.to_vec();
        expected.push(young);
        expected.sort();
        assert_eq!(timed.uploads(), expected);
    }
}

#[tokio::test]
async fn an_expired_session_goes_with_what_was_under_way_and_a_young_one_stays() {
    let timed = Timed::new(ServerOptions::default(), "");
    let store = timed.store();
    let uploads = repository(&store, "a").uploads();
    let old = uploads.start(Algorithm::Sha256).await.unwrap().id;
    uploads.append(old, ResumeAt::default(), body(&[vec![1; 6 << 20]])).await.unwrap();
    let place = format!("docker/registry/v2/repositories/a/_uploads/{old}");
    timed.bucket.s3().begin_upload(BUCKET, &format!("{place}/_record/s-00"));
    timed.clock.advance(Duration::from_hours(5));
    let young = uploads.start(Algorithm::Sha256).await.unwrap().id;
    uploads.append(young, ResumeAt::default(), body(&["x"])).await.unwrap();

    let report = store.purge_uploads(Duration::from_hours(4)).await.unwrap();
    assert_eq!(report.uploads, 1);
    assert!(timed.uploads().is_empty());
    let names = timed.bucket.names();
    assert!(!names.iter().any(|name| name.starts_with(&place)), "{names:?}");
    assert_eq!(uploads.status(young).await.unwrap().tip.offset, 1);
    assert!(uploads.status(old).await.is_err());
}

#[tokio::test]
async fn the_note_of_a_delete_that_died_holds_up_a_push_until_it_is_stale() {
    for honour in [Honour::Honoured, Honour::Ignored] {
        let timed = Timed::new(kind(honour), "");
        let a = repository(&timed.store(), "a");
        let digest = push_image(&a, b"{}", &[], "v1").await;
        let place = format!(
            "docker/registry/v2/repositories/a/_manifests/revisions/sha256/{}/_deleting",
            digest.hex()
        );
        timed.bucket.s3().put(BUCKET, &format!("{place}/0000"), "x");
        timed.clock.advance(Duration::from_mins(16));
        assert_eq!(
            push_manifest(&a, &image(b"{}", &[]), &["v1"]).await,
            Digest::sha256(image(b"{}", &[]).bytes())
        );
    }
}
