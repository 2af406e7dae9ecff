//! [`S3Backend`]: objects in a bucket of S3, or of a server that speaks its protocol.
//!
//! Keys are names of objects below a root, as Distribution's driver has them. Any number of processes may use one
//! bucket at the same time; what they know of each other lies in the bucket alone. What is the backend's own lies in
//! the place that `layout.rs` reserves:
//!
//! ```text
//! _rs/probe/        what opening tries the server with
//! _rs/tmp/          objects that become parts of others
//! _rs/claims/       notes that an object is about to be written on a condition
//! _rs/quarantine/   what was put out of sight, each below a name of its own
//! ```
//!
//! What is asked of the server: each object is read, written and deleted whole, a read after a write sees it, and so
//! does a listing, which is in the order of bytes. [`S3Backend::open`] tries that, and whether conditions on writes
//! are honoured; nothing rests on their being so: without them two processes may write the same name at once, and
//! then what both write is the same.
//!
//! Memory: a transfer holds at most four parts ([`S3Options::part_size`]), all of them together
//! [`S3Options::memory`]; and four of them at a time gather pieces that are too small to be parts, some 10 MiB each.

mod assemble;
mod connect;
mod fault;
mod list;
mod names;
mod objects;
mod options;
mod place;
mod places;
mod probe;
mod read;
mod record;
mod remove;
mod requests;
mod retry;
mod session;
mod staged;
mod writer;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use self::names::Names;
use self::requests::Requests;
use self::staged::FinalStaged;
use crate::backend::locks::KeyedLocks;
use crate::backend::{
    Backend, Child, DeleteIf, Error, ErrorKind, Key, LockGuard, LockMode, Medium, Meta, Object,
    PointIf, Pointed, Put, PutRequest, ReadRange, Result, SignedMethod, Stage, Staged,
};
use crate::layout;
use crate::options::{Clock, Random};
use crate::page::Page;

pub use options::{Encryption, LARGEST_PUT, S3Credentials, S3Options, SMALLEST_PART};
pub use retry::RequestCounts;

/// Independent requests in flight for one call.
const PARALLEL: usize = 16;
/// Transfers that gather small pieces at their ends at once.
const GATHERING: usize = 4;
/// Bytes that one permit of the budget stands for.
const PERMIT: u64 = 64 << 10;

/// Keeps objects in a bucket. Cheap to clone; clones share connections, budgets and locks.
#[derive(Clone)]
pub struct S3Backend {
    bucket: Arc<Bucket>,
}

/// What the server heeds of conditions on writes; see [`S3Backend::abilities`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is of another operation")]
pub struct Abilities {
    /// PutObject only if there is no such object.
    pub put_if_absent: bool,
    /// PutObject only in the place of one object.
    pub put_if_match: bool,
    /// CompleteMultipartUpload only if there is no such object.
    pub complete_if_absent: bool,
    /// CopyObject only if there is no such object.
    pub copy_if_absent: bool,
    /// DeleteObject only of one object.
    pub delete_if_match: bool,
}

impl S3Backend {
    /// Connects to a bucket, which must be there, and tries what the server can do.
    ///
    /// Writes a few small objects below `_rs/probe/` and takes them away again, but for a
    /// [read-only](S3Options::read_only) one.
    ///
    /// Errors: `NotFound` if there is no such bucket; `Unsupported` if listings are not as they must be, or an option
    /// cannot be followed; `Denied`; `Unavailable`, when it has been tried for [`S3Options::retry_for`].
    pub async fn open(options: S3Options) -> Result<Self> {
        check(&options)?;
        let (client, public) = connect::clients(&options).await?;
        let requests = Requests::new(client, public, &options);
        requests.head_bucket().await.map_err(|failure| failure.of_bucket(&options.bucket))?;
        let mut bucket = Bucket::new(requests, &options);
        if !options.read_only {
            let place = probe::place(&bucket.names, &bucket.random_name());
            bucket.abilities = probe::probe(&bucket.requests, &place).await?;
        }
        Ok(Self { bucket: Arc::new(bucket) })
    }

    /// What was sent to the server since it was opened, by the name of the operation, such as `get`.
    pub fn requests(&self) -> BTreeMap<&'static str, RequestCounts> {
        self.bucket.requests.counts()
    }

    /// What the server heeds, as opening has found it; of a read-only one nothing was tried.
    pub fn abilities(&self) -> Abilities {
        self.bucket.abilities
    }
}

/// Refuses options that cannot be followed.
fn check(options: &S3Options) -> Result<()> {
    let refuse = |reason: String| Err(Error::new(ErrorKind::Unsupported, "open").because(reason));
    for (name, size, most) in [
        ("part_size", options.part_size, LARGEST_PUT),
        ("copy_part_size", options.copy_part_size, LARGEST_PUT),
        ("large_part", options.large_part, LARGEST_PUT - (1 << 30)),
    ] {
        if !(SMALLEST_PART..=most).contains(&size) {
            return refuse(format!("{name}: expected {SMALLEST_PART} to {most}, found {size}"));
        }
    }
    if !(1..=5_000).contains(&options.plain_parts) {
        return refuse(format!("plain_parts: expected 1 to 5000, found {}", options.plain_parts));
    }
    if options.copy_concurrency == 0 {
        return refuse("copy_concurrency: expected at least 1, found 0".to_owned());
    }
    Ok(())
}

impl fmt::Debug for S3Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "S3Backend({})", self.bucket.name)
    }
}

#[async_trait]
impl Backend for S3Backend {
    async fn head(&self, key: &Key) -> Result<Option<Meta>> {
        self.bucket.head(key).await
    }

    async fn read(&self, key: &Key, range: ReadRange) -> Result<Object> {
        read::open(&self.bucket, key, range).await
    }

    async fn put_all(&self, puts: Vec<PutRequest>) -> Result<Vec<Put>> {
        self.bucket.put_all(&puts).await
    }

    /// What can be seen is durable: so this only looks.
    async fn settle(&self, keys: &[Key]) -> Result<Vec<Option<Meta>>> {
        let looks: Vec<_> = keys.iter().map(|key| self.bucket.head(key)).collect();
        stream::iter(looks).buffered(PARALLEL).try_collect().await
    }

    async fn settle_all(&self, _places: &[Key]) -> Result<()> {
        Ok(())
    }

    async fn delete(&self, keys: &[Key]) -> Result<()> {
        self.bucket.delete(keys).await
    }

    async fn point(
        &self,
        key: &Key,
        bytes: Bytes,
        target: &Key,
        condition: PointIf,
    ) -> Result<Pointed> {
        self.bucket.point(key, &bytes, target, condition).await
    }

    async fn delete_if(&self, key: &Key, condition: DeleteIf) -> Result<bool> {
        self.bucket.delete_if(key, &condition).await
    }

    async fn delete_tree(&self, prefix: &Key) -> Result<()> {
        self.bucket.delete_tree(prefix).await
    }

    async fn quarantine(&self, key: &Key, found: Option<Meta>) -> Result<()> {
        self.bucket.quarantine(key, found).await
    }

    fn list(&self, prefix: &Key, after: Option<&Key>) -> BoxStream<'_, Result<Key>> {
        list::list(self.bucket.clone(), prefix, after)
    }

    async fn list_children(
        &self,
        prefix: &Key,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<Child>> {
        list::list_children(&self.bucket, prefix, after, limit).await
    }

    async fn list_children_with(
        &self,
        prefix: &Key,
        path: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<(String, Meta)>> {
        list::list_children_with(&self.bucket, prefix, path, after, limit).await
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
        places::list_places(&self.bucket, prefix, marks, after, limit).await
    }

    async fn stage(&self, stage: Stage<'_>) -> Result<Box<dyn Staged>> {
        Ok(match stage {
            Stage::Final { key } => Box::new(FinalStaged::new(self.bucket.clone(), key)),
            Stage::Session { keys, open } => {
                Box::new(session::open(&self.bucket, keys, open).await?)
            }
        })
    }

    async fn expire_staged(&self, before: SystemTime) -> Result<u64> {
        self.bucket.expire_staged(before).await
    }

    /// Between the tasks of this process alone.
    async fn lock(&self, scope: &Key, mode: LockMode) -> Result<LockGuard> {
        Ok(self.bucket.locks.lock(scope, mode).await)
    }

    async fn signed_url(
        &self,
        key: &Key,
        method: SignedMethod,
        expires_in: Duration,
    ) -> Result<Option<String>> {
        let name = self.bucket.names.of(key);
        let signed = self.bucket.requests.presign(&name, method, expires_in).await;
        signed.map(Some).map_err(|failure| failure.at(key))
    }

    fn medium(&self) -> Medium {
        Medium { visible_is_durable: true, promotion_copies: true, locks_reach_processes: false }
    }
}

/// What all operations on one bucket share.
struct Bucket {
    /// For messages.
    name: String,
    requests: Arc<Requests>,
    names: Names,
    abilities: Abilities,
    /// What the names of all that is the backend's own begin with, with a slash at its end.
    private: String,
    locks: KeyedLocks,
    /// Held while a name is made, where the server does not look whether it is there.
    naming: KeyedLocks,
    /// Held while something is written on a condition, where the server does not look at it.
    claims: KeyedLocks,
    /// Room for parts.
    memory: Arc<Semaphore>,
    /// How much of it a part takes.
    part_permits: u32,
    /// Held by who gathers bytes at the end of a transfer. Not room of the above: who ends one may hold locks, and some of
    /// that, which others wait for.
    gathering: Semaphore,
    part_size: u64,
    copy_threshold: u64,
    copy_part_size: u64,
    copy_concurrency: usize,
    plain_parts: u16,
    large_part: u64,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

impl Bucket {
    fn new(requests: Requests, options: &S3Options) -> Self {
        let names = Names::below(&options.root);
        let part_permits = u32::try_from(options.part_size.div_ceil(PERMIT)).unwrap_or(u32::MAX);
        // One part must always find room.
        let permits = options.memory.div_ceil(PERMIT).max(part_permits.into());
        let permits = usize::try_from(permits).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        Self {
            name: options.bucket.clone(),
            private: names.prefix_of(&layout::private()),
            requests: Arc::new(requests),
            names,
            abilities: Abilities::default(),
            locks: KeyedLocks::default(),
            naming: KeyedLocks::default(),
            claims: KeyedLocks::default(),
            memory: Arc::new(Semaphore::new(permits)),
            part_permits,
            gathering: Semaphore::new(GATHERING),
            part_size: options.part_size,
            copy_threshold: options.copy_threshold.min(LARGEST_PUT),
            copy_part_size: options.copy_part_size,
            copy_concurrency: options.copy_concurrency,
            plain_parts: options.plain_parts,
            large_part: options.large_part,
            clock: options.clock.clone(),
            random: options.random.clone(),
        }
    }

    async fn head(&self, key: &Key) -> Result<Option<Meta>> {
        let found = self.requests.look_for(&self.names.of(key)).await;
        let found = found.map_err(|failure| failure.at(key))?;
        Ok(found.map(|found| found.meta))
    }

    fn part_size(&self) -> usize {
        usize::try_from(self.part_size).unwrap_or(usize::MAX)
    }

    /// Waits for room in memory for a part. For who holds neither any nor a lock.
    async fn room_for_a_part(&self) -> OwnedSemaphorePermit {
        let room = self.memory.clone().acquire_many_owned(self.part_permits).await;
        room.expect("the semaphore is never closed")
    }

    /// A name that nobody else makes.
    fn random_name(&self) -> String {
        hex::encode(self.random.bytes())
    }

    /// Such a name, for an object that is soon part of another.
    fn temporary_name(&self) -> String {
        format!("{}tmp/{}", self.private, self.random_name())
    }
}
