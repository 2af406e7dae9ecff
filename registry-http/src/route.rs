//! [`Route`]: what kind of thing a request is about, for those who count.

/// The kinds that Distribution tells apart in its metrics, and referrers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Route {
    /// The API itself.
    Base,
    /// The catalog.
    Catalog,
    /// A repository's tags.
    Tags,
    /// The referrers of a manifest. Ours.
    Referrers,
    /// A blob.
    Blob,
    /// A manifest.
    Manifest,
    /// Uploads that begin.
    BlobUpload,
    /// An upload session.
    BlobUploadChunk,
}

impl Route {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Base,
        Self::Catalog,
        Self::Tags,
        Self::Referrers,
        Self::Blob,
        Self::Manifest,
        Self::BlobUpload,
        Self::BlobUploadChunk,
    ];

    /// As Distribution's label `handler` has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Catalog => "catalog",
            Self::Tags => "tags",
            Self::Referrers => "referrers",
            Self::Blob => "blob",
            Self::Manifest => "manifest",
            Self::BlobUpload => "blob_upload",
            Self::BlobUploadChunk => "blob_upload_chunk",
        }
    }
}
