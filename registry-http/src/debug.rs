//! [`Debug`](DebugService): what operators ask and order, at an address that is not for clients.
//!
//! | request | answer |
//! |---|---|
//! | `GET /debug/health` | as of Distribution: what fails, an object of JSON; 503 if something does |
//! | `POST /debug/health/down`, `POST /debug/health/up` | as of Distribution: takes the registry out of service, and back |
//! | `GET /debug/live` | 200: the process answers |
//! | `GET /debug/ready` | 200 if nothing fails and the storage works, which is tried out; else 503 and why |
//! | `GET /debug/readonly` | `{"enabled":false}` |
//! | `POST /debug/readonly` with such an object | nothing can be written from now on, or everything again |
//! | `GET /metrics` | metrics in the text format of Prometheus, where they are switched on; the path can be another |
//!
//! It asks nobody who he is: whoever reaches it may do all of it.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt as _, Collected, Limited};
use serde::Deserialize;
use tokio::time::timeout;
use tower::{BoxError, Service};

use crate::body::ResponseBody;
use crate::error::{Plain, plain};
use crate::headers::{JSON, TEXT};
use crate::health::{Health, Probe};
use crate::read_only::ReadOnlySwitch;

/// How long the storage is waited for by who asks whether it is ready.
const PATIENCE: Duration = Duration::from_secs(10);
/// The most that an order may be long, in bytes.
const LONGEST: usize = 4096;
/// The text format of Prometheus.
const PROMETHEUS: HeaderValue =
    HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// What the service tells of, and can switch.
#[derive(Clone)]
pub struct Operated {
    /// What fails.
    pub health: Health,
    /// What has to go well for it to be ready.
    pub storage: Arc<dyn Probe>,
    /// Where metrics are, and how they are made. `None`: there are none.
    pub metrics: Option<(String, Arc<dyn Fn() -> String + Send + Sync>)>,
    /// Whether anything can be written.
    pub read_only: ReadOnlySwitch,
    /// Nothing can be written whatever the switch says.
    pub is_always_read_only: bool,
}

impl fmt::Debug for Operated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { health, read_only, is_always_read_only, .. } = self;
        f.debug_struct("Operated")
            .field("health", health)
            .field("read_only", read_only)
            .field("is_always_read_only", is_always_read_only)
            .finish_non_exhaustive()
    }
}

/// See the [module](self). Cheap to clone.
#[derive(Clone)]
pub struct DebugService(Arc<Operated>);

impl DebugService {
    /// A service of all this.
    pub fn new(operated: Operated) -> Self {
        Self(Arc::new(operated))
    }
}

impl fmt::Debug for DebugService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DebugService").field("health", &self.0.health).finish_non_exhaustive()
    }
}

impl<B> Service<Request<B>> for DebugService
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let operated = Arc::clone(&self.0);
        Box::pin(async move {
            let is_head = request.method() == Method::HEAD;
            let mut response = operated.answer(request).await;
            if is_head {
                *response.body_mut() = ResponseBody::empty();
            }
            Ok(response)
        })
    }
}

/// An order to switch.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    enabled: bool,
}

impl Operated {
    async fn answer<B>(&self, request: Request<B>) -> Response<ResponseBody>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let (head, body) = request.into_parts();
        let path = head.uri.path();
        let is_read = [Method::GET, Method::HEAD].contains(&head.method);
        let is_post = head.method == Method::POST;
        if let Some((_, metrics)) = self.metrics.as_ref().filter(|(at, _)| at == path) {
            return if is_read { fine(PROMETHEUS, metrics()) } else { wrong_method() };
        }
        match path {
            "/debug/health" if is_read => told(&self.health.failing()),
            "/debug/live" if is_read => fine(TEXT, "alive\n"),
            "/debug/ready" if is_read => told(&self.not_ready().await),
            "/debug/readonly" if is_read => self.is_read_only(),
            "/debug/readonly" if is_post => self.switch(body).await,
            "/debug/health/down" if is_post => {
                self.health.down();
                fine(TEXT, "")
            }
            "/debug/health/up" if is_post => {
                self.health.up();
                fine(TEXT, "")
            }
            // As Distribution answers these two to another method.
            "/debug/health" | "/debug/live" | "/debug/ready" | "/debug/readonly" => wrong_method(),
            _ => plain(Plain::NotFound, TEXT, "404 page not found\n"),
        }
    }

    async fn not_ready(&self) -> BTreeMap<String, String> {
        let mut failing = self.health.failing();
        let outcome = timeout(PATIENCE, self.storage.probe()).await;
        if let Err(why) = outcome.unwrap_or_else(|_| Err(format!("no answer in {PATIENCE:?}"))) {
            failing.insert("storage".to_owned(), why);
        }
        failing
    }

    fn is_read_only(&self) -> Response<ResponseBody> {
        let enabled = self.is_always_read_only || self.read_only.is_on();
        fine(JSON, serde_json::json!({ "enabled": enabled }).to_string())
    }

    async fn switch<B>(&self, body: B) -> Response<ResponseBody>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let bytes = Limited::new(body, LONGEST).collect().await.ok().map(Collected::to_bytes);
        let order = bytes.and_then(|bytes| serde_json::from_slice::<Order>(&bytes).ok());
        let Some(Order { enabled }) = order else {
            let what = "expected {\"enabled\":true} or {\"enabled\":false}, found another form\n";
            return plain(Plain::Bad, TEXT, what);
        };
        if self.is_always_read_only && !enabled {
            let what = "the storage was opened for reading: expected a start that may write\n";
            return plain(Plain::Conflict, TEXT, what);
        }
        if self.read_only.set(enabled) != enabled {
            tracing::warn!(enabled, "read-only was switched at the debug server");
        }
        self.is_read_only()
    }
}

fn told(failing: &BTreeMap<String, String>) -> Response<ResponseBody> {
    let text = serde_json::json!(failing).to_string();
    if failing.is_empty() { fine(JSON, text) } else { plain(Plain::Unavailable, JSON, text) }
}

fn fine(media_type: HeaderValue, text: impl Into<Bytes>) -> Response<ResponseBody> {
    let mut response = ResponseBody::full(text).respond(StatusCode::OK);
    response.headers_mut().insert(CONTENT_TYPE, media_type);
    response
}

fn wrong_method() -> Response<ResponseBody> {
    plain(Plain::Method, TEXT, "this is not for that method\n")
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use http_body_util::Empty;
    use tower::ServiceExt as _;

    use super::*;

    struct Fails;

    #[async_trait]
    impl Probe for Fails {
        async fn probe(&self) -> Result<(), String> {
            Err("it fails".to_owned())
        }
    }

    struct Hangs;

    #[async_trait]
    impl Probe for Hangs {
        async fn probe(&self) -> Result<(), String> {
            std::future::pending().await
        }
    }

    async fn readiness(storage: impl Probe) -> (StatusCode, Bytes) {
        let debug = DebugService::new(Operated {
            health: Health::default(),
            storage: Arc::new(storage),
            metrics: None,
            read_only: ReadOnlySwitch::default(),
            is_always_read_only: false,
        });
        let request = Request::get("/debug/ready").body(Empty::<Bytes>::new()).unwrap();
        let answer = debug.oneshot(request).await.unwrap();
        (answer.status(), answer.into_body().collect().await.unwrap().to_bytes())
    }

    #[tokio::test(start_paused = true)]
    async fn while_the_storage_fails_or_does_not_answer_it_is_not_ready_and_why_is_said() {
        let unavailable = StatusCode::SERVICE_UNAVAILABLE;
        assert_eq!(readiness(Fails).await, (unavailable, r#"{"storage":"it fails"}"#.into()));
        let why = r#"{"storage":"no answer in 10s"}"#;
        assert_eq!(readiness(Hangs).await, (unavailable, why.into()));
    }
}
