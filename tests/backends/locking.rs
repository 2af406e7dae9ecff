//! `Backend::lock`: who may hold at the same time, and when a lock is free again.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Poll;

use futures::poll;
use registry_store::backend::{Backend, LockGuard, LockMode};
use registry_tests::backends::Fixture;
use registry_tests::polls::drop_after_polls;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, yield_now};

use crate::common::{assert_nothing_is_left, key};

use LockMode::{Exclusive, Shared, ToDelete};

pub(crate) async fn lock(backend: &dyn Backend, scope: &str, mode: LockMode) -> LockGuard {
    backend.lock(&key(scope), mode).await.unwrap()
}

/// Somebody who wants a lock, and whether they have it.
pub(crate) struct Waiter {
    has_it: Arc<AtomicBool>,
    task: JoinHandle<LockGuard>,
}

impl Waiter {
    /// Begins to wait, and has had its chances when this returns: it has asked once, and another lock was taken
    /// in the same way many times since.
    pub(crate) async fn begin(
        backend: &Arc<dyn Backend>,
        scope: &'static str,
        mode: LockMode,
    ) -> Self {
        let has_it = Arc::new(AtomicBool::new(false));
        let (asked, has_asked) = oneshot::channel();
        let task = tokio::spawn({
            let (backend, has_it) = (backend.clone(), has_it.clone());
            async move {
                let waiting = async {
                    let guard = lock(&*backend, scope, mode).await;
                    has_it.store(true, Ordering::SeqCst);
                    guard
                };
                let mut waiting = pin!(waiting);
                let first = poll!(waiting.as_mut());
                asked.send(()).unwrap();
                match first {
                    Poll::Ready(guard) => guard,
                    Poll::Pending => waiting.await,
                }
            }
        });
        has_asked.await.unwrap();
        for _ in 0..20 {
            drop(lock(&**backend, "some/where/else", Exclusive).await);
            yield_now().await;
        }
        Self { has_it, task }
    }

    pub(crate) fn waits(&self) -> bool {
        !self.has_it.load(Ordering::SeqCst)
    }

    pub(crate) async fn gets_it(self) -> LockGuard {
        self.task.await.unwrap()
    }

    pub(crate) fn gives_up(self) {
        self.task.abort();
    }
}

pub(crate) async fn those_that_share_hold_together(fixture: &Fixture) {
    let backend = &*fixture.backend;
    let held = [
        lock(backend, "a", Shared).await,
        lock(backend, "a", Shared).await,
        lock(backend, "a", Shared).await,
    ];
    drop(held);
}

pub(crate) async fn an_exclusive_holder_is_alone(fixture: &Fixture) {
    let held = lock(&*fixture.backend, "a", Exclusive).await;
    let waiter = Waiter::begin(&fixture.backend, "a", Exclusive).await;
    assert!(waiter.waits());
    drop(held);
    drop(waiter.gets_it().await);
}

pub(crate) async fn who_deletes_is_alone(fixture: &Fixture) {
    for mode in [Shared, Exclusive, ToDelete] {
        let held = lock(&*fixture.backend, "a", ToDelete).await;
        let waiter = Waiter::begin(&fixture.backend, "a", mode).await;
        assert!(waiter.waits());
        drop(held);
        let held = waiter.gets_it().await;
        let waiter = Waiter::begin(&fixture.backend, "a", ToDelete).await;
        assert!(waiter.waits());
        drop(held);
        drop(waiter.gets_it().await);
    }
}

pub(crate) async fn an_exclusive_holder_waits_for_those_that_share(fixture: &Fixture) {
    let one = lock(&*fixture.backend, "a", Shared).await;
    let other = lock(&*fixture.backend, "a", Shared).await;
    let waiter = Waiter::begin(&fixture.backend, "a", Exclusive).await;
    drop(one);
    assert!(waiter.waits());
    drop(other);
    drop(waiter.gets_it().await);
}

pub(crate) async fn those_that_share_wait_for_an_exclusive_holder(fixture: &Fixture) {
    let held = lock(&*fixture.backend, "a", Exclusive).await;
    let one = Waiter::begin(&fixture.backend, "a", Shared).await;
    let other = Waiter::begin(&fixture.backend, "a", Shared).await;
    assert!(one.waits() && other.waits());
    drop(held);
    let both = (one.gets_it().await, other.gets_it().await);
    drop(both);
}

pub(crate) async fn different_scopes_do_not_wait_for_each_other(fixture: &Fixture) {
    let backend = &*fixture.backend;
    let mut held = Vec::new();
    for scope in ["a", "b", "a-", "a.b", "A", "c/a"] {
        held.push(lock(backend, scope, Exclusive).await);
    }
}

pub(crate) async fn a_scope_below_another_is_another(fixture: &Fixture) {
    let backend = &*fixture.backend;
    let above = lock(backend, "a", Exclusive).await;
    let below = lock(backend, "a/b", Exclusive).await;
    let deeper = lock(backend, "a/b/c", Exclusive).await;
    drop((above, below, deeper));
}

pub(crate) async fn a_lock_is_free_when_its_guard_is_dropped(fixture: &Fixture) {
    for mode in [Exclusive, Shared, Exclusive, Exclusive, Shared, Shared] {
        drop(lock(&*fixture.backend, "a", mode).await);
        drop(lock(&*fixture.reopen(), "a", mode).await);
    }
}

pub(crate) async fn a_waiter_that_gave_up_holds_nothing(fixture: &Fixture) {
    for mode in [Exclusive, Shared] {
        for polls in 0..4 {
            let held = lock(&*fixture.backend, "a", Exclusive).await;
            let waiter = tokio::spawn({
                let backend = fixture.backend.clone();
                async move { drop_after_polls(polls, lock(&*backend, "a", mode)).await }
            });
            yield_now().await;
            drop(held);
            drop(waiter.await.unwrap());
            drop(lock(&*fixture.backend, "a", Exclusive).await);
        }
    }
}

pub(crate) async fn many_holders_are_never_two_at_once(fixture: &Fixture) {
    let inside = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (backend, inside) = (fixture.backend.clone(), inside.clone());
            tokio::spawn(async move {
                for _ in 0..20 {
                    let guard = lock(&*backend, "a", Exclusive).await;
                    assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                    yield_now().await;
                    assert_eq!(inside.fetch_sub(1, Ordering::SeqCst), 1);
                    drop(guard);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

pub(crate) async fn a_lock_is_not_an_object(fixture: &Fixture) {
    let held = lock(&*fixture.backend, "a/b", Exclusive).await;
    assert_nothing_is_left(fixture).await;
    drop(held);
    assert_nothing_is_left(fixture).await;
}
