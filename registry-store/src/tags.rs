//! [`Tags`]: the tags of a repository.

use std::sync::Arc;

use bytes::Bytes;
use futures::{Stream, stream};

use crate::backend::{Key, LockMode, PointIf, Pointed, Put};
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::layout::RepositoryLayout;
use crate::link;
use crate::listing::{self, BATCH, MANY};
use crate::page::Page;
use crate::precondition::Precondition;
use crate::reference::Tag;
use crate::shared::Shared;

/// How often a push looks after deletes of its tag by other processes.
const MEETINGS: usize = 3;

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
        let link = self.layout.tag_current_link(tag);
        if self.shared.backend.head(&link).await?.is_none_or(|link| link.size == 0) {
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
                let _lock = this.shared.backend.lock(scope, LockMode::ToDelete).await?;
                let found = this.expect(&tag, &precondition).await?;
                let only_on = found.as_ref();
                let only_on = only_on.map(|digest| OnlyOn {
                    digest,
                    only_if_gone: false,
                    keeps_entry: false,
                });
                if this.remove(&tag, only_on).await? { Ok(()) } else { Err(this.unknown(&tag)) }
            })
            .await
    }

    /// The manifest a tag points at; `None` if there is no such tag.
    pub(crate) async fn current(&self, tag: &Tag) -> Result<Option<Digest>> {
        link::read(&self.shared, &self.layout.tag_current_link(tag)).await
    }

    /// Points a tag at a manifest if a condition holds of where it pointed, and tells whether the manifest is still
    /// linked. The caller holds the repository's lock, shared; exclusive if there is a condition.
    ///
    /// Order: the entry of its history, durable → the tag itself, by rename, durable. A crash leaves the tag as
    /// it was, perhaps with an entry of history for what it never pointed at, which is harmless. The other way
    /// round it would not be: who deletes the manifest finds the tags on it by their history.
    pub(crate) async fn point(
        &self,
        tag: &Tag,
        digest: &Digest,
        condition: PointIf,
    ) -> Result<Pointed> {
        let entry = self.layout.tag_index_link(tag, digest);
        let (current, target) =
            (self.layout.tag_current_link(tag), self.layout.revision_link(digest));
        let kept = link::write(&self.shared, &entry, digest).await? == Put::Kept;
        let pointed = link::point(&self.shared, &current, digest, &target, condition).await?;
        match pointed {
            Pointed::Written if kept => self.settle_again(tag, digest).await,
            pointed => Ok(pointed),
        }
    }

    /// Looks whether a delete of the tag by another process, which knew its entry of history from before, has taken that
    /// away, or the tag that was written anew with the same content: then it is written again.
    ///
    /// Only a tag that pointed at the manifest before has that entry, so this costs few pushes anything.
    ///
    /// Order: the entry → the tag. A crash leaves an entry without its tag, which nobody was promised.
    async fn settle_again(&self, tag: &Tag, digest: &Digest) -> Result<Pointed> {
        let meetings = match self.shared.backend.medium().locks_reach_processes {
            true => 0,
            false => MEETINGS,
        };
        for _ in 0..meetings {
            let entry = self.layout.tag_index_link(tag, digest);
            let kept = link::write(&self.shared, &entry, digest).await? == Put::Kept;
            if kept && self.current(tag).await?.is_some() {
                break;
            }
            let (current, target) =
                (self.layout.tag_current_link(tag), self.layout.revision_link(digest));
            // If it is there it is this, or what came after it.
            let again = PointIf::Absent;
            let pointed = link::point(&self.shared, &current, digest, &target, again).await?;
            // Without its entry it was not found by a delete of the manifest, which may be over by now.
            let is_missed =
                pointed == Pointed::Refused && self.shared.backend.head(&target).await?.is_none();
            if pointed == Pointed::TargetGone || is_missed {
                return Ok(Pointed::TargetGone);
            }
        }
        Ok(Pointed::Written)
    }

    /// What is stored of where a tag points, to compare with later.
    pub(crate) async fn current_raw(&self, tag: &Tag) -> Result<Option<Bytes>> {
        link::read_raw(&self.shared, &self.layout.tag_current_link(tag)).await
    }

    /// Removes every tag that points at a manifest, and tells `removed` of each. The caller holds the
    /// repository's lock, exclusive. In a second pass, when the manifest's link has gone, a tag on it stays if that
    /// link is there: then it was pushed once more.
    ///
    /// A tag's history only tells which tags can be affected; what decides is where the tag points now. So where the
    /// lock does not reach other processes, the first pass leaves the entry for the manifest, by which the second
    /// finds a tag that is being pushed meanwhile.
    ///
    /// Tags that point elsewhere by now, or are gone, are settled in the first pass: whoever moved or deleted one may have
    /// been killed before that was durable, and with a loss of power it would point at the manifest again.
    ///
    /// Order, for each tag, a page of names after the other: a look at it → the tag → its entries of history. A crash
    /// leaves the tags that were not reached: those of a first pass stand as before, and the next delete finds them by
    /// their history; those of a second point at a manifest that is gone, and answer 404.
    pub(crate) async fn remove_all_on(
        &self,
        digest: &Digest,
        is_second: bool,
        removed: &mut (dyn FnMut(Tag) + Send),
    ) -> Result<()> {
        let (place, entry) = (self.layout.tags(), RepositoryLayout::tag_index_entry(digest));
        let mut after: Option<String> = None;
        loop {
            let backend = &self.shared.backend;
            let page = backend.list_children_with(&place, &entry, after.as_deref(), MANY).await?;
            // Pushed once more by another process, the entries may be of that push. One that comes behind this look
            // finds the entries that were listed, and looks after them.
            if is_second
                && !page.items.is_empty()
                && backend.head(&self.layout.revision_link(digest)).await?.is_some()
            {
                return Ok(());
            }
            let mut elsewhere = Vec::new();
            for tag in page.items.iter().filter_map(|(name, _)| name.parse::<Tag>().ok()) {
                let keeps_entry = !is_second && !self.shared.backend.medium().locks_reach_processes;
                let only_on = OnlyOn { digest, only_if_gone: is_second, keeps_entry };
                let current = self.current(&tag).await?;
                if current == Some(*digest) {
                    if self.remove(&tag, Some(only_on)).await? {
                        removed(tag);
                    }
                } else if !is_second {
                    elsewhere.push(self.layout.tag_current_link(&tag));
                } else if current.is_none() {
                    self.remove_entries(&tag, &[*digest]).await?;
                }
            }
            if !elsewhere.is_empty() && !self.shared.backend.medium().visible_is_durable {
                self.shared.backend.settle(&elsewhere).await?;
            }
            after = page.next_after().map(|(name, _)| name.clone());
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// Looks whether a precondition holds of a tag that is there, and tells where it points if there is one. The
    /// caller holds the repository's lock, exclusive.
    async fn expect(&self, tag: &Tag, precondition: &Precondition) -> Result<Option<Digest>> {
        if precondition.is_empty() {
            return Ok(None);
        }
        let found = self.resolve(tag).await?;
        if precondition.holds(Some(&found)) {
            return Ok(Some(found));
        }
        let (name, reference) = (self.layout.name().clone(), tag.clone().into());
        Err(Error::PreconditionFailed { name, reference, found: Some(found) })
    }

    /// Removes a tag; `false` if there is none, or not as `only_on` has it. The caller holds the repository's
    /// lock, exclusive.
    ///
    /// Order: list the entries of its history → remove the tag itself → remove those entries → look again: if
    /// a push has come in between (of a program that does not know our lock), give it back the entry of what
    /// it points at. A crash leaves the tag, or entries of history without a tag, which is as if they were not
    /// there.
    ///
    /// Only entries that were there before the tag went may go, so all of them are held: 65 bytes for each
    /// manifest the tag ever pointed at.
    async fn remove(&self, tag: &Tag, only_on: Option<OnlyOn<'_>>) -> Result<bool> {
        let current_link = self.layout.tag_current_link(tag);
        if only_on.is_none() && self.shared.backend.head(&current_link).await?.is_none() {
            return Ok(false);
        }
        let place = |algorithm| self.layout.tag_index(tag, algorithm);
        let mut entries = listing::digests(&self.shared, place, None, usize::MAX).await?.items;
        match only_on {
            None => self.shared.backend.delete(&[current_link]).await?,
            Some(OnlyOn { digest, only_if_gone, keeps_entry }) => {
                let (shared, target) = (&self.shared, self.layout.revision_link(digest));
                if !link::delete_if(shared, &current_link, digest, target, only_if_gone).await? {
                    return Ok(false);
                }
                if keeps_entry {
                    entries.retain(|entry| entry != digest);
                }
            }
        }
        self.remove_entries(tag, &entries).await?;
        Ok(true)
    }

    /// Removes entries of the history of a tag that is gone. If it is there again, it gets back that of what it points
    /// at.
    ///
    /// Order: the entries, in batches → a look at the tag → its entry → where no lock reaches other processes, a look at
    /// what it points at → the tag taken back, if that is gone. A crash leaves entries without a tag; or a tag that was
    /// pushed meanwhile without its entry, and it is pulled as before; or one on a deleted manifest, which answers 404.
    async fn remove_entries(&self, tag: &Tag, entries: &[Digest]) -> Result<()> {
        for batch in entries.chunks(BATCH) {
            let keys: Vec<Key> =
                batch.iter().map(|digest| self.layout.tag_index_link(tag, digest)).collect();
            self.shared.backend.delete(&keys).await?;
        }
        if let Some(digest) = self.current(tag).await? {
            let entry = self.layout.tag_index_link(tag, &digest);
            link::write(&self.shared, &entry, &digest).await?;
            // Without its entry it was not found by a delete of that manifest by another process.
            if !self.shared.backend.medium().locks_reach_processes
                && self.shared.backend.head(&self.layout.revision_link(&digest)).await?.is_none()
            {
                Box::pin(self.take_back(tag, &digest)).await?;
            }
        }
        Ok(())
    }

    /// Removes a tag that was pointed at a manifest which another process has deleted meanwhile, unless either was
    /// pushed since. For storage without locks between processes, where removing does not rest on the caller's.
    pub(crate) async fn take_back(&self, tag: &Tag, digest: &Digest) -> Result<()> {
        if self.shared.backend.medium().locks_reach_processes {
            return Ok(());
        }
        let only_on = OnlyOn { digest, only_if_gone: true, keeps_entry: false };
        self.remove(tag, Some(only_on)).await.map(|_| ())
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

/// Where a tag must point to be removed.
#[derive(Clone, Copy)]
struct OnlyOn<'a> {
    /// At this,
    digest: &'a Digest,
    /// and the manifest's link must be gone.
    only_if_gone: bool,
    /// The entry of history for it stays, for a second pass.
    keeps_entry: bool,
}

/// Goes through the tags that exist, in order.
struct Walk {
    tags: Tags,
    /// Tags that were found and not handed out yet.
    found: std::vec::IntoIter<Tag>,
    /// Behind which name the next pass begins; `None` if there is no other.
    rest: Option<Option<String>>,
    /// How many tags a pass takes.
    chunk: usize,
}

impl Walk {
    fn new(tags: &Tags, after: Option<&str>, chunk: usize) -> Self {
        Self {
            tags: tags.clone(),
            found: Vec::new().into_iter(),
            rest: Some(after.map(ToOwned::to_owned)),
            chunk: chunk.min(MANY),
        }
    }

    /// The next tags: so many, or fewer at the end.
    async fn next(&mut self, wanted: usize) -> Result<Vec<Tag>> {
        let mut next = Vec::new();
        loop {
            next.extend(self.found.by_ref().take(wanted - next.len()));
            if next.len() == wanted || !self.pass().await? {
                return Ok(next);
            }
        }
    }

    /// Finds the next tags, which may be none; `false` at the end. A link without a byte is damage, and no tag.
    async fn pass(&mut self) -> Result<bool> {
        let Some(after) = self.rest.take() else { return Ok(false) };
        let place = self.tags.layout.tags();
        let backend = &self.tags.shared.backend;
        let path = RepositoryLayout::TAG_CURRENT;
        let page = backend.list_children_with(&place, path, after.as_deref(), self.chunk).await?;
        self.rest = page.next_after().map(|(name, _)| Some(name.clone()));
        let whole = page.items.iter().filter(|(_, link)| link.size > 0);
        let tags: Vec<Tag> = whole.filter_map(|(name, _)| name.parse().ok()).collect();
        self.found = tags.into_iter();
        Ok(true)
    }
}
