//! Listings of the backend as values: is there a repository, which digests have a link below a place.

use crate::backend::{ErrorKind, Key};
use crate::digest::{Algorithm, Digest};
use crate::error::Result;
use crate::layout::reserved;
use crate::page::Page;
use crate::shared::Shared;

/// Names taken from a listing at once.
pub(crate) const BATCH: usize = 1000;
/// Names taken at once by who goes through all of them: on a filesystem each time costs a pass over the whole
/// directory. So many are some 1 MiB.
pub(crate) const MANY: usize = 8 * 1024;

/// Is there a repository at `root`? It is what has `_layers` or `_manifests`, never what has only uploads.
pub(crate) async fn is_repository(shared: &Shared, root: &Key) -> Result<bool> {
    // Directly behind "_" come the names that begin with it, before every letter. Few are there: ours, and what
    // another program may keep beside them.
    let page = shared.backend.list_children(root, Some("_"), 64).await?;
    let marks = [reserved::LAYERS, reserved::MANIFESTS];
    Ok(page.items.iter().any(|child| child.is_prefix() && marks.contains(&child.name())))
}

/// The digests named below a place of each algorithm: the first `limit` greater than `after`, in their order.
///
/// A name says only that a link was written there once; whoever needs more reads the link.
pub(crate) async fn digests(
    shared: &Shared,
    place: impl Fn(Algorithm) -> Key,
    after: Option<&Digest>,
    limit: usize,
) -> Result<Page<Digest>> {
    let mut found = Vec::new();
    for algorithm in Algorithm::ALL {
        let mut cursor = match after {
            Some(after) if after.algorithm() > algorithm => continue,
            Some(after) if after.algorithm() == algorithm => Some(after.hex()),
            _ => None,
        };
        // One more than asked for tells whether there are more.
        while found.len() <= limit {
            let wanted = (limit - found.len()).saturating_add(1).min(MANY);
            let place = place(algorithm);
            let batch = shared.backend.list_children(&place, cursor.as_deref(), wanted).await?;
            let names = batch.items.iter().filter(|child| child.is_prefix());
            found.extend(names.filter_map(|child| Digest::from_hex(algorithm, child.name()).ok()));
            cursor = batch.next_after().map(|child| child.name().to_owned());
            if cursor.is_none() {
                break;
            }
        }
    }
    Ok(Page::cut(found, limit))
}

/// Turns the backend's "not found" into `None`.
pub(crate) fn if_found<T>(result: crate::backend::Result<T>) -> Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}
