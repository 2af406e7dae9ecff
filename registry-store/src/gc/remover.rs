//! [`Remover`]: what takes things away, under the lock that keeps writers out.

use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _, stream};

use crate::backend::{Key, LockGuard};
use crate::error::Result;
use crate::shared::Shared;

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
}

impl Remover {
    /// What is under way holds the lock until it is done, whether anybody waits for it or not.
    pub(crate) fn new(shared: Arc<Shared>, held: Option<LockGuard>) -> Self {
        Self { shared, held: held.map(Arc::new) }
    }

    pub(crate) const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Is nothing taken?
    pub(crate) const fn is_idle(&self) -> bool {
        self.held.is_none()
    }

    /// Deletes objects, in no order. All are gone, durably, on return. A crash leaves any of them.
    pub(crate) async fn remove(&self, keys: Vec<Key>) -> Result<()> {
        let parts: Vec<Vec<Key>> = keys.chunks(PART).map(<[Key]>::to_vec).collect();
        let parts = stream::iter(parts).map(|part| self.part(part));
        parts.buffered(PARALLEL).try_collect().await
    }

    /// Deletes everything below a place.
    pub(crate) async fn remove_place(&self, place: Key) -> Result<()> {
        let Some(held) = self.held.clone() else { return Ok(()) };
        let shared = self.shared.clone();
        self.shared
            .detached
            .run(async move {
                let _held = held;
                Ok(shared.backend.delete_tree(&place).await?)
            })
            .await
    }

    async fn part(&self, keys: Vec<Key>) -> Result<()> {
        let Some(held) = self.held.clone().filter(|_| !keys.is_empty()) else { return Ok(()) };
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
