//! [`Repository`]: a handle to one repository.

use std::sync::Arc;

use crate::blobs::Blobs;
use crate::digest::Digest;
use crate::error::Result;
use crate::layout::RepositoryLayout;
use crate::listing;
use crate::manifests::Manifests;
use crate::mount;
use crate::name::RepositoryName;
use crate::referrers::Referrers;
use crate::shared::Shared;
use crate::tags::Tags;
use crate::uploads::Uploads;

/// A repository, which need not exist: it comes into being with the first thing pushed to it.
///
/// Cheap to make and to clone; holds nothing open.
#[derive(Clone, Debug)]
pub struct Repository {
    shared: Arc<Shared>,
    layout: RepositoryLayout,
}

impl Repository {
    pub(crate) fn new(shared: Arc<Shared>, name: &RepositoryName) -> Self {
        Self { shared, layout: RepositoryLayout::new(name) }
    }

    /// Its name.
    pub const fn name(&self) -> &RepositoryName {
        self.layout.name()
    }

    /// Has it a blob, manifest or tag? Distribution leaves the directories of those that were deleted, and
    /// then it still counts.
    pub async fn exists(&self) -> Result<bool> {
        listing::is_repository(&self.shared, self.layout.root()).await
    }

    /// Its blobs.
    pub fn blobs(&self) -> Blobs {
        Blobs::new(self.shared.clone(), self.layout.clone())
    }

    /// Its upload sessions.
    pub fn uploads(&self) -> Uploads {
        Uploads::new(self.shared.clone(), self.layout.clone())
    }

    /// Its manifests.
    pub fn manifests(&self) -> Manifests {
        Manifests::new(self.shared.clone(), self.layout.clone())
    }

    /// Its tags.
    pub fn tags(&self) -> Tags {
        Tags::new(self.shared.clone(), self.layout.clone())
    }

    /// Its manifests that have a subject.
    pub fn referrers(&self) -> Referrers {
        Referrers::new(self.shared.clone(), self.layout.clone())
    }

    /// Makes a blob of another repository one of this one, without moving a byte, and returns its size in bytes;
    /// `None` if `from` does not have it. It stays here when `from` deletes it.
    pub async fn mount(&self, digest: &Digest, from: &RepositoryName) -> Result<Option<u64>> {
        mount::mount(&self.shared, digest, &RepositoryLayout::new(from), &self.layout).await
    }

    /// Makes a blob of whatever repository one of this one, and returns its size in bytes; `None` if it is not
    /// stored at all.
    ///
    /// Whoever may call this can read every blob whose digest is known to him: not for a registry where some
    /// may not read all.
    pub async fn mount_from_anywhere(&self, digest: &Digest) -> Result<Option<u64>> {
        mount::mount_from_anywhere(&self.shared, digest, &self.layout).await
    }
}
