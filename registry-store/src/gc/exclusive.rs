//! Who may be at work at the same time: those who write keep collections away, and a collection keeps them out.

use std::time::Duration;

use tokio::time::timeout;

use crate::backend::{Error, ErrorKind, LockGuard, LockMode};
use crate::error::Result;
use crate::layout;
use crate::shared::Shared;

/// How long one waits for another that is about to end.
const PATIENCE: Duration = Duration::from_secs(2);

/// Says that this process writes, for as long as the guard is held.
///
/// Errors: `Busy`, if a collection is under way.
pub(crate) async fn hold_off(shared: &Shared) -> Result<LockGuard> {
    lock(shared, LockMode::Shared, "garbage is being collected; expected it to have ended").await
}

/// Says that nobody may write, for as long as the guard is held.
///
/// Errors: `Busy`, if somebody does; `Unsupported` where the medium cannot tell, and it was not said.
pub(crate) async fn keep_out(shared: &Shared, nobody_writes: bool) -> Result<LockGuard> {
    if !shared.backend.medium().locks_reach_processes && !nobody_writes {
        let error = Error::new(ErrorKind::Unsupported, "lock");
        let told =
            "expected to be told that nobody writes: this storage has no locks between processes";
        return Err(error.because(told).into());
    }
    let expected = "a registry that writes has it open; expected none, or one that only reads";
    lock(shared, LockMode::Exclusive, expected).await
}

async fn lock(shared: &Shared, mode: LockMode, expected: &'static str) -> Result<LockGuard> {
    let scope = layout::writers();
    match timeout(PATIENCE, shared.backend.lock(&scope, mode)).await {
        Ok(guard) => Ok(guard?),
        Err(_) => Err(Error::new(ErrorKind::Busy, "lock").at(&scope).because(expected).into()),
    }
}
