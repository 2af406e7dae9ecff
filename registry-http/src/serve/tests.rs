//! What connections take, with the clock stopped.

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use registry_store::backend::MemoryBackend;
use registry_store::digest::Digest;
use registry_store::options::StoreOptions;
use registry_store::store::Store;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::connection::{Manner, Protocols, answer};
use super::limits::Limits;
use super::listener::Listener;
use super::serve_with;
use crate::activity::Activity;
use crate::connections::Outcome;
use crate::idle::Idle;
use crate::options::Options;
use crate::peer::Peer;
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
    let activity = Activity::new(Arc::default(), limits.idle);
    let stream = Idle::new(server, limits.idle, Arc::clone(&activity));
    let service = TowerToHyperService::new(service(registry.clone(), Options::default()));
    let manner = Manner {
        protocols: Protocols::new(&limits),
        head: limits.head,
        h2c: true,
        #[cfg(feature = "tls")]
        tls: None,
    };
    let answering = answer(manner, stream, Peer::Unix, service, activity);
    (client, tokio::spawn(answering))
}

/// How long the server keeps a client that has nothing more to say.
async fn kept(answering: JoinHandle<Outcome>) -> Duration {
    let started = Instant::now();
    let ended = timeout(2 * DAY, answering).await.expect("it is not kept for ever");
    let _ = ended.unwrap();
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
    let content: Vec<u8> = (0..16_000_000_u32).map(|at| (at / 7) as u8).collect();
    let path = push(&registry, content.clone()).await;
    let (client, _answering) = connect(&registry, Limits::default());
    // It opens its window again when it has read half of it.
    let mut http = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    http.initial_stream_window_size(64 << 10).initial_connection_window_size(64 << 10);
    let (mut sender, driver) = http.handshake(TokioIo::new(client)).await.unwrap();
    tokio::spawn(driver);
    let request = Request::get(format!("http://x{path}"));
    let request = request.body(Full::<Bytes>::default()).unwrap();
    let mut body = sender.send_request(request).await.unwrap().into_body();
    let started = Instant::now();
    let mut read = Vec::new();
    while let Some(part) = body.frame().await {
        read.extend_from_slice(&part.expect("it is not cut").into_data().unwrap());
        sleep(IDLE / 3).await;
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

/// Connections over pipes.
struct Pipes(mpsc::UnboundedReceiver<DuplexStream>);

impl Listener for Pipes {
    type Stream = DuplexStream;

    async fn accept(&mut self) -> io::Result<(DuplexStream, Peer)> {
        match self.0.recv().await {
            Some(stream) => Ok((stream, Peer::Unix)),
            None => pending().await,
        }
    }
}

/// A listener that is told to end while a push is in flight. Returns the client's end, and how it ends.
async fn told_to_end(limits: Limits) -> (DuplexStream, JoinHandle<io::Result<()>>) {
    let (sender, pipes) = mpsc::unbounded_channel();
    let (end, ending) = oneshot::channel::<()>();
    let service = service(registry(), Options::default());
    let serving = tokio::spawn(serve_with(limits, Pipes(pipes), service, async {
        let _ = ending.await;
    }));
    let (mut client, server) = duplex(16 << 10);
    sender.send(server).unwrap();
    let push = format!(
        "POST /v2/a/blobs/uploads/?digest={} HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\
         Expect: 100-continue\r\n\r\n",
        Digest::sha256(b"abc")
    );
    client.write_all(push.as_bytes()).await.unwrap();
    assert!(read_some(&mut client).await.starts_with("HTTP/1.1 100"));
    end.send(()).unwrap();
    (client, serving)
}

#[tokio::test(start_paused = true)]
async fn what_is_in_flight_is_cut_when_draining_has_taken_too_long() {
    let limits = Limits { drain: Some(7 * SECOND), ..Limits::default() };
    let (mut client, serving) = told_to_end(limits).await;
    let started = Instant::now();
    let error = serving.await.unwrap().unwrap_err();
    assert_eq!((error.kind(), started.elapsed()), (io::ErrorKind::TimedOut, 7 * SECOND));
    assert_eq!(client.read(&mut [0]).await.unwrap_or(0), 0);
}

#[tokio::test(start_paused = true)]
async fn without_a_limit_what_is_in_flight_is_finished() {
    for drain in [None, Some(DAY)] {
        let (mut client, serving) = told_to_end(Limits { drain, ..Limits::default() }).await;
        sleep(Options::default().body_idle_timeout - SECOND).await;
        client.write_all(b"abc").await.unwrap();
        assert!(read_some(&mut client).await.starts_with("HTTP/1.1 201"));
        serving.await.unwrap().unwrap();
    }
}

/// Options with a token service that nobody is known to.
#[cfg(feature = "auth")]
fn with_tokens() -> Options {
    use crate::auth::credentials::Credentials;
    use crate::auth::issuer::{Issuer, SigningKey, TokenService};
    use crate::auth::policy::Policy;
    let key = SigningKey::from_pem(SigningKey::generate().unwrap().as_bytes()).unwrap();
    let issuer = Issuer::new(key, "us", "r", &StoreOptions::default());
    let service = TokenService::new(issuer, Credentials::none(), Arc::new(Policy::new([])));
    Options { tokens: Some(Arc::new(service)), ..Options::default() }
}

#[cfg(feature = "auth")]
#[tokio::test(start_paused = true)]
async fn the_form_of_who_asks_for_a_token_is_not_waited_for_however_steadily_it_drips() {
    let (sender, pipes) = mpsc::unbounded_channel();
    let (end, ending) = oneshot::channel::<()>();
    let service = service(registry(), with_tokens());
    let serving = tokio::spawn(serve_with(Limits::default(), Pipes(pipes), service, async {
        let _ = ending.await;
    }));
    let (client, server) = duplex(16 << 10);
    sender.send(server).unwrap();
    let (mut reader, mut writer) = tokio::io::split(client);
    let head = "POST /token HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n";
    writer.write_all(head.as_bytes()).await.unwrap();
    let begun = Instant::now();
    let dripping = tokio::spawn(async move {
        while writer.write_all(b"a").await.is_ok() {
            sleep(2 * SECOND).await;
        }
    });
    sleep(SECOND).await;
    end.send(()).unwrap();
    let mut answer = String::new();
    timeout(DAY / 48, reader.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("connection: close"), "{answer}");
    serving.await.unwrap().unwrap();
    assert!(begun.elapsed() <= 20 * SECOND, "{:?}", begun.elapsed());
    dripping.abort();
}

/// What an HTTP/2 frame says, by hand: nothing here answers the server's pings.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// `GET /v2/`, in HPACK.
fn get(stream: u32) -> Vec<u8> {
    frame(1, 5, stream, b"\x82\x86\x04\x04/v2/\x01\x01x")
}

/// What a client of HTTP/2 begins with that lets nothing of an answer come but its head.
fn closed() -> Vec<u8> {
    const NO_WINDOW: [u8; 6] = [0, 4, 0, 0, 0, 0];
    [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &frame(4, 0, 0, &NO_WINDOW)].concat()
}

/// Opens the window of a stream, or of the connection, by so many bytes.
fn window(stream: u32, bytes: u32) -> Vec<u8> {
    frame(8, 0, stream, &bytes.to_be_bytes())
}

/// Answers the server's pings until the connection ends, and sends what `also` brings.
async fn answer_pings(mut client: DuplexStream, mut also: mpsc::UnboundedReceiver<Vec<u8>>) {
    let (mut reader, mut writer) = tokio::io::split(&mut client);
    let (pongs, mut to_send) = mpsc::unbounded_channel();
    let reading = async {
        let mut head = [0; 9];
        while reader.read_exact(&mut head).await.is_ok() {
            let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
            if reader.read_exact(&mut payload).await.is_err() {
                break;
            }
            if head[3..5] == [6, 0] {
                pongs.send(frame(6, 1, 0, &payload)).unwrap();
            }
        }
    };
    let writing = async {
        loop {
            let sent = tokio::select! {
                Some(pong) = to_send.recv() => pong,
                Some(more) = also.recv() => more,
            };
            if writer.write_all(&sent).await.is_err() {
                pending::<()>().await;
            }
        }
    };
    tokio::select! {
        () = reading => {}
        () = writing => {}
    }
}

/// A client that lets nothing of an answer come but its head, and answers pings. What it sends besides goes into the
/// channel.
fn closed_client(limits: Limits) -> (mpsc::UnboundedSender<Vec<u8>>, JoinHandle<Outcome>) {
    let (client, answering) = connect(&registry(), limits);
    let (sender, also) = mpsc::unbounded_channel();
    tokio::spawn(answer_pings(client, also));
    sender.send([closed(), get(1)].concat()).unwrap();
    (sender, answering)
}

#[tokio::test(start_paused = true)]
async fn a_client_of_http_2_that_takes_nothing_is_let_go_of_though_it_answers_pings() {
    let (_client, answering) = closed_client(Limits::default());
    let kept = kept(answering).await;
    assert!((IDLE..=IDLE + HEAD + 6 * SECOND).contains(&kept), "{kept:?}");
}

#[tokio::test(start_paused = true)]
async fn one_that_takes_a_byte_now_and_then_is_not() {
    let (client, mut answering) = closed_client(Limits::default());
    // The answer has two.
    sleep(IDLE - SECOND).await;
    client.send(window(1, 1)).unwrap();
    assert!(timeout(IDLE - SECOND, &mut answering).await.is_err());
    client.send(window(1, 1)).unwrap();
    assert_eq!(kept(answering).await, HEAD);
}

/// What a client sends after [`closed`] and a first request, again and again: it takes another answer meanwhile, and, if
/// it `rotates`, gives up the one that it takes nothing of for a new one.
fn goes_on(round: u32, rotates: bool) -> Vec<u8> {
    const CANCEL: [u8; 4] = 8_u32.to_be_bytes();
    let stream = 4 * round + 1;
    let rotated = [get(stream), frame(3, 0, stream - 4, &CANCEL)].concat();
    let taken = [get(stream + 2), window(stream + 2, 2)].concat();
    if rotates { [rotated, taken].concat() } else { taken }
}

#[tokio::test(start_paused = true)]
async fn neither_answers_that_it_takes_beside_it_nor_new_ones_instead_keep_its_place() {
    let limits = Limits { connections: Some(1), head: None, ..Limits::default() };
    for rotates in [false, true] {
        let (sender, pipes) = mpsc::unbounded_channel();
        let service = service(registry(), Options::default());
        let serving = tokio::spawn(serve_with(limits, Pipes(pipes), service, pending()));
        let (client, server) = duplex(16 << 10);
        sender.send(server).unwrap();
        let (more, also) = mpsc::unbounded_channel();
        tokio::spawn(answer_pings(client, also));
        more.send([closed(), get(1)].concat()).unwrap();
        tokio::spawn(async move {
            for round in 1.. {
                sleep(IDLE / 2).await;
                if more.send(goes_on(round, rotates)).is_err() {
                    break;
                }
            }
        });
        sleep(SECOND).await;
        let (mut next, server) = duplex(16 << 10);
        sender.send(server).unwrap();
        next.write_all(b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let served = timeout(3 * IDLE, read_some(&mut next)).await;
        assert!(served.is_ok_and(|it| it.starts_with("HTTP/1.1 200")), "{rotates}");
        serving.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_of_http_2_that_takes_nothing_holds_no_end_up() {
    let (sender, pipes) = mpsc::unbounded_channel();
    let (end, ending) = oneshot::channel::<()>();
    let service = service(registry(), Options::default());
    let serving = tokio::spawn(serve_with(Limits::default(), Pipes(pipes), service, async {
        let _ = ending.await;
    }));
    let (client, server) = duplex(16 << 10);
    sender.send(server).unwrap();
    let (more, also) = mpsc::unbounded_channel();
    tokio::spawn(answer_pings(client, also));
    more.send([closed(), get(1)].concat()).unwrap();
    sleep(SECOND).await;
    end.send(()).unwrap();
    let told = Instant::now();
    let ended = timeout(DAY, serving).await.expect("it is not held up for ever");
    ended.unwrap().unwrap();
    assert!((IDLE - SECOND..=IDLE + 6 * SECOND).contains(&told.elapsed()), "{:?}", told.elapsed());
}

/// Reads to the answer of a stream: the frame's kind, and the error or the status that it begins with.
async fn answered(client: &mut DuplexStream, stream: u32) -> io::Result<(u8, Vec<u8>)> {
    loop {
        let mut head = [0; 9];
        client.read_exact(&mut head).await?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        client.read_exact(&mut payload).await?;
        if head[5..] == stream.to_be_bytes() && matches!(head[3], 1 | 3) {
            return Ok((head[3], payload));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_of_http_2_that_asks_on_after_it_was_told_is_refused_and_holds_nothing_open() {
    const A_WHILE: Duration = Duration::from_secs(5);
    let (sender, pipes) = mpsc::unbounded_channel();
    let (end, ending) = oneshot::channel::<()>();
    let service = service(registry(), Options::default());
    let serving = tokio::spawn(serve_with(Limits::default(), Pipes(pipes), service, async {
        let _ = ending.await;
    }));
    let (mut client, server) = duplex(16 << 10);
    sender.send(server).unwrap();
    client.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    client.write_all(&frame(4, 0, 0, &[])).await.unwrap();
    client.write_all(&get(1)).await.unwrap();
    let (kind, payload) = answered(&mut client, 1).await.unwrap();
    assert_eq!((kind, payload[0]), (1, 0x88), "it is 200");

    end.send(()).unwrap();
    let told = Instant::now();
    let mut stream = 3;
    // A server that bears it would go on for ever.
    let (mut served, mut refused) = (0, 0);
    while told.elapsed() < DAY {
        sleep(SECOND).await;
        if client.write_all(&get(stream)).await.is_err() {
            break;
        }
        match answered(&mut client, stream).await {
            Ok((1, payload)) => {
                assert_eq!(payload[0], 0x88);
                served += 1;
            }
            Ok((_, error)) => {
                assert_eq!(error, 7_u32.to_be_bytes(), "REFUSED_STREAM");
                refused += 1;
            }
            Err(_) => break,
        }
        stream += 2;
    }
    assert!(served > 0 && refused > 0, "{served} {refused}");
    assert!(told.elapsed() <= 2 * A_WHILE + SECOND, "{:?}", told.elapsed());
    serving.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_push_over_http_2_that_is_in_flight_is_finished_however_long_it_takes() {
    let (sender, pipes) = mpsc::unbounded_channel();
    let (end, ending) = oneshot::channel::<()>();
    let service = service(registry(), Options::default());
    let serving = tokio::spawn(serve_with(Limits::default(), Pipes(pipes), service, async {
        let _ = ending.await;
    }));
    let (client, server) = duplex(16 << 10);
    sender.send(server).unwrap();
    let (mut http, driver) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(client))
            .await
            .unwrap();
    tokio::spawn(driver);
    let (parts, body) = mpsc::channel::<Bytes>(1);
    let body = futures::stream::unfold(body, |mut body| async move {
        let part = body.recv().await?;
        Some((Ok::<_, io::Error>(hyper::body::Frame::data(part)), body))
    });
    let push = format!("http://x/v2/a/blobs/uploads/?digest={}", Digest::sha256(b"abc"));
    let push = Request::post(push).header("content-length", 3);
    let push = push.body(http_body_util::StreamBody::new(Box::pin(body))).unwrap();
    let pushing = tokio::spawn(http.send_request(push));
    parts.send(Bytes::from_static(b"a")).await.unwrap();
    sleep(SECOND).await;
    end.send(()).unwrap();
    for part in [&b"b"[..], b"c"] {
        sleep(Options::default().body_idle_timeout - 2 * SECOND).await;
        parts.send(Bytes::from_static(part)).await.unwrap();
    }
    drop(parts);
    assert_eq!(pushing.await.unwrap().unwrap().status(), 201);
    serving.await.unwrap().unwrap();
}
