//! Every call of an operation waits in turn, and another process does something else meanwhile.
//!
//! Of each pair of operations it is every third call, but for `FAULTS=each` in the environment.

use std::env;

use registry_store::error::{Error, Result};
use registry_tests::backends::{GatedBackend, Moment};
use registry_tests::operations::{Ground, On, Operation, Prepared, Sight, Trial, operations};
use tokio::runtime::Builder;
use tokio::task::yield_now;

/// Operations that meet: those that make, move and take away the same few things.
const MEETING: &[&str] = &[
    "a blob is put",
    "a blob is deleted",
    "a blob is mounted",
    "an upload is made from its begin to its end",
    "a manifest with a subject is put under two tags",
    "a tag is moved from where it is believed to be",
    "a tag is made if it is absent",
    "a manifest is deleted with its tags",
    "a tag is deleted",
    "the records of referrers are made anew",
];
/// Calls an operation may make, with room.
const MOST_CALLS: u64 = 100;
/// How long one that waits lets the other go on: that may wait for a lock which only the first can give back.
const PATIENT_YIELDS: usize = 300;

fn meeting() -> impl Iterator<Item = &'static Operation> {
    operations().filter(|operation| MEETING.contains(&operation.name))
}

/// Does both, the second while a call of the first waits. Says whether that call was made.
async fn meet(trial: &Trial, second: &'static Operation, call: u64) -> bool {
    let when = &format!("{} at call {call}, meanwhile {}", trial.operation.name, second.name);
    let Ground { world, prepared, .. } = &trial.ground().await;
    let prepared_too = second.prepare_beside(world).await;
    let gates = GatedBackend::new(world.backend.clone());
    let store = world.over(gates.clone());
    let gate = gates.shut_at(Moment::Before, call);
    let other = world.another_process();
    let mut meanwhile = None;
    let (outcome, was_reached) = gate
        .meanwhile_if_reached(trial.operation.run(&store, prepared), async {
            let running = meanwhile
                .insert(tokio::spawn(async move { second.run(&other, &prepared_too).await }));
            for _ in 0..PATIENT_YIELDS {
                if running.is_finished() {
                    break;
                }
                yield_now().await;
            }
        })
        .await;
    expect_sense(outcome, when);
    if let Some(meanwhile) = meanwhile {
        expect_sense(meanwhile.await.unwrap(), when);
    }
    let seen = Sight::of(&world.another_process(), &Prepared::default(), when).await;
    assert!(seen.has_what_stays(), "{when}");
    was_reached
}

/// Either of the two may find that the other was first. The storage is well.
fn expect_sense(outcome: Result<String>, when: &str) {
    if let Err(Error::Storage(error)) = outcome {
        panic!("{when}: {error}");
    }
}

#[test]
fn what_another_process_does_between_two_calls_harms_nothing() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    assert_eq!(meeting().count(), MEETING.len());
    let one_in = if env::var("FAULTS").is_ok_and(|faults| faults == "each") { 1 } else { 3 };
    let mut meetings = 0;
    for (nth, first) in meeting().enumerate() {
        let trial = runtime.block_on(Trial::new(first, On::Memory));
        for (more, second) in meeting().enumerate() {
            let mut calls = (1 + (nth + more) as u64 % one_in..MOST_CALLS).step_by(one_in as usize);
            let ended = calls.find(|&call| {
                let was_reached = runtime.block_on(meet(&trial, second, call));
                meetings += u64::from(was_reached);
                !was_reached
            });
            assert!(ended.is_some(), "{}: does not end", first.name);
        }
    }
    println!("{} operations, {meetings} meetings", MEETING.len());
}
