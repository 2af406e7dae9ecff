//! [`Manifests`]: the manifests of a repository.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::backend::{Key, LockMode, Meta, ReadRange};
use crate::blobs;
use crate::digest::{Digest, Hasher};
use crate::error::{Error, Result};
use crate::ingest::hash;
use crate::layout::{self, RepositoryLayout};
use crate::link;
use crate::listing::if_found;
use crate::manifest::{Dependency, MAX_MANIFEST_SIZE, Manifest, ManifestError, stored_media_type};
use crate::media_type::MediaType;
use crate::reference::{Reference, Tag};
use crate::referrers::Referrers;
use crate::shared::Shared;
use crate::tags::Tags;

/// What is longer was never accepted as a manifest.
const LIMIT: u64 = MAX_MANIFEST_SIZE as u64;

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
        let found = match reference {
            Reference::Digest(digest) => self.read(digest).await?,
            Reference::Tag(tag) => match self.tags().current(tag).await? {
                Some(digest) => self.read(&digest).await?,
                None => None,
            },
        };
        found.ok_or_else(|| self.unknown(reference.clone()))
    }

    /// Stores a manifest under its digest and points tags at it.
    ///
    /// `digest` must be that of the manifest's bytes. All the manifest refers to must be in this repository.
    ///
    /// Order: look for all it refers to → under the repository's lock, shared with other puts: the manifest's
    /// blob → the revision link → look again for all it refers to, fresh, and make it durable (other writers
    /// made it) → the record that it refers to its subject → each tag → look again. Each step is durable before
    /// the next begins, and all of it runs to its end even if the caller leaves.
    ///
    /// A crash leaves a beginning of that: a blob without a link (garbage), a manifest without its tags, or
    /// some of its tags. What is visible is complete at each step. If something is found missing after the link
    /// was written, the link is not undone: another push may rely on it.
    ///
    /// Errors: `DigestMismatch`, `ManifestBlobUnknown`; `ManifestInvalid` if a descriptor gives another size
    /// than that of the content it names.
    pub async fn put(&self, manifest: &Manifest, digest: &Digest, tags: &[Tag]) -> Result<()> {
        let found = manifest.digest(digest.algorithm());
        if found != *digest {
            return Err(Error::DigestMismatch { expected: *digest, found });
        }
        let (this, manifest, digest, tags) =
            (self.clone(), manifest.clone(), *digest, tags.to_vec());
        self.shared
            .detached
            .run(async move {
                let mut needs = this.look_for_dependencies(&manifest).await?;
                needs.push(Need::itself(&this.layout, &digest));
                let scope = this.layout.root();
                let _lock = this.shared.backend.lock(scope, LockMode::Shared).await?;
                this.write(&manifest, &digest, &tags, &needs).await
            })
            .await
    }

    /// Takes a manifest, and every tag on it, from the repository. Other repositories keep it, and its bytes
    /// stay until collected.
    ///
    /// Order, under the repository's lock, which excludes puts: the tags that point at it → the revision link →
    /// the record that it refers to its subject → the tags that a program that does not know our lock made
    /// meanwhile. It runs to its end even if the caller leaves. A crash leaves fewer tags, or a record without a
    /// manifest, which counts as none.
    ///
    /// Errors: `ManifestUnknown`.
    pub async fn delete(&self, digest: &Digest) -> Result<()> {
        let (this, digest) = (self.clone(), *digest);
        self.shared
            .detached
            .run(async move {
                let scope = this.layout.root();
                let _lock = this.shared.backend.lock(scope, LockMode::Exclusive).await?;
                this.remove(&digest).await
            })
            .await
    }

    async fn read(&self, digest: &Digest) -> Result<Option<StoredManifest>> {
        let link = self.layout.revision_link(digest);
        let Some(stored) = link::read(&self.shared, &link).await? else {
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
        needs: &[Need],
    ) -> Result<()> {
        blobs::write_small(&self.shared, digest, manifest.bytes()).await?;
        let link = self.layout.revision_link(digest);
        link::write(&self.shared, &link, digest).await?;
        self.confirm(needs).await?;

        if let Some(subject) = manifest.subject().and_then(|subject| subject.digest.known()) {
            self.referrers().record(subject, digest).await?;
        }
        if tags.is_empty() {
            return Ok(());
        }
        for tag in tags {
            self.tags().point(tag, digest).await?;
        }
        self.confirm(needs).await
    }

    async fn remove(&self, digest: &Digest) -> Result<()> {
        let link = self.layout.revision_link(digest);
        let Some(stored) = link::read(&self.shared, &link).await? else {
            return Err(self.unknown((*digest).into()));
        };
        let bytes = blobs::read_small(&self.shared, &stored, LIMIT).await?;
        let manifest = bytes.and_then(|bytes| Manifest::parse(None, bytes).ok());
        let subject = manifest.as_ref().and_then(Manifest::subject);

        self.tags().remove_all_on(digest).await?;
        self.shared.backend.delete(&[link]).await?;
        if let Some(subject) = subject.and_then(|subject| subject.digest.known()) {
            self.referrers().forget(subject, digest).await?;
        }
        self.tags().remove_all_on(digest).await
    }

    /// Looks for all that a manifest refers to, and says that it is about to be relied on.
    async fn look_for_dependencies(&self, manifest: &Manifest) -> Result<Vec<Need>> {
        let mut needs = Need::of(&self.layout, manifest);
        let found = self.shared.guard.protect(&keys(&needs)).await?;
        let mut missing = Vec::new();
        for (need, found) in needs.iter_mut().zip(found.chunks(2)) {
            match self.stored_under(need, found).await? {
                Some(stored) => need.blob = layout::blob(&stored),
                None => missing.push(need.digest),
            }
        }
        self.refuse_missing(missing)?;
        Ok(needs)
    }

    /// The digest the content of a dependency is kept under, if its link is there and its content is of the
    /// size that the manifest gives.
    async fn stored_under(&self, need: &Need, found: &[Option<Meta>]) -> Result<Option<Digest>> {
        let &[Some(link), blob] = found else {
            return Ok(None);
        };
        let stored = if link::fits(link, &need.digest) {
            need.digest
        } else {
            // Damaged, or the other digest that Distribution keeps what was pushed by its sha512 under.
            match link::read(&self.shared, &need.link).await? {
                Some(stored) => stored,
                None => return Ok(None),
            }
        };
        let size = match blob {
            Some(blob) if stored == need.digest => Some(blob.size),
            _ => blobs::size(&self.shared, &stored).await?,
        };
        match size {
            Some(size) if self.is_of_size(&stored, size, need.size).await? => Ok(Some(stored)),
            _ => Ok(None),
        }
    }

    /// Compares sizes. Where they differ, either the blob is damaged or the manifest is wrong: the blob's
    /// content tells, and a damaged one is put out of sight so that it is pushed again.
    async fn is_of_size(&self, digest: &Digest, stored: u64, given: u64) -> Result<bool> {
        let key = layout::blob(digest);
        if blobs::is_emptied(digest, stored) {
            self.shared.damage.blob(&key, stored);
            return Ok(false);
        }
        if stored == given {
            return Ok(true);
        }
        let Some(object) = if_found(self.shared.backend.read(&key, ReadRange::Full).await)? else {
            return Ok(false);
        };
        let mut hasher = Hasher::new(digest.algorithm());
        hash(&mut hasher, object.into_stream()).await?;
        if hasher.finish() == *digest {
            let wrong =
                ManifestError::DescriptorSize { digest: *digest, expected: stored, found: given };
            return Err(wrong.into());
        }
        self.shared.damage.blob(&key, stored);
        self.shared.backend.quarantine(&key).await?;
        Ok(false)
    }

    /// Looks again, fresh, for all that is relied on, and makes it durable.
    async fn confirm(&self, needs: &[Need]) -> Result<()> {
        let found = self.shared.guard.confirm(&keys(needs)).await?;
        let pairs = needs.iter().zip(found.chunks(2));
        let gone = pairs.filter(|(_, pair)| pair.iter().any(Option::is_none));
        self.refuse_missing(gone.map(|(need, _)| need.digest).collect())
    }

    fn refuse_missing(&self, missing: Vec<Digest>) -> Result<()> {
        if missing.is_empty() {
            return Ok(());
        }
        Err(Error::ManifestBlobUnknown { name: self.layout.name().clone(), missing })
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

/// What a manifest relies on in its repository.
#[derive(Debug)]
struct Need {
    digest: Digest,
    size: u64,
    link: Key,
    blob: Key,
}

impl Need {
    /// All that a manifest refers to and that must be in its repository, each once. Content of an algorithm
    /// that we do not know cannot have been pushed here, so it is not looked for.
    fn of(layout: &RepositoryLayout, manifest: &Manifest) -> Vec<Self> {
        let mut needs = BTreeMap::new();
        for dependency in manifest.dependencies() {
            let descriptor = dependency.descriptor();
            let Some(digest) = descriptor.digest.known() else {
                continue;
            };
            let link = match dependency {
                Dependency::Blob(_) => layout.layer_link(digest),
                Dependency::Manifest(_) => layout.revision_link(digest),
            };
            let need =
                Self { digest: *digest, size: descriptor.size, link, blob: layout::blob(digest) };
            needs.insert(*digest, need);
        }
        needs.into_values().collect()
    }

    /// The manifest's own link and bytes. Its size is not looked at.
    fn itself(layout: &RepositoryLayout, digest: &Digest) -> Self {
        let (link, blob) = (layout.revision_link(digest), layout::blob(digest));
        Self { digest: *digest, size: 0, link, blob }
    }
}

/// The link and the blob of each, in turn.
fn keys(needs: &[Need]) -> Vec<Key> {
    needs.iter().flat_map(|need| [need.link.clone(), need.blob.clone()]).collect()
}
