//! [`Health`]: what does not work, as Distribution's health checks find it.
//!
//! A [`Check`] probes something again and again. While one fails, a [`Gate`] around the service answers every request, `/`
//! too, with 503 `UNAVAILABLE`, as Distribution does, so that whoever balances load goes elsewhere; the
//! [debug server](crate::debug) says what fails.

#[cfg(feature = "notifications")]
pub mod http;
mod storage;
#[cfg(feature = "serve")]
mod tcp;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use ::http::{Request, Response};
use async_trait::async_trait;
use futures::future::{Either, Ready, ready};
use tokio::time::{sleep, timeout};
use tower::Service;

use crate::body::ResponseBody;
use crate::error;

pub use self::storage::{StorageProbe, Suspicion};
#[cfg(feature = "serve")]
pub use self::tcp::TcpProbe;

/// The name of the check that an operator fails by hand, as of Distribution.
const BY_HAND: &str = "manual_http_status";

/// Tries out whether something works.
#[async_trait]
pub trait Probe: Send + Sync + 'static {
    /// Once. An error says what does not, in a line without secrets: it is shown.
    async fn probe(&self) -> Result<(), String>;
}

/// What is probed, and how often.
pub struct Check {
    /// What it is called where failures are shown.
    pub name: String,
    /// How long it rests between two probes. Distribution's default is 10 seconds.
    pub interval: Duration,
    /// A probe that takes longer than this has failed.
    pub patience: Duration,
    /// It fails from so many failed probes in a row on; 0 is as 1.
    pub threshold: u32,
    /// What is done.
    pub probe: Box<dyn Probe>,
}

/// What fails now. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Health(Arc<Mutex<BTreeMap<String, String>>>);

impl Health {
    /// What fails: names of checks, and why.
    pub fn failing(&self) -> BTreeMap<String, String> {
        self.lock().clone()
    }

    /// Nothing fails.
    pub fn is_good(&self) -> bool {
        self.lock().is_empty()
    }

    /// An operator takes this registry out of service, until [`Health::up`].
    pub fn down(&self) {
        self.tell(BY_HAND, Err("manual check".to_owned()));
    }

    /// Takes back [`Health::down`]. Checks that fail go on to do so.
    pub fn up(&self) {
        self.tell(BY_HAND, Ok(()));
    }

    /// Does a check, for ever: the embedder spawns it.
    pub async fn watch(self, check: Check) {
        let Check { name, interval, patience, threshold, probe } = check;
        let mut failures: u32 = 0;
        loop {
            let outcome = match timeout(patience, probe.probe()).await {
                Ok(outcome) => outcome,
                Err(_) => Err(format!("no answer in {patience:?}")),
            };
            match outcome {
                Ok(()) => {
                    failures = 0;
                    self.tell(&name, Ok(()));
                }
                Err(why) => {
                    failures = failures.saturating_add(1);
                    if failures >= threshold.max(1) {
                        self.tell(&name, Err(why));
                    } else {
                        tracing::info!(check = name, why, failures, "a probe failed");
                    }
                }
            }
            sleep(interval).await;
        }
    }

    fn tell(&self, name: &str, outcome: Result<(), String>) {
        let mut failing = self.lock();
        match outcome {
            Ok(()) => {
                if failing.remove(name).is_some() {
                    tracing::info!(check = name, "health check passes again");
                }
            }
            Err(why) => {
                if failing.get(name) != Some(&why) {
                    tracing::error!(check = name, why, "health check fails");
                    failing.insert(name.to_owned(), why);
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        // A map is whole whatever happened to who held it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, interval, patience, threshold, probe: _ } = self;
        f.debug_struct("Check")
            .field("name", name)
            .field("interval", interval)
            .field("patience", patience)
            .field("threshold", threshold)
            .finish_non_exhaustive()
    }
}

/// A service that answers for another while something fails. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Gate<S> {
    inner: S,
    health: Health,
}

impl<S> Gate<S> {
    /// Asks `inner` as long as nothing fails.
    pub const fn new(inner: S, health: Health) -> Self {
        Self { inner, health }
    }
}

impl<S, B> Service<Request<B>> for Gate<S>
where
    S: Service<Request<B>, Response = Response<ResponseBody>, Error = Infallible>,
{
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = Either<S::Future, Ready<Result<Self::Response, Infallible>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if self.health.is_good() {
            return Either::Left(self.inner.call(request));
        }
        let mut response = error::unhealthy();
        if request.method() == ::http::Method::HEAD {
            *response.body_mut() = ResponseBody::empty();
        }
        Either::Right(ready(Ok(response)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

    use super::*;

    struct Switch(Arc<AtomicBool>, Arc<AtomicU32>);

    #[async_trait]
    impl Probe for Switch {
        async fn probe(&self) -> Result<(), String> {
            self.1.fetch_add(1, Ordering::Relaxed);
            if self.0.load(Ordering::Relaxed) { Ok(()) } else { Err("it is off".to_owned()) }
        }
    }

    struct Hangs;

    #[async_trait]
    impl Probe for Hangs {
        async fn probe(&self) -> Result<(), String> {
            std::future::pending().await
        }
    }

    fn check(threshold: u32, probe: impl Probe) -> Check {
        let second = Duration::from_secs(1);
        let name = "it".to_owned();
        Check { name, interval: second, patience: second, threshold, probe: Box::new(probe) }
    }

    #[tokio::test(start_paused = true)]
    async fn a_check_fails_from_its_threshold_on_and_passes_again_with_one_probe() {
        let (works, probes) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicU32::new(0)));
        let health = Health::default();
        let probe = Switch(Arc::clone(&works), Arc::clone(&probes));
        tokio::spawn(health.clone().watch(check(3, probe)));
        let tick = || sleep(Duration::from_secs(1));
        sleep(Duration::from_millis(500)).await;
        assert!(health.is_good());
        works.store(false, Ordering::Relaxed);
        tick().await;
        tick().await;
        assert_eq!((probes.load(Ordering::Relaxed), health.is_good()), (3, true));
        tick().await;
        assert_eq!(health.failing()["it"], "it is off");
        works.store(true, Ordering::Relaxed);
        tick().await;
        assert!(health.is_good());
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_hangs_has_failed() {
        let health = Health::default();
        tokio::spawn(health.clone().watch(check(0, Hangs)));
        sleep(Duration::from_millis(1500)).await;
        assert_eq!(health.failing()["it"], "no answer in 1s");
    }

    #[test]
    fn what_is_taken_down_by_hand_is_put_up_by_hand() {
        let health = Health::default();
        health.down();
        assert_eq!(health.failing()[BY_HAND], "manual check");
        health.up();
        assert!(health.is_good());
    }
}
