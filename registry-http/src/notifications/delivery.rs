//! [`Delivery`]: tells one endpoint what is in its queue, one event after the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use registry_store::options::Random;
use registry_store::store::Store;
use tokio::sync::Notify;
use tokio::time::sleep;
use tracing::{debug, error, info, warn};

use super::client::Transport;
use super::endpoint::Endpoint;
use super::note::Note;
use super::queue::Queue;
use super::references;
use super::stats::Counters;

/// The telling of one endpoint.
pub(super) struct Delivery<T> {
    pub(super) endpoint: Endpoint,
    pub(super) transport: T,
    pub(super) queue: Arc<Queue>,
    pub(super) counters: Arc<Counters>,
    pub(super) progress: Arc<Progress>,
    /// Where manifests are looked at for what they refer to, if that is to be told.
    pub(super) references: Option<Store>,
    pub(super) random: Arc<dyn Random>,
}

/// How it goes, for who waits for it.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// The last try failed.
    is_failing: AtomicBool,
    /// A try was made.
    tried: Notify,
}

impl Progress {
    pub(super) fn is_failing(&self) -> bool {
        self.is_failing.load(Ordering::Acquire)
    }

    /// The next try has been made. For one at a time.
    pub(super) async fn tried(&self) {
        self.tried.notified().await;
    }

    fn tell(&self, is_failing: bool) {
        self.is_failing.store(is_failing, Ordering::Release);
        self.tried.notify_one();
    }
}

impl<T: Transport> Delivery<T> {
    /// Goes on until it is dropped. An event leaves the queue when the endpoint has accepted it.
    pub(super) async fn run(self) {
        let name = &self.endpoint.name;
        loop {
            let record = self.queue.front().await;
            match serde_json::from_str(&record.text) {
                Ok(note) => self.deliver(&note).await,
                Err(error) => {
                    error!(endpoint = %name, "an event in the queue cannot be read, and is left out: {error}");
                }
            }
            let dropped = self.queue.delivered(record.number);
            if dropped > 0 {
                warn!(endpoint = %name, dropped, "the queue is empty again; events were lost while it was full");
            }
            self.progress.tell(false);
        }
    }

    /// Tries until it is accepted.
    async fn deliver(&self, note: &Note) {
        let name = &self.endpoint.name;
        let mut failures = 0;
        while let Err(why) = self.attempt(note).await {
            failures += 1;
            debug!(endpoint = %name, failures, "it did not take an event: {why}");
            if failures == self.endpoint.threshold.max(1) {
                warn!(endpoint = %name, failures, "it takes no events: {why}; they wait in its queue");
            }
            self.progress.tell(true);
            sleep(self.pause(failures)).await;
        }
        if failures >= self.endpoint.threshold.max(1) {
            info!(endpoint = %name, failures, "it takes events again");
        }
    }

    async fn attempt(&self, note: &Note) -> Result<(), String> {
        let outcome = match self.document(note).await {
            Ok(document) => self.transport.post(document).await,
            Err(why) => Err(why),
        };
        match outcome {
            Ok(status) => {
                // As in Distribution: a redirect is an answer as good as any, and not followed.
                let accepted = (200..400).contains(&status);
                self.counters.answered(status, accepted);
                if accepted { Ok(()) } else { Err(format!("it answered {status}")) }
            }
            Err(why) => {
                self.counters.failed();
                Err(why)
            }
        }
    }

    async fn document(&self, note: &Note) -> Result<Bytes, String> {
        let envelope = self.endpoint.envelope;
        let mut found = Vec::new();
        if let Some(store) = self.references.as_ref().filter(|_| note.is_manifest)
            && let (Ok(repository), Ok(digest)) = (note.repository.parse(), note.digest.parse())
        {
            found = references::of_manifest(store, &repository, &digest, envelope)
                .await
                .map_err(|error| format!("cannot read what the manifest refers to: {error}"))?;
        }
        Ok(envelope.around(note, &found).into())
    }

    /// How long is waited after so many failures.
    fn pause(&self, failures: u32) -> Duration {
        let Endpoint { threshold, backoff, .. } = self.endpoint;
        let Some(doublings) = failures.checked_sub(threshold.max(1)) else {
            return Duration::ZERO;
        };
        let longest = backoff.max(Endpoint::LONGEST);
        let pause = backoff.saturating_mul(1 << doublings.min(20)).min(longest);
        // Many registries that one receiver fails at are not to come back to it at once.
        let chance = u32::from(self.random.bytes()[0]);
        pause + pause * chance / (4 * 255)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Mutex;

    use async_trait::async_trait;
    use registry_store::backend::MemoryBackend;
    use registry_store::options::StoreOptions;
    use tokio::time::{Instant, timeout};

    use super::*;
    use crate::notifications::endpoint::Address;
    use crate::notifications::queue::Limits;

    /// Answers as it is told to, then 200; and keeps when it was asked, and of what.
    struct Script {
        answers: Mutex<VecDeque<Result<u16, String>>>,
        seen: Arc<Mutex<Vec<(Duration, String)>>>,
        began: Instant,
    }

    #[async_trait]
    impl Transport for Script {
        async fn post(&self, document: Bytes) -> Result<u16, String> {
            let document: serde_json::Value = serde_json::from_slice(&document).unwrap();
            let id = document["events"][0]["id"].as_str().unwrap().to_owned();
            self.seen.lock().unwrap().push((self.began.elapsed(), id));
            self.answers.lock().unwrap().pop_front().unwrap_or(Ok(200))
        }
    }

    /// No chance at all.
    #[derive(Debug)]
    struct Zeroes;

    impl Random for Zeroes {
        fn bytes(&self) -> [u8; 16] {
            [0; 16]
        }
    }

    struct Scene {
        delivery: Option<Delivery<Script>>,
        queue: Arc<Queue>,
        counters: Arc<Counters>,
        seen: Arc<Mutex<Vec<(Duration, String)>>>,
    }

    impl Scene {
        fn new(answers: Vec<Result<u16, String>>, threshold: u32, events: &[&str]) -> Self {
            let (queue, _) = Queue::new(Limits { events: 10, bytes: 10_000 }, vec![], 1);
            let (queue, counters) = (Arc::new(queue), Arc::new(Counters::default()));
            for id in events {
                queue.add(format!("{{\"id\":\"{id}\"}}").into());
            }
            let seen = Arc::default();
            let transport = Script {
                answers: Mutex::new(answers.into()),
                seen: Arc::clone(&seen),
                began: Instant::now(),
            };
            let address = Address::parse("http://h.example").unwrap();
            let delivery = Delivery {
                endpoint: Endpoint { threshold, ..Endpoint::new("x", address) },
                transport,
                queue: Arc::clone(&queue),
                counters: Arc::clone(&counters),
                progress: Arc::default(),
                references: None,
                random: Arc::new(Zeroes),
            };
            Self { delivery: Some(delivery), queue, counters, seen }
        }

        /// Runs until all is delivered, and then some. Returns the seconds of each try and which event it was of.
        async fn tries(&mut self) -> Vec<(u64, String)> {
            let run = self.delivery.take().unwrap().run();
            assert!(timeout(Duration::from_hours(1), run).await.is_err());
            assert_eq!(self.queue.len(), 0);
            let seen = self.seen.lock().unwrap();
            seen.iter().map(|(at, id)| (at.as_secs(), id.clone())).collect()
        }
    }

    fn tries(expected: &[(u64, &str)]) -> Vec<(u64, String)> {
        expected.iter().map(|(at, id)| (*at, (*id).to_owned())).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn events_are_told_in_order_and_one_that_fails_holds_up_the_rest() {
        let answers = vec![Ok(204), Ok(500), Err("no".to_owned()), Ok(302), Ok(200)];
        let mut scene = Scene::new(answers, 10, &["a", "b", "c"]);
        let expected = tries(&[(0, "a"), (0, "b"), (0, "b"), (0, "b"), (0, "c")]);
        assert_eq!(scene.tries().await, expected);
        let stats = scene.counters.stats("x", 0);
        assert_eq!((stats.successes, stats.failures, stats.errors), (3, 1, 1));
        assert_eq!(stats.statuses, [(200, 1), (204, 1), (302, 1), (500, 1)].into());
    }

    #[tokio::test(start_paused = true)]
    async fn after_the_threshold_each_pause_is_twice_as_long_up_to_the_longest() {
        let mut scene = Scene::new(vec![Ok(503); 10], 3, &["a", "b"]);
        let at = scene.tries().await;
        let at: Vec<u64> = at.iter().map(|(at, _)| *at).collect();
        assert_eq!(at, [0, 0, 0, 1, 3, 7, 15, 31, 63, 123, 183, 183]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_read_is_left_out() {
        let mut scene = Scene::new(vec![], 3, &["a"]);
        scene.queue.add("{\"id\": 7}".into());
        scene.queue.add("{\"id\": \"b\", \"of_a_later_version\": 1}".into());
        assert_eq!(scene.tries().await, tries(&[(0, "a"), (0, "b")]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_manifest_that_is_gone_refers_to_nothing_and_is_told_of() {
        let mut scene = Scene::new(vec![], 3, &[]);
        let store = Store::new(Arc::new(MemoryBackend::new()), StoreOptions::default());
        scene.delivery.as_mut().unwrap().references = Some(store);
        let digest = format!("sha256:{}", "0".repeat(64));
        let note = Note {
            id: "a".to_owned(),
            repository: "app".to_owned(),
            digest,
            is_manifest: true,
            ..Note::default()
        };
        scene.queue.add(serde_json::to_string(&note).unwrap().into());
        assert_eq!(scene.tries().await, tries(&[(0, "a")]));
    }
}
