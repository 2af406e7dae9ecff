//! [`Referrers`]: the manifests of a repository that have a subject.
//!
//! Each is recorded in an index of ours below the subject's digest, so that a list costs what it returns. The
//! index is derivable from the manifests: an entry counts only if its manifest is still there, and says so.
//!
//! Beside it counts what clients of a registry without this index have kept themselves: an image index under
//! the tag `<algorithm>-<hex>` (OCI distribution-spec, "Referrers tag schema").

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use crate::blobs;
use crate::descriptor::Descriptor;
use crate::digest::{AnyDigest, Digest};
use crate::error::Result;
use crate::layout::RepositoryLayout;
use crate::link;
use crate::listing;
use crate::manifest::{Content, MAX_MANIFEST_SIZE, Manifest};
use crate::media_type::MediaType;
use crate::page::Page;
use crate::shared::Shared;

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
        let listed_by_clients = self.listed_by_clients(subject).await?;
        let mut found = Vec::new();
        let mut after = after.copied();
        // One more than asked for tells whether there are more.
        while found.len() <= limit {
            let wanted = (limit - found.len()).saturating_add(1).min(listing::BATCH + 1);
            let place = |algorithm| self.layout.referrers(subject, algorithm);
            let recorded = listing::digests(&self.shared, place, after.as_ref(), wanted).await?;
            let batch = merged(recorded, &listed_by_clients, after.as_ref(), wanted);
            for digest in &batch.items {
                let described = self.describe(subject, digest).await?;
                found.extend(described.filter(|described| {
                    artifact_type.is_none() || described.artifact_type.as_ref() == artifact_type
                }));
            }
            after = batch.next_after().copied();
            if after.is_none() {
                break;
            }
        }
        Ok(Page::cut(found, limit))
    }

    /// Records that a manifest refers to a subject. The manifest is there already.
    pub(crate) async fn record(&self, subject: &Digest, referrer: &Digest) -> Result<()> {
        let record = self.layout.referrer_link(subject, referrer);
        link::write(&self.shared, &record, referrer).await
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
        let Some(index) = link::read(&self.shared, &link).await? else {
            return Ok(BTreeSet::new());
        };
        let index = self.manifest(&index).await?;
        let Some(Content::Index(index)) = index.as_ref().map(Manifest::content) else {
            return Ok(BTreeSet::new());
        };
        Ok(index.manifests.iter().filter_map(|entry| entry.digest.known()).copied().collect())
    }

    /// What a list says of a manifest; `None` if it is not in the repository, or has another subject.
    async fn describe(&self, subject: &Digest, referrer: &Digest) -> Result<Option<Descriptor>> {
        let Some(manifest) = self.manifest(referrer).await? else { return Ok(None) };
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
        Ok(bytes.and_then(|bytes| Manifest::parse(None, bytes).ok()))
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
