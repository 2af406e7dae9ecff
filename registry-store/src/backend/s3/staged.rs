//! [`FinalStaged`]: an object whose name is known before its first byte, written where it is to be.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{FutureExt as _, StreamExt as _};

use super::Bucket;
use super::writer::Writer;
use crate::backend::{Error, ErrorKind, Key, Promotion, Result, Staged, Tip};

/// The bytes go straight to the final name, under an upload in parts or in one request: not one is written twice, and
/// none is visible before the last.
pub(super) struct FinalStaged {
    bucket: Arc<Bucket>,
    key: Key,
    writer: Writer,
    is_promoted: bool,
}

impl FinalStaged {
    pub(super) fn new(bucket: Arc<Bucket>, key: &Key) -> Self {
        let writer = Writer::new(bucket.clone(), bucket.names.of(key));
        Self { bucket, key: key.clone(), writer, is_promoted: false }
    }

    fn unsupported(&self, operation: &'static str) -> Error {
        let reason = "what is written to its final name is never gone on with";
        Error::new(ErrorKind::Unsupported, operation).at(&self.key).because(reason)
    }
}

impl fmt::Debug for FinalStaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FinalStaged({:?})", self.writer)
    }
}

#[async_trait]
impl Staged for FinalStaged {
    fn tip(&self) -> Tip {
        Tip { offset: self.writer.length(), token: None }
    }

    fn is_promoted(&self) -> bool {
        self.is_promoted
    }

    async fn append(&mut self, bytes: Bytes) -> Result<()> {
        self.writer.append(bytes).await.map_err(|failure| failure.at(&self.key))
    }

    async fn persist(&mut self, _note: Bytes, _copy: &Key) -> Result<Tip> {
        Err(self.unsupported("persist"))
    }

    async fn note(&mut self, _offset: u64) -> Result<Option<(u64, Bytes)>> {
        Ok(None)
    }

    async fn rewind(&mut self, _offset: u64) -> Result<()> {
        Err(self.unsupported("rewind"))
    }

    /// Of bytes that have been sent nothing can be read.
    async fn read_back(&mut self, from: u64) -> Result<BoxStream<'static, Result<Bytes>>> {
        let Some(bytes) = self.writer.in_memory() else {
            return Err(self.unsupported("read back"));
        };
        let from = usize::try_from(from).unwrap_or(usize::MAX).min(bytes.len());
        Ok(stream::iter([Ok(Bytes::copy_from_slice(&bytes[from..]))]).boxed())
    }

    /// One effect: the put, or the completion of the upload.
    async fn promote(&mut self, to: &Key, size: u64) -> Result<Promotion> {
        let staged = self.writer.length();
        if staged != size || *to != self.key {
            let reason =
                format!("expected {staged} bytes of {}, as staged, found {size} of {to}", self.key);
            return Err(Error::new(ErrorKind::Io, "promote").at(&self.key).because(reason));
        }
        let abilities = self.bucket.abilities;
        let is_conditional = match self.writer.in_memory() {
            Some(_) => abilities.put_if_absent,
            None => abilities.complete_if_absent,
        };
        let bucket = self.bucket.clone();
        if self.is_promoted {
            // The bytes are there alone, if they are.
            return match bucket.head(to).await? {
                Some(found) if found.size == size => Ok(Promotion::Kept),
                _ => Err(Error::new(ErrorKind::NotFound, "promote").at(to)),
            };
        }
        let writer = tokio::sync::Mutex::new(&mut self.writer);
        let placed = bucket
            .place(to, size, is_conditional, false, |condition| {
                let writer = &writer;
                async move { writer.lock().await.finish(&condition).await.map(|_| ()) }.boxed()
            })
            .await?;
        self.is_promoted = true;
        Ok(placed)
    }

    async fn discard(self: Box<Self>) -> Result<()> {
        self.writer.give_up().await;
        Ok(())
    }
}
