//! [`BackendExt`]: conveniences over [`Backend`] that no backend implements by hand.

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::TryStreamExt as _;

use crate::backend::{Backend, ErrorKind, Key, Put, PutMode, PutRequest, ReadRange, Result};

/// Conveniences over [`Backend`]: each is a few calls of its methods and promises nothing of its own.
#[async_trait]
pub trait BackendExt: Backend {
    /// Reads a whole object of at most `limit` bytes; `None` if there is none.
    ///
    /// Of a longer object more than `limit` bytes are returned, so that the caller sees that it is longer, but not
    /// much more than one part of the stream.
    async fn read_small(&self, key: &Key, limit: u64) -> Result<Option<Bytes>> {
        let object = match self.read(key, ReadRange::Full).await {
            Ok(object) => object,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut parts = object.into_stream();
        let Some(first) = parts.try_next().await? else {
            return Ok(Some(Bytes::new()));
        };
        let mut whole = BytesMut::new();
        while let Some(part) = parts.try_next().await? {
            if whole.is_empty() {
                whole.extend_from_slice(&first);
            }
            whole.extend_from_slice(&part);
            if whole.len() as u64 > limit {
                break;
            }
        }
        Ok(Some(if whole.is_empty() { first } else { whole.freeze() }))
    }

    /// Writes one small object. See [`Backend::put_all`].
    async fn put(&self, key: &Key, bytes: Bytes, mode: PutMode) -> Result<Put> {
        let request = PutRequest { key: key.clone(), bytes, mode };
        let outcomes = self.put_all(vec![request]).await?;
        Ok(outcomes.first().copied().unwrap_or(Put::Written))
    }
}

impl<B: Backend + ?Sized> BackendExt for B {}
