//! The Docker v2 / OCI distribution API over a [`Store`], as a tower service.
//!
//! # Embed it in ten lines
//!
//! [`service`] makes the service. It brings no runtime and no router, keeps nothing global, and is mounted as
//! it is by axum, hyper or tonic:
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use registry_http::{Options, service};
//! use registry_store::backend::Backend;
//! use registry_store::options::StoreOptions;
//! use registry_store::store::Store;
//!
//! async fn serve(backend: Arc<dyn Backend>) -> std::io::Result<()> {
//!     let store = Store::new(backend, StoreOptions::default());
//!     let registry = service(store, Options::default());
//!     let app = axum::Router::new()
//!         .route("/hello", axum::routing::get(|| async { "hello" }))
//!         .fallback_service(registry);
//!     let listener = tokio::net::TcpListener::bind("127.0.0.1:5000").await?;
//!     axum::serve(listener, app).await
//! }
//! ```
//!
//! `examples/axum.rs` is the same as a program that runs, with an authorizer. Without a server of your own,
//! `serve::serve` listens (feature `serve`).
//!
//! It does pull, push, content discovery and content management of the OCI distribution-spec, the drafts of its
//! version 1.2 included (cancelling an upload, `digest-algorithm`, tags as parameters), and `/v2/_catalog`.
//! `If-Match` and `If-None-Match` are heeded, on writes too: a PUT of a tag with `If-None-Match: *` never overwrites it.
//! Bodies stream in both directions. It is liberal in what it accepts and exact in what it sends.
//!
//! # Who may do what
//!
//! By default everybody may do everything. An [`Authorizer`](auth::Authorizer) is asked once for each request, by
//! its head, before its body is read or the storage is touched. It says who it is, or how the request is refused:
//!
//! ```
//! use std::sync::Arc;
//!
//! use async_trait::async_trait;
//! use bytes::Bytes;
//! use http::Request;
//! use http::request::Parts;
//! use http_body_util::Empty;
//! use registry_http::auth::{Access, Action, Actor, Authorizer, Denial};
//! use registry_http::{Options, service};
//! use registry_store::backend::MemoryBackend;
//! use registry_store::options::StoreOptions;
//! use registry_store::store::Store;
//! use tower::ServiceExt as _;
//!
//! /// Nobody may delete.
//! #[derive(Debug)]
//! struct KeepAll;
//!
//! #[async_trait]
//! impl Authorizer for KeepAll {
//!     async fn authorize(&self, _: &Parts, needed: &[Access]) -> Result<Actor, Denial> {
//!         let deletes = |it: &Access| matches!(it, Access::Repository { action: Action::Delete, .. });
//!         if needed.iter().any(deletes) { Err(Denial::Denied) } else { Ok(Actor::anonymous()) }
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let store = Store::new(Arc::new(MemoryBackend::new()), StoreOptions::default());
//! let options = Options { authorizer: Some(Arc::new(KeepAll)), ..Options::default() };
//! let registry = service(store, options);
//!
//! let request = Request::delete("/v2/app/manifests/v1").body(Empty::<Bytes>::new())?;
//! assert_eq!(registry.oneshot(request).await?.status(), 403);
//! # Ok(())
//! # }
//! ```
//!
//! [`auth`] has the table of what each request needs, and one that asks for a password. Whoever is named there is
//! named in events. With the feature `auth` there are authorizers by a file of users and by tokens of a service.
//!
//! # What was done
//!
//! An [`EventSink`](events::EventSink) is told of each push, pull, mount and delete, when it is durable and before
//! the client is answered:
//!
//! ```
//! use std::sync::Arc;
//!
//! use registry_http::Options;
//! use registry_http::events::{Event, EventSink};
//!
//! #[derive(Debug)]
//! struct Log;
//!
//! impl EventSink for Log {
//!     fn tell(&self, event: Event) {
//!         tracing::info!(repository = %event.repository, action = ?event.action, by = event.actor.name());
//!     }
//! }
//!
//! let options = Options { events: Some(Arc::new(Log)), ..Options::default() };
//! ```
//!
//! [`events`] says when which comes, and what a sink must not do.
//!
//! # Limits
//!
//! What a client can make the service spend is bounded by [`Options`], each with its default there:
//!
//! | what | bounded by |
//! |---|---|
//! | a body that stalls | [`body_idle_timeout`](Options::body_idle_timeout); there is none for a whole request |
//! | a body that is refused | [`drain_limit`](Options::drain_limit), [`drain_time`](Options::drain_time), [`discard_idle_timeout`](Options::discard_idle_timeout), [`discard_time`](Options::discard_time) |
//! | pages | [`catalog_max`](Options::catalog_max), [`tags_max`](Options::tags_max), [`referrers_max`](Options::referrers_max), [`referrers_max_bytes`](Options::referrers_max_bytes) |
//! | tags pushed at once | [`manifest_tags_max`](Options::manifest_tags_max) |
//! | a manifest | 4 MiB, as in Distribution: [`MAX_MANIFEST_SIZE`](registry_store::manifest::MAX_MANIFEST_SIZE) |
//! | a blob | nothing: it streams, whatever its size, through [a few buffers](registry_store) |
//!
//! Connections are the listener's: `serve::Limits` (how many there are, how long one may be without a request or stand
//! still, how large a head may be), or those of your server. Upload sessions that were begun and left hold nothing but
//! their place in the storage until they [expire](registry_store::options::StoreOptions::upload_expiry): how many a client
//! begins is for an [`Authorizer`](auth::Authorizer) or a proxy to bound. The service has no clock and no
//! chance of its own; both are [the store's](registry_store::options::StoreOptions). Timeouts are of tokio's clock,
//! which a test can stop.
//!
//! # Testing clients
//!
//! With the feature `testing`, `testing::TestRegistry` is a registry in memory on a free port, for tests with a
//! runtime and for tests without.
//!
//! # Features
//!
//! | feature | what it adds | what that is built of |
//! |---|---|---|
//! | none (`default-features = false`) | the service, [`auth`], [`events`] | `http`, `tower`, and of `tokio` what works on any platform: no server, no network, no filesystem |
//! | `serve` | `serve`: a listener for HTTP/1.1 and h2c | `hyper`, `hyper-util`, `rustix`, tokio's network |
//! | `auth` | `auth::htpasswd`, `auth::token`, `auth::silly`: Distribution's ways to tell who may do what, each an authorizer; `auth::policy`, `auth::issuer`: rules of our own, and a token service | `bcrypt`, `lru`, `ring`, `rustls-webpki`, `rustls-pki-types`, `p521` |
//! | `metrics` | `metrics`: what is counted, for Prometheus | `prometheus` |
//! | `notifications` | `notifications`: webhooks as Distribution has them, with queues that survive a restart | `hyper-util`'s client, `hyper-rustls`, `crc32fast`, `uuid` |
//! | `tls` | `serve::tls`: TLS at that listener, and the certificates of clients | `serve`, `rustls` with `ring`, `tokio-rustls`, `x509-parser` |
//! | `cli` (default) | the program `registry`; `config`: Distribution's `config.yml` | `auth`, `metrics`, `notifications`, `tls`, `registry-store`'s `fs` and `s3`, `clap`, `listenfd`, `saphyr-parser`, `tracing-subscriber`, tokio's signals |
//! | `otel` | `traces`: spans of requests, sent to a collector by OTLP; the program has them too | `cli`, `opentelemetry` and its `sdk`, `otlp` and `http`, `tracing-opentelemetry` |
//! | `testing` | `testing`: a registry for tests of clients | `serve` |
//!
//! # Around it
//!
//! [`observe::Observe`] is a service around this one that tells observers of each request: [`access_log`] makes lines of
//! them, `metrics` counts them. [`health::Gate`] answers in its place while something fails. [`debug`] and
//! [`registryctl`] are services of their own, for operators and for Harbor's collector.
//!
//! # What it leaves to others
//!
//! TLS and draining at shutdown are the server's: `serve::Server` has both,
//! and a server of your own puts who a client is into a request's extensions ([`peer`]). Faults of the storage are
//! told to [`tracing`] as errors, and to clients only as "the storage failed".

pub mod access_log;
#[cfg(feature = "serve")]
mod activity;
pub mod auth;
mod body;
#[cfg(feature = "cli")]
pub mod config;
#[cfg(feature = "serve")]
mod connections;
pub mod debug;
mod endpoint;
mod error;
pub mod events;
mod forwarded;
mod handler;
mod headers;
pub mod health;
mod host;
#[cfg(feature = "serve")]
mod idle;
mod links;
#[cfg(feature = "metrics")]
pub mod metrics;
#[cfg(feature = "notifications")]
pub mod notifications;
pub mod observe;
mod options;
mod origin;
pub mod peer;
mod range;
mod read_only;
mod refusal;
pub mod registryctl;
pub mod request_id;
mod request_span;
pub mod route;
#[cfg(feature = "serve")]
pub mod serve;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(feature = "otel")]
mod trace_context;
#[cfg(feature = "otel")]
pub mod traces;
mod upload_secret;
mod upload_state;

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, Response};
use registry_store::store::Store;
use tower::{BoxError, Service};

use crate::body::RequestBody;

pub use crate::body::ResponseBody;
pub use crate::options::{Locations, Options, Redirect};
pub use crate::read_only::ReadOnlySwitch;
pub use crate::upload_secret::UploadSecret;

/// The registry's API over `store`.
///
/// Needs a tokio runtime with time enabled when it is called, as the store does.
pub fn service(store: Store, options: Options) -> RegistryService {
    RegistryService { shared: Arc::new(Shared { store, options }) }
}

/// The registry's API, a tower service. Cheap to clone; see [`service`].
#[derive(Clone)]
pub struct RegistryService {
    shared: Arc<Shared>,
}

struct Shared {
    store: Store,
    options: Options,
}

/// The answer to one request, still to come. Dropping it leaves the store as a crash could have left it.
pub type ResponseFuture = BoxFuture<'static, Result<Response<ResponseBody>, Infallible>>;

impl<B> Service<Request<B>> for RegistryService
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> ResponseFuture {
        let shared = Arc::clone(&self.shared);
        let (head, body) = request.into_parts();
        let head = handler::announced(&shared.options, head);
        let body = RequestBody::new(body, &head, &shared.options);
        Box::pin(
            async move { Ok(handler::answer(&shared.store, &shared.options, &head, body).await) },
        )
    }
}

impl fmt::Debug for RegistryService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryService")
            .field("options", &self.shared.options)
            .finish_non_exhaustive()
    }
}
