//! Expiry of what was begun and never finished.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures::future::BoxFuture;
use futures::{FutureExt as _, TryStreamExt as _};

use crate::backend::{BackendExt as _, ErrorKind, Key};
use crate::error::{Error, Result};
use crate::layout::{self, RepositoryLayout, reserved};
use crate::listing::BATCH;
use crate::name::{RepositoryName, is_name_component};
use crate::shared::Shared;
use crate::upload_id::UploadId;
use crate::uploads::{Session, parse_started_at};

/// What was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PurgeReport {
    /// Upload sessions.
    pub uploads: u64,
    /// Other things that were never finished.
    pub litter: u64,
}

/// Removes what was begun longer ago than `older_than`: upload sessions by their `startedat`; what is left of
/// sessions without one, and the backend's own temporary files, by when they were last written.
///
/// Every step stands alone; a crash between two, or a session that cannot be removed, leaves the rest to the next
/// round. The first error is returned after all that could be removed was.
pub(crate) async fn purge(shared: &Arc<Shared>, older_than: Duration) -> Result<PurgeReport> {
    let now = shared.options.clock.now();
    let before = now.checked_sub(older_than).unwrap_or(SystemTime::UNIX_EPOCH);
    let mut round = Round { shared, before, report: PurgeReport::default(), failed: None };
    let walked = round.below(&layout::repositories(), "").await;
    round.report.litter += shared.backend.expire_staged(before).await?;
    walked?;
    match round.failed {
        Some(error) => Err(error),
        None => Ok(round.report),
    }
}

struct Round<'s> {
    shared: &'s Arc<Shared>,
    before: SystemTime,
    report: PurgeReport,
    /// What went wrong first with one session or place. It does not keep the others from expiring.
    failed: Option<Error>,
}

impl Round<'_> {
    /// Walks the directories of names below `place`; also those of names that are no repository yet.
    fn below<'w>(&'w mut self, place: &'w Key, name: &'w str) -> BoxFuture<'w, Result<()>> {
        async move {
            let mut cursor: Option<String> = None;
            loop {
                let page =
                    self.shared.backend.list_children(place, cursor.as_deref(), BATCH).await?;
                for child in page.items.iter().filter(|child| child.is_prefix()) {
                    let Ok(nested) = place.child(child.name()) else {
                        continue;
                    };
                    let done = if child.name() == reserved::UPLOADS {
                        self.sessions(name, &nested).await
                    } else if is_name_component(child.name()) {
                        let separator = if name.is_empty() { "" } else { "/" };
                        let name = format!("{name}{separator}{}", child.name());
                        self.below(&nested, &name).await
                    } else {
                        continue;
                    };
                    done.unwrap_or_else(|error| self.go_on(&nested, error));
                }
                cursor = page.next_after().map(|child| child.name().to_owned());
                if cursor.is_none() {
                    return Ok(());
                }
            }
        }
        .boxed()
    }

    /// Looks at every session of a repository.
    async fn sessions(&mut self, name: &str, place: &Key) -> Result<()> {
        let Ok(name) = name.parse::<RepositoryName>() else {
            return Ok(());
        };
        let layout = RepositoryLayout::new(&name);
        let mut cursor: Option<String> = None;
        loop {
            let page = self.shared.backend.list_children(place, cursor.as_deref(), BATCH).await?;
            for child in page.items.iter().filter(|child| child.is_prefix()) {
                // What is not named as a session is not ours to remove.
                let Ok(id) = child.name().parse() else {
                    continue;
                };
                let done = self.session(&layout, id).await;
                done.unwrap_or_else(|error| self.go_on(&layout.session(id).root, error));
            }
            cursor = page.next_after().map(|child| child.name().to_owned());
            if cursor.is_none() {
                return Ok(());
            }
        }
    }

    async fn session(&mut self, layout: &RepositoryLayout, id: UploadId) -> Result<()> {
        let keys = layout.session(id);
        let mark = self.shared.backend.read_small(&keys.mark, 64).await?;
        match mark.and_then(|mark| parse_started_at(&mark)) {
            Some(started_at) if started_at < self.before => self.end(layout, id).await,
            None if self.is_litter(&keys.root).await? => {
                self.shared.backend.delete_tree(&keys.root).await?;
                self.report.litter += 1;
                Ok(())
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Something could not be looked at, or removed. The rest is.
    fn go_on(&mut self, at: &Key, error: Error) {
        tracing::warn!(key = %at, %error, "expiry passes this over");
        self.failed.get_or_insert(error);
    }

    /// Ends an expired session. One that another process holds is left to the next round.
    async fn end(&mut self, layout: &RepositoryLayout, id: UploadId) -> Result<()> {
        match Session::open(self.shared, layout, id, None).await {
            Ok(Some(session)) => {
                session.discard().await?;
                self.report.uploads += 1;
                Ok(())
            }
            Err(Error::UploadSuperseded { .. }) => Ok(()),
            Err(Error::Storage(error)) if error.kind() == ErrorKind::Busy => Ok(()),
            Err(Error::Storage(error)) if Session::is_beyond_opening(error.kind()) => {
                self.end_unopened(layout, id).await
            }
            // It has ended meanwhile; or it has a mark and nothing that this backend could go on with, as one of
            // Distribution in a bucket.
            Ok(None) => self.end_unopened(layout, id).await,
            Err(error) => Err(error),
        }
    }

    async fn end_unopened(&mut self, layout: &RepositoryLayout, id: UploadId) -> Result<()> {
        match Session::end_unopened(self.shared, layout, id).await {
            Ok(ended) => self.report.uploads += u64::from(ended),
            Err(Error::UploadSuperseded { .. }) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Is all that is left of a session without a mark old? A session that just begins has no mark yet, and
    /// perhaps nothing at all.
    async fn is_litter(&self, root: &Key) -> Result<bool> {
        let mut objects = self.shared.backend.list(root, None);
        let mut any = false;
        while let Some(key) = objects.try_next().await? {
            let meta = self.shared.backend.head(&key).await?;
            let modified = meta.and_then(|meta| meta.modified);
            if modified.is_none_or(|modified| modified >= self.before) {
                return Ok(false);
            }
            any = true;
        }
        Ok(any)
    }
}
