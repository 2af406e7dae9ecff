//! How objects go: deleted, put into quarantine, expired.

use std::time::SystemTime;

use super::Bucket;
use super::assemble::Bytewise;
use super::fault::{Cause, Failure};
use super::record::SEGMENTS;
use super::requests::{Condition, OpenUpload, Outcome, PAGE, Source};
use crate::backend::{Key, Meta, Result};
use crate::layout;

impl Bucket {
    /// See [`Backend::delete`](crate::backend::Backend::delete).
    pub(super) async fn delete(&self, keys: &[Key]) -> Result<()> {
        let Some(first) = keys.first() else { return Ok(()) };
        let names: Vec<String> = keys.iter().map(|key| self.names.of(key)).collect();
        self.requests.delete_all(&names).await.map_err(|failure| failure.at(first))
    }

    /// Deletes everything below a prefix, an object of its name, and what is being written there in parts.
    pub(super) async fn delete_tree(&self, prefix: &Key) -> Result<()> {
        let removed = async {
            let below = self.names.prefix_of(prefix);
            self.abort_all(&below, |_| true).await?;
            self.delete_below(&below, Some(self.names.of(prefix))).await
        };
        removed.await.map_err(|failure| failure.at(prefix))
    }

    /// Deletes the objects whose names begin with a prefix, and one more.
    pub(super) async fn delete_below(&self, prefix: &str, more: Option<String>) -> Outcome<()> {
        let mut after: Option<String> = None;
        let mut names: Vec<String> = more.into_iter().collect();
        loop {
            let page = self.requests.list(prefix, after.as_deref(), None, PAGE).await?;
            names.extend(page.objects.into_iter().map(|(name, _)| name));
            after = names.last().cloned().filter(|_| page.more);
            if !names.is_empty() {
                self.requests.delete_all(&names).await?;
            }
            names.clear();
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// See [`Backend::quarantine`](crate::backend::Backend::quarantine).
    ///
    /// Order: a copy among what is the backend's own → the object, if it is still the one that was copied: another may
    /// have come in its place, which is not what was to be put aside. A crash leaves both.
    pub(super) async fn quarantine(&self, key: &Key, judged: Option<Meta>) -> Result<()> {
        let moved = async {
            let name = self.names.of(key);
            let Some(found) = self.requests.head(&name).await? else { return Ok(()) };
            if judged.is_some_and(|judged| judged != found.meta) {
                return Ok(());
            }
            let to = format!("{}quarantine/{}/{key}", self.private, self.random_name());
            let (size, source) =
                (found.meta.size, Source { name: name.clone(), etag: found.etag.clone() });
            let copied = if size <= self.copy_threshold {
                self.requests.copy(&source, size, &to, &Condition::Always).await.map(|_| ())
            } else {
                let pieces = vec![Bytewise::Stored(source, 0..size)];
                self.assemble(pieces, &to, &Condition::Always).await
            };
            match copied {
                // It went, or another came in its place, which is not what was to be put aside.
                Err(failure) if failure.is(Cause::NoSuchKey) || failure.is(Cause::Condition) => {
                    Ok(())
                }
                copied => {
                    copied?;
                    self.delete_this(&name, &found.etag).await
                }
            }
        };
        moved.await.map_err(|failure| failure.at(key))
    }

    /// Deletes an object if it is still this one; where the server does not look, as of just before.
    async fn delete_this(&self, name: &str, etag: &str) -> Outcome<()> {
        let condition = self.abilities.delete_if_match.then(|| etag.to_owned());
        if condition.is_none() {
            let found = self.requests.head(name).await?;
            if found.is_none_or(|found| found.etag != etag) {
                return Ok(());
            }
        }
        match self.requests.delete_telling(name, condition).await {
            Err(failure) if failure.is(Cause::Condition) => Ok(()),
            deleted => deleted.map(|_| ()),
        }
    }

    /// See [`Backend::expire_staged`](crate::backend::Backend::expire_staged).
    ///
    /// Uploads in parts of blobs, of segments of sessions, and of what is the backend's own; those of sessions of
    /// Distribution only once the session is gone, which whoever expires sessions has seen to. And what is the
    /// backend's own and is not for an operator. Nothing else in the bucket is touched.
    pub(super) async fn expire_staged(&self, before: SystemTime) -> Result<u64> {
        let expired = async {
            let is_old = |begun: Option<SystemTime>| begun.is_some_and(|begun| begun < before);
            let mut removed = 0;
            for place in [self.names.prefix_of(&layout::top()), self.private.clone()] {
                let is_expired = |upload: &OpenUpload| is_old(upload.begun) && self.is_ours(upload);
                removed += self.abort_all(&place, is_expired).await?;
            }
            for place in ["tmp/", "claims/", "probe/"] {
                let place = format!("{}{place}", self.private);
                removed += self.delete_old(&place, is_old).await?;
            }
            Ok::<u64, Failure>(removed + self.abort_orphans(before).await?)
        };
        expired.await.map_err(Failure::into_error)
    }

    /// Is it an upload of the names under which this backend writes?
    fn is_ours(&self, upload: &OpenUpload) -> bool {
        let Some(below) = upload.name.strip_prefix(&self.names.prefix_of(&layout::top())) else {
            return upload.name.starts_with(&self.private);
        };
        let is_segment = below.rsplit_once('/').is_some_and(|(place, name)| {
            name.starts_with(SEGMENTS) && place.contains("/_uploads/")
        });
        below.starts_with("blobs/") && below.ends_with("/data") || is_segment
    }

    /// Aborts old uploads of the bytes of a session of Distribution that is gone.
    async fn abort_orphans(&self, before: SystemTime) -> Outcome<u64> {
        let mut removed = 0;
        let mut last: Option<OpenUpload> = None;
        let place = self.names.prefix_of(&layout::repositories());
        loop {
            let (uploads, more) = self.requests.list_uploads(&place, last.as_ref()).await?;
            for upload in &uploads {
                let session =
                    upload.name.strip_suffix("/data").filter(|s| s.contains("/_uploads/"));
                let is_old = upload.begun.is_some_and(|begun| begun < before);
                if let Some(session) = session.filter(|_| is_old)
                    && self.requests.look_for(&format!("{session}/startedat")).await?.is_none()
                {
                    self.requests.abort(&upload.name, &upload.id).await?;
                    removed += 1;
                }
            }
            last = uploads.into_iter().next_back().filter(|_| more);
            if last.is_none() {
                return Ok(removed);
            }
        }
    }

    async fn delete_old(
        &self,
        prefix: &str,
        is_old: impl Fn(Option<SystemTime>) -> bool,
    ) -> Outcome<u64> {
        let (mut removed, mut after) = (0, None::<String>);
        loop {
            let page = self.requests.list(prefix, after.as_deref(), None, PAGE).await?;
            after = page.objects.last().map(|(name, _)| name.clone()).filter(|_| page.more);
            let old = page.objects.into_iter().filter(|(_, meta)| is_old(meta.modified));
            let old: Vec<String> = old.map(|(name, _)| name).collect();
            if !old.is_empty() {
                self.requests.delete_all(&old).await?;
            }
            removed += old.len() as u64;
            if after.is_none() {
                return Ok(removed);
            }
        }
    }

    /// Aborts uploads whose names begin with a prefix; tells how many.
    async fn abort_all(
        &self,
        prefix: &str,
        is_expired: impl Fn(&OpenUpload) -> bool,
    ) -> Outcome<u64> {
        let mut removed = 0;
        let mut last: Option<OpenUpload> = None;
        loop {
            let (uploads, more) = self.requests.list_uploads(prefix, last.as_ref()).await?;
            for upload in uploads.iter().filter(|upload| is_expired(upload)) {
                self.requests.abort(&upload.name, &upload.id).await?;
                removed += 1;
            }
            last = uploads.into_iter().next_back().filter(|_| more);
            if last.is_none() {
                return Ok(removed);
            }
        }
    }
}
