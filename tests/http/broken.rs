//! What breaks: clients that leave, stall or are not wanted, and storage that fails.

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use bytes::Bytes;
use futures::channel::{mpsc, oneshot};
use futures::future::{self, Either};
use futures::{FutureExt as _, SinkExt as _, StreamExt as _, stream};
use http::{Method, Request, request};
use hyper::server;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use registry_http::{Options, UploadSecret, service};
use registry_store::backend::{Backend, ErrorKind, MemoryBackend};
use registry_store::digest::{Algorithm, Digest};
use registry_store::options::StoreOptions;
use registry_store::store::Store;
use registry_tests::backends::{CountedBackend, Fault, FaultyBackend, Method as Call, Moment};
use registry_tests::documents::push_image;
use registry_tests::plain_http;
use registry_tests::server::{Client, Protocol, Server, streamed, whole};
use registry_tests::world::{World, push, repository};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::cut::CutBackend;
use crate::fixture::Fixture;

fn ask(method: Method, url: &str) -> request::Builder {
    Request::builder().method(method).uri(url)
}

/// Begins an upload, and returns its address.
async fn start(client: &mut Client) -> String {
    let answer = client.send(ask(Method::POST, "/v2/new/blobs/uploads/"), whole("")).await;
    assert_eq!(answer.status, 202);
    answer.header("location").to_owned()
}

/// Sends these bytes and nothing more, and returns all that is answered.
async fn exchange(server: &Server, sent: &str) -> String {
    let mut connection = TcpStream::connect(server.address()).await.expect("it listens");
    connection.write_all(sent.as_bytes()).await.expect("a connection");
    let mut answered = Vec::new();
    connection.read_to_end(&mut answered).await.expect("an end without a reset");
    String::from_utf8(answered).expect("JSON and headers")
}

#[tokio::test]
async fn what_arrived_of_a_body_that_broke_off_is_kept_and_gone_on_from() {
    let fixture = Fixture::new().await;
    let server = Server::start(fixture.service(Options::default())).await;
    let mut client = server.connect(Protocol::Http1).await;
    let location = start(&mut client).await;

    let mut connection = TcpStream::connect(server.address()).await.expect("it listens");
    let sent = format!("PATCH {location} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc");
    connection.write_all(sent.as_bytes()).await.expect("a connection");
    connection.shutdown().await.expect("a connection");
    // The server closes when it has seen the end, and has done what it does about it.
    let _ = connection.read_to_end(&mut Vec::new()).await;

    let status = client.send(ask(Method::GET, &location), whole("")).await;
    assert_eq!((status.status.as_u16(), status.header("range")), (204, "0-2"));
    let digest = Digest::sha256(b"abcdef");
    let url = format!("{}&digest={digest}", status.header("location"));
    assert_eq!(client.send(ask(Method::PUT, &url), whole("def")).await.status, 201);
}

#[tokio::test]
async fn a_body_that_stalls_is_given_up() {
    let fixture = Fixture::new().await;
    let body_idle_timeout = Duration::from_millis(20);
    let options = Options { body_idle_timeout, ..Options::default() };
    let server = Server::start(fixture.service(options)).await;
    let location = start(&mut server.connect(Protocol::Http1).await).await;
    let sent = format!("PATCH {location} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc");
    let answered = exchange(&server, &sent).await;
    assert!(answered.starts_with("HTTP/1.1 408 "), "{answered}");
    assert!(answered.contains("{\"errors\":[{\"code\":\"SIZE_INVALID\","), "{answered}");
    assert!(answered.to_lowercase().contains("\r\nconnection: close\r\n"), "{answered}");
}

/// A connection in memory to a registry that waits `SILENCE` for the next part of a body, and a PATCH begun on it.
async fn begin_over_memory(fixture: &Fixture, length: usize) -> DuplexStream {
    let options = Options { body_idle_timeout: SILENCE, ..Options::default() };
    let location = fixture.world.repository("new").uploads().start(Algorithm::Sha256).await;
    let id = location.expect("a session").id;
    let (mut client, server) = duplex(1024);
    let service = TowerToHyperService::new(fixture.service(options));
    tokio::spawn(
        server::conn::http1::Builder::new().serve_connection(TokioIo::new(server), service),
    );
    let head = format!(
        "PATCH /v2/new/blobs/uploads/{id} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
    );
    client.write_all(head.as_bytes()).await.expect("a connection");
    client
}

const SILENCE: Duration = Duration::from_secs(10);

#[tokio::test(start_paused = true)]
async fn a_slow_body_outlasts_the_bound_on_silence_for_as_long_as_it_moves() {
    let fixture = Fixture::new().await;
    let mut client = begin_over_memory(&fixture, 20).await;
    for _ in 0..20 {
        // The clock stands still: it is moved on as soon as there is nothing else to do.
        sleep(SILENCE - Duration::from_secs(1)).await;
        client.write_all(b"x").await.expect("a connection");
    }
    let mut answered = String::new();
    client.read_to_string(&mut answered).await.expect("an answer");
    assert!(answered.starts_with("HTTP/1.1 202 "), "{answered}");
    assert!(answered.contains("\r\nrange: 0-19\r\n"), "{answered}");
}

#[tokio::test(start_paused = true)]
async fn a_slow_body_that_moves_too_late_is_given_up_however_long_it_moved() {
    let fixture = Fixture::new().await;
    let mut client = begin_over_memory(&fixture, 20).await;
    for silence in [SILENCE / 2, SILENCE / 2, SILENCE / 2, SILENCE * 2] {
        sleep(silence).await;
        // It may be gone the last time.
        let _ = client.write_all(b"x").await;
    }
    let mut answered = String::new();
    client.read_to_string(&mut answered).await.expect("an answer");
    assert!(answered.starts_with("HTTP/1.1 408 "), "{answered}");
}

/// A registry that takes nothing, and soon has had enough of what it is sent all the same.
fn soon_cuts() -> Options {
    let soon = Duration::from_millis(50);
    Options {
        read_only: true,
        drain_limit: 1000,
        drain_time: soon,
        discard_time: soon,
        discard_idle_timeout: soon,
        ..Options::default()
    }
}

/// Parts that a client would send who is not cut off: many gigabytes.
const ENDLESS: usize = 1 << 17;
static PART: [u8; 1 << 16] = [b'x'; 1 << 16];

#[tokio::test]
async fn who_sends_without_end_what_was_refused_is_told_why_and_cut_off() {
    let fixture = Fixture::new().await;
    let server = Server::start(fixture.service(soon_cuts())).await;
    let address = server.address();
    let answer = spawn_blocking(move || {
        let mut stream = plain_http::connect(address);
        let head = format!(
            "PUT /v2/a/manifests/b HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
            ENDLESS * PART.len()
        );
        stream.write_all(head.as_bytes()).expect("a connection");
        let mut sending = stream.try_clone().expect("a second handle");
        let sender = thread::spawn(move || (0..ENDLESS).any(|_| sending.write_all(&PART).is_err()));
        let answer = plain_http::answer(&mut stream, true);
        assert!(sender.join().expect("no panic"), "all of it was taken");
        answer
    });
    let answer = answer.await.expect("an answer");
    assert_eq!((answer.status, answer.header("connection")), (405, Some("close")));
}

#[tokio::test]
async fn so_is_who_does_it_over_http_2_and_the_connection_goes_on() {
    let fixture = Fixture::new().await;
    let server = Server::start(fixture.service(soon_cuts())).await;
    let mut client = server.connect(Protocol::Http2).await;
    let (at_the_end, cut_off) = oneshot::channel();
    let parts = stream::repeat_with(|| Ok(Bytes::from_static(&PART))).take(ENDLESS);
    let last = stream::once(async move {
        let _ = at_the_end.send(());
        Ok(Bytes::new())
    });
    let request = ask(Method::PUT, "/v2/a/manifests/b");
    let answer = client.send(request, streamed(parts.chain(last))).await;
    assert_eq!(answer.status, 405);
    cut_off.await.expect_err("the stream is reset before its end");
    assert_eq!(client.send(ask(Method::GET, "/v2/"), whole("")).await.status, 200);
}

#[tokio::test]
async fn a_newer_request_on_a_session_stops_the_older() {
    let fixture = Fixture::new().await;
    let server = Server::start(fixture.service(Options::default())).await;
    let mut client = server.connect(Protocol::Http1).await;
    let location = start(&mut client).await;

    let (mut sender, parts) = mpsc::channel(1);
    sender.send(Ok(Bytes::from_static(b"abc"))).await.expect("room for one");
    let mut other = server.connect(Protocol::Http1).await;
    let mut older = other.send(ask(Method::PATCH, &location), streamed(parts)).boxed();
    // The older request ends only by being stopped, which the first question after its beginning does.
    let mut questions = 0;
    let stopped = loop {
        questions += 1;
        assert!(questions <= 10_000, "the older request goes on");
        let newer = client.send(ask(Method::GET, &location), whole("")).boxed();
        match future::select(&mut older, newer).await {
            Either::Left((stopped, newer)) => {
                newer.await;
                break stopped;
            }
            Either::Right((status, _)) => assert_eq!(status.status, 204),
        }
    };
    assert_eq!(stopped.status, 409);
    assert_eq!(stopped.json()["errors"][0]["code"], "BLOB_UPLOAD_INVALID");

    let status = client.send(ask(Method::GET, &location), whole("")).await;
    assert_eq!(status.status, 204);
    let rest = if status.header("location").ends_with("_offset=3") { "def" } else { "abcdef" };
    let digest = Digest::sha256(b"abcdef");
    let url = format!("{}&digest={digest}", status.header("location"));
    assert_eq!(client.send(ask(Method::PUT, &url), whole(rest)).await.status, 201);
}

#[tokio::test]
async fn a_body_that_is_refused_does_not_cost_the_connection_if_it_is_small() {
    let fixture = Fixture::new().await;
    let options = Options { read_only: true, ..Options::default() };
    let server = Server::start(fixture.service(options)).await;
    let sent = format!(
        "PUT /v2/a/manifests/b HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n{}\
         GET /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        "x".repeat(200_000)
    );
    let answered = exchange(&server, &sent).await;
    assert!(answered.starts_with("HTTP/1.1 405 "), "{answered}");
    assert!(answered.ends_with("\r\n\r\n{}"), "{answered}");
}

#[tokio::test]
async fn a_stream_that_a_client_of_distribution_sends_twice_is_appended_once() {
    let fixture = Fixture::new().await;
    let server = Server::start(fixture.service(Options::default())).await;
    let mut client = server.connect(Protocol::Http1).await;
    let location = start(&mut client).await;
    let session = location.split('?').next().expect("a path");
    let id = session.rsplit('/').next().expect("an id");
    let state = |name: &str, offset: u64| {
        let state = json!({"Name": name, "UUID": id, "Offset": offset, "StartedAt": "2026-01-02T03:04:05Z"});
        let signed = [[0; 32].as_slice(), state.to_string().as_bytes()].concat();
        format!("{session}?_state={}", URL_SAFE.encode(signed))
    };
    for status in [202, 416] {
        let answer = client.send(ask(Method::PATCH, &state("new", 0)), whole("abc")).await;
        assert_eq!((answer.status.as_u16(), answer.header("range")), (status, "0-2"));
    }
    for url in [state("other", 3), format!("{session}?_state=nonsense")] {
        let answer = client.send(ask(Method::PATCH, &url), whole("def")).await;
        assert_eq!(answer.status, 404);
        assert_eq!(answer.json()["errors"][0]["code"], "BLOB_UPLOAD_INVALID");
    }
    let url = format!("{}&digest={}", state("new", 3), Digest::sha256(b"abcdef"));
    assert_eq!(client.send(ask(Method::PUT, &url), whole("def")).await.status, 201);
}

#[tokio::test]
async fn a_signed_address_says_where_it_was_and_one_that_is_signed_otherwise_is_taken_too() {
    let fixture = Fixture::new().await;
    let with =
        |secret: &str| Options { upload_secret: UploadSecret::new(secret), ..Options::default() };
    let mut servers = Vec::new();
    for options in [with("shared"), with("another"), Options::default()] {
        servers.push(Server::start(fixture.service(options)).await);
    }
    let mut clients = Vec::new();
    for server in &servers {
        clients.push(server.connect(Protocol::Http1).await);
    }
    let begun = start(&mut clients[0]).await;
    assert!(begun.contains("?_state=") && !begun.contains("_offset"), "{begun}");

    let mut location = begun.clone();
    for (number, part) in [(0, "ab"), (1, "cd"), (2, "ef"), (0, "gh")] {
        let client = &mut clients[number];
        let answer = client.send(ask(Method::PATCH, &location), whole(part)).await;
        assert_eq!(answer.status, 202, "{location}");
        let late = client.send(ask(Method::PATCH, &begun), whole("ab")).await;
        assert_eq!((late.status.as_u16(), late.header("range")), (416, answer.header("range")));
        assert_eq!(late.header("location"), answer.header("location"));
        location = answer.header("location").to_owned();
    }
    let url = format!("{location}&digest={}", Digest::sha256(b"abcdefgh"));
    assert_eq!(clients[1].send(ask(Method::PUT, &url), whole("")).await.status, 201);
}

/// To take it up again would stop a newer request that has come meanwhile and is right.
#[tokio::test]
async fn a_request_at_another_offset_takes_the_session_up_once() {
    let world = World::memory();
    let backend = CountedBackend::new(world.backend.clone());
    let store = Store::new(Arc::new(backend.clone()), StoreOptions::default());
    let server = Server::start(service(store, Options::default())).await;
    let mut client = server.connect(Protocol::Http1).await;
    let location = start(&mut client).await;
    let at = |range| ask(Method::PATCH, &location).header("content-range", range);
    backend.reset();
    assert_eq!(client.send(at("0-2"), whole("abc")).await.status, 202);
    let once = backend.reset().of(Call::Stage);
    assert_eq!(once, 1);
    let late = client.send(at("0-2"), whole("abc")).await;
    assert_eq!((late.status.as_u16(), late.header("range")), (416, "0-2"));
    assert!(late.header("location").ends_with("=3"), "{late:?}");
    assert_eq!(backend.reset().of(Call::Stage), once);
}

/// Where the service listens, through the server that ships, for as long as the runtime lives.
async fn listen(fixture: &Fixture) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let service = fixture.service(Options::default());
    tokio::spawn(registry_http::serve::serve(listener, service, future::pending()));
    address
}

/// As many clients do it: the whole request is written before a byte of the answer is read.
fn write_then_read(address: SocketAddr, head: &str, size: usize) -> (u16, String) {
    let mut stream = plain_http::connect(address);
    write!(stream, "{head} HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n")
        .expect("a connection");
    write!(stream, "Content-Range: 5-{}\r\n\r\n", 4 + size).expect("a connection");
    stream.write_all(&vec![b'x'; size]).expect("a server that reads to the end");
    let answer = plain_http::answer(&mut stream, true);
    assert_eq!(answer.header("connection"), Some("close"));
    assert_eq!(stream.read(&mut [0]).expect("an end without a reset"), 0);
    (answer.status, String::from_utf8(answer.body).expect("JSON"))
}

#[tokio::test]
async fn a_client_that_sends_all_before_it_reads_sees_why_it_was_refused() {
    let fixture = Fixture::new().await;
    let address = listen(&fixture).await;
    let start =
        spawn_blocking(move || plain_http::request(address, "POST", "/v2/new/blobs/uploads/"));
    let start = start.await.expect("an answer");
    let location = start.header("location").expect("a session");
    for (head, size, status, code) in [
        (format!("PATCH {location}"), 8 << 20, 416, "BLOB_UPLOAD_INVALID"),
        ("PUT /v2/new/manifests/large".to_owned(), 5 << 20, 413, "MANIFEST_INVALID"),
    ] {
        let told = head.clone();
        let answered = spawn_blocking(move || write_then_read(address, &head, size));
        let (found, body) = answered.await.expect("an answer");
        assert_eq!(found, status, "{told}");
        assert!(body.contains(code), "{body}");
    }
}

#[tokio::test]
async fn a_stream_that_is_refused_is_still_read_to_its_end() {
    let fixture = Fixture::new().await;
    let address = listen(&fixture).await;
    let mut client = Client::connect(address, Protocol::Http2).await;
    let location = start(&mut client).await;
    let size = 32 << 20;
    let (sent, all_was_sent) = oneshot::channel();
    let parts = stream::iter((0..32).map(|_| Ok(Bytes::from(vec![b'x'; 1 << 20]))));
    // Only a stream that was taken to its end comes to its last item; one that was reset is dropped.
    let last = stream::once(async move {
        let _ = sent.send(());
        Ok(Bytes::new())
    });
    let request = ask(Method::PATCH, &location).header("Content-Range", format!("5-{}", 4 + size));
    let answer = client.send(request, streamed(parts.chain(last))).await;
    assert_eq!(answer.status, 416);
    assert_eq!(answer.json()["errors"][0]["code"], "BLOB_UPLOAD_INVALID");
    all_was_sent.await.expect("the stream was not reset");
}

#[tokio::test]
async fn a_body_that_waits_to_be_asked_for_is_not_asked_for_in_vain() {
    let fixture = Fixture::new().await;
    let server = Server::start(fixture.service(Options::default())).await;
    let sent = "PUT /v2/app/manifests/b HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\n\
                Expect: 100-continue\r\n\r\n";
    let answered = exchange(&server, sent).await;
    assert!(answered.starts_with("HTTP/1.1 413 "), "{answered}");
}

/// A registry with one image.
async fn serve(backend: Arc<dyn Backend>) -> (Server, Digest) {
    let store = Store::new(backend, StoreOptions::default());
    let app = repository(&store, "app");
    push_image(&app, b"{}", &[], "v1").await;
    let digest = push(&app, b"hello world").await;
    (Server::start(service(store, Options::default())).await, digest)
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_never_taken_for_a_whole_one() {
    let backend = Arc::new(CutBackend::new());
    let (server, digest) = serve(backend.clone()).await;
    backend.cut();
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let mut client = server.connect(protocol).await;
        let request = ask(Method::GET, &format!("/v2/app/blobs/{digest}"));
        let answer = client.try_send(request, whole("")).await;
        assert!(answer.is_err(), "{protocol:?}: {answer:?}");
    }
}

#[tokio::test]
async fn storage_that_fails_is_told_by_kind_and_without_particulars() {
    let backend = FaultyBackend::new(Arc::new(MemoryBackend::new()));
    let (server, digest) = serve(Arc::new(backend.clone())).await;
    let mut client = server.connect(Protocol::Http1).await;
    let requests = [
        (Method::GET, format!("/v2/app/blobs/{digest}")),
        (Method::HEAD, format!("/v2/app/blobs/{digest}")),
        (Method::DELETE, format!("/v2/app/blobs/{digest}")),
        (Method::POST, "/v2/app/blobs/uploads/".to_owned()),
        (Method::POST, format!("/v2/app/blobs/uploads/?mount={digest}&from=app")),
        (Method::POST, format!("/v2/app/blobs/uploads/?digest={}", Digest::sha256(b""))),
        (Method::GET, "/v2/app/manifests/v1".to_owned()),
        (Method::DELETE, "/v2/app/manifests/v1".to_owned()),
        (Method::GET, "/v2/app/tags/list".to_owned()),
        (Method::GET, "/v2/_catalog".to_owned()),
        (Method::GET, format!("/v2/app/referrers/{digest}")),
    ];
    for (kind, status, retry) in [
        (ErrorKind::Full, 507, ""),
        (ErrorKind::Busy, 503, "5"),
        (ErrorKind::Unavailable, 503, "5"),
        (ErrorKind::Denied, 500, ""),
        (ErrorKind::Io, 500, ""),
    ] {
        for (method, url) in &requests {
            backend.arm(Fault { method: None, call: 1, kind, moment: Moment::Before });
            let answer = client.send(ask(method.clone(), url), whole("")).await;
            assert!(!backend.disarm(), "{method} {url} did not ask the storage");
            let found = (answer.status.as_u16(), answer.header("retry-after"));
            assert_eq!(found, (status, retry), "{kind:?}: {method} {url}");
            assert!(!String::from_utf8_lossy(&answer.body).contains("was to fail"), "{answer:?}");
        }
    }
}
