//! The listener: HTTP/1.1 and h2c on one port, until it is told to stop.

use std::error::Error;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use http_body::Body;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use hyper_util::service::TowerToHyperService;
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep};
use tower::Service;
use tracing::{debug, info, warn};

use crate::activity::Activity;
use crate::connections::{Connections, Outcome};
use crate::idle::Idle;

/// What connections may take, in time, in number and in memory.
///
/// None of them bounds a transfer that moves, however slowly and for however long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long a connection may be without a request: for the head of the first to be complete, and for that of the
    /// next after an answer was taken. Against heads that come a byte at a time, and connections that are of no use.
    /// Default: 120 s, since Go's clients keep one for 90 s: they close first, and none of their requests meets a
    /// connection that is being closed. With `None` as long as `idle` has it.
    pub head: Option<Duration>,
    /// How long a connection may stand still while something is waited for from it. There is no limit on a whole
    /// request. Against clients that stop to send or to read. Default: 5 minutes; with `None` for ever.
    ///
    /// * HTTP/1.1: a body of either direction, of which not a byte moves.
    /// * HTTP/2: the connection as a whole, on which not a byte moves, pings included; they are sent every quarter
    ///   of this, and one that is not answered within another quarter ends it. The body of a request has the bound
    ///   of its own that the service gives it ([`Options::body_idle_timeout`](crate::Options)).
    /// * Not bounded in time: an answer in HTTP/2 whose client keeps the stream's window closed, and answers pings.
    ///   It holds what it was given: parts of a blob (1 MiB each) and its open file, or the whole of another answer;
    ///   `streams` bounds how many of them a connection has, and a proxy in front how many connections a client.
    pub idle: Option<Duration>,
    /// How many connections there may be. Default: half as many as the process may have files open when it is asked,
    /// as each may take one for what it transfers, and 10,000 at most; with `None` as many as the system lets.
    ///
    /// For one more than that, the connection that has been without a request for longest is closed. If a request is
    /// in flight on each of them, the next one waits to be accepted until one ends.
    pub connections: Option<usize>,
    /// How long the head of a request may be, from its first line to the empty one, in bytes; a longer one is answered
    /// with 431, and so are, by HTTP/1.1, trailers. HTTP/2 counts 32 more for each header. Default: 128 KiB.
    pub head_size: u32,
    /// How many headers a request of HTTP/1.1 may have; one with more is answered with 431. HTTP/2 has no such count.
    /// Default: 100.
    pub headers: usize,
    /// The most one read from a connection may bring, in bytes; it begins small and grows with what comes. As requests
    /// of HTTP/1.1 that come in advance wait for their turn unread, it bounds what is held of them. Default: 1 MiB, and
    /// 8 KiB at least.
    pub read_buffer: usize,
    /// How many requests an HTTP/2 connection may have open. Default: 250.
    pub streams: u32,
    /// How many requests that a client of HTTP/2 took back at once may be in hand; with more the connection ends.
    /// Default: 20.
    pub resets: usize,
}

impl Default for Limits {
    fn default() -> Self {
        const MOST_CONNECTIONS: usize = 10_000;
        let files = getrlimit(Resource::Nofile).current.and_then(|files| files.try_into().ok());
        let half = files.map_or(MOST_CONNECTIONS, |files: usize| (files / 2).max(1));
        Self {
            head: Some(Duration::from_secs(120)),
            idle: Some(Duration::from_secs(5 * 60)),
            connections: Some(half.min(MOST_CONNECTIONS)),
            head_size: 128 << 10,
            headers: 100,
            read_buffer: 1 << 20,
            streams: 250,
            resets: 20,
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
    let protocols = Protocols::new(&limits);
    let service = TowerToHyperService::new(service);
    let mut connections = Connections::new(limits.connections);
    let mut shutdown = pin!(shutdown);

    loop {
        let stream = tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(()) = connections.ended() => continue,
            accepted = accept(&listener) => accepted?,
        };
        // One more than may be is accepted, so that room is made only where it is wanted.
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            () = connections.room() => {}
        }
        let activity = connections.activity();
        let stream = Idle::new(stream, limits.idle, Arc::clone(&activity));
        let connection =
            answer(protocols.clone(), stream, service.clone(), Arc::clone(&activity), limits.head);
        connections.spawn(activity, connection);
    }

    drop(listener);
    info!(
        connections = connections.len(),
        "draining: no new connections, finishing the requests in flight"
    );
    connections.end();
    while connections.ended().await.is_some() {}
    Ok(())
}

/// How each protocol is spoken.
#[derive(Clone)]
struct Protocols {
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
}

impl Protocols {
    fn new(limits: &Limits) -> Self {
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

/// Answers what comes over a connection, until it ends, is told to, or has been without a request for `head`.
async fn answer<T, S, B>(
    protocols: Protocols,
    mut stream: Idle<T>,
    service: TowerToHyperService<S>,
    activity: Arc<Activity>,
    head: Option<Duration>,
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
    let accepted = Instant::now();
    let preface = tokio::select! {
        preface = read_preface(&mut stream) => preface?,
        () = asked_to_end(&activity, head, accepted) => return Ok(()),
    };
    let is_http2 = preface == PREFACE;
    stream.unread(preface);
    let stream = TokioIo::new(stream);
    let counted = Arc::clone(&activity);
    let service = service_fn(move |request| {
        let in_flight = counted.begin();
        let answer = service.call(request);
        async move {
            let answer = answer.await?;
            // It is in flight until its answer's body is let go of.
            Ok::<_, S::Error>(answer.map(|body| {
                body.map_err(move |error| {
                    let _until_then = &in_flight;
                    error
                })
            }))
        }
    });
    if is_http2 {
        let connection = protocols.http2.serve_connection(stream, service);
        drive(connection, asked_to_end(&activity, head, accepted), &activity, || {
            !activity.has_served()
        })
        .await?;
    } else {
        let connection = protocols.http1.serve_connection(stream, service);
        drive(connection, asked_to_end(&activity, head, accepted), &activity, || true).await?;
    }
    Ok(())
}

/// Polls a connection to its end. Asked to end, it does when its requests are answered; one that does not though it has
/// none is dropped, where that `takes_nothing_away`: at once if it never had one, else after a while, in which the body
/// of a request that was refused may still come (were it dropped under it, the reset would take the answer away).
async fn drive<C: GracefulConnection>(
    connection: C,
    asked_to_end: impl Future<Output = ()>,
    activity: &Activity,
    takes_nothing_away: impl Fn() -> bool,
) -> Result<(), C::Error> {
    const A_WHILE: Duration = Duration::from_secs(5);

    let mut connection = pin!(connection);
    tokio::select! {
        biased;
        ended = connection.as_mut() => return ended,
        () = asked_to_end => {}
    }
    connection.as_mut().graceful_shutdown();
    loop {
        let served = activity.has_served();
        let left = if served { A_WHILE } else { Duration::ZERO };
        tokio::select! {
            biased;
            ended = connection.as_mut() => return ended,
            () = activity.overdue(left, Instant::now()) => {}
        }
        if activity.has_served() == served && takes_nothing_away() {
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

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http_body_util::Full;
    use registry_store::backend::MemoryBackend;
    use registry_store::digest::Digest;
    use registry_store::options::StoreOptions;
    use registry_store::store::Store;
    use tokio::io::{AsyncWriteExt as _, DuplexStream, duplex};
    use tokio::task::JoinHandle;
    use tokio::time::timeout;

    use super::*;
    use crate::options::Options;
    use crate::service;

    const HEAD: Duration = Duration::from_secs(120);
    const IDLE: Duration = Duration::from_secs(300);
    const SECOND: Duration = Duration::from_secs(1);
    const DAY: Duration = Duration::from_hours(24);

    fn registry() -> Store {
        Store::new(Arc::new(MemoryBackend::new()), StoreOptions::default())
    }

    /// A connection, by its client's end.
    fn connect(registry: &Store, limits: Limits) -> (DuplexStream, JoinHandle<Outcome>) {
        let (client, server) = duplex(16 << 10);
        let activity = Activity::new(Arc::default());
        let stream = Idle::new(server, limits.idle, Arc::clone(&activity));
        let service = TowerToHyperService::new(service(registry.clone(), Options::default()));
        let answering = answer(Protocols::new(&limits), stream, service, activity, limits.head);
        (client, tokio::spawn(answering))
    }

    /// How long the server keeps a client that has nothing more to say.
    async fn kept(answering: JoinHandle<Outcome>) -> Duration {
        let started = Instant::now();
        let _ = answering.await.unwrap();
        started.elapsed()
    }

    async fn push(registry: &Store, content: Vec<u8>) -> String {
        let digest = Digest::sha256(&content);
        let request = Request::post(format!("/v2/app/blobs/uploads/?digest={digest}"));
        let request = request.body(Full::new(Bytes::from(content))).unwrap();
        let service = service(registry.clone(), Options::default());
        let pushed = tower::ServiceExt::oneshot(service, request).await.unwrap();
        assert_eq!(pushed.status(), 201);
        format!("/v2/app/blobs/{digest}")
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_without_a_request_is_closed_in_time_however_slowly_one_comes() {
        let registry = registry();
        for sent in ["", "G", "GET /v2/ HTTP/1.1\r\nHost: x\r\n", "PRI * HTTP/2.0\r\n"] {
            let (mut client, answering) = connect(&registry, Limits::default());
            client.write_all(sent.as_bytes()).await.unwrap();
            let kept = kept(answering).await;
            assert!((HEAD..=HEAD + SECOND).contains(&kept), "{sent:?}: {kept:?}");
        }

        let heads = ["GET /v2/ HTTP/1.1\r\nA: ", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"];
        for head in heads {
            let (mut client, answering) = connect(&registry, Limits::default());
            client.write_all(head.as_bytes()).await.unwrap();
            let dripping = tokio::spawn(async move {
                while client.write_all(b"\0".as_slice()).await.is_ok() {
                    sleep(HEAD / 7).await;
                }
            });
            let kept = kept(answering).await;
            assert!(kept <= HEAD + SECOND, "{head:?}: {kept:?}");
            dripping.abort();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_kept_for_so_long_after_an_answer_and_no_longer() {
        let (mut client, answering) = connect(&registry(), Limits::default());
        for _ in 0..3 {
            sleep(HEAD - SECOND).await;
            client.write_all(b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
            while !read_some(&mut client).await.ends_with("{}") {}
        }
        assert_eq!(kept(answering).await, HEAD);

        let (client, answering) = connect(&registry(), Limits::default());
        let client = TokioIo::new(client);
        let (mut sender, driver) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), client).await.unwrap();
        let driver = tokio::spawn(driver);
        for _ in 0..3 {
            sleep(HEAD - SECOND).await;
            let request = Request::get("http://x/v2/").body(Full::<Bytes>::default()).unwrap();
            let answer = sender.send_request(request).await.unwrap();
            assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "{}");
        }
        assert_eq!(kept(answering).await, HEAD);
        driver.await.unwrap().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn without_limits_nothing_is_closed() {
        let limits = Limits { head: None, idle: None, ..Limits::default() };
        for sent in ["", "GET /v2/ HTTP/1.1\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
            let (mut client, mut answering) = connect(&registry(), limits);
            client.write_all(sent.as_bytes()).await.unwrap();
            assert!(timeout(100 * DAY, &mut answering).await.is_err(), "{sent:?}");
        }
    }

    async fn read_some(client: &mut DuplexStream) -> String {
        let mut read = Vec::with_capacity(8 << 10);
        assert_ne!(client.read_buf(&mut read).await.unwrap(), 0, "the server closed");
        String::from_utf8_lossy(&read).into_owned()
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_moves_a_byte_at_a_time_for_a_day_is_taken() {
        let pause = Options::default().body_idle_timeout - SECOND;
        let size = usize::try_from(DAY.as_secs() / pause.as_secs()).unwrap() + 1;
        let content: Vec<u8> = (0..size).map(|at| at as u8).collect();
        let digest = Digest::sha256(&content);
        let post = format!("POST /v2/app/blobs/uploads/?digest={digest} HTTP/1.1\r\nHost: x\r\n");

        let (mut client, _answering) = connect(&registry(), Limits::default());
        let started = Instant::now();
        let head = format!("{post}Content-Length: {size}\r\n\r\n");
        client.write_all(head.as_bytes()).await.unwrap();
        for byte in &content {
            sleep(pause).await;
            client.write_all(&[*byte]).await.unwrap();
        }
        assert!(started.elapsed() >= DAY);
        let answer = read_some(&mut client).await;
        assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    }

    /// A MiB and more of an answer is in hand of the server when the storage is done with it.
    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_read_a_little_at_a_time_for_a_day_is_sent_to_its_end() {
        let registry = registry();
        let content: Vec<u8> = (0..3_000_000_u32).map(|at| (at / 7) as u8).collect();
        let path = push(&registry, content.clone()).await;
        let limits = Limits::default();
        let (mut client, answering) = connect(&registry, limits);
        let get = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        client.write_all(get.as_bytes()).await.unwrap();
        let started = Instant::now();
        let mut read = Vec::with_capacity(4 << 20);
        while !read.ends_with(&content[content.len() - 99..]) || read.len() < content.len() {
            sleep(IDLE - SECOND).await;
            let taken = (&mut client).take(8 << 10).read_buf(&mut read).await.unwrap();
            assert_ne!(taken, 0, "cut after {} bytes and {:?}", read.len(), started.elapsed());
        }
        assert!(started.elapsed() >= DAY, "{:?}", started.elapsed());
        assert!(read.ends_with(&content));
        // And then it is as any other that waits for a request; the last of it lay in between for a while.
        assert!(kept(answering).await <= HEAD);
    }

    #[tokio::test(start_paused = true)]
    async fn over_http_2_it_is_too() {
        let registry = registry();
        let content: Vec<u8> = (0..3_000_000_u32).map(|at| (at / 7) as u8).collect();
        let path = push(&registry, content.clone()).await;
        let (client, _answering) = connect(&registry, Limits::default());
        let client = TokioIo::new(client);
        let (mut sender, driver) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), client).await.unwrap();
        tokio::spawn(driver);
        let request = Request::get(format!("http://x{path}"));
        let request = request.body(Full::<Bytes>::default()).unwrap();
        let mut body = sender.send_request(request).await.unwrap().into_body();
        let started = Instant::now();
        let mut read = Vec::new();
        while let Some(part) = body.frame().await {
            read.extend_from_slice(&part.expect("it is not cut").into_data().unwrap());
            sleep(2 * IDLE).await;
        }
        assert!(started.elapsed() >= DAY, "{:?}", started.elapsed());
        assert_eq!(read, content);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_stops_reading_is_let_go_of_and_what_was_held_for_it() {
        let registry = registry();
        let path = push(&registry, vec![7; 5 << 20]).await;
        let (mut client, answering) = connect(&registry, Limits::default());
        let get = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        client.write_all(get.as_bytes()).await.unwrap();
        read_some(&mut client).await;
        let kept = kept(answering).await;
        assert!((IDLE - SECOND..=IDLE + SECOND).contains(&kept), "{kept:?}");
    }
}
