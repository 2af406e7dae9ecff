//! Is a blob what was hashed, and a session what its clients were told, on S3, whoever goes on with it at the same time?
//!
//! **What it follows**: `uploads/mod.rs`, `uploads/session.rs`, `blobs.rs` (`commit`), `purge.rs` (the end of a session),
//! and of `backend/s3` `session.rs`, `record.rs`, `writer.rs`, `assemble.rs`, `place.rs`, `remove.rs`. One session; bytes
//! are numbers, one for each body that a client sends.
//!
//! **An action** is one request to S3. Bytes are read, or copied within the server, one piece at a time.
//!
//! **At any time** the process that serves a request may die, and what it had just sent then arrives later, or never; the
//! answer to a completion may be lost, and it is sent again; expiry may abort the upload in parts of a commit that takes
//! too long. A client goes on from any tip that it was ever told, in any order, or from what is found latest: so it sends
//! again what was not answered, and what was.
//!
//! **Left out.** Bodies that break off, which are shorter ones; pieces that are put together because they are small, whose
//! bytes are read and written under names of their own as all are; the parts of a segment, which is there when it is
//! completed and not before. Requests that are refused: they are sent again, or end the request as a death does.

use stateright::{Model, Property};

use crate::check::{holds, is_caught, is_large};

const IS_HASHED: &str = "what has the name of a digest is what was hashed";
const IS_STORED: &str = "what a client was told is stored as long as the session is there";
const IS_KEPT: &str = "a commit that was acknowledged has its blob and its link";
const IS_FINISHED: &str = "until it is cancelled there is the session, or what it was to become";
const IS_TOLD: &str = "a commit that finds no session comes behind a cancel, or one that was done";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Broken {
    /// As Distribution does: each part has its place, by the offset at which it begins.
    WritesPartsInPlace,
    /// As Distribution does: the state of the hash lies beside the bytes, by their number.
    KeepsHashesByOffset,
    KeepsRecordsByDepth,
    TellsBeforeTheRecord,
    RemovesTheSessionBeforeTheLink,
    TakesALostUploadForDone,
    KeepsWhateverTheSize,
}

/// Bytes, in order; those of a digest are what it is of.
type Bytes = Vec<u8>;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Request {
    Append(u8),
    /// With a last body, or none.
    Commit(Option<u8>, Bytes),
    Cancel,
}

#[derive(Clone, Debug)]
struct Uploading {
    /// They begin in this order.
    requests: Vec<Request>,
    /// How many are served at the same time.
    at_once: usize,
    is_conditional: bool,
    /// What is found as the blob at first is cut off.
    is_damaged: bool,
    deaths: u8,
    lost_answers: u8,
    aborts: u8,
    broken: Option<Broken>,
}

/// Where bytes are, and which they are: the ETag that they must have.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Piece {
    segment: usize,
    bytes: Bytes,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Record {
    pieces: Vec<Piece>,
    /// Over which bytes the hash is.
    hash: Bytes,
}

impl Record {
    fn length(&self) -> usize {
        self.pieces.len()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum At {
    Start,
    Load,
    WriteSegment,
    WriteRecord,
    Look,
    Copy(usize),
    Complete,
    Link,
    DropMark,
    DropRest,
    Done,
    Unknown,
    Mismatch,
    Dead,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Process {
    at: At,
    /// The record that it begins at; none for the latest.
    tip: Option<usize>,
    record: Option<Record>,
    /// What has been put together for the blob.
    made: Bytes,
    found_damage: bool,
}

/// A request that comes when its sender is dead.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Late {
    Record(Record),
    Complete(Bytes, Bytes),
    Link(Bytes),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    mark: bool,
    segments: Vec<Option<Bytes>>,
    records: Vec<Option<Record>>,
    /// What clients were told: a record, and how many bytes it has; and which those are.
    told: Vec<(usize, Bytes)>,
    /// Hashes by the number of bytes, where they are kept so.
    hashes: Vec<(usize, Bytes)>,
    /// By what they are the digest of.
    blobs: Vec<(Bytes, Bytes)>,
    links: Vec<Bytes>,
    processes: Vec<Process>,
    late: Vec<Late>,
    deaths: u8,
    lost_answers: u8,
    aborts: u8,
    was_cancelled: bool,
    was_kept: bool,
    was_healed: bool,
    was_made_twice: bool,
}

#[derive(Clone, Debug, PartialEq)]
enum Action {
    Begins(usize, Option<usize>),
    Goes(usize, At),
    LosesTheAnswer(usize),
    IsAborted(usize),
    Dies(usize),
    DiesAsItSends(usize),
    Arrives(Late),
}

impl Process {
    fn is_under_way(&self) -> bool {
        self.at != At::Start && !self.has_ended()
    }

    const fn has_ended(&self) -> bool {
        matches!(self.at, At::Done | At::Unknown | At::Mismatch | At::Dead)
    }
}

impl State {
    fn blob(&self, digest: &Bytes) -> Option<&Bytes> {
        self.blobs.iter().find(|(name, _)| name == digest).map(|(_, bytes)| bytes)
    }

    fn put_blob(&mut self, digest: &Bytes, bytes: Bytes) {
        self.blobs.retain(|(name, _)| name != digest);
        self.blobs.push((digest.clone(), bytes));
        self.blobs.sort();
    }

    fn link(&mut self, digest: &Bytes) {
        if !self.links.contains(digest) {
            self.links.push(digest.clone());
            self.links.sort();
        }
    }

    /// The latest record: the longest chain first.
    fn latest(&self) -> Option<usize> {
        let there = self.records.iter().enumerate();
        let there = there.filter_map(|(name, record)| Some((record.as_ref()?.length(), name)));
        there.max().map(|(_, name)| name)
    }

    fn read(&self, piece: &Piece, by_place: bool) -> Option<Bytes> {
        let found = self.segments.get(piece.segment)?.clone()?;
        (by_place || found == piece.bytes).then_some(found)
    }
}

impl Uploading {
    fn is_broken(&self, broken: Broken) -> bool {
        self.broken == Some(broken)
    }

    fn body(&self, who: usize) -> Option<u8> {
        match &self.requests[who] {
            Request::Append(body) => Some(*body),
            Request::Commit(body, _) => *body,
            Request::Cancel => None,
        }
    }

    fn digest(&self, who: usize) -> Option<&Bytes> {
        match &self.requests[who] {
            Request::Commit(_, digest) => Some(digest),
            Request::Append(_) | Request::Cancel => None,
        }
    }

    /// One request to S3.
    fn go(&self, state: &mut State, who: usize) -> Option<()> {
        let at = state.processes[who].at;
        let next = match at {
            At::Load => self.load(state, who),
            At::WriteSegment => self.write_segment(state, who)?,
            At::WriteRecord => {
                let record = state.processes[who].record.clone()?;
                self.write_record(state, record);
                At::Done
            }
            At::Look | At::Copy(_) | At::Complete => self.promote(state, who, at)?,
            At::Link => {
                state.link(self.digest(who)?);
                match self.is_broken(Broken::RemovesTheSessionBeforeTheLink) {
                    true => At::Done,
                    false => At::DropMark,
                }
            }
            At::DropMark => {
                state.mark = false;
                state.was_cancelled |= self.requests[who] == Request::Cancel;
                At::DropRest
            }
            At::DropRest => {
                state.segments.iter_mut().for_each(|segment| *segment = None);
                state.records.iter_mut().for_each(|record| *record = None);
                let links = self.is_broken(Broken::RemovesTheSessionBeforeTheLink);
                if links && self.digest(who).is_some() { At::Link } else { At::Done }
            }
            At::Start | At::Done | At::Unknown | At::Mismatch | At::Dead => return None,
        };
        let process = &mut state.processes[who];
        process.at = next;
        if process.has_ended() {
            process.record = None;
            process.made.clear();
        }
        Some(())
    }

    /// The record that a request begins at, with the state of the hash over just its bytes.
    fn load(&self, state: &mut State, who: usize) -> At {
        let name = state.processes[who].tip.or_else(|| state.latest());
        let Some(mut record) = name.and_then(|name| state.records[name].clone()) else {
            return At::Unknown;
        };
        if self.is_broken(Broken::KeepsHashesByOffset) {
            let length = record.length();
            let kept = state.hashes.iter().find(|(of, _)| *of == length);
            record.hash = kept.map_or_else(Bytes::new, |(_, hash)| hash.clone());
        }
        state.processes[who].record = Some(record);
        match (&self.requests[who], self.body(who)) {
            (Request::Cancel, _) => At::DropMark,
            (_, Some(_)) => At::WriteSegment,
            (_, None) => self.verify(state, who),
        }
    }

    /// The bytes of one request, at a name of their own.
    fn write_segment(&self, state: &mut State, who: usize) -> Option<At> {
        let body = self.body(who)?;
        let record = state.processes[who].record.as_mut()?;
        let place = record.length();
        let segment = match self.is_broken(Broken::WritesPartsInPlace) {
            true => place,
            false => state.segments.len(),
        };
        if state.segments.len() <= segment {
            state.segments.resize(segment + 1, None);
        }
        state.segments[segment] = Some(vec![body]);
        record.pieces.push(Piece { segment, bytes: vec![body] });
        record.hash.push(body);
        if self.digest(who).is_some() {
            return Some(self.verify(state, who));
        }
        if self.is_broken(Broken::TellsBeforeTheRecord) {
            let bytes = record.hash.clone();
            let name = state.records.len();
            state.records.push(None);
            state.told.push((name, bytes));
        }
        Some(At::WriteRecord)
    }

    fn write_record(&self, state: &mut State, record: Record) {
        let bytes: Bytes = record.pieces.iter().flat_map(|piece| piece.bytes.clone()).collect();
        if self.is_broken(Broken::KeepsHashesByOffset) {
            state.hashes.retain(|(of, _)| *of != record.length());
            state.hashes.push((record.length(), record.hash.clone()));
        }
        let depth = record.length();
        let name = match self.is_broken(Broken::KeepsRecordsByDepth) {
            true => depth,
            false => state.records.len(),
        };
        if state.records.len() <= name {
            state.records.resize(name + 1, None);
        }
        state.records[name] = Some(record);
        state.told.push((name, bytes));
        state.told.sort();
    }

    /// What was hashed is compared with the digest.
    fn verify(&self, state: &State, who: usize) -> At {
        let hashed = state.processes[who].record.as_ref().map(|record| &record.hash);
        if hashed == self.digest(who) { At::Look } else { At::Mismatch }
    }

    /// `place`: a look, the copies, the completion; and again if somebody else was first.
    fn promote(&self, state: &mut State, who: usize, at: At) -> Option<At> {
        let digest = self.digest(who)?.clone();
        let pieces = state.processes[who].record.clone()?.pieces;
        let by_place = self.is_broken(Broken::WritesPartsInPlace);
        Some(match at {
            At::Look => {
                let found = state.blob(&digest).map(Vec::len);
                let keeps = self.is_broken(Broken::KeepsWhateverTheSize) && found.is_some();
                if found == Some(digest.len()) || keeps {
                    state.was_kept = true;
                    return Some(self.placed());
                }
                let process = &mut state.processes[who];
                process.found_damage = found.is_some();
                process.made.clear();
                At::Copy(0)
            }
            At::Copy(piece) if piece == pieces.len() => At::Complete,
            At::Copy(piece) => match state.read(&pieces[piece], by_place) {
                Some(bytes) => {
                    state.processes[who].made.extend(bytes);
                    At::Copy(piece + 1)
                }
                None => At::Unknown,
            },
            At::Complete => {
                let process = &state.processes[who];
                let is_there = state.blob(&digest).is_some();
                if is_there && self.is_conditional && !process.found_damage {
                    return Some(At::Look);
                }
                let made = process.made.clone();
                state.was_healed |= process.found_damage;
                state.put_blob(&digest, made);
                self.placed()
            }
            _ => return None,
        })
    }

    const fn placed(&self) -> At {
        match self.broken {
            Some(Broken::RemovesTheSessionBeforeTheLink) => At::DropMark,
            _ => At::Link,
        }
    }

    /// What a process is about to send that may come behind its death.
    fn sending(&self, state: &State, who: usize) -> Option<Late> {
        let process = &state.processes[who];
        match process.at {
            At::WriteRecord => Some(Late::Record(process.record.clone()?)),
            At::Complete => Some(Late::Complete(self.digest(who)?.clone(), process.made.clone())),
            At::Link => Some(Late::Link(self.digest(who)?.clone())),
            _ => None,
        }
    }

    fn arrive(&self, state: &mut State, late: Late) {
        match late {
            // Nobody was told of it.
            Late::Record(record) => {
                self.write_record(state, record);
                let name = state.records.len() - 1;
                state.told.retain(|(told, _)| *told != name);
            }
            Late::Complete(digest, bytes) => {
                if !self.is_conditional || state.blob(&digest).is_none() {
                    state.put_blob(&digest, bytes);
                }
            }
            Late::Link(digest) => state.link(&digest),
        }
    }

    fn is_stored(&self, state: &State, (name, told): &(usize, Bytes)) -> bool {
        let Some(record) = &state.records[*name] else { return false };
        let mut found = Bytes::new();
        for piece in &record.pieces {
            match state.read(piece, true) {
                Some(bytes) => found.extend(bytes),
                None => return false,
            }
        }
        found == *told
    }
}

impl Model for Uploading {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let begun = Record { pieces: Vec::new(), hash: Bytes::new() };
        let process = Process {
            at: At::Start,
            tip: None,
            record: None,
            made: Bytes::new(),
            found_damage: false,
        };
        let digests = (0..self.requests.len()).filter_map(|who| self.digest(who));
        let cut = |digest: &Bytes| (digest.clone(), digest[1..].to_vec());
        let mut blobs: Vec<_> = digests.filter(|_| self.is_damaged).map(cut).collect();
        blobs.sort();
        blobs.dedup();
        vec![State {
            mark: true,
            segments: Vec::new(),
            records: vec![Some(begun)],
            told: vec![(0, Bytes::new())],
            hashes: Vec::new(),
            blobs,
            links: Vec::new(),
            processes: vec![process; self.requests.len()],
            late: Vec::new(),
            deaths: self.deaths,
            lost_answers: self.lost_answers,
            aborts: self.aborts,
            was_cancelled: false,
            was_kept: false,
            was_healed: false,
            was_made_twice: false,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let served = state.processes.iter().filter(|process| process.is_under_way()).count();
        let next = state.processes.iter().position(|process| process.at == At::Start);
        for (who, process) in state.processes.iter().enumerate() {
            if process.at == At::Start && (served == self.at_once || next != Some(who)) {
                continue;
            }
            if process.at == At::Start {
                let told = state.told.iter().map(|(name, _)| Some(*name));
                let is_cancel = self.requests[who] == Request::Cancel;
                let tips = told.filter(|_| !is_cancel).chain([None]);
                actions.extend(tips.map(|tip| Action::Begins(who, tip)));
                continue;
            }
            if process.has_ended() {
                continue;
            }
            actions.push(Action::Goes(who, process.at));
            if process.at == At::Complete && state.lost_answers > 0 {
                actions.push(Action::LosesTheAnswer(who));
            }
            if process.at == At::Complete && state.aborts > 0 {
                actions.push(Action::IsAborted(who));
            }
            if state.deaths > 0 {
                actions.push(Action::Dies(who));
                if self.sending(state, who).is_some() {
                    actions.push(Action::DiesAsItSends(who));
                }
            }
        }
        actions.extend(state.late.iter().cloned().map(Action::Arrives));
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Begins(who, tip) => {
                let process = &mut state.processes[who];
                process.tip = tip;
                process.at = if state.mark { At::Load } else { At::Unknown };
            }
            Action::Goes(who, _) => self.go(&mut state, who)?,
            Action::LosesTheAnswer(who) => {
                self.go(&mut state, who)?;
                // It is sent again, and there is no such upload any more.
                state.processes[who].at = At::Look;
                state.lost_answers -= 1;
            }
            Action::IsAborted(who) => {
                state.processes[who].at = match self.is_broken(Broken::TakesALostUploadForDone) {
                    true => At::Link,
                    false => At::Look,
                };
                state.was_made_twice = true;
                state.aborts -= 1;
            }
            Action::Dies(who) => self.die(&mut state, who),
            Action::DiesAsItSends(who) => {
                let late = self.sending(&state, who)?;
                state.late.push(late);
                self.die(&mut state, who);
            }
            Action::Arrives(late) => {
                let at = state.late.iter().position(|sent| *sent == late)?;
                state.late.remove(at);
                self.arrive(&mut state, late);
            }
        }
        state.late.sort();
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::<Self>::always(IS_HASHED, |model, state| {
                let is_hashed = |(digest, bytes): &(Bytes, Bytes)| {
                    digest == bytes || model.is_damaged && bytes[..] == digest[1..]
                };
                state.blobs.iter().all(is_hashed)
            }),
            Property::<Self>::always(IS_STORED, |model, state| {
                !state.mark || state.told.iter().all(|told| model.is_stored(state, told))
            }),
            Property::<Self>::always(IS_KEPT, |model, state| {
                (0..model.requests.len()).all(|who| match model.digest(who) {
                    Some(digest) if state.processes[who].at == At::Done => {
                        state.blob(digest) == Some(digest) && state.links.contains(digest)
                    }
                    _ => true,
                })
            }),
            Property::<Self>::always(IS_FINISHED, |_, state| {
                state.mark || state.was_cancelled || !state.links.is_empty()
            }),
            Property::<Self>::always(IS_TOLD, |model, state| {
                let is_unknown = |who: &usize| {
                    model.digest(*who).is_some() && state.processes[*who].at == At::Unknown
                };
                !(0..model.requests.len()).any(|who| is_unknown(&who))
                    || state.was_cancelled
                    || !state.links.is_empty()
            }),
            Property::<Self>::sometimes("there are two branches", |_, state| {
                let first = |record: &&Record| record.length() == 1;
                state.records.iter().flatten().filter(first).count() > 1
            }),
            Property::<Self>::sometimes("a commit is acknowledged", |model, state| {
                let mut all = (0..model.requests.len()).filter(|who| model.digest(*who).is_some());
                all.any(|who| state.processes[who].at == At::Done)
            }),
            Property::<Self>::sometimes("what does not match is refused", |_, state| {
                state.processes.iter().any(|process| process.at == At::Mismatch)
            }),
        ];
        if self.lost_answers > 0 {
            let name = "what was completed without an answer is found";
            properties.push(Property::<Self>::sometimes(name, |_, state| state.was_kept));
        }
        if self.aborts > 0 {
            let name = "what was aborted is made once more";
            properties.push(Property::<Self>::sometimes(name, |model, state| {
                let is_done = |who: usize| state.processes[who].at == At::Done;
                let mut all = (0..model.requests.len()).filter(|who| model.digest(*who).is_some());
                state.was_made_twice && all.any(is_done)
            }));
        }
        if self.is_damaged {
            let name = "a damaged blob is healed";
            properties.push(Property::<Self>::sometimes(name, |_, state| state.was_healed));
        }
        if self.requests.contains(&Request::Cancel) {
            let name = "a commit is acknowledged though the session was cancelled";
            properties.push(Property::<Self>::sometimes(name, |_, state| {
                state.was_cancelled && !state.links.is_empty()
            }));
        }
        properties
    }
}

impl Uploading {
    fn die(&self, state: &mut State, who: usize) {
        let process = &mut state.processes[who];
        process.at = At::Dead;
        process.record = None;
        process.made.clear();
        state.deaths -= 1;
    }
}

fn append(body: u8) -> Request {
    Request::Append(body)
}

fn commit(body: Option<u8>, digest: &[u8]) -> Request {
    Request::Commit(body, digest.to_vec())
}

/// A body is sent twice, with other bytes the second time; each is gone on with.
fn branches() -> Uploading {
    Uploading {
        requests: vec![append(1), append(2), commit(Some(3), &[1, 3]), commit(Some(3), &[2, 3])],
        at_once: 2,
        is_conditional: true,
        is_damaged: false,
        deaths: 0,
        lost_answers: 0,
        aborts: 0,
        broken: None,
    }
}

/// A body is sent twice, and the commit too.
fn retries() -> Uploading {
    Uploading {
        requests: vec![append(1), append(1), commit(None, &[1]), commit(None, &[1])],
        lost_answers: 1,
        ..branches()
    }
}

#[test]
fn two_branches_of_a_session_are_committed() {
    holds("uploading, two branches", 28_000, branches());
}

#[test]
fn a_commit_is_sent_again_whatever_became_of_it() {
    holds("uploading, retries", 200_000, Uploading { deaths: 1, ..retries() });
    holds(
        "uploading, retries, no conditions",
        29_000,
        Uploading { is_conditional: false, ..retries() },
    );
}

#[test]
fn an_upload_is_aborted_while_it_is_put_together() {
    holds("uploading, aborts", 32_000, Uploading { lost_answers: 0, aborts: 1, ..retries() });
}

#[test]
fn a_session_is_cancelled_while_it_is_committed() {
    let requests = vec![append(1), append(2), commit(None, &[1]), Request::Cancel];
    holds("uploading, a cancel", 20_000, Uploading { requests, deaths: 1, ..branches() });
}

#[test]
fn a_damaged_blob_is_replaced_by_a_commit() {
    holds(
        "uploading, damage",
        16_000,
        Uploading { is_damaged: true, lost_answers: 0, ..retries() },
    );
}

#[test]
fn more_of_all_that_can_happen_to_uploads() {
    if is_large() {
        holds("uploading, branches and deaths", 28_000, Uploading { deaths: 2, ..branches() });
        holds("uploading, three at once", 28_000, Uploading { at_once: 3, ..branches() });
        let mut model = Uploading { deaths: 1, aborts: 1, lost_answers: 1, ..branches() };
        model.requests.push(Request::Cancel);
        holds("uploading, all of it", 28_000, model);
    }
}

fn broken(broken: Broken, model: Uploading) -> Uploading {
    Uploading { broken: Some(broken), ..model }
}

#[test]
fn parts_that_are_written_in_place_are_caught() {
    let model = broken(Broken::WritesPartsInPlace, branches());
    is_caught("uploading, parts in place", IS_HASHED, model.clone());
    is_caught("uploading, parts in place", IS_STORED, model);
}

#[test]
fn hashes_that_are_kept_by_offset_are_caught() {
    let model = broken(Broken::KeepsHashesByOffset, branches());
    is_caught("uploading, hashes by offset", IS_HASHED, model);
}

#[test]
fn records_that_are_kept_by_depth_are_caught() {
    let model = broken(Broken::KeepsRecordsByDepth, branches());
    is_caught("uploading, records by depth", IS_STORED, model);
}

#[test]
fn an_answer_before_the_record_is_caught() {
    let model = broken(Broken::TellsBeforeTheRecord, branches());
    is_caught("uploading, answer first", IS_STORED, model);
}

#[test]
fn a_session_that_is_removed_before_the_link_is_caught() {
    let model = broken(Broken::RemovesTheSessionBeforeTheLink, retries());
    is_caught("uploading, session first", IS_FINISHED, model.clone());
    is_caught("uploading, session first", IS_TOLD, model);
}

#[test]
fn an_upload_that_is_gone_and_taken_for_done_is_caught() {
    let model = Uploading { aborts: 1, ..broken(Broken::TakesALostUploadForDone, retries()) };
    is_caught("uploading, gone is done", IS_KEPT, model);
}

#[test]
fn a_damaged_blob_that_a_commit_keeps_is_caught() {
    let model = Uploading { is_damaged: true, ..broken(Broken::KeepsWhateverTheSize, retries()) };
    is_caught("uploading, damage kept", IS_KEPT, model);
}
