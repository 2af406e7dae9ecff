//! From some request on every one is refused: what is not known is not said, and what was acknowledged is there.

use std::fmt::Debug;

use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _, stream};
use registry_store::backend::s3::S3Backend;
use registry_store::backend::{Backend as _, ErrorKind, ReadRange};
use registry_store::digest::{Algorithm, Digest};
use registry_store::error::{Error, Result};
use registry_store::layout;
use registry_store::store::Store;
use registry_store::upload_id::UploadId;
use registry_store::uploads::ResumeAt;
use registry_tests::documents::{image, push_image};
use registry_tests::s3::faults::{Failure, Fault};
use registry_tests::s3::options::S3Options as ServerOptions;
use registry_tests::world::{body, pull, repository};

use crate::fixture::{Bucket, kinds, store};
use crate::scenarios::{SCENARIOS, Scenario};

const MOST_REQUESTS: usize = 200;

fn is_unavailable(error: &Error) -> bool {
    matches!(error, Error::Storage(error) if error.kind() == ErrorKind::Unavailable)
}

/// Refuses every request from the nth on.
fn cut_off(bucket: &Bucket, nth: usize, failure: Failure) -> registry_tests::s3::faults::Injected {
    bucket.s3().faults().clear();
    bucket.s3().faults().when(move |asked| asked.nth >= nth, Fault::Refuse(failure))
}

async fn is_survived(scenario: &Scenario, options: ServerOptions) {
    let bucket = Bucket::new(options);
    let (process, other) = (bucket.impatient_process(), bucket.process());
    let before = bucket.prepared(scenario, &other).await;
    for nth in 1..MOST_REQUESTS {
        bucket.restore(&before);
        let met = cut_off(&bucket, nth, Failure::SlowDown);
        let result = scenario.run(&store(&process)).await;
        let when = format!("nothing from request {nth} on");
        if let Err(error) = &result {
            assert!(is_unavailable(error), "{}, {when}: {error}", scenario.name);
        }
        if met.times() == 0 {
            result.unwrap();
            return;
        }
        bucket.s3().faults().clear();
        scenario.check(&bucket.in_memory().await, result.is_ok(), &when).await;
        let again = scenario.run(&store(&other)).await;
        assert!(again.is_ok(), "{}, {when}, repeated: {again:?}", scenario.name);
        scenario.check(&bucket.in_memory().await, true, &when).await;
    }
    panic!("{}: more than {MOST_REQUESTS} requests", scenario.name);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operation_that_is_cut_off_can_be_repeated() {
    let runs: Vec<_> = kinds()
        .into_iter()
        .flat_map(|options| SCENARIOS.iter().map(move |scenario| (scenario, options.clone())))
        .map(|(scenario, options)| {
            tokio::spawn(async move { is_survived(scenario, options).await })
        })
        .collect();
    stream::iter(runs).for_each(|run| async { run.await.unwrap() }).await;
}

const LAYER: &[u8] = b"a layer";

type Look = (&'static str, fn(Store, UploadId) -> BoxFuture<'static, Result<()>>);

/// Looks at something that is there.
macro_rules! look {
    ($name:literal, |$repository:ident, $id:ident| $look:expr) => {
        ($name, |store, $id| {
            async move {
                let $repository = repository(&store, "a");
                let _ = $id;
                $look.await.map(drop)
            }
            .boxed()
        })
    };
}

fn first() -> Digest {
    image(b"{}", &[LAYER]).digest(Algorithm::Sha256)
}

/// Everything that can be looked at.
const LOOKS: &[Look] = &[
    look!("a blob", |a, id| pull(&a, &Digest::sha256(LAYER))),
    look!("a blob's size", |a, id| async { a.blobs().size(&Digest::sha256(LAYER)).await }),
    look!("a manifest by its digest", |a, id| async { a.manifests().get(&first().into()).await }),
    look!("a manifest by its tag", |a, id| async {
        a.manifests().get(&"v1".parse().unwrap()).await
    }),
    look!("a tag", |a, id| async { a.tags().resolve(&"v1".parse().unwrap()).await }),
    look!("tags", |a, id| async { a.tags().list(None, 10).await }),
    look!("a tag's history", |a, id| async {
        a.tags().history(&"v1".parse().unwrap(), None, 10).await
    }),
    look!("referrers", |a, id| async { a.referrers().list(&first(), None, None, 10).await }),
    look!("an upload", |a, id| async move { a.uploads().status(id).await }),
];

#[tokio::test]
async fn what_cannot_be_looked_at_is_never_said_to_be_missing() {
    for options in kinds() {
        let bucket = Bucket::new(options);
        let (process, other) = (bucket.impatient_process(), bucket.process());
        let id = looked_at(&other).await;
        for failure in [Failure::SlowDown, Failure::InternalError] {
            for (name, look) in LOOKS {
                is_told_apart(&bucket, failure, name, || look(store(&process), id)).await;
            }
            let repositories = || async {
                let found = store(&process).repositories(None, 10).await;
                found.map(|found| assert_eq!(found.items.len(), 1))
            };
            is_told_apart(&bucket, failure, "repositories", repositories).await;
        }
    }
}

/// One of everything. Returns an upload.
async fn looked_at(process: &S3Backend) -> UploadId {
    let a = repository(&store(process), "a");
    push_image(&a, b"{}", &[LAYER], "v1").await;
    let id = a.uploads().start(Algorithm::Sha256).await.unwrap().id;
    a.uploads().append(id, ResumeAt::default(), body(&["x"])).await.unwrap();
    id
}

async fn is_told_apart<T: Debug, F>(
    bucket: &Bucket,
    failure: Failure,
    name: &str,
    look: impl Fn() -> F,
) where
    F: Future<Output = Result<T>>,
{
    for nth in 1..MOST_REQUESTS {
        let met = cut_off(bucket, nth, failure);
        let result = look().await;
        if met.times() == 0 {
            result.unwrap();
            assert!(nth > 1, "{name} asks nothing");
            return;
        }
        let error = result.expect_err("something of it could not be known");
        assert!(is_unavailable(&error), "{name}, nothing from request {nth} on: {error}");
    }
    panic!("{name}: more than {MOST_REQUESTS} requests");
}

#[tokio::test]
async fn a_server_that_is_gone_says_nothing_of_what_is_missing() {
    let mut bucket = Some(Bucket::new(ServerOptions::default()));
    let process = bucket.as_ref().unwrap().impatient_process();
    let id = looked_at(&process).await;
    drop(bucket.take());
    for (name, look) in LOOKS {
        let error = look(store(&process), id).await.unwrap_err();
        assert!(is_unavailable(&error), "{name}: {error}");
    }
    let key = layout::blob(&Digest::sha256(LAYER));
    assert_eq!(process.head(&key).await.unwrap_err().kind(), ErrorKind::Unavailable);
    let read = process.read(&key, ReadRange::Full).await;
    assert_eq!(read.unwrap_err().kind(), ErrorKind::Unavailable);
}
