//! Everything is tried, some of it at a time, and told of in a line.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::thread;

use crate::bucket::Bucket;
use crate::case::Case;
use crate::operations::{OPERATIONS, Operation};
use crate::profile::Profile;
use crate::tally::Tally;
use crate::{pairs, single};

/// What is tried at a time. Some of it waits: for a server that asks for fewer requests, or for another's note to go.
const AT_ONCE: usize = 4;

/// Buckets that nothing is tried on now: opening one takes longer than most of what is tried.
static BUCKETS: Mutex<Vec<(Profile, Bucket)>> = Mutex::new(Vec::new());

fn bucket(profile: Profile) -> Bucket {
    let mut buckets = BUCKETS.lock().unwrap();
    let found = buckets.iter().position(|(of, _)| *of == profile);
    let free = found.map(|at| buckets.swap_remove(at).1);
    drop(buckets);
    free.unwrap_or_else(|| Bucket::new(profile))
}

/// Is all to be tried that takes minutes?
pub(crate) fn is_full() -> bool {
    std::env::var_os("CRASH_S3").is_some_and(|form| form == "full")
}

/// Tries an operation on every kind of server.
fn everywhere<J: Copy + Send>(
    jobs: &[J],
    operation: impl Fn(J) -> &'static Operation + Sync,
    is_tried: impl Fn(J, Profile) -> bool,
    try_all: impl Fn(&mut Case, J) + Sync,
) -> Tally {
    let jobs = jobs.iter().flat_map(|job| Profile::ALL.map(|profile| (*job, profile)));
    let jobs = jobs.filter(|(job, profile)| is_tried(*job, *profile));
    let (waiting, total) = (Mutex::new(jobs.collect::<Vec<_>>()), Mutex::new(Tally::default()));
    let next = || waiting.lock().unwrap().pop();
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some((job, profile)) = next() {
                    let mut case = Case::new(bucket(profile), operation(job), profile);
                    try_all(&mut case, job);
                    total.lock().unwrap().add(case.tally);
                    BUCKETS.lock().unwrap().push((profile, case.bucket));
                }
            });
        }
    });
    total.into_inner().unwrap()
}

fn nothing_is_lost(tally: &Tally) {
    assert!(tally.losses.is_empty(), "{}", tally.losses.join("\n"));
}

#[test]
fn every_request_of_every_operation_meets_everything_and_nothing_is_lost() {
    let tally = everywhere(
        OPERATIONS,
        |operation| operation,
        |operation, profile| !single::happenings(operation, profile).is_empty(),
        |case, _| single::try_all(case),
    );
    let (operations, profiles) = (OPERATIONS.len(), Profile::ALL.len());
    println!("crash_s3: {operations} operations, {profiles} profiles, {tally}");
    nothing_is_lost(&tally);
    assert!(tally.enumerations > operations, "{tally}");
    assert!(tally.requests > 5 * tally.enumerations, "{tally}");
    assert!(tally.cases > 4 * tally.enumerations && tally.states > 2 * tally.cases, "{tally}");
}

#[test]
fn another_replica_comes_between_any_two_requests_and_nothing_is_lost() {
    let pairs = OPERATIONS.iter().flat_map(|operation| {
        let operation: &'static Operation = operation;
        operation.rivals.iter().map(move |rival| (operation, *rival))
    });
    let pairs: Vec<(&Operation, &Operation, usize)> =
        pairs.enumerate().map(|(turn, (operation, rival))| (operation, rival, turn)).collect();
    let tally = everywhere(
        &pairs,
        |(operation, ..)| operation,
        |(operation, rival, _), profile| pairs::is_tried(operation, rival, profile),
        |case, (_, rival, turn)| pairs::try_all(case, rival, turn),
    );
    let (count, profiles) = (pairs.len(), Profile::ALL.len());
    println!("crash_s3: {count} pairs of operations, {profiles} profiles, {tally}");
    nothing_is_lost(&tally);
    let rivals: BTreeSet<_> = pairs.iter().map(|(_, rival, _)| rival.name).collect();
    assert!(rivals.len() > 10, "{rivals:?}");
    assert!(tally.enumerations > count, "{tally}");
    assert!(tally.requests > 5 * tally.enumerations, "{tally}");
    assert!(tally.cases > tally.enumerations && tally.states > tally.cases, "{tally}");
}
