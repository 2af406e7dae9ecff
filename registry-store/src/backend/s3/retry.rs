//! [`Retries`]: when a request is tried again, and when not any more.
//!
//! Three bounds: a time for each request; how long it waits between two tries, which grows and differs by chance,
//! so that many do not come back at once; and a budget for all requests together, so that an outage is not made
//! worse by every client's requests coming several times.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::fault::{Cause, Doubt, Failure, Tried};
use crate::options::Random;

/// The most that is saved up, and what there is at first.
const BUDGET: i64 = 1000;
/// What a retry costs; a request that succeeds brings one back.
const COST: i64 = 5;
/// How long the first wait is at most.
const FIRST_WAIT: Duration = Duration::from_millis(50);
/// The same where the server asks for fewer requests.
const FIRST_THROTTLED_WAIT: Duration = Duration::from_millis(400);
/// How long any wait is at most.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// How long a try may take, and how long one is tried again behind the first that failed: however long a request may
/// take, an outage is told of soon.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    pub(super) for_one: Duration,
    pub(super) for_all: Duration,
}

/// The budget that all requests of a backend share.
#[derive(Debug)]
pub(super) struct Retries {
    budget: AtomicI64,
    random: Arc<dyn Random>,
    /// By operation.
    counts: Mutex<BTreeMap<&'static str, RequestCounts>>,
}

/// What became of requests to the server of one kind, since the backend was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestCounts {
    /// Each try is one.
    pub sent: u64,
    /// Of them, those that were sent again because one before had failed.
    pub retries: u64,
    /// Of them, those that the server answered by asking for fewer.
    pub throttled: u64,
    /// Requests that were given up. One that asks for what is not there is one of these.
    pub failed: u64,
}

impl Retries {
    pub(super) fn new(random: Arc<dyn Random>) -> Self {
        Self { budget: AtomicI64::new(BUDGET), random, counts: Mutex::default() }
    }

    /// What was sent, by operation.
    pub(super) fn counts(&self) -> BTreeMap<&'static str, RequestCounts> {
        self.locked().clone()
    }

    fn count(&self, operation: &'static str, count: impl FnOnce(&mut RequestCounts)) {
        count(self.locked().entry(operation).or_default());
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<&'static str, RequestCounts>> {
        // Counting does not panic.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a request until it succeeds, fails for good, or there is no more patience or budget for it.
    ///
    /// It must be one that does no harm if it is done twice. With the answer comes what may have become of the tries
    /// before.
    pub(super) async fn run<T, F>(
        &self,
        operation: &'static str,
        patience: Patience,
        mut send: impl FnMut() -> F,
    ) -> Result<(T, Doubt), Failure>
    where
        F: Future<Output = Result<T, Tried>>,
    {
        let mut failing_since = None;
        let mut doubt = Doubt::None;
        for waits in 0.. {
            self.count(operation, |counts| {
                counts.sent += 1;
                counts.retries += u64::from(waits > 0);
            });
            let tried = match timeout(patience.for_one, send()).await {
                Ok(Ok(answer)) => {
                    self.budget.fetch_add(1, Ordering::Relaxed);
                    self.budget.fetch_min(BUDGET, Ordering::Relaxed);
                    return Ok((answer, doubt));
                }
                Ok(Err(tried)) => tried,
                Err(_) => Tried::timed_out(),
            };
            doubt = doubt.max(tried.doubt);
            if tried.cause == Cause::Throttled {
                self.count(operation, |counts| counts.throttled += 1);
            }
            let wait = self.wait(tried.cause, waits);
            let failing_since = *failing_since.get_or_insert_with(Instant::now);
            let has_time = failing_since.elapsed() + wait < patience.for_all;
            if !tried.cause.is_passing() || !has_time || !self.withdraw() {
                self.count(operation, |counts| counts.failed += 1);
                return Err(Failure::new(operation, tried, doubt));
            }
            tracing::debug!(operation, cause = %tried.source, "is tried again in {wait:?}");
            sleep(wait).await;
        }
        unreachable!("there are more numbers than tries")
    }

    /// A time by chance, up to one that doubles with every wait.
    fn wait(&self, cause: Cause, waits: u32) -> Duration {
        let first = match cause {
            Cause::Throttled => FIRST_THROTTLED_WAIT,
            _ => FIRST_WAIT,
        };
        let most = first.saturating_mul(1 << waits.min(10)).min(LONGEST_WAIT);
        let [a, b, ..] = self.random.bytes();
        let share = f64::from(u16::from_be_bytes([a, b])) / f64::from(u16::MAX);
        // Never none at all: half of it is certain where the server asks for rest.
        let least = if cause == Cause::Throttled { 0.5 } else { 0.0 };
        most.mul_f64(least + share * (1.0 - least))
    }

    fn withdraw(&self) -> bool {
        let taken = self.budget.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
            (left >= COST).then_some(left - COST)
        });
        taken.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::SystemRandom;

    const PATIENCE: Patience =
        Patience { for_one: Duration::from_secs(10), for_all: Duration::from_secs(30) };

    fn retries() -> Retries {
        Retries::new(Arc::new(SystemRandom))
    }

    fn failing(cause: Cause) -> Result<(), Tried> {
        Err(Tried { cause, doubt: Doubt::None, source: "it fails".into() })
    }

    #[tokio::test(start_paused = true)]
    async fn what_passes_is_waited_out_and_what_stays_is_not() {
        let (retries, mut tries) = (retries(), 0);
        let answer = retries.run("try", PATIENCE, || {
            tries += 1;
            let answer = if tries < 4 { failing(Cause::Unavailable) } else { Ok(()) };
            async move { answer }
        });
        answer.await.unwrap();
        assert_eq!(tries, 4);
        let counts = RequestCounts { sent: 4, retries: 3, throttled: 0, failed: 0 };
        assert_eq!(retries.counts()["try"], counts);

        let mut tries = 0;
        let answer = retries.run("try", PATIENCE, || {
            tries += 1;
            async { failing(Cause::Denied) }
        });
        assert_eq!(answer.await.unwrap_err().cause(), Cause::Denied);
        assert_eq!(tries, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_is_not_waited_for_longer_than_there_is_time() {
        let (retries, begun) = (retries(), Instant::now());
        let answer = retries.run("try", PATIENCE, || async { failing(Cause::Throttled) });
        assert_eq!(answer.await.unwrap_err().cause(), Cause::Throttled);
        assert!(begun.elapsed() <= PATIENCE.for_all);
        // A try that never ends is ended.
        let answer = retries.run("try", PATIENCE, std::future::pending::<Result<(), Tried>>);
        let failure = answer.await.unwrap_err();
        assert!(failure.is_uncertain() && failure.is(Cause::Unavailable));
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_takes_long_is_tried_again_and_an_outage_is_told_of_as_soon() {
        let retries = retries();
        let patience = Patience { for_one: Duration::from_mins(5), ..PATIENCE };
        let mut tries = 0;
        let answer = retries.run("try", patience, || {
            tries += 1;
            let is_first = tries == 1;
            async move {
                sleep(Duration::from_mins(4)).await;
                if is_first { failing(Cause::Unavailable) } else { Ok(()) }
            }
        });
        answer.await.unwrap();
        let begun = Instant::now();
        retries.run("try", patience, || async { failing(Cause::Unavailable) }).await.unwrap_err();
        assert!(begun.elapsed() <= patience.for_all);
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_no_budget_left_fails_at_once_until_requests_succeed_again() {
        let retries = retries();
        let fail = || retries.run("try", PATIENCE, || async { failing(Cause::Unavailable) });
        while retries.budget.load(Ordering::Relaxed) >= COST {
            fail().await.unwrap_err();
        }
        let begun = Instant::now();
        fail().await.unwrap_err();
        assert_eq!(begun.elapsed(), Duration::ZERO);
        for _ in 0..COST {
            retries.run("try", PATIENCE, || async { Ok(()) }).await.unwrap();
        }
        assert!(retries.withdraw());
    }
}
