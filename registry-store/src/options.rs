//! [`StoreOptions`]: what an embedder may choose, time and chance among it.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// How a [`Store`](crate::store::Store) behaves. The defaults are those of the `registry` binary.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Where upload ids come from.
    pub random: Arc<dyn Random>,
    /// An upload session that began longer ago than this is removed by maintenance. Default: 7 days, as
    /// Distribution's `uploadpurging.age`.
    pub upload_expiry: Duration,
    /// How long maintenance rests between two rounds. Default: 24 hours, as Distribution's
    /// `uploadpurging.interval`.
    pub maintenance_interval: Duration,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom),
            upload_expiry: Duration::from_hours(7 * 24),
            maintenance_interval: Duration::from_hours(24),
        }
    }
}

/// Tells the time of day.
pub trait Clock: Send + Sync + fmt::Debug + 'static {
    /// Now.
    fn now(&self) -> SystemTime;
}

/// Makes bytes that nobody can guess.
pub trait Random: Send + Sync + fmt::Debug + 'static {
    /// Sixteen of them.
    fn bytes(&self) -> [u8; 16];
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the machine")]
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// The operating system's random numbers.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    #[expect(clippy::disallowed_methods, reason = "the one place that asks for chance")]
    fn bytes(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)
            .expect("the operating system has random numbers once it has booted");
        bytes
    }
}
