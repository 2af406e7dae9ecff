//! [`Connections`]: the tasks of a listener's connections, and which of them gives way to the next.

use std::collections::HashMap;
use std::error::Error;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};
use tracing::{debug, error, warn};

use crate::activity::Activity;

/// How a connection ends.
pub(crate) type Outcome = Result<(), Box<dyn Error + Send + Sync>>;

/// Those that have not ended.
#[derive(Debug)]
pub(crate) struct Connections {
    most: Option<usize>,
    /// For how long a client may take nothing of an answer.
    borne: Option<Duration>,
    tasks: JoinSet<Outcome>,
    activities: HashMap<Id, Arc<Activity>>,
    rested: Arc<Notify>,
    told_of: bool,
}

impl Connections {
    /// None yet, and `most` at a time; see [`Activity`] for what is `borne`.
    pub(crate) fn new(most: Option<usize>, borne: Option<Duration>) -> Self {
        Self {
            most: most.map(|most| most.max(1)),
            borne,
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
        Activity::new(Arc::clone(&self.rested), self.borne)
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

    /// Until there is room for one more. For it the connection that has been idle for longest is asked to end, and then
    /// the next, should that one take its time. What is in flight stays untouched: if no connection is idle, it takes
    /// until one is, or ends.
    pub(crate) async fn room(&mut self) {
        const ITS_TIME: Duration = Duration::from_millis(10);
        while self.most.is_some_and(|most| self.tasks.len() >= most) {
            let asked = self.ask_longest_idle();
            let rested = Arc::clone(&self.rested);
            let next = if asked { Some(Instant::now() + ITS_TIME) } else { self.next_idle_at() };
            tokio::select! {
                biased;
                Some(()) = self.ended() => {}
                () = rested.notified(), if !asked => {}
                () = at(next) => {}
            }
        }
    }

    /// When the next of those that were not asked will be idle, if its client goes on to take nothing; or when to look again,
    /// as nobody is told that an answer begins to wait.
    fn next_idle_at(&self) -> Option<Instant> {
        const AGAIN: Duration = Duration::from_secs(10);
        let again = self.borne.map(|borne| Instant::now() + borne.min(AGAIN));
        let untold = self.activities.values().filter(|it| !it.was_told());
        untold.filter_map(|it| it.idle_at()).chain(again).min()
    }

    /// Whether there was one to ask.
    fn ask_longest_idle(&mut self) -> bool {
        if !std::mem::replace(&mut self.told_of, true) {
            let connections = self.tasks.len();
            warn!(
                connections,
                "as many connections as may be: those that are idle give way, and with none idle the next one waits"
            );
        }
        let idle = self.activities.values().filter(|it| !it.was_told());
        let longest = idle.filter_map(|it| Some((it.idle_since()?, it))).min_by_key(|it| it.0);
        longest.is_some_and(|(_, activity)| activity.tell())
    }

    /// Asks all of them to end as soon as their requests are answered.
    pub(crate) fn end(&self) {
        for activity in self.activities.values() {
            activity.tell();
        }
    }

    /// Ends those that are left at once, and tells how many they were.
    pub(crate) async fn cut(&mut self) -> usize {
        let left = self.tasks.len();
        self.tasks.shutdown().await;
        self.activities.clear();
        left
    }
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => pending().await,
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
    use tokio::time::{sleep, timeout};

    use super::*;
    use crate::activity::InFlight;

    const BORNE: Duration = Duration::from_secs(300);

    /// A connection that ends when it is asked to, if `willing`.
    fn add(connections: &mut Connections, willing: bool) -> Arc<Activity> {
        let activity = connections.activity();
        let (told, kept) = (Arc::clone(&activity), Arc::clone(&activity));
        connections.spawn(activity, async move {
            told.told().await;
            if !willing {
                pending::<()>().await;
            }
            Ok(())
        });
        kept
    }

    fn were_told(all: &[Arc<Activity>]) -> Vec<bool> {
        all.iter().map(|it| it.was_told()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn the_one_that_is_idle_for_longest_gives_way_and_a_busy_one_never() {
        let mut connections = Connections::new(Some(3), Some(BORNE));
        let mut all = Vec::new();
        for _ in 0..3 {
            connections.room().await;
            all.push(add(&mut connections, true));
            sleep(Duration::from_secs(1)).await;
        }
        assert_eq!(were_told(&all), [false; 3], "there was room");
        let busy = all[0].begin();
        drop(all[1].begin());
        connections.room().await;
        assert_eq!(were_told(&all), [false, false, true]);
        all.push(add(&mut connections, true));
        let busy_too = [all[1].begin(), all[3].begin()];
        let waited = timeout(Duration::from_hours(24), connections.room()).await;
        assert!(waited.is_err(), "a request in flight is not cut");
        drop(busy);
        connections.room().await;
        assert_eq!(were_told(&all), [true, false, true, false]);
        drop(busy_too);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_becomes_idle_while_room_is_wanted_gives_way() {
        let mut connections = Connections::new(Some(1), Some(BORNE));
        let busy = add(&mut connections, true).begin();
        let done = async {
            sleep(Duration::from_secs(7)).await;
            drop(busy);
        };
        tokio::join!(connections.room(), done);
        assert_eq!(connections.len(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn one_whose_client_takes_nothing_of_an_answer_gives_way_in_time() {
        let mut connections = Connections::new(Some(2), Some(BORNE));
        let transfers = [add(&mut connections, true).begin(), add(&mut connections, true).begin()];
        let begun = Instant::now();
        transfers.iter().for_each(InFlight::offer);
        let taking = async {
            sleep(BORNE / 2).await;
            transfers[0].take();
        };
        let room = timeout(2 * BORNE, connections.room());
        let (made, ()) = tokio::join!(room, taking);
        made.expect("it gives way");
        assert_eq!((begun.elapsed(), connections.len()), (BORNE, 1));
        connections.spawn(connections.activity(), pending());
        connections.room().await;
        assert_eq!((begun.elapsed(), connections.len()), (BORNE * 3 / 2, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn so_does_one_whose_answer_begins_to_wait_while_somebody_waits_for_room() {
        let mut connections = Connections::new(Some(1), Some(BORNE));
        let transfer = add(&mut connections, true).begin();
        let begun = Instant::now();
        let room = timeout(2 * BORNE, connections.room());
        let (made, ()) = tokio::join!(room, async {
            sleep(Duration::from_secs(1)).await;
            transfer.offer();
        });
        made.expect("it gives way");
        assert_eq!(begun.elapsed(), BORNE + Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_takes_its_time_to_end_holds_nobody_up() {
        let mut connections = Connections::new(Some(2), Some(BORNE));
        let unwilling = add(&mut connections, false);
        sleep(Duration::from_secs(1)).await;
        let willing = add(&mut connections, true);
        connections.room().await;
        assert!(unwilling.was_told() && willing.was_told());
        assert_eq!(connections.len(), 1);
    }
}
