//! [`Turns`]: who may work on an upload session, when several requests of one process want to.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard, watch};

use crate::backend::Key;

/// Gives the newest request on a session its turn and asks the one before it to stop.
///
/// A client whose connection broke comes back while the server may still wait for the rest of the old body;
/// the newer request is the one somebody waits for.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    sessions: Mutex<HashMap<Key, Weak<Session>>>,
}

#[derive(Debug)]
struct Session {
    held: Arc<AsyncMutex<()>>,
    /// The number of the newest request.
    newest: watch::Sender<u64>,
}

/// The right to work on a session, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    number: u64,
    newest: watch::Receiver<u64>,
    _held: OwnedMutexGuard<()>,
    _session: Arc<Session>,
}

/// A newer request has come.
#[derive(Debug)]
pub(crate) struct Superseded;

impl Turns {
    /// Asks the request that works on the session to stop, and waits until it has.
    pub(crate) async fn take(&self, session: &Key) -> Result<Turn, Superseded> {
        let session = self.of(session);
        let mut number = 0;
        session.newest.send_modify(|newest| {
            *newest += 1;
            number = *newest;
        });
        let newest = session.newest.subscribe();
        let held = session.held.clone().lock_owned().await;
        let turn = Turn { number, newest, _held: held, _session: session };
        if turn.is_newest() { Ok(turn) } else { Err(Superseded) }
    }

    fn of(&self, key: &Key) -> Arc<Session> {
        // The map is whole after every statement, so a panic elsewhere has not broken it.
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = sessions.get(key).and_then(Weak::upgrade) {
            return session;
        }
        sessions.retain(|_, session| session.strong_count() > 0);
        let session = Arc::new(Session { held: Arc::default(), newest: watch::Sender::new(0) });
        sessions.insert(key.clone(), Arc::downgrade(&session));
        session
    }
}

impl Turn {
    /// Completes when a newer request has come.
    pub(crate) async fn superseded(&self) -> Superseded {
        let number = self.number;
        let mut newest = self.newest.clone();
        // The sender lives as long as this does, so waiting cannot fail.
        let _ = newest.wait_for(|newest| *newest != number).await;
        Superseded
    }

    fn is_newest(&self) -> bool {
        *self.newest.borrow() == self.number
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;

    fn key() -> Key {
        "a/b".parse().unwrap()
    }

    #[test]
    fn a_newer_request_stops_the_older_and_then_has_its_turn() {
        let (turns, key) = (Turns::default(), key());
        let first = turns.take(&key).now_or_never().unwrap().unwrap();
        assert!(first.superseded().now_or_never().is_none());

        let mut second = Box::pin(turns.take(&key));
        assert!(second.as_mut().now_or_never().is_none());
        assert!(first.superseded().now_or_never().is_some());

        drop(first);
        assert!(second.now_or_never().unwrap().is_ok());
    }

    #[test]
    fn of_those_that_wait_only_the_newest_has_a_turn() {
        let (turns, key) = (Turns::default(), key());
        let first = turns.take(&key).now_or_never().unwrap().unwrap();
        let mut second = Box::pin(turns.take(&key));
        assert!(second.as_mut().now_or_never().is_none());
        let mut third = Box::pin(turns.take(&key));
        assert!(third.as_mut().now_or_never().is_none());

        drop(first);
        assert!(second.now_or_never().unwrap().is_err());
        assert!(third.now_or_never().unwrap().is_ok());
    }

    #[test]
    fn sessions_nobody_works_on_are_forgotten() {
        let turns = Turns::default();
        drop(turns.take(&key()).now_or_never().unwrap().unwrap());
        let _other = turns.take(&"c".parse().unwrap()).now_or_never().unwrap().unwrap();
        assert_eq!(turns.sessions.lock().unwrap().len(), 1);
    }
}
