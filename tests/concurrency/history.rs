//! [`History`]: what was asked for, when, and what was answered, taken apart into what it means for each thing.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::calls::{Asks, Call, MANIFESTS, Outcome, TAGS};
use crate::order::{Condition, Event, Step, explain};

/// All calls of all clients. Times are of one clock, by which an answer before a call is before it for everybody.
#[derive(Debug)]
pub(crate) struct History {
    began: Instant,
    events: Mutex<BTreeMap<Thing, Vec<Event>>>,
}

/// Something that is there or not, or points somewhere, whatever becomes of the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Thing {
    Tag { repository: usize, tag: usize },
    Manifest { repository: usize, manifest: usize },
    Blob { repository: usize, blob: usize },
}

/// What a thing is when it is just there.
const THERE: Option<usize> = Some(0);

impl History {
    pub(crate) fn new() -> Self {
        Self { began: Instant::now(), events: Mutex::default() }
    }

    /// Now, in nanoseconds.
    pub(crate) fn now(&self) -> u64 {
        self.began.elapsed().as_nanos().try_into().expect("a test does not run for centuries")
    }

    /// How many steps there are.
    pub(crate) fn len(&self) -> usize {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).values().map(Vec::len).sum()
    }

    /// Keeps a call and its answer.
    pub(crate) fn add(&self, call: &Call, invoked: u64, outcome: &Outcome) {
        let returned = (*outcome != Outcome::Unknown).then(|| self.now());
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        for (thing, step) in steps(call, outcome) {
            // What was only looked at, and not answered, tells nothing.
            if returned.is_some() || step.changes() {
                events.entry(thing).or_default().push(Event { invoked, returned, step });
            }
        }
    }

    /// Is there, for each thing, an order of the calls that explains all answers, and in which no call comes before
    /// another that was answered before it began? If not, tells for which not.
    pub(crate) fn explained(&self) -> Result<(), String> {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        for (thing, events) in events.iter() {
            let explained = match thing {
                Thing::Blob { .. } => explain(&with_shared_deletes(events)),
                Thing::Tag { .. } | Thing::Manifest { .. } => explain(events),
            };
            explained.map_err(|report| format!("{thing:?}: {report}"))?;
        }
        Ok(())
    }
}

/// A delete of a blob takes no lock: of two at the same time both may see it, and both are told that it went. So one
/// that meets another is taken apart into what it saw and what it did. One that meets none has to be one step.
fn with_shared_deletes(events: &[Event]) -> Vec<Event> {
    let meets_another = |event: &Event| {
        let others = events.iter().filter(|other| !std::ptr::eq(*other, event));
        let mut deletes = others.filter(|it| matches!(it.step, Step::Remove | Step::Write(None)));
        deletes.any(|other| event.overlaps(other))
    };
    let taken_apart = |event: &Event| match event.step {
        Step::Remove if meets_another(event) => [Step::Read(THERE), Step::Write(None)]
            .map(|step| Event { step, ..event.clone() })
            .to_vec(),
        _ => vec![event.clone()],
    };
    events.iter().flat_map(taken_apart).collect()
}

/// What a call means for each thing that it has to do with.
fn steps(call: &Call, outcome: &Outcome) -> Vec<(Thing, Step)> {
    let known = *outcome != Outcome::Unknown;
    match *call {
        Call::Put { repository, manifest, tag, asks } => {
            let pushed = (Thing::Manifest { repository, manifest }, Step::Write(THERE));
            let tagged = tag.map(|tag| {
                let step = match asks {
                    Asks::Nothing => Step::Write(Some(manifest)),
                    Asks::Absent => Step::WriteIf(Condition::Absent, Some(manifest)),
                    Asks::Is(expected) => Step::WriteIf(Condition::Is(expected), Some(manifest)),
                };
                (Thing::Tag { repository, tag }, step)
            });
            match (outcome, tagged) {
                (Outcome::Refused, Some((thing, Step::WriteIf(condition, _)))) => {
                    vec![(thing, Step::Unless(condition))]
                }
                (_, tagged) => [Some(pushed), tagged].into_iter().flatten().collect(),
            }
        }
        Call::DeleteTag { repository, tag, asks } => {
            let thing = Thing::Tag { repository, tag };
            let step = match (outcome, asks) {
                (Outcome::Absent, _) => Step::Read(None),
                (Outcome::Refused, Asks::Is(expected)) => {
                    // One that is not there is `Absent`.
                    return vec![(thing, Step::Unless(Condition::Is(expected)))];
                }
                (_, Asks::Is(expected)) => Step::WriteIf(Condition::Is(expected), None),
                (Outcome::Done, _) => Step::Remove,
                _ => Step::Write(None),
            };
            vec![(thing, step)]
        }
        Call::DeleteManifest { repository, manifest } => {
            let thing = Thing::Manifest { repository, manifest };
            if *outcome == Outcome::Absent {
                return vec![(thing, Step::Read(None))];
            }
            let own = if known { Step::Remove } else { Step::Write(None) };
            let tag = |tag| (Thing::Tag { repository, tag }, Step::RemoveIf(manifest));
            (0..TAGS).map(tag).chain([(thing, own)]).collect()
        }
        Call::ReadTag { repository, tag } => {
            vec![(Thing::Tag { repository, tag }, Step::Read(outcome.found()))]
        }
        Call::ReadManifest { repository, manifest } => {
            let found = outcome.found().map(|_| 0);
            vec![(Thing::Manifest { repository, manifest }, Step::Read(found))]
        }
        Call::ListTags { repository } => {
            let listed = outcome.listed();
            let is_there = |tag| Step::ReadPresence(listed.contains(&tag));
            (0..TAGS).map(|tag| (Thing::Tag { repository, tag }, is_there(tag))).collect()
        }
        Call::PutBlob { repository, blob } => {
            vec![(Thing::Blob { repository, blob }, Step::Write(THERE))]
        }
        Call::Mount { repository, from, blob } => {
            let (to, from) =
                (Thing::Blob { repository, blob }, Thing::Blob { repository: from, blob });
            match outcome {
                Outcome::Absent => vec![(from, Step::Read(None))],
                Outcome::Done => vec![(from, Step::Read(THERE)), (to, Step::Write(THERE))],
                _ => vec![(to, Step::Write(THERE))],
            }
        }
        Call::DeleteBlob { repository, blob } => {
            let thing = Thing::Blob { repository, blob };
            match outcome {
                Outcome::Absent => vec![(thing, Step::Read(None))],
                Outcome::Done => vec![(thing, Step::Remove)],
                _ => vec![(thing, Step::Write(None))],
            }
        }
        Call::ReadBlob { repository, blob } => {
            let found = outcome.found().map(|_| 0);
            vec![(Thing::Blob { repository, blob }, Step::Read(found))]
        }
    }
}

const _: () = assert!(MANIFESTS > 1 && TAGS > 1, "with one of them nothing meets");

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether it is explained that these deletes, by when they were called and answered, all found one blob that was
    /// put before, and that it is there, or not, at last.
    fn is_explained(deletes: &[(u64, u64)], is_there: bool) -> bool {
        let event = |(invoked, returned), step| Event { invoked, returned: Some(returned), step };
        let put = event((1, 2), Step::Write(THERE));
        let deletes = deletes.iter().map(|&times| event(times, Step::Remove));
        let last = event((90, 91), Step::Read(THERE.filter(|_| is_there)));
        let events: Vec<Event> = [put].into_iter().chain(deletes).chain([last]).collect();
        explain(&with_shared_deletes(&events)).is_ok()
    }

    #[test]
    fn of_deletes_of_a_blob_only_those_at_the_same_time_may_both_find_it() {
        assert!(is_explained(&[(3, 4)], false));
        assert!(!is_explained(&[(3, 4)], true));
        assert!(is_explained(&[(3, 6), (4, 5)], false));
        assert!(!is_explained(&[(3, 6), (4, 5)], true));
        assert!(!is_explained(&[(3, 4), (5, 6)], false));
    }
}
