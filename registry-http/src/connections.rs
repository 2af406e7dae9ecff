//! [`Connections`]: the tasks of a listener's connections, and which of them gives way to the next.

use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::timeout;
use tracing::{debug, error, warn};

use crate::activity::Activity;

/// How a connection ends.
pub(crate) type Outcome = Result<(), Box<dyn Error + Send + Sync>>;

/// Those that have not ended.
#[derive(Debug)]
pub(crate) struct Connections {
    most: Option<usize>,
    tasks: JoinSet<Outcome>,
    activities: HashMap<Id, Arc<Activity>>,
    rested: Arc<Notify>,
    told_of: bool,
}

impl Connections {
    /// None yet, and `most` at a time.
    pub(crate) fn new(most: Option<usize>) -> Self {
        Self {
            most: most.map(|most| most.max(1)),
            tasks: JoinSet::new(),
            activities: HashMap::new(),
            rested: Arc::default(),
            told_of: false,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.tasks.len()
    }

    /// What goes on on a connection that begins now.
    pub(crate) fn activity(&self) -> Arc<Activity> {
        Activity::new(Arc::clone(&self.rested))
    }

    pub(crate) fn spawn(
        &mut self,
        activity: Arc<Activity>,
        connection: impl Future<Output = Outcome> + Send + 'static,
    ) {
        let id = self.tasks.spawn(connection).id();
        self.activities.insert(id, activity);
    }

    /// Until one has ended; none if there is none.
    pub(crate) async fn ended(&mut self) -> Option<()> {
        let ended = self.tasks.join_next_with_id().await?;
        let id = match &ended {
            Ok((id, _)) => *id,
            Err(error) => error.id(),
        };
        self.activities.remove(&id);
        report(ended.map(|(_, outcome)| outcome));
        Some(())
    }

    /// Whether there are as many as may be.
    pub(crate) fn is_full(&self) -> bool {
        self.most.is_some_and(|most| self.len() >= most)
    }

    /// Asks the one that has been idle for longest to end, if any is idle. Whatever is in flight stays untouched.
    pub(crate) fn make_room(&mut self) {
        let idle = self.activities.values().filter(|it| !it.was_told());
        let longest = idle.filter_map(|it| Some((it.idle_since()?, it))).min_by_key(|it| it.0);
        if let Some((_, activity)) = longest {
            activity.tell();
        }
        if !std::mem::replace(&mut self.told_of, true) {
            warn!(
                connections = self.len(),
                "as many connections as may be: those that are idle give way, and with none idle the next one waits"
            );
        }
    }

    /// Until it is worth to try that again: one became idle, or the last one asked takes its time.
    pub(crate) fn rest(&self) -> impl Future<Output = ()> + Send + 'static {
        const A_WHILE: Duration = Duration::from_millis(100);
        let rested = Arc::clone(&self.rested);
        async move {
            let _ = timeout(A_WHILE, rested.notified()).await;
        }
    }

    /// Asks all of them to end as soon as their requests are answered.
    pub(crate) fn end(&self) {
        for activity in self.activities.values() {
            activity.tell();
        }
    }
}

fn report(ended: Result<Outcome, JoinError>) {
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(error, "a connection ended early"),
        Err(error) => error!(%error, "a connection's task failed"),
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    /// A connection that ends when it is asked to.
    fn add(connections: &mut Connections) -> Arc<Activity> {
        let activity = connections.activity();
        let (told, ends) = (Arc::clone(&activity), Arc::clone(&activity));
        connections.spawn(activity, async move {
            told.told().await;
            Ok(())
        });
        ends
    }

    #[tokio::test(start_paused = true)]
    async fn the_one_that_is_idle_for_longest_gives_way_and_a_busy_one_never() {
        let mut connections = Connections::new(Some(3));
        let mut all = Vec::new();
        for _ in 0..3 {
            assert!(!connections.is_full());
            all.push(add(&mut connections));
            sleep(Duration::from_secs(1)).await;
        }
        assert!(connections.is_full());
        let busy = all[0].begin();
        drop(all[1].begin());
        connections.make_room();
        assert_eq!(all.iter().map(|it| it.was_told()).collect::<Vec<_>>(), [false, false, true]);
        connections.ended().await.unwrap();
        assert!(!connections.is_full());
        connections.make_room();
        connections.ended().await.unwrap();
        connections.make_room();
        assert!(!all[0].was_told(), "a request in flight is not cut");
        drop(busy);
        connections.make_room();
        connections.ended().await.unwrap();
        assert_eq!(connections.ended().await, None);
    }
}
