//! [`Stats`]: how the telling of an endpoint goes.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What became of an endpoint's events since the process began. The counts are those of Distribution, and `dropped`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// The endpoint's name.
    pub endpoint: String,
    /// Events it is told of: what its filter left, and what was found in its queue and in those of processes that ended. `registry_notifications_events_total`
    /// of type `Events`.
    pub events: u64,
    /// Tries that it answered with a status below 400 that is no redirect: `Successes`.
    pub successes: u64,
    /// Tries that it answered with another status: `Failures`.
    pub failures: u64,
    /// Tries that came to no answer: `Errors`.
    pub errors: u64,
    /// Events that wait, among them the one that is being delivered: `registry_notifications_pending_total`.
    pub pending: u64,
    /// Events that were given up, as the queue was full.
    pub dropped: u64,
    /// Its answers by status: `registry_notifications_status_total`.
    pub statuses: BTreeMap<u16, u64>,
}

/// What is counted.
#[derive(Debug, Default)]
pub(super) struct Counters(Mutex<Counts>);

#[derive(Clone, Debug, Default)]
struct Counts {
    events: u64,
    successes: u64,
    failures: u64,
    errors: u64,
    dropped: u64,
    statuses: BTreeMap<u16, u64>,
}

impl Counters {
    pub(super) fn came(&self, events: u64) {
        self.counts().events += events;
    }

    pub(super) fn dropped(&self, events: u64) {
        self.counts().dropped += events;
    }

    pub(super) fn answered(&self, status: u16, accepted: bool) {
        let mut counts = self.counts();
        *counts.statuses.entry(status).or_default() += 1;
        if accepted {
            counts.successes += 1;
        } else {
            counts.failures += 1;
        }
    }

    pub(super) fn failed(&self) {
        self.counts().errors += 1;
    }

    pub(super) fn stats(&self, endpoint: &str, pending: usize) -> Stats {
        let counts = self.counts().clone();
        Stats {
            endpoint: endpoint.to_owned(),
            events: counts.events,
            successes: counts.successes,
            failures: counts.failures,
            errors: counts.errors,
            pending: pending as u64,
            dropped: counts.dropped,
            statuses: counts.statuses,
        }
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        // Counting does not panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
