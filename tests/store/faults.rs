//! Every call of the backend fails in turn, before or after it has done its work.

use registry_store::backend::ErrorKind;
use registry_store::error::Error;
use registry_tests::backends::{Fault, FaultyBackend, Moment};
use registry_tests::world::{World, store_on};

use crate::scenarios::SCENARIOS;

/// Calls an operation may need, with room; more would mean that the fault is never met.
const MOST_CALLS: u64 = 300;

fn every_call_fails_in_turn(world: fn() -> World, moment: Moment) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for scenario in SCENARIOS {
        let met = (1..MOST_CALLS).find(|&call| {
            let world = world();
            runtime.block_on(async {
                scenario.prepare(&world.store).await;
                let backend = FaultyBackend::new(world.backend.clone());
                backend.arm(Fault { method: None, call, kind: ErrorKind::Io, moment });
                let result = scenario.run(&store_on(backend.clone())).await;
                let was_not_met = backend.disarm();
                if let Err(error) = &result {
                    assert!(
                        matches!(error, Error::Storage(error) if error.kind() == ErrorKind::Io),
                        "{}, call {call}: a fault of the storage looks like {error}",
                        scenario.name
                    );
                }
                let when = format!("call {call} failed {moment:?}");
                scenario.check(&world.another_process(), result.is_ok(), &when).await;
                was_not_met
            })
        });
        assert!(met.is_some_and(|calls| calls > 2), "{}: {met:?} calls", scenario.name);
    }
}

#[test]
fn on_memory_a_call_that_fails_harms_nothing() {
    every_call_fails_in_turn(World::memory, Moment::Before);
}

#[test]
fn on_memory_a_call_whose_answer_is_lost_harms_nothing() {
    every_call_fails_in_turn(World::memory, Moment::After);
}

#[test]
fn on_a_filesystem_a_call_that_fails_harms_nothing() {
    every_call_fails_in_turn(World::filesystem, Moment::Before);
}

#[test]
fn on_a_filesystem_a_call_whose_answer_is_lost_harms_nothing() {
    every_call_fails_in_turn(World::filesystem, Moment::After);
}
