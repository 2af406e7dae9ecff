//! [`Blobs`]: the blobs of a repository.

use bytes::Bytes;
use futures::Stream;
use futures::stream::BoxStream;
use std::ops::Range;

use crate::backend::{self, ReadRange};
use crate::digest::Digest;
use crate::error::{BodyError, Result};

/// The blobs of a repository.
#[derive(Clone, Debug)]
pub struct Blobs {}

/// A blob, or a part of it, open for reading.
#[derive(Debug)]
pub struct Blob {
    /// The digest it was asked for by.
    pub digest: Digest,
    /// The length of the whole blob in bytes.
    pub size: u64,
    /// Which bytes are read.
    pub range: Range<u64>,
}

impl Blob {
    /// The bytes of `range`, in parts of at most 1 MiB.
    pub fn into_stream(self) -> BoxStream<'static, backend::Result<Bytes>> {
        todo!()
    }
}

impl Blobs {
    /// The size of a blob in bytes. Errors: `BlobUnknown`.
    pub async fn size(&self, _digest: &Digest) -> Result<u64> {
        todo!()
    }
    /// Opens a blob. Errors: `BlobUnknown`, `RangeNotSatisfiable`.
    pub async fn get(&self, _digest: &Digest, _range: ReadRange) -> Result<Blob> {
        todo!()
    }
    /// Stores a blob whose digest is known before its bytes. Returns its size. Errors: `DigestMismatch`, `Body`.
    pub async fn put<S>(&self, _digest: &Digest, _body: S) -> Result<u64>
    where
        S: Stream<Item = Result<Bytes, BodyError>> + Send,
    {
        todo!()
    }
    /// Takes a blob from the repository. Errors: `BlobUnknown`.
    pub async fn delete(&self, _digest: &Digest) -> Result<()> {
        todo!()
    }
}
