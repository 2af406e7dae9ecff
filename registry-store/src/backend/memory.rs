//! [`MemoryBackend`]: objects that live as long as the process.

use std::collections::BTreeMap;
use std::fmt;
use std::iter;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};

use crate::backend::locks::KeyedLocks;
use crate::backend::places;
use crate::backend::{
    Backend, BackendExt as _, Body, Child, DeleteIf, Error, ErrorKind, Key, LockGuard, LockMode,
    Medium, Meta, Object, OpenSession, PointIf, Pointed, Promotion, Put, PutMode, PutRequest,
    ReadRange, Result, SessionKeys, SignedMethod, Stage, Staged, Tip,
};
use crate::options::{Clock, SystemClock};
use crate::page::Page;

/// The longest part of a body that is read.
const PART: usize = 1 << 20;

/// Keeps everything in memory: for tests and small embedded uses.
///
/// Memory is the limit. "Durable" means here that every clone of this sees it: clones share all state, and it
/// ends with the last of them. Every method does its work in one step under one lock, so a dropped future has
/// done all of it or nothing.
#[derive(Clone)]
pub struct MemoryBackend {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    locks: KeyedLocks,
    clock: Arc<dyn Clock>,
}

impl MemoryBackend {
    /// An empty one.
    pub fn new() -> Self {
        Self::with_clock(Arc::new(SystemClock))
    }

    /// An empty one that takes the time of [`Meta::modified`] from `clock`.
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        let shared = Shared { state: Mutex::default(), locks: KeyedLocks::default(), clock };
        Self { shared: Arc::new(shared) }
    }

    /// What was quarantined, in that order, for an operator to look at.
    pub fn quarantined(&self) -> Vec<(Key, Bytes)> {
        self.state().quarantined.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.shared.state)
    }

    fn now(&self) -> SystemTime {
        self.shared.clock.now()
    }
}

impl Default for MemoryBackend {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryBackend({} objects)", self.state().objects.len())
    }
}

#[async_trait]
impl Backend for MemoryBackend {
    async fn head(&self, key: &Key) -> Result<Option<Meta>> {
        Ok(self.state().head(key))
    }

    async fn read(&self, key: &Key, range: ReadRange) -> Result<Object> {
        let whole = match self.state().objects.get(key) {
            Some(found) => found.content.bytes(),
            None => return Err(Error::new(ErrorKind::NotFound, "read").at(key)),
        };
        let size = whole.len() as u64;
        let range = range
            .within(size)
            .ok_or_else(|| Error::new(ErrorKind::RangeNotSatisfiable, "read").at(key))?;
        Ok(Object {
            size,
            body: Body::Stream(parts(whole.slice(index(range.start)..index(range.end)))),
            range,
        })
    }

    async fn put_all(&self, puts: Vec<PutRequest>) -> Result<Vec<Put>> {
        let now = self.now();
        let mut state = self.state();
        let outcomes = puts.into_iter().map(|put| {
            if put.mode == PutMode::Create && state.objects.contains_key(&put.key) {
                return Put::Kept;
            }
            state.put(put.key, put.bytes, now);
            Put::Written
        });
        Ok(outcomes.collect())
    }

    async fn settle(&self, keys: &[Key]) -> Result<Vec<Option<Meta>>> {
        let state = self.state();
        Ok(keys.iter().map(|key| state.head(key)).collect())
    }

    async fn settle_all(&self, _places: &[Key]) -> Result<()> {
        Ok(())
    }

    async fn delete(&self, keys: &[Key]) -> Result<()> {
        let mut state = self.state();
        for key in keys {
            state.objects.remove(key);
        }
        Ok(())
    }

    async fn point(
        &self,
        key: &Key,
        bytes: Bytes,
        target: &Key,
        condition: PointIf,
    ) -> Result<Pointed> {
        let now = self.now();
        let mut state = self.state();
        let found = state.objects.get(key).map(|found| found.content.bytes());
        let holds = match condition {
            PointIf::Always => true,
            PointIf::Absent => found.is_none(),
            PointIf::Holds(expected) => found == Some(expected),
        };
        if !holds {
            return Ok(Pointed::Refused);
        }
        state.put(key.clone(), bytes, now);
        let is_there = state.objects.contains_key(target);
        Ok(if is_there { Pointed::Written } else { Pointed::TargetGone })
    }

    async fn delete_if(&self, key: &Key, condition: DeleteIf) -> Result<bool> {
        let mut state = self.state();
        let found = state.objects.get(key).map(|found| found.content.bytes());
        let hindered = condition.only_if_gone && state.objects.contains_key(&condition.target);
        let holds = found == Some(condition.holds) && !hindered;
        if holds {
            state.objects.remove(key);
        }
        Ok(holds)
    }

    async fn delete_tree(&self, prefix: &Key) -> Result<()> {
        self.state().delete_tree(prefix);
        Ok(())
    }

    async fn quarantine(&self, key: &Key, found: Option<Meta>) -> Result<()> {
        let mut state = self.state();
        if found.is_some() && state.head(key) != found {
            return Ok(());
        }
        if let Some(found) = state.objects.remove(key) {
            state.quarantined.push((key.clone(), found.content.bytes()));
        }
        Ok(())
    }

    fn list(&self, prefix: &Key, after: Option<&Key>) -> BoxStream<'_, Result<Key>> {
        let Some(least) = least_below(prefix) else {
            return stream::empty().boxed();
        };
        let prefix = prefix.clone();
        let mut from = match after {
            Some(after) if *after >= least => Bound::Excluded(after.clone()),
            _ => Bound::Included(least),
        };
        let keys = iter::from_fn(move || {
            let key = self.state().next_below(&prefix, from.as_ref())?.clone();
            from = Bound::Excluded(key.clone());
            Some(Ok(key))
        });
        stream::iter(keys).boxed()
    }

    async fn list_children(
        &self,
        prefix: &Key,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<Child>> {
        let children = self.state().children(prefix, after, limit);
        let children = children.into_iter().map(|(name, is_object)| {
            if is_object { Child::Object(name) } else { Child::Prefix(name) }
        });
        Ok(Page::cut(children, limit))
    }

    async fn list_children_with(
        &self,
        prefix: &Key,
        path: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<(String, Meta)>> {
        self.list_children_by_looking(prefix, path, after, limit).await
    }

    async fn left_out(&self, _prefix: &Key, _marks: &[&str]) -> Result<Option<String>> {
        Ok(None)
    }

    async fn list_places(
        &self,
        prefix: &Key,
        marks: &[&str],
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<String>> {
        places::by_walking(self, prefix, marks, after, limit).await
    }

    async fn stage(&self, stage: Stage<'_>) -> Result<Box<dyn Staged>> {
        let (name, session, draft) = match stage {
            Stage::Final { key } => (key, None, Arc::default()),
            Stage::Session { keys, open } => {
                let draft = self.session(keys, &open)?;
                (&keys.data, Some(keys.clone()), draft)
            }
        };
        Ok(Box::new(MemoryStaged { backend: self.clone(), name: name.clone(), session, draft }))
    }

    /// There is nothing to remove: what is no session is held by its [`Staged`] alone.
    async fn expire_staged(&self, _before: SystemTime) -> Result<u64> {
        Ok(0)
    }

    async fn lock(&self, scope: &Key, mode: LockMode) -> Result<LockGuard> {
        Ok(self.shared.locks.lock(scope, mode).await)
    }

    async fn signed_url(
        &self,
        _key: &Key,
        _method: SignedMethod,
        _expires_in: Duration,
    ) -> Result<Option<String>> {
        Ok(None)
    }

    /// What is behind [`Backend::settle`] is asked for here as on a medium where it has to be.
    fn medium(&self) -> Medium {
        Medium { visible_is_durable: false, promotion_copies: false, locks_reach_processes: true }
    }
}

impl MemoryBackend {
    /// The draft of a session, which is in the map under the name of the session's bytes.
    ///
    /// Bytes that were put there are a session without notes, as they are on a filesystem.
    fn session(&self, keys: &SessionKeys, open: &OpenSession) -> Result<Arc<Mutex<Draft>>> {
        let now = self.now();
        let mut state = self.state();
        let found = state.objects.get(&keys.data).map(|found| &found.content);
        let draft = match (open, found) {
            (OpenSession::New, None) => Arc::default(),
            (OpenSession::New, Some(_)) => {
                return Err(Error::new(ErrorKind::Foreign, "begin session").at(&keys.root));
            }
            (OpenSession::Resume(_), Some(Content::Session(draft))) => return Ok(draft.clone()),
            (OpenSession::Resume(_), Some(Content::Whole(bytes))) => {
                Arc::new(Mutex::new(Draft::of(bytes)))
            }
            (OpenSession::Resume(_), None) => {
                return Err(Error::new(ErrorKind::NotFound, "resume session").at(&keys.root));
            }
        };
        state.store(keys.data.clone(), Content::Session(draft.clone()), now);
        Ok(draft)
    }
}

/// All that is kept. The map's order is that of listings.
#[derive(Default)]
struct State {
    objects: BTreeMap<Key, Stored>,
    quarantined: Vec<(Key, Bytes)>,
    /// How many objects were ever stored.
    stored: u64,
}

struct Stored {
    content: Content,
    modified: SystemTime,
    version: u64,
}

enum Content {
    Whole(Bytes),
    /// The bytes of a session so far. The session ends when this leaves the map.
    Session(Arc<Mutex<Draft>>),
}

impl Content {
    fn bytes(&self) -> Bytes {
        match self {
            Self::Whole(bytes) => bytes.clone(),
            Self::Session(draft) => lock(draft).bytes.from(0),
        }
    }

    fn size(&self) -> u64 {
        match self {
            Self::Whole(bytes) => bytes.len() as u64,
            Self::Session(draft) => lock(draft).bytes.len(),
        }
    }
}

impl State {
    fn head(&self, key: &Key) -> Option<Meta> {
        self.objects.get(key).map(|found| Meta {
            size: found.content.size(),
            modified: Some(found.modified),
            version: found.version,
        })
    }

    fn put(&mut self, key: Key, bytes: Bytes, modified: SystemTime) {
        self.store(key, Content::Whole(bytes), modified);
    }

    fn store(&mut self, key: Key, content: Content, modified: SystemTime) {
        self.stored += 1;
        let version = self.stored;
        self.objects.insert(key, Stored { content, modified, version });
    }

    fn delete_tree(&mut self, prefix: &Key) {
        self.objects.remove(prefix);
        let Some(least) = least_below(prefix) else {
            return;
        };
        while let Some(key) = self.next_below(prefix, Bound::Included(&least)).cloned() {
            self.objects.remove(&key);
        }
    }

    /// The first key from `from` on, which is not less than the least below `prefix`, if it is below it.
    fn next_below(&self, prefix: &Key, from: Bound<&Key>) -> Option<&Key> {
        let (key, _) = self.objects.range((from, Bound::Unbounded)).next()?;
        key.below(prefix).map(|_| key)
    }

    /// The first names below `prefix` that are greater than `after`, one more than `limit`, and whether an
    /// object has the name.
    ///
    /// Looks once per name, not per object. It has to look at all names: that `1` is a prefix shows behind
    /// `1-a`, as `-` comes before the slash.
    fn children(&self, prefix: &Key, after: Option<&str>, limit: usize) -> BTreeMap<String, bool> {
        let mut names = BTreeMap::new();
        let mut from = least_below(prefix).map(Bound::Included);
        while let Some(start) = from {
            let Some(key) = self.next_below(prefix, start.as_ref()) else {
                break;
            };
            let rest = key.below(prefix).unwrap_or_default();
            let (name, below) = rest.split_once('/').unwrap_or((rest, ""));
            let is_object = below.is_empty();
            if after.is_none_or(|after| name > after) {
                *names.entry(name.to_owned()).or_default() |= is_object;
                if names.len() > limit.saturating_add(1) {
                    names.pop_last();
                }
            }
            // `0` is the byte behind the slash, so the name with it is behind all that lies below the name.
            from = Some(match prefix.child(&format!("{name}0")) {
                Ok(behind) if !is_object => Bound::Included(behind),
                _ => Bound::Excluded(key.clone()),
            });
        }
        names
    }
}

/// The least key that can be below `prefix`: `-` is the least byte that a segment can have. `None` if every
/// key below it were too long.
fn least_below(prefix: &Key) -> Option<Key> {
    prefix.child("-").ok()
}

/// What is being written. Its lock is taken under that of the state, if both are.
#[derive(Default)]
struct Draft {
    bytes: DraftBytes,
    /// By the offset they vouch for; none is above the length.
    notes: BTreeMap<u64, Bytes>,
}

enum DraftBytes {
    Growing(Vec<u8>),
    Promoted { bytes: Bytes, to: Key },
}

impl Draft {
    fn of(bytes: &[u8]) -> Self {
        Self { bytes: DraftBytes::Growing(bytes.to_vec()), notes: BTreeMap::new() }
    }
}

impl Default for DraftBytes {
    fn default() -> Self {
        Self::Growing(Vec::new())
    }
}

impl DraftBytes {
    fn len(&self) -> u64 {
        match self {
            Self::Growing(bytes) => bytes.len() as u64,
            Self::Promoted { bytes, .. } => bytes.len() as u64,
        }
    }

    fn from(&self, start: usize) -> Bytes {
        match self {
            Self::Growing(bytes) => {
                bytes.get(start..).map_or_else(Bytes::new, Bytes::copy_from_slice)
            }
            Self::Promoted { bytes, .. } => bytes.slice(start.min(bytes.len())..),
        }
    }

    fn growing(&mut self) -> Option<&mut Vec<u8>> {
        match self {
            Self::Growing(bytes) => Some(bytes),
            Self::Promoted { .. } => None,
        }
    }

    /// The bytes that both the draft and the object of this name have from now on.
    fn promoted(&mut self, to: &Key) -> Bytes {
        if let Self::Growing(bytes) = self {
            let mut bytes = std::mem::take(bytes);
            bytes.shrink_to_fit();
            *self = Self::Promoted { bytes: bytes.into(), to: to.clone() };
        }
        self.from(0)
    }
}

/// A handle to a draft.
struct MemoryStaged {
    backend: MemoryBackend,
    /// For messages.
    name: Key,
    session: Option<SessionKeys>,
    draft: Arc<Mutex<Draft>>,
}

impl fmt::Debug for MemoryStaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryStaged({} bytes of {})", self.tip().offset, self.name)
    }
}

impl MemoryStaged {
    fn error(&self, kind: ErrorKind, operation: &'static str) -> Error {
        Error::new(kind, operation).at(&self.name)
    }

    /// The draft, unless its session has ended.
    fn draft(&self, state: &State, operation: &'static str) -> Result<MutexGuard<'_, Draft>> {
        if let Some(keys) = &self.session {
            let found = state.objects.get(&keys.data).map(|found| &found.content);
            match found {
                Some(Content::Session(draft)) if Arc::ptr_eq(draft, &self.draft) => {}
                _ => return Err(self.error(ErrorKind::NotFound, operation)),
            }
        }
        Ok(lock(&self.draft))
    }

    /// Records that the session was written to.
    fn touch(&self, state: &mut State, now: SystemTime) {
        if let Some(keys) = &self.session
            && let Some(stored) = state.objects.get_mut(&keys.data)
        {
            stored.modified = now;
        }
    }
}

#[async_trait]
impl Staged for MemoryStaged {
    fn tip(&self) -> Tip {
        Tip { offset: lock(&self.draft).bytes.len(), token: None }
    }

    fn is_promoted(&self) -> bool {
        lock(&self.draft).bytes.growing().is_none()
    }

    async fn append(&mut self, bytes: Bytes) -> Result<()> {
        let now = self.backend.now();
        let mut state = self.backend.state();
        self.draft(&state, "append")?
            .bytes
            .growing()
            .ok_or_else(|| self.error(ErrorKind::NotFound, "append"))?
            .extend_from_slice(&bytes);
        self.touch(&mut state, now);
        Ok(())
    }

    async fn persist(&mut self, note: Bytes, copy: &Key) -> Result<Tip> {
        let now = self.backend.now();
        let mut state = self.backend.state();
        let offset = {
            let mut draft = self.draft(&state, "persist")?;
            let offset = draft.bytes.len();
            draft.notes.insert(offset, note.clone());
            offset
        };
        if self.session.is_some() {
            state.put(copy.clone(), note, now);
        }
        Ok(Tip { offset, token: None })
    }

    async fn note(&mut self, offset: u64) -> Result<Option<(u64, Bytes)>> {
        let state = self.backend.state();
        let draft = self.draft(&state, "read note")?;
        let latest = draft.notes.range(..=offset).next_back();
        Ok(latest.map(|(&offset, note)| (offset, note.clone())))
    }

    async fn rewind(&mut self, offset: u64) -> Result<()> {
        let now = self.backend.now();
        let mut state = self.backend.state();
        {
            let mut draft = self.draft(&state, "rewind")?;
            draft
                .bytes
                .growing()
                .ok_or_else(|| self.error(ErrorKind::NotFound, "rewind"))?
                .truncate(index(offset));
            draft.notes.retain(|&kept_at, _| kept_at <= offset);
        }
        self.touch(&mut state, now);
        Ok(())
    }

    async fn read_back(&mut self, from: u64) -> Result<BoxStream<'static, Result<Bytes>>> {
        let state = self.backend.state();
        let bytes = self.draft(&state, "read back")?.bytes.from(index(from));
        Ok(parts(bytes))
    }

    async fn promote(&mut self, to: &Key, size: u64) -> Result<Promotion> {
        let now = self.backend.now();
        let mut state = self.backend.state();
        let found = state.head(to).map(|meta| meta.size);
        let bytes = {
            let mut draft = self.draft(&state, "promote")?;
            let staged = draft.bytes.len();
            if staged != size {
                let reason = format!("expected {size} bytes, found {staged} staged");
                return Err(self.error(ErrorKind::Io, "promote").because(reason));
            }
            if let DraftBytes::Promoted { to: earlier, .. } = &draft.bytes
                && earlier != to
            {
                return Err(self.error(ErrorKind::NotFound, "promote"));
            }
            if found == Some(size) {
                return Ok(Promotion::Kept);
            }
            draft.bytes.promoted(to)
        };
        state.put(to.clone(), bytes, now);
        Ok(found.map_or(Promotion::Created, |found| Promotion::Replaced { found }))
    }

    async fn discard(self: Box<Self>) -> Result<()> {
        if let Some(keys) = &self.session {
            self.backend.state().delete_tree(&keys.root);
        }
        Ok(())
    }
}

/// Bytes as a stream of parts.
fn parts(mut bytes: Bytes) -> BoxStream<'static, Result<Bytes>> {
    let parts = iter::from_fn(move || {
        let part = bytes.split_to(bytes.len().min(PART));
        (!part.is_empty()).then_some(Ok(part))
    });
    stream::iter(parts).boxed()
}

/// An offset within bytes in memory, or behind all of them.
fn index(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

/// What is locked here is whole after every statement, so a panic elsewhere has not broken it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::executor::block_on;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// Ticks a second at every look.
    #[derive(Debug, Default)]
    struct Ticking(AtomicU64);

    impl Clock for Ticking {
        fn now(&self) -> SystemTime {
            SystemTime::UNIX_EPOCH + Duration::from_secs(self.0.fetch_add(1, Ordering::Relaxed))
        }
    }

    fn key(text: &str) -> Key {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_written_later_was_modified_later() {
        let backend = MemoryBackend::with_clock(Arc::new(Ticking::default()));
        let modified = |name| block_on(backend.head(&key(name))).unwrap().unwrap().modified;
        for name in ["a/1", "a/2"] {
            block_on(backend.put(&key(name), Bytes::new(), PutMode::Create)).unwrap();
        }
        assert!(modified("a/1") < modified("a/2"));
        block_on(backend.put(&key("a/1"), Bytes::new(), PutMode::Create)).unwrap();
        assert!(modified("a/1") < modified("a/2"), "kept, not written");
        block_on(backend.put(&key("a/1"), Bytes::new(), PutMode::Overwrite)).unwrap();
        assert!(modified("a/1") > modified("a/2"));
    }

    #[test]
    fn an_operator_finds_what_was_quarantined() {
        let backend = MemoryBackend::new();
        for bytes in ["first", "second"] {
            block_on(backend.put(&key("a"), bytes.into(), PutMode::Create)).unwrap();
            block_on(backend.quarantine(&key("a"), None)).unwrap();
        }
        let found = backend.quarantined();
        assert_eq!(found, [(key("a"), "first".into()), (key("a"), "second".into())]);
    }

    #[test]
    fn bytes_that_were_put_in_a_sessions_place_are_a_session_without_notes() {
        let backend = MemoryBackend::new();
        let keys = SessionKeys {
            root: key("u"),
            mark: key("u/startedat"),
            data: key("u/data"),
            record: key("u/_record"),
        };
        block_on(backend.put(&keys.data, "foreign".into(), PutMode::Create)).unwrap();
        let open = OpenSession::Resume(None);
        let mut staged = block_on(backend.stage(Stage::Session { keys: &keys, open })).unwrap();
        assert_eq!(staged.offset(), 7);
        assert_eq!(block_on(staged.note(7)).unwrap(), None);
        block_on(staged.append(" bytes".into())).unwrap();
        assert_eq!(
            block_on(backend.read_small(&keys.data, 100)).unwrap(),
            Some("foreign bytes".into())
        );
    }

    #[test]
    fn the_longest_keys_are_listed() {
        let backend = MemoryBackend::new();
        let prefix = key(&["a".repeat(255), "b".repeat(255), "c".repeat(255)].join("/"));
        let longest = prefix.child(&"d".repeat(255)).unwrap();
        let beside = prefix.child(&"e".repeat(200)).unwrap();
        for key in [&longest, &beside] {
            block_on(backend.put(key, Bytes::new(), PutMode::Create)).unwrap();
        }
        let listed: Vec<Key> = block_on(backend.list(&prefix, None).map(Result::unwrap).collect());
        assert_eq!(listed, [longest.clone(), beside]);
        let top = prefix.parent().unwrap();
        let page = block_on(backend.list_children(&top, None, 10)).unwrap();
        assert_eq!(page.items, [Child::Prefix("c".repeat(255))]);
        let page = block_on(backend.list_children(&longest, None, 10)).unwrap();
        assert_eq!(page, Page::empty());
    }
}
