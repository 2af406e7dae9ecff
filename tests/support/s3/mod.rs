//! An S3 of ours, for tests: nothing to install, and everything that can go wrong goes wrong when a test says so.
//!
//! [`S3`] is what is stored, with its [options](options::S3Options), its [faults](faults::Faults) and the
//! [record] of what it was asked. [`S3Server`](server::S3Server) answers for it on a port of this machine;
//! several servers of one `S3` are several addresses of the same buckets.
//!
//! ```no_run
//! # use registry_tests::s3::{S3, faults::{Failure, Fault}, operation::Operation, options::S3Options, server::S3Server};
//! # async fn example() {
//! let s3 = S3::new(S3Options { smallest_part: 10, ..S3Options::default() });
//! s3.create_bucket("bucket");
//! let server = S3Server::start(&s3).await;
//! let slow_down = s3.faults().nth(Operation::UploadPart, 2, Fault::Refuse(Failure::SlowDown));
//! // … a client talks to server.endpoint() …
//! assert_eq!(slow_down.times(), 1);
//! assert_eq!(s3.count(Operation::CompleteMultipartUpload), 1);
//! assert!(s3.uploads("bucket").is_empty());
//! # }
//! ```
//!
//! It does what storage of a registry asks of S3, as AWS documents it, and says 501 to all else: what it knows it
//! does exactly, and what it does not know it does not pass over. There are no versions, no access control, no
//! `ListObjects` of the first version, no keys of a customer's own, no conditions by time, and no SHA1.
//!
//! What AWS does not document is chosen as follows. A key that is completed again with a condition gets the answer
//! of the first completion. A completion that its condition refuses leaves its upload. What `start-after` does inside
//! of a common prefix is an [option](options::Listing::returns_to_prefixes).

mod checksum;
mod chunked;
mod conditions;
mod content;
mod dates;
mod error;
pub mod faults;
pub mod gate;
pub mod operation;
mod operations;
pub mod options;
mod payload;
pub mod record;
mod reply;
mod request;
pub mod server;
pub mod signature;
mod state;
mod xml;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::SystemTime;

use bytes::Bytes;
use md5::{Digest as _, Md5};

use content::Content;
use faults::Faults;
use operation::Operation;
use options::S3Options;
use record::{Record, Recorded};
use state::{Attributes, Bucket, Object, State, Upload};

/// Buckets with what is in them, whoever serves them.
#[derive(Debug)]
pub struct S3 {
    options: S3Options,
    state: Mutex<State>,
    faults: Faults,
    record: Arc<Record>,
    servers: AtomicUsize,
    answers: AtomicUsize,
}

/// An object, as [`S3::objects`] has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// In bytes.
    pub size: u64,
    /// Without quotes.
    pub etag: String,
    /// `STANDARD`, if nothing was said.
    pub storage_class: String,
    /// `x-amz-server-side-encryption`, if it was said.
    pub encryption: Option<String>,
    /// `x-amz-server-side-encryption-aws-kms-key-id`, if it was said.
    pub encryption_key: Option<String>,
    /// When it was put; of an upload in parts, when that was begun.
    pub modified: SystemTime,
    /// All headers that are kept with it, by their names in lower case; the four above among them.
    pub attributes: BTreeMap<String, String>,
}

/// An upload in parts that was neither completed nor aborted, as [`S3::uploads`] has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenUpload {
    /// What it is to become.
    pub key: String,
    /// Its id.
    pub id: String,
    /// The sizes of its parts, by their numbers.
    pub parts: BTreeMap<u32, u64>,
    /// All headers that will be kept, by their names in lower case.
    pub attributes: BTreeMap<String, String>,
}

/// What was stored at one moment, uploads in parts among it; see [`S3::snapshot`].
#[derive(Clone, Debug)]
pub struct Snapshot(BTreeMap<String, Bucket>);

impl S3 {
    /// One without buckets.
    pub fn new(options: S3Options) -> Arc<Self> {
        let remembers = options.listing.writes_behind > 0;
        Arc::new(Self {
            options,
            state: Mutex::new(State { remembers, ..State::default() }),
            faults: Faults::default(),
            record: Arc::default(),
            servers: AtomicUsize::new(0),
            answers: AtomicUsize::new(0),
        })
    }

    /// Makes a bucket, unless it is there.
    pub fn create_bucket(&self, name: &str) {
        self.state().buckets.entry(name.to_owned()).or_default();
    }

    /// Takes a bucket away with all that is in it.
    pub fn remove_bucket(&self, name: &str) {
        self.state().buckets.remove(name);
    }

    /// Which S3 it is.
    pub const fn options(&self) -> &S3Options {
        &self.options
    }

    /// What goes wrong from now on.
    pub const fn faults(&self) -> &Faults {
        &self.faults
    }

    /// All requests, in the order they came, as they stand now.
    pub fn requests(&self) -> Vec<Recorded> {
        self.record.all()
    }

    /// How many requests there were for an operation, whatever became of them.
    pub fn count(&self, operation: Operation) -> usize {
        self.requests().iter().filter(|request| request.operation == operation).count()
    }

    /// The most requests that were under way at one time.
    pub fn most_at_once(&self) -> usize {
        self.record.most_at_once()
    }

    /// Records anew from now on.
    pub fn forget_requests(&self) {
        self.record.forget();
    }

    /// What is in a bucket.
    pub fn objects(&self, bucket: &str) -> BTreeMap<String, Stored> {
        let stored = |object: &Object| Stored {
            size: object.content.len(),
            etag: object.etag.clone(),
            storage_class: object.attributes.storage_class().to_owned(),
            encryption: object.attributes.get("x-amz-server-side-encryption").map(str::to_owned),
            encryption_key: object
                .attributes
                .get("x-amz-server-side-encryption-aws-kms-key-id")
                .map(str::to_owned),
            modified: object.modified,
            attributes: object.attributes.0.clone(),
        };
        self.in_bucket(bucket, |bucket| {
            bucket.objects.iter().map(|(key, object)| (key.clone(), stored(object))).collect()
        })
    }

    /// The uploads of a bucket that are open, by key and then in the order in which they were begun.
    pub fn uploads(&self, bucket: &str) -> Vec<OpenUpload> {
        self.in_bucket(bucket, |bucket| {
            let open = bucket.uploads.iter().map(|((key, id), upload)| OpenUpload {
                key: key.clone(),
                id: id.clone(),
                parts: upload
                    .parts
                    .iter()
                    .map(|(number, part)| (*number, part.content.len()))
                    .collect(),
                attributes: upload.attributes.0.clone(),
            });
            open.collect()
        })
    }

    /// The bytes of an object, without asking for them.
    pub fn read(&self, bucket: &str, key: &str) -> Option<Bytes> {
        self.in_bucket(bucket, |bucket| Some(bucket.objects.get(key)?.content.to_bytes()))
    }

    /// Puts an object without a request, or alters what is there, as damage does.
    pub fn put(&self, bucket: &str, key: &str, bytes: impl Into<Bytes>) {
        let bytes = bytes.into();
        let object = Object {
            etag: hex::encode(Md5::digest(&bytes)),
            content: Content::from(bytes),
            modified: self.options.clock.now(),
            ..Object::of_nothing()
        };
        self.state().write(bucket, key, Some(object)).expect("a test knows its buckets");
    }

    /// Begins an upload in parts without a request, as one that died did.
    pub fn begin_upload(&self, bucket: &str, key: &str) {
        let begun = self.options.clock.now();
        let mut state = self.state();
        state.writes += 1;
        let id = format!("{:012x}", state.writes);
        let (attributes, parts) = (Attributes::default(), BTreeMap::new());
        let upload = Upload { begun, attributes, checksum: None, parts };
        let bucket = state.bucket(bucket).expect("a test knows its buckets");
        bucket.uploads.insert((key.to_owned(), id), upload);
    }

    /// Takes an object away without a request, if it is there.
    pub fn remove(&self, bucket: &str, key: &str) {
        self.state().write(bucket, key, None).expect("a test knows its buckets");
    }

    /// All that is stored now.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot(self.state().buckets.clone())
    }

    /// Makes what is stored what it was, to the last ETag. What is under way still happens.
    pub fn restore(&self, snapshot: &Snapshot) {
        self.state().buckets.clone_from(&snapshot.0);
    }

    fn in_bucket<T>(&self, name: &str, f: impl FnOnce(&Bucket) -> T) -> T {
        f(self.state().bucket(name).expect("a test knows its buckets"))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics while holding it")
    }

    /// The number of a new server.
    fn enlist(&self) -> usize {
        self.servers.fetch_add(1, Ordering::SeqCst)
    }

    /// The id of a new answer.
    fn answer_id(&self) -> String {
        format!("{:016X}", self.answers.fetch_add(1, Ordering::SeqCst) + 1)
    }
}
