//! Another replica does something between any two requests of the first.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::FutureExt as _;
use registry_store::error::{Error, Result};
use registry_tests::s3::faults::{Asked, Fault};
use registry_tests::s3::gate::Gate;
use registry_tests::s3::operation::Operation as Request;
use tokio::sync::Notify;

use crate::bucket::{Bucket, OTHERS};
use crate::case::Case;
use crate::model::{Effect, Run, together};
use crate::operations::Operation;
use crate::profile::Profile;
use crate::suite::is_full;

/// Before every how manieth request another comes in the short form.
const APART: usize = 8;

/// Is the pair tried on this kind of server? In the short form where it can make a difference.
pub(crate) fn is_tried(operation: &Operation, rival: &Operation, profile: Profile) -> bool {
    let is_first = operation.rivals.first().is_some_and(|first| first.name == rival.name);
    match profile {
        _ if !is_exact(operation, rival, profile) => false,
        _ if is_full() => true,
        Profile::Heeds => !operation.is_large,
        Profile::Ignores => !operation.is_large && is_first,
        Profile::Refuses => false,
    }
}

/// Is it promised what comes of the two? ARCHITECTURE.md, "Tags and deletes without a lock": where the server does not
/// heed conditions, "they are exact among requests that carry one".
pub(crate) fn is_exact(operation: &Operation, rival: &Operation, profile: Profile) -> bool {
    profile == Profile::Heeds || !asks(operation) || asks(rival)
}

/// Does it point a tag on a condition?
fn asks(operation: &Operation) -> bool {
    operation.effects.iter().any(|effect| matches!(effect, Effect::TagFrom(..)))
}

/// The rival comes before each request of the operation; in the short form before some, from one on that differs
/// between the pairs.
pub(crate) fn try_all(case: &mut Case, rival: &'static Operation, turn: usize) {
    let apart = if is_full() { 1 } else { APART };
    try_some(case, rival, |nth| (nth + turn).is_multiple_of(apart));
}

/// The rival comes before some of the requests.
pub(crate) fn try_some(
    case: &mut Case,
    rival: &'static Operation,
    is_tried: impl Fn(usize) -> bool,
) {
    let (count, name) = (case.count(), case.operation.name);
    assert!(count > 1, "{name}: {count} requests");
    for nth in (1..=count).filter(|nth| is_tried(*nth)) {
        assert!(case.is_met_by(rival, nth), "{name}, {}: request {nth} of {count}", rival.name);
    }
}

impl Case {
    /// The rival comes before the nth request; `false` if there is none.
    fn is_met_by(&mut self, rival: &'static Operation, nth: usize) -> bool {
        self.begin(format!("before request {nth}, {}", rival.name));
        let gate = Gate::shut();
        self.bucket.s3.faults().when(Bucket::of_first(nth), Fault::Delay(gate.clone()));
        let first = self.run(&self.bucket.first);
        let second = self.run_of(rival, &self.bucket.second);
        let Some((first, second)) = self.bucket.answered(meet(&self.bucket, &gate, first, second))
        else {
            return false;
        };
        self.now = format!("{} ({}): {first:?}, {second:?}", self.now, self.bucket.line(nth));
        self.tally.cases += 1;
        let (one, two) = (ended(self.operation, &first), ended(rival, &second));
        match (one, two) {
            (Some(one), Some(two)) => {
                self.expect(&together(&self.before, one, two), "both ended");
            }
            _ => self.lost("that is no answer to it"),
        }
        true
    }
}

/// Runs the first until it comes to a gate, then the second, and then the rest. The second may wait for the first, as
/// a push does for a delete that it sees.
async fn meet<T>(
    bucket: &Bucket,
    gate: &Gate,
    first: impl Future<Output = T>,
    second: impl Future<Output = T>,
) -> Option<(T, T)> {
    let (mut first, mut second) = (first.boxed_local(), second.boxed_local());
    tokio::select! {
        _ = &mut first => return None,
        () = gate.arrived(1) => {}
    }
    let outcome = tokio::select! {
        outcome = &mut second => Some(outcome),
        () = waits(bucket) => None,
    };
    gate.open();
    Some(match outcome {
        Some(outcome) => (first.await, outcome),
        None => futures::join!(first, second),
    })
}

/// Comes when the second asks the same again and again: for notes, or with a claim of its own that it takes back.
async fn waits(bucket: &Bucket) {
    const ROUNDS: usize = 3;
    const IN_A_ROUND: usize = 3;
    let comes = Arc::new(Notify::new());
    let tells = comes.clone();
    let of_second = move |asked: &Asked| {
        if asked.server == OTHERS {
            tells.notify_one();
        }
        false
    };
    // It never goes wrong: it only tells.
    bucket.s3.faults().when(of_second, Fault::LoseRequest);
    loop {
        comes.notified().await;
        let requests = bucket.s3.requests();
        let of_second = requests.iter().rev().filter(|asked| asked.server == OTHERS);
        let latest: Vec<_> = of_second.take(ROUNDS * IN_A_ROUND).collect();
        let lines: BTreeSet<_> = latest.iter().map(|asked| &asked.line).collect();
        let is_looking = latest.iter().any(|asked| asked.operation == Request::ListObjectsV2);
        if latest.len() == ROUNDS * IN_A_ROUND && lines.len() <= IN_A_ROUND && is_looking {
            return;
        }
    }
}

/// How it ended, if it is an answer to it.
fn ended(operation: &Operation, answer: &Result<(), Error>) -> Option<Run> {
    let is_acknowledged = match answer {
        Ok(()) => true,
        Err(error) if (operation.may_be_refused)(error) => false,
        Err(_) => return None,
    };
    Some(Run { effects: operation.effects, is_acknowledged })
}
