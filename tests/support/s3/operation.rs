//! [`Operation`]: what S3 can be asked for.

/// What S3 can be asked for, as far as this one can; the names are AWS's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// `HEAD /`
    HeadBucket,
    /// `GET /?location`
    GetBucketLocation,
    /// `GET /?list-type=2`
    ListObjectsV2,
    /// `PUT /key`
    PutObject,
    /// `GET /key`
    GetObject,
    /// `HEAD /key`
    HeadObject,
    /// `DELETE /key`
    DeleteObject,
    /// `POST /?delete`
    DeleteObjects,
    /// One key of a `DeleteObjects`: no request of its own, but one that may fail on its own.
    DeleteOfBatch,
    /// `PUT /key` with `x-amz-copy-source`
    CopyObject,
    /// `POST /key?uploads`
    CreateMultipartUpload,
    /// `PUT /key?partNumber&uploadId`
    UploadPart,
    /// The same with `x-amz-copy-source`
    UploadPartCopy,
    /// `POST /key?uploadId`
    CompleteMultipartUpload,
    /// `DELETE /key?uploadId`
    AbortMultipartUpload,
    /// `GET /key?uploadId`
    ListParts,
    /// `GET /?uploads`
    ListMultipartUploads,
    /// Anything else: 501.
    Unknown,
}

impl Operation {
    /// The parameters that it takes, besides those of a signature.
    pub(super) const fn parameters(self) -> &'static [&'static str] {
        match self {
            Self::GetBucketLocation => &["location"],
            Self::ListObjectsV2 => &[
                "list-type",
                "prefix",
                "delimiter",
                "start-after",
                "continuation-token",
                "max-keys",
                "encoding-type",
                "fetch-owner",
            ],
            Self::GetObject | Self::HeadObject => &[
                "response-cache-control",
                "response-content-disposition",
                "response-content-encoding",
                "response-content-language",
                "response-content-type",
                "response-expires",
            ],
            Self::DeleteObjects => &["delete"],
            Self::CreateMultipartUpload => &["uploads"],
            Self::UploadPart | Self::UploadPartCopy => &["partNumber", "uploadId"],
            Self::CompleteMultipartUpload | Self::AbortMultipartUpload => &["uploadId"],
            Self::ListParts => &["uploadId", "max-parts", "part-number-marker", "encoding-type"],
            Self::ListMultipartUploads => &[
                "uploads",
                "prefix",
                "delimiter",
                "key-marker",
                "upload-id-marker",
                "max-uploads",
                "encoding-type",
            ],
            Self::HeadBucket
            | Self::PutObject
            | Self::DeleteObject
            | Self::DeleteOfBatch
            | Self::CopyObject
            | Self::Unknown => &[],
        }
    }
}
