//! Every call of the backend fails in turn: before or after it has done its work, or half-way through.
//!
//! On a filesystem that takes long: there it is every third call, in one of these ways, other ones of each operation.
//! With `FAULTS=each` in the environment it is every call everywhere, in every way, and each fails with each kind of
//! error, not with one of them.

use std::env;

use registry_store::backend::ErrorKind;
use registry_tests::backends::{Fault, FaultyBackend, Moment};
use registry_tests::operations::{On, Trial, operations};
use tokio::runtime::{Builder, Runtime};

/// Calls an operation may need, with room; more would mean that the fault is never met.
const MOST_CALLS: usize = 300;

/// What a storage can fail with. That something is not there is no fault.
const KINDS: &[ErrorKind] = &[
    ErrorKind::Io,
    ErrorKind::Full,
    ErrorKind::Unavailable,
    ErrorKind::Denied,
    ErrorKind::Busy,
    ErrorKind::Foreign,
];

/// Of calls that fail in so many ways, those that do.
#[derive(Clone, Copy)]
struct Sample {
    /// Of how many calls one fails.
    one_in: usize,
    /// In how many of the ways.
    moments: usize,
    /// With how many kinds.
    kinds: usize,
}

impl Sample {
    fn on(on: On) -> Self {
        match on {
            _ if env::var("FAULTS").is_ok_and(|faults| faults == "each") => {
                Self { one_in: 1, moments: usize::MAX, kinds: KINDS.len() }
            }
            On::Memory => Self { one_in: 1, moments: 1, kinds: 1 },
            On::Filesystem => Self { one_in: 3, moments: 1, kinds: 1 },
        }
    }
}

/// Calls of an operation, the `nth`, fail one after the other. Returns how many did.
fn calls_fail_in_turn(runtime: &Runtime, trial: &Trial, moment: Moment, nth: usize) -> usize {
    let sample = Sample::on(trial.on);
    let mut met = 0;
    for chosen in 0..sample.kinds {
        let mut calls = (1 + nth % sample.one_in..MOST_CALLS).step_by(sample.one_in);
        let ended = calls.find(|&call| {
            let kind = KINDS[(call + chosen) % KINDS.len()];
            let call = u64::try_from(call).unwrap();
            let fault = Fault { method: None, call, kind, moment };
            let was_met = runtime.block_on(meets(trial, fault));
            met += usize::from(was_met);
            !was_met
        });
        assert!(ended.is_some(), "{}: the fault is always met", trial.operation.name);
    }
    met
}

/// Does the operation with one fault. Says whether it was met.
async fn meets(trial: &Trial, fault: Fault) -> bool {
    let ground = trial.ground().await;
    let backend = FaultyBackend::new(ground.world.backend.clone());
    let store = ground.world.over(backend.clone());
    backend.arm(fault);
    let outcome = trial.operation.run(&store, &ground.prepared).await;
    store.finish_detached().await;
    let was_met = !backend.disarm();
    drop(store);
    let when = format!("{:?} {:?} at call {}", fault.kind, fault.moment, fault.call);
    trial.check(&ground, Some(outcome), was_met.then_some(fault.kind), &when).await;
    was_met
}

#[expect(clippy::print_stdout, reason = "how much was explored is told")]
fn check(on: On, moments: &[Moment]) {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let mut met = 0;
    for (nth, operation) in operations().enumerate() {
        let trial = runtime.block_on(Trial::new(operation, on));
        let turn = moments.iter().cycle().skip(nth % moments.len());
        for &moment in turn.take(moments.len().min(Sample::on(on).moments)) {
            let failed = calls_fail_in_turn(&runtime, &trial, moment, nth / moments.len());
            assert!(
                failed > 0 || on != On::Memory || moment == Moment::Partway,
                "{}",
                operation.name
            );
            met += failed;
        }
    }
    println!("{on:?}, {moments:?}: {} operations, {met} faults", operations().count());
}

#[test]
fn on_memory_a_call_that_fails_harms_nothing() {
    check(On::Memory, &[Moment::Before]);
}

#[test]
fn on_memory_a_call_whose_answer_is_lost_harms_nothing() {
    check(On::Memory, &[Moment::After]);
}

#[test]
fn on_memory_a_call_that_fails_half_way_harms_nothing() {
    check(On::Memory, &[Moment::Partway]);
}

#[test]
fn on_a_filesystem_a_call_that_fails_harms_nothing() {
    check(On::Filesystem, &[Moment::Before, Moment::After, Moment::Partway]);
}
