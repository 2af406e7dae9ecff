//! [`Bucket`]: a bucket, the replicas on it, and the moments at which one of them dies.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

use registry_store::backend::s3::S3Options;
use registry_store::backend::{Backend, BackendExt as _, MemoryBackend, PutMode};
use registry_store::digest::Digest;
use registry_store::options::{Clock, Random, StoreOptions, SystemClock};
use registry_store::store::Store;
use registry_tests::aside::wait_for;
use registry_tests::backends::{BUCKET, ServedBucket, open};
use registry_tests::s3::faults::{Asked, Fault};
use registry_tests::s3::gate::Gate;
use registry_tests::s3::operation::Operation;
use registry_tests::s3::record::{Outcome, Recorded};
use registry_tests::s3::server::S3Server;
use registry_tests::s3::{S3, Snapshot};
use tokio::runtime::{Builder, Runtime};

use crate::contents::PART;
use crate::profile::Profile;

/// A note of a process that died counts no longer then; see ARCHITECTURE.md, "Tags and deletes without a lock": "A note
/// of a process that died is passed over when it is 15 minutes old […]; until then a push that points at that manifest
/// is answered 503."
const A_QUARTER_OF_AN_HOUR: Duration = Duration::from_mins(16);

/// The server that the replica under test asks, by which its requests are told from all others.
pub(crate) const FIRST: usize = 0;
/// The server that the others ask.
pub(crate) const OTHERS: usize = 1;

/// A bucket with replicas.
pub(crate) struct Bucket {
    pub(crate) s3: Arc<S3>,
    /// The one that things happen to.
    pub(crate) first: Arc<dyn Backend>,
    /// Another.
    pub(crate) second: Arc<dyn Backend>,
    /// Another, when a quarter of an hour has passed.
    pub(crate) later: Arc<dyn Backend>,
    /// What runs that nothing happens to.
    pub(crate) runtime: Runtime,
    /// What is in it when it is new.
    new: Snapshot,
    _servers: (ServedBucket, S3Server),
}

impl Bucket {
    pub(crate) fn new(profile: Profile) -> Self {
        let served = ServedBucket::new(profile.server());
        let s3 = served.s3.clone();
        let other = wait_for({
            let s3 = s3.clone();
            async move { S3Server::start(&s3).await }
        });
        let random: Arc<dyn Random> = Arc::new(NoRest::default());
        let options = S3Options {
            part_size: PART as u64,
            copy_part_size: PART as u64,
            random,
            ..served.options()
        };
        let others = S3Options { endpoint: Some(other.endpoint()), ..options.clone() };
        let later = S3Options { clock: Arc::new(Ahead(A_QUARTER_OF_AN_HOUR)), ..others.clone() };
        let [first, second, later] = [options, others, later].map(|options| {
            let replica: Arc<dyn Backend> = Arc::new(open(options));
            replica
        });
        Self {
            new: s3.snapshot(),
            s3,
            first,
            second,
            later,
            runtime: runtime(),
            _servers: (served, other),
        }
    }

    /// As it was when it was new; nothing goes wrong.
    pub(crate) fn clear(&self) {
        self.return_to(&self.new);
    }

    /// As it was once; nothing goes wrong.
    pub(crate) fn return_to(&self, then: &Snapshot) {
        self.s3.faults().clear();
        self.s3.restore(then);
        self.s3.forget_requests();
    }

    /// The replica that goes on: where the dead one has left a note that holds others up, when that no longer counts.
    pub(crate) fn survivor(&self) -> &Arc<dyn Backend> {
        if self.has_notes() { &self.later } else { &self.second }
    }

    /// Has somebody left a note that it is about to delete something, or to write on a condition?
    pub(crate) fn has_notes(&self) -> bool {
        let is_note =
            |name: String| name.contains("/_deleting/") || name.starts_with("_rs/claims/");
        self.s3.objects(BUCKET).into_keys().any(is_note)
    }

    /// A fault of one request of the replica under test.
    pub(crate) fn of_first(nth: usize) -> impl Fn(&Asked) -> bool + Send + Sync + 'static {
        move |asked| {
            asked.server == FIRST && asked.nth == nth && asked.operation != Operation::DeleteOfBatch
        }
    }

    /// What it asked for by that request.
    pub(crate) fn line(&self, nth: usize) -> String {
        self.s3.requests().get(nth - 1).map_or_else(String::new, |asked| asked.line.clone())
    }

    /// How many requests of the replica under test were answered.
    pub(crate) fn answered_requests(&self) -> usize {
        let is_answered = |asked: &&Recorded| {
            asked.server == FIRST && matches!(asked.outcome, Outcome::Answered(_))
        };
        self.s3.requests().iter().filter(is_answered).count()
    }

    /// Runs it in a process of its own that ends when it is answered, with all that it began beside it.
    pub(crate) fn answered<T>(&self, operation: impl Future<Output = T>) -> T {
        let process = runtime();
        let answer = process.block_on(operation);
        self.kill(process);
        answer
    }

    /// Runs it in a process that dies when a request comes to a gate; the answer, if none does.
    pub(crate) fn until_it_dies<T>(
        &self,
        gate: &Gate,
        operation: impl Future<Output = T>,
    ) -> Option<T> {
        let process = runtime();
        let answer = process.block_on(async {
            tokio::select! {
                biased;
                () = gate.arrived(1) => None,
                answer = operation => Some(answer),
            }
        });
        self.kill(process);
        answer
    }

    /// Nothing that the replica under test has sent is taken up from now on.
    fn kill(&self, process: Runtime) {
        self.s3.faults().when(|asked| asked.server == FIRST, Fault::LoseRequest);
        process.shutdown_background();
        let is_under_way =
            |asked: &Recorded| asked.server == FIRST && asked.outcome == Outcome::Pending;
        while self.s3.requests().iter().any(is_under_way) {
            thread::yield_now();
        }
    }

    /// Opens a gate, and waits until what was there has happened.
    pub(crate) fn let_happen(&self, gate: &Gate) {
        gate.open();
        self.runtime.block_on(gate.emptied());
    }

    /// A store of what is in it, past the replicas.
    pub(crate) async fn in_memory(&self) -> Store {
        let memory = MemoryBackend::new();
        for name in self.s3.objects(BUCKET).into_keys() {
            let Some(bytes) = self.s3.read(BUCKET, &name) else { continue };
            memory.put(&name.parse().unwrap(), bytes, PutMode::Overwrite).await.unwrap();
        }
        Store::new(Arc::new(memory), StoreOptions::default())
    }
}

/// A store of a replica.
pub(crate) fn store(replica: &Arc<dyn Backend>) -> Store {
    Store::new(replica.clone(), StoreOptions::default())
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// A clock that is ahead of the machine's.
#[derive(Debug)]
struct Ahead(Duration);

impl Clock for Ahead {
    fn now(&self) -> SystemTime {
        SystemClock.now() + self.0
    }
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
