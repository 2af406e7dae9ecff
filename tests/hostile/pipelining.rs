//! Requests that come before the last one was answered: in order, one at a time, and no more held than a buffer has.

use std::io::Write as _;
use std::thread;

use registry_store::digest::Digest;
use registry_tests::plain_http;

use crate::registry::{HELLO, Registry, answer, begin};

#[test]
fn a_hundred_requests_in_advance_are_answered_in_order() {
    let registry = Registry::new();
    let mut stream = registry.connect();
    let digest = Digest::sha256(HELLO);
    let blob = |at: usize| {
        let (from, to) = (at % HELLO.len(), HELLO.len() - 1);
        format!(
            "GET /v2/app/blobs/{digest} HTTP/1.1\r\nHost: x\r\nRange: bytes={from}-{to}\r\n\r\n"
        )
    };
    let sent: String = (0..100).map(blob).collect();
    stream.write_all(sent.as_bytes()).unwrap();
    for at in 0..100 {
        let answer = answer(&mut stream);
        assert_eq!((answer.status, &answer.body[..]), (206, &HELLO[at % HELLO.len()..]), "{at}");
    }
    registry.serves_others("after them");
}

#[test]
fn parts_of_an_upload_in_advance_are_added_in_order() {
    let registry = Registry::new();
    let location = begin(registry.address, "pipelined");
    // Without how far it has come, which only the last answer tells.
    let (location, _) = location.split_once('?').unwrap();
    let mut stream = registry.connect();
    let parts: Vec<Vec<u8>> = (0..50_u8).map(|at| vec![at; usize::from(at) * 100 + 1]).collect();
    let mut sent = Vec::new();
    for (at, part) in parts.iter().enumerate() {
        if at % 2 == 0 {
            write!(
                sent,
                "PATCH {location} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
                part.len()
            )
            .unwrap();
            sent.extend_from_slice(part);
        } else {
            let size = part.len();
            write!(sent, "PATCH {location} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{size:x}\r\n")
                .unwrap();
            sent.extend_from_slice(part);
            sent.extend_from_slice(b"\r\n0\r\n\r\n");
        }
    }
    let content = parts.concat();
    let digest = Digest::sha256(&content);
    write!(sent, "PUT {location}?digest={digest} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        .unwrap();
    stream.write_all(&sent).unwrap();
    let mut end = 0;
    for part in &parts {
        end += part.len();
        let answer = answer(&mut stream);
        assert_eq!(answer.status, 202);
        assert_eq!(answer.header("range").unwrap(), format!("0-{}", end - 1));
    }
    assert_eq!(answer(&mut stream).status, 201);
    let pulled =
        plain_http::request(registry.address, "GET", &format!("/v2/pipelined/blobs/{digest}"));
    assert_eq!(pulled.body, content);
}

#[test]
fn what_comes_behind_the_last_request_is_passed_over() {
    let registry = Registry::new();
    let sent = "GET /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n\
                DELETE /v2/app/manifests/v1 HTTP/1.1\r\nHost: x\r\n\r\n";
    let answers = registry.all_answers(sent.as_bytes());
    assert_eq!(answers.matches("HTTP/1.1 ").count(), 1, "{answers}");
    registry.serves_others("after it");
}

/// Whoever asks without end and reads nothing fills the buffers of both kernels, one of ours, and then waits.
#[test]
fn requests_without_end_whose_answers_nobody_reads_are_not_taken_on() {
    const MOST: usize = 64 << 20;
    let registry = Registry::new();
    let mut stream = registry.connect();
    let hundred = "GET /v2/app/manifests/v1 HTTP/1.1\r\nHost: x\r\n\r\n".repeat(100);
    stream.set_nonblocking(true).unwrap();
    let (mut sent, mut refusals) = (0, 0);
    // A server that read on would take all of it.
    while refusals < 1000 && sent < MOST {
        match stream.write(hundred.as_bytes()) {
            Ok(count) => (sent, refusals) = (sent + count, 0),
            Err(_) => refusals += 1,
        }
        thread::yield_now();
    }
    assert!(sent < MOST, "{sent}");
    registry.serves_others("while it asks");
}
