//! [`Reload`]: what is read again at SIGHUP.

use std::fmt;
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::spawn_blocking;
use tracing::{error, info};

use super::Failure;

/// Something that was read when the program started, and can be read again while it serves.
pub(super) trait Reload: Send + Sync + 'static {
    /// What it is, for the log: `certificates`.
    fn name(&self) -> &'static str;

    /// Reads it again. Blocks. Returns what came of it, for the log.
    ///
    /// # Errors
    ///
    /// If what is there now does not do, in one line without secrets; then what was in force stays.
    fn reload(&self) -> Result<String, String>;
}

impl fmt::Debug for dyn Reload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// SIGHUP, from here on.
pub(super) fn hangup() -> Result<Signal, Failure> {
    signal(SignalKind::hangup())
        .map_err(|error| Failure::new(format!("cannot wait for signals: {error}")))
}

/// Reads all of it again at each signal, each whatever becomes of the others. Ends with the program.
pub(super) async fn at_each(mut signal: Signal, all: Vec<Arc<dyn Reload>>) {
    while signal.recv().await.is_some() {
        if all.is_empty() {
            info!("SIGHUP: there is nothing to read again");
        }
        for one in &all {
            let (name, one) = (one.name(), Arc::clone(one));
            match spawn_blocking(move || one.reload()).await {
                Ok(Ok(outcome)) => info!("SIGHUP: {name}: {outcome}"),
                Ok(Err(error)) => error!("SIGHUP: {name}: what was in force stays: {error}"),
                Err(error) => error!("SIGHUP: {name}: what was in force stays: {error}"),
            }
        }
    }
}
