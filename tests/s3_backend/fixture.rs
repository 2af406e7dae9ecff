//! [`Bucket`]: a bucket to test on, and processes that use it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use registry_store::backend::s3::{S3Backend, S3Options};
use registry_store::backend::{Backend, BackendExt as _, MemoryBackend, PutMode};
use registry_store::digest::Digest;
use registry_store::options::{Random, StoreOptions};
use registry_store::store::Store;
use registry_tests::backends::{BUCKET, ServedBucket, open};
use registry_tests::s3::S3;
use registry_tests::s3::options::{
    CompletedAgain, ConditionalWrites, Honour, S3Options as ServerOptions,
};

use crate::scenarios::Scenario;

/// A server that does what AWS's does, and one that ignores conditions and forgets what was completed.
pub(crate) fn kinds() -> [ServerOptions; 2] {
    [Honour::Honoured, Honour::Ignored].map(kind)
}

/// A server that does this with every condition.
pub(crate) fn kind(honour: Honour) -> ServerOptions {
    ServerOptions {
        conditional_writes: ConditionalWrites::all(honour),
        completed_again: match honour {
            Honour::Honoured => CompletedAgain::Same,
            Honour::Ignored | Honour::Refused => CompletedAgain::NoSuchUpload,
        },
        ..ServerOptions::default()
    }
}

/// A bucket, and how it is used.
#[derive(Debug)]
pub(crate) struct Bucket {
    served: ServedBucket,
    random: Arc<NoRest>,
}

impl Bucket {
    /// An empty one.
    pub(crate) fn new(options: ServerOptions) -> Self {
        Self { served: ServedBucket::new(options), random: Arc::default() }
    }

    /// What is in it, what is asked of it, and what goes wrong.
    pub(crate) fn s3(&self) -> &Arc<S3> {
        &self.served.s3
    }

    /// How it is reached, with parts as small as they may be.
    pub(crate) fn options(&self) -> S3Options {
        S3Options {
            part_size: 5 << 20,
            copy_part_size: 5 << 20,
            random: self.random.clone(),
            ..self.served.options()
        }
    }

    /// A process that uses it.
    pub(crate) fn process(&self) -> S3Backend {
        open(self.options())
    }

    /// One that soon takes no answer for an answer.
    pub(crate) fn impatient_process(&self) -> S3Backend {
        open(S3Options { retry_for: Duration::from_millis(50), ..self.options() })
    }

    /// The names of what is in it.
    pub(crate) fn names(&self) -> Vec<String> {
        self.s3().objects(BUCKET).into_keys().collect()
    }

    /// What is in it before an operation.
    pub(crate) async fn prepared(&self, scenario: &Scenario, process: &S3Backend) -> Objects {
        scenario.prepare(&store(process)).await;
        self.objects()
    }

    /// What is in it.
    pub(crate) fn objects(&self) -> Objects {
        let read = |name: String| {
            let bytes = self.s3().read(BUCKET, &name).unwrap();
            (name, bytes)
        };
        self.names().into_iter().map(read).collect()
    }

    /// Puts back what was in it, and nothing else; nothing goes wrong then, and counts begin anew.
    pub(crate) fn restore(&self, objects: &Objects) {
        for name in self.names() {
            self.s3().remove(BUCKET, &name);
        }
        for (name, bytes) in objects {
            self.s3().put(BUCKET, name, bytes.clone());
        }
        self.s3().faults().clear();
        self.s3().forget_requests();
    }

    /// A store of what is in it, without the bucket: to look at what was done without a request.
    pub(crate) async fn in_memory(&self) -> Store {
        let memory = MemoryBackend::new();
        for name in self.names() {
            let bytes = self.s3().read(BUCKET, &name).unwrap();
            memory.put(&name.parse().unwrap(), bytes, PutMode::Overwrite).await.unwrap();
        }
        Store::new(Arc::new(memory), StoreOptions::default())
    }
}

/// What is in a bucket, by names.
pub(crate) type Objects = BTreeMap<String, Bytes>;

/// A store of a process.
pub(crate) fn store(process: &S3Backend) -> Store {
    let backend: Arc<dyn Backend> = Arc::new(process.clone());
    Store::new(backend, StoreOptions::default())
}

/// Bytes that differ by their seed, and nowhere repeat soon.
pub(crate) fn content(seed: usize, size: usize) -> Vec<u8> {
    let words = (0..size.div_ceil(8)).map(|at| {
        (at as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(seed as u32) ^ seed as u64
    });
    let mut bytes: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
    bytes.truncate(size);
    bytes
}

/// Chance by which waits before another try are as short as they can be, and names differ all the same.
#[derive(Debug, Default)]
struct NoRest(AtomicU64);

impl Random for NoRest {
    fn bytes(&self) -> [u8; 16] {
        let count = self.0.fetch_add(1, Ordering::Relaxed);
        let digest = Digest::sha256(&count.to_be_bytes());
        let mut bytes = [0; 16];
        bytes[2..].copy_from_slice(&digest.as_bytes()[..14]);
        bytes
    }
}
