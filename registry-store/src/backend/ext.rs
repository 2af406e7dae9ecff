//! [`BackendExt`]: conveniences over [`Backend`] that no backend implements by hand.

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::{StreamExt as _, TryStreamExt as _, stream};

use crate::backend::{Backend, ErrorKind, Key, Meta, Put, PutMode, PutRequest, ReadRange, Result};
use crate::page::Page;

/// Independent looks in flight for one call.
const PARALLEL: usize = 16;
/// Names taken at once where few of them are wanted.
const MANY: usize = 8 * 1024;

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

    /// [`Backend::list_children_with`] by a look at each name, for media where names cost little and a look at
    /// one object costs less than to list all.
    ///
    /// Each pass over the names takes twice as many as the one before: where few of them have the object, a page
    /// would otherwise cost a pass for each few.
    async fn list_children_by_looking(
        &self,
        prefix: &Key,
        path: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<(String, Meta)>> {
        // One more than asked for tells whether there are more.
        let wanted = limit.saturating_add(1);
        let (mut found, mut chunk) = (Vec::new(), wanted);
        let mut rest = Some(after.map(ToOwned::to_owned));
        while let Some(after) = rest.filter(|_| found.len() < wanted && limit > 0) {
            let page = self.list_children(prefix, after.as_deref(), chunk).await?;
            rest = page.next_after().map(|child| Some(child.name().to_owned()));
            let names = page.items.iter().filter(|child| child.is_prefix());
            let objects = names.filter_map(|child| {
                let key = format!("{prefix}/{}/{path}", child.name()).parse().ok()?;
                Some((child.name().to_owned(), key))
            });
            let looks = stream::iter(objects.collect::<Vec<(String, Key)>>());
            let looks = looks.map(|(name, key)| async move {
                Ok(unless_foreign(&key, self.head(&key).await)?.map(|meta| (name, meta)))
            });
            let looks: Vec<_> = looks.buffered(PARALLEL).try_collect().await?;
            found.extend(looks.into_iter().flatten());
            chunk = chunk.saturating_mul(2).min(MANY.max(wanted));
        }
        Ok(Page::cut(found, limit))
    }
}

/// Something else than an object in one place is no reason to show none of the others.
fn unless_foreign(key: &Key, found: Result<Option<Meta>>) -> Result<Option<Meta>> {
    match found {
        Err(error) if error.kind() == ErrorKind::Foreign => {
            tracing::warn!(%key, %error, "passed over in a listing");
            Ok(None)
        }
        found => found,
    }
}

impl<B: Backend + ?Sized> BackendExt for B {}
