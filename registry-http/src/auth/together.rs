//! [`Together`]: what several want to know at the same time is found out once.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared, WeakShared};

/// What is found out, for all who wait for it.
type Answer<V> = Shared<BoxFuture<'static, V>>;

/// By what it is about: a number that tells it from an earlier one, and what is found out.
type UnderWay<K, V> = HashMap<K, (u64, WeakShared<BoxFuture<'static, V>>)>;

/// What is being found out. The clones have the same.
pub(super) struct Together<K, V> {
    under_way: Arc<Mutex<State<K, V>>>,
}

struct State<K, V> {
    next: u64,
    all: UnderWay<K, V>,
}

/// Is over when it is dropped: when the answer is there, or nobody waits for it any more.
struct Begun<K: Eq + Hash, V> {
    under_way: Arc<Mutex<State<K, V>>>,
    about: K,
    id: u64,
}

impl<K, V> Together<K, V>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Clone + Send + Sync + 'static,
{
    pub(super) fn new() -> Self {
        let state = State { next: 0, all: HashMap::new() };
        Self { under_way: Arc::new(Mutex::new(state)) }
    }

    /// The answer to what is being asked `about`; if nobody does yet, `ask` begins to. It goes on while anybody waits.
    pub(super) fn ask(&self, about: K, ask: impl FnOnce() -> BoxFuture<'static, V>) -> Answer<V> {
        let mut state = lock(&self.under_way);
        if let Some(answer) = state.all.get(&about).and_then(|(_, answer)| answer.upgrade()) {
            return answer;
        }
        let id = state.next;
        state.next += 1;
        let begun = Begun { under_way: Arc::clone(&self.under_way), about: about.clone(), id };
        let asking = ask();
        let answer = async move {
            let _begun = begun;
            asking.await
        };
        let answer = answer.boxed().shared();
        if let Some(weak) = answer.downgrade() {
            state.all.insert(about, (id, weak));
        }
        answer
    }
}

impl<K, V> Clone for Together<K, V> {
    fn clone(&self) -> Self {
        Self { under_way: Arc::clone(&self.under_way) }
    }
}

impl<K: Eq + Hash, V> Drop for Begun<K, V> {
    fn drop(&mut self) {
        let mut state = lock(&self.under_way);
        // Another may have begun since nobody waited for this one any more.
        if state.all.get(&self.about).is_some_and(|(id, _)| *id == self.id) {
            state.all.remove(&self.about);
        }
    }
}

fn lock<K, V>(under_way: &Mutex<State<K, V>>) -> MutexGuard<'_, State<K, V>> {
    under_way.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::future::join_all;
    use tokio::sync::Semaphore;

    use super::*;

    #[tokio::test]
    async fn who_asks_the_same_meanwhile_waits_for_the_one_answer() {
        let (asked, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
        let together = Together::new();
        let ask = |about: &'static str| {
            let (asked, gate) = (Arc::clone(&asked), Arc::clone(&gate));
            together.ask(about, || {
                let finding = async move {
                    let _permit = gate.acquire().await.unwrap();
                    asked.fetch_add(1, Ordering::Relaxed);
                    about
                };
                finding.boxed()
            })
        };
        // The first leaves, and the others go on.
        let mut first = ask("a");
        assert!((&mut first).now_or_never().is_none());
        let others = join_all((0..300).map(|at| ask(if at % 2 == 0 { "a" } else { "b" })));
        drop(first);
        gate.add_permits(1);
        assert!(others.await.iter().enumerate().all(|(at, it)| *it == ["a", "b"][at % 2]));
        assert_eq!(asked.load(Ordering::Relaxed), 2);
        assert_eq!(ask("a").await, "a");
        assert_eq!(asked.load(Ordering::Relaxed), 3, "what was is not remembered");
        assert!(lock(&together.under_way).all.is_empty());
        // When all have left, nothing is left of it.
        gate.acquire().await.unwrap().forget();
        drop(ask("a"));
        assert!(lock(&together.under_way).all.is_empty());
    }
}
