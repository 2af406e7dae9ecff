//! [`Blobs`]: the blobs of a repository.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use futures::stream::BoxStream;

use crate::backend::{
    self, BackendExt as _, ErrorKind, LockMode, Meta, Object, Promotion, Put, PutMode, ReadRange,
    SignedMethod, Stage, Staged,
};
use crate::digest::{Digest, Hasher};
use crate::error::{BodyError, Error, Result};
use crate::ingest::ingest;
use crate::layout::{self, RepositoryLayout};
use crate::link;
use crate::shared::Shared;

/// The blobs of a repository. Content that another repository has is not found here until it is mounted.
#[derive(Clone, Debug)]
pub struct Blobs {
    shared: Arc<Shared>,
    layout: RepositoryLayout,
}

/// A blob, or a part of it, open for reading. It stays readable if it is deleted meanwhile.
pub struct Blob {
    digest: Digest,
    object: Object,
}

impl Blob {
    /// The digest it was asked for by.
    pub const fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The length of the whole blob in bytes.
    pub const fn size(&self) -> u64 {
        self.object.size
    }

    /// Which bytes are read.
    pub fn range(&self) -> Range<u64> {
        self.object.range.clone()
    }

    /// The bytes of [`Blob::range`], in parts of at most 1 MiB.
    pub fn into_stream(self) -> BoxStream<'static, backend::Result<Bytes>> {
        self.object.into_stream()
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blob({}, {:?} of {} bytes)", self.digest, self.object.range, self.object.size)
    }
}

/// A blob that is there, not opened yet: to be read, or to be fetched from the storage itself.
#[derive(Clone, Debug)]
pub struct FoundBlob {
    blobs: Blobs,
    digest: Digest,
    /// What its bytes are kept under.
    stored: Digest,
    size: u64,
}

impl FoundBlob {
    /// The digest it was asked for by.
    pub const fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The length of the whole blob in bytes.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Opens it. What its link says is not read again.
    ///
    /// Errors: `RangeNotSatisfiable`; `BlobUnknown` if it went meanwhile.
    pub async fn open(&self, range: ReadRange) -> Result<Blob> {
        self.blobs.open(&self.digest, &self.stored, range).await
    }

    /// An address from which a client may fetch it itself for so long, by requests of one method; `None` where the
    /// storage has none. See [`Backend::signed_url`](backend::Backend::signed_url). Nothing is asked of the storage.
    ///
    /// Who has the address can read the blob until then, whatever becomes of its links; S3 signs for 7 days at most,
    /// and with keys that are lent for less an address lasts as long as they do.
    ///
    /// Errors: `Storage`, if it cannot be signed.
    pub async fn address(
        &self,
        method: SignedMethod,
        expires_in: Duration,
    ) -> Result<Option<String>> {
        let key = layout::blob(&self.stored);
        Ok(self.blobs.shared.backend.signed_url(&key, method, expires_in).await?)
    }
}

impl Blobs {
    pub(crate) const fn new(shared: Arc<Shared>, layout: RepositoryLayout) -> Self {
        Self { shared, layout }
    }

    /// The size of a blob in bytes.
    ///
    /// A client that learns from this that a blob is there skips its upload, so asking protects the blob from
    /// collection as far as a push needs.
    ///
    /// Errors: `BlobUnknown`.
    pub async fn size(&self, digest: &Digest) -> Result<u64> {
        Ok(self.find(digest).await?.size())
    }

    /// Looks for a blob, to open it or to send a client to it. As [`Blobs::size`], this protects it.
    ///
    /// Costs a read of the link and a look at the blob.
    ///
    /// Errors: `BlobUnknown`.
    pub async fn find(&self, digest: &Digest) -> Result<FoundBlob> {
        let stored = self.linked(digest).await?;
        let found = look(&self.shared, &stored).await?;
        let size = found.ok_or_else(|| self.unknown(digest))?.size;
        Ok(FoundBlob { blobs: self.clone(), digest: *digest, stored, size })
    }

    /// Opens a blob.
    ///
    /// Errors: `BlobUnknown`, `RangeNotSatisfiable`.
    pub async fn get(&self, digest: &Digest, range: ReadRange) -> Result<Blob> {
        let stored = self.linked(digest).await?;
        self.open(digest, &stored, range).await
    }

    async fn open(&self, digest: &Digest, stored: &Digest, range: ReadRange) -> Result<Blob> {
        let key = layout::blob(stored);
        match self.shared.backend.read(&key, range).await {
            Ok(object) if is_emptied(stored, object.size) => {
                self.shared.damage.blob(&key, object.size);
                Err(self.unknown(digest))
            }
            Ok(object) => Ok(Blob { digest: *digest, object }),
            Err(error) => match error.kind() {
                ErrorKind::NotFound => Err(self.unknown(digest)),
                ErrorKind::RangeNotSatisfiable => Err(Error::RangeNotSatisfiable {
                    digest: *digest,
                    size: self.size(digest).await?,
                }),
                _ => Err(error.into()),
            },
        }
    }

    /// Stores a blob whose digest is known before its first byte, and returns its size in bytes.
    ///
    /// Nothing is visible before all of it has arrived and matches the digest.
    ///
    /// Errors: `DigestMismatch`, `Body`.
    pub async fn put<S>(&self, digest: &Digest, body: S) -> Result<u64>
    where
        S: Stream<Item = Result<Bytes, BodyError>> + Send,
    {
        let key = layout::blob(digest);
        let mut staged = self.shared.backend.stage(Stage::Final { key: &key }).await?;
        let mut hasher = Hasher::new(digest.algorithm());
        let never = std::future::pending();
        ingest(staged.as_mut(), &mut hasher, &self.shared.buffers, body, never).await?;

        let size = hasher.hashed();
        let found = hasher.finish();
        if found != *digest {
            return Err(Error::DigestMismatch { expected: *digest, found });
        }
        let (shared, layout) = (self.shared.clone(), self.layout.clone());
        self.shared
            .detached
            .run(async move {
                commit(&shared, &layout, staged.as_mut(), &found, size).await?;
                if let Err(error) = staged.discard().await {
                    // The blob is pushed, and that is what was asked for; expiry removes the rest.
                    tracing::warn!(digest = %found, %error, "the remains of a pushed blob stay");
                }
                Ok(size)
            })
            .await
    }

    /// Takes a blob from the repository. Other repositories keep it, and its bytes stay until collected.
    ///
    /// One effect: the link goes.
    ///
    /// Errors: `BlobUnknown`.
    pub async fn delete(&self, digest: &Digest) -> Result<()> {
        let link = self.layout.layer_link(digest);
        self.linked(digest).await?;
        let shared = self.shared.clone();
        self.shared.detached.run(async move { Ok(shared.backend.delete(&[link]).await?) }).await
    }

    /// The digest the bytes of a blob of this repository are kept under.
    async fn linked(&self, digest: &Digest) -> Result<Digest> {
        let link = self.layout.layer_link(digest);
        let stored = link::read_for(&self.shared, &link, digest).await?;
        stored.ok_or_else(|| self.unknown(digest))
    }

    fn unknown(&self, digest: &Digest) -> Error {
        Error::BlobUnknown { name: self.layout.name().clone(), digest: *digest }
    }
}

/// Takes a blob's bytes away; `false` if there were none. Nobody names a blob of its shard meanwhile: a backend looks at
/// what an object is one with before it takes it away.
pub(crate) async fn remove_everywhere(shared: &Arc<Shared>, digest: &Digest) -> Result<bool> {
    let key = layout::blob(digest);
    if shared.backend.head(&key).await?.is_none() {
        return Ok(false);
    }
    let this = Arc::clone(shared);
    let shard = layout::blob_shard(digest);
    shared
        .detached
        .run(async move {
            let _lock = this.backend.lock(&shard, LockMode::ToDelete).await?;
            Ok(this.backend.delete(&[key]).await?)
        })
        .await?;
    Ok(true)
}

/// What is known of a blob in any repository; `None` if it is not there, or emptied. Protects it.
pub(crate) async fn look(shared: &Shared, digest: &Digest) -> Result<Option<Meta>> {
    let key = layout::blob(digest);
    let found = shared.guard.protect(std::slice::from_ref(&key)).await?;
    match found.first().copied().flatten() {
        Some(meta) if is_emptied(digest, meta.size) => {
            shared.damage.blob(&key, meta.size);
            Ok(None)
        }
        found => Ok(found),
    }
}

/// Is an object of this size what a crash or a full disk left of the blob? Such a one is as good as not there,
/// so that clients push it again.
fn is_emptied(digest: &Digest, size: u64) -> bool {
    size == 0 && !digest.is_of_nothing()
}

/// Makes staged bytes a blob of a repository; the caller has compared them with the digest.
///
/// Order: name the blob without overwriting, durable with every new directory above it → say that we rely on
/// it → the repository's link, durable. The staging is left as it is, for its owner to remove. Naming shares a
/// lock that [`put_aside`] holds alone.
///
/// A crash leaves nothing, or a blob without a link (garbage until the next push finds it there), or all.
pub(crate) async fn commit(
    shared: &Shared,
    layout: &RepositoryLayout,
    staged: &mut dyn Staged,
    digest: &Digest,
    size: u64,
) -> Result<()> {
    let key = layout::blob(digest);
    let lock = shared.backend.lock(&layout::blob_shard(digest), LockMode::Shared).await?;
    let promotion = staged.promote(&key, size).await?;
    drop(lock);
    if let Promotion::Replaced { found } = promotion {
        shared.damage.blob(&key, found);
        shared.damage.healed(&key);
    }
    shared.guard.announce(std::slice::from_ref(&key)).await?;
    link::write(shared, &layout.layer_link(digest), digest).await.map(|_| ())
}

/// Puts a blob out of everybody's sight that was found damaged when it was as `judged`; `false` if it is not like that
/// any more, and stays.
///
/// A push may have put a good one in its place since then: so nobody names a blob while this looks once more and
/// acts. One effect; a crash leaves the blob where it was or out of sight. The caller runs it to its end.
pub(crate) async fn put_aside(shared: &Shared, digest: &Digest, judged: Meta) -> Result<bool> {
    let key = layout::blob(digest);
    let _lock = shared.backend.lock(&layout::blob_shard(digest), LockMode::Exclusive).await?;
    if shared.backend.head(&key).await? != Some(judged) {
        return Ok(false);
    }
    shared.backend.quarantine(&key, Some(judged)).await?;
    shared.damage.put_aside(&key);
    Ok(true)
}

/// The bytes of a small blob in any repository; `None` if it is not there, emptied, or longer than `limit`.
pub(crate) async fn read_small(
    shared: &Shared,
    digest: &Digest,
    limit: u64,
) -> Result<Option<Bytes>> {
    let key = layout::blob(digest);
    let found = shared.backend.read_small(&key, limit).await?;
    let sound = |bytes: &Bytes| {
        let size = bytes.len() as u64;
        size <= limit && !is_emptied(digest, size)
    };
    if let Some(damaged) = found.as_ref().filter(|bytes| !sound(bytes)) {
        shared.damage.blob(&key, damaged.len() as u64);
    }
    Ok(found.filter(sound))
}

/// Makes bytes that match the digest a blob that is durable on return.
///
/// Order: create without overwriting; where something was there, compare it; if it was other bytes, it was damaged: alone
/// among all who name blobs of this shard, look once more, and replace it. A crash leaves the old bytes or the new ones.
///
/// So what another has healed meanwhile never gives way: it may be one file with the bytes of a session, which can be
/// added to when they are not the blob any more, while a loss of power may still make them that again.
pub(crate) async fn write_small(shared: &Shared, digest: &Digest, bytes: &Bytes) -> Result<()> {
    let key = layout::blob(digest);
    if shared.backend.put(&key, bytes.clone(), PutMode::Create).await? == Put::Written {
        return Ok(());
    }
    let limit = bytes.len() as u64;
    if shared.backend.read_small(&key, limit).await?.as_ref() == Some(bytes) {
        return Ok(());
    }
    let _lock = shared.backend.lock(&layout::blob_shard(digest), LockMode::Exclusive).await?;
    // What another has put there may not be durable yet: to keep it is to settle it.
    if shared.backend.put(&key, bytes.clone(), PutMode::Create).await? == Put::Written {
        return Ok(());
    }
    let found = shared.backend.read_small(&key, limit).await?;
    if found.as_ref() == Some(bytes) {
        return Ok(());
    }
    shared.backend.put(&key, bytes.clone(), PutMode::Overwrite).await?;
    // If nothing was found, somebody took it away after it was kept; that is no damage.
    if let Some(found) = found {
        shared.damage.blob(&key, found.len() as u64);
        shared.damage.healed(&key);
    }
    Ok(())
}
