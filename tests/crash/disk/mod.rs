//! [`Disk`]: a filesystem in memory that writes down what every system call does.

pub(crate) mod crash;
pub(crate) mod effect;
mod system;
pub(crate) mod tree;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use registry_store::backend::LockMode;
use rustix::io::Errno;

use effect::{Effect, Inode};
use tree::Tree;

pub(crate) use system::SimulatedSystem;

/// A filesystem in memory. Clones are of the same one.
#[derive(Clone)]
pub(crate) struct Disk(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// A lock was let go of, or somebody waits for one.
    locks: Condvar,
}

/// What happens to a system call before it is made.
pub(crate) type Before = Box<dyn FnOnce() + Send>;

struct State {
    tree: Tree,
    log: Vec<Effect>,
    refused: Refused,
    fault: Fault,
    boot: String,
    next_inode: Inode,
    next_name: u64,
    /// When each file or directory was last written, in calls since the beginning.
    written: BTreeMap<Inode, u64>,
    time: u64,
    locks: BTreeMap<Inode, Vec<(u64, LockMode)>>,
    next_holder: u64,
    /// System calls of each process.
    calls: BTreeMap<Process, usize>,
    /// What is to happen before a call of a process.
    before: Option<(Process, usize, Before)>,
    /// Told when a process has to wait for a lock.
    waits: Option<Arc<dyn Fn(Process) + Send + Sync>>,
}

/// A process that uses the disk.
pub(crate) type Process = usize;

/// What this filesystem, or the system that has it, does not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a thing of its own, and all go together"
)]
pub(crate) struct Refused {
    /// Files without a name.
    pub(crate) unnamed: bool,
    /// More than one name for a file.
    pub(crate) links: bool,
    /// A rename that does not replace.
    pub(crate) rename_new: bool,
    /// Which boot it is.
    pub(crate) boot: bool,
}

/// A promise that the system does not keep, to show that it is relied upon.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It keeps all.
    #[default]
    None,
    /// The sync of a file does nothing.
    NoFileSync,
    /// The sync of a directory does nothing.
    NoDirectorySync,
    /// The sync of a directory does nothing where the directory holds directories: as if new directories were
    /// not synced in those above them.
    NoParentSync,
    /// The sync of a directory does nothing for any process but the first: as if nobody settled what another named.
    NoDirectorySyncBeside,
    /// The sync of the whole filesystem does nothing: as if nobody made sure of what another had taken away.
    NoFilesystemSync,
}

impl Disk {
    /// A disk with this on it, after the machine was started for the `boot`th time.
    pub(crate) fn new(tree: Tree, boot: &str, refused: Refused) -> Self {
        // No name is given twice, whichever disk gave the first.
        static DISKS: AtomicU64 = AtomicU64::new(0);
        let used = tree.paths().into_iter().map(|(_, inode)| inode).max().unwrap_or(0);
        let state = State {
            tree,
            log: Vec::new(),
            refused,
            fault: Fault::None,
            boot: boot.to_owned(),
            next_inode: used + 1,
            next_name: DISKS.fetch_add(1, Ordering::Relaxed) << 32,
            written: BTreeMap::new(),
            time: 0,
            locks: BTreeMap::new(),
            next_holder: 0,
            calls: BTreeMap::new(),
            before: None,
            waits: None,
        };
        Self(Arc::new(Shared { state: Mutex::new(state), locks: Condvar::new() }))
    }

    /// Gives no number to what is made from now on that something has had in a log.
    pub(crate) fn after_numbers_of(&self, log: &[Effect]) {
        let mut state = self.state();
        let used = log.iter().filter_map(Effect::made).max().unwrap_or(0);
        state.next_inode = state.next_inode.max(used + 1);
    }

    /// The system calls of a process on it.
    pub(crate) fn system(&self, process: Process) -> SimulatedSystem {
        SimulatedSystem::new(self.clone(), process)
    }

    /// Breaks a promise from now on.
    pub(crate) fn break_promise(&self, fault: Fault) {
        self.state().fault = fault;
    }

    /// What everybody sees on it.
    pub(crate) fn tree(&self) -> Tree {
        self.state().tree.clone()
    }

    /// Names the time since the machine was started.
    pub(crate) fn boot(&self) -> String {
        self.state().boot.clone()
    }

    /// All effects so far, in order.
    pub(crate) fn log(&self) -> Vec<Effect> {
        self.state().log.clone()
    }

    /// How many effects there were so far.
    pub(crate) fn effects(&self) -> usize {
        self.state().log.len()
    }

    /// How many system calls a process has made.
    pub(crate) fn calls(&self, process: Process) -> usize {
        self.state().calls.get(&process).copied().unwrap_or(0)
    }

    /// Lets something happen before the call of a process that follows so many others.
    pub(crate) fn before_call(&self, process: Process, after: usize, then: Before) {
        self.state().before = Some((process, after, then));
    }

    /// Tells `waits` of every process that has to wait for a lock.
    pub(crate) fn on_waiting(&self, waits: Arc<dyn Fn(Process) + Send + Sync>) {
        self.state().waits = Some(waits);
    }

    /// Counts a call, and lets happen what is to happen before it.
    fn enter(&self, process: Process) -> MutexGuard<'_, State> {
        let mut state = self.state();
        let calls = state.calls.entry(process).or_default();
        *calls += 1;
        let calls = *calls;
        let due = state.before.take_if(|(whose, after, _)| *whose == process && calls > *after);
        if let Some((_, _, then)) = due {
            drop(state);
            then();
            return self.state();
        }
        state
    }

    /// Waits for a lock, and tells of it if it has to.
    fn lock(&self, process: Process, inode: Inode, holder: u64, mode: LockMode) {
        let mut state = self.enter(process);
        while !state.is_free(inode, mode) {
            if let Some(waits) = state.waits.clone() {
                drop(state);
                waits(process);
                state = self.state();
                if state.is_free(inode, mode) {
                    break;
                }
            }
            state = self.0.locks.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.locks.entry(inode).or_default().push((holder, mode));
    }

    fn unlock(&self, inode: Inode, holder: u64) {
        if let Some(holders) = self.state().locks.get_mut(&inode) {
            holders.retain(|(other, _)| *other != holder);
        }
        self.0.locks.notify_all();
    }

    /// The state is whole after every statement, so a panic elsewhere has not broken it.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn do_it(&mut self, effect: Effect) {
        self.time += 1;
        self.tree.apply(&effect);
        match &effect {
            Effect::Make { inode, .. }
            | Effect::Write { inode, .. }
            | Effect::Truncate { inode, .. }
            | Effect::Name { makes: Some(_), inode, .. } => {
                self.written.insert(*inode, self.time);
            }
            _ => {}
        }
        for place in effect.places() {
            self.written.insert(place.directory, self.time);
        }
        self.log.push(effect);
    }

    fn new_inode(&mut self) -> Inode {
        self.next_inode += 1;
        self.next_inode
    }

    fn is_free(&self, inode: Inode, mode: LockMode) -> bool {
        let holders = self.locks.get(&inode).map_or(&[][..], Vec::as_slice);
        match mode {
            LockMode::Shared => holders.iter().all(|(_, held)| *held == LockMode::Shared),
            LockMode::Exclusive | LockMode::ToDelete => holders.is_empty(),
        }
    }
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Disk")
    }
}

/// The error of a system call.
fn failed<T>(error: Errno) -> std::io::Result<T> {
    Err(error.into())
}
