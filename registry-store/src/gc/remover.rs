//! [`Remover`]: what takes things away, under the lock that keeps writers out.

use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _, stream};

use tokio::sync::OnceCell;

use crate::backend::{Error, ErrorKind, Key, LockGuard};
use crate::error::Result;
use crate::shared::Shared;

use super::settle::settle;

/// Deletes that are under way at a time, and objects in each: on a filesystem each object is in a directory of its own,
/// which is synced; on S3 a request takes as many.
const PARALLEL: usize = 8;
const PART: usize = 128;

/// Takes objects away, or only seems to.
#[derive(Debug)]
pub(crate) struct Remover {
    shared: Arc<Shared>,
    /// What keeps writers out; `None` where nothing is to be taken.
    held: Option<Arc<LockGuard>>,
    /// Was made sure of what is there, and what is not? `false` if that failed.
    settled: OnceCell<bool>,
}

impl Remover {
    /// What is under way holds the lock until it is done, whether anybody waits for it or not.
    pub(crate) fn new(shared: Arc<Shared>, held: Option<LockGuard>) -> Self {
        Self { shared, held: held.map(Arc::new), settled: OnceCell::new() }
    }

    pub(crate) const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Is nothing taken?
    pub(crate) const fn is_idle(&self) -> bool {
        self.held.is_none()
    }

    /// Deletes objects, in no order, those that can be: returns the others, and why. All but these are gone, durably, on
    /// return. A crash leaves any of them. Before the first is deleted, what is there and what is not is made sure of.
    ///
    /// Errors: of the storage as a whole; that it could not be made sure of, whatever the reason, and then nothing is deleted.
    pub(crate) async fn remove_each(&self, keys: Vec<Key>) -> Result<Vec<(Key, String)>> {
        if keys.is_empty() || self.is_idle() {
            return Ok(Vec::new());
        }
        self.settle().await?;
        let parts: Vec<Vec<Key>> = keys.chunks(PART).map(<[Key]>::to_vec).collect();
        let parts = stream::iter(parts).map(|part| self.part_or_each(part));
        let left: Vec<_> = parts.buffered(PARALLEL).try_collect().await?;
        Ok(left.concat())
    }

    /// Makes sure once. What failed is never tried again: the system tells of a failed sync once, and a second one would
    /// succeed though what was lost is lost.
    async fn settle(&self) -> Result<()> {
        let mut failed = None;
        let settling = async { settle(&self.shared).await.map_err(|it| failed = Some(it)).is_ok() };
        if *self.settled.get_or_init(|| settling).await {
            return Ok(());
        }
        let earlier = || Error::new(ErrorKind::Io, "settle").because("it failed once in this run");
        Err(failed.unwrap_or_else(|| earlier().into()))
    }

    async fn part_or_each(&self, keys: Vec<Key>) -> Result<Vec<(Key, String)>> {
        match self.part(keys.clone()).await {
            Ok(()) => return Ok(Vec::new()),
            Err(error) if error.is_of_one_object() => {}
            Err(error) => return Err(error),
        }
        let mut left = Vec::new();
        for key in keys {
            match self.part(vec![key.clone()]).await {
                Ok(()) => {}
                Err(error) if error.is_of_one_object() => left.push((key, error.to_string())),
                Err(error) => return Err(error),
            }
        }
        Ok(left)
    }

    /// All are gone, durably, on return.
    async fn part(&self, keys: Vec<Key>) -> Result<()> {
        let Some(held) = self.held.clone() else { return Ok(()) };
        let shared = self.shared.clone();
        self.shared
            .detached
            .run(async move {
                let _held = held;
                Ok(shared.backend.delete(&keys).await?)
            })
            .await
    }
}
