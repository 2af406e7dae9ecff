//! [`settle`]: what a collection has looked at is made sure of, before it takes the first thing away.
//!
//! What goes is chosen by what is not there: a manifest that was deleted, a tag that points elsewhere by now. Whoever did
//! that may have been killed before it was durable, a collection among them. Were that to come back with a loss of power, it
//! would lack what went on the strength of its absence: a manifest its blobs, a tag its manifest, a link its blob. Nobody
//! writes meanwhile, so it need not be before the look.

use std::mem;

use crate::digest::Algorithm;
use crate::error::Result;
use crate::layout::{self, RepositoryLayout};
use crate::listing::MANY;
use crate::shared::Shared;

use super::Repositories;

/// Makes sure of everything a collection may look at. On a filesystem that is one sync of it, and one more for each other
/// that a repository's own place, or that of its links, is on.
pub(crate) async fn settle(shared: &Shared) -> Result<()> {
    if shared.backend.medium().visible_is_durable {
        return Ok(());
    }
    let mut places = vec![layout::top(), layout::all_blobs(), layout::repositories()];
    places.extend(Algorithm::ALL.map(layout::blobs));
    let mut all = Repositories::default();
    while let Some(name) = all.next(shared).await? {
        let layout = RepositoryLayout::new(&name);
        places.extend([layout.layers(), layout.all_revisions(), layout.tags()]);
        if places.len() > MANY {
            shared.backend.settle_all(&mem::take(&mut places)).await?;
        }
    }
    Ok(shared.backend.settle_all(&places).await?)
}
