//! [`Tags`]: the tags of a repository.

use std::sync::Arc;

use futures::{Stream, StreamExt as _, TryStreamExt as _, stream};

use crate::backend::{ErrorKind, Key, LockMode, Meta};
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::layout::RepositoryLayout;
use crate::link;
use crate::listing::{self, BATCH, MANY};
use crate::page::Page;
use crate::precondition::Precondition;
use crate::reference::Tag;
use crate::shared::Shared;

/// Independent requests in flight for one call.
const PARALLEL: usize = 16;
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
    /// On a filesystem this costs a pass over the names of all tags: who wants them all takes [`Tags::all`].
    ///
    /// Errors: `NameUnknown` if there is no such repository.
    pub async fn list(&self, after: Option<&str>, limit: usize) -> Result<Page<Tag>> {
        // One more than asked for tells whether there are more.
        let wanted = limit.saturating_add(1);
        let found = Walk::new(self, after, wanted).next(wanted).await?;
        if found.is_empty() {
            self.expect_repository().await?;
        }
        Ok(Page::cut(found, limit))
    }

    /// All tags greater than `after`, in byte order, in parts of `part`; `after` need not be a tag. There is a
    /// first part, if only of nothing, and no other is empty.
    ///
    /// Holds 8 Ki names at most: on a filesystem the names are read once for each so many of them.
    ///
    /// Errors: `NameUnknown` in the place of the first part if there is no such repository.
    pub fn all(
        &self,
        after: Option<&str>,
        part: usize,
    ) -> impl Stream<Item = Result<Vec<Tag>>> + Send + use<> {
        let state = (Walk::new(self, after, MANY), true);
        stream::try_unfold(state, move |(mut walk, is_first)| async move {
            let found = walk.next(part.max(1)).await?;
            if found.is_empty() && !is_first {
                return Ok(None);
            }
            if found.is_empty() {
                walk.tags.expect_repository().await?;
            }
            Ok(Some((found, (walk, false))))
        })
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
        self.delete_if(tag, &Precondition::default()).await
    }

    /// Removes a tag if a precondition holds of the manifest it points at. No put and no other delete comes
    /// between the look and the delete, but for those of programs that do not know our lock.
    ///
    /// Errors: `ManifestUnknown`; `PreconditionFailed`, and then nothing was done.
    pub async fn delete_if(&self, tag: &Tag, precondition: &Precondition) -> Result<()> {
        // On a filesystem a lock leaves a file. There is none for what is not there: names are free to be made up.
        let link = self.layout.tag_current_link(tag);
        if self.shared.backend.head(&link).await?.is_none() {
            return Err(self.unknown(tag));
        }
        let (this, tag, precondition) = (self.clone(), tag.clone(), precondition.clone());
        self.shared
            .detached
            .run(async move {
                let scope = this.layout.root();
                let _lock = this.shared.backend.lock(scope, LockMode::Exclusive).await?;
                this.expect(&tag, &precondition).await?;
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
        let mut walk = Walk::new(self, None, MANY);
        while walk.pass().await? {
            let names: Vec<Tag> = walk.names.by_ref().collect();
            for names in names.chunks(BATCH) {
                for tag in self.that_pointed_at(names, digest).await? {
                    if self.current(&tag).await? == Some(*digest) && self.remove(&tag).await? {
                        removed(tag);
                    }
                }
            }
        }
        Ok(())
    }

    /// Looks whether a precondition holds of a tag that is there. The caller holds the repository's lock, exclusive.
    async fn expect(&self, tag: &Tag, precondition: &Precondition) -> Result<()> {
        if precondition.is_empty() {
            return Ok(());
        }
        let found = self.resolve(tag).await?;
        if precondition.holds(Some(&found)) {
            return Ok(());
        }
        let (name, reference) = (self.layout.name().clone(), tag.clone().into());
        Err(Error::PreconditionFailed { name, reference, found: Some(found) })
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

    async fn expect_repository(&self) -> Result<()> {
        if listing::is_repository(&self.shared, self.layout.root()).await? {
            return Ok(());
        }
        Err(Error::NameUnknown { name: self.layout.name().clone() })
    }

    fn unknown(&self, tag: &Tag) -> Error {
        Error::ManifestUnknown { name: self.layout.name().clone(), reference: tag.clone().into() }
    }
}

/// Goes through the names that could be tags; whether they are, their links tell.
struct Walk {
    tags: Tags,
    /// Names that are to be looked at.
    names: std::vec::IntoIter<Tag>,
    /// Behind which name the next pass begins; `None` if there is no other.
    rest: Option<Option<String>>,
    /// How many names the next pass takes.
    chunk: usize,
}

impl Walk {
    fn new(tags: &Tags, after: Option<&str>, chunk: usize) -> Self {
        Self {
            tags: tags.clone(),
            names: Vec::new().into_iter(),
            rest: Some(after.map(ToOwned::to_owned)),
            chunk: chunk.min(MANY),
        }
    }

    /// The next tags that exist: so many, or fewer at the end.
    async fn next(&mut self, wanted: usize) -> Result<Vec<Tag>> {
        let mut found = Vec::new();
        while found.len() < wanted {
            let names: Vec<Tag> = self.names.by_ref().take(wanted - found.len()).collect();
            if !names.is_empty() {
                found.extend(self.tags.existing(&names).await?);
            } else if !self.pass().await? {
                break;
            }
        }
        Ok(found)
    }

    /// Reads the next names, which may all be foreign; `false` at the end.
    ///
    /// Each pass takes twice as many as the one before: where few of the names are tags, a page would otherwise
    /// cost a pass for each few of them.
    async fn pass(&mut self) -> Result<bool> {
        let Some(after) = self.rest.take() else { return Ok(false) };
        let place = self.tags.layout.tags();
        let backend = &self.tags.shared.backend;
        let page = backend.list_children(&place, after.as_deref(), self.chunk).await?;
        self.rest = page.next_after().map(|child| Some(child.name().to_owned()));
        let names = page.items.iter().filter(|child| child.is_prefix());
        let tags: Vec<Tag> = names.filter_map(|child| child.name().parse().ok()).collect();
        self.names = tags.into_iter();
        self.chunk = (self.chunk * 2).min(MANY);
        Ok(true)
    }
}
