//! Mounting: making a blob of one repository one of another, without moving a byte.

use std::sync::Arc;

use crate::blobs;
use crate::digest::Digest;
use crate::error::Result;
use crate::layout::{self, RepositoryLayout};
use crate::link;
use crate::shared::Shared;

/// Links a blob that `from` has into `to`; `false` if it does not have it.
pub(crate) async fn mount(
    shared: &Arc<Shared>,
    digest: &Digest,
    from: &RepositoryLayout,
    to: &RepositoryLayout,
) -> Result<bool> {
    match link::read_for(shared, &from.layer_link(digest), digest).await? {
        Some(stored) => adopt(shared, digest, stored, to).await,
        None => Ok(false),
    }
}

/// Links a blob into `to` if any repository has, or had, it.
///
/// Whoever may call this can learn whether a blob exists anywhere, and read it if it does.
pub(crate) async fn mount_from_anywhere(
    shared: &Arc<Shared>,
    digest: &Digest,
    to: &RepositoryLayout,
) -> Result<bool> {
    adopt(shared, digest, *digest, to).await
}

/// Order: protect the blob → make sure that it is durable (another writer made it) → link, durable → look
/// again.
///
/// A crash leaves the link or not. If the blob is gone at the last look the link dangles, which reads as "not
/// there"; it is not undone, because another push may rely on it by now.
async fn adopt(
    shared: &Arc<Shared>,
    digest: &Digest,
    stored: Digest,
    to: &RepositoryLayout,
) -> Result<bool> {
    if blobs::look(shared, &stored).await?.is_none() {
        return Ok(false);
    }
    let (this, link) = (shared.clone(), to.layer_link(digest));
    let linking = async move {
        let shared = this;
        let blob = [layout::blob(&stored)];
        let is_there = |found: Vec<Option<_>>| found.iter().all(Option::is_some);
        if !is_there(shared.guard.confirm(&blob).await?) {
            return Ok(false);
        }
        link::write(&shared, &link, &stored).await?;
        Ok(is_there(shared.guard.confirm(&blob).await?))
    };
    shared.detached.run(linking).await
}
