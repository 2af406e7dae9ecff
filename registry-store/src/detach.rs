//! [`Detached`]: work that must not stop half-way when its caller leaves.

use tokio::sync::watch;
use tracing::Instrument as _;

use crate::backend::{self, ErrorKind};
use crate::error::{Error, Result};

/// Counts the work that goes on by itself.
#[derive(Debug)]
pub(crate) struct Detached {
    running: watch::Sender<usize>,
}

impl Default for Detached {
    fn default() -> Self {
        Self { running: watch::Sender::new(0) }
    }
}

impl Detached {
    /// Runs `future` on a task of its own, so that dropping the caller does not stop it.
    ///
    /// Used where a sequence of writes should not be cut by a client that leaves, and wherever a lock is held:
    /// it must not end before the last system call made under it has returned.
    pub(crate) async fn run<T, F>(&self, future: F) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let running = Running::new(&self.running);
        let work = async move {
            let result = future.await;
            drop(running);
            result
        };
        // What it tells of belongs to the caller's request.
        let task = tokio::spawn(work.in_current_span());
        match task.await {
            Ok(result) => result,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(error) => {
                let stopped = backend::Error::new(ErrorKind::Unavailable, "finish");
                Err(Error::Storage(stopped.because(error)))
            }
        }
    }

    /// Waits until nothing goes on by itself any more.
    pub(crate) async fn finished(&self) {
        let mut running = self.running.subscribe();
        // The sender lives as long as this does, so waiting cannot fail.
        let _ = running.wait_for(|running| *running == 0).await;
    }
}

/// One piece of work, counted until it is dropped.
struct Running(watch::Sender<usize>);

impl Running {
    fn new(count: &watch::Sender<usize>) -> Self {
        count.send_modify(|running| *running += 1);
        Self(count.clone())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.send_modify(|running| *running -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;

    #[tokio::test]
    async fn work_goes_on_when_its_caller_leaves_and_is_waited_for() {
        let detached = Detached::default();
        let (go, wait) = tokio::sync::oneshot::channel::<()>();
        let (done, ended) = tokio::sync::oneshot::channel();
        let mut caller = Box::pin(detached.run(async move {
            wait.await.unwrap();
            done.send(()).unwrap();
            Ok(())
        }));
        assert!(caller.as_mut().now_or_never().is_none());
        drop(caller);
        assert!(detached.finished().now_or_never().is_none());
        go.send(()).unwrap();
        ended.await.unwrap();
        detached.finished().await;
        assert!(detached.finished().now_or_never().is_some());
    }
}
