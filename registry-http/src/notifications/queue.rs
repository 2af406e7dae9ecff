//! [`Queue`]: what one endpoint is still to be told of.

use std::collections::VecDeque;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::record::Record;

/// Events in the order they came, bounded; whoever adds one never waits.
///
/// When it is full, the oldest make room: after a long outage an endpoint can still act on what was done last, while of
/// what it missed it has to look through the registry anyway, however much of it is queued.
#[derive(Debug)]
pub(super) struct Queue {
    limits: Limits,
    state: Mutex<State>,
    /// There is something to deliver.
    arrived: Notify,
    /// There is something to write.
    changed: Notify,
}

/// How much may wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) events: usize,
    pub(super) bytes: usize,
}

#[derive(Debug)]
struct State {
    records: VecDeque<Record>,
    bytes: usize,
    /// The next record's number.
    next: u64,
    /// All up to this were delivered or dropped.
    position: u64,
    /// All up to this are in the files.
    written: u64,
    /// The position that the files have.
    position_written: u64,
    /// Dropped since it was last empty.
    dropped: u64,
    closed: bool,
}

/// What became of an event that was added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Added {
    /// So many were dropped for it; itself, if it alone is too long.
    pub(super) dropped: u64,
    /// They are the first since the queue was last empty.
    pub(super) is_first: bool,
}

/// What became of events that another process left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct TakenOver {
    /// So many, from the first on, need not be kept where they were.
    pub(super) taken: usize,
    /// So many of them alone are too long, and are lost.
    pub(super) dropped: u64,
}

/// What is to be written.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) records: Vec<Record>,
    pub(super) position: u64,
}

impl Queue {
    /// Begins with `left`, which is in the files; the first that is added is number `next`. Returns how many of what was
    /// left had to be dropped.
    pub(super) fn new(limits: Limits, left: Vec<Record>, next: u64) -> (Self, u64) {
        let bytes = left.iter().map(|record| record.text.len()).sum();
        let before = left.first().map_or(next, |first| first.number) - 1;
        let mut state = State {
            records: left.into(),
            bytes,
            next,
            position: before,
            written: next - 1,
            position_written: before,
            dropped: 0,
            closed: false,
        };
        let dropped = state.make_room(limits, 0, 0);
        let (arrived, changed) = (Notify::new(), Notify::new());
        (Self { limits, state: Mutex::new(state), arrived, changed }, dropped)
    }

    /// Adds an event. Never waits.
    pub(super) fn add(&self, text: Arc<str>) -> Added {
        let mut state = self.state();
        let first = state.dropped == 0;
        let dropped = if text.len() > self.limits.bytes || self.limits.events == 0 {
            1
        } else {
            let dropped = state.make_room(self.limits, 1, text.len());
            state.push(text);
            dropped
        };
        state.dropped += dropped;
        drop(state);
        self.arrived.notify_one();
        self.changed.notify_one();
        Added { dropped, is_first: first && dropped > 0 }
    }

    /// How much more can be added without dropping anything. `None` if it is full.
    pub(super) fn room(&self) -> Option<Limits> {
        let state = self.state();
        let events = self.limits.events.checked_sub(state.records.len())?;
        let bytes = self.limits.bytes.checked_sub(state.bytes)?;
        (events > 0 && bytes > 0).then_some(Limits { events, bytes })
    }

    /// Adds what another process left, behind what is here, as long as there is room: nothing is dropped for it, and the
    /// rest of it keeps where it is.
    pub(super) fn take_over(&self, records: &[Record]) -> TakenOver {
        let mut state = self.state();
        let mut outcome = TakenOver::default();
        for Record { text, .. } in records {
            if text.len() > self.limits.bytes {
                outcome.dropped += 1;
            } else if state.records.len() < self.limits.events
                && state.bytes + text.len() <= self.limits.bytes
            {
                state.push(Arc::clone(text));
            } else {
                break;
            }
            outcome.taken += 1;
        }
        drop(state);
        self.arrived.notify_one();
        self.changed.notify_one();
        outcome
    }

    /// Is it still to be delivered?
    pub(super) fn holds(&self, number: u64) -> bool {
        self.state().records.front().is_some_and(|front| front.number <= number)
    }

    /// The oldest, when there is one. It stays until it is [delivered](Self::delivered). For one at a time.
    pub(super) async fn front(&self) -> Record {
        loop {
            if let Some(front) = self.state().records.front() {
                return front.clone();
            }
            self.arrived.notified().await;
        }
    }

    /// It need not be kept any more. It may have been dropped meanwhile. Returns how many were dropped since the queue
    /// was last empty, if it is empty now.
    pub(super) fn delivered(&self, number: u64) -> u64 {
        let mut state = self.state();
        if state.records.front().is_some_and(|front| front.number == number) {
            state.pop();
        }
        let told = if state.records.is_empty() { mem::take(&mut state.dropped) } else { 0 };
        drop(state);
        self.changed.notify_one();
        told
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.state().records.len()
    }

    /// What is to be written, when there is something; `None` if there never will be. For one at a time.
    pub(super) async fn work(&self) -> Option<Work> {
        loop {
            {
                let state = self.state();
                if state.written + 1 < state.next || state.position_written < state.position {
                    return Some(state.work());
                }
                if state.closed {
                    return None;
                }
            }
            self.changed.notified().await;
        }
    }

    /// All up to number `last` is in the files or need not be, and so is the position, as far as `position`.
    pub(super) fn written(&self, last: u64, position: u64) {
        let mut state = self.state();
        state.written = state.written.max(last);
        state.position_written = state.position_written.max(position);
    }

    /// Nothing is added or delivered from now on.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.changed.notify_one();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state().closed
    }

    /// When it is closed. For whoever waits for [work](Self::work) otherwise.
    pub(super) async fn closed(&self) {
        while !self.is_closed() {
            self.changed.notified().await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held, and every state of it is one to go on from.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Drops the oldest until `events` more, of so many `bytes`, have room.
    fn make_room(&mut self, limits: Limits, events: usize, bytes: usize) -> u64 {
        let mut dropped = 0;
        while self.records.len() + events > limits.events || self.bytes + bytes > limits.bytes {
            if !self.pop() {
                break;
            }
            dropped += 1;
        }
        dropped
    }

    fn push(&mut self, text: Arc<str>) {
        self.bytes += text.len();
        let number = self.next;
        self.next += 1;
        self.records.push_back(Record { number, text });
    }

    fn pop(&mut self) -> bool {
        let Some(front) = self.records.pop_front() else { return false };
        self.bytes -= front.text.len();
        self.position = front.number;
        true
    }

    /// What was delivered before it was written need not be.
    fn work(&self) -> Work {
        let behind = self.records.partition_point(|record| record.number <= self.written);
        Work { records: self.records.range(behind..).cloned().collect(), position: self.position }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    const LIMITS: Limits = Limits { events: 3, bytes: 10 };

    fn texts(queue: &Queue) -> Vec<String> {
        queue.state().records.iter().map(|record| record.text.to_string()).collect()
    }

    #[test]
    fn a_full_queue_drops_the_oldest_and_counts_them() {
        let (queue, _) = Queue::new(LIMITS, vec![], 1);
        for text in ["a", "b", "c"] {
            assert_eq!(queue.add(text.into()), Added::default());
        }
        assert_eq!(queue.add("d".into()), Added { dropped: 1, is_first: true });
        assert_eq!(queue.add("e".into()), Added { dropped: 1, is_first: false });
        assert_eq!(texts(&queue), ["c", "d", "e"]);
        // By bytes: eight more have room beside two.
        assert_eq!(queue.add("12345678".into()).dropped, 1);
        assert_eq!(texts(&queue), ["d", "e", "12345678"]);
        assert_eq!(queue.add("0123456789".into()).dropped, 3);
        assert_eq!(texts(&queue), ["0123456789"]);
        // What has no room at all takes nobody's.
        assert_eq!(queue.add("0123456789x".into()).dropped, 1);
        assert_eq!(texts(&queue), ["0123456789"]);
        assert_eq!(queue.delivered(7), 7, "told of when it is empty again");
        assert_eq!(queue.add("x".into()), Added::default());
        assert_eq!(queue.delivered(8), 0);
    }

    #[test]
    fn one_that_was_dropped_while_it_was_delivered_takes_no_other_along() {
        let (queue, _) = Queue::new(LIMITS, vec![], 1);
        queue.add("a".into());
        let front = queue.front().now_or_never().unwrap();
        for text in ["b", "c", "d"] {
            queue.add(text.into());
        }
        queue.delivered(front.number);
        assert_eq!(texts(&queue), ["b", "c", "d"]);
    }

    #[test]
    fn what_is_to_be_written_is_what_came_and_how_far_it_got() {
        let left = vec![Record { number: 4, text: "old".into() }];
        let (queue, dropped) = Queue::new(LIMITS, left, 5);
        assert_eq!(dropped, 0);
        assert!(queue.work().now_or_never().is_none());
        queue.add("a".into());
        let work = queue.work().now_or_never().unwrap().unwrap();
        assert_eq!((work.records.len(), work.position), (1, 3));
        queue.written(5, 3);
        assert!(queue.work().now_or_never().is_none());

        queue.delivered(4);
        queue.add("b".into());
        queue.add("c".into());
        queue.delivered(5);
        queue.delivered(6);
        let work = queue.work().now_or_never().unwrap().unwrap();
        let numbers: Vec<u64> = work.records.iter().map(|record| record.number).collect();
        assert_eq!((numbers, work.position), (vec![7], 6), "6 was delivered before it was written");
        queue.written(7, 6);
        queue.close();
        assert!(queue.work().now_or_never().unwrap().is_none());
    }

    #[test]
    fn all_delivered_before_it_was_written_is_a_position_alone() {
        let (queue, _) = Queue::new(LIMITS, vec![], 1);
        queue.add("a".into());
        queue.delivered(1);
        let work = queue.work().now_or_never().unwrap().unwrap();
        assert_eq!((work.records.len(), work.position), (0, 1));
        queue.written(1, 1);
        assert!(queue.work().now_or_never().is_none());
    }

    #[test]
    fn what_another_process_left_takes_the_room_there_is_and_no_ones() {
        let (queue, _) = Queue::new(LIMITS, vec![], 1);
        queue.add("a".into());
        let theirs: Vec<Record> = ["0123456789x", "b", "c", "d"]
            .into_iter()
            .zip(7..)
            .map(|(text, number)| Record { number, text: text.into() })
            .collect();
        assert_eq!(queue.room().map(|room| (room.events, room.bytes)), Some((2, 9)));
        assert_eq!(queue.take_over(&theirs), TakenOver { taken: 3, dropped: 1 });
        assert_eq!(texts(&queue), ["a", "b", "c"]);
        assert!(queue.room().is_none());
        assert_eq!(queue.take_over(&theirs[3..]), TakenOver::default());
        let numbers: Vec<u64> = queue.state().records.iter().map(|it| it.number).collect();
        assert_eq!(numbers, [1, 2, 3], "they have numbers of ours");
    }

    #[test]
    fn one_that_was_dropped_is_held_no_more() {
        let (queue, _) = Queue::new(LIMITS, vec![], 1);
        for text in ["a", "b", "c"] {
            queue.add(text.into());
        }
        assert!(queue.holds(1) && queue.holds(3));
        queue.add("d".into());
        assert!(!queue.holds(1) && queue.holds(2));
    }

    #[test]
    fn what_is_left_of_a_larger_queue_is_cut_to_the_limits() {
        let left = (1..=5).map(|number| Record { number, text: "x".into() }).collect();
        let (queue, dropped) = Queue::new(LIMITS, left, 6);
        assert_eq!((dropped, queue.len()), (2, 3));
        let work = queue.work().now_or_never().unwrap().unwrap();
        assert_eq!((work.records.len(), work.position), (0, 2));
    }
}
