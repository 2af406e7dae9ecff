//! The catalog: every repository, in the order of [`RepositoryName`].
//!
//! A repository is a directory with `_layers` or `_manifests` directly below it; others may be nested in it.

use crate::error::Result;
use crate::layout::{self, reserved};
use crate::name::RepositoryName;
use crate::page::Page;
use crate::shared::Shared;

/// The first `limit` repositories behind `after`, which need not be one.
pub(crate) async fn page(
    shared: &Shared,
    after: Option<&str>,
    limit: usize,
) -> Result<Page<RepositoryName>> {
    let place = layout::repositories();
    let marks = [reserved::LAYERS, reserved::MANIFESTS];
    // One more than asked for tells whether there are more.
    let wanted = limit.saturating_add(1);
    let mut found: Vec<RepositoryName> = Vec::new();
    let mut after = after.map(ToOwned::to_owned);
    while found.len() < wanted {
        let missing = wanted - found.len();
        let page = shared.backend.list_places(&place, &marks, after.as_deref(), missing).await?;
        // What is no name is not ours.
        found.extend(page.items.iter().filter_map(|path| path.parse().ok()));
        after = page.next_after().cloned();
        if after.is_none() {
            break;
        }
    }
    Ok(Page::cut(found, limit))
}
