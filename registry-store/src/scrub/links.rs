//! The scrub of links: which of a repository are damaged.

use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _, stream};

use crate::backend::Key;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::layout::RepositoryLayout;
use crate::link;
use crate::listing::{self, BATCH};
use crate::name::RepositoryName;
use crate::reference::Tag;
use crate::shared::Shared;

use super::{LinkReport, NAMED};

/// Links that are read at a time.
const PARALLEL: usize = 8;

/// Reads every link of a repository that something is found by. Nothing is written. Memory is bounded.
///
/// Errors: `Storage`, if names cannot be read or the storage as a whole fails.
pub(crate) async fn links(shared: &Arc<Shared>, name: &RepositoryName) -> Result<LinkReport> {
    let layout = RepositoryLayout::new(name);
    let mut report = LinkReport::default();
    let round = Round { shared, layout: &layout };
    round.blobs(&mut report).await?;
    round.manifests(&mut report).await?;
    round.tags(&mut report).await?;
    Ok(report)
}

struct Round<'r> {
    shared: &'r Shared,
    layout: &'r RepositoryLayout,
}

/// A link, and what it stands for: a tag's may hold any digest.
type Expected = (Key, Option<Digest>);

impl Round<'_> {
    async fn blobs(&self, report: &mut LinkReport) -> Result<()> {
        let mut after = None;
        loop {
            let place = |algorithm| self.layout.layers_of(algorithm);
            let page = listing::digests(self.shared, place, after.as_ref(), BATCH).await?;
            let link = |digest: &Digest| (self.layout.layer_link(digest), Some(*digest));
            self.look_at(page.items.iter().map(link).collect(), report).await?;
            after = page.next_after().copied();
            if after.is_none() {
                return Ok(());
            }
        }
    }

    async fn manifests(&self, report: &mut LinkReport) -> Result<()> {
        let mut after = None;
        loop {
            let place = |algorithm| self.layout.revisions(algorithm);
            let page = listing::digests(self.shared, place, after.as_ref(), BATCH).await?;
            let link = |digest: &Digest| (self.layout.revision_link(digest), Some(*digest));
            self.look_at(page.items.iter().map(link).collect(), report).await?;
            after = page.next_after().copied();
            if after.is_none() {
                return Ok(());
            }
        }
    }

    async fn tags(&self, report: &mut LinkReport) -> Result<()> {
        let place = self.layout.tags();
        let mut after: Option<String> = None;
        loop {
            let backend = &self.shared.backend;
            let page = backend.list_children(&place, after.as_deref(), BATCH).await?;
            let tags = page.items.iter().filter(|child| child.is_prefix());
            let tags = tags.filter_map(|child| child.name().parse::<Tag>().ok());
            let link = |tag: Tag| (self.layout.tag_current_link(&tag), None);
            self.look_at(tags.map(link).collect(), report).await?;
            after = page.next_after().map(|child| child.name().to_owned());
            if after.is_none() {
                return Ok(());
            }
        }
    }

    async fn look_at(&self, links: Vec<Expected>, report: &mut LinkReport) -> Result<()> {
        let looks = stream::iter(links).map(|(key, of)| async move {
            let found = link::is_good(self.shared, &key, of.as_ref()).await;
            match found {
                Err(Error::Storage(error)) if error.is_of_one_object() => {
                    tracing::warn!(%key, %error, "scrub cannot read a link, and goes on");
                    Ok(Seen::Unreadable(key))
                }
                found => Ok::<_, Error>(match found? {
                    None => Seen::Nothing,
                    Some(true) => Seen::Good,
                    Some(false) => Seen::Damaged(key),
                }),
            }
        });
        let mut looks = looks.buffered(PARALLEL);
        while let Some(seen) = looks.try_next().await? {
            report.add(seen);
        }
        Ok(())
    }
}

/// What is where a link could be.
enum Seen {
    Nothing,
    Good,
    Damaged(Key),
    Unreadable(Key),
}

impl LinkReport {
    fn add(&mut self, seen: Seen) {
        let (count, named, key) = match seen {
            Seen::Nothing => return,
            Seen::Good => {
                self.links += 1;
                return;
            }
            Seen::Damaged(key) => {
                self.links += 1;
                (&mut self.damaged, &mut self.first_damaged, key)
            }
            Seen::Unreadable(key) => (&mut self.unreadable, &mut self.first_unreadable, key),
        };
        *count += 1;
        if named.len() < NAMED {
            named.push(key);
        }
    }
}
