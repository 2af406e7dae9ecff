//! [`ReadOnlySwitch`]: stops and allows writing while the service runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Off at first. Clones are the same switch.
///
/// A request that was understood before it was switched goes on to its end; whatever comes after is answered as with
/// [`Options::read_only`](crate::Options::read_only). Upload sessions stay as they are, and can be gone on with when it is
/// switched off again.
#[derive(Clone, Debug, Default)]
pub struct ReadOnlySwitch(Arc<AtomicBool>);

impl ReadOnlySwitch {
    /// Switches; returns what it was before.
    pub fn set(&self, on: bool) -> bool {
        self.0.swap(on, Ordering::Relaxed)
    }

    /// Nothing can be written.
    pub fn is_on(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
