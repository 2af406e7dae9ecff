//! [`Referrers`]: the manifests of a repository that have a subject.
//!
//! Each is recorded in an index of ours below the subject's digest, so that a list costs what it returns. The
//! index is derivable from the manifests: an entry counts only if its manifest is still there, and says so.
//!
//! What a program wrote that does not know the index is recorded by [`Referrers::rebuild`].
//!
//! Beside it counts what clients of a registry without this index have kept themselves: an image index under
//! the tag `<algorithm>-<hex>` (OCI distribution-spec, "Referrers tag schema").

mod rebuild;

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use futures::{Stream, StreamExt as _, TryStreamExt as _, future, stream};

use crate::backend::ErrorKind;
use crate::blobs;
use crate::descriptor::Descriptor;
use crate::digest::{AnyDigest, Digest};
use crate::error::{Error, Result};
use crate::layout::RepositoryLayout;
use crate::link;
use crate::listing::{self, BATCH};
use crate::manifest::{Content, MAX_MANIFEST_SIZE, Manifest};
use crate::media_type::MediaType;
use crate::page::Page;
use crate::shared::Shared;

pub use rebuild::{NAMED, RebuildReport};

/// Manifests that are read at once: each may be 4 MiB.
const PARALLEL: usize = 4;
/// The most digests that are taken from a listing at once, some 2 MiB.
const MOST: usize = 8 * 1024;

/// The manifests of a repository that have a subject.
#[derive(Clone, Debug)]
pub struct Referrers {
    shared: Arc<Shared>,
    layout: RepositoryLayout,
}

impl Referrers {
    pub(crate) const fn new(shared: Arc<Shared>, layout: RepositoryLayout) -> Self {
        Self { shared, layout }
    }

    /// The manifests whose subject is `subject`, in the order of their digests: the first `limit` whose digest
    /// is greater than `after`, only those of `artifact_type` if one is given.
    ///
    /// Each descriptor has the manifest's media type, digest, size, artifact type and annotations (OCI
    /// distribution-spec, "Listing referrers"). A subject nobody refers to, or that does not exist, has none;
    /// that is no error.
    pub async fn list(
        &self,
        subject: &Digest,
        artifact_type: Option<&MediaType>,
        after: Option<&Digest>,
        limit: usize,
    ) -> Result<Page<Descriptor>> {
        let all = self.all(subject, artifact_type, after);
        // One more than asked for tells whether there are more.
        let found: Vec<Descriptor> = all.take(limit.saturating_add(1)).try_collect().await?;
        Ok(Page::cut(found, limit))
    }

    /// The same, one after the other to the last: for who cannot tell beforehand how many he takes.
    pub fn all(
        &self,
        subject: &Digest,
        artifact_type: Option<&MediaType>,
        after: Option<&Digest>,
    ) -> impl Stream<Item = Result<Descriptor>> + Send + use<> {
        let (this, subject, artifact_type) = (self.clone(), *subject, artifact_type.cloned());
        let walk = Walk {
            referrers: self.clone(),
            subject,
            by_clients: None,
            rest: Some(after.copied()),
            chunk: BATCH,
        };
        let batches = stream::try_unfold(walk, |mut walk| async move {
            let batch = walk.next().await?;
            Ok::<_, Error>(batch.map(|batch| (stream::iter(batch.into_iter().map(Ok)), walk)))
        });
        let describe = move |digest: Digest| {
            let this = this.clone();
            async move { this.describe(&subject, &digest).await }
        };
        let described = batches.try_flatten().map_ok(describe).try_buffered(PARALLEL);
        described.try_filter_map(move |described| {
            let wanted = described.filter(|described| {
                artifact_type.is_none() || described.artifact_type == artifact_type
            });
            future::ready(Ok(wanted))
        })
    }

    /// Records that a manifest refers to a subject. The manifest is there already.
    pub(crate) async fn record(&self, subject: &Digest, referrer: &Digest) -> Result<()> {
        let record = self.layout.referrer_link(subject, referrer);
        link::write(&self.shared, &record, referrer).await.map(|_| ())
    }

    /// Removes the record that a manifest refers to a subject.
    pub(crate) async fn forget(&self, subject: &Digest, referrer: &Digest) -> Result<()> {
        let record = self.layout.referrer_link(subject, referrer);
        Ok(self.shared.backend.delete(&[record]).await?)
    }

    /// The manifests that clients have listed under the subject's tag, in order.
    async fn listed_by_clients(&self, subject: &Digest) -> Result<BTreeSet<Digest>> {
        let hex = subject.hex();
        // The schema cuts what is encoded to 64 characters, so this is a tag whatever the algorithm.
        let Ok(tag) = format!("{}-{}", subject.algorithm(), &hex[..64]).parse() else {
            return Ok(BTreeSet::new());
        };
        let link = self.layout.tag_current_link(&tag);
        let Some(index) = unless_foreign(link::read(&self.shared, &link).await)? else {
            return Ok(BTreeSet::new());
        };
        let index = unless_foreign(self.manifest(&index).await)?;
        let Some(Content::Index(index)) = index.as_ref().map(Manifest::content) else {
            return Ok(BTreeSet::new());
        };
        Ok(index.manifests.iter().filter_map(|entry| entry.digest.known()).copied().collect())
    }

    /// What a list says of a manifest; `None` if it is not in the repository, or has another subject. Something
    /// foreign in its place is no reason to show none of the others.
    async fn describe(&self, subject: &Digest, referrer: &Digest) -> Result<Option<Descriptor>> {
        let Some(manifest) = unless_foreign(self.manifest(referrer).await)? else {
            return Ok(None);
        };
        let own_subject = manifest.subject().and_then(|subject| subject.digest.known());
        if own_subject != Some(subject) {
            return Ok(None);
        }
        Ok(Some(Descriptor {
            media_type: manifest.media_type().clone(),
            digest: AnyDigest::Known(*referrer),
            size: manifest.bytes().len() as u64,
            urls: Vec::new(),
            artifact_type: manifest.artifact_type().cloned(),
            annotations: manifest.annotations().clone(),
        }))
    }

    /// A manifest of this repository, if it is there and can be read.
    async fn manifest(&self, digest: &Digest) -> Result<Option<Manifest>> {
        let link = self.layout.revision_link(digest);
        let Some(stored) = link::read_for(&self.shared, &link, digest).await? else {
            return Ok(None);
        };
        let limit = MAX_MANIFEST_SIZE as u64;
        let bytes = blobs::read_small(&self.shared, &stored, limit).await?;
        Ok(bytes.and_then(|bytes| Manifest::parse_stored(bytes).ok()))
    }
}

/// Takes something foreign in the place of one object for nothing.
fn unless_foreign<T>(found: Result<Option<T>>) -> Result<Option<T>> {
    match found {
        Err(Error::Storage(error)) if error.kind() == ErrorKind::Foreign => {
            tracing::warn!(%error, "passed over in a list of referrers");
            Ok(None)
        }
        found => found,
    }
}

/// Goes through the digests of manifests that may have a subject.
struct Walk {
    referrers: Referrers,
    subject: Digest,
    /// What clients have listed, read when the walk begins.
    by_clients: Option<BTreeSet<Digest>>,
    /// Behind which digest the next pass begins; `None` if there is no other.
    rest: Option<Option<Digest>>,
    /// How many the next pass takes.
    chunk: usize,
}

impl Walk {
    /// The next digests, in order; `None` at the end.
    ///
    /// Each pass takes twice as many as the one before, up to a bound: on a filesystem it costs a pass over all
    /// names, and who wants one type of many may come to need them all.
    async fn next(&mut self) -> Result<Option<Vec<Digest>>> {
        let Some(after) = self.rest.take() else { return Ok(None) };
        let by_clients = match self.by_clients.take() {
            Some(known) => known,
            None => self.referrers.listed_by_clients(&self.subject).await?,
        };
        let Referrers { shared, layout } = &self.referrers;
        let place = |algorithm| layout.referrers(&self.subject, algorithm);
        let recorded = listing::digests(shared, place, after.as_ref(), self.chunk).await?;
        let batch = merged(recorded, &by_clients, after.as_ref(), self.chunk);
        self.by_clients = Some(by_clients);
        self.rest = batch.next_after().copied().map(Some);
        self.chunk = (self.chunk * 2).min(MOST);
        Ok(Some(batch.items))
    }
}

/// The first `limit` behind `after` of both lists, each once.
fn merged(
    recorded: Page<Digest>,
    listed: &BTreeSet<Digest>,
    after: Option<&Digest>,
    limit: usize,
) -> Page<Digest> {
    let from = after.map_or(Bound::Unbounded, Bound::Excluded);
    // Behind the last that was recorded others may follow that are not in this page.
    let to = recorded.next_after().copied();
    let to = to.as_ref().map_or(Bound::Unbounded, Bound::Included);
    let more = recorded.more;
    let mut all: BTreeSet<Digest> = listed.range((from, to)).copied().collect();
    all.extend(recorded.items);
    let page = Page::cut(all, limit);
    Page { more: page.more || more, ..page }
}
