//! [`Turns`]: who may do next what costs much, so that nobody takes it all.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};
use tracing::warn;

use crate::peer::Peer;

/// How many may wait.
const PLACES: usize = 256;

/// How long one waits at most.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// How often the log is told, at most, that some were turned away.
const TELLING: Duration = Duration::from_secs(60);

/// Turns at something that only so many do at a time. The clones are of the same.
///
/// Those who wait have theirs by address, one of each after the other: who asks for many waits for his own. When all places
/// are taken, the address that has the most of them loses its latest to one that has fewer.
#[derive(Clone)]
pub(super) struct Turns {
    queue: Arc<Mutex<Queue>>,
}

struct Queue {
    free: usize,
    /// In the order of their next turns; in each somebody waits.
    lines: VecDeque<Line>,
    next: u64,
    turned_away: u64,
    /// When the log was told of those.
    told: Option<Instant>,
}

/// Those of one address, in the order in which they came.
struct Line {
    of: Option<IpAddr>,
    waiting: VecDeque<(u64, oneshot::Sender<Turn>)>,
}

/// A turn, over when it is dropped; the next one has it then.
pub(super) struct Turn(Option<Arc<Mutex<Queue>>>);

/// A place in a line, free again when it is dropped.
struct Place<'t> {
    turns: &'t Turns,
    id: u64,
    turn: oneshot::Receiver<Turn>,
}

impl Turns {
    /// So many at a time.
    pub(super) fn new(at_a_time: usize) -> Self {
        let (lines, next, turned_away, told) = (VecDeque::new(), 0, 0, None);
        let queue = Queue { free: at_a_time, lines, next, turned_away, told };
        Self { queue: Arc::new(Mutex::new(queue)) }
    }

    /// One for this peer. `None` if too many wait, or it does not come soon. Peers without an address are as of one.
    pub(super) async fn take(&self, peer: Option<&Peer>) -> Option<Turn> {
        let taken = match self.line_up(peer.and_then(address)) {
            Some(mut place) => timeout(PATIENCE, &mut place.turn).await.ok().and_then(Result::ok),
            None => None,
        };
        if taken.is_none() {
            self.queue().turn_away();
        }
        taken
    }

    /// Where a turn comes to; at once, if one is free. A turn is free only while nobody waits.
    fn line_up(&self, of: Option<IpAddr>) -> Option<Place<'_>> {
        let mut queue = self.queue();
        let id = queue.next;
        queue.next += 1;
        let (sender, turn) = oneshot::channel();
        if let Some(left) = queue.free.checked_sub(1) {
            queue.free = left;
            drop(queue);
            // Were it not taken, it would be free again.
            let _ = sender.send(Turn(Some(Arc::clone(&self.queue))));
        } else if queue.has_room_for(of) {
            queue.line_up(of, id, sender);
        } else {
            return None;
        }
        Some(Place { turns: self, id, turn })
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        lock(&self.queue)
    }
}

impl Queue {
    /// Whether one more of this address may wait. The latest of who has more may go for it.
    fn has_room_for(&mut self, of: Option<IpAddr>) -> bool {
        let length = |line: &Line| line.waiting.len();
        if self.lines.iter().map(length).sum::<usize>() < PLACES {
            return true;
        }
        let has = self.lines.iter().find(|line| line.of == of).map_or(0, length);
        let longest = self.lines.iter_mut().max_by_key(|line| line.waiting.len());
        // Who loses one has as many left as the other has then.
        longest.filter(|line| line.waiting.len() > has + 1).is_some_and(|line| {
            line.waiting.pop_back();
            true
        })
    }

    fn line_up(&mut self, of: Option<IpAddr>, id: u64, sender: oneshot::Sender<Turn>) {
        match self.lines.iter_mut().find(|line| line.of == of) {
            Some(line) => line.waiting.push_back((id, sender)),
            None => self.lines.push_back(Line { of, waiting: [(id, sender)].into() }),
        }
    }

    /// Whose turn it is.
    fn next(&mut self) -> Option<oneshot::Sender<Turn>> {
        let mut line = self.lines.pop_front()?;
        let next = line.waiting.pop_front().map(|(_, sender)| sender);
        if !line.waiting.is_empty() {
            self.lines.push_back(line);
        }
        next
    }

    fn leave(&mut self, id: u64) {
        for line in &mut self.lines {
            line.waiting.retain(|(waiting, _)| *waiting != id);
        }
        self.lines.retain(|line| !line.waiting.is_empty());
    }

    fn turn_away(&mut self) {
        self.turned_away += 1;
        if self.told.is_none_or(|told| told.elapsed() >= TELLING) {
            self.told = Some(Instant::now());
            let so_far = self.turned_away;
            warn!(so_far, "more passwords than can be verified: some are told to come again");
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(queue) = self.0.take() else { return };
        let mut waiting = lock(&queue);
        while let Some(next) = waiting.next() {
            match next.send(Self(Some(Arc::clone(&queue)))) {
                Ok(()) => return,
                // Whoever waited has gone just now; it is not over once more.
                Err(mut unwanted) => unwanted.0 = None,
            }
        }
        waiting.free += 1;
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.turns.queue().leave(self.id);
    }
}

fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

/// By which somebody is counted: of IPv6 the first half, which is what one host is given at least.
fn address(peer: &Peer) -> Option<IpAddr> {
    match peer {
        Peer::Tcp(it) => Some(match it.ip().to_canonical() {
            IpAddr::V6(it) => Ipv6Addr::from(u128::from(it) >> 64 << 64).into(),
            it @ IpAddr::V4(_) => it,
        }),
        Peer::Unix => None,
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use futures::future::BoxFuture;

    use super::*;

    type Waiting = BoxFuture<'static, Option<Turn>>;

    /// Who asks for a turn, as far as he comes without waiting.
    fn ask(turns: &Turns, address: &str) -> (Waiting, Option<Option<Turn>>) {
        let (turns, peer) = (turns.clone(), Peer::Tcp(address.parse().unwrap()));
        let mut waiting = async move { turns.take(Some(&peer)).await }.boxed();
        let now = waiting.as_mut().now_or_never();
        (waiting, now)
    }

    fn waits(turns: &Turns, address: &str) -> Waiting {
        let (waiting, now) = ask(turns, address);
        assert!(now.is_none(), "{address} waits");
        waiting
    }

    fn has_turn(waiting: &mut Waiting) -> Option<Turn> {
        waiting.as_mut().now_or_never().map(|turn| turn.expect("it was not turned away"))
    }

    /// How many turns are free, and how many lines there are.
    fn left(turns: &Turns) -> (usize, usize) {
        let queue = turns.queue();
        (queue.free, queue.lines.len())
    }

    const MANY: &str = "192.0.2.1:1";
    const FEW: &str = "[2001:db8::1]:1";

    #[tokio::test(start_paused = true)]
    async fn addresses_have_their_turns_one_after_the_other() {
        let turns = Turns::new(1);
        let first = ask(&turns, MANY).1.flatten().unwrap();
        let mut many: Vec<_> = (0..3).map(|_| waits(&turns, MANY)).collect();
        // The same one, written as IPv6.
        many.push(waits(&turns, "[::ffff:192.0.2.1]:2"));
        let mut few = waits(&turns, FEW);
        drop(first);
        assert!(has_turn(&mut few).is_none());
        let turn = has_turn(&mut many[0]).unwrap();
        drop(turn);
        let turn = has_turn(&mut few).unwrap();
        // Who has gone is passed over.
        drop(many.remove(1));
        drop(turn);
        for waiting in &mut many[1..] {
            drop(has_turn(waiting).unwrap());
        }
        assert_eq!(left(&turns), (1, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn when_no_place_is_left_who_has_most_loses_one_and_nobody_comes_to_have_more_by_that() {
        let turns = Turns::new(1);
        let first = ask(&turns, MANY).1.flatten().unwrap();
        let mut many: Vec<_> = (0..PLACES).map(|_| waits(&turns, MANY)).collect();
        assert!(ask(&turns, MANY).1.unwrap().is_none());
        // Those of a /64 are one.
        let mut few: Vec<_> =
            ["[2001:db8::1]:1", "[2001:db8::2]:1"].map(|it| waits(&turns, it)).into();
        let turned_away = |many: &mut [Waiting]| {
            let latest = many.iter_mut().rev().map(|it| it.as_mut().now_or_never());
            latest.take_while(|it| matches!(it, Some(None))).count()
        };
        assert_eq!(turned_away(&mut many), few.len());
        many.truncate(PLACES - few.len());
        few.extend((2..PLACES / 2).map(|_| waits(&turns, FEW)));
        assert!(ask(&turns, FEW).1.unwrap().is_none());
        assert!(ask(&turns, MANY).1.unwrap().is_none());
        drop((first, many, few));
        assert_eq!(left(&turns), (1, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_longer_than_is_borne_and_what_is_given_to_who_has_gone_is_not_lost() {
        let turns = Turns::new(1);
        let first = ask(&turns, MANY).1.flatten().unwrap();
        let begun = Instant::now();
        assert!(waits(&turns, FEW).await.is_none());
        assert!((PATIENCE..PATIENCE * 2).contains(&begun.elapsed()));
        assert_eq!(turns.queue().lines.len(), 0);
        let given = waits(&turns, FEW);
        drop(first);
        drop(given);
        assert!(ask(&turns, MANY).1.flatten().is_some());
    }
}
