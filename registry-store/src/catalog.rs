//! The catalog: every repository, in the order of [`RepositoryName`], or those below a prefix.
//!
//! A repository is a directory with `_layers` or `_manifests` directly below it; others may be nested in it.

use std::cmp::Ordering;

use crate::backend::Key;
use crate::error::Result;
use crate::layout::{self, RepositoryLayout, reserved};
use crate::name::RepositoryName;
use crate::page::Page;
use crate::shared::Shared;

/// The first `limit` repositories behind `after`, which need not be one.
pub(crate) async fn page(
    shared: &Shared,
    after: Option<&str>,
    limit: usize,
) -> Result<Page<RepositoryName>> {
    in_place(shared, &layout::repositories(), "", after, limit).await
}

/// The same, of those nested in `prefix`, which need not be a repository and is none of them.
pub(crate) async fn page_below(
    shared: &Shared,
    prefix: &RepositoryName,
    after: Option<&str>,
    limit: usize,
) -> Result<Page<RepositoryName>> {
    let path = format!("{prefix}/");
    let after = match after {
        Some(after) => match after.strip_prefix(&path) {
            Some(within) => Some(within),
            None if prefix.components().cmp(after.split('/')) == Ordering::Less => {
                return Ok(Page::empty());
            }
            None => None,
        },
        None => None,
    };
    let layout = RepositoryLayout::new(prefix);
    in_place(shared, layout.root(), &path, after, limit).await
}

/// Those in a place. Their names are `path` and what is listed there; `after` is within it.
async fn in_place(
    shared: &Shared,
    place: &Key,
    path: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<Page<RepositoryName>> {
    let marks = [reserved::LAYERS, reserved::MANIFESTS];
    // One more than asked for tells whether there are more.
    let wanted = limit.saturating_add(1);
    let mut found: Vec<RepositoryName> = Vec::new();
    let mut after = after.map(ToOwned::to_owned);
    while found.len() < wanted {
        let missing = wanted - found.len();
        let page = shared.backend.list_places(place, &marks, after.as_deref(), missing).await?;
        // What is no name is not ours.
        found.extend(page.items.iter().filter_map(|within| format!("{path}{within}").parse().ok()));
        after = page.next_after().cloned();
        if after.is_none() {
            break;
        }
    }
    Ok(Page::cut(found, limit))
}
