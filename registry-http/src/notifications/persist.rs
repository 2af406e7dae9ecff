//! [`keep`]: puts what is in a queue into its files.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tracing::{error, info, warn};

use super::journal::Journal;
use super::queue::Queue;

/// How long is waited when files cannot be written.
const PAUSE: Duration = Duration::from_secs(1);

/// Writes until the queue is closed and all of it is written. Where that fails, the queue goes on in memory, and what
/// could not be written is written later.
pub(super) async fn keep(name: String, queue: Arc<Queue>, mut journal: Journal) {
    let mut is_failing = false;
    while let Some(work) = queue.work().await {
        let step = spawn_blocking(move || {
            let outcome =
                journal.append(&work.records).and_then(|()| journal.advance(work.position));
            (journal, work, outcome)
        });
        let Ok((back, work, outcome)) = step.await else {
            error!(endpoint = %name, "its queue is not written to disk any more");
            return;
        };
        journal = back;
        match outcome {
            Ok(()) => {
                queue.written(&work);
                if is_failing {
                    info!(endpoint = %name, "its queue is written to disk again");
                }
                is_failing = false;
            }
            Err(error) if queue.is_closed() => {
                let events = work.records.len();
                error!(endpoint = %name, events, "its queue cannot be written to disk, and is lost: {error}");
                return;
            }
            Err(error) => {
                if !is_failing {
                    warn!(endpoint = %name, "its queue cannot be written to disk, and is in memory alone: {error}");
                }
                is_failing = true;
                sleep(PAUSE).await;
            }
        }
    }
}
