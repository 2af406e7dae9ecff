//! One connection, from its first byte to its last.

use std::error::Error;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::{Extensions, Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::time::Instant;
use tower::Service;
use tracing::debug;

use super::held::Held;
use super::limits::Limits;
#[cfg(feature = "tls")]
use super::tls::{self, Tls};
use crate::activity::Activity;
use crate::connections::Outcome;
use crate::idle::Idle;
use crate::peer::Peer;

/// How each connection is answered.
#[derive(Clone)]
pub(super) struct Manner {
    pub(super) protocols: Protocols,
    /// How long it may be without a request, the handshake of TLS included.
    pub(super) head: Option<Duration>,
    /// HTTP/2 is spoken without TLS.
    pub(super) h2c: bool,
    #[cfg(feature = "tls")]
    pub(super) tls: Option<Tls>,
}

/// A connection on which it is known what is spoken.
struct Begun<T> {
    stream: Channel<T>,
    is_http2: bool,
    /// What each of its requests is told of it.
    extensions: Extensions,
}

#[cfg(feature = "tls")]
type Channel<T> = super::either::Either<Idle<T>, tls::Secured<T>>;
#[cfg(not(feature = "tls"))]
type Channel<T> = Idle<T>;

/// How each protocol is spoken.
#[derive(Clone)]
pub(super) struct Protocols {
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
}

impl Protocols {
    pub(super) fn new(limits: &Limits) -> Self {
        // A window is what a client may send before it hears from us: one stream may fill a fast link, and many
        // together may not fill the memory.
        const STREAM_WINDOW: u32 = 2 << 20;
        const CONNECTION_WINDOW: u32 = 8 << 20;
        const FRAME: u32 = 256 << 10;
        const SMALLEST_BUFFER: usize = 8 << 10;

        let mut http1 = http1::Builder::new();
        http1
            .timer(TokioTimer::new())
            // `Activity` counts it, for both protocols, from when the connection was accepted.
            .header_read_timeout(None)
            .max_headers(limits.headers)
            .max_header_size(limits.head_size as usize)
            .max_buf_size(limits.read_buffer.max(SMALLEST_BUFFER))
            .half_close(true)
            .keep_alive(true);
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2
            .timer(TokioTimer::new())
            .max_concurrent_streams(limits.streams)
            .max_pending_accept_reset_streams(limits.resets)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_frame_size(FRAME)
            .max_header_list_size(limits.head_size);
        if let Some(idle) = limits.idle {
            // Pings keep a connection whose requests take long from looking idle, and find a peer that is gone.
            http2.keep_alive_interval(idle / 4).keep_alive_timeout(idle / 4);
        }
        Self { http1, http2 }
    }
}

/// Answers what comes over a connection, until it ends, is told to, or has been without a request for as long as it may
/// be.
pub(super) async fn answer<T, S, B>(
    manner: Manner,
    stream: Idle<T>,
    peer: Peer,
    service: TowerToHyperService<S>,
    activity: Arc<Activity>,
) -> Outcome
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    S::Future: Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let (accepted, head) = (Instant::now(), manner.head);
    let begun = tokio::select! {
        begun = begin(&manner, stream, peer) => begun?,
        () = asked_to_end(&activity, head, accepted) => return Ok(()),
    };
    let Some(Begun { stream, is_http2, extensions }) = begun else { return Ok(()) };
    let stream = TokioIo::new(stream);
    let counted = Arc::clone(&activity);
    let service = service_fn(move |mut request: Request<Incoming>| {
        let is_late = is_http2 && counted.was_told_for(A_WHILE);
        let answer = (!is_late).then(|| {
            let in_flight = counted.begin();
            request.extensions_mut().extend(extensions.clone());
            (in_flight, service.call(request))
        });
        async move {
            // A client may ask again elsewhere what was refused (RFC 9113, 8.7).
            let Some((in_flight, answer)) = answer else {
                return Err(Unanswered(h2::Error::from(h2::Reason::REFUSED_STREAM).into()));
            };
            let answer = answer.await.map_err(|error| Unanswered(error.into()))?;
            Ok(answer.map(|body| Held::new(body, in_flight)))
        }
    });
    if is_http2 {
        let connection = manner.protocols.http2.serve_connection(stream, service);
        drive(connection, asked_to_end(&activity, head, accepted), &activity).await?;
    } else {
        let connection = manner.protocols.http1.serve_connection(stream, service);
        drive(connection, asked_to_end(&activity, head, accepted), &activity).await?;
    }
    Ok(())
}

/// Why a request has no answer. HTTP/2 finds in its source how its stream ends.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Unanswered(#[source] Box<dyn Error + Send + Sync>);

/// Finds out what is spoken. `None` if the connection has ended with that.
async fn begin<T: AsyncRead + AsyncWrite + Unpin>(
    manner: &Manner,
    mut stream: Idle<T>,
    peer: Peer,
) -> io::Result<Option<Begun<T>>> {
    let mut extensions = Extensions::new();
    extensions.insert(peer);
    #[cfg(feature = "tls")]
    if let Some(tls) = &manner.tls {
        let Some((stream, is_http2)) = tls::handshake(tls, stream, peer, &mut extensions).await?
        else {
            return Ok(None);
        };
        return Ok(Some(Begun { stream: Channel::B(stream), is_http2, extensions }));
    }
    let preface = read_preface(&mut stream).await?;
    let is_http2 = manner.h2c && preface == PREFACE;
    stream.unread(preface);
    #[cfg(feature = "tls")]
    let stream = Channel::A(stream);
    Ok(Some(Begun { stream, is_http2, extensions }))
}

/// How long a connection that was told to end is waited for when it has nothing in flight: the body of a request that was
/// refused may still come, and a client of HTTP/2 may have sent a request before it was told.
const A_WHILE: Duration = Duration::from_secs(5);

/// Polls a connection to its end. Asked to end, it does when its requests are answered; one that does not though it has
/// none is dropped: at once if it never had one, else after [`A_WHILE`] (were it dropped under what still comes, the reset
/// would take the answer away). So does one of HTTP/2 whose client does not care, and asks on: what it asks later is
/// refused, and keeps nothing open.
async fn drive<C: GracefulConnection>(
    connection: C,
    asked_to_end: impl Future<Output = ()>,
    activity: &Activity,
) -> Result<(), C::Error> {
    let mut connection = pin!(connection);
    tokio::select! {
        biased;
        ended = connection.as_mut() => return ended,
        () = asked_to_end => {}
    }
    activity.tell();
    connection.as_mut().graceful_shutdown();
    loop {
        let served = activity.has_served();
        let left = if served { A_WHILE } else { Duration::ZERO };
        tokio::select! {
            biased;
            ended = connection.as_mut() => return ended,
            () = activity.overdue(left, Instant::now()) => {}
        }
        if activity.has_served() == served {
            return Ok(());
        }
    }
}

/// Until a connection is told to end, or has been without a request for `head`.
async fn asked_to_end(activity: &Activity, head: Option<Duration>, accepted: Instant) {
    let Some(head) = head else {
        return activity.told().await;
    };
    tokio::select! {
        () = activity.told() => {}
        () = activity.overdue(head, accepted) => debug!("no request came within {head:?}"),
    }
}

/// What a connection of HTTP/2 begins with.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Reads until it is plain which protocol it is: the whole preface of HTTP/2, or whatever came in its place.
async fn read_preface<T: AsyncRead + Unpin>(stream: &mut T) -> io::Result<Vec<u8>> {
    let mut found = Vec::with_capacity(PREFACE.len());
    while found.len() < PREFACE.len() && PREFACE.starts_with(&found) {
        let left = (PREFACE.len() - found.len()) as u64;
        if (&mut *stream).take(left).read_buf(&mut found).await? == 0 {
            break;
        }
    }
    Ok(found)
}
