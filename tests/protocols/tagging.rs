//! Is a tag that was pushed left alone by deletes that it meets, on S3, where no lock reaches other processes?
//!
//! **What it follows**: `tags.rs` (`point`, `settle_again`, `remove`, `remove_all_on`, `take_back`), `manifests.rs`
//! (`write`, `remove`), `link.rs`, and of `backend/s3/objects.rs` `point`, `see_it_stand`, `delete_if`. One tag, two
//! manifests, whose content is a number each: an ETag tells which of the two is pointed at, not who wrote it.
//!
//! **An action** is one request. The two listings of a look at what stands come in either order.
//!
//! **At any time** a process may die; a DELETE of a tag may be delayed, and comes to pass when its sender has long sent
//! it again, or is dead; a push that waits may run out of patience. Time passes for the notes of a delete once nothing
//! that it sent can be under way any more: so long is
//! `STALE`, and that it is much longer than what a push needs from its write to its look.
//!
//! **Left out.** The manifest's blob, what it refers to, and records of referrers: none of them is deleted here. Requests
//! that are answered with an error: those are sent again, or what was done so far is all. Preconditions of pushes. A
//! plain move of a tag that is sent twice, which `ARCHITECTURE.md` allows to undo what came in between. That a batch of
//! notes or entries goes one by one: each of them counts by itself.

use stateright::{Model, Property};

use crate::check::{holds, is_caught, is_large};

const STANDS: &str = "what is pushed after the deletes of it have ended, or died, stands";
const IS_WHOLE: &str = "of a push that a delete met all stands or nothing";
const IS_LEFT: &str = "a tag that was moved on is left alone by the delete of the manifest before";
const IS_LINKED: &str = "when all have ended no tag is left on a deleted manifest";
const IS_KNOWN: &str = "when all have ended a tag has the entry by which a delete finds it";
const GOES_ON: &str = "a push that waits can go on some time";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Broken {
    DoesNotLookWhatStands,
    LooksBeforeItsNote,
    LeavesNoNote,
    HistoryAfterTheTag,
    PassesOverNotesTooEarly,
    NeverPassesOverNotes,
    TakesNotesAwayInDoubt,
    HasNoSecondPass,
    DoesNotTakeBack,
    DoesNotSettleAgain,
    DoesNotGiveEntriesBack,
    LeavesNoNoteInTheFirstPass,
    DoesNotLookAfterAnEntryOfItsOwn,
    DoesNotLookAfterWhatItGaveBack,
    RemovesEntriesOfWhatIsPushedAgain,
}

/// A manifest, by its number.
type Manifest = usize;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Request {
    Push(Manifest),
    DeleteManifest(Manifest),
    DeleteTag,
}

#[derive(Clone, Debug)]
struct Tagging {
    /// Does the server heed conditions on deletes?
    is_conditional: bool,
    requests: Vec<Request>,
    /// Where the tag points at first.
    first: Option<Manifest>,
    /// What is linked, and in its history, beside that.
    known: Vec<Manifest>,
    has_history: bool,
    deaths: u8,
    delays: u8,
    broken: Option<Broken>,
}

/// What a process does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum At {
    Start,
    // A push.
    ReadLink,
    Entry,
    ReadEntry,
    Tag,
    /// What was listed at the manifest's link and at the tag: is there a note, and is it there?
    Stand(Option<(bool, bool)>, Option<(bool, bool)>),
    LookForTag,
    SettleEntry,
    SettleReadEntry,
    SettleLook,
    SettleLink,
    EntryLast,
    // A delete of a manifest.
    ListTags(Pass),
    HeadPushed,
    Current(Pass),
    DeleteLink,
    // The removal of a tag.
    HeadTag,
    ListEntries,
    NoteAtLink,
    NoteAtTag,
    ReadTag,
    HeadLink,
    DeleteTag,
    TakeNotes(bool),
    RemoveEntries,
    LookAgain,
    GiveBack(Manifest),
    HeadGiven(Manifest),
    // The end.
    Done,
    Unknown,
    OutOfPatience,
    Dead,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Pass {
    First,
    Second,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Process {
    at: At,
    /// The entry of history was there already.
    kept: bool,
    was_noted: bool,
    /// Points only if nothing is there.
    if_absent: bool,
    meetings: u8,
    /// Which entries are to be removed.
    entries: [bool; 2],
    pass: Pass,
    /// The manifest that the tag has to be on to be removed; none for any.
    only_on: Option<Manifest>,
    /// And that manifest must not be linked.
    unless_linked: bool,
    in_doubt: bool,
    /// A delete that names it was under way with it, or came later.
    is_disputed: bool,
}

/// A DELETE that has not arrived yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Late {
    Tag { if_match: Option<Manifest> },
    Link(Manifest),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    tag: Option<Manifest>,
    links: [bool; 2],
    entries: [bool; 2],
    /// Whose notes are there that count, by the number of the process.
    notes_at_link: [u8; 2],
    notes_at_tag: u8,
    late: Vec<(usize, Late)>,
    processes: Vec<Process>,
    deaths: u8,
    delays: u8,
    /// Allowed: a plain DELETE that was sent twice came after what was pushed in between.
    was_undone_late: bool,
    /// Allowed: a delete of the tag, or of where it pointed before, took the entry that a push had made before its tag.
    lost_its_entry: bool,
    waited: bool,
    pointed_again: bool,
    took_back: bool,
}

#[derive(Clone, Debug, PartialEq)]
enum Action {
    Goes(usize, At),
    ListsTheTag(usize),
    LosesPatience(usize),
    Dies(usize),
    DiesAsItSends(usize),
    IsDelayed(usize),
    Arrives(usize, Late),
    TimePasses(usize),
}

/// How often a push looks after deletes of its tag.
const MEETINGS: u8 = 3;

impl Process {
    const fn has_ended(&self) -> bool {
        matches!(self.at, At::Done | At::Unknown | At::OutOfPatience | At::Dead)
    }

    fn is_under_way(&self) -> bool {
        self.at != At::Start && !self.has_ended()
    }
}

impl State {
    fn is_over(&self) -> bool {
        self.late.is_empty() && self.processes.iter().all(Process::has_ended)
    }

    fn write_link(&mut self, manifest: Manifest) -> bool {
        !std::mem::replace(&mut self.links[manifest], true)
    }

    fn write_entry(&mut self, manifest: Manifest) -> bool {
        !std::mem::replace(&mut self.entries[manifest], true)
    }

    fn arrive(&mut self, late: Late) {
        let before = (self.tag, self.links);
        match late {
            Late::Tag { if_match: Some(manifest) } if self.tag != Some(manifest) => {}
            Late::Tag { .. } => self.tag = None,
            Late::Link(manifest) => self.links[manifest] = false,
        }
        let is_plain = matches!(late, Late::Link(_));
        self.was_undone_late |= is_plain && before != (self.tag, self.links);
    }
}

impl Tagging {
    fn is_broken(&self, broken: Broken) -> bool {
        self.broken == Some(broken)
    }

    /// The manifest that a request is about; none if it is about the tag alone.
    fn manifest(&self, who: usize) -> Option<Manifest> {
        match self.requests[who] {
            Request::Push(manifest) | Request::DeleteManifest(manifest) => Some(manifest),
            Request::DeleteTag => None,
        }
    }

    fn is_push(&self, who: usize) -> bool {
        matches!(self.requests[who], Request::Push(_))
    }

    /// Does a delete name what a push pushes?
    fn names(&self, delete: usize, push: usize) -> bool {
        match self.requests[delete] {
            Request::Push(_) => false,
            Request::DeleteTag => true,
            Request::DeleteManifest(manifest) => self.manifest(push) == Some(manifest),
        }
    }

    /// Says of pushes which deletes they can be undone by.
    fn begin(&self, state: &mut State, who: usize) {
        if self.is_push(who) {
            let others = state.processes.iter().enumerate();
            let disputed = others
                .filter(|(other, process)| process.is_under_way() && self.names(*other, who))
                .count();
            state.processes[who].is_disputed = disputed > 0;
            return;
        }
        for push in (0..self.requests.len()).filter(|push| self.is_push(*push)) {
            if state.processes[push].at != At::Start && self.names(who, push) {
                state.processes[push].is_disputed = true;
            }
        }
    }

    /// One request of a process.
    fn go(&self, state: &mut State, who: usize) -> Option<()> {
        let at = state.processes[who].at;
        if at == At::Start {
            self.begin(state, who);
        }
        let next = match self.requests[who] {
            _ if matches!(at, At::Done | At::Unknown | At::OutOfPatience | At::Dead) => None,
            Request::Push(manifest) => self.push(state, who, manifest, at),
            Request::DeleteManifest(manifest) => self.delete(state, manifest, at),
            Request::DeleteTag if at == At::Start => Some(At::HeadTag),
            Request::DeleteTag => None,
        };
        let next = next.or_else(|| self.remove(state, who, at))?;
        state.processes[who].at = next;
        Some(())
    }

    /// `Manifests::write`, from the link on.
    fn push(&self, state: &mut State, who: usize, manifest: Manifest, at: At) -> Option<At> {
        let first = match self.is_broken(Broken::HistoryAfterTheTag) {
            true => At::Tag,
            false => At::Entry,
        };
        Some(match at {
            At::Start if state.write_link(manifest) => first,
            At::Start => At::ReadLink,
            At::ReadLink => {
                state.write_link(manifest);
                first
            }
            At::Entry if state.write_entry(manifest) => At::Tag,
            At::Entry => {
                state.processes[who].kept = true;
                At::ReadEntry
            }
            At::ReadEntry => {
                state.write_entry(manifest);
                At::Tag
            }
            At::Tag => {
                let looks = !self.is_broken(Broken::DoesNotLookAfterAnEntryOfItsOwn);
                let process = &mut state.processes[who];
                if process.if_absent && state.tag.is_some() {
                    return Some(if looks { At::SettleLink } else { Self::settle_on(process) });
                }
                state.pointed_again |= process.was_noted;
                process.was_noted = false;
                state.tag = Some(manifest);
                match self.is_broken(Broken::DoesNotLookWhatStands) {
                    true => At::Done,
                    false => self.stand(),
                }
            }
            At::Stand(None, at_tag) => {
                let is_noted = state.notes_at_link[manifest] != 0;
                let at_link = Some((is_noted, state.links[manifest]));
                self.judge(state, who, at_link, at_tag)
            }
            At::LookForTag if state.tag.is_none() => At::Tag,
            At::LookForTag => self.stood(state, who, true),
            At::SettleEntry => match state.write_entry(manifest) {
                true => self.point_if_absent(state, who),
                false => At::SettleReadEntry,
            },
            At::SettleReadEntry => {
                state.write_entry(manifest);
                At::SettleLook
            }
            At::SettleLook if state.tag.is_some() => At::Done,
            At::SettleLook => self.point_if_absent(state, who),
            // The tag is another's, which may have gone by the entries while there was none.
            At::SettleLink if state.links[manifest] => Self::settle_on(&mut state.processes[who]),
            At::SettleLink => self.stood(state, who, false),
            At::EntryLast => {
                state.write_entry(manifest);
                At::Done
            }
            _ => return None,
        })
    }

    /// What is listed first; where the server heeds conditions the tag is not looked at.
    const fn stand(&self) -> At {
        At::Stand(None, if self.is_conditional { Some((false, true)) } else { None })
    }

    /// Whether what was written stands, once both were listed.
    fn judge(
        &self,
        state: &mut State,
        who: usize,
        at_link: Option<(bool, bool)>,
        at_tag: Option<(bool, bool)>,
    ) -> At {
        let (Some((link_noted, is_linked)), Some((tag_noted, is_there))) = (at_link, at_tag) else {
            return At::Stand(at_link, at_tag);
        };
        let process = &mut state.processes[who];
        if link_noted || tag_noted {
            process.was_noted = true;
            state.waited = true;
            return self.stand();
        }
        let is_looked_for = self.is_conditional && process.was_noted;
        match (is_looked_for, is_there) {
            // Whether it is linked is what the listing said before.
            (true, _) => match is_linked {
                true => At::LookForTag,
                false if state.tag.is_none() => At::Tag,
                false => self.stood(state, who, false),
            },
            (false, false) => At::Tag,
            (false, true) => self.stood(state, who, is_linked),
        }
    }

    /// The tag is there, ours or one that came after it.
    fn stood(&self, state: &mut State, who: usize, is_linked: bool) -> At {
        let process = &mut state.processes[who];
        process.was_noted = false;
        if !is_linked {
            process.kept = false;
            if self.is_broken(Broken::DoesNotTakeBack) {
                return At::Unknown;
            }
            let Request::Push(manifest) = self.requests[who] else { return At::Unknown };
            let next = self.take_back(process, manifest);
            state.took_back = true;
            return next;
        }
        if self.is_broken(Broken::HistoryAfterTheTag) {
            return At::EntryLast;
        }
        let settles = process.kept && !self.is_broken(Broken::DoesNotSettleAgain);
        match (settles, process.if_absent) {
            (false, _) => At::Done,
            (true, false) => At::SettleEntry,
            (true, true) => Self::settle_on(process),
        }
    }

    fn point_if_absent(&self, state: &mut State, who: usize) -> At {
        state.processes[who].if_absent = true;
        At::Tag
    }

    /// The next round of `settle_again`.
    fn settle_on(process: &mut Process) -> At {
        process.meetings += 1;
        if process.meetings < MEETINGS { At::SettleEntry } else { At::Done }
    }

    /// `Manifests::remove`.
    fn delete(&self, state: &mut State, manifest: Manifest, at: At) -> Option<At> {
        Some(match at {
            At::Start if state.links[manifest] => At::ListTags(Pass::First),
            At::Start => At::Unknown,
            At::ListTags(Pass::First) if state.entries[manifest] => At::Current(Pass::First),
            At::ListTags(Pass::Second) if state.entries[manifest] => {
                match self.is_broken(Broken::RemovesEntriesOfWhatIsPushedAgain) {
                    true => At::Current(Pass::Second),
                    false => At::HeadPushed,
                }
            }
            // Pushed once more: the entries are of that push.
            At::HeadPushed if state.links[manifest] => At::Done,
            At::HeadPushed => At::Current(Pass::Second),
            At::ListTags(Pass::First) => At::DeleteLink,
            At::ListTags(Pass::Second) => At::Done,
            At::DeleteLink => {
                state.links[manifest] = false;
                match self.is_broken(Broken::HasNoSecondPass) {
                    true => At::Done,
                    false => At::ListTags(Pass::Second),
                }
            }
            _ => return None,
        })
    }

    /// `Tags::remove`, with the `delete_if` of the bucket.
    fn remove(&self, state: &mut State, who: usize, at: At) -> Option<At> {
        let Process { only_on, unless_linked, .. } = state.processes[who];
        let mine = Self::note(who, unless_linked);
        let notes = !self.is_broken(Broken::LeavesNoNote)
            && (unless_linked || !self.is_broken(Broken::LeavesNoNoteInTheFirstPass));
        Some(match at {
            At::Current(pass) => self.current(state, who, pass)?,
            At::HeadTag if state.tag.is_some() => At::ListEntries,
            At::HeadTag => At::Unknown,
            At::ListEntries => {
                state.processes[who].entries = state.entries;
                match (only_on, self.is_broken(Broken::LooksBeforeItsNote)) {
                    (None, _) => At::DeleteTag,
                    (Some(_), false) if notes => At::NoteAtLink,
                    (Some(_), _) => At::ReadTag,
                }
            }
            At::NoteAtLink => {
                state.notes_at_link[only_on?] |= mine;
                if self.is_conditional { self.after_notes() } else { At::NoteAtTag }
            }
            At::NoteAtTag => {
                state.notes_at_tag |= mine;
                self.after_notes()
            }
            At::ReadTag if state.tag != only_on => At::TakeNotes(false),
            At::ReadTag if unless_linked => At::HeadLink,
            At::HeadLink if state.links[only_on?] => At::TakeNotes(false),
            At::ReadTag | At::HeadLink => self.after_looks(),
            At::DeleteTag => {
                let is_other = self.is_conditional
                    && only_on.is_some()
                    && state.tag.is_some()
                    && state.tag != only_on;
                if !is_other {
                    state.tag = None;
                }
                if only_on.is_none() { At::RemoveEntries } else { At::TakeNotes(!is_other) }
            }
            At::TakeNotes(deleted) => self.take_notes(state, who, deleted)?,
            At::RemoveEntries => {
                let removed = std::mem::take(&mut state.processes[who].entries);
                self.remove_entries(state, who, removed);
                At::LookAgain
            }
            At::LookAgain => match state.tag {
                Some(current) if !self.is_broken(Broken::DoesNotGiveEntriesBack) => {
                    At::GiveBack(current)
                }
                _ => self.removed(state, who),
            },
            At::GiveBack(current) => {
                state.write_entry(current);
                match self.is_broken(Broken::DoesNotLookAfterWhatItGaveBack) {
                    true => self.removed(state, who),
                    false => At::HeadGiven(current),
                }
            }
            At::HeadGiven(current) if state.links[current] => self.removed(state, who),
            At::HeadGiven(current) => self.take_back(&mut state.processes[who], current),
            _ => return None,
        })
    }

    /// Where the tag points, in a pass of a delete of its manifest.
    fn current(&self, state: &mut State, who: usize, pass: Pass) -> Option<At> {
        let manifest = self.manifest(who)?;
        let process = &mut state.processes[who];
        process.pass = pass;
        Some(match (state.tag, pass) {
            (Some(current), _) if current == manifest => {
                process.only_on = Some(manifest);
                process.unless_linked = pass == Pass::Second;
                At::ListEntries
            }
            (None, Pass::Second) => {
                process.entries[manifest] = true;
                At::RemoveEntries
            }
            _ => self.removed(state, who),
        })
    }

    /// The tag is removed if it is still on a manifest, and that is not linked.
    fn take_back(&self, process: &mut Process, manifest: Manifest) -> At {
        process.only_on = Some(manifest);
        process.unless_linked = true;
        At::ListEntries
    }

    fn take_notes(&self, state: &mut State, who: usize, deleted: bool) -> Option<At> {
        let process = &mut state.processes[who];
        let others = !Self::note(who, process.unless_linked);
        let manifest = process.only_on?;
        let in_doubt = std::mem::take(&mut process.in_doubt);
        if !in_doubt || self.is_broken(Broken::TakesNotesAwayInDoubt) {
            state.notes_at_link[manifest] &= others;
            state.notes_at_tag &= others;
        }
        if !deleted {
            process.entries = [false; 2];
            return Some(self.removed(state, who));
        }
        if !process.unless_linked {
            process.entries[manifest] = false;
        }
        Some(At::RemoveEntries)
    }

    const fn after_notes(&self) -> At {
        match self.broken {
            Some(Broken::LooksBeforeItsNote) => At::DeleteTag,
            _ => At::ReadTag,
        }
    }

    fn after_looks(&self) -> At {
        match self.is_broken(Broken::LooksBeforeItsNote) {
            true => At::NoteAtLink,
            false => At::DeleteTag,
        }
    }

    fn remove_entries(&self, state: &mut State, who: usize, removed: [bool; 2]) {
        for manifest in [0, 1] {
            if !removed[manifest] {
                continue;
            }
            state.entries[manifest] = false;
            let is_between = |(other, process): (usize, &Process)| {
                self.requests[other] == Request::Push(manifest)
                    && !process.kept
                    && matches!(process.at, At::Tag | At::Stand(..) | At::LookForTag)
            };
            // A delete of just that manifest looks before; several may pass the entry on to each other.
            let deletes = (0..self.requests.len()).filter(|other| !self.is_push(*other));
            let is_named = self.manifest(who) == Some(manifest) && deletes.count() == 1;
            let mut processes = state.processes.iter().enumerate();
            if !is_named && processes.any(is_between) {
                state.lost_its_entry = true;
            }
        }
    }

    /// Where a process goes on when a tag is removed, or was not as it was to be.
    fn removed(&self, state: &mut State, who: usize) -> At {
        let process = &mut state.processes[who];
        process.only_on = None;
        process.unless_linked = false;
        match (self.requests[who], process.pass) {
            (Request::Push(_), _) => At::Unknown,
            (Request::DeleteManifest(_), Pass::First) => At::DeleteLink,
            (Request::DeleteManifest(_), Pass::Second) | (Request::DeleteTag, _) => At::Done,
        }
    }

    /// The DELETE that a process is about to send.
    fn sending(&self, state: &State, who: usize) -> Option<Late> {
        let process = &state.processes[who];
        match process.at {
            At::DeleteTag if process.only_on.is_some() => {
                let if_match = process.only_on.filter(|_| self.is_conditional);
                Some(Late::Tag { if_match })
            }
            At::DeleteLink => Some(Late::Link(self.manifest(who)?)),
            _ => None,
        }
    }

    /// Can nothing that a process has sent be under way any more?
    fn is_past(&self, state: &State, who: usize) -> bool {
        // A push comes to its look long before a note that it could see gets old.
        let looks = |process: &Process| matches!(process.at, At::Stand(..)) && !process.was_noted;
        state.processes[who].has_ended()
            && !state.processes.iter().any(looks)
            && (self.is_broken(Broken::PassesOverNotesTooEarly)
                || state.late.iter().all(|(sender, _)| *sender != who))
            && !self.is_broken(Broken::NeverPassesOverNotes)
    }

    fn has_notes(state: &State, who: usize) -> bool {
        let notes = state.notes_at_link[0] | state.notes_at_link[1] | state.notes_at_tag;
        notes & (Self::note(who, false) | Self::note(who, true)) != 0
    }

    /// Each removal of a process has a note of its own.
    const fn note(who: usize, unless_linked: bool) -> u8 {
        if unless_linked { 2 << (2 * who) } else { 1 << (2 * who) }
    }

    /// The pushes, if none of them moves the tag away from another.
    fn pushes<'s>(&'s self, state: &'s State) -> impl Iterator<Item = (Manifest, &'s Process)> {
        let pushed = |(request, process): (&Request, &'s Process)| match request {
            Request::Push(manifest) => Some((*manifest, process)),
            _ => None,
        };
        self.requests.iter().zip(&state.processes).filter_map(pushed)
    }

    fn is_one_push(&self) -> bool {
        self.requests.iter().filter(|request| matches!(request, Request::Push(_))).count() == 1
    }

    fn deletes_the_tag(&self) -> bool {
        self.requests.contains(&Request::DeleteTag)
    }

    fn stands(&self, state: &State) -> bool {
        let stands = |(manifest, push): (Manifest, &Process)| {
            push.at != At::Done
                || push.is_disputed
                || state.tag == Some(manifest) && state.links[manifest]
        };
        !self.is_one_push() || state.was_undone_late || self.pushes(state).all(stands)
    }

    fn is_whole(&self, state: &State) -> bool {
        let is_whole = |(manifest, push): (Manifest, &Process)| {
            push.at != At::Done || state.links[manifest] == (state.tag == Some(manifest))
        };
        !self.is_one_push()
            || self.deletes_the_tag()
            || !state.is_over()
            || state.was_undone_late
            || self.died_deleting(state)
            || self.pushes(state).all(is_whole)
    }

    /// Allowed: a push that died, or was told to come again later, has left a tag on what is deleted.
    fn gave_up(&self, state: &State) -> bool {
        self.pushes(state).any(|(_, push)| matches!(push.at, At::Dead | At::OutOfPatience))
    }

    /// Allowed: a delete that died has left a tag that was pushed meanwhile, without its entry or without its manifest.
    fn died_deleting(&self, state: &State) -> bool {
        let mut processes = state.processes.iter().enumerate();
        processes.any(|(who, process)| process.at == At::Dead && !self.is_push(who))
    }

    /// Moved to a manifest that nobody deletes, it stays.
    fn is_left(&self, state: &State) -> bool {
        let is_deleted =
            |manifest: Manifest| self.requests.contains(&Request::DeleteManifest(manifest));
        let mut pushes = self.pushes(state);
        self.deletes_the_tag()
            || state.tag.is_some()
            || !state.is_over()
            || !pushes.all(|(manifest, push)| push.at == At::Done && !is_deleted(manifest))
    }
}

impl Model for Tagging {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let is_known = |manifest| self.known.contains(&manifest) || self.first == Some(manifest);
        let known = [is_known(0), is_known(1)];
        let process = Process {
            at: At::Start,
            kept: false,
            was_noted: false,
            if_absent: false,
            meetings: 0,
            entries: [false; 2],
            pass: Pass::First,
            only_on: None,
            unless_linked: false,
            in_doubt: false,
            is_disputed: false,
        };
        vec![State {
            tag: self.first,
            links: known,
            entries: known.map(|is_known| is_known && self.has_history),
            notes_at_link: [0; 2],
            notes_at_tag: 0,
            late: Vec::new(),
            processes: vec![process; self.requests.len()],
            deaths: self.deaths,
            delays: self.delays,
            was_undone_late: false,
            lost_its_entry: false,
            waited: false,
            pointed_again: false,
            took_back: false,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for (who, process) in state.processes.iter().enumerate() {
            if !process.has_ended() {
                actions.push(Action::Goes(who, process.at));
                if state.deaths > 0 && process.at != At::Start {
                    actions.push(Action::Dies(who));
                }
            }
            if matches!(process.at, At::Stand(_, None)) {
                actions.push(Action::ListsTheTag(who));
            }
            if matches!(process.at, At::Stand(..)) && process.was_noted {
                actions.push(Action::LosesPatience(who));
            }
            if self.sending(state, who).is_some() {
                if state.deaths > 0 {
                    actions.push(Action::DiesAsItSends(who));
                }
                if state.delays > 0 {
                    actions.push(Action::IsDelayed(who));
                }
            }
            if Self::has_notes(state, who) && self.is_past(state, who) {
                actions.push(Action::TimePasses(who));
            }
        }
        actions.extend(state.late.iter().map(|(who, late)| Action::Arrives(*who, *late)));
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Goes(who, _) => self.go(&mut state, who)?,
            Action::ListsTheTag(who) => {
                let At::Stand(at_link, None) = state.processes[who].at else { return None };
                let at_tag = Some((state.notes_at_tag != 0, state.tag.is_some()));
                state.processes[who].at = self.judge(&mut state, who, at_link, at_tag);
            }
            Action::LosesPatience(who) => state.processes[who].at = At::OutOfPatience,
            Action::Dies(who) => {
                state.processes[who].at = At::Dead;
                state.deaths -= 1;
            }
            Action::DiesAsItSends(who) => {
                let late = self.sending(&state, who)?;
                state.late.push((who, late));
                state.processes[who].at = At::Dead;
                state.deaths -= 1;
            }
            Action::IsDelayed(who) => {
                let late = self.sending(&state, who)?;
                state.late.push((who, late));
                // A plain one leaves no notes.
                state.processes[who].in_doubt = matches!(late, Late::Tag { .. });
                state.delays -= 1;
            }
            Action::Arrives(who, late) => {
                let at = state.late.iter().position(|sent| *sent == (who, late))?;
                state.late.remove(at);
                state.arrive(late);
            }
            Action::TimePasses(who) => {
                let others = !(Self::note(who, false) | Self::note(who, true));
                state.notes_at_link = state.notes_at_link.map(|notes| notes & others);
                state.notes_at_tag &= others;
            }
        }
        state.late.sort_unstable();
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::<Self>::always(STANDS, Self::stands),
            Property::<Self>::always(IS_WHOLE, Self::is_whole),
            Property::<Self>::always(IS_LEFT, Self::is_left),
            Property::<Self>::always(IS_LINKED, |model, state| {
                !state.is_over()
                    || state.tag.is_none_or(|manifest| state.links[manifest])
                    || state.lost_its_entry
                    || state.was_undone_late
                    || model.gave_up(state)
                    || model.died_deleting(state)
            }),
            Property::<Self>::always(IS_KNOWN, |model, state| {
                !state.is_over()
                    || state.tag.is_none_or(|manifest| state.entries[manifest])
                    || state.lost_its_entry
                    || model.gave_up(state)
                    || model.died_deleting(state)
            }),
            Property::<Self>::always(GOES_ON, |model, state| {
                let held = (0..state.processes.len()).filter(|who| Self::has_notes(state, *who));
                let mut held = held;
                held.all(|who| {
                    let is_held_up = |process: &Process| {
                        matches!(process.at, At::Stand(..)) && process.was_noted
                    };
                    !state.processes[who].has_ended()
                        || model.is_past(state, who)
                        || state.late.iter().any(|(sender, _)| *sender == who)
                        || !state
                            .processes
                            .iter()
                            .all(|other| other.has_ended() || is_held_up(other))
                })
            }),
            Property::<Self>::sometimes("everything is done", |_, state| {
                state.processes.iter().all(|process| process.at == At::Done)
            }),
        ]
    }
}

/// A manifest is deleted while the same is pushed once more to its tag.
fn same() -> Tagging {
    Tagging {
        is_conditional: true,
        requests: vec![Request::Push(0), Request::DeleteManifest(0)],
        first: Some(0),
        known: vec![],
        has_history: true,
        deaths: 0,
        delays: 0,
        broken: None,
    }
}

/// A manifest is deleted while its tag is moved to another.
fn other() -> Tagging {
    Tagging { requests: vec![Request::Push(1), Request::DeleteManifest(0)], ..same() }
}

/// A tag that never was is pushed while its manifest is deleted.
fn new_tag() -> Tagging {
    Tagging { first: None, known: vec![0], has_history: false, ..same() }
}

fn of_both_kinds(name: &str, floor: usize, model: &Tagging) {
    holds(&format!("tagging, {name}, conditions heeded"), floor, model.clone());
    let model = Tagging { is_conditional: false, ..model.clone() };
    holds(&format!("tagging, {name}, none heeded"), floor, model);
}

#[test]
fn the_same_manifest_is_pushed_while_it_is_deleted() {
    of_both_kinds("the same", 3_000, &same());
}

#[test]
fn a_tag_that_never_was_is_pushed_while_its_manifest_is_deleted() {
    of_both_kinds("a new tag", 1_800, &Tagging { deaths: 1, ..new_tag() });
}

#[test]
fn another_manifest_is_pushed_while_one_is_deleted() {
    of_both_kinds("another", 150, &other());
    of_both_kinds("another of before", 340, &Tagging { known: vec![1], ..other() });
}

#[test]
fn processes_die_and_requests_are_delayed_while_the_same_is_pushed() {
    of_both_kinds("the same, a death", 7_000, &Tagging { deaths: 1, ..same() });
    of_both_kinds("the same, a delay", 20_000, &Tagging { delays: 1, ..same() });
}

#[test]
fn processes_die_and_requests_are_delayed_while_another_is_pushed() {
    of_both_kinds("another, a death", 300, &Tagging { deaths: 1, ..other() });
    of_both_kinds("another, a delay", 600, &Tagging { delays: 1, ..other() });
}

#[test]
fn two_pushes_meet_one_delete() {
    let requests = vec![Request::Push(0), Request::Push(1), Request::DeleteManifest(0)];
    let model = Tagging { requests, ..same() };
    holds("tagging, two pushes, conditions heeded", 70_000, model.clone());
    if is_large() {
        let model = Tagging { is_conditional: false, ..model };
        holds("tagging, two pushes, none heeded", 70_000, model);
    }
}

#[test]
fn a_push_meets_a_delete_of_its_tag() {
    let requests = vec![Request::Push(0), Request::DeleteTag];
    of_both_kinds("a delete of the tag", 190, &Tagging { requests, ..same() });
}

#[test]
fn a_push_meets_two_deletes() {
    if is_large() {
        of_both_kinds("two deletes", 300_000, &two_deletes());
        of_both_kinds("deletes of both", 200_000, &deletes_of_both());
        let model =
            Tagging { broken: Some(Broken::DoesNotLookAfterAnEntryOfItsOwn), ..two_deletes() };
        is_caught("tagging, entry of its own", IS_LINKED, model);
        let broken = Some(Broken::DoesNotLookAfterWhatItGaveBack);
        let model = Tagging { broken, ..deletes_of_both() };
        is_caught("tagging, entry given back", IS_LINKED, model);
    }
}

fn two_deletes() -> Tagging {
    let requests = vec![Request::Push(0), Request::DeleteManifest(0), Request::DeleteManifest(0)];
    Tagging { requests, ..same() }
}

fn deletes_of_both() -> Tagging {
    let requests = vec![Request::Push(0), Request::DeleteTag, Request::DeleteManifest(0)];
    Tagging { requests, ..same() }
}

fn broken(broken: Broken, model: Tagging) -> Tagging {
    Tagging { broken: Some(broken), ..model }
}

#[test]
fn a_push_that_does_not_look_what_stands_is_caught() {
    let model = Tagging { is_conditional: false, ..other() };
    let model = broken(Broken::DoesNotLookWhatStands, model);
    is_caught("tagging, no look", IS_LEFT, model);
}

#[test]
fn a_delete_that_looks_before_it_leaves_its_note_is_caught() {
    let model = Tagging { is_conditional: false, ..other() };
    let model = broken(Broken::LooksBeforeItsNote, model);
    is_caught("tagging, look before the note", IS_LEFT, model);
}

#[test]
fn a_delete_that_leaves_no_note_is_caught() {
    let model = broken(Broken::LeavesNoNote, Tagging { is_conditional: false, ..other() });
    is_caught("tagging, no note", IS_LEFT, model);
    is_caught(
        "tagging, no note",
        STANDS,
        broken(Broken::LeavesNoNote, Tagging { deaths: 1, ..same() }),
    );
}

#[test]
fn a_first_pass_without_a_note_is_caught() {
    let model = Tagging { deaths: 1, ..same() };
    let model = broken(Broken::LeavesNoNoteInTheFirstPass, model);
    is_caught("tagging, no note in the first pass", STANDS, model);
}

#[test]
fn history_behind_the_tag_is_caught() {
    let model = Tagging { first: None, ..same() };
    let model = Tagging { known: vec![], ..broken(Broken::HistoryAfterTheTag, model) };
    let model = Tagging { requests: vec![Request::Push(0), Request::DeleteManifest(0)], ..model };
    is_caught("tagging, history last", IS_LINKED, model);
}

#[test]
fn a_note_that_is_passed_over_too_early_is_caught() {
    let model = Tagging { deaths: 1, ..same() };
    let model = broken(Broken::PassesOverNotesTooEarly, model);
    is_caught("tagging, note passed over early", STANDS, model);
}

#[test]
fn a_note_that_is_never_passed_over_is_caught() {
    let model = Tagging { deaths: 1, ..same() };
    let model = broken(Broken::NeverPassesOverNotes, model);
    is_caught("tagging, note for ever", GOES_ON, model);
}

#[test]
fn notes_that_are_taken_away_in_doubt_are_caught() {
    let model = Tagging { delays: 1, ..same() };
    let model = broken(Broken::TakesNotesAwayInDoubt, model);
    is_caught("tagging, note taken away in doubt", STANDS, model);
}

#[test]
fn a_delete_without_a_second_pass_and_a_push_that_takes_nothing_back_are_caught() {
    is_caught("tagging, one pass", IS_LINKED, broken(Broken::HasNoSecondPass, same()));
    is_caught("tagging, not taken back", IS_LINKED, broken(Broken::DoesNotTakeBack, same()));
}

#[test]
fn a_push_that_keeps_an_entry_and_does_not_look_after_it_is_caught() {
    let model = broken(Broken::DoesNotSettleAgain, same());
    is_caught("tagging, entry not looked after", IS_KNOWN, model);
}

#[test]
fn an_entry_that_is_not_given_back_is_caught() {
    let model = broken(Broken::DoesNotGiveEntriesBack, other());
    is_caught("tagging, entry not given back", IS_KNOWN, model);
}

#[test]
fn entries_of_what_is_pushed_again_that_are_removed_are_caught() {
    let model = broken(Broken::RemovesEntriesOfWhatIsPushedAgain, new_tag());
    is_caught("tagging, entry of a new push", IS_KNOWN, model);
}
