//! How the records of a repository's referrers are made anew from its manifests.

use std::fmt;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};

use crate::backend::{ErrorKind, Key, LockMode};
use crate::blobs;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::layout;
use crate::link;
use crate::listing::{self, BATCH};
use crate::manifest::{MAX_MANIFEST_SIZE, Manifest, stored_media_type};

use super::{MOST, PARALLEL, Referrers};

/// How many manifests that could not be read a [`RebuildReport`] names.
pub const NAMED: usize = 100;

/// What [`Referrers::rebuild`] found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RebuildReport {
    /// Manifests that were read, with a subject or without.
    pub manifests: u64,
    /// Those whose subject was not recorded, or by a damaged record, and is now.
    pub recorded: u64,
    /// Those whose subject was recorded already.
    pub kept: u64,
    /// Records that were removed because their manifest is gone.
    pub stale: u64,
    /// Manifests that could not be read, or not be recorded, and were passed over. Each is logged with the reason.
    pub unreadable: u64,
    /// Those of them that were met first, at most [`NAMED`].
    pub first_unreadable: Vec<Digest>,
}

impl Referrers {
    /// Records every manifest of the repository that has a subject, and removes the records of manifests that
    /// are gone.
    ///
    /// For what a program wrote that does not know our records, such as Distribution. It may run beside pushes
    /// and deletes, here and in other processes, and as often as one likes: what is recorded already is kept.
    /// Repositories nested in this one are not looked at. A manifest that cannot be read is passed over and
    /// named in the report; its record, if it has one, stays.
    ///
    /// Order: each manifest is read, and if it has a subject that is not recorded: ● under the repository's
    /// lock, shared as manifest put does, the revision link is looked for again → the record. When all are
    /// done, for the records of each subject: looked for without a lock → ● under the lock, exclusive, those
    /// without a revision link are looked for again → and removed. A crash leaves some of that done; running it
    /// again does the rest.
    ///
    /// Under the shared lock no delete of ours comes between look and record. Under the exclusive one a record
    /// without a revision link is not one of a push under way, which links first. Of a program that does not
    /// know the lock, a delete can leave a record without a manifest, which counts as none; a push, a manifest
    /// without a record, as any push of such a program does.
    ///
    /// Errors: `NameUnknown`; `Storage` if more fails than the reading of single manifests.
    pub async fn rebuild(&self) -> Result<RebuildReport> {
        if !listing::is_repository(&self.shared, self.layout.root()).await? {
            return Err(Error::NameUnknown { name: self.layout.name().clone() });
        }
        let mut report = RebuildReport::default();
        self.record_all(&mut report).await?;
        self.forget_all_stale(&mut report).await?;
        Ok(report)
    }

    async fn record_all(&self, report: &mut RebuildReport) -> Result<()> {
        let place = |algorithm| self.layout.revisions(algorithm);
        let mut after = None;
        loop {
            let page = listing::digests(&self.shared, place, after.as_ref(), MOST).await?;
            let manifests = stream::iter(page.items.iter().copied());
            let mut findings = manifests.map(|digest| self.visit(digest)).buffered(PARALLEL);
            while let Some(finding) = findings.try_next().await? {
                report.add(finding);
            }
            drop(findings);
            after = page.next_after().copied();
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// Reads a manifest, and records it if it has a subject.
    async fn visit(&self, digest: Digest) -> Result<Finding> {
        let subject = match self.subject_of(&digest).await {
            Ok(Read::Subject(subject)) => subject,
            Ok(Read::NoSubject) => return Ok(Finding::NoSubject),
            Ok(Read::Nothing) => return Ok(Finding::Nothing),
            Ok(Read::Damaged) => return Ok(self.pass_over(digest, "damaged")),
            Err(error) if error.is_of_one_object() => return Ok(self.pass_over(digest, error)),
            Err(error) => return Err(error),
        };
        match self.is_recorded(&subject, &digest).await {
            Ok(true) => Ok(Finding::Kept),
            Ok(false) => self.record_what_is_there(subject, digest).await,
            Err(error) if error.is_of_one_object() => Ok(self.pass_over(digest, error)),
            Err(error) => Err(error),
        }
    }

    async fn is_recorded(&self, subject: &Digest, referrer: &Digest) -> Result<bool> {
        let record = self.layout.referrer_link(subject, referrer);
        if link::read(&self.shared, &record).await? != Some(*referrer) {
            return Ok(false);
        }
        // Whoever wrote it may have crashed before it was durable.
        let found = self.shared.backend.settle(&[record]).await?;
        Ok(found.iter().all(Option::is_some))
    }

    async fn record_what_is_there(&self, subject: Digest, digest: Digest) -> Result<Finding> {
        let this = self.clone();
        self.shared
            .detached
            .run(async move {
                let backend = &this.shared.backend;
                let _lock = backend.lock(this.layout.root(), LockMode::Shared).await?;
                if backend.head(&this.layout.revision_link(&digest)).await?.is_none() {
                    return Ok(Finding::Nothing);
                }
                match this.record(&subject, &digest).await {
                    Ok(()) => Ok(Finding::Recorded),
                    // Something is in the way of this one.
                    Err(Error::Storage(error)) if error.kind() == ErrorKind::Foreign => {
                        Ok(this.pass_over(digest, error))
                    }
                    Err(error) => Err(error),
                }
            })
            .await
    }

    /// What a stored manifest says of its subject, if it is as its digest says.
    async fn subject_of(&self, digest: &Digest) -> Result<Read> {
        let revision = self.layout.revision_link(digest);
        if let Some(stored) = link::read_for(&self.shared, &revision, digest).await?
            && let Some(bytes) =
                blobs::read_small(&self.shared, &stored, MAX_MANIFEST_SIZE as u64).await?
        {
            if let Some(read) = Read::from_bytes(&stored, &bytes) {
                return Ok(read);
            }
            self.shared.damage.blob(&layout::blob(&stored), bytes.len() as u64);
        }
        // Distribution leaves the directory when it deletes a manifest; or that happened just now.
        let is_there = self.shared.backend.head(&revision).await?.is_some();
        Ok(if is_there { Read::Damaged } else { Read::Nothing })
    }

    fn pass_over(&self, digest: Digest, reason: impl fmt::Display) -> Finding {
        let repository = self.layout.name();
        tracing::warn!(%repository, manifest = %digest, %reason, "manifest passed over");
        Finding::Unreadable(digest)
    }

    async fn forget_all_stale(&self, report: &mut RebuildReport) -> Result<()> {
        let place = |algorithm| self.layout.subjects(algorithm);
        let mut after = None;
        loop {
            let page = listing::digests(&self.shared, place, after.as_ref(), MOST).await?;
            for subject in &page.items {
                report.stale += self.forget_stale(subject).await?;
            }
            after = page.next_after().copied();
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// Removes the stale records of a subject; returns how many there were.
    async fn forget_stale(&self, subject: &Digest) -> Result<u64> {
        let place = |algorithm| self.layout.referrers(subject, algorithm);
        let (mut after, mut removed) = (None, 0);
        loop {
            let page = listing::digests(&self.shared, place, after.as_ref(), BATCH).await?;
            let stale = self.stale(subject, &page.items).await?;
            if !stale.is_empty() {
                removed += self.forget_what_is_stale(*subject, stale).await?;
            }
            after = page.next_after().copied();
            if after.is_none() {
                return Ok(removed);
            }
        }
    }

    async fn forget_what_is_stale(&self, subject: Digest, referrers: Vec<Digest>) -> Result<u64> {
        let this = self.clone();
        self.shared
            .detached
            .run(async move {
                let backend = &this.shared.backend;
                let _lock = backend.lock(this.layout.root(), LockMode::ToDelete).await?;
                let stale = this.stale(&subject, &referrers).await?;
                let records: Vec<_> = stale
                    .iter()
                    .map(|referrer| this.layout.referrer_link(&subject, referrer))
                    .collect();
                backend.delete(&records).await?;
                Ok(records.len() as u64)
            })
            .await
    }

    /// Those of the referrers that are recorded and are no manifests of the repository any more, damaged ones
    /// apart.
    async fn stale(&self, subject: &Digest, referrers: &[Digest]) -> Result<Vec<Digest>> {
        let mut stale = Vec::new();
        for referrer in referrers {
            let revision = self.layout.revision_link(referrer);
            let record = self.layout.referrer_link(subject, referrer);
            if self.is_gone(&revision).await? && !self.is_gone(&record).await? {
                stale.push(*referrer);
            }
        }
        Ok(stale)
    }

    /// Is nothing at all in the place of a link? What cannot be looked at is not gone.
    async fn is_gone(&self, link: &Key) -> Result<bool> {
        match self.shared.backend.head(link).await.map_err(Error::from) {
            Ok(found) => Ok(found.is_none()),
            Err(error) if error.is_of_one_object() => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// What became of one digest in the repository.
#[derive(Clone, Copy)]
enum Finding {
    /// It is no manifest of the repository, or not any more.
    Nothing,
    NoSubject,
    Recorded,
    Kept,
    Unreadable(Digest),
}

impl RebuildReport {
    fn add(&mut self, finding: Finding) {
        match finding {
            Finding::Nothing => return,
            Finding::NoSubject => {}
            Finding::Recorded => self.recorded += 1,
            Finding::Kept => self.kept += 1,
            Finding::Unreadable(digest) => {
                self.unreadable += 1;
                if self.first_unreadable.len() < NAMED {
                    self.first_unreadable.push(digest);
                }
                return;
            }
        }
        self.manifests += 1;
    }
}

/// What a stored manifest says of its subject.
enum Read {
    Nothing,
    Damaged,
    NoSubject,
    Subject(Digest),
}

impl Read {
    /// `None` if the bytes are not those of the digest, or no manifest.
    fn from_bytes(digest: &Digest, bytes: &Bytes) -> Option<Self> {
        if Digest::of(digest.algorithm(), bytes) != *digest {
            return None;
        }
        let Ok(manifest) = Manifest::parse_stored(bytes.clone()) else {
            // Of a type that is not accepted any more: such a one is never listed as a referrer.
            return stored_media_type(bytes).ok().map(|_| Self::NoSubject);
        };
        let subject = manifest.subject().and_then(|subject| subject.digest.known());
        Some(subject.map_or(Self::NoSubject, |subject| Self::Subject(*subject)))
    }
}
