//! [`Activity`]: whether a connection has work, or waits for a request, and since when.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// What goes on on a connection.
///
/// It is idle while no request is in flight and nothing of an answer waits for the client to take it. A head that is
/// not complete is no request yet: to a connection that sends one slowly, the time since it was last of use goes on.
#[derive(Debug)]
pub(crate) struct Activity {
    state: Mutex<State>,
    told: Notify,
    /// Of all connections together: one of them became idle.
    rested: Arc<Notify>,
}

#[derive(Clone, Copy, Debug)]
struct State {
    requests: usize,
    blocked: bool,
    /// When it last became idle.
    since: Instant,
    served: bool,
    /// When it was asked to end.
    told: Option<Instant>,
}

impl Activity {
    /// Of a connection that begins now. `rested` is told when it becomes idle again.
    pub(crate) fn new(rested: Arc<Notify>) -> Arc<Self> {
        let since = Instant::now();
        let state = State { requests: 0, blocked: false, since, served: false, told: None };
        Arc::new(Self { state: Mutex::new(state), told: Notify::new(), rested })
    }

    /// A request has begun; it is in flight until what this returns is dropped.
    pub(crate) fn begin(self: &Arc<Self>) -> InFlight {
        let mut state = self.state();
        state.requests += 1;
        state.served = true;
        InFlight(Arc::clone(self))
    }

    /// The client does, or does not, keep waiting what is sent to it.
    pub(crate) fn block(&self, blocked: bool) {
        self.change(|state| state.blocked = blocked);
    }

    /// Since when it has been idle, if it is.
    pub(crate) fn idle_since(&self) -> Option<Instant> {
        let state = *self.state();
        state.is_idle().then_some(state.since)
    }

    /// Whether there ever was a request.
    pub(crate) fn has_served(&self) -> bool {
        self.state().served
    }

    /// Asks the connection to end as soon as its requests are answered. `false` if it was asked before.
    pub(crate) fn tell(&self) -> bool {
        let mut state = self.state();
        let is_first = state.told.is_none();
        state.told.get_or_insert_with(Instant::now);
        drop(state);
        self.told.notify_one();
        is_first
    }

    /// Whether it was asked to end.
    pub(crate) fn was_told(&self) -> bool {
        self.state().told.is_some()
    }

    /// Whether it was asked to end, so long ago at least.
    pub(crate) fn was_told_for(&self, time: Duration) -> bool {
        self.state().told.is_some_and(|told| told.elapsed() >= time)
    }

    /// Until it is asked to end.
    pub(crate) async fn told(&self) {
        self.told.notified().await;
    }

    /// Until it has been idle for so long, counted from `from` at the earliest.
    pub(crate) async fn overdue(&self, limit: Duration, from: Instant) {
        /// Without any limit too it is not looked at all the time.
        const LEAST: Duration = Duration::from_millis(10);
        // While it is busy it is looked at once in `limit`: whenever it became idle since, that was less ago.
        loop {
            let now = Instant::now();
            let due = self.idle_since().map(|since| since.max(from) + limit);
            match due {
                Some(due) if due <= now => return,
                Some(due) => sleep_until(due).await,
                None => sleep_until(now + limit.max(LEAST)).await,
            }
        }
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state();
        let was_idle = state.is_idle();
        change(&mut state);
        if state.is_idle() && !was_idle {
            state.since = Instant::now();
            drop(state);
            self.rested.notify_one();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // It holds whatever happened to who held it: each change is one assignment.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    const fn is_idle(&self) -> bool {
        self.requests == 0 && !self.blocked
    }
}

/// A request in flight, until it is dropped.
#[derive(Debug)]
pub(crate) struct InFlight(Arc<Activity>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.change(|state| state.requests -= 1);
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn it_is_idle_between_requests_and_once_the_client_has_taken_all() {
        let activity = Activity::new(Arc::default());
        let begun = Instant::now();
        assert_eq!(activity.idle_since(), Some(begun));
        sleep(LIMIT).await;
        assert_eq!(activity.idle_since(), Some(begun));
        let (one, other) = (activity.begin(), activity.begin());
        drop(one);
        assert_eq!(activity.idle_since(), None);
        activity.block(true);
        drop(other);
        assert_eq!(activity.idle_since(), None);
        sleep(LIMIT).await;
        activity.block(false);
        assert_eq!(activity.idle_since(), Some(Instant::now()));
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_overdue_exactly_so_long_after_it_became_idle() {
        let activity = Activity::new(Arc::default());
        let request = activity.begin();
        let waiting = tokio::spawn({
            let activity = Arc::clone(&activity);
            async move { activity.overdue(LIMIT, Instant::now()).await }
        });
        sleep(Duration::from_secs(24 * 3600 + 17)).await;
        assert!(!waiting.is_finished());
        drop(request);
        let idle = Instant::now();
        waiting.await.unwrap();
        assert_eq!(idle.elapsed(), LIMIT);
    }
}
