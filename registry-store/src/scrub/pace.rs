//! [`Pace`]: how many bytes may pass in a second.

use std::num::NonZeroU64;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use tokio::time::{Instant, sleep_until};

use crate::backend;

const NANOSECONDS: u128 = 1_000_000_000;

/// Lets bytes pass, together no more than so many in a second, whoever asks.
#[derive(Debug)]
pub(super) struct Pace {
    bytes_per_second: Option<NonZeroU64>,
    /// When the next bytes may pass.
    next: Mutex<Instant>,
}

impl Pace {
    pub(super) fn new(bytes_per_second: Option<NonZeroU64>) -> Self {
        Self { bytes_per_second, next: Mutex::new(Instant::now()) }
    }

    /// A stream whose parts come no faster.
    pub(super) fn slow<'p, S>(
        &'p self,
        parts: S,
    ) -> impl Stream<Item = backend::Result<Bytes>> + Send + 'p
    where
        S: Stream<Item = backend::Result<Bytes>> + Send + 'p,
    {
        parts.then(move |part| async move {
            if let Ok(part) = &part {
                self.pass(part.len()).await;
            }
            part
        })
    }

    async fn pass(&self, bytes: usize) {
        let Some(rate) = self.bytes_per_second else { return };
        let time = bytes as u128 * NANOSECONDS / u128::from(rate.get());
        let time = Duration::from_nanos(u64::try_from(time).unwrap_or(u64::MAX));
        let turn = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let turn = (*next).max(Instant::now()) + time;
            *next = turn;
            turn
        };
        sleep_until(turn).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::stream;

    async fn seconds(rate: Option<u64>, parts: &[usize]) -> u64 {
        let started = Instant::now();
        let pace = Pace::new(rate.and_then(NonZeroU64::new));
        let parts = parts.iter().map(|length| Ok(Bytes::from(vec![0; *length])));
        let passed: Vec<_> = pace.slow(stream::iter(parts)).collect().await;
        assert!(passed.iter().all(Result::is_ok));
        started.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_pass_as_fast_as_was_said_and_no_faster() {
        assert_eq!(seconds(Some(1000), &[3000, 1000, 0, 1]).await, 4);
        assert_eq!(seconds(Some(1), &[1; 60]).await, 60);
        assert_eq!(seconds(None, &[1 << 20; 8]).await, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn two_that_read_at_once_share_the_pace() {
        let started = Instant::now();
        let pace = Pace::new(NonZeroU64::new(10));
        let read = || async {
            let parts = stream::iter([Ok(Bytes::from_static(b"0123456789"))]);
            pace.slow(parts).count().await
        };
        futures::join!(read(), read());
        assert_eq!(started.elapsed(), Duration::from_secs(2));
    }
}
