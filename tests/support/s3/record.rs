//! [`Recorded`]: what was asked, and how it ended.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::operation::Operation;

/// A request that was made, as it stands now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Which of the servers was asked, counted from 0.
    pub server: usize,
    /// What was asked for.
    pub operation: Operation,
    /// Of which bucket.
    pub bucket: String,
    /// Of which key; empty if it was about the bucket.
    pub key: String,
    /// The method, path and query, as they came.
    pub line: String,
    /// The bytes of its body, as they came over the wire.
    pub bytes_in: u64,
    /// The bytes of the answer's body that went out.
    pub bytes_out: u64,
    /// How it ended.
    pub outcome: Outcome,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It did not yet.
    Pending,
    /// It was answered with this status.
    Answered(u16),
    /// The connection was closed without an answer, by either side.
    Lost,
}

/// All requests to an S3, in the order they came.
#[derive(Debug, Default)]
pub(super) struct Record {
    entries: Mutex<Vec<Arc<Entry>>>,
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Record {
    pub(super) fn begin(self: &Arc<Self>, request: Recorded) -> Arc<Entry> {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        let entry = Arc::new(Entry {
            bytes_in: AtomicU64::new(request.bytes_in),
            bytes_out: AtomicU64::new(request.bytes_out),
            outcome: Mutex::new(request.outcome),
            request,
        });
        self.entries.lock().expect("nobody panics while holding it").push(Arc::clone(&entry));
        entry
    }

    /// One request less is under way.
    pub(super) fn end(&self) {
        self.now.fetch_sub(1, Ordering::SeqCst);
    }

    pub(super) fn all(&self) -> Vec<Recorded> {
        let entries = self.entries.lock().expect("nobody panics while holding it");
        entries.iter().map(|entry| entry.recorded()).collect()
    }

    /// The most that were under way at one time.
    pub(super) fn most_at_once(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }

    pub(super) fn forget(&self) {
        self.entries.lock().expect("nobody panics while holding it").clear();
        self.most.store(self.now.load(Ordering::SeqCst), Ordering::SeqCst);
    }
}

/// One request while it is under way.
#[derive(Debug)]
pub(super) struct Entry {
    request: Recorded,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    outcome: Mutex<Outcome>,
}

impl Entry {
    pub(super) fn take_in(&self, bytes: usize) {
        self.bytes_in.fetch_add(bytes as u64, Ordering::SeqCst);
    }

    pub(super) fn give_out(&self, bytes: usize) {
        self.bytes_out.fetch_add(bytes as u64, Ordering::SeqCst);
    }

    /// The first outcome is the outcome.
    pub(super) fn settle(&self, outcome: Outcome) {
        let mut known = self.outcome.lock().expect("nobody panics while holding it");
        if *known == Outcome::Pending {
            *known = outcome;
        }
    }

    fn recorded(&self) -> Recorded {
        Recorded {
            bytes_in: self.bytes_in.load(Ordering::SeqCst),
            bytes_out: self.bytes_out.load(Ordering::SeqCst),
            outcome: *self.outcome.lock().expect("nobody panics while holding it"),
            ..self.request.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(key: &str) -> Recorded {
        Recorded {
            server: 0,
            operation: Operation::GetObject,
            bucket: "b".to_owned(),
            key: key.to_owned(),
            line: format!("GET /b/{key}"),
            bytes_in: 0,
            bytes_out: 0,
            outcome: Outcome::Pending,
        }
    }

    #[test]
    fn a_request_is_recorded_when_it_comes_and_filled_in_as_it_goes() {
        let record = Arc::new(Record::default());
        let (first, second) = (record.begin(request("1")), record.begin(request("2")));
        first.give_out(7);
        first.settle(Outcome::Answered(200));
        first.settle(Outcome::Lost);
        second.take_in(5);
        let all = record.all();
        assert_eq!((all[0].bytes_out, all[0].outcome), (7, Outcome::Answered(200)));
        assert_eq!((all[1].bytes_in, all[1].outcome), (5, Outcome::Pending));
    }

    #[test]
    fn the_most_at_one_time_is_known() {
        let record = Arc::new(Record::default());
        record.begin(request("1"));
        record.begin(request("2"));
        record.end();
        record.begin(request("3"));
        assert_eq!(record.most_at_once(), 2);
        record.end();
        record.forget();
        assert_eq!((record.most_at_once(), record.all().len()), (1, 0));
    }
}
