//! [`Activity`]: whether a connection has work, or waits for a request, and since when.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// What goes on on a connection.
///
/// It is idle while no request is in flight and nothing of an answer waits for the client to take it. A head that is
/// not complete is no request yet: to a connection that sends one slowly, the time since it was last of use goes on.
///
/// An answer of which the client has taken nothing for as long as is borne counts no more: in HTTP/2 a client can keep one
/// waiting and show all the time that it is there. One that it gives up is no way round that: what it asks for instead has
/// waited for as long already, until something of it is taken.
#[derive(Debug)]
pub(crate) struct Activity {
    state: Mutex<State>,
    told: Notify,
    /// Of all connections together: one of them became idle.
    rested: Arc<Notify>,
    /// For how long a client may take nothing of an answer; without it for ever.
    borne: Option<Duration>,
}

#[derive(Debug)]
struct State {
    /// Those in flight, by the order in which they came.
    requests: BTreeMap<u64, Request>,
    next: u64,
    blocked: bool,
    /// When it last became idle.
    since: Instant,
    served: bool,
    /// When it was asked to end.
    told: Option<Instant>,
    /// For how long an answer had waited that the client gave up, the longest of late, and when it was given up.
    given_up: Option<(Duration, Instant)>,
}

/// A request in flight.
#[derive(Clone, Copy, Debug)]
struct Request {
    /// Since when the client has taken nothing of the answer; `None` while it is for us to go on.
    waits: Option<Instant>,
    /// Something of the answer was taken.
    touched: bool,
}

impl Activity {
    /// Of a connection that begins now, whose client may take nothing of an answer for as long as is `borne`. `rested` is
    /// told when it becomes idle again.
    pub(crate) fn new(rested: Arc<Notify>, borne: Option<Duration>) -> Arc<Self> {
        let state = State {
            requests: BTreeMap::new(),
            next: 0,
            blocked: false,
            since: Instant::now(),
            served: false,
            told: None,
            given_up: None,
        };
        Arc::new(Self { state: Mutex::new(state), told: Notify::new(), rested, borne })
    }

    /// A request has begun; it is in flight until what this returns is dropped.
    pub(crate) fn begin(self: &Arc<Self>) -> InFlight {
        let mut state = self.state();
        let id = state.next;
        state.next += 1;
        state.requests.insert(id, Request { waits: None, touched: false });
        state.served = true;
        InFlight { activity: Arc::clone(self), id }
    }

    /// The client does, or does not, keep waiting what is sent to it.
    pub(crate) fn block(&self, blocked: bool) {
        self.change(|state| state.blocked = blocked);
    }

    /// Since when it has been idle, if it is.
    pub(crate) fn idle_since(&self) -> Option<Instant> {
        self.idle_at().filter(|at| *at <= Instant::now())
    }

    /// Since when it has been idle, or from when on it will be, if its client goes on to take nothing. `None` if it is for
    /// us to go on.
    pub(crate) fn idle_at(&self) -> Option<Instant> {
        self.state().idle_at(self.borne)
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
            let again = now + limit.max(LEAST);
            let due = self.idle_at().map(|at| at.max(from) + limit);
            match due {
                Some(due) if due <= now => return,
                Some(due) => sleep_until(due.min(again)).await,
                None => sleep_until(again).await,
            }
        }
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state();
        let now = Instant::now();
        let is_idle = |state: &State| state.idle_at(self.borne).is_some_and(|at| at <= now);
        let was_idle = is_idle(&state);
        change(&mut state);
        if is_idle(&state) && !was_idle {
            state.since = now;
            drop(state);
            self.rested.notify_one();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // It holds whatever happened to who held it: nothing is left half done by what can fail.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What is longer ago than is borne is forgotten: others may share the connection with who gave it up.
    fn given_up_of_late(&self, borne: Option<Duration>) -> Duration {
        let of_late =
            self.given_up.filter(|(_, at)| borne.is_none_or(|borne| at.elapsed() < borne));
        of_late.map_or(Duration::ZERO, |(waited, _)| waited)
    }

    fn idle_at(&self, borne: Option<Duration>) -> Option<Instant> {
        if self.blocked {
            return None;
        }
        let mut at = self.since;
        for request in self.requests.values() {
            at = at.max(request.waits? + borne?);
        }
        Some(at)
    }
}

/// A request in flight, until it is dropped.
#[derive(Debug)]
pub(crate) struct InFlight {
    activity: Arc<Activity>,
    id: u64,
}

impl InFlight {
    /// There is something of the answer for the client to take.
    pub(crate) fn offer(&self) {
        self.change(|request, given_up| {
            let now = Instant::now();
            let waited = if request.touched { Duration::ZERO } else { given_up };
            request.waits.get_or_insert_with(|| now.checked_sub(waited).unwrap_or(now));
        });
    }

    /// It is for us to make more of the answer.
    pub(crate) fn make(&self) {
        self.change(|request, _| request.waits = None);
    }

    /// The client has taken something of the answer.
    pub(crate) fn take(&self) {
        self.change(|request, _| {
            request.touched = true;
            request.waits = request.waits.map(|_| Instant::now());
        });
    }

    /// The client does without the rest of the answer.
    pub(crate) fn give_up(&self) {
        self.activity.change(|state| {
            let waits = state.requests.get(&self.id).and_then(|request| request.waits);
            let waited = waits.map_or(Duration::ZERO, |since| since.elapsed());
            let longest = waited.max(state.given_up_of_late(self.activity.borne));
            state.given_up = Some((longest, Instant::now()));
        });
    }

    fn change(&self, change: impl FnOnce(&mut Request, Duration)) {
        self.activity.change(|state| {
            let given_up = state.given_up_of_late(self.activity.borne);
            if let Some(request) = state.requests.get_mut(&self.id) {
                change(request, given_up);
            }
        });
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.activity.change(|state| {
            state.requests.remove(&self.id);
        });
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);
    const BORNE: Duration = Duration::from_secs(300);
    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn it_is_idle_between_requests_and_once_the_client_has_taken_all() {
        let activity = Activity::new(Arc::default(), Some(BORNE));
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
        let activity = Activity::new(Arc::default(), Some(BORNE));
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

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_the_client_takes_nothing_of_counts_for_so_long_and_no_longer() {
        let activity = Activity::new(Arc::default(), Some(BORNE));
        let (one, other) = (activity.begin(), activity.begin());
        one.offer();
        sleep(2 * BORNE).await;
        assert_eq!(activity.idle_at(), None, "the other is still to be answered");
        other.offer();
        sleep(BORNE - SECOND).await;
        assert_eq!(activity.idle_since(), None);
        sleep(SECOND).await;
        assert_eq!(activity.idle_since(), Some(Instant::now()));
        one.take();
        assert_eq!(activity.idle_since(), None);
        assert_eq!(activity.idle_at(), Some(Instant::now() + BORNE));
        one.make();
        assert_eq!(activity.idle_at(), None, "the storage may take its time");
        let for_ever = Activity::new(Arc::default(), None);
        for_ever.begin().offer();
        let kept = for_ever.begin();
        kept.offer();
        assert_eq!(for_ever.idle_at(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_asked_for_instead_of_an_answer_that_was_given_up_has_waited_for_as_long() {
        let activity = Activity::new(Arc::default(), Some(BORNE));
        for _ in 0..3 {
            let stalled = activity.begin();
            stalled.offer();
            sleep(LIMIT).await;
            stalled.give_up();
        }
        let next = activity.begin();
        next.offer();
        assert_eq!(activity.idle_at(), Some(Instant::now() + BORNE - 3 * LIMIT));
        next.take();
        assert_eq!(activity.idle_at(), Some(Instant::now() + BORNE));
        drop(next);
        sleep(BORNE).await;
        let later = activity.begin();
        later.offer();
        assert_eq!(activity.idle_at(), Some(Instant::now() + BORNE), "it is forgotten");
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_overdue_in_time_though_an_answer_is_given_up_that_would_have_waited_longer() {
        let activity = Activity::new(Arc::default(), Some(BORNE));
        let stalled = activity.begin();
        stalled.offer();
        let begun = Instant::now();
        let given_up = async {
            sleep(SECOND).await;
            drop(stalled);
        };
        tokio::join!(activity.overdue(LIMIT, begun), given_up);
        assert_eq!(begun.elapsed(), LIMIT + SECOND);
    }
}
