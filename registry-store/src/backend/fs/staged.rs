//! [`StagedFile`]: an object that is being written: an upload session, or a file without a name.
//!
//! A session is a directory in Distribution's own format: its bytes lie in `data`, and a lock on that file
//! (`flock`) is held by whoever writes. Beside it lies a [`record`] of ours. The orders that
//! keep it truthful:
//!
//! * record durable, by its name too → the first byte of ours written: bytes that no record speaks of are
//!   another program's;
//! * bytes synced → record that calls them durable;
//! * cut in the record, durable by its name too → cut of the bytes: no note outlives bytes it vouched for;
//! * bytes synced → object named → its directory synced. From then on `data` and the object are one file, and
//!   that it has two names is what says that the session was promoted.
//!
//! Where the filesystem has no hard links the object is a copy, and the session can still be added to.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep};

use super::durable::{Parents, locked};
use super::fault::{fault, foreign, is_missing, write_fault};
use super::lock::lock_replacing;
use super::naming::Named;
use super::record::{self, Record};
use super::system::{Kind, Open, System};
use super::temp::{Content, Place, Temp};
use super::{OpenFile, Root, blocking};
use crate::backend::{
    Error, ErrorKind, Key, LockMode, OpenSession, Promotion, Result, SessionKeys, Stage, Staged,
    Tip,
};

/// A session is synced when a note is kept and so many bytes were added since the last time. Notes in between
/// vouch for their bytes as long as the machine runs. Where nobody is told for how long that is, each note syncs.
const SYNC_EVERY: u64 = 64 << 20;
/// The kernel is made to begin writing whenever so many bytes were added, so that the last sync is short.
const WRITE_BACK_EVERY: u64 = 8 << 20;
/// How long a session that another process holds is waited for, and how often it is tried meanwhile.
const PATIENCE: Duration = Duration::from_secs(5);
const REST: Duration = Duration::from_millis(50);

/// Opens a staging. See [`Backend::stage`](crate::backend::Backend::stage).
pub(super) async fn open<S: System>(
    root: Arc<Root<S>>,
    stage: Stage<'_>,
) -> Result<Box<dyn Staged>> {
    match stage {
        Stage::Final { key } => open_final(root, key.clone()).await,
        Stage::Session { keys, open } => open_session(root, keys.clone(), open).await,
    }
}

async fn open_final<S: System>(root: Arc<Root<S>>, key: Key) -> Result<Box<dyn Staged>> {
    blocking("stage", move || {
        root.before_writing()?;
        let temp = root.temp();
        let temp = temp.map_err(|error| write_fault("stage", &key, error))?;
        let file = Arc::clone(temp.file());
        let state = State {
            record: Record::new(&root.boot),
            is_recorded: true,
            is_listed: true,
            names: u64::from(temp.name().is_some()),
            temp: Some(temp),
            ..State::new(&root)
        };
        Ok(StagedFile::boxed(root, Home::Final(key), file, 0, state))
    })
    .await
}

async fn open_session<S: System>(
    root: Arc<Root<S>>,
    keys: SessionKeys,
    open: OpenSession,
) -> Result<Box<dyn Staged>> {
    let deadline = Instant::now() + PATIENCE;
    let (begun, at) = (Arc::clone(&root), keys.clone());
    let (mut file, parents) = blocking("stage", move || begun.open_data(&at, &open)).await?;
    let mut parents = Some(parents);
    loop {
        let (root, at, made) = (Arc::clone(&root), keys.clone(), parents.take());
        let tried = blocking("stage", move || {
            let failed = |error| fault("stage", &at.data, error);
            if !root.system.try_lock(&file, LockMode::Exclusive).map_err(failed)? {
                return Ok(Err((file, made)));
            }
            let parents = made.unwrap_or_else(|| Parents::below(&root.path));
            load(root, at, file, parents).map(Ok)
        });
        match tried.await? {
            Ok(staged) => return Ok(staged),
            Err(_) if Instant::now() >= deadline => {
                return Err(Error::new(ErrorKind::Busy, "stage").at(&keys.data));
            }
            Err((back, made)) => (file, parents) = (back, made),
        }
        sleep(REST).await;
    }
}

/// Takes up a session whose lock is held.
fn load<S: System>(
    root: Arc<Root<S>>,
    keys: SessionKeys,
    file: S::File,
    parents: Parents,
) -> Result<Box<dyn Staged>> {
    let failed = |error| fault("stage", &keys.data, error);
    let stat = root.system.stat_file(&file).map_err(failed)?;
    if stat.kind != Kind::File {
        return Err(failed(foreign("a regular file")));
    }
    if stat.links == 0 {
        // Whoever held it before has ended it.
        return Err(Error::new(ErrorKind::NotFound, "stage").at(&keys.data));
    }
    let mut state = State::new(&root);
    state.parents = parents;
    let mut size = stat.size;
    if stat.links > 1 {
        state.is_promoted = true;
    } else {
        let kept = root.read_record(&keys.record).map_err(failed)?;
        size = state.take_up(&root, kept, size);
        if size < stat.size {
            root.system.truncate(&file, size).map_err(failed)?;
        }
        state.is_listed = root.is_listed(&keys).map_err(failed)?;
    }
    let home = Home::Session(keys);
    Ok(StagedFile::boxed(root, home, Arc::new(file), size, state))
}

/// A staging. All its work is done one after the other, each to its end, also if a future is dropped.
struct StagedFile<S: System> {
    shared: Arc<Shared<S>>,
}

pub(super) struct Shared<S: System> {
    pub(super) root: Arc<Root<S>>,
    pub(super) home: Home,
    /// Of a session: holds its lock.
    pub(super) file: Arc<S::File>,
    offset: AtomicU64,
    pub(super) is_promoted: AtomicBool,
    state: Mutex<State<S>>,
}

/// Where it is kept.
pub(super) enum Home {
    Session(SessionKeys),
    Final(Key),
}

pub(super) struct State<S: System> {
    record: Record,
    /// The record is kept as it is here.
    is_recorded: bool,
    /// The names of the session's bytes and of its record are durable.
    is_listed: bool,
    /// Everything before this is on the medium.
    synced: u64,
    /// The kernel was made to write everything before this.
    written_back: u64,
    /// The session's directories that were made here.
    parents: Parents,
    /// How many names the file has while it is not an object.
    pub(super) names: u64,
    pub(super) temp: Option<Temp<S>>,
    /// It was promoted before it was opened.
    is_promoted: bool,
    /// A write failed: how many bytes there are is not known.
    is_broken: bool,
}

impl<S: System> State<S> {
    fn new(root: &Root<S>) -> Self {
        Self {
            record: Record::new(&root.boot),
            is_recorded: false,
            is_listed: false,
            synced: 0,
            written_back: 0,
            parents: Parents::below(&root.path),
            names: 1,
            temp: None,
            is_promoted: false,
            is_broken: false,
        }
    }

    /// Takes up what is kept of a session of `size` bytes; the answer is the size it is to have.
    fn take_up(&mut self, root: &Root<S>, kept: Kept, size: u64) -> u64 {
        let (size, mut record, is_recorded) = match kept {
            Kept::Nothing => (size, Record::new(&root.boot), false),
            Kept::Damaged => (0, Record::new(&root.boot), false),
            Kept::Record(mut record) => {
                let is_cut = record.cut(size);
                let is_of_boot = record.is_of(&root.boot);
                let size = if is_of_boot { size } else { record.durable() };
                (size, record.taken_over(&root.boot), is_of_boot && !is_cut)
            }
        };
        record.cut(size);
        self.synced = record.durable();
        self.written_back = size;
        self.record = record;
        self.is_recorded = is_recorded;
        size
    }
}

/// What was found where the record should be.
enum Kept {
    Nothing,
    Damaged,
    Record(Record),
}

impl<S: System> StagedFile<S> {
    fn boxed(
        root: Arc<Root<S>>,
        home: Home,
        file: Arc<S::File>,
        size: u64,
        state: State<S>,
    ) -> Box<dyn Staged> {
        let shared = Shared {
            root,
            home,
            file,
            offset: AtomicU64::new(size),
            is_promoted: AtomicBool::new(state.is_promoted),
            state: Mutex::new(state),
        };
        Box::new(Self { shared: Arc::new(shared) })
    }

    async fn work<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Shared<S>, &mut State<S>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let shared = Arc::clone(&self.shared);
        blocking(operation, move || work(&shared, &mut locked(&shared.state))).await
    }
}

#[async_trait]
impl<S: System> Staged for StagedFile<S> {
    fn tip(&self) -> Tip {
        Tip { offset: self.shared.offset(), token: None }
    }

    fn is_promoted(&self) -> bool {
        self.shared.is_promoted.load(Ordering::Acquire)
    }

    async fn append(&mut self, bytes: Bytes) -> Result<()> {
        self.work("append", move |shared, state| shared.append(state, &bytes)).await
    }

    async fn persist(&mut self, note: Bytes, copy: &Key) -> Result<Tip> {
        let copy = copy.clone();
        self.work("persist", move |shared, state| shared.persist(state, note, &copy)).await
    }

    async fn note(&mut self, offset: u64) -> Result<Option<(u64, Bytes)>> {
        self.work("note", move |_, state| Ok(state.record.note(offset))).await
    }

    async fn rewind(&mut self, offset: u64) -> Result<()> {
        self.work("rewind", move |shared, state| shared.rewind(state, offset)).await
    }

    async fn read_back(&mut self, from: u64) -> Result<BoxStream<'static, Result<Bytes>>> {
        self.work("read", move |shared, _| shared.read_back(from)).await
    }

    async fn promote(&mut self, to: &Key, size: u64) -> Result<Promotion> {
        let key = to.clone();
        let named = self.work("promote", move |shared, state| shared.promote(state, &key, size));
        if let Named::As(promotion) = named.await? {
            return Ok(promotion);
        }
        let (root, key) = (Arc::clone(&self.shared.root), to.clone());
        let lock = lock_replacing(root, to).await?;
        self.work("promote", move |shared, state| {
            let _until_the_last_call = &lock;
            shared.promote_over(state, &key, size)
        })
        .await
    }

    async fn discard(self: Box<Self>) -> Result<()> {
        self.work("discard", Shared::discard).await
    }
}

impl<S: System> Drop for StagedFile<S> {
    fn drop(&mut self) {
        // The bytes of a file without a name are freed by its closing, which takes its time.
        if let (Home::Final(_), Ok(runtime)) = (&self.shared.home, Handle::try_current()) {
            let shared = Arc::clone(&self.shared);
            runtime.spawn_blocking(move || drop(shared));
        }
    }
}

impl<S: System> fmt::Debug for StagedFile<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (key, offset) = (self.shared.key(), self.shared.offset());
        write!(f, "StagedFile({key}, {offset} bytes)")
    }
}

impl<S: System> Shared<S> {
    pub(super) fn offset(&self) -> u64 {
        self.offset.load(Ordering::Acquire)
    }

    fn key(&self) -> &Key {
        match &self.home {
            Home::Session(keys) => &keys.data,
            Home::Final(key) => key,
        }
    }

    /// A name that the file has while it is not an object.
    pub(super) fn name(&self, state: &State<S>) -> Option<PathBuf> {
        match &self.home {
            Home::Session(keys) => Some(self.root.path_of(&keys.data)),
            Home::Final(_) => Some(state.temp.as_ref()?.name()?.to_owned()),
        }
    }

    fn gone(&self, operation: &'static str) -> Error {
        Error::new(ErrorKind::NotFound, operation).at(self.key())
    }

    /// Comes before every change of the bytes: they are a staging's, and how many there are is known.
    pub(super) fn check(&self, state: &State<S>, operation: &'static str) -> Result<()> {
        if state.is_broken {
            let why = "an earlier write failed, so how many bytes there are is not known";
            return Err(Error::new(ErrorKind::Io, operation).at(self.key()).because(why));
        }
        let stat = self.root.system.stat_file(&self.file);
        let stat = stat.map_err(|error| fault(operation, self.key(), error))?;
        if stat.links > state.names {
            self.is_promoted.store(true, Ordering::Release);
        }
        if stat.links == state.names { Ok(()) } else { Err(self.gone(operation)) }
    }

    /// Order: record, if there is none yet → bytes. A crash leaves any number of the bytes.
    fn append(&self, state: &mut State<S>, bytes: &[u8]) -> Result<()> {
        self.check(state, "append")?;
        if let Home::Session(keys) = &self.home
            && !state.is_recorded
        {
            self.adopt(state, keys).map_err(|error| fault("append", self.key(), error))?;
        }
        let system = &self.root.system;
        let offset = self.offset();
        if let Err(error) = system.write_all_at(&self.file, bytes, offset) {
            state.is_broken = true;
            return Err(fault("append", self.key(), error));
        }
        let offset = offset + bytes.len() as u64;
        self.offset.store(offset, Ordering::Release);
        let length = offset - state.written_back;
        if length >= WRITE_BACK_EVERY {
            // Only to save time later; the sync reports what goes wrong.
            let _ = system.start_writeback(&self.file, state.written_back, length);
            state.written_back = offset;
        }
        Ok(())
    }

    /// Writes the record of a session that has none, or one that is not true any more.
    ///
    /// What other software has written so far is synced, so that it outlives power as it would have without us.
    fn adopt(&self, state: &mut State<S>, keys: &SessionKeys) -> io::Result<()> {
        let mut record = state.record.clone();
        let offset = self.offset();
        if offset > 0 && record == Record::new(&self.root.boot) {
            self.sync(state, offset)?;
            record.add(offset, true, None);
        }
        let mut parents = Parents::below(&self.root.path_of(&keys.root));
        let temp = self.root.record_temp(&record, &mut parents)?;
        self.keep(state, keys, record, temp, &mut parents)?;
        if !state.is_listed {
            self.make_listed(state, keys)?;
        }
        Ok(())
    }

    /// Syncs the bytes before `offset`, which is the present one. If that fails the session is given up.
    pub(super) fn sync(&self, state: &mut State<S>, offset: u64) -> io::Result<()> {
        if let Err(error) = self.root.durable.sync_file(&self.file) {
            state.is_broken = true;
            // What the file holds is uncertain now; that this is tried once is all that can be done.
            let _ = self.end(state);
            return Err(error);
        }
        state.synced = offset;
        Ok(())
    }

    /// Order: bytes synced, if they have to be by now → copy of the note and record written and synced → copy
    /// named → record named → session's directory synced, the first time.
    ///
    /// A crash leaves the session as an earlier record has it, or as this one.
    fn persist(&self, state: &mut State<S>, note: Bytes, copy: &Key) -> Result<Tip> {
        self.check(state, "persist")?;
        let offset = self.offset();
        let tip = Tip { offset, token: None };
        let Home::Session(keys) = &self.home else {
            state.record.add(offset, false, Some(note));
            return Ok(tip);
        };
        self.persist_session(state, keys, &note, copy)
            .map_err(|error| fault("persist", self.key(), error))?;
        Ok(tip)
    }

    fn persist_session(
        &self,
        state: &mut State<S>,
        keys: &SessionKeys,
        note: &Bytes,
        copy: &Key,
    ) -> io::Result<()> {
        let root = &self.root;
        let offset = self.offset();
        let added = offset - state.synced;
        let is_foreign = !state.is_recorded;
        if added >= SYNC_EVERY || added > 0 && (is_foreign || !root.boot_is_told) {
            self.sync(state, offset)?;
        }
        // The session's own directory is not made: if that is gone the session is.
        let is_within = copy.below(&keys.root).is_some();
        let base = if is_within { root.path_of(&keys.root) } else { root.path.clone() };
        let mut parents = Parents::below(&base);
        let mut record = state.record.clone();
        record.add(offset, offset == state.synced, Some(note.clone()));
        let text = record.to_text();
        let note = Content::Bytes(note);
        let mut copied = root.named_temp(Place::Reserved, &mut parents)?;
        root.fill(&copied, &note)?;
        let kept = root.named_temp(Place::Reserved, &mut parents)?;
        root.fill(&kept, &Content::Bytes(text.as_bytes()))?;
        root.durable.sync_files(&[copied.file(), kept.file()])?;
        root.name_over(&mut copied, &note, &root.path_of(copy), &mut parents)?;
        self.keep(state, keys, record, kept, &mut parents)?;
        if !state.is_listed {
            self.make_listed(state, keys)?;
        }
        Ok(())
    }

    /// Names a record that is synced.
    fn keep(
        &self,
        state: &mut State<S>,
        keys: &SessionKeys,
        record: Record,
        mut temp: Temp<S>,
        parents: &mut Parents,
    ) -> io::Result<()> {
        let text = record.to_text();
        let content = Content::Bytes(text.as_bytes());
        let path = self.root.path_of(&keys.record);
        self.root.name_over(&mut temp, &content, &path, parents)?;
        state.record = record;
        state.is_recorded = true;
        Ok(())
    }

    /// Makes the names in the session's directory durable, and that of the directory.
    fn make_listed(&self, state: &mut State<S>, keys: &SessionKeys) -> io::Result<()> {
        let directory = self.root.path_of(&keys.root);
        let durable = &self.root.durable;
        durable.sync_directories([directory.clone()], &state.parents)?;
        let stat = self.root.system.stat(&directory)?;
        durable.learn_listing(&keys.record, &stat);
        state.parents = Parents::below(&self.root.path);
        state.is_listed = true;
        Ok(())
    }

    /// Order: record cut, and durable by its name → bytes cut. A crash leaves the session as it was, or
    /// without the notes above `offset`, or as it is to be.
    fn rewind(&self, state: &mut State<S>, offset: u64) -> Result<()> {
        self.check(state, "rewind")?;
        let failed = |error| fault("rewind", self.key(), error);
        let found = self.offset();
        if offset > found {
            let message = format!("expected an offset of at most {found}, found {offset}");
            return Err(failed(io::Error::other(message)));
        }
        let mut record = state.record.clone();
        if record.cut(offset) {
            if let Home::Session(keys) = &self.home {
                let mut parents = Parents::below(&self.root.path_of(&keys.root));
                let temp = self.root.record_temp(&record, &mut parents).map_err(failed)?;
                self.keep(state, keys, record, temp, &mut parents)
                    .and_then(|()| self.make_listed(state, keys))
                    .map_err(failed)?;
            } else {
                state.record = record;
            }
        }
        if let Err(error) = self.root.system.truncate(&self.file, offset) {
            state.is_broken = true;
            return Err(failed(error));
        }
        self.offset.store(offset, Ordering::Release);
        state.synced = state.synced.min(offset);
        state.written_back = state.written_back.min(offset);
        Ok(())
    }

    fn read_back(&self, from: u64) -> Result<BoxStream<'static, Result<Bytes>>> {
        let end = self.offset();
        if from > end {
            return Err(Error::new(ErrorKind::RangeNotSatisfiable, "read").at(self.key()));
        }
        let file = Arc::clone(&self.file);
        let file = OpenFile::new(self.key().clone(), self.root.system.clone(), file);
        Ok(file.into_stream(from..end))
    }

    fn discard(&self, state: &mut State<S>) -> Result<()> {
        state.is_broken = true;
        self.end(state)
    }

    /// Order: the mark, by which it exists → everything else of it → the directory above synced.
    ///
    /// Where bytes are not on the medium yet, the mark is gone from there before the record goes: a session without a
    /// record is taken for one of Distribution's, whose bytes are trusted as they are.
    fn end(&self, state: &mut State<S>) -> Result<()> {
        let Home::Session(keys) = &self.home else {
            state.temp = None;
            return Ok(());
        };
        let failed = |error| fault("discard", &keys.root, error);
        self.root.remove_name(&self.root.path_of(&keys.mark)).map_err(failed)?;
        let is_promoted = self.is_promoted.load(Ordering::Acquire);
        if !is_promoted && self.offset() > state.synced {
            let directory = self.root.path_of(&keys.root);
            self.root.durable.sync_removals(&directory).map_err(failed)?;
        }
        self.root.delete_tree(&keys.root)
    }
}

impl<S: System> Root<S> {
    /// Opens the bytes of a session.
    fn open_data(&self, keys: &SessionKeys, open: &OpenSession) -> Result<(S::File, Parents)> {
        let mut parents = Parents::below(&self.path);
        let path = self.path_of(&keys.data);
        self.in_its_place("stage")?;
        let opened = match open {
            OpenSession::New => {
                self.before_writing()?;
                let directory = self.directory_of(&keys.data);
                let new = || self.system.open(&path, Open::New);
                self.making_parents(&directory, &mut parents, new)
                    .map_err(|error| match error.kind() {
                        io::ErrorKind::AlreadyExists => foreign("no session of this name"),
                        _ => error,
                    })
                    .map_err(|error| write_fault("stage", &keys.data, error))
            }
            // Other software makes the file of the bytes with the first of them.
            OpenSession::Resume(_) => self
                .system
                .open(&path, Open::ReadWrite)
                .map_err(|error| fault("stage", &keys.data, error)),
        };
        opened.map(|file| (file, parents))
    }

    fn read_record(&self, key: &Key) -> io::Result<Kept> {
        let file = match self.system.open(&self.path_of(key), Open::Read) {
            Ok(file) => file,
            Err(error) if is_missing(&error) => return Ok(Kept::Nothing),
            Err(error) => return Err(error),
        };
        let size = self.system.stat_file(&file)?.size;
        if size > record::MAX_LENGTH {
            return Ok(Kept::Damaged);
        }
        let mut text = vec![0; usize::try_from(size).expect("bounded above")];
        let mut filled = 0;
        while filled < text.len() {
            match self.system.read_at(&file, &mut text[filled..], filled as u64)? {
                0 => break,
                count => filled += count,
            }
        }
        Ok(Record::parse(&text[..filled]).map_or(Kept::Damaged, Kept::Record))
    }

    /// A record that is written and synced and has no name of a session yet.
    fn record_temp(&self, record: &Record, parents: &mut Parents) -> io::Result<Temp<S>> {
        let text = record.to_text();
        self.filled_temp(Place::Reserved, &Content::Bytes(text.as_bytes()), parents)
    }

    /// Are the names in a session's directory known to be durable?
    fn is_listed(&self, keys: &SessionKeys) -> io::Result<bool> {
        match self.system.stat(&self.path_of(&keys.root)) {
            Ok(stat) => Ok(self.durable.knows_listing(&keys.record, &stat)),
            Err(error) if is_missing(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
