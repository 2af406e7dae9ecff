//! [`Recording`]: all effects of requests on a disk, and when they were asked for and acknowledged.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};

use registry_store::error::{Error, Result};
use registry_store::store::Store;
use tokio::runtime::{Builder, Runtime};

use super::check::{ROOT, open};
use super::disk::effect::Effect;
use super::disk::tree::Tree;
use super::disk::{Disk, Fault, Refused, SimulatedSystem};
use super::step::{Sessions, Step};
use super::world::{Asked, World};

/// What is done, and on what.
#[derive(Clone, Copy)]
pub(crate) struct Scenario {
    /// Requests that were acknowledged before.
    pub(crate) before: &'static [Step],
    /// The request that is watched.
    pub(crate) step: Step,
    /// What the filesystem does not know.
    pub(crate) refused: Refused,
    /// A promise that it breaks.
    pub(crate) fault: Fault,
    /// Does what is watched by system calls of its own, in an order that is wrong.
    pub(crate) instead: Option<Instead>,
}

/// System calls in the place of a store's.
pub(crate) type Instead = fn(&SimulatedSystem, &Sessions) -> io::Result<()>;

impl Scenario {
    /// On a filesystem that knows and keeps everything.
    pub(crate) const fn new(before: &'static [Step], step: Step) -> Self {
        let refused = Refused { unnamed: false, links: false, rename_new: false, boot: false };
        Self { before, step, refused, fault: Fault::None, instead: None }
    }
}

/// A request, when it was asked, and when it was acknowledged, in effects since the beginning.
#[derive(Clone, Copy, Debug)]
struct Span {
    step: Step,
    asked: usize,
    acknowledged: Option<usize>,
}

/// What requests did to a disk.
pub(crate) struct Recording {
    /// What there was for certain before.
    pub(crate) base: World,
    /// Sessions that were begun.
    pub(crate) sessions: Sessions,
    /// All effects since the disk was empty.
    pub(crate) log: Vec<Effect>,
    /// How many of them there were before.
    pub(crate) began: usize,
    spans: Vec<Span>,
    /// Answers that a sound storage never gives.
    pub(crate) faults: Vec<String>,
}

impl Recording {
    /// Does the requests, each after the other.
    pub(crate) fn of(scenario: &Scenario) -> Self {
        Self::with(scenario, None).expect("nothing has to come first")
    }

    /// Does them, and another process's request before the call that follows so many others of the watched one;
    /// `None` if that one makes no such call.
    pub(crate) fn beside(scenario: &Scenario, other: Step, after: usize) -> Option<Self> {
        Self::with(scenario, Some((other, after)))
    }

    /// Kills all processes after so many effects, and does a request in another process, before the machine is started anew.
    pub(crate) fn killed(&self, effects: usize, then: Step, scenario: &Scenario) -> Self {
        let before = &self.log[..effects];
        let disk = Disk::new(self.tree(effects), "first", scenario.refused);
        disk.after_numbers_of(before);
        disk.break_promise(scenario.fault);
        let (runtime, store) = (runtime(), open(&disk, 1));
        let (result, mut span) = match scenario.instead {
            Some(instead) => done_instead(&disk, then, instead, &self.sessions),
            None => watched(&runtime, &disk, &store, then, &self.sessions),
        };
        drop(store);
        drop(runtime);
        span.asked += effects;
        span.acknowledged = span.acknowledged.map(|at| at + effects);
        let spans = self.spans.iter().filter(|span| span.asked <= effects);
        let cut = |at: Option<usize>| at.filter(|at| *at <= effects);
        let spans = spans.map(|span| Span { acknowledged: cut(span.acknowledged), ..*span });
        Self {
            base: self.base.clone(),
            sessions: self.sessions.clone(),
            log: [before, &disk.log()].concat(),
            began: effects,
            spans: spans.chain([span]).collect(),
            faults: storage_fault(then, &result).into_iter().collect(),
        }
    }

    /// The numbers of effects of the last request, from none of them to all.
    pub(crate) fn cuts(&self) -> std::ops::RangeInclusive<usize> {
        self.began..=self.log.len()
    }

    /// Those of them at which a file is an object and a session's bytes.
    pub(crate) fn promoted(&self) -> Vec<usize> {
        let is_promoted = |effects: &usize| {
            let tree = self.tree(*effects);
            let paths = tree.paths();
            paths.iter().any(|(path, inode)| path.ends_with("data") && tree.links(*inode) == 2)
        };
        self.cuts().filter(is_promoted).collect()
    }

    /// What everybody sees after so many effects.
    pub(crate) fn tree(&self, effects: usize) -> Tree {
        let mut tree = empty();
        self.log[..effects].iter().for_each(|effect| tree.apply(effect));
        tree.reachable()
    }

    /// What had been asked, and what of it acknowledged, after so many effects.
    pub(crate) fn asked(&self, effects: usize) -> Vec<Asked> {
        let begun = self.spans.iter().filter(|span| span.asked <= effects);
        let asked = begun.map(|span| Asked {
            step: span.step,
            is_acknowledged: span.acknowledged.is_some_and(|at| at <= effects),
        });
        asked.collect()
    }

    /// The numbers of effects at which something was acknowledged, or everything had ended.
    pub(crate) fn turns(&self) -> Vec<usize> {
        let acknowledged = self.spans.iter().filter_map(|span| span.acknowledged);
        acknowledged.chain([self.log.len()]).collect()
    }

    fn with(scenario: &Scenario, other: Option<(Step, usize)>) -> Option<Self> {
        let disk = Disk::new(empty(), "first", scenario.refused);
        disk.break_promise(scenario.fault);
        let sessions = Arc::new(Sessions::default());
        let (runtime, store) = (runtime(), open(&disk, 0));
        let mut base = World::default();
        for step in scenario.before {
            runtime.block_on(step.run(&store, &sessions)).unwrap();
            base = base.after(*step);
        }
        runtime.block_on(store.finish_detached());

        let began = disk.effects();
        let calls = disk.calls(0);
        let beside = other
            .map(|(step, after)| Beside::start(&disk, step, Arc::clone(&sessions), calls + after));
        let (result, span) = match scenario.instead {
            Some(instead) => done_instead(&disk, scenario.step, instead, &sessions),
            None => watched(&runtime, &disk, &store, scenario.step, &sessions),
        };
        let mut faults: Vec<String> = storage_fault(scenario.step, &result).into_iter().collect();
        let mut spans = vec![span];
        if let Some(beside) = beside {
            let (result, span) = beside.end()?;
            faults.extend(storage_fault(span.step, &result));
            spans.push(span);
        }
        drop(store);
        drop(runtime);
        let log = disk.log();
        let sessions = Arc::into_inner(sessions).expect("all who had it have ended");
        Some(Self { base, sessions, log, began, spans, faults })
    }
}

/// An empty root on an otherwise empty disk, for certain.
pub(crate) fn empty() -> Tree {
    let mut tree = Tree::default();
    let place = tree.place(ROOT.as_ref()).unwrap();
    tree.apply(&Effect::Name { place, inode: 1, makes: Some(true) });
    tree
}

/// Runs one task at a time; calls to the disk on threads of their own.
pub(crate) fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().build().unwrap()
}

/// Makes a request to its end, with what goes on when it was answered.
fn watched(
    runtime: &Runtime,
    disk: &Disk,
    store: &Store,
    step: Step,
    sessions: &Sessions,
) -> (Result<()>, Span) {
    let asked = disk.effects();
    let result = runtime.block_on(step.run(store, sessions));
    let acknowledged = result.is_ok().then(|| disk.effects());
    runtime.block_on(store.finish_detached());
    (result, Span { step, asked, acknowledged })
}

fn done_instead(
    disk: &Disk,
    step: Step,
    instead: Instead,
    sessions: &Sessions,
) -> (Result<()>, Span) {
    let asked = disk.effects();
    instead(&disk.system(0), sessions).unwrap();
    (Ok(()), Span { step, asked, acknowledged: Some(disk.effects()) })
}

fn storage_fault(step: Step, result: &Result<()>) -> Option<String> {
    match result {
        Err(error @ Error::Storage(_)) => Some(format!("{step:?}: {error}")),
        _ => None,
    }
}

/// Another process, whose request comes before a certain call of the watched one: that waits until the other has
/// ended, or has to wait for a lock itself.
struct Beside {
    stage: Arc<Stage>,
    thread: JoinHandle<Option<(Result<()>, Span)>>,
}

#[derive(Default)]
struct Stage {
    phase: Mutex<Phase>,
    changed: Condvar,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Waits,
    Runs,
    IsBlocked,
    Ended,
    /// Its turn never came.
    Dismissed,
}

impl Stage {
    fn enter(&self, phase: Phase) {
        *self.phase.lock().unwrap() = phase;
        self.changed.notify_all();
    }

    fn leave(&self, phase: Phase) -> MutexGuard<'_, Phase> {
        let held = self.phase.lock().unwrap();
        self.changed.wait_while(held, |held| *held == phase).unwrap()
    }
}

impl Beside {
    fn start(disk: &Disk, step: Step, sessions: Arc<Sessions>, after: usize) -> Self {
        let stage = Arc::new(Stage::default());
        let calls = Arc::clone(&stage);
        let has_its_turn = move || {
            calls.enter(Phase::Runs);
            drop(calls.leave(Phase::Runs));
        };
        disk.before_call(0, after, Box::new(has_its_turn));
        let waits = Arc::clone(&stage);
        disk.on_waiting(Arc::new(move |process| {
            if process == 1 {
                waits.enter(Phase::IsBlocked);
            }
        }));
        let (disk, acts) = (disk.clone(), Arc::clone(&stage));
        let thread = thread::spawn(move || {
            let (runtime, store) = (runtime(), open(&disk, 1));
            if *acts.leave(Phase::Waits) == Phase::Dismissed {
                return None;
            }
            let outcome = watched(&runtime, &disk, &store, step, &sessions);
            drop(store);
            drop(runtime);
            acts.enter(Phase::Ended);
            Some(outcome)
        });
        Self { stage, thread }
    }

    fn end(self) -> Option<(Result<()>, Span)> {
        let mut phase = self.stage.phase.lock().unwrap();
        if *phase == Phase::Waits {
            *phase = Phase::Dismissed;
        }
        drop(phase);
        self.stage.changed.notify_all();
        self.thread.join().expect("a request does not panic")
    }
}
