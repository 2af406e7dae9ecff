//! Clients that are slow without an end: to send a head, to send a body, to read.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::Instant;

use registry_http::Options;
use registry_http::serve::Limits;
use registry_store::digest::Digest;
use registry_tests::child::PATIENCE;
use registry_tests::plain_http;

use crate::registry::{Registry, SOON, answer, begin, offset, rest, soon, statuses};

#[test]
fn a_connection_that_sends_nothing_or_half_a_head_is_closed_without_an_answer() {
    let registry = Registry::with(heads_in_time(), Options::default());
    let sent = ["", "G", "GET /v2/ HTTP/1.1\r\nHost:", "PRI * HTTP/2.0\r\n", "\r\n\r\n"];
    let mut connections = sent.map(|sent| {
        let mut stream = registry.connect();
        stream.write_all(sent.as_bytes()).unwrap();
        stream
    });
    registry.serves_others("while they are slow");
    for (stream, sent) in connections.iter_mut().zip(sent) {
        assert_eq!(rest(stream), "", "{sent:?}");
    }
    registry.serves_others("after they were closed");
}

#[test]
fn a_head_that_comes_byte_by_byte_without_an_end_is_cut_though_it_moves() {
    let registry = Registry::with(heads_in_time(), Options::default());
    for begun in ["GET /v2/ HTTP/1.1\r\nA: ", "GET /v2/"] {
        let mut stream = registry.connect();
        stream.write_all(begun.as_bytes()).unwrap();
        let mut writer = stream.try_clone().unwrap();
        let address = registry.address;
        let sending = thread::spawn(move || {
            // Until the server has closed, which the second write after it finds out. Others' requests set the pace.
            while writer.write_all(b"a").is_ok() {
                assert_eq!(
                    plain_http::request(address, "GET", "/v2/").status,
                    200,
                    "others are served"
                );
            }
        });
        assert_eq!(rest(&mut stream), "");
        sending.join().unwrap();
    }
}

#[test]
fn a_connection_of_no_use_any_more_is_closed() {
    let registry = Registry::with(heads_in_time(), Options::default());
    let mut stream = registry.connect();
    for _ in 0..4 {
        stream.write_all(b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        assert_eq!(answer(&mut stream).status, 200);
    }
    assert_eq!(rest(&mut stream), "");
}

#[test]
fn a_body_that_stalls_is_given_up_and_what_came_of_it_can_be_gone_on_from() {
    let options = Options { body_idle_timeout: SOON, ..Options::default() };
    let registry = Registry::with(Limits::default(), options);
    for framing in
        ["Content-Length: 100\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"]
    {
        let location = begin(registry.address, "stalls");
        let mut stream = registry.connect();
        write!(stream, "PATCH {location} HTTP/1.1\r\nHost: x\r\n{framing}").unwrap();
        registry.serves_others(framing);
        let answers = rest(&mut stream);
        assert_eq!(statuses(&answers), [408], "{answers}");
        assert_eq!(offset(registry.address, &location), 3);
    }
}

#[test]
fn a_client_that_does_not_read_is_let_go_of() {
    let registry = Registry::with(soon(), Options::default());
    // More than the kernel takes on for both sides.
    let content = vec![b'x'; 24 << 20];
    let digest = Digest::sha256(&content);
    let post = format!("/v2/large/blobs/uploads/?digest={digest}");
    let pushed =
        plain_http::send(registry.address, "POST", &post, "application/octet-stream", &content);
    assert_eq!(pushed.status, 201);
    let get = format!("GET /v2/large/blobs/{digest} HTTP/1.1\r\nHost: x\r\n\r\n");
    let mut stopped = registry.connect();
    stopped.write_all(get.as_bytes()).unwrap();
    assert_eq!(statuses(&String::from_utf8_lossy(&first(&mut stopped))), [200]);
    assert_eq!(registry.open_files(), 1);
    registry.serves_others("while one does not read");
    // It is let go of while nothing is read: what tells is the file, which is open for as long.
    let deadline = Instant::now() + PATIENCE;
    while registry.open_files() > 0 {
        assert!(Instant::now() < deadline, "the file stays open");
        thread::yield_now();
    }
    let found = rest(&mut stopped).len();
    assert!(found < content.len(), "cut after {found} bytes");
}

/// Nothing but the time for heads is short.
fn heads_in_time() -> Limits {
    Limits { head: Some(SOON), ..Limits::default() }
}

fn first(stream: &mut TcpStream) -> [u8; 12] {
    let mut found = [0; 12];
    stream.read_exact(&mut found).unwrap();
    found
}
