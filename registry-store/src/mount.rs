//! Mounting: making a blob of one repository one of another, without moving a byte.

use std::sync::Arc;

use crate::backend::Meta;
use crate::blobs;
use crate::digest::Digest;
use crate::error::Result;
use crate::layout::{self, RepositoryLayout};
use crate::link;
use crate::shared::Shared;

/// Links a blob that `from` has into `to`, and returns its size in bytes; `None` if `from` does not have it.
pub(crate) async fn mount(
    shared: &Arc<Shared>,
    digest: &Digest,
    from: &RepositoryLayout,
    to: &RepositoryLayout,
) -> Result<Option<u64>> {
    match link::read_for(shared, &from.layer_link(digest), digest).await? {
        Some(stored) => adopt(shared, digest, stored, to).await,
        None => Ok(None),
    }
}

/// Links a blob into `to` if any repository has, or had, it, and returns its size in bytes.
///
/// Whoever may call this can learn whether a blob exists anywhere, and read it if it does.
pub(crate) async fn mount_from_anywhere(
    shared: &Arc<Shared>,
    digest: &Digest,
    to: &RepositoryLayout,
) -> Result<Option<u64>> {
    adopt(shared, digest, *digest, to).await
}

/// Order: protect the blob → make sure that it is durable (another writer made it) → link, durable → look
/// again. Where [one look is enough](crate::guard::Guard::one_look_is_enough), the second and third are left out.
///
/// A crash leaves the link or not. If the blob is gone at the last look the link dangles, which reads as "not
/// there"; it is not undone, because another push may rely on it by now.
async fn adopt(
    shared: &Arc<Shared>,
    digest: &Digest,
    stored: Digest,
    to: &RepositoryLayout,
) -> Result<Option<u64>> {
    let Some(seen) = blobs::look(shared, &stored).await? else {
        return Ok(None);
    };
    let (this, link) = (shared.clone(), to.layer_link(digest));
    let linking = async move {
        let shared = this;
        if shared.guard.one_look_is_enough() {
            link::write(&shared, &link, &stored).await?;
            return Ok(Some(seen.size));
        }
        let blob = [layout::blob(&stored)];
        let size =
            |found: Vec<Option<Meta>>| found.first().copied().flatten().map(|meta| meta.size);
        if size(shared.guard.confirm(&blob).await?).is_none() {
            return Ok(None);
        }
        link::write(&shared, &link, &stored).await?;
        Ok(size(shared.guard.confirm(&blob).await?))
    };
    shared.detached.run(linking).await
}
