//! What failed or was dropped holds nothing: no descriptor, no memory, no lock, no task, no temporary file.
//!
//! One test in a process of its own, because descriptors and memory are counted by process. With `FAULTS=each` in the
//! environment each of the points is met in every way.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::env;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use registry_store::backend::ErrorKind;
use registry_store::store::Store;
use registry_tests::backends::{Fault, FaultyBackend, Moment};
use registry_tests::child::PATIENCE;
use registry_tests::operations::{Operation, operations};
use registry_tests::polls::drop_after_polls;
use registry_tests::world::World;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

/// Calls, or polls, of one operation that are failed, or after which it is dropped.
const POINTS: &[u64] = &[1, 2, 3, 5, 8];
const MOMENTS: &[Moment] = &[Moment::Before, Moment::After, Moment::Partway];
/// More than what the allocator keeps for itself, and much less than what one buffer of each operation would be.
const ALLOWED: u64 = 64 * 1024 * 1024;
const A_WHILE: Duration = Duration::from_secs(2 * 60 * 60);

/// A store that fails when told to, for as long as the test lasts.
struct Bench {
    world: World,
    faults: FaultyBackend,
    store: Store,
}

/// What a process holds of a directory, and of memory in bytes.
#[derive(Debug)]
struct Held {
    descriptors: Vec<String>,
    memory: u64,
    handles: usize,
}

impl Bench {
    fn new(directory: TempDir) -> Self {
        let world = World::in_directory(directory);
        let faults = FaultyBackend::new(world.backend.clone());
        let store = world.over(faults.clone());
        Self { world, faults, store }
    }

    /// Every operation fails at, and is dropped at, each of these points. Returns how many did not come to their end.
    fn round(&self, points: &[u64]) -> usize {
        let in_every_way = env::var("FAULTS").is_ok_and(|faults| faults == "each");
        let mut interrupted = 0;
        for (nth, operation) in operations().enumerate() {
            for (more, &point) in points.iter().enumerate() {
                let turn = (nth + more) % MOMENTS.len();
                let moments = if in_every_way { MOMENTS } else { &MOMENTS[turn..=turn] };
                for &moment in moments {
                    interrupted += usize::from(self.fails(operation, point, moment));
                }
                interrupted += usize::from(self.is_dropped(operation, point));
            }
            runtime().block_on(self.goes_on(operation));
        }
        interrupted
    }

    fn fails(&self, operation: &'static Operation, call: u64, moment: Moment) -> bool {
        let runtime = runtime();
        runtime.block_on(ended(operation, async {
            let prepared = operation.prepare(&self.world).await;
            self.faults.arm(Fault { method: None, call, kind: ErrorKind::Full, moment });
            let outcome = operation.run(&self.store, &prepared).await;
            self.faults.disarm();
            self.store.finish_detached().await;
            assert_eq!(runtime.metrics().num_alive_tasks(), 0, "{}", operation.name);
            outcome.is_err()
        }))
    }

    fn is_dropped(&self, operation: &'static Operation, polls: u64) -> bool {
        let runtime = runtime();
        runtime.block_on(ended(operation, async {
            let prepared = operation.prepare(&self.world).await;
            let run = operation.run(&self.store, &prepared);
            let outcome = drop_after_polls(usize::try_from(polls).unwrap(), run).await;
            self.store.finish_detached().await;
            assert_eq!(runtime.metrics().num_alive_tasks(), 0, "{}", operation.name);
            outcome.is_none()
        }))
    }

    /// The same can be done again here and by another process: nobody waits for a lock.
    async fn goes_on(&self, operation: &'static Operation) {
        for store in [self.store.clone(), self.world.another_process()] {
            let again = ended(operation, async {
                let prepared = operation.prepare(&self.world).await;
                operation.again(&store, &prepared).await
            });
            again.await.unwrap_or_else(|error| panic!("{}: {error}", operation.name));
        }
    }

    fn held(&self, root: &Path) -> Held {
        let root = root.to_string_lossy().into_owned();
        let entries = fs::read_dir("/proc/self/fd").unwrap();
        let opened = entries.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
        let names = opened.map(|target| target.to_string_lossy().into_owned());
        let mut descriptors: Vec<String> = names.filter(|name| name.starts_with(&root)).collect();
        descriptors.sort();
        Held { descriptors, memory: memory(), handles: Arc::strong_count(&self.world.backend) }
    }
}

/// What an operation comes to; one that waits for a lock which nobody gives back is told.
async fn ended<T>(operation: &Operation, run: impl Future<Output = T>) -> T {
    let ended = timeout(PATIENCE, run).await;
    ended.unwrap_or_else(|_| panic!("{}: waits for ever", operation.name))
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// The memory of this process, in bytes.
fn memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().trim().parse::<u64>().unwrap() * 1024
}

#[test]
fn what_failed_or_was_dropped_holds_nothing() {
    let in_memory = Path::new("/dev/shm");
    let directory = if in_memory.is_dir() { TempDir::new_in(in_memory) } else { TempDir::new() };
    let directory = directory.unwrap();
    let root = directory.path().to_owned();
    let bench = Bench::new(directory);
    // What is opened and kept once, and what the allocator takes at first, is there after this.
    bench.round(&POINTS[..2]);
    let before = bench.held(&root);
    let interrupted = bench.round(POINTS);
    let after = bench.held(&root);
    println!("{interrupted} operations failed or dropped; before {before:?}, after {after:?}");
    assert!(interrupted > 200, "{interrupted}");
    assert_eq!(after.descriptors, before.descriptors);
    assert_eq!(after.handles, before.handles, "stagings or tasks that hold the backend");
    assert!(after.memory < before.memory + ALLOWED, "{before:?}, then {after:?}");

    bench.world.clock.advance(A_WHILE);
    runtime().block_on(bench.store.purge_uploads(A_WHILE / 2)).unwrap();
    let temporaries = fs::read_dir(root.join("_rs/tmp")).map_or(0, Iterator::count);
    assert_eq!(temporaries, 0, "files that nothing removes");
}
