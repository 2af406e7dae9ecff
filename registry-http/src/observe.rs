//! [`Observe`]: a service around the registry's that tells observers of each request, when it begins and when its answer
//! has been sent.
//!
//! It gives each request an [id](crate::request_id), which the answer repeats and the lines of the log have, counts the
//! bytes that come and go, and knows how it ended: the client may leave before the answer, or in the middle of it.

use std::convert::Infallible;
use std::fmt;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::thread;
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
use tracing::{Instrument as _, Span};

use crate::auth::Actor;
use crate::endpoint;
use crate::request_id::{HEADER, RequestId};
use crate::request_span;
use crate::route::Route;

/// What a client that left before it was answered is told of with, as of nginx.
pub const CLIENT_LEFT: u16 = 499;

/// What a request whose handler panicked is told of with; its connection ends without an answer.
pub const PANICKED: u16 = 500;

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
    /// For whom it was sent, as a proxy says: the first address of `X-Forwarded-For`, or else `X-Real-Ip`, as in
    /// Distribution. Anybody can say so.
    pub forwarded_for: Option<IpAddr>,
    /// The client's program.
    pub user_agent: Option<String>,
    /// Where its address was found. It may hold what is secret.
    pub referer: Option<String>,
    /// Who it is, if the authorizer was asked and let it in.
    pub actor: Option<String>,
    /// The answer's status; if there was none [`CLIENT_LEFT`], or [`PANICKED`].
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
        let received = Arc::new(AtomicU64::new(0));
        let mut ending = Ending::of(&request, id, &self.shared, Arc::clone(&received));
        let span = ending.span.clone();
        let request = request.map(|inner| CountedBody { inner, count: received });
        let answer = self.inner.call(request);
        let answer = async move {
            let Ok(mut response) = answer.await;
            if let Some(header) = header {
                response.headers_mut().insert(HEADER, header);
            }
            ending.answered(&response);
            Ok(response.map(|inner| AnswerBody { inner, ending, is_broken: false }))
        };
        Box::pin(answer.instrument(span))
    }
}

/// Tells when it is dropped.
struct Ending {
    exchange: Exchange,
    begun: Instant,
    received: Arc<AtomicU64>,
    /// What is told while it is answered, and while the body of the answer is made, belongs to it.
    span: Span,
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
        let span = request_span::begin(request, route, &id);
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
            forwarded_for: forwarded_for(headers),
            user_agent: text(headers, USER_AGENT),
            referer: text(headers, REFERER),
            actor: None,
            status: CLIENT_LEFT,
            content_type: None,
            received: 0,
            sent: 0,
            is_whole: false,
        };
        Self { exchange, begun: Instant::now(), received, span, shared: Arc::clone(shared) }
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
        if self.exchange.status == CLIENT_LEFT && thread::panicking() {
            self.exchange.status = PANICKED;
        }
        self.exchange.took = self.begun.elapsed();
        self.exchange.received = self.received.load(Ordering::Relaxed);
        let Exchange { status, received, sent, .. } = self.exchange;
        let status = Some(status).filter(|status| *status != CLIENT_LEFT);
        request_span::end(&self.span, status, received, sent);
        for observer in &self.shared.observers {
            observer.ended(&self.exchange);
        }
    }
}

/// As Distribution has it: what is no address counts as nothing.
fn forwarded_for(headers: &HeaderMap) -> Option<IpAddr> {
    let first = headers.get("x-forwarded-for").and_then(|value| value.to_str().ok());
    let first = first.and_then(|value| value.split(',').next()?.trim_matches(' ').parse().ok());
    first.or_else(|| headers.get("x-real-ip")?.to_str().ok()?.parse().ok())
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
    is_broken: bool,
}

impl<R: Body<Data = Bytes> + Unpin> Body for AnswerBody<R> {
    type Data = Bytes;
    type Error = R::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, R::Error>>> {
        let this = &mut *self;
        let polled = this.ending.span.in_scope(|| Pin::new(&mut this.inner).poll_frame(cx));
        let frame = ready!(polled);
        // Behind a failure a body is at its end, too.
        self.is_broken |= matches!(frame, Some(Err(_)));
        let is_whole = !self.is_broken && (frame.is_none() || self.inner.is_end_stream());
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

/// A request for tests of what is told of them.
#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// That has been answered with a byte for two.
    pub(crate) fn exchange(route: Route) -> Exchange {
        Exchange {
            route: Some(route),
            id: RequestId("5a0b".to_owned()),
            began: SystemTime::UNIX_EPOCH,
            took: Duration::from_millis(1),
            method: Method::GET,
            uri: Uri::from_static("/"),
            version: Version::HTTP_11,
            host: None,
            peer: None,
            forwarded_for: None,
            user_agent: None,
            referer: None,
            actor: None,
            status: 200,
            content_type: None,
            received: 2,
            sent: 1,
            is_whole: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::task::Waker;

    use futures::FutureExt as _;
    use http::StatusCode;
    use http_body_util::{BodyExt as _, Empty};
    use registry_store::backend::MemoryBackend;
    use registry_store::options::StoreOptions;
    use tower::{ServiceExt as _, service_fn};

    use super::*;
    use crate::body::ResponseBody;

    type Told = (u16, u64, bool);

    /// Status, bytes and whether it was whole, of each that has ended.
    #[derive(Debug, Default)]
    struct Ended(Mutex<Vec<Told>>);

    impl Observer for Ended {
        fn began(&self, _: Option<Route>) {}

        fn ended(&self, exchange: &Exchange) {
            self.0.lock().unwrap().push((exchange.status, exchange.sent, exchange.is_whole));
        }
    }

    type Answer = Response<AnswerBody<ResponseBody>>;

    /// Asks a service that answers so, and looks at it as `client` does. What was told of the request.
    async fn told<F, C>(
        answer: fn() -> F,
        client: impl FnOnce(BoxFuture<'static, Answer>) -> C,
    ) -> Told
    where
        F: Future<Output = ResponseBody> + Send + 'static,
        C: Future<Output = ()>,
    {
        let ended = Arc::new(Ended::default());
        let store = Store::new(Arc::new(MemoryBackend::new()), StoreOptions::default());
        let inner = service_fn(move |_: Request<CountedBody<Empty<Bytes>>>| async move {
            Ok::<_, Infallible>(answer().await.respond(StatusCode::OK))
        });
        let observers = vec![Arc::clone(&ended) as Arc<dyn Observer>];
        let observed = Observe::new(inner, observers, &store, "", |_| None);
        let answer = observed.oneshot(Request::new(Empty::new()));
        client(answer.map(|Ok(answer)| answer).boxed()).await;
        let told = std::mem::take(&mut *ended.0.lock().unwrap());
        assert_eq!(told.len(), 1, "{told:?}");
        told[0]
    }

    async fn three_bytes() -> ResponseBody {
        let parts = ["a", "b", "c"].map(|part| Ok::<_, std::io::Error>(Bytes::from(part)));
        ResponseBody::sized(futures::stream::iter(parts), 3)
    }

    #[tokio::test]
    async fn an_answer_that_was_taken_to_its_end_is_whole() {
        let all = |answer: BoxFuture<'static, Answer>| async move {
            answer.await.collect().await.unwrap();
        };
        assert_eq!(told(three_bytes, all).await, (200, 3, true));
        let nothing = || async { ResponseBody::empty() };
        assert_eq!(told(nothing, |answer| async move { drop(answer.await) }).await, (200, 0, true));
    }

    #[tokio::test]
    async fn an_answer_that_is_left_in_the_middle_is_not_whole() {
        let two = |answer: BoxFuture<'static, Answer>| async move {
            let mut body = answer.await.into_body();
            body.frame().await.unwrap().unwrap();
            body.frame().await.unwrap().unwrap();
        };
        assert_eq!(told(three_bytes, two).await, (200, 2, false));
    }

    #[tokio::test]
    async fn an_answer_that_the_storage_cuts_is_not_whole_however_it_is_read_on() {
        let cut = || async {
            let parts = [Ok(Bytes::from("a")), Err(std::io::Error::other("it fails"))];
            ResponseBody::sized(futures::stream::iter(parts), 3)
        };
        let all = |answer: BoxFuture<'static, Answer>| async move {
            let mut body = answer.await.into_body();
            body.frame().await.unwrap().unwrap();
            body.frame().await.unwrap().unwrap_err();
            assert!(body.is_end_stream());
            assert!(body.frame().await.is_none());
        };
        assert_eq!(told(cut, all).await, (200, 1, false));
    }

    #[tokio::test]
    async fn a_client_that_leaves_before_its_answer_is_told_of_as_such() {
        let leave = |mut answer: BoxFuture<'static, Answer>| async move {
            let mut cx = Context::from_waker(Waker::noop());
            assert!(answer.poll_unpin(&mut cx).is_pending());
        };
        let never = || std::future::pending::<ResponseBody>();
        assert_eq!(told(never, leave).await, (CLIENT_LEFT, 0, false));
    }

    #[tokio::test]
    async fn a_handler_that_panics_is_no_client_that_has_left() {
        let caught = |answer: BoxFuture<'static, Answer>| async move {
            tokio::spawn(answer).await.unwrap_err();
        };
        async fn panics() -> ResponseBody {
            panic!("it panics")
        }
        assert_eq!(told(panics, caught).await, (PANICKED, 0, false));
    }

    #[test]
    fn a_proxy_tells_for_whom_it_asks_by_an_address_or_not_at_all() {
        for (name, value, expected) in [
            ("x-forwarded-for", "192.0.2.7", Some("192.0.2.7")),
            ("x-forwarded-for", " 192.0.2.7 , 10.0.0.1", Some("192.0.2.7")),
            ("x-forwarded-for", "2001:db8::7", Some("2001:db8::7")),
            ("x-forwarded-for", "a, 192.0.2.7", None),
            ("x-forwarded-for", "192.0.2.7\" x", None),
            ("x-real-ip", "192.0.2.7", Some("192.0.2.7")),
            ("x-real-ip", "192.0.2.7, 10.0.0.1", None),
            ("x-other", "192.0.2.7", None),
        ] {
            let headers = HeaderMap::from_iter([(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )]);
            let found = forwarded_for(&headers).map(|address| address.to_string());
            assert_eq!(found.as_deref(), expected, "{name}: {value}");
        }
    }
}
