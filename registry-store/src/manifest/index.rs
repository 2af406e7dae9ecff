//! [`ImageIndex`]: a list of manifests (OCI image-spec, `image-index.md`; Docker's list has this shape).

use crate::descriptor::Descriptor;

/// Manifests under one name, commonly one for each platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageIndex {
    /// The manifests; there may be none, and they may be indexes themselves. Some clients list blobs here.
    pub manifests: Vec<Descriptor>,
}

impl ImageIndex {
    /// Its entries, less the layers that are fetched from elsewhere and never pushed.
    pub fn pushed(&self) -> impl Iterator<Item = &Descriptor> {
        self.manifests.iter().filter(|entry| !entry.is_elsewhere())
    }
}
