//! [`Delivery`]: tells one endpoint what is in its queue, one event after the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use registry_store::digest::Digest;
use registry_store::name::RepositoryName;
use registry_store::options::Random;
use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::sleep;
use tracing::{debug, error, info, warn};

use super::client::Transport;
use super::endpoint::Endpoint;
use super::note::Note;
use super::queue::Queue;
use super::references::{self, Manifests};
use super::stats::Counters;

/// How often it is tried to read what a manifest refers to.
const READS: u32 = 3;

/// The telling of one endpoint.
pub(super) struct Delivery<T> {
    pub(super) endpoint: Endpoint,
    pub(super) transport: T,
    pub(super) queue: Arc<Queue>,
    pub(super) counters: Arc<Counters>,
    pub(super) progress: Arc<Progress>,
    /// Where manifests are looked at for what they refer to, if that is to be told.
    pub(super) references: Option<Arc<dyn Manifests>>,
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
    /// Goes on until it is dropped. An event leaves the queue when the endpoint has accepted it, or for want of room.
    pub(super) async fn run(self) {
        let name = &self.endpoint.name;
        // In a row, whatever they were of: else an endpoint that is away would be asked anew, without a pause, for each
        // event that a full queue goes on to.
        let mut failures = 0;
        loop {
            let record = self.queue.front().await;
            match serde_json::from_str::<Note>(&record.text) {
                // It was put there when the configuration was another.
                Ok(note) if self.endpoint.ignore.leaves_out(&note) => {}
                Ok(note) => self.deliver(record.number, &note, &mut failures).await,
                Err(error) => {
                    error!(endpoint = %name, "an event in the queue cannot be read, and is left out: {error}");
                }
            }
            let dropped = self.queue.delivered(record.number);
            if dropped > 0 {
                warn!(endpoint = %name, dropped, "the queue is empty again; events were lost while it was full");
            }
            self.progress.tell(failures > 0);
        }
    }

    /// Tries until it is accepted, or has been dropped from the queue.
    async fn deliver(&self, number: u64, note: &Note, failures: &mut u32) {
        let name = &self.endpoint.name;
        let threshold = self.endpoint.threshold.max(1);
        let document = self.document(note).await;
        while let Err(why) = self.attempt(document.clone()).await {
            *failures = failures.saturating_add(1);
            debug!(endpoint = %name, failures, "it did not take an event: {why}");
            if *failures == threshold {
                warn!(endpoint = %name, failures, "it takes no events: {why}; they wait in its queue");
            }
            self.progress.tell(true);
            sleep(self.pause(*failures)).await;
            // It may never be taken: what is behind it is not to be dropped for its sake.
            if !self.queue.holds(number) {
                return;
            }
        }
        if *failures >= threshold {
            info!(endpoint = %name, failures, "it takes events again");
        }
        *failures = 0;
    }

    async fn attempt(&self, document: Bytes) -> Result<(), String> {
        match self.transport.post(document).await {
            Ok(status) => {
                let refused = refused(status);
                self.counters.answered(status, refused.is_none());
                refused.map_or(Ok(()), Err)
            }
            Err(why) => {
                self.counters.failed();
                Err(why)
            }
        }
    }

    async fn document(&self, note: &Note) -> Bytes {
        let envelope = self.endpoint.envelope;
        let mut found = Vec::new();
        if let Some(manifests) = self.references.as_deref().filter(|_| note.is_manifest)
            && let (Ok(repository), Ok(digest)) = (note.repository.parse(), note.digest.parse())
        {
            found = self.references(manifests, &repository, &digest).await;
        }
        envelope.around(note, &found).into()
    }

    /// None, after a few tries, if it cannot be read: one manifest that is damaged holds up nothing.
    async fn references(
        &self,
        manifests: &dyn Manifests,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Vec<Value> {
        let Endpoint { name, envelope, backoff, .. } = &self.endpoint;
        let mut tries = 0;
        loop {
            tries += 1;
            match references::of_manifest(manifests, repository, digest, *envelope).await {
                Ok(found) => return found,
                Err(error) if tries >= READS => {
                    warn!(
                        endpoint = %name, %repository, %digest, tries,
                        "cannot read what a manifest refers to; it is told of without that: {error}"
                    );
                    return Vec::new();
                }
                Err(error) => {
                    debug!(endpoint = %name, %repository, %digest, "cannot read what a manifest refers to: {error}");
                    sleep((*backoff).min(Endpoint::LONGEST)).await;
                }
            }
        }
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

/// Why an answer of this status is no success. `None` if it is one.
///
/// What sends elsewhere has not taken the event, such as what answers for a receiver and wants TLS. It is not followed:
/// what an endpoint is sent, its headers and all, is for it alone.
fn refused(status: u16) -> Option<String> {
    match status {
        301 | 302 | 303 | 307 | 308 => {
            Some(format!("it answered {status}: it redirects; name its new address as its url"))
        }
        200..400 => None,
        _ => Some(format!("it answered {status}")),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Mutex;

    use async_trait::async_trait;
    use registry_store::backend::MemoryBackend;
    use registry_store::error::Error;
    use registry_store::options::StoreOptions;
    use registry_store::store::Store;
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
            let document: Value = serde_json::from_slice(&document).unwrap();
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
        let answers = vec![Ok(204), Ok(500), Err("no".to_owned()), Ok(304), Ok(200)];
        let mut scene = Scene::new(answers, 10, &["a", "b", "c"]);
        let expected = tries(&[(0, "a"), (0, "b"), (0, "b"), (0, "b"), (0, "c")]);
        assert_eq!(scene.tries().await, expected);
        let stats = scene.counters.stats("x", 0);
        assert_eq!((stats.successes, stats.failures, stats.errors), (3, 1, 1));
        assert_eq!(stats.statuses, [(200, 1), (204, 1), (304, 1), (500, 1)].into());
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
        scene.delivery.as_mut().unwrap().references = Some(Arc::new(store));
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

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_sends_elsewhere_is_a_failure() {
        let redirects = [301, 302, 303, 307, 308];
        let answers = redirects.into_iter().map(Ok).collect();
        let mut scene = Scene::new(answers, 10, &["a"]);
        assert_eq!(scene.tries().await, vec![(0, "a".to_owned()); 6]);
        let stats = scene.counters.stats("x", 0);
        assert_eq!((stats.successes, stats.failures), (1, 5));
        assert!(refused(307).unwrap().contains("name its new address"));
    }

    #[tokio::test(start_paused = true)]
    async fn an_event_that_was_dropped_is_not_tried_again_and_the_pauses_go_on_where_they_were() {
        let mut scene = Scene::new(vec![Ok(400); 4], 2, &["a"]);
        let queue = Arc::clone(&scene.queue);
        let fill = async {
            // It is being told of when ten more come: the first of them all is dropped.
            sleep(Duration::from_millis(2_500)).await;
            for id in 1..=10 {
                queue.add(format!("{{\"id\":\"{id}\"}}").into());
            }
        };
        let (tries, ()) = tokio::join!(scene.tries(), fill);
        let tries: Vec<(u64, &str)> = tries.iter().map(|(at, id)| (*at, &**id)).collect();
        // Failures at 0, 0, 1 and 3; what is tried next is another, and not before its time.
        assert_eq!(tries[..6], [(0, "a"), (0, "a"), (1, "a"), (3, "1"), (7, "1"), (7, "2")]);
        assert_eq!(tries.len(), 4 + 10);
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_filter_leaves_out_by_now_is_not_told_though_it_was_queued() {
        let mut scene = Scene::new(vec![], 3, &["a"]);
        scene.queue.add("{\"id\": \"b\", \"action\": \"pull\"}".into());
        scene.queue.add("{\"id\": \"c\", \"action\": \"push\"}".into());
        let ignore = &mut scene.delivery.as_mut().unwrap().endpoint.ignore;
        ignore.actions = vec!["pull".to_owned()];
        assert_eq!(scene.tries().await, tries(&[(0, "a"), (0, "c")]));
    }

    /// Where nothing can be read.
    struct Broken;

    #[async_trait]
    impl Manifests for Broken {
        async fn read(&self, name: &RepositoryName, _: &Digest) -> Result<Option<Bytes>, Error> {
            Err(Error::NameUnknown { name: name.clone() })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_manifest_that_cannot_be_read_is_told_of_without_what_it_refers_to() {
        let mut scene = Scene::new(vec![], 3, &[]);
        scene.delivery.as_mut().unwrap().references = Some(Arc::new(Broken));
        let note = Note {
            id: "a".to_owned(),
            repository: "app".to_owned(),
            digest: format!("sha256:{}", "0".repeat(64)),
            is_manifest: true,
            ..Note::default()
        };
        scene.queue.add(serde_json::to_string(&note).unwrap().into());
        scene.queue.add("{\"id\": \"b\"}".into());
        assert_eq!(scene.tries().await, tries(&[(2, "a"), (2, "b")]));
    }
}
