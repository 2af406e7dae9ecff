//! Every key the store reads or writes, and back: the only maker of keys.
//!
//! CNCF Distribution's layout, below the root of a backend:
//!
//! ```text
//! docker/registry/v2/
//!   blobs/<alg>/<first two hex>/<hex>/data                 the bytes of every blob, manifests too
//!   repositories/<name>/
//!     _layers/<alg>/<hex>/link                             this repository has the blob
//!     _manifests/revisions/<alg>/<hex>/link                this repository has the manifest
//!     _manifests/tags/<tag>/current/link                   the digest the tag points at
//!     _manifests/tags/<tag>/index/<alg>/<hex>/link         every digest it ever pointed at
//!     _uploads/<uuid>/data                                 the bytes of an upload session so far
//!     _uploads/<uuid>/startedat                            when it began; the session exists as long as this
//!     _uploads/<uuid>/hashstates/<alg>/<offset>            the state of the hash after so many bytes
//! ```
//!
//! Ours beyond it, each derivable and disposable, under names that Distribution's walkers pass over:
//!
//! ```text
//! docker/registry/v2/repositories/<name>/
//!   _referrers/<alg>/<subject hex>/<alg>/<hex>/link        a manifest that has the subject
//!   _uploads/<uuid>/_record                                which bytes of the session can be trusted; on S3 a
//!                                                          place for several such, and for the bytes
//!   _manifests/revisions/<alg>/<hex>/_deleting/…           on S3, while tags on a deleted manifest are removed
//!   _manifests/tags/<tag>/current/_deleting/…              the same, where S3 does not delete on a condition
//! _rs/                                                     a backend's own: locks, temporary files, quarantine
//! ```
//!
//! A link holds the digest it stands for as text, without a newline.

use crate::backend::{Key, SessionKeys};
use crate::digest::{Algorithm, Digest};
use crate::name::RepositoryName;
use crate::reference::Tag;
use crate::upload_id::UploadId;

const TOP: &str = "docker/registry/v2";
const BLOBS: &str = "docker/registry/v2/blobs";
const REPOSITORIES: &str = "docker/registry/v2/repositories";
/// The name of the object that holds a digest.
pub(crate) const LINK: &str = "link";

/// The directories directly below a repository that are not repositories nested in it.
pub mod reserved {
    /// Blobs the repository has.
    pub const LAYERS: &str = "_layers";
    /// Manifests and tags the repository has.
    pub const MANIFESTS: &str = "_manifests";
    /// Upload sessions.
    pub const UPLOADS: &str = "_uploads";
    /// Records of manifests that have a subject.
    pub const REFERRERS: &str = "_referrers";
}

/// A key of parts that each are of a key's grammar and together of its length.
///
/// The longest: `repositories/` and 255 bytes of name, 128 of tag, and a sha512 digest stay below 700 bytes.
fn key(text: &str) -> Key {
    text.parse().expect("digests, names, tags and upload ids consist of a key's characters")
}

/// `sha256/<hex>`
fn digest_path(digest: &Digest) -> String {
    format!("{}/{}", digest.algorithm(), digest.hex())
}

/// The place above all that Distribution's layout has: blobs and repositories.
pub fn top() -> Key {
    key(TOP)
}

/// Where the bytes of a blob are.
pub fn blob(digest: &Digest) -> Key {
    let hex = digest.hex();
    key(&format!("{BLOBS}/{}/{}/{hex}/data", digest.algorithm(), &hex[..2]))
}

/// The place of a blob: nothing else lies below it.
pub fn blob_place(digest: &Digest) -> Key {
    let hex = digest.hex();
    key(&format!("{BLOBS}/{}/{}/{hex}", digest.algorithm(), &hex[..2]))
}

/// The place above the blobs whose digests begin alike, one of 256 of each algorithm.
pub fn blob_shard(digest: &Digest) -> Key {
    key(&format!("{BLOBS}/{}/{}", digest.algorithm(), &digest.hex()[..2]))
}

/// The place above all blobs.
pub fn all_blobs() -> Key {
    key(BLOBS)
}

/// The place above all blobs of an algorithm, and of each of their shards.
pub fn blobs(algorithm: Algorithm) -> Key {
    key(&format!("{BLOBS}/{algorithm}"))
}

/// What a backend may keep for itself.
pub fn private() -> Key {
    key("_rs")
}

/// What those who write hold a lock of, and who collects garbage holds alone. Nothing is stored under this name.
pub fn writers() -> Key {
    key("_rs/writers")
}

/// An object that is written to see whether the storage takes it, and goes again.
pub(crate) fn trial(number: [u8; 16]) -> Key {
    key(&format!("_rs/trial/{:032x}", u128::from_be_bytes(number)))
}

/// Where a backend may note that an object is about to be deleted, beside it and under a name that walkers pass over.
/// `object` is a link in a directory of its own.
pub fn deleting(object: &Key) -> Key {
    key(&format!("{}/_deleting", object.parent().as_ref().unwrap_or(object)))
}

/// What a backend locks while an object that is damaged is replaced: one for all that lie as this one does, as the blobs
/// of a shard.
pub fn replacing(object: &Key) -> Key {
    let above = object.parent().and_then(|directory| directory.parent());
    key(&format!("{}/_replacing", above.as_ref().unwrap_or(object)))
}

/// What a listing of a place has found there, by its name; `None` if that makes a key too long.
pub(crate) fn found_in(place: &Key, name: &str) -> Option<Key> {
    place.child(name).ok()
}

/// The place above every repository.
pub fn repositories() -> Key {
    key(REPOSITORIES)
}

/// The keys of one repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepositoryLayout {
    name: RepositoryName,
    root: Key,
}

impl RepositoryLayout {
    /// Where, below a tag, the link to the manifest it points at is.
    pub const TAG_CURRENT: &str = "current/link";

    /// Where, below a tag, the link to a manifest is that it once pointed at, or does now.
    pub fn tag_index_entry(digest: &Digest) -> String {
        format!("index/{}/{LINK}", digest_path(digest))
    }

    /// The keys of `name`.
    pub fn new(name: &RepositoryName) -> Self {
        Self { name: name.clone(), root: key(&format!("{REPOSITORIES}/{name}")) }
    }

    /// The repository.
    pub const fn name(&self) -> &RepositoryName {
        &self.name
    }

    /// Everything of the repository, and of those nested in it, lies below this.
    pub const fn root(&self) -> &Key {
        &self.root
    }

    /// The links to the blobs it has.
    pub fn layers(&self) -> Key {
        self.below(reserved::LAYERS)
    }

    /// The links to the blobs of an algorithm that it has.
    pub fn layers_of(&self, algorithm: Algorithm) -> Key {
        self.below(&format!("{}/{algorithm}", reserved::LAYERS))
    }

    /// The link to a blob it has.
    pub fn layer_link(&self, digest: &Digest) -> Key {
        self.below(&format!("{}/{}/{LINK}", reserved::LAYERS, digest_path(digest)))
    }

    /// Manifests and tags.
    pub fn manifests(&self) -> Key {
        self.below(reserved::MANIFESTS)
    }

    /// The links to its manifests, of every algorithm.
    pub fn all_revisions(&self) -> Key {
        self.below("_manifests/revisions")
    }

    /// The links to its manifests of an algorithm.
    pub fn revisions(&self, algorithm: Algorithm) -> Key {
        self.below(&format!("_manifests/revisions/{algorithm}"))
    }

    /// The link to a manifest it has.
    pub fn revision_link(&self, digest: &Digest) -> Key {
        self.below(&format!("_manifests/revisions/{}/{LINK}", digest_path(digest)))
    }

    /// The links to the signatures that Distribution before 2.5 kept beside a manifest, of an algorithm.
    pub fn signatures(&self, digest: &Digest, algorithm: Algorithm) -> Key {
        let revision = digest_path(digest);
        self.below(&format!("_manifests/revisions/{revision}/signatures/{algorithm}"))
    }

    /// The place above every tag.
    pub fn tags(&self) -> Key {
        self.below("_manifests/tags")
    }

    /// Everything of a tag lies below this.
    pub fn tag(&self, tag: &Tag) -> Key {
        self.below(&format!("_manifests/tags/{tag}"))
    }

    /// The link to the manifest a tag points at.
    pub fn tag_current_link(&self, tag: &Tag) -> Key {
        self.below(&format!("_manifests/tags/{tag}/{}", Self::TAG_CURRENT))
    }

    /// The links to the manifests of an algorithm that a tag ever pointed at.
    pub fn tag_index(&self, tag: &Tag, algorithm: Algorithm) -> Key {
        self.below(&format!("_manifests/tags/{tag}/index/{algorithm}"))
    }

    /// The link to a manifest that a tag once pointed at, or does now.
    pub fn tag_index_link(&self, tag: &Tag, digest: &Digest) -> Key {
        self.below(&format!("_manifests/tags/{tag}/{}", Self::tag_index_entry(digest)))
    }

    /// The subjects of an algorithm that some manifest is recorded to have.
    pub fn subjects(&self, algorithm: Algorithm) -> Key {
        self.below(&format!("_referrers/{algorithm}"))
    }

    /// The records of the manifests of an algorithm that have a subject.
    pub fn referrers(&self, subject: &Digest, algorithm: Algorithm) -> Key {
        self.below(&format!("_referrers/{}/{algorithm}", digest_path(subject)))
    }

    /// The record that a manifest has a subject.
    pub fn referrer_link(&self, subject: &Digest, referrer: &Digest) -> Key {
        let (subject, referrer) = (digest_path(subject), digest_path(referrer));
        self.below(&format!("_referrers/{subject}/{referrer}/{LINK}"))
    }

    /// The place above every upload session.
    pub fn uploads(&self) -> Key {
        self.below(reserved::UPLOADS)
    }

    /// When an upload session began. The session exists as long as this does.
    pub fn upload_started_at(&self, id: UploadId) -> Key {
        self.below(&format!("_uploads/{id}/startedat"))
    }

    /// Where an upload session is kept.
    pub fn session(&self, id: UploadId) -> SessionKeys {
        SessionKeys {
            root: self.below(&format!("_uploads/{id}")),
            mark: self.upload_started_at(id),
            data: self.below(&format!("_uploads/{id}/data")),
            record: self.below(&format!("_uploads/{id}/_record")),
        }
    }

    /// The state of an upload session's hash after `offset` bytes.
    pub fn hash_state(&self, id: UploadId, algorithm: Algorithm, offset: u64) -> Key {
        self.below(&format!("_uploads/{id}/hashstates/{algorithm}/{offset}"))
    }

    fn below(&self, path: &str) -> Key {
        key(&format!("{}/{path}", self.root))
    }
}
