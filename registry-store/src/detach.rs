//! [`to_the_end`]: what must not stop half-way when its caller leaves.

use crate::backend::{self, ErrorKind};
use crate::error::{Error, Result};

/// Runs `future` on a task of its own, so that dropping the caller does not stop it.
///
/// Used where a sequence of writes should not be cut by a client that leaves, and wherever a lock is held: it
/// must not end before the last system call made under it has returned.
pub(crate) async fn to_the_end<T, F>(future: F) -> Result<T>
where
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    match tokio::spawn(future).await {
        Ok(result) => result,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(error) => {
            let stopped = backend::Error::new(ErrorKind::Unavailable, "finish");
            Err(Error::Storage(stopped.because(error)))
        }
    }
}
