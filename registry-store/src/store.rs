//! [`Store`]: the door to everything.

use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt as _, TryStreamExt as _};

use crate::backend::{Backend, LockGuard};
use crate::blobs;
use crate::catalog;
use crate::damage::DamageReport;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::gc::{self, CollectOptions, Collected, Step};
use crate::listing::BATCH;
use crate::name::RepositoryName;
use crate::options::StoreOptions;
use crate::page::Page;
use crate::purge::{self, PurgeReport};
use crate::referrers::RebuildReport;
use crate::repository::Repository;
use crate::scrub::{self, LinkReport, ScrubOptions, ScrubbedBlob};
use crate::shared::Shared;
use crate::trial;

/// Everything that is kept on one backend. Cheap to clone; clones share all state.
///
/// Opening a store writes nothing and starts nothing: background work is [`Store::maintenance`], for the
/// embedder to run.
#[derive(Clone, Debug)]
pub struct Store {
    shared: Arc<Shared>,
}

impl Store {
    /// A store on a backend.
    pub fn new(backend: Arc<dyn Backend>, options: StoreOptions) -> Self {
        Self { shared: Arc::new(Shared::new(backend, options)) }
    }

    /// What it was made with: its clock is the one to stamp with what belongs to it.
    pub fn options(&self) -> &StoreOptions {
        &self.shared.options
    }

    /// A handle to a repository, which need not exist. Costs nothing.
    pub fn repository(&self, name: &RepositoryName) -> Repository {
        Repository::new(self.shared.clone(), name)
    }

    /// The catalog: the first `limit` repositories whose names are greater than `after`, in the order of
    /// [`RepositoryName`]. `after` need not be a repository's name.
    pub async fn repositories(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<RepositoryName>> {
        catalog::page(&self.shared, after, limit).await
    }

    /// The part of the catalog below `prefix/`: the first `limit` repositories there that are greater than `after`, which
    /// may be any text. It costs what a catalog of these alone would.
    pub async fn repositories_below(
        &self,
        prefix: &RepositoryName,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<RepositoryName>> {
        catalog::page_below(&self.shared, prefix, after, limit).await
    }

    /// Does [`Referrers::rebuild`](crate::referrers::Referrers::rebuild) for every repository, in the order of
    /// the catalog, as long as the stream is asked for more. A repository that fails is told of, and followed
    /// by the next; the stream itself ends with an error if the catalog cannot be read.
    pub fn rebuild_referrers(
        &self,
    ) -> BoxStream<'_, Result<(RepositoryName, Result<RebuildReport>)>> {
        let rebuilt = self.all_repositories().try_filter_map(move |name| async move {
            Ok(match self.repository(&name).referrers().rebuild().await {
                // It went while those before it were looked at.
                Err(Error::NameUnknown { .. }) => None,
                outcome => Some((name, outcome)),
            })
        });
        rebuilt.boxed()
    }

    /// Reads and hashes every blob, in the order of digests, as long as the stream is asked for more, and puts out
    /// of everybody's sight what is not what its digest says. See [`scrub`].
    ///
    /// What is told of is done; who stops keeps the last digest and goes on with [`ScrubOptions::after`]. Memory is
    /// bounded, and no more than two blobs are read at a time. Blobs may be pushed and deleted meanwhile: what is
    /// healed before it is put out of sight stays. On S3, where no lock reaches other processes, that is so as far
    /// as an object's size, time and ETag tell.
    ///
    /// A place whose names cannot be read is told of by an error and passed over; an error of the storage as a whole
    /// is the last thing told.
    pub fn scrub(&self, options: ScrubOptions) -> BoxStream<'_, Result<ScrubbedBlob>> {
        scrub::blobs(&self.shared, options)
    }

    /// Looks at the links of every repository, in the order of the catalog, as long as the stream is asked for more.
    /// Only tells. A repository that fails is followed by the next; the stream itself ends with an error if the
    /// catalog cannot be read.
    pub fn scrub_links(&self) -> BoxStream<'_, Result<(RepositoryName, Result<LinkReport>)>> {
        let looked_at = self.all_repositories().and_then(move |name| async move {
            let outcome = scrub::links(&self.shared, &name).await;
            Ok((name, outcome))
        });
        looked_at.boxed()
    }

    /// Takes away what nothing refers to: see [`gc`] for what is kept, in which order things go, and what it needs.
    /// `tell` is called with what it does, and must not block.
    ///
    /// It runs while nobody writes. On storage with locks between processes it waits two seconds for those who
    /// [hold it off](Store::hold_off_collection), and fails if they still do; elsewhere it has to be said
    /// ([`CollectOptions::nobody_writes`]). Programs that do not know this lock, such as Distribution, must not run beside
    /// it. Stores that only read may: what goes is not there to them from then on.
    ///
    /// Errors: `Storage`: `Busy`, if somebody writes; `Foreign`, if something that has manifests has not a repository's
    /// name; `Unsupported`, if it has to be said that nobody writes; or the storage fails. What was done until then stays
    /// done, and the next one does the rest.
    pub async fn collect(
        &self,
        options: CollectOptions,
        tell: &mut (dyn FnMut(Step) + Send),
    ) -> Result<Collected> {
        gc::collect(&self.shared, options, tell).await
    }

    /// Keeps collections of this storage away for as long as the guard is held, here and, where the storage has locks
    /// between processes, in others. For everybody who writes while a collector may be started; who only reads needs
    /// none. Nothing a store does asks for it.
    ///
    /// On a filesystem this makes a file for the lock below `_rs/`, once.
    ///
    /// Errors: `Storage`: `Busy`, if a collection is under way.
    pub async fn hold_off_collection(&self) -> Result<LockGuard> {
        gc::hold_off(&self.shared).await
    }

    /// Takes a blob away from every repository, whether a manifest needs it or not: for a collector that has marked
    /// elsewhere, such as Harbor's. Who reads the blob now reads it to its end. Links to it stay, and lead nowhere until it
    /// is pushed again. `false` if it was not there.
    ///
    /// One effect: the bytes go, alone among all who name blobs of the shard. It runs to its end even if the caller leaves.
    /// A push of the same blob that has ended before is undone, as it was asked for; and so may one be that is under way,
    /// though it ends well: it found the bytes there, and they went before it was done. Who marks elsewhere keeps such
    /// pushes away, or names no blob that one may need.
    pub async fn remove_blob(&self, digest: &Digest) -> Result<bool> {
        blobs::remove_everywhere(&self.shared, digest).await
    }

    /// Asks the storage for something that costs little and changes nothing. An error is one that whoever reads would get.
    pub async fn look(&self) -> Result<()> {
        trial::look(&self.shared).await
    }

    /// Writes a small object below `_rs/`, makes it durable, reads it back and removes it. An error is one that whoever
    /// writes would get; `Io` if other bytes came back.
    ///
    /// Order: written, durable → read → removed, whatever was read. A crash leaves a few bytes below `_rs/trial/`. Of one
    /// store one is tried out at a time; the others wait. It runs to its end even if the caller leaves.
    pub async fn try_out(&self) -> Result<()> {
        trial::write(&self.shared).await
    }

    /// What was found damaged since the store was opened.
    pub fn damage(&self) -> DamageReport {
        self.shared.damage.report()
    }

    /// Removes upload sessions that began longer ago than `older_than`, and what of that age was begun and
    /// never finished.
    pub async fn purge_uploads(&self, older_than: Duration) -> Result<PurgeReport> {
        purge::purge(&self.shared, older_than).await
    }

    /// Waits for the work that goes on when its caller has left: commits, manifest puts and deletes.
    ///
    /// For a program that ends: a lock between processes must not be let go of before the last write that was
    /// made under it, which is certain only once this has returned, or the process is gone.
    pub async fn finish_detached(&self) {
        self.shared.detached.finished().await;
    }

    /// Background work, for ever: the embedder spawns it, or not. A failed round is logged, and followed by
    /// the next.
    ///
    /// Expires upload sessions: see [`StoreOptions::upload_expiry`] and
    /// [`StoreOptions::maintenance_interval`].
    pub async fn maintenance(&self) {
        loop {
            match self.purge_uploads(self.shared.options.upload_expiry).await {
                Ok(PurgeReport { uploads: 0, litter: 0 }) => {}
                Ok(report) => {
                    tracing::info!(report.uploads, report.litter, "expired uploads removed");
                }
                Err(error) => tracing::error!(%error, "expiry of uploads failed"),
            }
            tokio::time::sleep(self.shared.options.maintenance_interval).await;
        }
    }

    /// Every repository, a page of them held at a time.
    fn all_repositories(&self) -> impl Stream<Item = Result<RepositoryName>> + Send + '_ {
        let pages = stream::try_unfold(Some(None), move |after| async move {
            let Some(after) = after else { return Ok::<_, Error>(None) };
            let after: Option<RepositoryName> = after;
            let after = after.as_ref().map(RepositoryName::as_str);
            let page = self.repositories(after, BATCH).await?;
            let next = page.next_after().cloned().map(Some);
            Ok(Some((stream::iter(page.items.into_iter().map(Ok)), next)))
        });
        pages.try_flatten()
    }
}
