//! [`UploadStatus`]: how far an upload session has come.

use std::time::SystemTime;

use crate::backend::Tip;
use crate::upload_id::UploadId;

/// How far an upload session has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadStatus {
    /// The session.
    pub id: UploadId,
    /// Where it has come to; to be given back with the next request.
    pub tip: Tip,
    /// When it began.
    pub started_at: SystemTime,
}
