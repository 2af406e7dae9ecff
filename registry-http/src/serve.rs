//! The listener: HTTP/1.1 and h2c on one port, until it is told to stop.

use std::error::Error;
use std::io;
use std::pin::pin;
use std::time::Duration;

use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use rustix::io::Errno;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinError, JoinSet};
use tokio::time::sleep;
use tower::Service;
use tracing::{debug, error, info, warn};

use crate::idle::Idle;

/// What a connection may take, in time and in memory.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long the head of an HTTP/1.1 request may take, counted from the end of the request before it.
    /// It bounds an idle connection too. Default: 60 s.
    pub head: Duration,
    /// How long a connection may stand still while something is waited for from it. There is no limit on a whole
    /// request. Default: 5 minutes.
    ///
    /// * HTTP/1.1: a body of either direction, of which not a byte moves.
    /// * HTTP/2: the connection as a whole, on which not a byte moves, pings included; they are sent every quarter
    ///   of this, and one that is not answered within another quarter ends it. The body of a request has the bound
    ///   of its own that the service gives it ([`Options::body_idle_timeout`](crate::Options)).
    /// * Not bounded in time: an answer in HTTP/2 whose client keeps the stream's window closed, and answers pings.
    ///   It holds what it was given: parts of a blob (1 MiB each) and its open file, or the whole of another answer;
    ///   `streams` bounds how many of them a connection has, and a proxy in front how many connections a client.
    pub idle: Duration,
    /// The most one read from a connection may bring, in bytes; it begins small and grows with what comes.
    /// Default: 1 MiB.
    pub read_buffer: usize,
    /// How many requests an HTTP/2 connection may have open. Default: 250.
    pub streams: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(60),
            idle: Duration::from_secs(5 * 60),
            read_buffer: 1 << 20,
            streams: 250,
        }
    }
}

/// Serves with the default [`Limits`]. See [`serve_with`].
///
/// # Errors
///
/// As [`serve_with`].
pub async fn serve<S, B>(
    listener: TcpListener,
    service: S,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()>
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    S::Future: Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    serve_with(Limits::default(), listener, service, shutdown).await
}

/// Answers what arrives at `listener` with `service`, in HTTP/1.1 or in HTTP/2 without TLS as the client begins,
/// until `shutdown` is ready; then takes no more connections and returns when the requests in flight have been
/// answered.
///
/// Dropping the future ends every connection at once.
///
/// # Errors
///
/// If `listener` cannot accept at all. A connection that fails, or a machine that has no file descriptor left
/// for one, is logged and survived.
pub async fn serve_with<S, B>(
    limits: Limits,
    listener: TcpListener,
    service: S,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()>
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    S::Future: Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let protocol = protocol(&limits);
    let service = TowerToHyperService::new(service);
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);

    loop {
        let stream = tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(ended) = connections.join_next() => {
                report(ended);
                continue;
            }
            accepted = accept(&listener) => accepted?,
        };
        let stream = TokioIo::new(Idle::new(stream, limits.head, limits.idle));
        let connection = protocol.serve_connection(stream, service.clone());
        let connection = graceful.watch(connection.into_owned());
        connections.spawn(connection);
    }

    drop(listener);
    info!(
        connections = connections.len(),
        "draining: no new connections, finishing the requests in flight"
    );
    graceful.shutdown().await;
    while let Some(ended) = connections.join_next().await {
        report(ended);
    }
    Ok(())
}

fn protocol(limits: &Limits) -> auto::Builder<TokioExecutor> {
    // A window is what a client may send before it hears from us: one stream may fill a fast link, and many
    // together may not fill the memory.
    const STREAM_WINDOW: u32 = 2 << 20;
    const CONNECTION_WINDOW: u32 = 8 << 20;
    const FRAME: u32 = 256 << 10;
    const HEADERS: u32 = 64 << 10;

    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(limits.read_buffer)
        .half_close(true)
        .keep_alive(true);
    // Pings keep a connection whose requests take long from looking idle, and find a peer that is gone.
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(limits.idle / 4)
        .keep_alive_timeout(limits.idle / 4)
        .max_concurrent_streams(limits.streams)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(FRAME)
        .max_header_list_size(HEADERS);
    builder
}

/// The next connection. Waits out whatever passes by itself, such as a lack of file descriptors.
async fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
    const FIRST: Duration = Duration::from_millis(10);
    const LONGEST: Duration = Duration::from_secs(1);

    let mut pause = FIRST;
    loop {
        let error = match listener.accept().await {
            Ok((stream, _)) => {
                // Without it the small frames at the end of an answer wait for the client's acknowledgement.
                if let Err(error) = stream.set_nodelay(true) {
                    debug!(%error, "the connection ended before it began");
                    continue;
                }
                return Ok(stream);
            }
            Err(error) => error,
        };
        match Errno::from_io_error(&error) {
            Some(Errno::CONNABORTED | Errno::CONNRESET | Errno::INTR) => {}
            Some(Errno::BADF | Errno::INVAL | Errno::NOTSOCK) => return Err(error),
            _ => {
                warn!(%error, "cannot accept a connection; trying again");
                sleep(pause).await;
                pause = (pause * 2).min(LONGEST);
            }
        }
    }
}

fn report(ended: Result<Result<(), Box<dyn Error + Send + Sync>>, JoinError>) {
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(error, "a connection ended early"),
        Err(error) => error!(%error, "a connection's task failed"),
    }
}
