//! [`explore`]: every crash of a recording, and what a store makes of each.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::ops::AddAssign;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{fmt, thread};

use super::check::{Crash, Observed, Wreck};
use super::disk::Refused;
use super::disk::crash::Medium;
use super::disk::tree::Tree;
use super::record::{Recording, empty, runtime};
use super::world::Asked;

/// What was explored, and what was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    /// Requests that were watched, each with what it met.
    pub(crate) operations: usize,
    /// Effects after each of which it was stopped.
    pub(crate) effects: usize,
    /// What may have been left, each looked at, and gone on with.
    pub(crate) states: usize,
    /// What was wrong.
    pub(crate) losses: Vec<String>,
}

impl AddAssign for Report {
    fn add_assign(&mut self, other: Self) {
        self.operations += other.operations;
        self.effects += other.effects;
        self.states += other.states;
        self.losses.extend(other.losses);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { operations, effects, states, losses } = self;
        write!(f, "{operations} operations, {effects} effects, {states} states")?;
        write!(f, ", {} losses", losses.len())
    }
}

/// What was explored already: states that are alike are looked at once.
#[derive(Default)]
pub(crate) struct Seen {
    left: HashSet<u64>,
    observed: Observed,
}

/// Where a recording is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cuts {
    /// After each effect.
    All,
    /// Where something was acknowledged, and at the end.
    Turns,
    /// After each effect, but only the [extremes](Medium::extremes): where little is ever synced, all states together
    /// are more than can be looked at.
    Extremes,
}

/// Is all to be explored? Set `CRASH=full`. Else what takes a minute.
pub(crate) fn is_full() -> bool {
    std::env::var("CRASH").is_ok_and(|form| form == "full")
}

/// One state that a crash may leave.
struct Left {
    tree: Tree,
    crash: Crash,
    asked: Vec<Asked>,
    effects: usize,
}

/// Cuts a recording, and looks at every state that a kill or a loss of power there may leave.
pub(crate) fn explore(
    recording: &Recording,
    refused: Refused,
    cuts: Cuts,
    seen: &mut Seen,
) -> Report {
    let left = all_left(recording, cuts, seen);
    let losses = Mutex::new(recording.faults.clone());
    let next = AtomicUsize::new(0);
    let look = || {
        let runtime = runtime();
        while let Some(left) = left.get(next.fetch_add(1, Ordering::Relaxed)) {
            let wreck = Wreck {
                tree: left.tree.clone(),
                crash: left.crash,
                base: &recording.base,
                asked: left.asked.clone(),
                sessions: &recording.sessions,
                refused,
                observed: &seen.observed,
            };
            let faults = runtime.block_on(wreck.faults());
            if !faults.is_empty() {
                losses.lock().unwrap().push(left.told(&faults));
            }
        }
    };
    thread::scope(|scope| {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        for _ in 1..cores {
            scope.spawn(look);
        }
        look();
    });
    let effects = recording.log.len() - recording.began;
    let losses = losses.into_inner().unwrap();
    Report { operations: 1, effects, states: left.len(), losses }
}

fn all_left(recording: &Recording, cuts: Cuts, seen: &mut Seen) -> Vec<Left> {
    let turns = recording.turns();
    let (mut medium, mut tree) = (Medium::of(&empty()), empty());
    let mut found = Vec::new();
    for effects in 0..=recording.log.len() {
        if effects >= recording.began && (cuts != Cuts::Turns || turns.contains(&effects)) {
            let asked = recording.asked(effects);
            let mut add = |tree: Tree, crash| {
                if seen.is_new(&tree, crash, &asked) {
                    found.push(Left { tree, crash, asked: asked.clone(), effects });
                }
            };
            add(tree.reachable(), Crash::Kill);
            let states = match cuts {
                Cuts::Extremes => medium.extremes().into(),
                Cuts::All | Cuts::Turns => medium.states(),
            };
            states.into_iter().for_each(|tree| add(tree, Crash::Power));
        }
        if let Some(effect) = recording.log.get(effects) {
            tree.apply(effect);
            medium.take(effect);
        }
    }
    found
}

impl Seen {
    fn is_new(&mut self, tree: &Tree, crash: Crash, asked: &[Asked]) -> bool {
        let mut hasher = DefaultHasher::new();
        (tree.to_string(), crash, format!("{asked:?}")).hash(&mut hasher);
        self.left.insert(hasher.finish())
    }
}

impl Left {
    fn told(&self, faults: &[String]) -> String {
        let Self { tree, crash, asked, effects } = self;
        let faults = faults.join("\n  ");
        format!("{crash:?} after {effects} effects of {asked:?}:\n  {faults}\nleft was:\n{tree}")
    }
}
