//! The sweep: links to blobs that are not marked, and then these blobs.

use std::time::{Duration, SystemTime};

use futures::{StreamExt as _, TryStreamExt as _, stream};

use crate::backend::{Key, Meta};
use crate::digest::{Algorithm, Digest};
use crate::error::{Error, Result};
use crate::inventory::Blobs;
use crate::layout::{self, RepositoryLayout};
use crate::link;
use crate::listing::{self, MANY};

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
            let mut links = Vec::new();
            for digest in &page.items {
                if self.is_to_go(layout, digest).await? {
                    links.push(layout.layer_link(digest));
                    self.collected.links += 1;
                    (self.tell)(Step::Link { name: layout.name().clone(), digest: *digest });
                }
            }
            self.remover.remove(links).await?;
            after = page.next_after().copied();
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// Does a link of this name lead to a blob that goes, or has gone?
    async fn is_to_go(&self, layout: &RepositoryLayout, digest: &Digest) -> Result<bool> {
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
            return Ok(false);
        }
        if self.before.is_none() {
            return Ok(true);
        }
        Ok(!shared
            .backend
            .head(&layout::blob(&stored))
            .await?
            .is_some_and(|meta| self.is_young(&meta)))
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
        let looks =
            stream::iter(&digests).map(|digest| {
                let shared = &shared;
                async move {
                    Ok::<_, Error>((digest, shared.backend.head(&layout::blob(digest)).await?))
                }
            });
        let mut looks = looks.buffered(PARALLEL);
        let mut keys: Vec<Key> = Vec::new();
        while let Some((digest, found)) = looks.try_next().await? {
            match found {
                Some(meta) if self.is_young(&meta) => self.collected.young += 1,
                Some(meta) => {
                    self.collected.removed_blobs += 1;
                    self.collected.removed_bytes += meta.size;
                    (self.tell)(Step::Blob { digest: *digest, size: meta.size });
                    keys.push(layout::blob(digest));
                }
                // Something else lies in its place: a temporary file of Distribution, an empty directory.
                None => {
                    self.collected.blobs = self.collected.blobs.saturating_sub(1);
                    self.remover.remove_place(layout::blob_place(digest)).await?;
                }
            }
        }
        self.remover.remove(keys).await
    }

    /// Was it written, as far as the storage tells, so late that it may belong to something that is not finished?
    fn is_young(&self, meta: &Meta) -> bool {
        self.before.is_some_and(|before| meta.modified.is_none_or(|modified| modified > before))
    }
}

fn digest_in(content: &[u8]) -> Option<Digest> {
    std::str::from_utf8(content).ok()?.parse().ok()
}
