//! [`Observe`]: a service around the registry's that tells observers of each request, when it begins and when its answer
//! has been sent.
//!
//! It gives each request an [id](crate::request_id), which the answer repeats and the lines of the log have, counts the
//! bytes that come and go, and knows how it ended: the client may leave before the answer, or in the middle of it.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};

use bytes::{Buf as _, Bytes};
use futures::future::BoxFuture;
use http::header::{CONTENT_TYPE, HOST, REFERER, USER_AGENT};
use http::{
    Extensions, HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri, Version,
};
use http_body::{Body, Frame, SizeHint};
use registry_store::options::{Clock, Random};
use registry_store::store::Store;
use tokio::time::Instant;
use tower::Service;
use tracing::{Instrument as _, error_span};

use crate::auth::Actor;
use crate::endpoint;
use crate::request_id::{HEADER, RequestId};
use crate::route::Route;

/// What a client that left before it was answered is told of with, as of nginx.
pub const CLIENT_LEFT: u16 = 499;

/// Is told of requests. Both are called on the way of a request: they must neither block nor panic.
pub trait Observer: Send + Sync + fmt::Debug + 'static {
    /// One has come. `route` is `None` if it is about nothing that the API knows.
    fn began(&self, route: Option<Route>);

    /// One has ended: its answer has been sent, or nobody waits for it any more. Every request that began ends once.
    fn ended(&self, exchange: &Exchange);
}

/// A request and its answer. What is secret in the headers is not here; what is in the address is: see
/// [`shown`](Exchange::shown).
#[derive(Clone, Debug)]
pub struct Exchange {
    /// What it was about.
    pub route: Option<Route>,
    /// Its id.
    pub id: RequestId,
    /// When it came, by the store's clock.
    pub began: SystemTime,
    /// From its head to the end of its answer.
    pub took: Duration,
    /// Its method.
    pub method: Method,
    /// Its address. It may hold what is secret.
    pub uri: Uri,
    /// HTTP's version.
    pub version: Version,
    /// Which host it was sent to.
    pub host: Option<String>,
    /// Who sent it, as the listener knows: an address and a port.
    pub peer: Option<String>,
    /// The client's program.
    pub user_agent: Option<String>,
    /// Where its address was found. It may hold what is secret.
    pub referer: Option<String>,
    /// Who it is, if the authorizer was asked and let it in.
    pub actor: Option<String>,
    /// The answer's status; [`CLIENT_LEFT`] if there was none.
    pub status: u16,
    /// The answer's media type.
    pub content_type: Option<String>,
    /// The bytes of its body that were taken.
    pub received: u64,
    /// The bytes of the answer's body that were handed over to be sent.
    pub sent: u64,
    /// The answer was handed over to its end.
    pub is_whole: bool,
}

impl Exchange {
    /// The address as it may be logged: a path, and of the parameters only what holds nothing secret.
    pub fn shown(&self) -> String {
        endpoint::shown(&self.uri)
    }
}

/// How the other end of a connection is found among a request's extensions.
pub type PeerOf = fn(&Extensions) -> Option<String>;

/// See the [module](self). Cheap to clone.
#[derive(Clone)]
pub struct Observe<S> {
    inner: S,
    shared: Arc<Shared>,
}

struct Shared {
    observers: Vec<Arc<dyn Observer>>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    path_prefix: String,
    peer_of: PeerOf,
}

impl<S> Observe<S> {
    /// Tells `observers` of what is sent to `inner`. Clock and chance are those of `store`; `path_prefix` is that of
    /// [`Options`](crate::Options::path_prefix).
    pub fn new(
        inner: S,
        observers: Vec<Arc<dyn Observer>>,
        store: &Store,
        path_prefix: impl Into<String>,
        peer_of: PeerOf,
    ) -> Self {
        let options = store.options();
        let shared = Shared {
            observers,
            clock: Arc::clone(&options.clock),
            random: Arc::clone(&options.random),
            path_prefix: path_prefix.into(),
            peer_of,
        };
        Self { inner, shared: Arc::new(shared) }
    }
}

impl<S: fmt::Debug> fmt::Debug for Observe<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { inner, shared } = self;
        f.debug_struct("Observe")
            .field("inner", inner)
            .field("observers", &shared.observers)
            .finish_non_exhaustive()
    }
}

impl<S, B, R> Service<Request<B>> for Observe<S>
where
    S: Service<Request<CountedBody<B>>, Response = Response<R>, Error = Infallible>,
    S::Future: Send + 'static,
    B: Body<Data = Bytes> + Unpin,
    R: Body<Data = Bytes> + Unpin,
{
    type Response = Response<AnswerBody<R>>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let id = RequestId::of(request.headers(), self.shared.random.as_ref());
        request.extensions_mut().insert(id.clone());
        // The one name that a header must have to be in whatever is sent on.
        let header = HeaderValue::try_from(&id.0).ok();
        let span = error_span!("request", id = %id.0);
        let received = Arc::new(AtomicU64::new(0));
        let mut ending = Ending::of(&request, id, &self.shared, Arc::clone(&received));
        let request = request.map(|inner| CountedBody { inner, count: received });
        let answer = self.inner.call(request);
        let answer = async move {
            let Ok(mut response) = answer.await;
            if let Some(header) = header {
                response.headers_mut().insert(HEADER, header);
            }
            ending.answered(&response);
            Ok(response.map(|inner| AnswerBody { inner, ending }))
        };
        Box::pin(answer.instrument(span))
    }
}

/// Tells when it is dropped.
struct Ending {
    exchange: Exchange,
    begun: Instant,
    received: Arc<AtomicU64>,
    shared: Arc<Shared>,
}

impl Ending {
    fn of<B>(
        request: &Request<B>,
        id: RequestId,
        shared: &Arc<Shared>,
        received: Arc<AtomicU64>,
    ) -> Self {
        let route = endpoint::route(request.uri(), &shared.path_prefix);
        for observer in &shared.observers {
            observer.began(route);
        }
        let headers = request.headers();
        let authority = request.uri().authority().map(|it| it.host().to_owned());
        let exchange = Exchange {
            route,
            id,
            began: shared.clock.now(),
            took: Duration::ZERO,
            method: request.method().clone(),
            uri: request.uri().clone(),
            version: request.version(),
            host: text(headers, HOST).or(authority),
            peer: (shared.peer_of)(request.extensions()),
            user_agent: text(headers, USER_AGENT),
            referer: text(headers, REFERER),
            actor: None,
            status: CLIENT_LEFT,
            content_type: None,
            received: 0,
            sent: 0,
            is_whole: false,
        };
        Self { exchange, begun: Instant::now(), received, shared: Arc::clone(shared) }
    }

    fn answered<R: Body>(&mut self, response: &Response<R>) {
        self.exchange.status = response.status().as_u16();
        self.exchange.content_type = text(response.headers(), CONTENT_TYPE);
        let actor = response.extensions().get::<Actor>().and_then(Actor::name);
        self.exchange.actor = actor.map(str::to_owned);
        self.exchange.is_whole = response.body().is_end_stream();
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.exchange.took = self.begun.elapsed();
        self.exchange.received = self.received.load(Ordering::Relaxed);
        for observer in &self.shared.observers {
            observer.ended(&self.exchange);
        }
    }
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    let value = headers.get(name)?;
    Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// The body of a request, whose bytes are counted.
#[derive(Debug)]
pub struct CountedBody<B> {
    inner: B,
    count: Arc<AtomicU64>,
}

impl<B: Body<Data = Bytes> + Unpin> Body for CountedBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        self.count.fetch_add(length(frame.as_ref()), Ordering::Relaxed);
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// The body of an answer: the request has ended when it is dropped.
pub struct AnswerBody<R> {
    inner: R,
    ending: Ending,
}

impl<R: Body<Data = Bytes> + Unpin> Body for AnswerBody<R> {
    type Data = Bytes;
    type Error = R::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, R::Error>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        let is_whole = frame.is_none() || self.inner.is_end_stream();
        let exchange = &mut self.ending.exchange;
        exchange.sent += length(frame.as_ref());
        exchange.is_whole |= is_whole;
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl<R: fmt::Debug> fmt::Debug for AnswerBody<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

fn length<E>(frame: Option<&Result<Frame<Bytes>, E>>) -> u64 {
    let data = frame.and_then(|frame| frame.as_ref().ok()).and_then(Frame::data_ref);
    data.map_or(0, |bytes| bytes.remaining() as u64)
}
