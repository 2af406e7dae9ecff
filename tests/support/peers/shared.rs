//! [`Shared`]: one peer for all tests that run at the same time.

use std::sync::{Arc, Mutex, PoisonError, Weak};

/// What is started when it is first asked for, and ends with the last that has it: what a static keeps is never
/// dropped, and a process would outlive its tests.
#[derive(Debug)]
pub(super) struct Shared<T>(Mutex<Weak<T>>);

impl<T> Shared<T> {
    pub(super) const fn new() -> Self {
        Self(Mutex::new(Weak::new()))
    }

    /// The one there is, or another.
    pub(super) fn get(&self, start: impl FnOnce() -> T) -> Arc<T> {
        // Where it did not start, the next test tries again.
        let mut shared = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let started = Arc::new(start());
            *shared = Arc::downgrade(&started);
            started
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shared_ends_with_the_last_that_has_it_and_is_started_again() {
        let ended = Arc::new(());
        let shared = Shared::new();
        let one = shared.get(|| Arc::clone(&ended));
        let other = shared.get(|| panic!("expected the one there is"));
        assert!(Arc::ptr_eq(&one, &other));
        drop(one);
        assert_eq!(Arc::strong_count(&ended), 2);
        drop(other);
        assert_eq!(Arc::strong_count(&ended), 1);
        let again = shared.get(|| Arc::clone(&ended));
        assert_eq!(Arc::strong_count(&ended), 2);
        drop(again);
    }
}
