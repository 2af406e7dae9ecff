//! [`Backend`]: the contract between the engine and where bytes are kept.
//!
//! A backend knows objects by [`Key`] and nothing of what they mean. Its promises stand at the methods below;
//! each is a clause of the contract suite (`tests/backends`), which every backend and every wrapper runs.
//!
//! # Promises that hold for every method
//!
//! * **Whole or nothing.** An object is visible with all of its bytes or not at all, to every reader in every
//!   process, also after a crash.
//! * **Durable on return.** What a method that writes has answered `Ok` for survives the loss of power, except
//!   for [`Staged::append`] and the cases that [`Staged::persist`] names.
//! * **Any future may be dropped.** What is left is a state that a crash could have left. Locks are held
//!   until the last system call made under them has returned.
//! * **Errors tell.** [`ErrorKind::NotFound`] means that the medium said so; a fault is never an absence.

mod error;
mod ext;
#[cfg(feature = "fs")]
pub mod fs;
mod key;
mod locks;
mod memory;
mod observed;
mod places;
mod range;
#[cfg(feature = "s3")]
pub mod s3;

use std::fmt;
use std::ops::Range;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

use crate::page::Page;

pub use error::{Error, ErrorKind, Result};
pub use ext::BackendExt;
pub use key::{Key, KeyError, MAX_KEY_LENGTH, MAX_SEGMENT_LENGTH};
pub use memory::MemoryBackend;
pub use observed::{Action, BackendObserver, ObservedBackend};
pub use places::by_walking as list_places_by_walking;
pub use range::ReadRange;

/// Where objects are kept. See the [module](self) for the promises that hold for every method.
#[async_trait]
pub trait Backend: Send + Sync + fmt::Debug + 'static {
    /// What is known of an object without reading it; `None` if there is none.
    async fn head(&self, key: &Key) -> Result<Option<Meta>>;

    /// Opens an object, or a part of it, for reading.
    ///
    /// What was opened stays readable, unchanged, when the object is replaced or deleted meanwhile.
    ///
    /// Errors: `NotFound`; `RangeNotSatisfiable` if a part was asked for of which not one byte exists.
    async fn read(&self, key: &Key, range: ReadRange) -> Result<Object>;

    /// Writes small objects, each whole or nothing.
    ///
    /// * Their names become visible in the order given, and on return all are durable, those that were
    ///   [`Put::Kept`] too: whoever made that name may not have synced it yet.
    /// * After an error any number of them, from the first on, may be there; none is half there.
    /// * The outcomes stand in the order of `puts`.
    async fn put_all(&self, puts: Vec<PutRequest>) -> Result<Vec<Put>>;

    /// Looks at objects that somebody else made, or took away, and makes sure that those that are there are durable, and
    /// that those that are not are gone for good.
    ///
    /// The answers stand in the order of `keys`. Never answered from memory: each name is looked up anew.
    async fn settle(&self, keys: &[Key]) -> Result<Vec<Option<Meta>>>;

    /// Makes sure of all that is to be seen at and below these places, whoever did it: that what is there is durable, and
    /// that what was deleted is gone for good. A process that was killed may have left either half done: a name that it
    /// took away comes back with a loss of power, as long as nobody has made sure.
    ///
    /// For whoever relies on what is *not* there. It may take as long as all that was written to the medium takes.
    ///
    /// * A place need not be there. What lies below it on another filesystem is another place.
    /// * On an object store what is to be seen is as it is, and nothing is asked for.
    async fn settle_all(&self, places: &[Key]) -> Result<()>;

    /// Deletes objects. What is not there counts as deleted.
    ///
    /// Which goes first is not said: who needs an order calls once for each step. Places above them that become
    /// empty are no longer listed.
    async fn delete(&self, keys: &[Key]) -> Result<()>;

    /// Overwrites a small object that refers to another, `target`, if `condition` holds of it, and looks whether the
    /// target is there when that is done.
    ///
    /// Nothing comes between the look at the condition and the write but, on a medium that has neither locks
    /// between processes nor conditional writes, what another process writes without a condition.
    async fn point(
        &self,
        key: &Key,
        bytes: Bytes,
        target: &Key,
        condition: PointIf,
    ) -> Result<Pointed>;

    /// Deletes a small object if it is as `condition` says; `false` if it is not, and then nothing was done.
    ///
    /// What [`Backend::point`] has written and acknowledged is never deleted by one that began its look before
    /// that, not even if it wrote the same bytes anew: whoever points waits for such a delete, and writes again. On
    /// media with locks between processes that is so among those that hold the same lock.
    async fn delete_if(&self, key: &Key, condition: DeleteIf) -> Result<bool>;

    /// Deletes everything below `prefix`, and an object of that name. Nothing there counts as done.
    ///
    /// An object that is written below `prefix` meanwhile stays or goes; it is never damaged.
    async fn delete_tree(&self, prefix: &Key) -> Result<()>;

    /// Puts an object out of everybody's sight but an operator's, if it is still what was `found`, where that is given.
    /// What is not there counts as done, and so does what is another by now.
    ///
    /// On a medium whose locks do not reach other processes, what one of them writes while this is at work is kept as
    /// far as the medium can tell it from what was there.
    async fn quarantine(&self, key: &Key, found: Option<Meta>) -> Result<()>;

    /// Every object below `prefix` whose key is greater than `after`, in the byte order of whole keys.
    ///
    /// * An object that is there during the whole listing is listed once; one that comes or goes meanwhile
    ///   may be.
    /// * Names that cannot be keys are left out.
    /// * Memory is bounded, however many there are. A prefix with nothing below it lists nothing.
    fn list(&self, prefix: &Key, after: Option<&Key>) -> BoxStream<'_, Result<Key>>;

    /// What lies directly below `prefix`: the first `limit` names greater than `after`, in byte order.
    ///
    /// A name is listed once, as [`Child::Object`] if an object has it. Names that cannot be segments of a key
    /// are left out. Memory is bounded by `limit`.
    async fn list_children(
        &self,
        prefix: &Key,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<Child>>;

    /// The first `limit` names directly below `prefix`, greater than `after`, in byte order, for which there is
    /// an object `<prefix>/<name>/<path>`, and what is known of that.
    ///
    /// On an object store this costs a page for each thousand or so of objects, and skips what lies beside
    /// `path`; elsewhere a pass over names and a look at each. Something foreign in an object's place is passed
    /// over. Memory is bounded by `limit`.
    async fn list_children_with(
        &self,
        prefix: &Key,
        path: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<(String, Meta)>>;

    /// The first `limit` places below `prefix`, at any depth, that have an object below one of the names `marks`, as
    /// paths below `prefix`, behind the path `after`, which need not be one.
    ///
    /// * The order is that of paths component by component, as if `/` were the least byte.
    /// * Marks begin with `_`, and no component of a place's path does.
    ///
    /// On an object store this costs a page for each thousand or so of objects, and skips what lies below marks;
    /// elsewhere a pass over the names of each place. Memory is bounded by `limit`.
    async fn list_places(
        &self,
        prefix: &Key,
        marks: &[&str],
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<String>>;

    /// Something directly below `prefix` that listings leave out and below which objects may lie all the same, by its
    /// name; `None` if there is nothing.
    ///
    /// * What is neither file nor directory, such as a symbolic link that leads nowhere: a disk may not be there.
    /// * A directory whose name cannot be a key's, if something named as one of `marks` lies in it, at any depth.
    ///
    /// On an object store there is nothing of the kind, and nothing is asked for.
    async fn left_out(&self, prefix: &Key, marks: &[&str]) -> Result<Option<String>>;

    /// Begins to write an object whose size is not known yet, or goes on with it.
    ///
    /// Errors: `NotFound` if a session is gone on with that does not exist; `Foreign`, where the medium tells, if one
    /// is begun that does; `Busy` if another process holds the session and did not let go of it within five seconds.
    /// Within one process the caller sees to it that a session is opened once at a time.
    async fn stage(&self, stage: Stage<'_>) -> Result<Box<dyn Staged>>;

    /// Removes what stagings that were never finished have left, if it was last written before `before`.
    ///
    /// Sessions are not touched: their owner deletes them with [`Backend::delete_tree`]. Returns how many
    /// things were removed.
    async fn expire_staged(&self, before: SystemTime) -> Result<u64>;

    /// Takes an advisory lock that `scope` names, against other holders in this process, and in other
    /// processes where the medium has locks between them (a filesystem has, S3 has not).
    ///
    /// Waits as long as it takes. The lock ends when the guard is dropped.
    ///
    /// Errors: `Full`, if the lock takes space and there is none; not for [`LockMode::ToDelete`].
    async fn lock(&self, scope: &Key, mode: LockMode) -> Result<LockGuard>;

    /// An address from which a client may fetch the object itself, for so long, by requests of one method;
    /// `None` where there is none.
    async fn signed_url(
        &self,
        key: &Key,
        method: SignedMethod,
        expires_in: Duration,
    ) -> Result<Option<String>>;

    /// What those above may make use of.
    fn medium(&self) -> Medium;
}

/// An object that is being written, invisible until it is promoted.
///
/// Dropping it keeps a session (its bytes can be gone on with) and gives up anything else.
#[async_trait]
pub trait Staged: Send + fmt::Debug {
    /// How far it has come.
    fn tip(&self) -> Tip;

    /// The session was promoted: its bytes are an object now and can no longer be added to.
    ///
    /// * Then [`Staged::append`] and [`Staged::rewind`] answer `NotFound`; [`Staged::promote`] to the same key
    ///   answers [`Promotion::Kept`] as long as the object is there, to any other key `NotFound`.
    /// * Where a promotion has to copy the bytes, as on a filesystem without hard links, it is not known of:
    ///   the session goes on as if it had not been.
    fn is_promoted(&self) -> bool;

    /// Adds bytes at the end. Not durable.
    ///
    /// After an error the length is uncertain: drop this and open the session anew.
    async fn append(&mut self, bytes: Bytes) -> Result<()>;

    /// Makes the bytes so far survive the end of this process, with a note that vouches for them.
    ///
    /// * After a loss of power a session is as some earlier `persist` left it, or gone; never longer, never
    ///   different.
    /// * The note is opaque here. Where other programs can go on with the session it is also written as an
    ///   object named `copy`, for them to read.
    async fn persist(&mut self, note: Bytes, copy: &Key) -> Result<Tip>;

    /// The latest note that was kept at `offset` or below it and still vouches for the bytes before it, with
    /// the offset it was kept at.
    ///
    /// Old notes may be forgotten; the one of the latest `persist` is not.
    async fn note(&mut self, offset: u64) -> Result<Option<(u64, Bytes)>>;

    /// Cuts the staged bytes back to `offset`, which is not greater than the current one.
    async fn rewind(&mut self, offset: u64) -> Result<()>;

    /// Reads staged bytes back, from an offset to the end as it is now.
    async fn read_back(&mut self, from: u64) -> Result<BoxStream<'static, Result<Bytes>>>;

    /// Makes the bytes the object `to`, durable and by its full name, or finds it there already.
    ///
    /// * `size` is the number of bytes staged; another number is a fault of the caller and answers `Io`.
    /// * Never overwrites an object of that size: it is kept. One of another size is damaged and is replaced.
    /// * The staging stays as it was until [`Staged::discard`], so this can be repeated.
    async fn promote(&mut self, to: &Key, size: u64) -> Result<Promotion>;

    /// Ends it: removes all that was staged, a session's [`SessionKeys::mark`] first, and nothing that was
    /// promoted.
    async fn discard(self: Box<Self>) -> Result<()>;
}

impl dyn Staged {
    /// How many bytes are staged.
    pub fn offset(&self) -> u64 {
        self.tip().offset
    }
}

/// What is known of an object without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Its length in bytes.
    pub size: u64,
    /// When it was last written, by the medium's clock. Fit for expiry of litter, not for decisions.
    pub modified: Option<SystemTime>,
    /// Tells it from another that took its place, of the same size and in the same tick of that clock, as far as the
    /// medium can: a filesystem by the file, S3 by the ETag. Says nothing else.
    pub version: u64,
}

/// An object, or a part of it, open for reading.
pub struct Object {
    /// The length of the whole object in bytes.
    pub size: u64,
    /// Which bytes `body` has.
    pub range: Range<u64>,
    /// The bytes.
    pub body: Body,
}

/// The bytes of an [`Object`]. Not exhaustive: which kinds there are depends on features.
#[non_exhaustive]
pub enum Body {
    /// A file that is read in parts, as the reader goes on.
    #[cfg(feature = "fs")]
    File(fs::OpenFile),
    /// A stream of parts.
    Stream(BoxStream<'static, Result<Bytes>>),
}

impl Object {
    /// The bytes as a stream of parts, at most 1 MiB each.
    pub fn into_stream(self) -> BoxStream<'static, Result<Bytes>> {
        match self.body {
            #[cfg(feature = "fs")]
            Body::File(file) => file.into_stream(self.range),
            Body::Stream(stream) => stream,
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            #[cfg(feature = "fs")]
            Self::File(_) => "File",
            Self::Stream(_) => "Stream",
        })
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Object({:?} of {} bytes)", self.range, self.size)
    }
}

/// One object for [`Backend::put_all`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutRequest {
    /// Its name.
    pub key: Key,
    /// All of its bytes.
    pub bytes: Bytes,
    /// What to do if there is one already.
    pub mode: PutMode,
}

/// What to do with an object that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutMode {
    /// Keep it, whatever it holds.
    Create,
    /// Replace it.
    Overwrite,
}

/// When [`Backend::point`] writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PointIf {
    /// Whatever is there.
    Always,
    /// If there is no such object.
    Absent,
    /// If it holds exactly this.
    Holds(Bytes),
}

/// What came of [`Backend::point`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pointed {
    /// The object is as requested, and its target is there.
    Written,
    /// The object is as requested, but its target is not there any more.
    TargetGone,
    /// The condition did not hold; nothing was written.
    Refused,
}

/// When [`Backend::delete_if`] deletes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteIf {
    /// If it holds exactly this.
    pub holds: Bytes,
    /// What it points at: whoever [points](Backend::point) there meanwhile is to see that a delete is under way.
    pub target: Key,
    /// And only if the target is not there.
    pub only_if_gone: bool,
}

/// What a [signed address](Backend::signed_url) is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignedMethod {
    /// To read the object, or parts of it.
    Get,
    /// To ask what is known of it.
    Head,
}

/// What came of a [`PutRequest`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// The object is as requested.
    Written,
    /// There was one already, and it was to be kept.
    Kept,
}

/// Something directly below a prefix.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Child {
    /// An object has this name.
    Object(String),
    /// Objects lie below this name, or lay there.
    Prefix(String),
}

impl Child {
    /// The name, without a slash.
    pub fn name(&self) -> &str {
        match self {
            Self::Object(name) | Self::Prefix(name) => name,
        }
    }

    /// Does something lie below it?
    pub const fn is_prefix(&self) -> bool {
        matches!(self, Self::Prefix(_))
    }
}

/// What to stage.
#[derive(Clone, Debug)]
pub enum Stage<'a> {
    /// A session, which outlives the request and the process that began it.
    Session {
        /// Where it is kept.
        keys: &'a SessionKeys,
        /// Whether it is begun or gone on with.
        open: OpenSession,
    },
    /// An object whose name is known before its first byte; it is given up if it is not promoted.
    Final {
        /// The only key it will be promoted to.
        key: &'a Key,
    },
}

/// How a session is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpenSession {
    /// A session that does not exist yet.
    New,
    /// A session that exists, from the tip its client was given last, if the client gave one.
    ///
    /// A backend that keeps only one line of bytes goes on from where that ends, whatever the tip: compare
    /// [`Staged::tip`].
    Resume(Option<Tip>),
}

/// Where a session is kept. Only `layout.rs` makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionKeys {
    /// Everything of the session lies below this.
    pub root: Key,
    /// The session exists as long as an object of this name does; its owner writes it, and it is the first to
    /// go.
    pub mark: Key,
    /// The bytes so far, where a backend keeps them in one object.
    pub data: Key,
    /// For a backend's own record of the session.
    pub record: Key,
}

/// How far a session has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tip {
    /// The number of bytes.
    pub offset: u64,
    /// Which bytes, where a backend can hold several lines of one session; given to the client and back.
    pub token: Option<String>,
}

/// What [`Staged::promote`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promotion {
    /// The object is new.
    Created,
    /// An object of the same size was there and was kept.
    Kept,
    /// An object of another size was there; it was damaged and was replaced.
    Replaced {
        /// The damaged object's length in bytes.
        found: u64,
    },
}

/// What a medium is like, where it is worth to go about something in another way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Medium {
    /// Everything that can be seen is durable, whoever wrote it: [`Backend::settle`] only looks.
    pub visible_is_durable: bool,
    /// The bytes of a session are copied when they become an object: whoever knows its name before the first byte
    /// better stages it by that.
    pub promotion_copies: bool,
    /// [`Backend::lock`] and sessions exclude other processes too.
    pub locks_reach_processes: bool,
}

/// Who else may hold a lock at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockMode {
    /// Others that share.
    Shared,
    /// Nobody.
    Exclusive,
    /// Nobody. For who only deletes, and so makes room: unlike the others it is had on a full disk, too, whether its
    /// scope was ever locked before or not. It may stand for the locks of other scopes then, so no other lock is taken
    /// while it is held; and where machines share a directory it may reach no further than its own.
    ToDelete,
}

/// Holds a lock until it is dropped.
pub struct LockGuard(#[expect(dead_code, reason = "held for its Drop")] Box<dyn Send + Sync>);

impl LockGuard {
    /// A guard that lets go of `held` when it is dropped.
    pub fn new(held: impl Send + Sync + 'static) -> Self {
        Self(Box::new(held))
    }
}

impl fmt::Debug for LockGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LockGuard")
    }
}
