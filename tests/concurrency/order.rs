//! [`explain`]: whether some order of calls explains what was answered (Wing and Gong's search).
//!
//! A thing has one value, or none. An order explains a history if each step, done at one moment between its call and
//! its answer, sees what the steps before it left. What was never answered may have been done at any moment since it
//! was called, or not at all.

use std::collections::HashSet;

/// A step of a call, with when that was made and answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) invoked: u64,
    /// `None`: no answer came.
    pub(crate) returned: Option<u64>,
    pub(crate) step: Step,
}

impl Event {
    /// Can both have been done first?
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        let is_before = |a: &Self, b: &Self| a.returned.is_some_and(|at| at < b.invoked);
        !is_before(self, other) && !is_before(other, self)
    }
}

/// What is there.
type Value = Option<usize>;

/// What a call does to a thing, and has learned of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It is this from now on.
    Write(Value),
    /// It was as the condition has it, and is this from now on.
    WriteIf(Condition, Value),
    /// It was there, and is not from now on.
    Remove,
    /// If it was this, it is not there from now on.
    RemoveIf(usize),
    /// It is this.
    Read(Value),
    /// It is there, whatever it is; or not.
    ReadPresence(bool),
    /// It is not as the condition has it.
    Unless(Condition),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    Absent,
    Is(usize),
}

impl Condition {
    fn holds(self, value: Value) -> bool {
        match self {
            Self::Absent => value.is_none(),
            Self::Is(expected) => value == Some(expected),
        }
    }
}

impl Step {
    /// Can it leave another value than it found?
    pub(crate) const fn changes(self) -> bool {
        !matches!(self, Self::Read(_) | Self::ReadPresence(_) | Self::Unless(_))
    }

    /// What is there after it, where this was before; `None` if it cannot have come then.
    fn after(self, value: Value) -> Option<Value> {
        let (is_possible, after) = match self {
            Self::Write(written) => (true, written),
            Self::WriteIf(condition, written) => (condition.holds(value), written),
            Self::Remove => (value.is_some(), None),
            Self::RemoveIf(expected) => (true, value.filter(|found| *found != expected)),
            Self::Read(read) => (read == value, value),
            Self::ReadPresence(is_there) => (is_there == value.is_some(), value),
            Self::Unless(condition) => (!condition.holds(value), value),
        };
        is_possible.then_some(after)
    }
}

/// Which steps are done, and what is there then.
#[derive(Clone, PartialEq, Eq, Hash)]
struct State {
    done: Vec<u64>,
    value: Value,
}

impl State {
    fn is_done(&self, at: usize) -> bool {
        self.done[at / 64] >> (at % 64) & 1 == 1
    }

    /// After one more step; `None` if it cannot come now.
    fn with(&self, at: usize, step: Step) -> Option<Self> {
        let value = step.after(self.value)?;
        let mut done = self.done.clone();
        done[at / 64] |= 1 << (at % 64);
        Some(Self { done, value })
    }
}

/// Looks for an order of these steps, of one thing that is not there at first. If there is none, tells how far it got.
pub(crate) fn explain(events: &[Event]) -> Result<(), String> {
    let mut events = events.to_vec();
    events.sort_by_key(|event| event.invoked);
    let nothing = State { done: vec![0; events.len() / 64 + 1], value: None };
    let (mut open, mut seen) = (vec![nothing], HashSet::new());
    let mut furthest: (usize, Vec<&Event>, Value) = Default::default();
    while let Some(state) = open.pop() {
        if !seen.insert(state.clone()) {
            continue;
        }
        let next = candidates(&events, &state);
        if next.iter().all(|at| events[*at].returned.is_none()) {
            return Ok(());
        }
        let count = state.done.iter().map(|word| word.count_ones() as usize).sum();
        if count >= furthest.0 {
            furthest = (count, next.iter().map(|at| &events[*at]).collect(), state.value);
        }
        // Who only looks, and can come now, may come now: nobody minds.
        let looks = next.iter().find_map(|&at| {
            let step = events[at].step;
            if step.changes() { None } else { state.with(at, step) }
        });
        match looks {
            Some(state) => open.push(state),
            None => open.extend(next.iter().filter_map(|&at| state.with(at, events[at].step))),
        }
    }
    let (count, next, value) = furthest;
    Err(format!(
        "no order explains {} steps; {count} of them lead to {value:?}, and then comes none of {next:#?}",
        events.len()
    ))
}

/// The steps that may come next: those that were called before any of the rest was answered.
fn candidates(events: &[Event], state: &State) -> Vec<usize> {
    let (mut next, mut first_answer) = (Vec::new(), u64::MAX);
    for (at, event) in events.iter().enumerate().filter(|(at, _)| !state.is_done(*at)) {
        if event.invoked > first_answer {
            break;
        }
        first_answer = first_answer.min(event.returned.unwrap_or(u64::MAX));
        next.push(at);
    }
    next.retain(|at| events[*at].invoked <= first_answer);
    next
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Steps by when they were called and answered; 0 is never.
    fn history(steps: &[(u64, u64, Step)]) -> Vec<Event> {
        let event = |&(invoked, returned, step)| Event {
            invoked,
            returned: Some(returned).filter(|returned| *returned > 0),
            step,
        };
        steps.iter().map(event).collect()
    }

    fn is_explained(steps: &[(u64, u64, Step)]) -> bool {
        explain(&history(steps)).is_ok()
    }

    #[test]
    fn what_is_read_is_what_was_written_last() {
        assert!(is_explained(&[]));
        assert!(is_explained(&[(1, 2, Step::Write(Some(1))), (3, 4, Step::Read(Some(1)))]));
        assert!(!is_explained(&[(1, 2, Step::Write(Some(1))), (3, 4, Step::Read(None))]));
        assert!(!is_explained(&[(1, 2, Step::Write(Some(1))), (3, 4, Step::Read(Some(2)))]));
        assert!(!is_explained(&[(3, 4, Step::Write(Some(1))), (1, 2, Step::Read(Some(1)))]));
    }

    #[test]
    fn what_happens_at_the_same_time_may_be_seen_or_not() {
        for seen in [None, Some(1)] {
            assert!(is_explained(&[(1, 4, Step::Write(Some(1))), (2, 3, Step::Read(seen))]));
        }
        let (new, old) = (Step::Read(Some(2)), Step::Read(Some(1)));
        let moved = [(1, 2, Step::Write(Some(1))), (3, 10, Step::Write(Some(2)))];
        let reads = |first, second| [&moved[..], &[(4, 5, first), (6, 7, second)]].concat();
        assert!(is_explained(&reads(old, new)));
        assert!(!is_explained(&reads(new, old)), "time does not go back");
        let at_once = [&moved[..], &[(4, 6, new), (5, 7, old)]].concat();
        assert!(is_explained(&at_once));
    }

    #[test]
    fn a_stale_read_after_many_moves_is_refused() {
        let mut steps = Vec::new();
        for at in 0..50 {
            let value = Some(usize::try_from(at % 3).unwrap());
            steps.push((10 * at + 1, 10 * at + 12, Step::Write(value)));
            steps.push((10 * at + 13, 10 * at + 14, Step::ReadPresence(true)));
        }
        assert!(is_explained(&steps));
        let read = |value| [&steps[..], &[(600, 601, Step::Read(Some(value)))]].concat();
        assert!(is_explained(&read(1)), "it was written last");
        assert!(is_explained(&read(0)), "it was written at the same time");
        assert!(!is_explained(&read(2)), "it was overwritten by then");
    }

    #[test]
    fn what_was_not_answered_may_have_been_done_at_any_time_or_not() {
        let lost = (1, 0, Step::Write(Some(1)));
        assert!(is_explained(&[lost]));
        assert!(is_explained(&[lost, (2, 3, Step::Read(None)), (4, 5, Step::Read(Some(1)))]));
        let twice = [lost, (2, 3, Step::Read(Some(1))), (4, 5, Step::Read(None))];
        assert!(!is_explained(&twice), "once done it is done");
        assert!(!is_explained(&[(3, 0, Step::Write(Some(1))), (1, 2, Step::Read(Some(1)))]));
    }

    #[test]
    fn of_two_that_ask_for_the_same_state_one_is_refused() {
        let make = |value| Step::WriteIf(Condition::Absent, Some(value));
        let refused = Step::Unless(Condition::Absent);
        assert!(is_explained(&[(1, 4, make(1)), (2, 3, refused)]));
        assert!(!is_explained(&[(1, 4, make(1)), (2, 3, make(2))]));
        assert!(!is_explained(&[(1, 4, refused), (2, 3, Step::Remove)]));
        let gone = (5, 6, Step::Remove);
        assert!(is_explained(&[(1, 7, make(1)), (2, 8, make(2)), gone]));
        assert!(!is_explained(&[(1, 4, make(1)), (5, 6, Step::Remove), (7, 8, Step::Remove)]));
    }

    #[test]
    fn a_manifest_that_goes_takes_the_tags_on_it_and_no_others() {
        let tagged = (1, 2, Step::Write(Some(1)));
        let deleted = |manifest| (3, 4, Step::RemoveIf(manifest));
        assert!(is_explained(&[tagged, deleted(1), (5, 6, Step::Read(None))]));
        assert!(!is_explained(&[tagged, deleted(1), (5, 6, Step::Read(Some(1)))]));
        assert!(!is_explained(&[tagged, deleted(2), (5, 6, Step::Read(None))]));
        // Pushed again meanwhile, it may stay.
        let again = [tagged, deleted(1), (3, 5, Step::Write(Some(1))), (6, 7, Step::Read(Some(1)))];
        assert!(is_explained(&again));
    }
}
