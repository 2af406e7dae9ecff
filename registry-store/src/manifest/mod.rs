//! [`Manifest`]: a document that binds blobs, or other manifests, into an image or artifact.
//!
//! What is parsed is what a registry must know: the type, what the document refers to, and its subject.
//! The bytes are kept verbatim; nothing is ever written from the parsed form.

mod image;
mod index;
mod json;

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Deserialize;
use thiserror::Error;

use crate::descriptor::{Descriptor, null_as_default, some_from_text, there_or_null};
use crate::digest::{Algorithm, Digest};
use crate::media_type::MediaType;

pub use image::ImageManifest;
pub use index::ImageIndex;

/// The largest manifest that is accepted, in bytes: 4 MiB (OCI distribution-spec, "Pushing manifests").
pub const MAX_MANIFEST_SIZE: usize = 4 * 1024 * 1024;

/// A manifest as it was pushed, and what it says.
#[derive(Clone, Debug)]
pub struct Manifest {
    bytes: Bytes,
    media_type: MediaType,
    artifact_type: Option<MediaType>,
    subject: Option<Descriptor>,
    annotations: BTreeMap<String, String>,
    content: Content,
}

/// The two shapes of a manifest.
#[derive(Clone, Debug)]
pub enum Content {
    /// A config and layers.
    Image(ImageManifest),
    /// Other manifests.
    Index(ImageIndex),
}

/// Something a manifest needs in its repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dependency<'m> {
    /// A config or layer, or what an index lists that is no manifest.
    Blob(&'m Descriptor),
    /// A manifest that an index lists.
    Manifest(&'m Descriptor),
}

impl<'m> Dependency<'m> {
    /// How the manifest refers to it.
    pub const fn descriptor(&self) -> &'m Descriptor {
        match self {
            Self::Blob(descriptor) | Self::Manifest(descriptor) => descriptor,
        }
    }
}

impl Manifest {
    /// Parses a manifest of one of the four types that are accepted: OCI image manifest and index, Docker
    /// image manifest and list of version 2.
    ///
    /// `content_type` is what the client calls it; where the document has a `mediaType` of its own the two
    /// must agree. Without a `content_type` (or with the generic `application/json`) the document decides.
    pub fn parse(content_type: Option<&MediaType>, bytes: Bytes) -> Result<Self, ManifestError> {
        if bytes.len() > MAX_MANIFEST_SIZE {
            return Err(ManifestError::TooLarge { found: bytes.len() });
        }
        json::reject_what_reads_differently(&bytes)?;
        Self::read(content_type, bytes)
    }

    /// The same of a manifest that lies in storage, however it got there: what readers may take for something else
    /// is no reason to pass over what it says.
    pub(crate) fn parse_stored(bytes: Bytes) -> Result<Self, ManifestError> {
        Self::read(None, bytes)
    }

    fn read(content_type: Option<&MediaType>, bytes: Bytes) -> Result<Self, ManifestError> {
        let document: Document =
            serde_json::from_slice(&bytes).map_err(|error| ManifestError::json(&error))?;
        if document.schema_version != 2 {
            return Err(ManifestError::SchemaVersion { found: document.schema_version });
        }

        let media_type = document.media_type(content_type)?;
        let content = match media_type.as_str() {
            MediaType::OCI_INDEX | MediaType::DOCKER_LIST => Content::Index(document.index()?),
            MediaType::OCI_MANIFEST | MediaType::DOCKER_MANIFEST => {
                Content::Image(document.image()?)
            }
            _ => return Err(ManifestError::UnsupportedMediaType { found: media_type }),
        };
        Ok(Self {
            bytes,
            media_type,
            artifact_type: document.artifact_type,
            subject: document.subject,
            annotations: document.annotations,
            content,
        })
    }

    /// Exactly what was pushed.
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// What it is.
    pub const fn media_type(&self) -> &MediaType {
        &self.media_type
    }

    /// The digest of its bytes.
    pub fn digest(&self, algorithm: Algorithm) -> Digest {
        Digest::of(algorithm, &self.bytes)
    }

    /// The manifest this one is about, which need not exist (OCI distribution-spec, "Pushing manifests with
    /// subject").
    pub const fn subject(&self) -> Option<&Descriptor> {
        self.subject.as_ref()
    }

    /// The type a list of referrers gives: `artifactType`, else the config's type, else nothing.
    pub fn artifact_type(&self) -> Option<&MediaType> {
        match (&self.artifact_type, &self.content) {
            (Some(artifact_type), _) => Some(artifact_type),
            (None, Content::Image(image)) => Some(&image.config.media_type),
            (None, Content::Index(_)) => None,
        }
    }

    /// The author's notes on the whole.
    pub const fn annotations(&self) -> &BTreeMap<String, String> {
        &self.annotations
    }

    /// What the document says, by its shape.
    pub const fn content(&self) -> &Content {
        &self.content
    }

    /// All it needs to have in its repository: an image's config and layers, an index's entries.
    ///
    /// Left out are layers that are fetched from elsewhere. The subject is no dependency.
    pub fn dependencies(&self) -> impl Iterator<Item = Dependency<'_>> {
        let (image, index) = match &self.content {
            Content::Image(image) => (Some(image), None),
            Content::Index(index) => (None, Some(index)),
        };
        let blobs = image.into_iter().flat_map(ImageManifest::pushed_blobs).map(Dependency::Blob);
        let entries = index.into_iter().flat_map(ImageIndex::pushed).map(entry);
        blobs.chain(entries)
    }
}

/// An entry of an index is a manifest or, if its type is none of a manifest's, a blob: BuildKit keeps a cache as an
/// index of layers.
fn entry(descriptor: &Descriptor) -> Dependency<'_> {
    if descriptor.media_type.is_manifest() {
        Dependency::Manifest(descriptor)
    } else {
        Dependency::Blob(descriptor)
    }
}

/// The type of a manifest that lies in storage, however it got there.
///
/// More liberal than [`Manifest::parse`]: Distribution 2.x stored types that are no longer accepted, schema 1
/// among them.
pub fn stored_media_type(bytes: &[u8]) -> Result<MediaType, ManifestError> {
    let stored: Stored =
        serde_json::from_slice(bytes).map_err(|error| ManifestError::json(&error))?;
    Ok(match (stored.media_type, stored.schema_version) {
        (Some(media_type), _) => media_type,
        (None, 1) => MediaType::constant(MediaType::DOCKER_SCHEMA1),
        (None, _) if stored.manifests.is_some() => MediaType::constant(MediaType::OCI_INDEX),
        (None, _) => MediaType::constant(MediaType::OCI_MANIFEST),
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored {
    #[serde(default)]
    schema_version: i64,
    #[serde(default, deserialize_with = "some_from_text")]
    media_type: Option<MediaType>,
    #[serde(default, deserialize_with = "there_or_null")]
    manifests: Option<Option<serde::de::IgnoredAny>>,
}

/// Every field of the four types together.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    #[serde(default)]
    schema_version: i64,
    #[serde(default, deserialize_with = "some_from_text")]
    media_type: Option<MediaType>,
    #[serde(default, deserialize_with = "some_from_text")]
    artifact_type: Option<MediaType>,
    #[serde(default, deserialize_with = "there_or_null")]
    config: Option<Option<Descriptor>>,
    #[serde(default, deserialize_with = "there_or_null")]
    layers: Option<Option<Vec<Descriptor>>>,
    #[serde(default, deserialize_with = "there_or_null")]
    manifests: Option<Option<Vec<Descriptor>>>,
    subject: Option<Descriptor>,
    #[serde(default, deserialize_with = "null_as_default")]
    annotations: BTreeMap<String, String>,
}

impl Document {
    fn media_type(&self, content_type: Option<&MediaType>) -> Result<MediaType, ManifestError> {
        let claimed = content_type.filter(|claimed| claimed.as_str() != "application/json");
        match (claimed, &self.media_type) {
            (Some(claimed), Some(own)) if !is_same(claimed, own) => {
                Err(ManifestError::MediaTypeMismatch {
                    expected: claimed.clone(),
                    found: own.clone(),
                })
            }
            (_, Some(own)) => Ok(own.clone()),
            // Whoever reads the document later sees only its bytes, and takes one without a type for OCI's.
            (Some(claimed), None) => match known(claimed) {
                Some(docker) if docker.starts_with("application/vnd.docker.") => {
                    let message = format!("a manifest of type {docker} has a field mediaType");
                    Err(ManifestError::Field { message })
                }
                Some(known) => Ok(MediaType::constant(known)),
                None => Ok(claimed.clone()),
            },
            (None, None) if self.manifests.is_some() => {
                Ok(MediaType::constant(MediaType::OCI_INDEX))
            }
            (None, None) => Ok(MediaType::constant(MediaType::OCI_MANIFEST)),
        }
    }

    // A document of both shapes would be read differently by different clients (CVE-2021-41190), so each
    // shape refuses the fields of the other, even if they are `null`, as containerd does.

    fn image(&self) -> Result<ImageManifest, ManifestError> {
        if self.manifests.is_some() {
            return Err(ManifestError::field("an image manifest has no field manifests"));
        }
        let config = self.config.clone().flatten();
        let config = config.ok_or(ManifestError::field("an image manifest has a config"))?;
        // Go writes an empty list as `null`.
        ImageManifest::new(config, self.layers.clone().flatten().unwrap_or_default())
    }

    fn index(&self) -> Result<ImageIndex, ManifestError> {
        if self.config.is_some() || self.layers.is_some() {
            return Err(ManifestError::field("an index has neither config nor layers"));
        }
        let manifests = self.manifests.clone();
        let manifests = manifests.ok_or(ManifestError::field("an index has a field manifests"))?;
        Ok(ImageIndex { manifests: manifests.unwrap_or_default() })
    }
}

/// Does a request call a document what it calls itself? The case does not matter in a header (RFC 9110 §8.3.1).
fn is_same(claimed: &MediaType, own: &MediaType) -> bool {
    claimed.as_str().eq_ignore_ascii_case(own.as_str())
}

/// The type of manifest that a request calls its document.
fn known(claimed: &MediaType) -> Option<&'static str> {
    use MediaType as M;
    let types = [M::OCI_MANIFEST, M::OCI_INDEX, M::DOCKER_MANIFEST, M::DOCKER_LIST];
    types.into_iter().find(|known| claimed.as_str().eq_ignore_ascii_case(known))
}

/// Why bytes are not a manifest that is accepted.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ManifestError {
    /// Larger than [`MAX_MANIFEST_SIZE`].
    #[error("expected a manifest of at most {MAX_MANIFEST_SIZE} bytes, found {found}")]
    TooLarge {
        /// Its size in bytes, or how much of it was read.
        found: usize,
    },
    /// Not JSON, or a field is not of its type.
    #[error("expected a JSON manifest: {message}")]
    Json {
        /// What the parser says.
        message: String,
    },
    /// Two members of one object have the same name (image-spec asks for I-JSON).
    #[error("expected unique names in a JSON object, found {name:?} twice")]
    DuplicateName {
        /// The name.
        name: String,
    },
    /// `schemaVersion` is not 2.
    #[error("expected schemaVersion 2, found {found}")]
    SchemaVersion {
        /// What it is; 0 if absent.
        found: i64,
    },
    /// The request and the document name different types.
    #[error(
        "expected mediaType {expected} as the Content-Type says, found {found} in the manifest"
    )]
    MediaTypeMismatch {
        /// What the client's Content-Type says.
        expected: MediaType,
        /// What the document says.
        found: MediaType,
    },
    /// Not one of the four types.
    #[error(
        "expected an OCI image manifest or index, or a Docker manifest or list of version 2, found {found}"
    )]
    UnsupportedMediaType {
        /// The type.
        found: MediaType,
    },
    /// A field is missing, or stands where it must not.
    #[error("{message}")]
    Field {
        /// The rule that is broken.
        message: String,
    },
    /// What a descriptor gives as size is not the size of the content it names.
    #[error(
        "expected size {expected} for {digest}, which is what is stored, found {found} in the manifest"
    )]
    DescriptorSize {
        /// The content.
        digest: Digest,
        /// Its size in bytes.
        expected: u64,
        /// What the manifest says.
        found: u64,
    },
}

impl ManifestError {
    fn json(error: &serde_json::Error) -> Self {
        Self::Json { message: error.to_string() }
    }

    fn field(rule: &str) -> Self {
        Self::Field { message: rule.to_owned() }
    }
}

#[cfg(test)]
mod tests;
