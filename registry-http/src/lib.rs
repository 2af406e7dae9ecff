//! The Docker v2 / OCI distribution API over a [`Store`], as a tower service.
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
//! `examples/axum.rs` is the same as a program that runs.
//!
//! # What it does
//!
//! Pull, push, content discovery and content management of the OCI distribution-spec, the drafts of its
//! version 1.2 included (cancelling an upload, `digest-algorithm`, tags as parameters), and `/v2/_catalog`.
//! Bodies stream in both directions. It is liberal in what it accepts and exact in what it sends.
//!
//! # What it leaves to others
//!
//! TLS, access control, logging of requests and draining at shutdown are layers and servers around it. Faults
//! of the storage are told to [`tracing`] as errors, and to clients only as "the storage failed".

pub mod auth;
mod body;
mod endpoint;
mod error;
pub mod events;
mod handler;
mod headers;
#[cfg(feature = "serve")]
mod idle;
mod options;
mod range;
mod refusal;
#[cfg(feature = "serve")]
pub mod serve;
#[cfg(feature = "testing")]
pub mod testing;
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
pub use crate::options::{Locations, Options};

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
