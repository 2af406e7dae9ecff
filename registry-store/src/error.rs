//! [`enum@Error`]: what can go wrong, in the field's words.

use thiserror::Error;

use crate::backend;
use crate::digest::Digest;
use crate::manifest::ManifestError;
use crate::name::RepositoryName;
use crate::reference::Reference;
use crate::upload_id::UploadId;
use crate::upload_status::UploadStatus;

/// The result of an operation of the store.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a client's body can fail with.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// A failed operation of the store.
///
/// Deliberately exhaustive: a new variant does not compile until the server has decided how it looks to a
/// client. All but the last are faults of the request; the last is one of the storage.
#[derive(Debug, Error)]
pub enum Error {
    /// There is no such repository.
    #[error("repository {name} is not known to this registry")]
    NameUnknown {
        /// The repository.
        name: RepositoryName,
    },
    /// The repository does not have the blob.
    #[error("blob {digest} is not in repository {name}")]
    BlobUnknown {
        /// The repository.
        name: RepositoryName,
        /// The blob.
        digest: Digest,
    },
    /// The repository does not have the manifest or tag.
    #[error("manifest {reference} is not in repository {name}")]
    ManifestUnknown {
        /// The repository.
        name: RepositoryName,
        /// The manifest.
        reference: Reference,
    },
    /// What is there is not what the request's [precondition](crate::precondition::Precondition) asks for; nothing
    /// was done.
    // What was found is not in the text: who may delete need not be allowed to read.
    #[error("{reference} in repository {name} is not as the request's precondition asks")]
    PreconditionFailed {
        /// The repository.
        name: RepositoryName,
        /// What the precondition is about.
        reference: Reference,
        /// What is there.
        found: Option<Digest>,
    },
    /// There is no such upload session: it never was, has ended, or has expired.
    #[error("upload session {id} is not known to repository {name}")]
    UploadUnknown {
        /// The repository.
        name: RepositoryName,
        /// The session.
        id: UploadId,
    },
    /// The request begins at an offset that is not where the session has come to.
    #[error("upload session {} is at offset {}, the request begins at {found}", status.id, status.tip.offset)]
    UploadOffset {
        /// The session, and where it is: its offset is the number of bytes it has.
        status: UploadStatus,
        /// Where the request begins.
        found: u64,
    },
    /// A newer request on the same upload session has taken its place.
    #[error("a newer request on upload session {id} has taken the place of this one")]
    UploadSuperseded {
        /// The session.
        id: UploadId,
    },
    /// The content is not what its digest says.
    #[error("expected content of digest {expected}, found content of digest {found}")]
    DigestMismatch {
        /// The digest the client gave.
        expected: Digest,
        /// The digest of what the client sent.
        found: Digest,
    },
    /// A part of a blob was asked for of which not one byte exists.
    #[error("expected a range within {size} bytes of blob {digest}")]
    RangeNotSatisfiable {
        /// The blob.
        digest: Digest,
        /// Its length in bytes.
        size: u64,
    },
    /// The manifest is not one that is accepted.
    #[error(transparent)]
    ManifestInvalid(#[from] ManifestError),
    /// The manifest refers to blobs or manifests that the repository does not have.
    #[error("the manifest refers to content that is not in repository {name}: {}", list(.missing))]
    ManifestBlobUnknown {
        /// The repository.
        name: RepositoryName,
        /// What is missing, at least one.
        missing: Vec<Digest>,
    },
    /// The client's body broke off, with the reason its stream gave.
    #[error("the request's body broke off: {0}")]
    Body(#[source] BodyError),
    /// The storage failed.
    #[error("storage: {0}")]
    Storage(#[from] backend::Error),
}

impl Error {
    /// Is it one object that could not be looked at or read, not the storage as a whole?
    pub(crate) fn is_of_one_object(&self) -> bool {
        matches!(self, Self::Storage(error) if error.is_of_one_object())
    }
}

fn list(digests: &[Digest]) -> String {
    digests.iter().map(Digest::to_string).collect::<Vec<_>>().join(", ")
}
