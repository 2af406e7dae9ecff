//! Buckets to test on: in a server of ours that runs within the test.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use registry_store::backend::Backend;
use registry_store::backend::s3::{S3Backend, S3Credentials, S3Options};

use crate::aside::wait_for;
use crate::backends::Fixture;
use crate::peers::{Garage, Moto};
use crate::s3::S3;
use crate::s3::options::{
    CompletedAgain, ConditionalWrites, Credentials, Honour, Listing, S3Options as ServerOptions,
};
use crate::s3::server::S3Server;

/// The name of the bucket.
pub const BUCKET: &str = "bucket";

/// A bucket of a server that does what AWS's does.
pub fn s3() -> Fixture {
    fixture(ServerOptions::default(), "")
}

/// A bucket of a server that ignores conditions on writes, as Garage does, and lists and completes as that.
pub fn s3_without_conditions() -> Fixture {
    let options = ServerOptions {
        conditional_writes: ConditionalWrites::all(Honour::Ignored),
        listing: Listing { returns_to_prefixes: true, ..Listing::default() },
        completed_again: CompletedAgain::NoSuchUpload,
        ..ServerOptions::default()
    };
    fixture(options, "")
}

/// A bucket below a root, in a server that gives out few entries at a time and refuses conditions.
pub fn s3_in_small_pages() -> Fixture {
    let options = ServerOptions {
        conditional_writes: ConditionalWrites::all(Honour::Refused),
        page: 7,
        ..ServerOptions::default()
    };
    fixture(options, "some/where")
}

fn fixture(options: ServerOptions, root: &str) -> Fixture {
    let served = ServedBucket::new(options);
    let options = S3Options { root: root.to_owned(), ..served.options() };
    let root = if root.is_empty() { String::new() } else { format!("{root}/") };
    let looked_at = served.s3.clone();
    let open = move || -> Arc<dyn Backend> { Arc::new(open(options.clone())) };
    Fixture::new(served, open).with_litter(move || {
        let kept = format!("{root}_rs/quarantine/");
        let objects = looked_at.objects(BUCKET).into_keys();
        objects.filter(|name| !name.starts_with(&kept)).collect()
    })
}

/// A place of its own in a bucket of Garage, which is installed.
pub fn s3_on_garage() -> Fixture {
    let (garage, options) = on_garage();
    Fixture::new(garage, move || Arc::new(open(options.clone())))
}

/// A bucket of its own in moto, which is installed.
pub fn s3_on_moto() -> Fixture {
    let (moto, options) = on_moto();
    Fixture::new(moto, move || Arc::new(open(options.clone())))
}

/// Garage, and how a place of its own in its bucket is reached.
pub fn on_garage() -> (Arc<Garage>, S3Options) {
    let garage = Garage::shared();
    let credentials = S3Credentials {
        access_key: garage.access_key().to_owned(),
        secret_key: garage.secret_key().to_owned(),
        session_token: None,
    };
    let options = S3Options {
        region: Some(garage.region().to_owned()),
        endpoint: Some(garage.endpoint()),
        path_style: true,
        credentials: Some(credentials),
        root: unique("root"),
        ..S3Options::new(garage.bucket())
    };
    (garage, options)
}

/// moto, and how a bucket of its own in it is reached.
pub fn on_moto() -> (Arc<Moto>, S3Options) {
    let moto = Moto::shared();
    let bucket = unique("bucket");
    moto.create_bucket(&bucket);
    let credentials = S3Credentials {
        access_key: moto.access_key().to_owned(),
        secret_key: moto.secret_key().to_owned(),
        session_token: None,
    };
    let options = S3Options {
        region: Some(moto.region().to_owned()),
        endpoint: Some(moto.endpoint()),
        path_style: true,
        credentials: Some(credentials),
        ..S3Options::new(bucket)
    };
    (moto, options)
}

/// A name that no other test of this process has.
fn unique(kind: &str) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!("{kind}-{}", COUNT.fetch_add(1, Ordering::Relaxed))
}

/// A bucket in a server of ours, until this is dropped.
#[derive(Debug)]
pub struct ServedBucket {
    /// What is in it, what is asked of it, and what goes wrong.
    pub s3: Arc<S3>,
    /// Where it is.
    pub server: S3Server,
}

impl ServedBucket {
    /// An empty one.
    pub fn new(options: ServerOptions) -> Self {
        let s3 = S3::new(options);
        s3.create_bucket(BUCKET);
        let served = s3.clone();
        Self { s3, server: wait_for(async move { S3Server::start(&served).await }) }
    }

    /// How it is reached.
    pub fn options(&self) -> S3Options {
        let Credentials { access_key, secret_key, session_token } = Credentials::default();
        S3Options {
            region: Some(self.s3.options().region.clone()),
            endpoint: Some(self.server.endpoint()),
            path_style: true,
            credentials: Some(S3Credentials { access_key, secret_key, session_token }),
            ..S3Options::new(BUCKET)
        }
    }

    /// A handle to it, as another process would have.
    pub fn open(&self) -> S3Backend {
        open(self.options())
    }
}

/// A handle to a bucket.
pub fn open(options: S3Options) -> S3Backend {
    wait_for(async move { S3Backend::open(options).await }).expect("it can be opened")
}
