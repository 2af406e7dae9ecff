//! [`Uploads`]: the upload sessions of a repository.

use bytes::Bytes;
use futures::Stream;

use crate::backend::Tip;
use crate::digest::{Algorithm, Digest};
use crate::error::{BodyError, Result};
use crate::upload_id::UploadId;

/// The upload sessions of a repository.
#[derive(Clone, Debug)]
pub struct Uploads {}

/// How far an upload session has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadStatus {
    /// The session.
    pub id: UploadId,
    /// Where it has come to; give it back with the next request.
    pub tip: Tip,
}

/// Where a request on an upload session says it begins. `None` means: wherever the session is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResumeAt {
    /// The tip an earlier answer gave.
    pub tip: Option<Tip>,
    /// The offset the request itself names.
    pub offset: Option<u64>,
}

impl Uploads {
    /// Begins a session whose bytes are hashed with `algorithm` as they arrive.
    pub async fn start(&self, _algorithm: Algorithm) -> Result<UploadStatus> {
        todo!()
    }
    /// How far a session has come. Errors: `UploadUnknown`.
    pub async fn status(&self, _id: UploadId, _tip: Option<Tip>) -> Result<UploadStatus> {
        todo!()
    }
    /// Adds a body at the end of a session. Errors: `UploadUnknown`, `UploadOffset`, `UploadSuperseded`, `Body`.
    pub async fn append<S>(&self, _id: UploadId, _at: ResumeAt, _body: S) -> Result<UploadStatus>
    where
        S: Stream<Item = Result<Bytes, BodyError>> + Send,
    {
        todo!()
    }
    /// Adds a last body (which may be empty) and makes the whole a blob. Returns its size. Errors: those of
    /// `append`, `DigestMismatch`.
    pub async fn commit<S>(
        &self,
        _id: UploadId,
        _at: ResumeAt,
        _digest: &Digest,
        _body: S,
    ) -> Result<u64>
    where
        S: Stream<Item = Result<Bytes, BodyError>> + Send,
    {
        todo!()
    }
    /// Ends a session and removes what it holds. Errors: `UploadUnknown`.
    pub async fn cancel(&self, _id: UploadId) -> Result<()> {
        todo!()
    }
}
