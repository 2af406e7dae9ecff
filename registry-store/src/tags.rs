//! [`Tags`]: the tags of a repository.

use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _, stream};

use crate::backend::{ErrorKind, Key, LockMode, Meta};
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::layout::RepositoryLayout;
use crate::link;
use crate::listing::{self, BATCH};
use crate::page::Page;
use crate::reference::Tag;
use crate::shared::Shared;

/// Independent requests in flight for one call.
const PARALLEL: usize = 16;
/// Names taken from a listing at once: on a filesystem each time costs a pass over all of them, and so many are
/// some 6 MiB at most.
const MANY: usize = 64 * 1024;

/// The tags of a repository. A tag exists as long as its `current/link` does.
#[derive(Clone, Debug)]
pub struct Tags {
    shared: Arc<Shared>,
    layout: RepositoryLayout,
}

impl Tags {
    pub(crate) const fn new(shared: Arc<Shared>, layout: RepositoryLayout) -> Self {
        Self { shared, layout }
    }

    /// The manifest a tag points at. It may be gone all the same: whoever reads it finds out.
    ///
    /// Errors: `ManifestUnknown`.
    pub async fn resolve(&self, tag: &Tag) -> Result<Digest> {
        self.current(tag).await?.ok_or_else(|| self.unknown(tag))
    }

    /// The first `limit` tags greater than `after`, in byte order; `after` need not be a tag.
    ///
    /// Errors: `NameUnknown` if there is no such repository.
    pub async fn list(&self, after: Option<&str>, limit: usize) -> Result<Page<Tag>> {
        let mut found = Vec::new();
        let mut after = after.map(ToOwned::to_owned);
        // One more than asked for tells whether there are more.
        while found.len() <= limit {
            let wanted = (limit - found.len()).saturating_add(1).min(MANY);
            let batch = self.names(after.as_deref(), wanted).await?;
            found.extend(self.existing(&batch.items).await?);
            after = batch.next_after().map(Tag::to_string);
            if after.is_none() {
                break;
            }
        }
        if found.is_empty() && !listing::is_repository(&self.shared, self.layout.root()).await? {
            return Err(Error::NameUnknown { name: self.layout.name().clone() });
        }
        Ok(Page::cut(found, limit))
    }

    /// Manifests the tag ever pointed at, whether they still exist or not: the first `limit` greater than
    /// `after`, in the order of digests.
    ///
    /// Errors: `ManifestUnknown` if there is no such tag.
    pub async fn history(
        &self,
        tag: &Tag,
        after: Option<&Digest>,
        limit: usize,
    ) -> Result<Page<Digest>> {
        if self.existing(std::slice::from_ref(tag)).await?.is_empty() {
            return Err(self.unknown(tag));
        }
        let place = |algorithm| self.layout.tag_index(tag, algorithm);
        listing::digests(&self.shared, place, after, limit).await
    }

    /// Removes a tag. Its manifest stays.
    ///
    /// Errors: `ManifestUnknown`.
    pub async fn delete(&self, tag: &Tag) -> Result<()> {
        let (this, tag) = (self.clone(), tag.clone());
        self.shared
            .detached
            .run(async move {
                let scope = this.layout.root();
                let _lock = this.shared.backend.lock(scope, LockMode::Exclusive).await?;
                if this.remove(&tag).await? { Ok(()) } else { Err(this.unknown(&tag)) }
            })
            .await
    }

    /// The manifest a tag points at; `None` if there is no such tag.
    pub(crate) async fn current(&self, tag: &Tag) -> Result<Option<Digest>> {
        link::read(&self.shared, &self.layout.tag_current_link(tag)).await
    }

    /// Points a tag at a manifest. The caller holds the repository's lock, shared.
    ///
    /// Order: the entry of its history, durable → the tag itself, by rename, durable. A crash leaves the tag as
    /// it was, perhaps with an entry of history for what it never pointed at, which is harmless. The other way
    /// round it would not be: who deletes the manifest finds the tags on it by their history.
    pub(crate) async fn point(&self, tag: &Tag, digest: &Digest) -> Result<()> {
        let entry = self.layout.tag_index_link(tag, digest);
        link::write(&self.shared, &entry, digest).await?;
        link::replace(&self.shared, &self.layout.tag_current_link(tag), digest).await
    }

    /// Removes every tag that points at a manifest, and tells `removed` of each. The caller holds the
    /// repository's lock, exclusive.
    ///
    /// A tag's history only tells which tags can be affected; what decides is where the tag points now.
    pub(crate) async fn remove_all_on(
        &self,
        digest: &Digest,
        removed: &mut (dyn FnMut(Tag) + Send),
    ) -> Result<()> {
        let mut after = None;
        loop {
            let batch = self.names(after.as_deref(), MANY).await?;
            for tag in self.that_pointed_at(&batch.items, digest).await? {
                if self.current(&tag).await? == Some(*digest) && self.remove(&tag).await? {
                    removed(tag);
                }
            }
            after = batch.next_after().map(Tag::to_string);
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// Removes a tag; `false` if there is none. The caller holds the repository's lock, exclusive.
    ///
    /// Order: list the entries of its history → remove the tag itself → remove those entries → look again: if
    /// a push has come in between (of a program that does not know our lock), give it back the entry of what
    /// it points at. A crash leaves the tag, or entries of history without a tag, which is as if they were not
    /// there.
    ///
    /// Only entries that were there before the tag went may go, so all of them are held: 65 bytes for each
    /// manifest the tag ever pointed at.
    async fn remove(&self, tag: &Tag) -> Result<bool> {
        let current_link = self.layout.tag_current_link(tag);
        if self.shared.backend.head(&current_link).await?.is_none() {
            return Ok(false);
        }
        let place = |algorithm| self.layout.tag_index(tag, algorithm);
        let entries = listing::digests(&self.shared, place, None, usize::MAX).await?.items;
        self.shared.backend.delete(&[current_link]).await?;
        for batch in entries.chunks(BATCH) {
            let keys: Vec<Key> =
                batch.iter().map(|digest| self.layout.tag_index_link(tag, digest)).collect();
            self.shared.backend.delete(&keys).await?;
        }
        if let Some(digest) = self.current(tag).await? {
            let entry = self.layout.tag_index_link(tag, &digest);
            link::write(&self.shared, &entry, &digest).await?;
        }
        Ok(true)
    }

    /// Names that could be tags; whether they are, their links tell.
    async fn names(&self, after: Option<&str>, limit: usize) -> Result<Page<Tag>> {
        let mut after = after.map(ToOwned::to_owned);
        loop {
            let place = self.layout.tags();
            let page = self.shared.backend.list_children(&place, after.as_deref(), limit).await?;
            after = page.next_after().map(|child| child.name().to_owned());
            let names = page.items.iter().filter(|child| child.is_prefix());
            let tags: Vec<Tag> = names.filter_map(|child| child.name().parse().ok()).collect();
            // A page of foreign names only has no last tag to go on from.
            if !tags.is_empty() || after.is_none() {
                return Ok(Page { items: tags, more: after.is_some() });
            }
        }
    }

    /// Those of the tags that exist, in the same order. A link without a byte is damage, and none.
    async fn existing(&self, tags: &[Tag]) -> Result<Vec<Tag>> {
        self.with_link(tags, |tag| self.layout.tag_current_link(tag), |link| link.size > 0).await
    }

    /// Those of the tags whose history names the manifest, damaged as the entry may be.
    async fn that_pointed_at(&self, tags: &[Tag], digest: &Digest) -> Result<Vec<Tag>> {
        self.with_link(tags, |tag| self.layout.tag_index_link(tag, digest), |_| true).await
    }

    async fn with_link(
        &self,
        tags: &[Tag],
        link: impl Fn(&Tag) -> Key,
        counts: fn(&Meta) -> bool,
    ) -> Result<Vec<Tag>> {
        let looks: Vec<_> = tags.iter().map(|tag| (tag.clone(), link(tag))).collect();
        let looks = stream::iter(looks).map(|(tag, link)| async move {
            match self.shared.backend.head(&link).await {
                Ok(meta) => Ok(meta.filter(counts).map(|_| tag)),
                // Something else lies there: no tag of ours, and no reason to show none of the others.
                Err(error) if error.kind() == ErrorKind::Foreign => {
                    tracing::warn!(key = %link, %error, "not a link");
                    Ok(None)
                }
                Err(error) => Err(Error::from(error)),
            }
        });
        let found: Vec<Option<Tag>> = looks.buffered(PARALLEL).try_collect().await?;
        Ok(found.into_iter().flatten().collect())
    }

    fn unknown(&self, tag: &Tag) -> Error {
        Error::ManifestUnknown { name: self.layout.name().clone(), reference: tag.clone().into() }
    }
}
