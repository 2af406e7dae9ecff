//! [`Guard`]: the one seam through which writers say "I rely on these objects".
//!
//! HEAD of a blob (a client skips its upload on it), mount, blob commit and manifest put rely on objects that
//! somebody else made and that nothing refers to yet. Whatever removes unreferenced objects has to learn of it
//! here: the calls stand where the protocol of online collection needs them. Until there is one they look, and
//! make durable.

use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _, stream};

use crate::backend::{Backend, Key, Meta, Result};

/// Independent requests in flight for one call.
const PARALLEL: usize = 16;

/// See the [module](self).
#[derive(Clone, Debug)]
pub(crate) struct Guard {
    backend: Arc<dyn Backend>,
}

impl Guard {
    pub(crate) fn new(backend: Arc<dyn Backend>) -> Self {
        Self { backend }
    }

    /// Says that these objects are about to be relied on, and tells which are there.
    pub(crate) async fn protect(&self, keys: &[Key]) -> Result<Vec<Option<Meta>>> {
        let looks: Vec<_> = keys.iter().map(|key| self.backend.head(key)).collect();
        stream::iter(looks).buffered(PARALLEL).try_collect().await
    }

    /// Says that these objects, which the caller has just written, are about to be relied on. Nothing is asked.
    #[expect(clippy::unused_async, reason = "online collection will ask the backend here")]
    pub(crate) async fn announce(&self, _keys: &[Key]) -> Result<()> {
        Ok(())
    }

    /// Does [`Guard::confirm`] tell no more than the look before it did?
    ///
    /// So it is where what is visible is durable, as nothing takes unreferenced objects away yet: a second look
    /// would double the requests of a push, and a foreign program that deletes beside us can come after it as
    /// well.
    pub(crate) fn one_look_is_enough(&self) -> bool {
        self.backend.medium().visible_is_durable
    }

    /// Looks at them again, fresh, after the reference to them was written; those there are durable.
    pub(crate) async fn confirm(&self, keys: &[Key]) -> Result<Vec<Option<Meta>>> {
        self.backend.settle(keys).await
    }
}
