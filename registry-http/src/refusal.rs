//! [`Refusal`]: what the protocol refuses before the store is asked.

use std::fmt;

use http::Method;
use registry_store::digest::DigestError;
use registry_store::media_type::MediaTypeError;
use registry_store::name::NameError;
use registry_store::reference::ReferenceError;
use registry_store::upload_id::UploadIdError;
use thiserror::Error;

/// Why a request is refused by its head alone.
#[derive(Debug, Error)]
pub(crate) enum Refusal {
    /// Whoever stands before the registry may take it for another request than it is here.
    #[error("expected a request that can be read in one way only, found {found}")]
    Ambiguous { found: &'static str },
    /// The path is none of the API's.
    #[error("there is nothing at this path")]
    NoSuchEndpoint,
    /// The path does not know the method.
    #[error("expected one of the methods {allow}")]
    Method { allow: Allow },
    /// The path knows the method, but it is switched off.
    #[error("this is switched off in this registry; expected one of the methods {allow}")]
    Disabled { allow: Allow },
    /// The repository's name is not one.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A digest is not one, or of an algorithm that is not supported.
    #[error(transparent)]
    Digest(#[from] DigestError),
    /// An upload is closed without its digest.
    #[error("expected the parameter digest")]
    DigestMissing,
    /// A tag is not one.
    #[error(transparent)]
    Tag(ReferenceError),
    /// A manifest is asked for by something that no manifest can be called.
    #[error(transparent)]
    NoSuchReference(ReferenceError),
    /// No session can be called so.
    #[error(transparent)]
    UploadId(#[from] UploadIdError),
    /// The parameters that were handed out with a session's address came back changed.
    #[error("expected the address of the upload session as it was given in Location")]
    UploadAddress,
    /// Distribution's parameter of a session's address is not one, or is of another session.
    #[error("expected the _state that was given with the address of this upload session")]
    UploadState,
    /// `n` is not a number.
    #[error("expected a number of entries n, 0 or greater, found {found:?}")]
    PageNumber { found: String },
    /// More tags than one manifest can be pushed with.
    #[error("expected at most {limit} tags")]
    TooManyTags { limit: usize },
    /// `Content-Range` cannot be read.
    #[error("expected a Content-Range like 0-1023, found {found:?}")]
    ContentRange { found: String },
    /// `Content-Range` ends before it starts.
    #[error("expected a Content-Range that does not end before it starts, found {start}-{end}")]
    ContentRangeBackwards { start: u64, end: u64 },
    /// `Content-Range` and `Content-Length` disagree.
    #[error("expected Content-Length {expected} as Content-Range says, found {found}")]
    ContentLength { expected: u64, found: u64 },
    /// `Content-Type` cannot be read.
    #[error(transparent)]
    MediaType(#[from] MediaTypeError),
}

/// The methods a path knows, as the `Allow` header has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Allow(Vec<Method>);

impl Allow {
    pub(crate) fn new<'m>(methods: impl IntoIterator<Item = &'m Method>) -> Self {
        Self(methods.into_iter().cloned().collect())
    }

    /// OPTIONS is allowed everywhere and not asked about.
    pub(crate) fn has(&self, method: &Method) -> bool {
        self.0.contains(method)
    }
}

impl fmt::Display for Allow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for method in &self.0 {
            write!(f, "{method}, ")?;
        }
        f.write_str(Method::OPTIONS.as_str())
    }
}
