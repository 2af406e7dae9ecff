//! [`Traces`]: spans of requests and of what these ask of the storage, sent to a collector by OTLP (feature `otel`).
//!
//! It is set up by OpenTelemetry's variables, as Distribution 3 is: nothing is collected unless `OTEL_TRACES_EXPORTER` says
//! `otlp`. Then `OTEL_EXPORTER_OTLP_ENDPOINT` (`http://localhost:4318`), `…_HEADERS` and `…_TIMEOUT`, `OTEL_SERVICE_NAME`
//! (`registry`), `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_TRACES_SAMPLER` and `…_ARG`, and `OTEL_BSP_…` count, those of traces alone
//! (`OTEL_EXPORTER_OTLP_TRACES_…`) before the others. It speaks `http/protobuf`, and no gRPC.
//!
//! | span | attributes |
//! |---|---|
//! | `GET /v2/{name}/blobs/{digest}`, of each request | OpenTelemetry's: method, route, path without its query, status, sizes; the request's `id` |
//! | `storage read` and so on, of each call to the storage | `storage.action`, `error.type` |
//!
//! **No request waits for a collector.** A span that has ended is put into a queue of bounded length
//! (`OTEL_BSP_MAX_QUEUE_SIZE`, 2048), and dropped if that is full; a thread sends what is in it. What cannot be sent is
//! dropped too, which the log tells when it begins and when it is over. All of it is counted: [`Counts`].

mod collector;
mod counted;

use std::env;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{Key, KeyValue, Value};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchSpanProcessor, SdkTracerProvider};
use tokio::runtime::Handle;
use tracing::{Subscriber, warn};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

use self::collector::Collector;
use self::counted::{CountedExporter, CountedProcessor};
use crate::request_span;

pub use self::counted::Counts;

/// The variable that switches traces on.
pub const EXPORTER: &str = "OTEL_TRACES_EXPORTER";
const PROTOCOLS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
const TIMEOUTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"];

/// Where the calls to a storage are told of.
const STORAGE: &str = "registry_store::backend::observed";

/// See the [module](self).
#[derive(Clone)]
pub struct Traces {
    provider: SdkTracerProvider,
    counts: Arc<Counts>,
}

impl Traces {
    /// As the environment says; `None` if it asks for no traces. What is sent is sent on `runtime`.
    ///
    /// # Errors
    ///
    /// If a variable asks for what is not there, in one line that holds no value that may be secret.
    pub fn by_environment(runtime: Handle) -> Result<Option<Self>, String> {
        match variable(&[EXPORTER]).as_deref() {
            None | Some("none") => return Ok(None),
            Some("otlp") => {}
            Some(other) => {
                return Err(format!("{EXPORTER}: expected otlp or none, found `{other:.80}`"));
            }
        }
        if variable(&["OTEL_SDK_DISABLED"]).is_some_and(|it| it.eq_ignore_ascii_case("true")) {
            return Ok(None);
        }
        if let Some(other) = variable(&PROTOCOLS).filter(|it| it != "http/protobuf") {
            return Err(format!("{}: expected http/protobuf, found `{other:.80}`", PROTOCOLS[1]));
        }
        let is_tls = variable(&ENDPOINTS).is_some_and(|it| it.starts_with("https:"));
        let timeout = variable(&TIMEOUTS).and_then(|it| it.parse().ok()).unwrap_or(10_000);
        let collector = Collector::new(runtime, is_tls, Duration::from_millis(timeout))
            .map_err(|error| format!("the certificates of authorities cannot be read: {error}"))?;
        let exporter = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_http_client(collector)
            .build()
            .map_err(|_| format!("expected a URL in {}, found another form", ENDPOINTS[1]))?;
        let counts = Arc::new(Counts::default());
        let exporter = CountedExporter::new(exporter, Arc::clone(&counts));
        let queue = BatchSpanProcessor::builder(exporter).build();
        let provider = SdkTracerProvider::builder()
            .with_resource(resource())
            .with_span_processor(CountedProcessor::new(queue, Arc::clone(&counts)))
            .build();
        Ok(Some(Self { provider, counts }))
    }

    /// What collects the spans, for a subscriber.
    pub fn layer<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: Subscriber + for<'l> LookupSpan<'l> + Send + Sync,
    {
        // What is logged is not put into spans: it may tell of more than is meant for a collector.
        let is_ours =
            filter_fn(|it| it.is_span() && [request_span::TARGET, STORAGE].contains(&it.target()));
        tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer("registry"))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_level(false)
            .with_tracked_inactivity(false)
            .with_filter(is_ours)
    }

    /// How many spans there were, and what became of them.
    pub fn counts(&self) -> &Arc<Counts> {
        &self.counts
    }

    /// Sends what is in the queue, and ends. Blocks, for so long at most.
    pub fn finish(&self, within: Duration) {
        // What becomes of spans is counted.
        let _ = self.provider.shutdown_with_timeout(within);
        let lost = self.counts.ended().saturating_sub(self.counts.sent());
        if lost > 0 {
            warn!(lost, "not all spans reached the collector");
        }
    }
}

impl fmt::Debug for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Traces").field("counts", &self.counts).finish_non_exhaustive()
    }
}

/// What the first of these says that says anything.
fn variable(names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| env::var(name).ok().filter(|value| !value.is_empty()))
}

/// Who sends them: what the environment says, and what it does not.
fn resource() -> Resource {
    const NAME: &str = "service.name";
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let found = Resource::builder().build().get(&Key::from_static_str(NAME));
    let is_said = matches!(&found, Some(Value::String(name)) if !name.as_str().starts_with("unknown_service"));
    let builder = Resource::builder().with_attribute(version);
    if is_said { builder.build() } else { builder.with_service_name("registry").build() }
}
