//! [`Remover`]: what takes things away, under the lock that keeps writers out.

use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _, stream};

use tokio::sync::OnceCell;

use crate::backend::{Key, LockGuard};
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
    /// What is there, and what is not, was made sure of.
    settled: OnceCell<()>,
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
    /// return. A crash leaves any of them.
    ///
    /// Errors: of the storage as a whole.
    pub(crate) async fn remove_each(&self, keys: Vec<Key>) -> Result<Vec<(Key, String)>> {
        let parts: Vec<Vec<Key>> = keys.chunks(PART).map(<[Key]>::to_vec).collect();
        let parts = stream::iter(parts).map(|part| self.part_or_each(part));
        let left: Vec<_> = parts.buffered(PARALLEL).try_collect().await?;
        Ok(left.concat())
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

    /// All are gone, durably, on return. The first time, what is there and what is not is made sure of before.
    async fn part(&self, keys: Vec<Key>) -> Result<()> {
        let Some(held) = self.held.clone().filter(|_| !keys.is_empty()) else { return Ok(()) };
        self.settled.get_or_try_init(|| settle(&self.shared)).await?;
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
