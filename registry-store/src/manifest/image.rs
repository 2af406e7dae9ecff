//! [`ImageManifest`]: a config and layers (OCI image-spec, `manifest.md`; Docker's schema 2 has this shape).

use crate::descriptor::Descriptor;
use crate::manifest::ManifestError;

/// What an image, or any artifact that is not an index, consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageManifest {
    /// The configuration; of an artifact often the empty descriptor.
    pub config: Descriptor,
    /// The layers, lowest first; there may be none.
    pub layers: Vec<Descriptor>,
}

impl ImageManifest {
    pub(super) fn new(config: Descriptor, layers: Vec<Descriptor>) -> Result<Self, ManifestError> {
        let homeless = |layer: &&Descriptor| {
            layer.media_type.as_str().starts_with("application/vnd.docker.image.rootfs.foreign.")
                && layer.urls.is_empty()
        };
        match layers.iter().find(homeless) {
            Some(layer) => Err(ManifestError::Field {
                message: format!("the foreign layer {} has urls to fetch it from", layer.digest),
            }),
            None => Ok(Self { config, layers }),
        }
    }

    /// The config and the layers, less those that are fetched from elsewhere and never pushed.
    pub fn pushed_blobs(&self) -> impl Iterator<Item = &Descriptor> {
        let layers = self.layers.iter().filter(|layer| !layer.is_elsewhere());
        std::iter::once(&self.config).chain(layers)
    }
}
