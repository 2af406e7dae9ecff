//! The sweep: links to blobs that are not marked, and then these blobs.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, SystemTime};

use futures::{StreamExt as _, stream};

use crate::backend::{Child, Key, Meta};
use crate::digest::{Algorithm, Digest};
use crate::error::Result;
use crate::inventory::Blobs;
use crate::layout::{self, RepositoryLayout};
use crate::link;
use crate::listing::{self, MANY};

use super::explore::{Damaged, digest_in};
use super::marks::Marks;
use super::remover::Remover;
use super::{Collected, Step};

/// Objects that are looked at at a time.
const PARALLEL: usize = 16;

/// What is swept, and what is not yet.
pub(crate) struct Sweep<'s> {
    pub(crate) remover: &'s Remover,
    pub(crate) marks: &'s Marks,
    /// What was written later stays.
    pub(crate) before: Option<SystemTime>,
    pub(crate) tell: &'s mut (dyn FnMut(Step) + Send),
    pub(crate) collected: &'s mut Collected,
    /// Blobs that stay because a link to them could not be taken.
    pub(crate) linked: HashSet<Digest>,
}

/// What was written within so long before now stays.
pub(crate) fn before(now: SystemTime, older_than: Duration) -> Option<SystemTime> {
    (!older_than.is_zero()).then(|| now.checked_sub(older_than).unwrap_or(SystemTime::UNIX_EPOCH))
}

impl Sweep<'_> {
    /// Removes a repository's links to blobs that go, or have gone.
    pub(crate) async fn links(&mut self, layout: &RepositoryLayout) -> Result<()> {
        let mut after = None;
        loop {
            let place = |algorithm| layout.layers_of(algorithm);
            let page = listing::digests(self.remover.shared(), place, after.as_ref(), MANY).await?;
            let mut links = BTreeMap::new();
            for digest in &page.items {
                if let Some(stored) = self.is_to_go(layout, digest).await? {
                    links.insert(layout.layer_link(digest), stored);
                    self.collected.links += 1;
                    (self.tell)(Step::Link { name: layout.name().clone(), digest: *digest });
                }
            }
            for (key, reason) in self.remover.remove_each(links.keys().cloned().collect()).await? {
                self.collected.links -= 1;
                self.linked.extend(links.get(&key));
                self.leave(key, reason);
            }
            after = page.next_after().copied();
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// What a link of this name leads to, if that is a blob that goes, or has gone.
    async fn is_to_go(
        &mut self,
        layout: &RepositoryLayout,
        digest: &Digest,
    ) -> Result<Option<Digest>> {
        let shared = self.remover.shared();
        let stored = match digest.algorithm() {
            Algorithm::Sha256 => *digest,
            // The bytes may be kept under a sha256.
            Algorithm::Sha512 => match link::read_raw(shared, &layout.layer_link(digest)).await {
                Ok(content) => digest_in(content.as_deref().unwrap_or_default()).unwrap_or(*digest),
                // Nobody can read it either. If it stayed, it would lead nowhere once its blob is gone.
                Err(error) if error.is_of_one_object() => *digest,
                Err(error) => return Err(error),
            },
        };
        if !self.marks.are_without(&stored) {
            return Ok(None);
        }
        if self.before.is_none() {
            return Ok(Some(stored));
        }
        let key = layout::blob(&stored);
        match shared.backend.head(&key).await {
            Ok(found) => Ok(Some(stored).filter(|_| !found.is_some_and(|it| self.is_young(&it)))),
            Err(error) if error.is_of_one_object() => {
                self.linked.insert(stored);
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Removes the blobs that are not marked.
    pub(crate) async fn blobs(&mut self) -> Result<()> {
        let shared = self.remover.shared().clone();
        let mut all = Blobs::beginning_with(&shared, self.marks.first_bytes());
        while let Some(digests) = all.next().await {
            let digests = digests?;
            self.collected.blobs +=
                digests.iter().filter(|it| self.marks.are_about(it)).count() as u64;
            let loose: Vec<Digest> =
                digests.into_iter().filter(|digest| self.marks.are_without(digest)).collect();
            self.these(loose).await?;
        }
        Ok(())
    }

    async fn these(&mut self, digests: Vec<Digest>) -> Result<()> {
        let shared = self.remover.shared().clone();
        let looks = stream::iter(&digests).map(|digest| {
            let shared = &shared;
            async move { (*digest, shared.backend.head(&layout::blob(digest)).await) }
        });
        let mut looks = looks.buffered(PARALLEL);
        let mut blobs: BTreeMap<Key, u64> = BTreeMap::new();
        while let Some((digest, found)) = looks.next().await {
            match found {
                _ if self.linked.contains(&digest) => {}
                Ok(Some(meta)) if self.is_young(&meta) => self.collected.young += 1,
                Ok(Some(meta)) => {
                    self.collected.removed_blobs += 1;
                    self.collected.removed_bytes += meta.size;
                    (self.tell)(Step::Blob { digest, size: meta.size });
                    blobs.insert(layout::blob(&digest), meta.size);
                }
                Ok(None) => {
                    self.collected.blobs = self.collected.blobs.saturating_sub(1);
                    self.litter(&digest).await?;
                }
                Err(error) if error.is_of_one_object() => {
                    self.leave(layout::blob(&digest), error.to_string());
                }
                Err(error) => return Err(error.into()),
            }
        }
        for (key, reason) in self.remover.remove_each(blobs.keys().cloned().collect()).await? {
            self.collected.removed_blobs -= 1;
            self.collected.removed_bytes -= blobs.get(&key).copied().unwrap_or_default();
            self.leave(key, reason);
        }
        Ok(())
    }

    /// Removes what a write of Distribution that was cut off left in the place of a blob that is not there, and the place if
    /// nothing else is in it. What else is, is somebody's.
    async fn litter(&mut self, digest: &Digest) -> Result<()> {
        let shared = self.remover.shared().clone();
        let place = layout::blob_place(digest);
        let page = shared.backend.list_children(&place, None, MANY).await?;
        let names = page.items.iter().filter(|child| !child.is_prefix()).map(Child::name);
        // Of what is not there the empty directory goes.
        let mut keys = vec![layout::blob(digest)];
        for key in names
            .filter(|name| name.ends_with(".tmp"))
            .filter_map(|name| layout::found_in(&place, name))
        {
            match shared.backend.head(&key).await {
                Ok(Some(meta)) if !self.is_young(&meta) => {
                    (self.tell)(Step::Litter { key: key.clone(), size: meta.size });
                    keys.push(key);
                }
                Ok(_) => {}
                Err(error) if error.is_of_one_object() => self.leave(key, error.to_string()),
                Err(error) => return Err(error.into()),
            }
        }
        for (key, reason) in self.remover.remove_each(keys).await? {
            self.leave(key, reason);
        }
        Ok(())
    }

    /// Tells of what could not be taken, or looked at, and stays.
    fn leave(&mut self, key: Key, reason: String) {
        self.collected.left += 1;
        (self.tell)(Step::Left { what: Damaged { key, reason } });
    }

    /// Was it written, as far as the storage tells, so late that it may belong to something that is not finished?
    fn is_young(&self, meta: &Meta) -> bool {
        self.before.is_some_and(|before| meta.modified.is_none_or(|modified| modified > before))
    }
}
