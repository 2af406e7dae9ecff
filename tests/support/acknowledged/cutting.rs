//! [`Cutting`]: when a server is killed, and what its clients know of it.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::child::PATIENCE;

/// Why a client stopped in the middle: the server was killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut;

/// How far all clients of a server have come together, by which it is killed, and whether it has been.
///
/// The instant is counted in answers and in pieces of bodies, never in time.
#[derive(Default)]
pub struct Cutting {
    made: Mutex<u64>,
    more: Condvar,
    killed: AtomicBool,
    /// Of the progress after which clients end where another server goes on.
    ends_at: AtomicU64,
    before_last: Option<Box<dyn Fn() + Send + Sync>>,
}

impl Cutting {
    /// Nothing is killed; `before_last` is called before each request whose answer promises something.
    pub fn with_before_last(before_last: impl Fn() + Send + Sync + 'static) -> Self {
        Self { before_last: Some(Box::new(before_last)), ..Self::default() }
    }

    /// A client has come a piece further.
    pub fn progress(&self) {
        *self.made() += 1;
        self.more.notify_all();
    }

    /// Waits until the clients have come so far.
    pub fn wait_for(&self, progress: u64) {
        let mut made = self.made();
        while *made < progress {
            let waited = self.more.wait_timeout(made, PATIENCE);
            let (again, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            assert!(!timeout.timed_out(), "expected {progress} pieces, found {}", *again);
            made = again;
        }
    }

    /// From now on a request may fail. Clients that have another server go on for so much longer.
    pub fn kills(&self, and_on_for: u64) {
        self.ends_at.store(*self.made() + and_on_for, Ordering::SeqCst);
        self.killed.store(true, Ordering::SeqCst);
    }

    /// Whether a request may fail.
    pub fn killed(&self) -> bool {
        self.killed.load(Ordering::SeqCst)
    }

    /// Whether clients are to end.
    pub fn over(&self) -> bool {
        self.killed() && *self.made() >= self.ends_at.load(Ordering::SeqCst)
    }

    /// To be called before each request whose answer promises something.
    pub fn before_last(&self) {
        if let Some(before_last) = &self.before_last {
            before_last();
        }
    }

    fn made(&self) -> MutexGuard<'_, u64> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Cutting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cutting({} pieces, killed: {})", *self.made(), self.killed())
    }
}
