//! Every operation is dropped at every await: what is left is what a crash could have left, and what can be seen is as
//! before or as after, because what it does once it changes something goes on to its end.
//!
//! That takes long: it is every other await, and every fourth on a filesystem, other ones of each operation, but for
//! `FAULTS=each` in the environment.

use std::env;
use std::sync::Arc;

use registry_store::backend::Backend;
use registry_tests::backends::YieldingBackend;
use registry_tests::operations::{On, Trial, operations};
use registry_tests::polls::drop_after_polls;
use tokio::runtime::{Builder, Runtime};

/// Polls an operation may need, with room.
const MOST_POLLS: usize = 600;

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Of how many awaits one is where an operation is dropped.
fn one_in(on: On) -> usize {
    match on {
        _ if env::var("FAULTS").is_ok_and(|faults| faults == "each") => 1,
        On::Memory => 2,
        On::Filesystem => 4,
    }
}

/// Drops every operation after 0, 1, 2 … polls, until it ends before it can be dropped. Returns how many operations
/// there were, and how often one was dropped.
fn every_operation_is_dropped_in_turn(
    on: On,
    backend: impl Fn(Arc<dyn Backend>) -> YieldingBackend,
) -> (usize, usize) {
    let mut dropped = 0;
    for (nth, operation) in operations().enumerate() {
        let trial = runtime().block_on(Trial::new(operation, on));
        let mut all = (nth % one_in(on)..MOST_POLLS).step_by(one_in(on));
        let ended = all.find(|&polls| {
            let ground = runtime().block_on(trial.ground());
            // What it has begun outside of the runtime's threads ends with the runtime.
            let outcome = runtime().block_on(async {
                let store = ground.world.over(backend(ground.world.backend.clone()));
                let run = trial.operation.run(&store, &ground.prepared);
                let outcome = drop_after_polls(polls, run).await;
                // What must not stop half-way goes on by itself.
                store.finish_detached().await;
                outcome
            });
            let has_ended = outcome.is_some();
            dropped += usize::from(!has_ended);
            let when = format!("dropped after {polls} polls");
            runtime().block_on(trial.check(&ground, outcome, None, &when));
            has_ended
        });
        assert!(ended.is_some(), "{}: does not end", operation.name);
    }
    (operations().count(), dropped)
}

#[expect(clippy::print_stdout, reason = "how much was explored is told")]
fn check(on: On, yields: u32) {
    let (operations, dropped) = every_operation_is_dropped_in_turn(on, |backend| {
        YieldingBackend::new(backend, move || yields)
    });
    println!("{on:?}: {operations} operations, dropped at {dropped} points");
}

#[test]
fn on_memory_an_operation_that_is_dropped_harms_nothing() {
    check(On::Memory, 1);
}

#[test]
fn on_a_filesystem_an_operation_that_is_dropped_harms_nothing() {
    check(On::Filesystem, 0);
}
