//! [`Manifests`]: the manifests of a repository.

use bytes::Bytes;

use crate::digest::Digest;
use crate::error::Result;
use crate::manifest::Manifest;
use crate::media_type::MediaType;
use crate::reference::{Reference, Tag};

/// The manifests of a repository.
#[derive(Clone, Debug)]
pub struct Manifests {}

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
    /// Reads a manifest. Errors: `ManifestUnknown`.
    pub async fn get(&self, _reference: &Reference) -> Result<StoredManifest> {
        todo!()
    }
    /// Stores a manifest under its digest and points tags at it.
    ///
    /// `digest` must be that of the manifest's bytes. Errors: `DigestMismatch`, `ManifestBlobUnknown`,
    /// `ManifestInvalid`.
    pub async fn put(&self, _manifest: &Manifest, _digest: &Digest, _tags: &[Tag]) -> Result<()> {
        todo!()
    }
    /// Takes a manifest and every tag on it from the repository. Errors: `ManifestUnknown`.
    pub async fn delete(&self, _digest: &Digest) -> Result<()> {
        todo!()
    }
}
