//! Bodies: a request's as a stream that cannot stall or lie about its length, an answer's with its exact size.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::stream::BoxStream;
use futures::{Stream, StreamExt, TryStreamExt};
use http::header::{CONTENT_LENGTH, EXPECT};
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use registry_store::error::BodyError;
use thiserror::Error;
use tokio::time::{Instant, Sleep, sleep, timeout};

use crate::headers;
use crate::options::Options;

/// What is wrong with a request's body.
#[derive(Debug, Error)]
pub(crate) enum BodyFault {
    /// Nothing came for too long.
    #[error("expected the next part of the body within {waited:?}")]
    Idle { waited: Duration },
    /// It did not come whole in time.
    #[cfg(feature = "auth")]
    #[error("expected the whole body within {within:?}")]
    Late { within: Duration },
    /// Shorter than declared.
    #[error("expected a body of {expected} bytes, found {found}")]
    Short { expected: u64, found: u64 },
    /// Longer than declared.
    #[error("expected a body of {expected} bytes, found more")]
    Long { expected: u64 },
    /// The connection broke.
    #[error("{0}")]
    Broken(#[source] BodyError),
}

/// A request's body, a stream of parts that ends after an error.
///
/// * Waits for a part no longer than the idle timeout; the time a reader takes does not count.
/// * Is as long as was declared, or ends with an error.
pub(crate) struct RequestBody {
    body: UnsyncBoxBody<Bytes, BodyError>,
    limits: Limits,
    /// Made when a part is first waited for.
    timer: Option<Pin<Box<Sleep>>>,
    waiting: bool,
    expected: Option<u64>,
    found: u64,
    /// Nothing more is given out.
    ended: bool,
    /// All of it was read, so that the connection can go on.
    whole: bool,
    /// The client has gone, or stalls: there is nothing to wait for.
    lost: bool,
    /// The client waits to be asked for its body, and nobody has asked yet.
    held_back: bool,
    /// It ended with trailers.
    trailed: bool,
}

/// What a body may take; see [`Options`].
#[derive(Clone, Copy)]
struct Limits {
    idle: Duration,
    drain: (u64, Duration),
    /// For one part, and in all.
    discard: (Duration, Duration),
}

impl RequestBody {
    pub(crate) fn new<B>(body: B, head: &Parts, options: &Options) -> Self
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BodyError>,
    {
        Self {
            body: body.map_err(Into::into).boxed_unsync(),
            limits: Limits {
                idle: options.body_idle_timeout,
                drain: (options.drain_limit, options.drain_time),
                discard: (options.discard_idle_timeout, options.discard_time),
            },
            timer: None,
            waiting: false,
            expected: headers::content_length(&head.headers),
            found: 0,
            ended: false,
            whole: false,
            lost: false,
            held_back: head.headers.contains_key(EXPECT),
            trailed: false,
        }
    }

    /// Declares the length, from the request's head.
    pub(crate) fn expect(&mut self, length: u64) {
        self.expected = Some(length);
    }

    /// Reads all of it, or one byte more than `limit` of it.
    ///
    /// A part is let go of as soon as the next one comes: each keeps the buffer it was read into, however small it is.
    pub(crate) async fn read(&mut self, limit: usize) -> Result<Bytes, BodyError> {
        let most = limit + 1;
        let cut = |part: &Bytes, left: usize| part.slice(..part.len().min(left));
        let Some(first) = self.try_next().await? else {
            return Ok(Bytes::new());
        };
        let first = cut(&first, most);
        if first.len() == most {
            return Ok(first);
        }
        let Some(second) = self.try_next().await? else {
            return Ok(first); // most manifests come in one part
        };
        let declared = self.expected.and_then(|length| usize::try_from(length).ok());
        let mut all = BytesMut::with_capacity(declared.unwrap_or_default().min(most));
        all.extend_from_slice(&first);
        drop(first);
        let mut next = Some(second);
        while let Some(part) = next {
            all.extend_from_slice(&cut(&part, most - all.len()));
            drop(part);
            next = if all.len() < most { self.try_next().await? } else { None };
        }
        Ok(all.freeze())
    }

    /// Reads the same, if it comes within so long, however steadily it does.
    #[cfg(feature = "auth")]
    pub(crate) async fn read_within(
        &mut self,
        within: Duration,
        limit: usize,
    ) -> Result<Bytes, BodyError> {
        if let Ok(read) = timeout(within, self.read(limit)).await {
            return read;
        }
        (self.ended, self.lost) = (true, true);
        Err(BodyFault::Late { within }.into())
    }

    /// Reads what is left of it, up to a limit, and throws it away. `false` if there is more, or if it ended with
    /// trailers: where those end is read in more ways than one (a line feed alone ends a line, or it does not), so what
    /// follows on the connection is no request that can be relied on.
    pub(crate) async fn drain(&mut self) -> bool {
        let (limit, time) = self.limits.drain;
        let end = self.found.saturating_add(limit);
        let drained = timeout(time, async { while self.found < end && self.pass_over().await {} });
        drained.await.is_ok() && self.is_over() && !self.trailed
    }

    /// Reads what is left of it and throws it away, after the answer, for as long as is bearable.
    ///
    /// Many a client sends all of its body before it reads. Were the connection or the stream closed under it, the
    /// reset would take the answer away. Memory stays bounded: one part is held at a time.
    pub(crate) async fn discard(mut self) {
        let (idle, time) = self.limits.discard;
        let rest = async { while let Ok(true) = timeout(idle, self.pass_over()).await {} };
        // Whoever still sends then is cut off.
        let _ = timeout(time, rest).await;
    }

    /// Is there something left that the client may be sending?
    pub(crate) fn is_coming(&self) -> bool {
        // To read what is held back would be to ask for it.
        !self.is_over() && !self.lost && !self.held_back
    }

    fn is_over(&self) -> bool {
        self.whole || self.body.is_end_stream()
    }

    /// Reads a part and throws it away, whatever its length makes of the whole. `false` if none comes.
    async fn pass_over(&mut self) -> bool {
        if !self.is_coming() {
            return false;
        }
        match self.body.frame().await {
            Some(Ok(frame)) => {
                self.trailed |= frame.is_trailers();
                self.found += frame.data_ref().map_or(0, Bytes::len) as u64;
            }
            Some(Err(_)) => self.lost = true,
            None => self.whole = true,
        }
        self.is_coming()
    }

    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let idle = self.limits.idle;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(idle)));
        if !std::mem::replace(&mut self.waiting, true) {
            timer.as_mut().reset(Instant::now() + idle);
        }
        timer.as_mut().poll(cx)
    }

    fn end(&mut self, fault: Option<BodyFault>) -> Poll<Option<Result<Bytes, BodyError>>> {
        self.ended = true;
        self.lost = matches!(fault, Some(BodyFault::Idle { .. } | BodyFault::Broken(_)));
        Poll::Ready(fault.map(|fault| Err(fault.into())))
    }
}

impl Stream for RequestBody {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.held_back = false;
        while !self.ended {
            let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
                let waited = self.limits.idle;
                return match self.poll_idle(cx) {
                    Poll::Ready(()) => self.end(Some(BodyFault::Idle { waited })),
                    Poll::Pending => Poll::Pending,
                };
            };
            self.waiting = false;
            let found = self.found;
            let part = match frame.map(|frame| frame.map(Frame::into_data)) {
                None => {
                    self.whole = true;
                    let short = self.expected.filter(|expected| found < *expected);
                    let fault = short.map(|expected| BodyFault::Short { expected, found });
                    return self.end(fault);
                }
                Some(Err(error)) => return self.end(Some(BodyFault::Broken(error))),
                Some(Ok(Err(_trailers))) => {
                    self.trailed = true;
                    continue;
                }
                Some(Ok(Ok(part))) => part,
            };
            self.found += part.len() as u64;
            let exceeded = self.expected.filter(|expected| self.found > *expected);
            if let Some(expected) = exceeded {
                return self.end(Some(BodyFault::Long { expected }));
            }
            if !part.is_empty() {
                return Poll::Ready(Some(Ok(part)));
            }
        }
        Poll::Ready(None)
    }
}

/// An answer's body: nothing, bytes, or a stream that is read as the client takes it.
///
/// Its [`size_hint`](Body::size_hint) is exact, except for a list too long to be made in one piece. It fails
/// rather than end early: the server then breaks the connection off, and no client takes half for the whole.
pub struct ResponseBody(Content);

enum Content {
    Bytes(Bytes),
    Sized { parts: BoxStream<'static, Result<Bytes, BodyError>>, left: u64 },
    Unsized(BoxStream<'static, Result<Bytes, BodyError>>),
}

impl ResponseBody {
    /// No body.
    pub(crate) const fn empty() -> Self {
        Self(Content::Bytes(Bytes::new()))
    }

    /// These bytes.
    pub(crate) fn full(bytes: impl Into<Bytes>) -> Self {
        Self(Content::Bytes(bytes.into()))
    }

    /// A stream of `size` bytes.
    pub(crate) fn sized<S, E>(parts: S, size: u64) -> Self
    where
        S: Stream<Item = Result<Bytes, E>> + Send + 'static,
        E: Into<BodyError> + 'static,
    {
        Self(Content::Sized { parts: parts.map_err(Into::into).boxed(), left: size })
    }

    /// A stream that is as long as it is.
    pub(crate) fn unsized_stream<S, E>(parts: S) -> Self
    where
        S: Stream<Item = Result<Bytes, E>> + Send + 'static,
        E: Into<BodyError> + 'static,
    {
        Self(Content::Unsized(parts.map_err(Into::into).boxed()))
    }

    /// An answer with this body. Its length is in the head, which HEAD keeps when the body goes.
    pub(crate) fn respond(self, status: StatusCode) -> Response<Self> {
        let length = self.size_hint().exact();
        let mut response = Response::new(self);
        *response.status_mut() = status;
        // These two have no body, and a length would be that of another answer (RFC 9110 §8.6).
        let bare = [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&status);
        if let Some(length) = length.filter(|_| !bare) {
            response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        response
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let next = match &mut self.0 {
            Content::Bytes(bytes) if bytes.is_empty() => None,
            Content::Bytes(bytes) => Some(Ok(std::mem::take(bytes))),
            Content::Unsized(parts) => std::task::ready!(parts.poll_next_unpin(cx)),
            Content::Sized { left: 0, .. } => None,
            Content::Sized { parts, left } => {
                let part = std::task::ready!(parts.poll_next_unpin(cx));
                Some(part.map_or_else(|| Err(WrongSize.into()), |part| take(part, left)))
            }
        };
        if let Some(Err(error)) = &next {
            tracing::error!(error = %error, "the answer broke off");
            self.0 = Content::Bytes(Bytes::new());
        }
        Poll::Ready(next.map(|part| part.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Content::Bytes(bytes) => bytes.is_empty(),
            Content::Sized { left, .. } => *left == 0,
            Content::Unsized(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Content::Bytes(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Sized { left, .. } => SizeHint::with_exact(*left),
            Content::Unsized(_) => SizeHint::default(),
        }
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.size_hint().exact() {
            Some(size) => write!(f, "ResponseBody({size} bytes to come)"),
            None => f.write_str("ResponseBody(a stream)"),
        }
    }
}

fn take(part: Result<Bytes, BodyError>, left: &mut u64) -> Result<Bytes, BodyError> {
    let part = part?;
    *left = left.checked_sub(part.len() as u64).ok_or(WrongSize)?;
    Ok(part)
}

/// What was opened is not as long as it said when it was opened.
#[derive(Debug, Error)]
#[error("expected what is stored to keep its size while it is read")]
struct WrongSize;

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use futures::stream;
    use http::Request;
    use http_body_util::{Full, StreamBody};

    type Parts = Vec<Result<&'static str, &'static str>>;

    fn body(declared: Option<u64>, parts: Parts) -> RequestBody {
        let frames = parts.into_iter().map(|part| match part {
            Ok(bytes) => Ok(Frame::data(Bytes::from_static(bytes.as_bytes()))),
            Err(error) => Err(BodyError::from(error)),
        });
        let mut request = Request::new(());
        if let Some(length) = declared {
            let headers = request.headers_mut();
            headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        let (head, ()) = request.into_parts();
        let body = StreamBody::new(stream::iter(frames));
        RequestBody::new(body, &head, &Options::default())
    }

    fn fault(error: BodyError) -> BodyFault {
        *error.downcast().expect("a request's body fails with a BodyFault")
    }

    #[tokio::test]
    async fn a_body_of_the_declared_length_is_read_whole() {
        let mut body = body(Some(6), vec![Ok("abc"), Ok(""), Ok("def")]);
        assert_eq!(body.read(100).await.unwrap(), "abcdef");
        assert!(body.drain().await);
    }

    #[tokio::test]
    async fn no_more_than_one_byte_beyond_the_limit_is_kept() {
        let mut body = body(None, vec![Ok("abc"), Ok("def"), Ok("ghi")]);
        assert_eq!(body.read(4).await.unwrap(), "abcde");
    }

    /// A part that tells how many like it there are.
    struct Held {
        _counted: Arc<()>,
    }

    impl AsRef<[u8]> for Held {
        fn as_ref(&self) -> &[u8] {
            b"x"
        }
    }

    #[tokio::test]
    async fn a_body_of_many_small_parts_is_collected_as_it_comes() {
        let held = Arc::new(());
        let most = Arc::new(AtomicUsize::new(0));
        let parts = stream::iter(0..1000).map({
            let (held, most) = (Arc::clone(&held), Arc::clone(&most));
            move |_| {
                let part = Bytes::from_owner(Held { _counted: Arc::clone(&held) });
                // Of those that are counted, two are not parts.
                most.fetch_max(Arc::strong_count(&held) - 2, Ordering::Relaxed);
                Ok::<_, BodyError>(Frame::data(part))
            }
        });
        let (head, ()) = Request::new(()).into_parts();
        let mut body = RequestBody::new(StreamBody::new(parts), &head, &Options::default());
        assert_eq!(body.read(999).await.unwrap().len(), 1000);
        assert!(most.load(Ordering::Relaxed) <= 2, "{most:?} parts were held at once");
    }

    #[tokio::test]
    async fn a_body_of_one_part_is_not_copied() {
        let whole = Bytes::from_static(b"abcdef");
        let (head, ()) = Request::new(()).into_parts();
        let mut body = RequestBody::new(Full::new(whole.clone()), &head, &Options::default());
        assert_eq!(body.read(100).await.unwrap().as_ptr(), whole.as_ptr());
    }

    #[tokio::test]
    async fn a_body_that_is_too_short_or_too_long_ends_with_an_error() {
        let error = body(Some(7), vec![Ok("abc")]).read(100).await.unwrap_err();
        let fault_found = fault(error);
        assert!(
            matches!(fault_found, BodyFault::Short { expected: 7, found: 3 }),
            "{fault_found:?}"
        );
        let error = body(Some(2), vec![Ok("abc")]).read(100).await.unwrap_err();
        assert!(matches!(fault(error), BodyFault::Long { expected: 2 }));
        let error = body(None, vec![Err("cut")]).read(100).await.unwrap_err();
        assert!(matches!(fault(error), BodyFault::Broken(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stalls_ends_with_an_error() {
        let first = stream::iter([Ok::<_, BodyError>(Frame::data(Bytes::from_static(b"a")))]);
        let body = StreamBody::new(first.chain(stream::pending()));
        let (head, ()) = Request::new(()).into_parts();
        let mut body = RequestBody::new(body, &head, &Options::default());
        let started = Instant::now();
        let error = body.read(100).await.unwrap_err();
        assert!(matches!(fault(error), BodyFault::Idle { .. }));
        assert_eq!(started.elapsed().as_secs(), 60);
    }

    #[cfg(feature = "auth")]
    #[tokio::test(start_paused = true)]
    async fn a_body_that_is_to_come_in_time_is_given_up_though_it_moves() {
        let steady = |seconds| {
            stream::iter(0..20).then(move |_| async move {
                sleep(Duration::from_secs(seconds)).await;
                Ok::<_, BodyError>(Frame::data(Bytes::from_static(b"a")))
            })
        };
        let (head, ()) = Request::new(()).into_parts();
        let within = Duration::from_secs(15);
        let body = StreamBody::new(steady(1));
        let mut slow = RequestBody::new(body, &head, &Options::default());
        let started = Instant::now();
        let error = slow.read_within(within, 100).await.unwrap_err();
        assert!(matches!(fault(error), BodyFault::Late { .. }));
        assert!(!slow.is_coming() && !slow.drain().await, "it is not read on");
        assert_eq!(started.elapsed(), within);
        let mut fast = RequestBody::new(StreamBody::new(steady(0)), &head, &Options::default());
        assert_eq!(fast.read_within(within, 100).await.unwrap().len(), 20);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_does_not_make_a_body_stall() {
        let mut body = body(None, vec![Ok("a"), Ok("b")]);
        assert_eq!(body.next().await.unwrap().unwrap(), "a");
        sleep(Duration::from_secs(3600)).await;
        assert_eq!(body.next().await.unwrap().unwrap(), "b");
        assert!(body.next().await.is_none());
    }

    #[tokio::test]
    async fn draining_stops_at_its_limit_and_never_asks_for_a_body_that_is_held_back() {
        let endless = || {
            let part = Bytes::from(vec![0; 65536]);
            let part = move || Some(Ok::<_, BodyError>(Frame::data(part.clone())));
            StreamBody::new(stream::iter(std::iter::from_fn(part)))
        };
        let (head, ()) = Request::new(()).into_parts();
        let mut body = RequestBody::new(endless(), &head, &Options::default());
        assert!(!body.drain().await);
        assert_eq!(body.found, Options::default().drain_limit);

        let request = Request::builder().header(EXPECT, "100-continue");
        let (head, ()) = request.body(()).unwrap().into_parts();
        let mut body = RequestBody::new(endless(), &head, &Options::default());
        assert!(!body.drain().await);
        assert_eq!(body.found, 0);

        let empty = Full::new(Bytes::new());
        let mut body = RequestBody::new(empty, &head, &Options::default());
        assert!(body.drain().await);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_left_is_read_after_the_answer_until_it_stalls_or_for_so_long() {
        let part = || Ok::<_, BodyError>(Frame::data(Bytes::from_static(b"a")));
        let (head, ()) = Request::new(()).into_parts();
        let took = async |pauses: BoxStream<'static, u64>| {
            let parts = pauses.then(move |seconds| async move {
                sleep(Duration::from_secs(seconds)).await;
                part()
            });
            let body = RequestBody::new(StreamBody::new(parts), &head, &Options::default());
            let started = Instant::now();
            body.discard().await;
            started.elapsed().as_secs()
        };
        assert_eq!(took(stream::iter([1, 2, 3]).boxed()).await, 6);
        assert_eq!(took(stream::iter([1, 3600]).boxed()).await, 6);
        assert_eq!(took(stream::repeat(4).boxed()).await, 30);
    }

    #[tokio::test]
    async fn a_body_that_is_too_long_is_still_coming_and_one_that_broke_off_is_not() {
        let mut long = body(None, vec![Ok("abc"), Ok("def")]);
        long.expect(2);
        long.read(100).await.unwrap_err();
        assert!(long.is_coming());
        assert!(long.drain().await);
        assert!(!long.is_coming());

        let mut broken = body(None, vec![Err("cut"), Ok("def")]);
        broken.read(100).await.unwrap_err();
        assert!(!broken.is_coming());
    }

    fn stored(parts: Parts, size: u64) -> ResponseBody {
        let parts = parts.into_iter().map(|part| part.map(Bytes::from));
        ResponseBody::sized(stream::iter(parts), size)
    }

    #[tokio::test]
    async fn an_answer_has_the_size_it_declares() {
        let body = stored(vec![Ok("abc"), Ok("def")], 6);
        assert_eq!(body.size_hint().exact(), Some(6));
        assert_eq!(body.collect().await.unwrap().to_bytes(), "abcdef");
        let response = stored(vec![Ok("abc")], 3).respond(StatusCode::OK);
        assert_eq!(response.headers()[CONTENT_LENGTH], "3");
    }

    #[tokio::test]
    async fn an_answer_fails_rather_than_end_early_or_run_over() {
        assert!(stored(vec![Ok("abc")], 6).collect().await.is_err());
        assert!(stored(vec![Ok("abcdef")], 3).collect().await.is_err());
        assert!(stored(vec![Ok("abc"), Err("bad disk")], 6).collect().await.is_err());
    }
}
