//! The filesystem backend.
use std::ops::Range;

use bytes::Bytes;
use futures::stream::BoxStream;

use crate::backend::Result;

/// An open file.
#[derive(Debug)]
pub struct OpenFile;

impl OpenFile {
    /// The bytes.
    pub fn into_stream(self, _range: Range<u64>) -> BoxStream<'static, Result<Bytes>> {
        todo!()
    }
}
