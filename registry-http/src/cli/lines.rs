//! [`Lines`]: lines on standard output, written by a thread of its own, so that a reader that is slow holds up nobody.

use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use super::Failure;

/// How many lines wait for the reader at most; what comes then is lost, and counted.
const MOST: usize = 16 * 1024;
/// How long the rest is waited for at the end.
const PATIENCE: Duration = Duration::from_secs(1);

/// Where lines go. Clones go to the same thread.
#[derive(Clone, Debug)]
pub(super) struct Lines {
    sender: SyncSender<Work>,
    lost: Arc<AtomicU64>,
}

#[derive(Debug)]
enum Work {
    Write(String),
    Tell(SyncSender<()>),
}

impl Lines {
    pub(super) fn start() -> Result<Self, Failure> {
        let (sender, receiver) = sync_channel(MOST);
        let thread = thread::Builder::new().name("access log".to_owned());
        thread
            .spawn(move || write(&receiver))
            .map_err(|error| Failure::new(format!("cannot start a thread: {error}")))?;
        Ok(Self { sender, lost: Arc::default() })
    }

    /// Never waits.
    pub(super) fn write(&self, line: String) {
        if let Err(TrySendError::Full(_)) = self.sender.try_send(Work::Write(line)) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many there was no room for.
    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Waits until what was written is out, not for ever.
    pub(super) fn finish(&self) {
        let (told, done) = sync_channel(1);
        if self.sender.try_send(Work::Tell(told)).is_ok() {
            let _ = done.recv_timeout(PATIENCE);
        }
    }
}

fn write(work: &Receiver<Work>) {
    let mut out = io::stdout();
    while let Ok(work) = work.recv() {
        // With standard output closed nobody wants to know.
        let _ = match work {
            Work::Write(line) => writeln!(out, "{line}"),
            Work::Tell(done) => {
                let flushed = out.flush();
                let _ = done.try_send(());
                flushed
            }
        };
    }
}
