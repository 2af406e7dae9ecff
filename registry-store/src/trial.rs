//! Whether the storage answers, and takes what is written.

use std::sync::Arc;

use bytes::Bytes;

use crate::backend::{BackendExt as _, Error, ErrorKind, PutMode};
use crate::error::Result;
use crate::layout;
use crate::shared::Shared;

/// Asks for the first name below the place of everything: a page of one.
pub(crate) async fn look(shared: &Shared) -> Result<()> {
    shared.backend.list_children(&layout::top(), None, 1).await?;
    Ok(())
}

/// Writes, reads and removes a small object. See [`Store::try_out`](crate::store::Store::try_out) for the order.
///
/// It runs to its end though its caller leaves: a delete of his would meet what the next one writes.
pub(crate) async fn write(shared: &Arc<Shared>) -> Result<()> {
    let this = Arc::clone(shared);
    shared.detached.run(async move { write_alone(&this).await }).await
}

async fn write_alone(shared: &Shared) -> Result<()> {
    let mut number = shared.trial.lock().await;
    let number = number.get_or_insert_with(|| shared.options.random.bytes());
    let key = layout::trial(*number);
    let written = Bytes::copy_from_slice(number);
    // Who may not delete left it there.
    shared.backend.put(&key, written.clone(), PutMode::Overwrite).await?;
    let read = shared.backend.read_small(&key, number.len() as u64).await;
    shared.backend.delete(std::slice::from_ref(&key)).await?;
    if read?.as_ref() != Some(&written) {
        let what = "other bytes came back than were written";
        return Err(Error::new(ErrorKind::Io, "read").at(&key).because(what).into());
    }
    Ok(())
}
