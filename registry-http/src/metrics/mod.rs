//! [`Metrics`]: what is counted and timed, in the text format of Prometheus, under Distribution's names where it has some.
//!
//! | name | labels | what |
//! |---|---|---|
//! | `registry_http_requests_total` | `code`, `method`, `handler` | requests that have ended |
//! | `registry_http_request_duration_seconds` | `method`, `handler` | from the head to the end of the answer |
//! | `registry_http_request_size_bytes`, `registry_http_response_size_bytes` | `handler` | bodies |
//! | `registry_http_in_flight_requests` | `handler` | requests that have not ended; those of `blob_upload` and `blob_upload_chunk` are the uploads in flight |
//! | `registry_http_received_bytes_total`, `registry_http_sent_bytes_total` | `handler` | ours: bodies, added up |
//! | `registry_storage_action_seconds` | `driver`, `action` | calls of the storage that have ended |
//! | `registry_storage_errors_total` | `driver`, `action`, `kind` | ours: those that failed, but for what was not there |
//! | what [sources](Metrics::add_source) tell | | |
//!
//! `handler` is a [`Route`]; what is about none of them is not counted, as in Distribution. No label has anything that a
//! client chooses: no name of a repository, and of methods only the known ones.

mod figures;
mod http;
mod sources;
mod storage;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{Registry, TextEncoder};
use registry_store::backend::{Action, BackendObserver, ErrorKind};

use self::http::Http;
use self::storage::Storage;
use crate::observe::{Exchange, Observer};
use crate::route::Route;

pub use self::figures::{Figures, Kind};
#[cfg(feature = "notifications")]
pub use self::sources::of_notifications;
pub use self::sources::{of_build, of_damage};

/// Tells figures that somebody else keeps, when they are asked for.
pub type Source = Box<dyn Fn(&mut Figures) + Send + Sync>;

/// See the [module](self). Nothing is global: two are apart. It observes requests and calls of a storage.
pub struct Metrics {
    registry: Registry,
    http: Http,
    storage: Storage,
    sources: Mutex<Vec<Arc<Source>>>,
}

impl Metrics {
    /// Nothing counted yet. `driver` is the storage, in the words of Distribution: `filesystem`, `s3aws`, `inmemory`.
    pub fn new(driver: &'static str) -> Self {
        let registry = Registry::new();
        let http = Http::new(&registry);
        let storage = Storage::new(&registry, driver);
        Self { registry, http, storage, sources: Mutex::default() }
    }

    /// Has figures told with the others, in the order in which sources were added.
    pub fn add_source(&self, source: Source) {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::new(source));
    }

    /// All of it, in the text format of Prometheus, version 0.0.4.
    pub fn text(&self) -> String {
        let counted = TextEncoder::new().encode_to_string(&self.registry.gather());
        let counted = counted.unwrap_or_else(|error| {
            tracing::error!(%error, "what was counted cannot be told");
            String::new()
        });
        let mut figures = Figures::after(counted);
        let sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for source in sources {
            source(&mut figures);
        }
        figures.into_text()
    }
}

impl Observer for Metrics {
    fn began(&self, route: Option<Route>) {
        self.http.began(route);
    }

    fn ended(&self, exchange: &Exchange) {
        self.http.ended(exchange);
    }
}

impl BackendObserver for Metrics {
    fn called(&self, action: Action, took: Duration, failed: Option<ErrorKind>) {
        self.storage.called(action, took, failed);
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

/// Has a registry tell of a metric.
fn register<C: Collector + Clone + 'static>(registry: &Registry, metric: &C) {
    let registered = registry.register(Box::new(metric.clone()));
    registered.expect("each name is registered once, with a registry of its own");
}
