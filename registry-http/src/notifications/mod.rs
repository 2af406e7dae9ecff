//! [`Notifications`]: webhooks that are told what was done, as Distribution's `notifications`.
//!
//! An [`EventSink`] that sends each event to each [`Endpoint`], as a POST of one event in an [`Envelope`]. An endpoint is
//! told one event after the other, in the order they were done here; one that is down holds up nobody but itself.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use registry_http::notifications::{Address, Endpoint, Notifications, Options, StartError};
//! use registry_http::{RegistryService, service};
//! use registry_store::store::Store;
//!
//! async fn telling(store: Store) -> Result<RegistryService, StartError> {
//!     let address = Address::parse("https://scanner.example.com/events").expect("it is one");
//!     let endpoints = vec![Endpoint::new("scanner", address)];
//!     let options = Options { endpoints, ..Options::default() };
//!     let told = Arc::new(Notifications::start(options, &store).await?);
//!     let options = registry_http::Options { events: Some(told), ..Default::default() };
//!     Ok(service(store, options))
//! }
//! ```
//!
//! # What is promised
//!
//! * An event is put into a queue after the thing is durable and readable, and before the client is answered. Nobody waits
//!   for an endpoint or for the disk.
//! * With [a directory](Queues::directory), a task writes the queues to disk at once, many events at a time. An event is
//!   safe from the end of the process when it is appended, which is mostly before the client has its answer, and from a
//!   power cut when that is synced, some milliseconds later. From then on it is delivered **at least once**: over restarts,
//!   until the endpoint answers 2xx, or 3xx that is no redirect, or the queue is too full. Before that, and without a directory, it is as lost
//!   as the events of [`events`](crate::events) are: **at most once**.
//! * Twice comes what an endpoint took and could not say so (it was too slow, the connection broke), and what it took just
//!   before the process ended. After a power cut it is what it took since the system last wrote down how far it got, some
//!   30 seconds before. Events have ids: a receiver can tell.
//! * What a process leaves that ends, another that uses the directory takes over: at its start, and within a minute while
//!   it runs, behind its own events and as far as its queue has room.
//! * Queues are [bounded](Queues). When one is full, the oldest events make room, are counted and told of in the log: an
//!   endpoint that comes back can still act on what was done last.
//! * An event that an endpoint never takes holds up those behind it, until the queue is full and it is dropped itself.
//! * Where the disk fails, queues go on in memory, and are written when it works again. Nothing is left of what failed.
//!
//! What a manifest refers to ([`Options::include_references`]) is looked up when it is delivered: there is none if the
//! manifest has been deleted by then, or cannot be read in a few tries.

mod client;
mod delivery;
mod directories;
mod endpoint;
mod envelope;
mod filter;
mod journal;
mod note;
mod persist;
mod queue;
mod record;
mod references;
mod slot;
mod stats;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use http::Extensions;
use registry_store::options::Random;
use registry_store::store::Store;
use thiserror::Error;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;
use tracing::{info, warn};

use crate::events::{Event, EventSink};
use crate::notifications::client::Webhook;
use crate::notifications::delivery::{Delivery, Progress};
use crate::notifications::journal::Journal;
use crate::notifications::note::Notes;
use crate::notifications::queue::{Limits, Queue};
use crate::notifications::references::Manifests;
use crate::notifications::stats::Counters;

pub(crate) use crate::notifications::client::connector;
pub use crate::notifications::endpoint::{Address, Endpoint};
pub use crate::notifications::envelope::Envelope;
pub use crate::notifications::filter::Filter;
pub use crate::notifications::stats::Stats;

/// How long the disk is waited for at the end.
const WRITE_TIME: Duration = Duration::from_secs(5);

/// Who is told of what.
#[derive(Clone, Debug)]
pub struct Options {
    /// Each is told of all that its filter leaves.
    pub endpoints: Vec<Endpoint>,
    /// Events of manifests hold the descriptors in them: `notifications.events.includereferences`. Default: false.
    pub include_references: bool,
    /// Where events say they come from, a host and a port as Distribution has it. Default: empty, and not said.
    pub source: String,
    /// Where events wait.
    pub queues: Queues,
    /// Finds a client's address in the extensions of its request. Default: there is none.
    pub address_of: fn(&Extensions) -> Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            endpoints: Vec::new(),
            include_references: false,
            source: String::new(),
            queues: Queues::default(),
            address_of: |_| None,
        }
    }
}

/// Where events wait, and how many. Each endpoint has a queue of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queues {
    /// The directory that queues survive in, made if it is not there. `None`: they are in memory alone, and gone when the
    /// process ends. Several processes may share one. Default: `None`.
    pub directory: Option<PathBuf>,
    /// The most events in a queue. Default: 50,000.
    pub events: usize,
    /// The most bytes of them, in memory; on disk, some 30 more for each, and a MiB or two of what is delivered by now. An
    /// event has some 700. What a process that ended has left on disk comes beside it. Default: 32 MiB.
    pub bytes: usize,
}

impl Default for Queues {
    fn default() -> Self {
        Self { directory: None, events: 50_000, bytes: 32 * 1024 * 1024 }
    }
}

/// Why an endpoint cannot be told.
#[derive(Debug, Error)]
pub enum StartError {
    /// Its queue cannot be opened.
    #[error("cannot open the queue of the endpoint {endpoint} in {}: {error}; expected a directory that can be written", .directory.display())]
    Queue {
        /// Its name.
        endpoint: String,
        /// Where its queue ought to be.
        directory: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// There is no way to speak TLS with it.
    #[error(
        "cannot find whom to trust for the endpoint {endpoint}, which is https: {error}; expected certificates of the system, or SSL_CERT_FILE"
    )]
    Tls {
        /// Its name.
        endpoint: String,
        /// What was missing.
        error: io::Error,
    },
}

/// An [`EventSink`] that tells endpoints.
pub struct Notifications {
    notes: Notes,
    endpoints: Vec<Running>,
}

/// One endpoint, being told.
struct Running {
    name: String,
    filter: Filter,
    /// Its queue survives.
    is_kept: bool,
    queue: Arc<Queue>,
    counters: Arc<Counters>,
    progress: Arc<Progress>,
    /// Both are gone when it was stopped.
    delivery: Mutex<Option<JoinHandle<()>>>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl Notifications {
    /// Opens the queues, and goes on with what is left in them. `store` is the one whose events come; it is read for what
    /// manifests refer to, and its chance is used.
    ///
    /// Needs a tokio runtime, with time and network enabled.
    pub async fn start(options: Options, store: &Store) -> Result<Self, StartError> {
        let random = Arc::clone(&store.options().random);
        let notes = Notes {
            source_address: options.source.clone(),
            source_instance: note::uuid(&*random),
            address_of: options.address_of,
            random: Arc::clone(&random),
        };
        let names = directories::of(&options.endpoints);
        let mut endpoints = Vec::new();
        for (endpoint, name) in options.endpoints.iter().zip(&names) {
            let directory = options.queues.directory.as_ref().map(|parent| parent.join(name));
            let references = options
                .include_references
                .then(|| -> Arc<dyn Manifests> { Arc::new(store.clone()) });
            let running =
                Running::start(endpoint, directory, &options.queues, references, &random).await?;
            endpoints.push(running);
        }
        if let Some(directory) = options.queues.directory {
            tell_of_forgotten(directory, names).await;
        }
        Ok(Self { notes, endpoints })
    }

    /// What became of each endpoint's events, in the order of the options.
    pub fn stats(&self) -> Vec<Stats> {
        let endpoints = self.endpoints.iter();
        endpoints.map(|it| it.counters.stats(&it.name, it.queue.len())).collect()
    }

    /// Ends it. Endpoints that take events get what is left, for so long at the most; then all is written that waits for
    /// the next start. To be called once nothing is told any more.
    pub async fn finish(&self, within: Duration) {
        let _ = timeout(within, join_all(self.endpoints.iter().map(Running::settled))).await;
        join_all(self.endpoints.iter().map(Running::stop)).await;
    }
}

impl EventSink for Notifications {
    fn tell(&self, event: Event) {
        let note = self.notes.of(event);
        let mut text: Option<Arc<str>> = None;
        for endpoint in self.endpoints.iter().filter(|it| !it.filter.leaves_out(&note)) {
            let text = text.get_or_insert_with(|| {
                serde_json::to_string(&note).expect("text and numbers have a form in JSON").into()
            });
            endpoint.add(Arc::clone(text));
        }
    }
}

impl fmt::Debug for Notifications {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.stats()).finish()
    }
}

impl Running {
    async fn start(
        endpoint: &Endpoint,
        directory: Option<PathBuf>,
        queues: &Queues,
        references: Option<Arc<dyn Manifests>>,
        random: &Arc<dyn Random>,
    ) -> Result<Self, StartError> {
        let name = endpoint.name.clone();
        let transport = Webhook::new(endpoint)
            .map_err(|error| StartError::Tls { endpoint: name.clone(), error })?;
        let (journal, left, next) = match directory {
            None => (None, Vec::new(), 1),
            Some(directory) => {
                let opened = open(&name, directory).await?;
                (Some(opened.journal), opened.left, opened.next)
            }
        };
        let counters = Arc::new(Counters::default());
        counters.came(left.len() as u64);
        if !left.is_empty() {
            info!(endpoint = %name, events = left.len(), "goes on with its queue");
        }
        let limits = Limits { events: queues.events, bytes: queues.bytes };
        let (queue, dropped) = Queue::new(limits, left, next);
        counters.dropped(dropped);
        if dropped > 0 {
            warn!(endpoint = %name, dropped, "its queue is longer than it may be: the oldest events are dropped");
        }
        let (queue, progress) = (Arc::new(queue), Arc::new(Progress::default()));
        let delivery = Delivery {
            endpoint: endpoint.clone(),
            transport,
            queue: Arc::clone(&queue),
            counters: Arc::clone(&counters),
            progress: Arc::clone(&progress),
            references,
            random: Arc::clone(random),
        };
        let is_kept = journal.is_some();
        let writer = journal.map(|journal| {
            let (queue, counters) = (Arc::clone(&queue), Arc::clone(&counters));
            tokio::spawn(persist::keep(name.clone(), queue, counters, journal))
        });
        Ok(Self {
            name,
            filter: endpoint.ignore.clone(),
            is_kept,
            queue,
            counters,
            progress,
            delivery: Mutex::new(Some(tokio::spawn(delivery.run()))),
            writer: Mutex::new(writer),
        })
    }

    fn add(&self, text: Arc<str>) {
        self.counters.came(1);
        let added = self.queue.add(text);
        self.counters.dropped(added.dropped);
        if added.is_first {
            warn!(endpoint = %self.name, "its queue is full: the oldest events are dropped");
        }
    }

    /// Everything is delivered, or the endpoint takes nothing.
    async fn settled(&self) {
        while self.queue.len() > 0 && !self.progress.is_failing() {
            self.progress.tried().await;
        }
    }

    async fn stop(&self) {
        if let Some(delivery) = take(&self.delivery) {
            delivery.abort();
            // What it has just delivered is to be written.
            let _ = delivery.await;
        }
        self.queue.close();
        if let Some(writer) = take(&self.writer)
            && timeout(WRITE_TIME, writer).await.is_err()
        {
            warn!(endpoint = %self.name, "the disk does not answer: what was not written of its queue is lost");
        }
        match (self.queue.len(), self.is_kept) {
            (0, _) => {}
            (events, true) => {
                info!(endpoint = %self.name, events, "its queue waits for the next start");
            }
            (events, false) => {
                warn!(endpoint = %self.name, events, "its queue was in memory alone, and is lost");
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(delivery) = take(&self.delivery) {
            delivery.abort();
        }
        self.queue.close();
    }
}

fn take(task: &Mutex<Option<JoinHandle<()>>>) -> Option<JoinHandle<()>> {
    task.lock().unwrap_or_else(PoisonError::into_inner).take()
}

async fn open(endpoint: &str, directory: PathBuf) -> Result<journal::Opened, StartError> {
    let place = directory.clone();
    let opened = spawn_blocking(move || Journal::open(&place)).await;
    let opened = opened.unwrap_or_else(|panicked| Err(io::Error::other(panicked)));
    let opened = opened.map_err(|error| StartError::Queue {
        endpoint: endpoint.to_owned(),
        directory: directory.clone(),
        error,
    })?;
    if opened.damaged > 0 {
        let lines = opened.damaged;
        warn!(
            endpoint = %endpoint, lines, directory = %directory.display(),
            "lines of its queue are not as they were written, as after a power cut: they are passed over"
        );
    }
    Ok(opened)
}

/// Events of endpoints that there are none of any more stay where they are; nobody else would tell of it.
async fn tell_of_forgotten(directory: PathBuf, names: Vec<String>) {
    let found = spawn_blocking(move || slot::waiting(&directory, &names)).await;
    for (directory, events) in found.ok().and_then(Result::ok).unwrap_or_default() {
        warn!(
            events, directory = %directory.display(),
            "events wait for an endpoint that is not configured any more; they stay there"
        );
    }
}
