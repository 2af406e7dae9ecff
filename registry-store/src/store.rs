//! [`Store`]: the door to everything.

use std::sync::Arc;
use std::time::Duration;

use crate::backend::Backend;
use crate::error::Result;
use crate::name::RepositoryName;
use crate::options::StoreOptions;
use crate::page::Page;
use crate::purge::PurgeReport;
use crate::repository::Repository;

/// Everything that is kept on one backend. Cheap to clone; clones share all state.
#[derive(Clone, Debug)]
pub struct Store {}

impl Store {
    /// A store on a backend.
    pub fn new(_backend: Arc<dyn Backend>, _options: StoreOptions) -> Self {
        todo!()
    }

    /// A handle to a repository, which need not exist. Costs nothing.
    pub fn repository(&self, _name: &RepositoryName) -> Repository {
        todo!()
    }

    /// The catalog: the first `limit` repositories whose names are greater than `after`, in the order of
    /// [`RepositoryName`]. `after` need not be a repository's name.
    pub async fn repositories(
        &self,
        _after: Option<&str>,
        _limit: usize,
    ) -> Result<Page<RepositoryName>> {
        todo!()
    }

    /// Removes upload sessions that began longer ago than `older_than`, and litter of that age.
    pub async fn purge_uploads(&self, _older_than: Duration) -> Result<PurgeReport> {
        todo!()
    }

    /// Background work, for ever: the embedder spawns it, or not.
    pub async fn maintenance(&self) {
        todo!()
    }
}
