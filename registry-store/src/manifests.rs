//! [`Manifests`]: the manifests of a repository.

use std::sync::Arc;

use bytes::Bytes;

use crate::backend::{LockMode, PointIf, Pointed};
use crate::blobs;
use crate::dependencies::Dependencies;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::layout::{self, RepositoryLayout};
use crate::link;
use crate::manifest::{MAX_MANIFEST_SIZE, Manifest, stored_media_type};
use crate::media_type::MediaType;
use crate::precondition::Precondition;
use crate::reference::{Reference, Tag};
use crate::referrers::Referrers;
use crate::shared::Shared;
use crate::tags::Tags;

/// What is longer was never accepted as a manifest.
const LIMIT: u64 = MAX_MANIFEST_SIZE as u64;

/// How often a tag is followed that is moved each time just when its manifest is deleted.
const MOVES: usize = 8;

/// A tag, and what was stored of where it points.
type FoundTag = (Tag, Option<Bytes>);

/// The manifests of a repository.
#[derive(Clone, Debug)]
pub struct Manifests {
    shared: Arc<Shared>,
    layout: RepositoryLayout,
}

/// A manifest as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredManifest {
    /// The digest it was asked for by, or that its tag points at.
    pub digest: Digest,
    /// What it is.
    pub media_type: MediaType,
    /// Exactly what was pushed.
    pub bytes: Bytes,
}

impl Manifests {
    pub(crate) const fn new(shared: Arc<Shared>, layout: RepositoryLayout) -> Self {
        Self { shared, layout }
    }

    /// Reads a manifest.
    ///
    /// Errors: `ManifestUnknown`.
    pub async fn get(&self, reference: &Reference) -> Result<StoredManifest> {
        self.find(reference).await?.ok_or_else(|| self.unknown(reference.clone()))
    }

    /// Stores a manifest under its digest and points tags at it.
    ///
    /// `digest` must be that of the manifest's bytes. All the manifest refers to must be in this repository.
    ///
    /// Order: look for all it refers to → under the repository's lock, shared with other puts: the manifest's
    /// blob → the revision link → look again for all it refers to, fresh, and make it durable (other writers
    /// made it) → the record that it refers to its subject → each tag → look again. Each step is durable before
    /// the next begins. From the lock on it runs to its end even if the caller leaves.
    ///
    /// A crash leaves a beginning of that: a blob without a link (garbage), a manifest without its tags, or
    /// some of its tags. What is visible is complete at each step. If something is found missing after the link
    /// was written, the link is not undone: another push may rely on it.
    ///
    /// Errors: `DigestMismatch`, `ManifestBlobUnknown`; `ManifestInvalid` if a descriptor gives another size
    /// than that of the content it names.
    pub async fn put(&self, manifest: &Manifest, digest: &Digest, tags: &[Tag]) -> Result<()> {
        self.put_when(manifest, digest, tags, None).await
    }

    /// As [`Manifests::put`], if a precondition holds of `reference`: of the manifest that is read by it, or of
    /// none where a reader finds none.
    ///
    /// Order: as of a put, but under the repository's lock, exclusive, and the precondition is looked at before
    /// anything is written. So no put and no delete comes between the look and the tags: of several that put the
    /// same tag if it is [absent](Precondition::absent), exactly one does. Programs that do not know our lock can
    /// come between. It is looked at last: what is invalid, or lacks its blobs, fails for that.
    ///
    /// Errors: those of a put; `PreconditionFailed`, and then nothing was done.
    pub async fn put_if(
        &self,
        manifest: &Manifest,
        digest: &Digest,
        tags: &[Tag],
        reference: &Reference,
        precondition: &Precondition,
    ) -> Result<()> {
        let condition = (reference.clone(), precondition.clone());
        let condition = Some(condition).filter(|_| !precondition.is_empty());
        self.put_when(manifest, digest, tags, condition).await
    }

    /// A put, whose order of effects [`Manifests::put`] states, and [`Manifests::put_if`] for one with a condition.
    async fn put_when(
        &self,
        manifest: &Manifest,
        digest: &Digest,
        tags: &[Tag],
        condition: Option<(Reference, Precondition)>,
    ) -> Result<()> {
        let found = manifest.digest(digest.algorithm());
        if found != *digest {
            return Err(Error::DigestMismatch { expected: *digest, found });
        }
        // May take long, and writes nothing but what is put aside: a client that leaves ends it.
        let mut needs = Dependencies::look(&self.shared, &self.layout, manifest).await?;
        needs.push_itself(digest);
        let (this, manifest, digest, tags) =
            (self.clone(), manifest.clone(), *digest, tags.to_vec());
        self.shared
            .detached
            .run(async move {
                let scope = this.layout.root();
                let mode = condition.as_ref().map_or(LockMode::Shared, |_| LockMode::Exclusive);
                let _lock = this.shared.backend.lock(scope, mode).await?;
                let found = match condition {
                    Some((reference, precondition)) => {
                        this.expect(reference, &precondition).await?
                    }
                    None => None,
                };
                this.write(&manifest, &digest, &tags, &needs, found).await
            })
            .await
    }

    /// Takes a manifest, and every tag on it, from the repository. Other repositories keep it, and its bytes
    /// stay until collected.
    ///
    /// Order, under the repository's lock, which excludes puts: the tags that point at it → the revision link →
    /// the record that it refers to its subject → the tags that a program that does not know our lock made
    /// meanwhile. It runs to its end even if the caller leaves. A crash leaves fewer tags, or a record without a
    /// manifest, which counts as none. If the revision link is there again after the record was forgotten, a
    /// process that the lock does not reach has pushed it once more: the record is written again.
    ///
    /// Errors: `ManifestUnknown`.
    pub async fn delete(&self, digest: &Digest) -> Result<()> {
        self.delete_telling(digest, drop).await
    }

    /// As [`Manifests::delete`]; `removed` is told of each tag that goes with the manifest, when it has gone for
    /// good.
    ///
    /// It runs under the repository's lock and must not block. It is told, rather than answered, because tags may
    /// be many. If the delete fails half-way, the tags it was told of have gone all the same.
    ///
    /// Errors: `ManifestUnknown`.
    pub async fn delete_telling<F>(&self, digest: &Digest, mut removed: F) -> Result<()>
    where
        F: FnMut(Tag) + Send + 'static,
    {
        // On a filesystem a lock leaves a file. There is none for what is not there: names are free to be made up.
        if self.shared.backend.head(&self.layout.revision_link(digest)).await?.is_none() {
            return Err(self.unknown((*digest).into()));
        }
        let (this, digest) = (self.clone(), *digest);
        self.shared
            .detached
            .run(async move {
                let scope = this.layout.root();
                let _lock = this.shared.backend.lock(scope, LockMode::ToDelete).await?;
                this.remove(&digest, &mut removed).await
            })
            .await
    }

    /// Looks whether a precondition holds, and tells what it was found of, if that can change. The caller holds
    /// the repository's lock, exclusive.
    async fn expect(
        &self,
        reference: Reference,
        precondition: &Precondition,
    ) -> Result<Option<FoundTag>> {
        let raw = match &reference {
            Reference::Tag(tag) => Some((tag.clone(), self.tags().current_raw(tag).await?)),
            Reference::Digest(_) => None,
        };
        let found = self.find(&reference).await?.map(|found| found.digest);
        if precondition.holds(found.as_ref()) {
            return Ok(raw);
        }
        let name = self.layout.name().clone();
        Err(Error::PreconditionFailed { name, reference, found })
    }

    async fn find(&self, reference: &Reference) -> Result<Option<StoredManifest>> {
        match reference {
            Reference::Digest(digest) => self.read(digest).await,
            Reference::Tag(tag) => self.read_tagged(tag).await,
        }
    }

    /// The manifest a tag points at. If it is gone, the tag may have been moved on before that: then it is
    /// looked for where the tag points now.
    async fn read_tagged(&self, tag: &Tag) -> Result<Option<StoredManifest>> {
        let mut gone = None;
        for _ in 0..MOVES {
            let current = self.tags().current(tag).await?;
            let Some(digest) = current.filter(|current| gone != Some(*current)) else {
                return Ok(None);
            };
            if let Some(found) = self.read(&digest).await? {
                return Ok(Some(found));
            }
            gone = Some(digest);
        }
        Ok(None)
    }

    async fn read(&self, digest: &Digest) -> Result<Option<StoredManifest>> {
        let link = self.layout.revision_link(digest);
        let Some(stored) = link::read_for(&self.shared, &link, digest).await? else {
            return Ok(None);
        };
        let Some(bytes) = blobs::read_small(&self.shared, &stored, LIMIT).await? else {
            return Ok(None);
        };
        Ok(match stored_media_type(&bytes) {
            Ok(media_type) => Some(StoredManifest { digest: *digest, media_type, bytes }),
            Err(_) => {
                self.shared.damage.blob(&layout::blob(&stored), bytes.len() as u64);
                None
            }
        })
    }

    async fn write(
        &self,
        manifest: &Manifest,
        digest: &Digest,
        tags: &[Tag],
        needs: &Dependencies,
        found: Option<FoundTag>,
    ) -> Result<()> {
        blobs::write_small(&self.shared, digest, manifest.bytes()).await?;
        let link = self.layout.revision_link(digest);
        link::write(&self.shared, &link, digest).await?;
        needs.confirm().await?;

        if let Some(subject) = manifest.subject().and_then(|subject| subject.digest.known()) {
            self.referrers().record(subject, digest).await?;
        }
        if tags.is_empty() {
            return Ok(());
        }
        let mut is_linked = true;
        for tag in tags {
            let condition = match &found {
                Some((expected, Some(raw))) if expected == tag => PointIf::Holds(raw.clone()),
                Some((expected, None)) if expected == tag => PointIf::Absent,
                _ => PointIf::Always,
            };
            match self.tags().point(tag, digest, condition).await? {
                Pointed::Written => {}
                Pointed::TargetGone => {
                    is_linked = false;
                    self.tags().take_back(tag, digest).await?;
                }
                Pointed::Refused => return Err(self.overtaken(tag).await?),
            }
        }
        needs.confirm_tagged(digest, is_linked).await
    }

    /// A tag was moved between the look at it and the write, by another process, on storage without locks between
    /// them. It was first.
    async fn overtaken(&self, tag: &Tag) -> Result<Error> {
        let (name, reference) = (self.layout.name().clone(), tag.clone().into());
        let found = self.tags().current(tag).await?;
        Ok(Error::PreconditionFailed { name, reference, found })
    }

    async fn remove(&self, digest: &Digest, removed: &mut (dyn FnMut(Tag) + Send)) -> Result<()> {
        let link = self.layout.revision_link(digest);
        let Some(stored) = link::read_for(&self.shared, &link, digest).await? else {
            return Err(self.unknown((*digest).into()));
        };
        let bytes = blobs::read_small(&self.shared, &stored, LIMIT).await?;
        let manifest = bytes.and_then(|bytes| Manifest::parse_stored(bytes).ok());
        let subject = manifest.as_ref().and_then(Manifest::subject);

        self.tags().remove_all_on(digest, false, removed).await?;
        self.shared.backend.delete(std::slice::from_ref(&link)).await?;
        if let Some(subject) = subject.and_then(|subject| subject.digest.known()) {
            self.referrers().forget(subject, digest).await?;
            if self.shared.backend.head(&link).await?.is_some() {
                // Another process pushed it once more, and found the record.
                self.referrers().record(subject, digest).await?;
            }
        }
        self.tags().remove_all_on(digest, true, removed).await
    }

    fn tags(&self) -> Tags {
        Tags::new(self.shared.clone(), self.layout.clone())
    }

    fn referrers(&self) -> Referrers {
        Referrers::new(self.shared.clone(), self.layout.clone())
    }

    fn unknown(&self, reference: Reference) -> Error {
        Error::ManifestUnknown { name: self.layout.name().clone(), reference }
    }
}
