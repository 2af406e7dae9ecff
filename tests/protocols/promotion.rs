//! Does a blob get its name, on a filesystem, so that no good one is ever lost, whoever else names it?
//!
//! **What it follows**: `backend/fs/promote.rs`, `naming.rs`, `put.rs`, `durable.rs`, `remove.rs` (quarantine), of
//! `staged.rs` the look at how many names a file has, and of `blobs.rs` `commit`, `write_small` and `put_aside`.
//!
//! **An action** is one system call on what is shared: the blob's name, its directory, the files that may have the
//! name. A look and the choice that follows from it alone are one.
//!
//! **At any time** a process may die, with all it remembers; the power may be cut, and then the name is any of those it
//! had since its directory was last synced, a directory whose own name was not synced may be gone, and a file whose
//! bytes were not synced is short; once, the sync of a file may fail, after which the kernel takes it for synced; and
//! whoever was cut off may push again, or go on with the session that is still there.
//!
//! **Left out.** How a file gets its own temporary name, and the copy that is made where the filesystem cannot link:
//! what has the name then is another file with the same bytes, which nothing else knows. The levels of directories above
//! the first, which are treated as that. Foreign programs that delete, and bits that rot after a push: no protocol
//! protects from either. The layer's link comes after all that is here, and is settled in the same way. A failed sync
//! is forgotten with the process: only it never vouches for that file again, so where a sync may fail no process dies
//! and all are one.

use stateright::{Model, Property};

use crate::check::{holds, is_caught, is_large};

const IS_THERE: &str = "a blob that was acknowledged is there";
const IS_GOOD: &str = "a blob that was acknowledged is good, whatever was there before";
const IS_WHOLE: &str = "what we name is whole";
const STAYS_GOOD: &str = "a good blob gives way to nothing but the same bytes";
const GAVE_WAY: &str = "who replaces a damaged blob replaces no good one";
const IS_LEFT: &str = "quarantine takes no good blob away";
const ENDS: &str = "no push waits for ever";

/// How files are named without overwriting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// By a link, or a rename that does not replace: one call.
    Atomic,
    /// By a look and a rename, under a lock of the process.
    Checked,
}

/// What is broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Broken {
    NamesBeforeTheSync,
    KeepsWithoutSettling,
    SettlesTheFileAlone,
    TrustsDirectoriesThatItFinds,
    KeepsWhateverTheSize,
    ReplacesWhateverTheSize,
    ForgetsFailedSyncs,
    AppendsToWhatHasAName,
    PutsAsideWithoutTheLock,
    PutsAsideWithoutAnotherLook,
    ReplacesWithoutAnotherLook,
    KeepsASmallOneUnread,
    ReadsWithoutSettlingAgain,
    OverwritesASmallOneWithoutAnotherLook,
}

/// Who pushes.
#[derive(Clone, Copy, Debug)]
struct Pusher {
    process: usize,
    /// Through `write_small`, as manifests are.
    is_small: bool,
}

/// What has the blob's name at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum First {
    Nothing,
    /// Good, and neither its bytes nor its name are durable: another program has just written it.
    Unsettled,
    /// Durable, of another size.
    Short,
    /// Durable, other bytes of the same size.
    Altered,
}

#[derive(Clone, Debug)]
struct Promotion {
    way: Way,
    pushers: Vec<Pusher>,
    first: Vec<First>,
    /// Somebody may find the blob damaged and put it aside.
    judges: bool,
    power_cuts: u8,
    deaths: u8,
    failed_syncs: u8,
    /// How often each may begin anew.
    again: u8,
    broken: Option<Broken>,
}

/// A file, by its number: that which was there at first, or that of a push.
type File = u8;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Content {
    Good,
    Short,
    Altered,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Medium {
    Unsynced,
    Synced,
    /// A sync failed; those that come after it succeed and do nothing.
    Lost,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Kept {
    content: Content,
    medium: Medium,
}

/// The directory of the blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Directory {
    is_there: bool,
    is_durable: bool,
    /// How often it was made: another one is not taken for this.
    made: u8,
}

/// What a process remembers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Memory {
    blob: Option<File>,
    directory: Option<u8>,
    doubtful: Option<File>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum At {
    Start,
    Sync,
    MakeDirectory,
    Name,
    /// Nothing was there under the lock of the process; the rename comes next.
    Rename,
    Look,
    /// Something damaged was there: the lock of who replaces comes next, and all from the name on once more.
    LockToReplace,
    Replace,
    SettleLook,
    SettleSync(File),
    /// The directories are synced, the upper one first; what is remembered then is this file, and the directory as it
    /// was when it was looked at.
    SyncAbove(File),
    SyncDirectory(File, Option<u8>),
    /// A small blob that was kept is read.
    Compare,
    Lock,
    Link,
    Acknowledged,
    Failed,
    Dead,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Push {
    at: At,
    file: File,
    made_directory: bool,
    /// Under the lock of who replaces.
    replaces: bool,
    was_kept: bool,
    was_compared: bool,
    /// In `write_small`: alone under the lock, to overwrite.
    overwrites: bool,
    meetings: u8,
    again: u8,
    /// A request came for the session that its process left behind.
    was_gone_on_with: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Judge {
    Idle,
    Judged(File),
    Locked(File),
    Looked,
    Moved,
    Synced,
    Done,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    /// What has the blob's name.
    name: Option<File>,
    /// What may have it after the power was cut: bit 0 for nothing, bit n + 1 for file n.
    on_medium: u16,
    directory: Directory,
    files: Vec<Kept>,
    pushes: Vec<Push>,
    memory: Vec<Memory>,
    judge: Judge,
    power_cuts: u8,
    deaths: u8,
    failed_syncs: u8,
    /// What must not happen, and did.
    went_bad: bool,
    gave_way: bool,
    took_a_good_one: bool,
    /// What is to happen sometimes.
    healed: bool,
    put_aside: bool,
}

#[derive(Clone, Debug, PartialEq)]
enum Action {
    Goes(usize, At),
    SyncFails(usize),
    Judges(Judge),
    Dies(usize),
    PowerIsCut(Option<File>),
    PushesAgain(usize),
    GoesOnWithTheSession(usize),
}

const fn bit(name: Option<File>) -> u16 {
    match name {
        None => 1,
        Some(file) => 1 << (file + 1),
    }
}

impl State {
    fn content(&self, file: File) -> Content {
        self.files[usize::from(file)].content
    }

    fn is_good(&self, name: Option<File>) -> bool {
        name.is_some_and(|file| self.content(file) == Content::Good)
    }

    fn is_named(&mut self, file: File) {
        self.name = Some(file);
        self.on_medium |= bit(self.name);
    }

    fn sync(&mut self, file: File) {
        let medium = &mut self.files[usize::from(file)].medium;
        if *medium == Medium::Unsynced {
            *medium = Medium::Synced;
        }
    }

    fn sync_directory(&mut self) {
        self.on_medium = bit(self.name);
    }

    fn make_directory(&mut self) -> bool {
        if self.directory.is_there {
            return false;
        }
        let made = self.directory.made + 1;
        self.directory = Directory { is_there: true, is_durable: false, made };
        self.on_medium = bit(None);
        true
    }

    fn is_acknowledged(&self) -> bool {
        self.pushes.iter().any(|push| push.at == At::Acknowledged)
    }
}

impl Promotion {
    /// Has it the lock of this 256th of the digests: shared, or alone if it overwrites?
    fn holds_lock(&self, state: &State, who: usize) -> bool {
        let push = &state.pushes[who];
        match push.at {
            At::Start | At::Lock | At::Link | At::Acknowledged | At::Failed | At::Dead => false,
            _ => !self.pushers[who].is_small || push.overwrites,
        }
    }

    /// Has it to wait for that lock?
    fn waits_for_lock(&self, state: &State, who: usize) -> bool {
        let is_put_aside =
            matches!(state.judge, Judge::Locked(_) | Judge::Looked | Judge::Moved | Judge::Synced)
                && self.broken != Some(Broken::PutsAsideWithoutTheLock);
        let is_shared = self.broken == Some(Broken::OverwritesASmallOneWithoutAnotherLook);
        let is_small = self.pushers[who].is_small;
        let is_held =
            |other| self.holds_lock(state, other) && (is_small || state.pushes[other].overwrites);
        is_put_aside || !is_shared && (0..state.pushes.len()).any(is_held)
    }

    /// Has another the lock of who replaces?
    fn is_replaced(&self, state: &State) -> bool {
        (0..state.pushes.len())
            .any(|other| state.pushes[other].replaces && self.holds_lock(state, other))
    }

    /// One call of a push; `None` if it has to wait.
    fn go(&self, state: &mut State, who: usize) -> Option<()> {
        let Pusher { process, is_small } = self.pushers[who];
        let push = state.pushes[who].clone();
        let own = push.file;
        state.pushes[who].at = match push.at {
            At::Start if is_small => At::Sync,
            At::Start | At::Lock if self.waits_for_lock(state, who) => return None,
            At::Start => At::Sync,
            At::Sync => {
                if self.broken != Some(Broken::NamesBeforeTheSync) {
                    state.sync(own);
                }
                At::MakeDirectory
            }
            At::MakeDirectory => {
                state.pushes[who].made_directory |= state.make_directory();
                At::Name
            }
            At::Name | At::Rename | At::Replace if !state.directory.is_there => At::MakeDirectory,
            At::Name if state.name.is_some() => At::Look,
            At::Name if self.way == Way::Checked => {
                let is_held =
                    |(other, of): (&Push, &Pusher)| other.at == At::Rename && of.process == process;
                if state.pushes.iter().zip(&self.pushers).any(is_held) {
                    return None;
                }
                At::Rename
            }
            At::Name => {
                state.is_named(own);
                At::SyncAbove(own)
            }
            At::Rename => {
                state.went_bad |= state.is_good(state.name) && !state.is_good(Some(own));
                state.is_named(own);
                At::SyncAbove(own)
            }
            At::Look => self.look(state, who),
            At::LockToReplace if self.is_replaced(state) => return None,
            At::LockToReplace => {
                state.pushes[who].replaces = true;
                At::Name
            }
            At::Replace => {
                let was_good = state.is_good(state.name);
                state.went_bad |= was_good && !state.is_good(Some(own));
                state.gave_way |= was_good;
                state.healed |= state.name.is_some() && !was_good;
                state.is_named(own);
                At::SyncAbove(own)
            }
            At::SettleLook => match state.name {
                None => self.meets(state, who),
                Some(file) if state.memory[process].blob == Some(file) => self.settled(state, who),
                Some(file) => At::SettleSync(file),
            },
            // What is opened may be another by now.
            At::SettleSync(looked_at) => match state.name {
                None => self.meets(state, who),
                Some(file) if state.memory[process].doubtful == Some(file) => At::Failed,
                Some(file) => {
                    state.sync(file);
                    match self.broken {
                        Some(Broken::SettlesTheFileAlone) => At::Link,
                        _ => At::SyncAbove(looked_at),
                    }
                }
            },
            At::SyncAbove(file) => {
                let seen = state.directory.is_there.then_some(state.directory.made);
                let is_known = !push.made_directory
                    && (state.memory[process].directory == seen
                        || self.broken == Some(Broken::TrustsDirectoriesThatItFinds));
                if seen.is_some() && !is_known {
                    state.directory.is_durable = true;
                }
                At::SyncDirectory(file, seen)
            }
            At::SyncDirectory(file, seen) => {
                if state.directory.is_there {
                    state.sync_directory();
                }
                if seen.is_some() {
                    state.memory[process].directory = seen;
                }
                state.memory[process].blob = Some(file);
                self.settled(state, who)
            }
            // Another may have put it there since it was settled.
            At::Compare if state.is_good(state.name) => match self.broken {
                Some(Broken::ReadsWithoutSettlingAgain) => At::Link,
                _ => {
                    state.pushes[who].was_compared = true;
                    At::SettleLook
                }
            },
            At::Compare if push.overwrites => {
                state.pushes[who].was_compared = true;
                At::Replace
            }
            At::Compare => At::Lock,
            At::Lock => {
                state.pushes[who].overwrites = true;
                match self.broken {
                    Some(Broken::OverwritesASmallOneWithoutAnotherLook) => {
                        state.pushes[who].was_compared = true;
                        At::Replace
                    }
                    _ => At::Name,
                }
            }
            At::Link => At::Acknowledged,
            At::Acknowledged | At::Failed | At::Dead => return None,
        };
        Some(())
    }

    /// What has the name is looked at.
    fn look(&self, state: &mut State, who: usize) -> At {
        let is_small = self.pushers[who].is_small;
        let Some(file) = state.name else { return self.meets(state, who) };
        let is_of_size = state.content(file) != Content::Short;
        let keeps = match self.broken {
            Some(Broken::KeepsWhateverTheSize) => true,
            Some(Broken::ReplacesWhateverTheSize) => false,
            _ => is_of_size || is_small,
        };
        if !keeps {
            let is_alone = state.pushes[who].replaces
                || matches!(self.broken, Some(Broken::ReplacesWithoutAnotherLook));
            return if is_alone { At::Replace } else { At::LockToReplace };
        }
        state.pushes[who].was_kept = true;
        match self.broken {
            Some(Broken::KeepsWithoutSettling) => At::Link,
            _ => At::SettleLook,
        }
    }

    /// What was there is gone: it is tried again, for so long.
    fn meets(&self, state: &mut State, who: usize) -> At {
        let push = &mut state.pushes[who];
        push.was_kept = false;
        push.meetings += 1;
        if push.meetings > 3 { At::Failed } else { At::Name }
    }

    /// The blob is durable, whosever it is.
    fn settled(&self, state: &State, who: usize) -> At {
        let push = &state.pushes[who];
        let is_read = self.pushers[who].is_small && push.was_kept && !push.was_compared;
        match is_read && self.broken != Some(Broken::KeepsASmallOneUnread) {
            true => At::Compare,
            false => At::Link,
        }
    }

    /// One call of who found the blob damaged.
    fn judge(&self, state: &mut State) -> Option<()> {
        let without_lock = self.broken == Some(Broken::PutsAsideWithoutTheLock);
        let without_look = self.broken == Some(Broken::PutsAsideWithoutAnotherLook);
        state.judge = match state.judge {
            Judge::Idle => match state.name {
                Some(file) if !state.is_good(Some(file)) => Judge::Judged(file),
                _ => return None,
            },
            Judge::Judged(file) => {
                let is_held = (0..state.pushes.len()).any(|who| self.holds_lock(state, who));
                if is_held && !without_lock {
                    return None;
                }
                Judge::Locked(file)
            }
            Judge::Locked(file) if without_look || state.name == Some(file) => Judge::Looked,
            Judge::Locked(_) => Judge::Done,
            Judge::Looked if state.name.is_none() => Judge::Done,
            Judge::Looked => {
                state.took_a_good_one |= state.is_good(state.name);
                state.put_aside = true;
                state.name = None;
                state.on_medium |= bit(None);
                Judge::Moved
            }
            Judge::Moved => {
                state.sync_directory();
                Judge::Synced
            }
            Judge::Synced => {
                // Only an empty directory can be removed.
                if state.name.is_none() {
                    state.directory.is_there = false;
                    state.directory.is_durable = false;
                }
                Judge::Done
            }
            Judge::Done => return None,
        };
        Some(())
    }

    /// The sync of a file fails: that of a push's own, or of one that it found.
    fn sync_fails(&self, state: &mut State, who: usize) -> Option<()> {
        let file = match state.pushes[who].at {
            At::Sync => state.pushes[who].file,
            At::SettleSync(_) => state.name?,
            _ => return None,
        };
        let medium = &mut state.files[usize::from(file)].medium;
        if *medium != Medium::Unsynced {
            return None;
        }
        *medium = Medium::Lost;
        if self.broken != Some(Broken::ForgetsFailedSyncs) {
            state.memory[self.pushers[who].process].doubtful = Some(file);
        }
        state.failed_syncs -= 1;
        state.pushes[who].at = At::Failed;
        Some(())
    }

    fn die(&self, state: &mut State, process: usize) {
        for (push, pusher) in state.pushes.iter_mut().zip(&self.pushers) {
            if pusher.process == process && !matches!(push.at, At::Acknowledged | At::Failed) {
                push.at = At::Dead;
            }
        }
        state.memory[process] = Memory::default();
    }

    fn cut_power(&self, state: &mut State, name: Option<File>) {
        for process in 0..state.memory.len() {
            self.die(state, process);
        }
        state.name = name;
        state.on_medium = bit(name);
        // If a name in it has survived so has the directory.
        state.directory.is_there &= state.directory.is_durable || name.is_some();
        state.directory.is_durable = state.directory.is_there;
        for file in &mut state.files {
            if file.medium != Medium::Synced {
                file.content = Content::Short;
                file.medium = Medium::Synced;
            }
        }
        if state.judge != Judge::Done {
            state.judge = Judge::Idle;
        }
        state.power_cuts -= 1;
    }

    /// A push that was cut off is begun anew, with bytes of its own.
    fn push_again(&self, state: &mut State, who: usize) {
        let push = &mut state.pushes[who];
        let again = push.again - 1;
        let anew = push.file + u8::try_from(self.pushers.len()).expect("a few");
        *push = Push { again, ..self.new_push(anew) };
        state.files[usize::from(anew)] = self.staged();
    }

    /// A request comes for the session that a process has left. What has a second name is not added to.
    fn go_on_with_session(&self, state: &mut State, who: usize) {
        let file = state.pushes[who].file;
        let is_promoted = state.name == Some(file);
        if !is_promoted || self.broken == Some(Broken::AppendsToWhatHasAName) {
            state.went_bad |= is_promoted && state.is_good(Some(file));
            let bytes = &mut state.files[usize::from(file)];
            bytes.content = Content::Short;
        }
        state.pushes[who].was_gone_on_with = true;
    }

    const fn staged(&self) -> Kept {
        Kept { content: Content::Good, medium: Medium::Unsynced }
    }

    fn new_push(&self, file: File) -> Push {
        Push {
            at: At::Start,
            file,
            made_directory: false,
            replaces: false,
            was_kept: false,
            was_compared: false,
            overwrites: false,
            meetings: 0,
            again: self.again,
            was_gone_on_with: false,
        }
    }

    fn first_state(&self, first: First) -> State {
        let pushers = u8::try_from(self.pushers.len()).expect("a few");
        let content = match first {
            First::Nothing | First::Unsettled => Content::Good,
            First::Short => Content::Short,
            First::Altered => Content::Altered,
        };
        let is_settled = matches!(first, First::Short | First::Altered);
        let medium = if is_settled { Medium::Synced } else { Medium::Unsynced };
        let mut files = vec![Kept { content, medium }];
        files.resize(1 + usize::from(pushers * (1 + self.again)), self.staged());
        let name = (first != First::Nothing).then_some(0);
        let on_medium = if is_settled { bit(name) } else { bit(None) | bit(name) };
        let is_there = name.is_some();
        let processes = self.pushers.iter().map(|pusher| pusher.process + 1).max().unwrap_or(0);
        State {
            name,
            on_medium,
            directory: Directory { is_there, is_durable: is_settled, made: 0 },
            files,
            pushes: (1..=pushers).map(|file| self.new_push(file)).collect(),
            memory: vec![Memory::default(); processes],
            judge: if self.judges { Judge::Idle } else { Judge::Done },
            power_cuts: self.power_cuts,
            deaths: self.deaths,
            failed_syncs: self.failed_syncs,
            went_bad: false,
            gave_way: false,
            took_a_good_one: false,
            healed: false,
            put_aside: false,
        }
    }

    /// Does nothing happen any more but what need not?
    fn is_over(&self, state: &State) -> bool {
        (0..state.pushes.len()).all(|who| self.go(&mut state.clone(), who).is_none())
            && self.judge(&mut state.clone()).is_none()
    }
}

impl Model for Promotion {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        self.first.iter().map(|first| self.first_state(*first)).collect()
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for (who, push) in state.pushes.iter().enumerate() {
            actions.push(Action::Goes(who, push.at));
            if state.failed_syncs > 0 {
                actions.push(Action::SyncFails(who));
            }
            if push.at == At::Dead && push.again > 0 {
                actions.push(Action::PushesAgain(who));
            }
            let has_session = self.way == Way::Atomic && !self.pushers[who].is_small;
            if push.at == At::Dead && has_session && !push.was_gone_on_with {
                actions.push(Action::GoesOnWithTheSession(who));
            }
        }
        actions.push(Action::Judges(state.judge));
        if state.deaths > 0 {
            actions.extend((0..state.memory.len()).map(Action::Dies));
        }
        if state.power_cuts > 0 {
            let names = (0..state.files.len()).map(|file| u8::try_from(file).ok());
            let may_be = |name: &Option<File>| {
                state.on_medium & bit(*name) != 0 || name.is_none() && !state.directory.is_durable
            };
            actions.extend([None].into_iter().chain(names).filter(may_be).map(Action::PowerIsCut));
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Goes(who, _) => self.go(&mut state, who)?,
            Action::SyncFails(who) => self.sync_fails(&mut state, who)?,
            Action::Judges(_) => self.judge(&mut state)?,
            Action::Dies(process) => {
                self.die(&mut state, process);
                state.deaths -= 1;
            }
            Action::PowerIsCut(name) => self.cut_power(&mut state, name),
            Action::PushesAgain(who) => self.push_again(&mut state, who),
            Action::GoesOnWithTheSession(who) => self.go_on_with_session(&mut state, who),
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::<Self>::always(IS_THERE, |_, state| {
                !state.is_acknowledged() || state.name.is_some()
            }),
            Property::<Self>::always(IS_GOOD, |_, state| {
                !state.is_acknowledged() || state.name.is_none() || state.is_good(state.name)
            }),
            Property::<Self>::always(IS_WHOLE, |_, state| {
                let is_whole = |file| file == 0 || state.content(file) == Content::Good;
                state.name.is_none_or(is_whole)
            }),
            Property::<Self>::always(STAYS_GOOD, |_, state| !state.went_bad),
            Property::<Self>::always(IS_LEFT, |_, state| !state.took_a_good_one),
            Property::<Self>::always(ENDS, |model, state| {
                let has_ended =
                    |push: &Push| matches!(push.at, At::Acknowledged | At::Failed | At::Dead);
                state.pushes.iter().all(has_ended) || !model.is_over(state)
            }),
            Property::<Self>::always(GAVE_WAY, |_, state| !state.gave_way),
            Property::<Self>::sometimes("all pushes are acknowledged", |_, state| {
                state.pushes.iter().all(|push| push.at == At::Acknowledged)
            }),
        ];
        if self.first.contains(&First::Short) {
            properties.push(Property::<Self>::sometimes("a damaged blob is healed", |_, state| {
                state.healed && state.is_acknowledged()
            }));
        }
        if self.judges {
            properties.push(Property::<Self>::sometimes(
                "a blob is put aside, and pushed anew",
                |_, state| state.put_aside && state.is_acknowledged(),
            ));
        }
        if self.power_cuts > 0 {
            properties
                .push(Property::<Self>::sometimes("a name is lost with the power", |_, state| {
                    state.power_cuts == 0 && state.name.is_none()
                }));
        }
        properties
    }
}

const fn of(process: usize) -> Pusher {
    Pusher { process, is_small: false }
}

const fn small_of(process: usize) -> Pusher {
    Pusher { process, is_small: true }
}

/// Two processes push the same blob, each once more if it is cut off.
fn two() -> Promotion {
    Promotion {
        way: Way::Atomic,
        pushers: vec![of(0), of(1)],
        first: vec![First::Nothing, First::Unsettled, First::Short],
        judges: true,
        power_cuts: 1,
        deaths: 0,
        failed_syncs: 0,
        again: 1,
        broken: None,
    }
}

fn broken(broken: Broken) -> Promotion {
    Promotion { broken: Some(broken), ..two() }
}

#[test]
fn two_processes_name_one_blob() {
    holds("promotion, two processes", 18_000, two());
}

#[test]
fn processes_die_while_they_name_one_blob() {
    let model = Promotion { power_cuts: 1, deaths: 1, judges: false, ..two() };
    holds("promotion, a process dies", 41_000, model);
}

#[test]
fn a_look_and_a_rename_serve_where_nothing_else_does() {
    holds("promotion, by checked renames", 15_000, Promotion { way: Way::Checked, ..two() });
}

#[test]
fn three_pushes_of_two_processes_share_what_each_process_remembers() {
    let pushers = vec![of(0), of(0), of(1)];
    let model = Promotion { pushers, again: 0, judges: false, ..two() };
    holds("promotion, three pushes", 11_000, model);
}

#[test]
fn small_blobs_are_healed_whatever_is_wrong_with_them() {
    let first = vec![First::Nothing, First::Unsettled, First::Short, First::Altered];
    let model = Promotion { pushers: vec![small_of(0), small_of(1)], first, again: 0, ..two() };
    holds("promotion, small blobs", 16_000, model);
}

#[test]
fn a_small_blob_may_also_come_as_a_large_one() {
    let model = Promotion { pushers: vec![small_of(0), of(1)], again: 0, ..two() };
    holds("promotion, small and large", 2_400, model);
}

#[test]
fn a_sync_that_fails_vouches_for_nothing() {
    let pushers = vec![of(0), of(0)];
    let model = Promotion { pushers, judges: false, again: 0, failed_syncs: 1, ..two() };
    holds("promotion, a sync fails", 900, model);
}

#[test]
fn three_processes_name_one_blob() {
    if is_large() {
        let model = Promotion { pushers: vec![of(0), of(1), of(2)], deaths: 1, again: 0, ..two() };
        holds("promotion, three processes", 80_000, model.clone());
        let pushers = vec![of(0), small_of(1), of(2)];
        holds("promotion, three processes, a small one", 120_000, Promotion { pushers, ..model });
        holds(
            "promotion, two power cuts",
            230_000,
            Promotion { power_cuts: 2, deaths: 1, ..two() },
        );
    }
}

#[test]
fn a_name_before_the_sync_is_caught() {
    is_caught("promotion, name first", IS_WHOLE, broken(Broken::NamesBeforeTheSync));
}

#[test]
fn what_is_there_and_not_settled_is_caught() {
    let name = "promotion, kept and not settled";
    is_caught(name, IS_THERE, broken(Broken::KeepsWithoutSettling));
    is_caught(name, IS_GOOD, broken(Broken::KeepsWithoutSettling));
}

#[test]
fn a_file_that_is_settled_without_its_directory_is_caught() {
    is_caught("promotion, file settled alone", IS_THERE, broken(Broken::SettlesTheFileAlone));
}

#[test]
fn a_directory_that_is_trusted_because_it_is_there_is_caught() {
    let model = broken(Broken::TrustsDirectoriesThatItFinds);
    is_caught("promotion, directory trusted", IS_THERE, model);
}

#[test]
fn a_damaged_blob_that_is_kept_is_caught() {
    is_caught("promotion, size not compared", IS_GOOD, broken(Broken::KeepsWhateverTheSize));
}

#[test]
fn a_good_blob_that_is_replaced_is_caught() {
    let model = broken(Broken::ReplacesWhateverTheSize);
    is_caught("promotion, replaced unseen", GAVE_WAY, model);
}

#[test]
fn a_blob_that_another_has_healed_and_that_is_replaced_is_caught() {
    let name = "promotion, replaced without another look";
    let model = broken(Broken::ReplacesWithoutAnotherLook);
    is_caught(name, GAVE_WAY, model.clone());
    is_caught(name, IS_WHOLE, Promotion { deaths: 1, ..model });
}

#[test]
fn a_small_blob_that_another_has_healed_and_that_is_overwritten_is_caught() {
    let name = "promotion, overwritten without another look";
    let pushers = vec![small_of(0), of(1)];
    let model = Promotion { pushers, ..broken(Broken::OverwritesASmallOneWithoutAnotherLook) };
    is_caught(name, GAVE_WAY, model.clone());
    is_caught(name, IS_WHOLE, Promotion { deaths: 1, ..model });
}

#[test]
fn a_failed_sync_that_is_forgotten_is_caught() {
    let pushers = vec![of(0), of(0)];
    let model = Promotion { pushers, failed_syncs: 1, ..broken(Broken::ForgetsFailedSyncs) };
    is_caught("promotion, failed sync forgotten", IS_GOOD, model);
}

#[test]
fn bytes_that_are_added_to_a_blob_are_caught() {
    let model = Promotion { deaths: 1, ..broken(Broken::AppendsToWhatHasAName) };
    is_caught("promotion, late append", STAYS_GOOD, model);
}

#[test]
fn quarantine_without_the_lock_is_caught() {
    let model = broken(Broken::PutsAsideWithoutTheLock);
    is_caught("promotion, quarantine without lock", IS_LEFT, model);
}

#[test]
fn quarantine_without_another_look_is_caught() {
    let model = broken(Broken::PutsAsideWithoutAnotherLook);
    is_caught("promotion, quarantine without look", IS_LEFT, model);
}

#[test]
fn a_small_blob_that_is_kept_unread_is_caught() {
    let pushers = vec![small_of(0), small_of(1)];
    let model = Promotion { pushers, ..broken(Broken::KeepsASmallOneUnread) };
    is_caught("promotion, small blob unread", IS_GOOD, model);
}

#[test]
fn a_small_blob_that_another_heals_and_that_is_not_settled_again_is_caught() {
    let pushers = vec![small_of(0), small_of(1)];
    let model = Promotion { pushers, ..broken(Broken::ReadsWithoutSettlingAgain) };
    is_caught("promotion, read and not settled", IS_GOOD, model);
}
