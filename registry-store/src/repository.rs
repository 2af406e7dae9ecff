//! [`Repository`]: a handle to one repository.

use crate::blobs::Blobs;
use crate::digest::Digest;
use crate::error::Result;
use crate::manifests::Manifests;
use crate::name::RepositoryName;
use crate::referrers::Referrers;
use crate::tags::Tags;
use crate::uploads::Uploads;

/// A repository, which need not exist: it comes into being with the first thing pushed to it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Repository {}

impl Repository {
    /// Its name.
    pub fn name(&self) -> &RepositoryName {
        todo!()
    }
    /// Has it a blob, manifest or tag?
    pub async fn exists(&self) -> Result<bool> {
        todo!()
    }
    /// Its blobs.
    pub fn blobs(&self) -> Blobs {
        todo!()
    }
    /// Its upload sessions.
    pub fn uploads(&self) -> Uploads {
        todo!()
    }
    /// Its manifests.
    pub fn manifests(&self) -> Manifests {
        todo!()
    }
    /// Its tags.
    pub fn tags(&self) -> Tags {
        todo!()
    }
    /// Its referrers.
    pub fn referrers(&self) -> Referrers {
        todo!()
    }
    /// Makes a blob of another repository one of this one. `false` if `from` does not have it.
    pub async fn mount(&self, _digest: &Digest, _from: &RepositoryName) -> Result<bool> {
        todo!()
    }
    /// Makes a blob of any repository one of this one. `false` if none has it.
    pub async fn mount_from_anywhere(&self, _digest: &Digest) -> Result<bool> {
        todo!()
    }
}
