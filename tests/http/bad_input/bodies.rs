//! Bodies that are not what was declared, that break off, or that nobody wants.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};

use bytes::Bytes;
use futures::stream;
use http::{Method, Request};
use registry_http::Options;
use registry_store::digest::Digest;
use registry_tests::plain_http::{self, answer};
use registry_tests::server::{Client, Protocol, streamed};

use super::{MANIFEST_TYPE, NO_SESSION, Registry};

/// Sends these bytes and no more, and reads to the end of the connection: by then the server has seen the end and
/// has done what it does about it. Returns what was answered.
fn send_and_end(registry: &Registry, sent: &[u8]) -> String {
    let mut connection = plain_http::connect(registry.address);
    // A server that refuses may close before it has read all.
    let _ = connection.write_all(sent).and_then(|()| connection.shutdown(Shutdown::Write));
    let mut answered = Vec::new();
    let _ = connection.read_to_end(&mut answered);
    String::from_utf8_lossy(&answered).into_owned()
}

/// The content in chunks of so many bytes, encoded.
fn chunked(content: &[u8], size: usize) -> Vec<u8> {
    let mut encoded = Vec::new();
    for chunk in content.chunks(size) {
        write!(encoded, "{:x}\r\n", chunk.len()).expect("memory takes all");
        encoded.extend_from_slice(chunk);
        encoded.extend_from_slice(b"\r\n");
    }
    encoded.extend_from_slice(b"0\r\n\r\n");
    encoded
}

const CONTENT: &[u8] = b"forty bytes, none of them like the last.";

#[test]
fn a_body_of_declared_length_that_is_cut_anywhere_is_gone_on_from() {
    let mut registry = Registry::new();
    for cut in 0..=CONTENT.len() {
        let location = registry.start("new");
        let head = format!(
            "PATCH {location} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
            CONTENT.len()
        );
        let answered = send_and_end(&registry, &[head.as_bytes(), &CONTENT[..cut]].concat());
        assert_eq!(answered.starts_with("HTTP/1.1 202 "), cut == CONTENT.len(), "{answered}");
        assert_eq!(registry.status(&location).0, cut);
        registry.lacks("new", CONTENT);
        registry.finish("new", &location, CONTENT);
        take_away(&mut registry);
    }
    registry.works();
}

#[test]
fn a_chunked_body_that_is_cut_anywhere_is_gone_on_from() {
    let mut registry = Registry::new();
    let encoded = chunked(CONTENT, 7);
    for cut in 0..=encoded.len() {
        let location = registry.start("new");
        let head =
            format!("PATCH {location} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
        let answered = send_and_end(&registry, &[head.as_bytes(), &encoded[..cut]].concat());
        assert_eq!(answered.starts_with("HTTP/1.1 202 "), cut == encoded.len(), "{answered}");
        assert!(registry.status(&location).0 <= cut);
        registry.lacks("new", CONTENT);
        registry.finish("new", &location, CONTENT);
        take_away(&mut registry);
    }
    registry.works();
}

#[test]
fn a_closing_body_that_is_cut_anywhere_is_gone_on_from() {
    let mut registry = Registry::new();
    for cut in 0..CONTENT.len() {
        let location = registry.start("new");
        let head = format!(
            "PUT {location}&digest={} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
            Digest::sha256(CONTENT),
            CONTENT.len()
        );
        let answered = send_and_end(&registry, &[head.as_bytes(), &CONTENT[..cut]].concat());
        assert!(!answered.starts_with("HTTP/1.1 2"), "{answered}");
        assert_eq!(registry.status(&location).0, cut);
        registry.lacks("new", CONTENT);
        registry.finish("new", &location, CONTENT);
        take_away(&mut registry);
    }
    registry.works();
}

/// Makes the next blob of [`CONTENT`] one of its own.
fn take_away(registry: &mut Registry) {
    let digest = Digest::sha256(CONTENT);
    assert_eq!(registry.ask(format!("DELETE /v2/new/blobs/{digest}"), &[], b"").status, 202);
    let shard = registry.path(&format!("blobs/sha256/{}", &digest.hex()[..2]));
    std::fs::remove_dir_all(shard).expect("the blob is there");
}

#[test]
fn a_large_body_that_is_cut_around_the_edges_of_buffers_is_gone_on_from() {
    let mut registry = Registry::new();
    let content: Vec<u8> = (0..3_000_000_u32).map(|at| (at % 251) as u8).collect();
    let (buffer, last) = (512 * 1024, content.len() - 1);
    for cut in [buffer - 1, buffer, buffer + 1, 2 * buffer, 5 * buffer + 7, last] {
        let location = registry.start("new");
        let size = content.len();
        let head =
            format!("PATCH {location} HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n");
        send_and_end(&registry, &[head.as_bytes(), &content[..cut]].concat());
        assert_eq!(registry.status(&location).0, cut);
        registry.finish("new", &location, &content);
    }
    registry.works();
}

#[test]
fn an_http_2_stream_that_is_reset_anywhere_is_gone_on_from() {
    let mut registry = Registry::new();
    for cut in 0..=CONTENT.len() {
        let location = registry.start("new");
        let parts: Vec<_> = CONTENT[..cut]
            .chunks(7)
            .map(|part| Ok(Bytes::copy_from_slice(part)))
            .chain([Err("the client has had enough".into())])
            .collect();
        let address = registry.address;
        registry.runtime.block_on(async {
            let mut client = Client::connect(address, Protocol::Http2).await;
            let request = Request::builder().method(Method::PATCH).uri(&location);
            let answer = client.try_send(request, streamed(stream::iter(parts))).await;
            assert!(answer.is_err(), "a stream that was reset has no answer");
        });
        assert!(registry.status(&location).0 <= cut);
        registry.lacks("new", CONTENT);
        registry.finish("new", &location, CONTENT);
        take_away(&mut registry);
    }
    registry.works();
}

#[test]
fn a_whole_blob_or_manifest_that_is_cut_anywhere_leaves_nothing() {
    let mut registry = Registry::new();
    let manifest = super::good_image();
    let before = registry.look();
    let digest = Digest::sha256(CONTENT);
    for (head, body) in [
        (format!("POST /v2/new/blobs/uploads/?digest={digest}"), CONTENT),
        ("PUT /v2/app/manifests/new".to_owned(), &manifest.bytes()[..]),
    ] {
        let length = body.len();
        for (how, body) in [
            (format!("Content-Length: {length}"), body.to_vec()),
            ("Transfer-Encoding: chunked".to_owned(), chunked(body, 11)),
        ] {
            let head = format!("{head} HTTP/1.1\r\nHost: x\r\n{how}\r\n\r\n");
            for cut in 0..body.len() {
                let answered = send_and_end(&registry, &[head.as_bytes(), &body[..cut]].concat());
                assert!(!answered.starts_with("HTTP/1.1 2"), "{answered}");
                assert_eq!(before.changes(&registry.look()), "", "{head} cut at {cut}");
            }
        }
    }
    registry.serves("cut bodies");
    registry.works();
}

#[test]
fn what_follows_a_body_of_declared_length_is_the_next_request_and_no_part_of_it() {
    let mut registry = Registry::new();
    let location = registry.start("new");
    let sent = format!(
        "PATCH {location} HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc\
         GET /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    );
    let answered = send_and_end(&registry, sent.as_bytes());
    assert!(answered.starts_with("HTTP/1.1 202 "), "{answered}");
    assert!(answered.contains("\r\n\r\nHTTP/1.1 200 "), "{answered}");
}

/// Requests that push `abc` in one body, each with the status it is then answered with, and a session of `new` that
/// two of them are on.
fn pushes_of_abc(registry: &mut Registry) -> (String, [(String, u16); 3]) {
    let session = registry.start("new");
    let digest = Digest::sha256(b"abc");
    let requests = [
        (format!("PATCH {session}"), 202),
        (format!("PUT {session}&digest={digest}"), 201),
        (format!("POST /v2/new/blobs/uploads/?digest={digest}"), 201),
    ];
    (session, requests)
}

#[test]
fn what_follows_a_body_and_is_no_request_is_refused_as_that() {
    for which in 0..3 {
        let mut registry = Registry::new();
        let (session, requests) = pushes_of_abc(&mut registry);
        let (line, status) = &requests[which];
        let sent = format!("{line} HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcdef\r\n\r\n");
        let mut connection = plain_http::connect(registry.address);
        connection.write_all(sent.as_bytes()).expect("a server that reads");
        assert_eq!(answer(&mut connection, true).status, *status, "{line}");
        let refused = answer(&mut connection, true);
        // The server's own, before there is a request that the service could answer.
        assert_eq!((refused.status, refused.header("content-length")), (400, Some("0")), "{line}");
        assert_eq!(connection.read(&mut [0]).expect("an end without a reset"), 0, "{line}");
        if *status == 201 {
            registry.pulls("new", b"abc");
        } else {
            assert_eq!(registry.status(&session).0, 3);
            registry.finish("new", &session, b"abc");
        }
        registry.works();
    }
}

/// RFC 9113 §8.1.1: such a request is malformed, and its stream is reset.
#[test]
fn over_http_2_a_body_that_is_not_as_long_as_was_declared_costs_its_stream() {
    for which in 0..3 {
        for declared in [2, 5] {
            let mut registry = Registry::new();
            let (session, requests) = pushes_of_abc(&mut registry);
            let (method, url) = requests[which].0.split_once(' ').expect("a method and a URL");
            let request = Request::builder().method(method).uri(url);
            let parts = [Ok(Bytes::from_static(b"a")), Ok(Bytes::from_static(b"bc"))];
            let parts = streamed(stream::iter(parts));
            let address = registry.address;
            let answer = registry.runtime.block_on(async {
                let mut client = Client::connect(address, Protocol::Http2).await;
                client.try_send(request.header("Content-Length", declared), parts).await
            });
            let told = format!("{method} of {declared} bytes");
            let error = answer.map(|answer| answer.status).expect_err(&told);
            assert!(format!("{error:?}").contains("PROTOCOL_ERROR"), "{told}: {error:?}");
            registry.lacks("new", b"abc");
            // What came of a part may be kept, as of one that broke off.
            let (offset, _) = registry.status(&session);
            assert!(offset <= 3 && (method != "POST" || offset == 0), "{told}: {offset}");
            registry.finish("new", &session, b"abc");
            registry.works();
        }
    }
}

#[test]
fn chunks_that_are_none_leave_at_most_what_came_before_them() {
    let mut registry = Registry::new();
    for body in [
        "x\r\nabc\r\n0\r\n\r\n",
        "-3\r\nabc\r\n0\r\n\r\n",
        "ffffffffffffffffff\r\nabc",
        "ffffffffffffffff\r\nabc",
        "3\nabc\n0\n\n",
        "3\r\nabcdef\r\n0\r\n\r\n",
        "3\r\nabc0\r\n\r\n",
        "\r\n",
    ] {
        let location = registry.start("new");
        let head =
            format!("PATCH {location} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
        let answered = send_and_end(&registry, format!("{head}{body}").as_bytes());
        assert!(!answered.starts_with("HTTP/1.1 2"), "{body:?}: {answered}");
        assert!(registry.status(&location).0 <= 3, "{body:?}");
        let (offset, _) = registry.status(&location);
        registry.finish("new", &location, &b"abc"[..offset]);
    }
    registry.works();
}

/// Requests that are refused by their heads, with the status and the code.
fn refused(read_only: bool) -> Vec<(String, u16, &'static str)> {
    let session = format!("/v2/new/blobs/uploads/{NO_SESSION}");
    let digest = Digest::sha256(CONTENT);
    let requests = [
        (format!("PATCH {session}"), 404, "BLOB_UPLOAD_UNKNOWN"),
        (format!("PUT {session}?digest={digest}"), 404, "BLOB_UPLOAD_UNKNOWN"),
        (format!("PUT {session}?digest=sha256:x"), 400, "DIGEST_INVALID"),
        (format!("PUT {session}"), 400, "DIGEST_INVALID"),
        ("POST /v2/new/blobs/uploads/?digest=sha256:x".to_owned(), 400, "DIGEST_INVALID"),
        (format!("POST /v2/New/blobs/uploads/?digest={digest}"), 400, "NAME_INVALID"),
        ("PUT /v2/app/manifests/v1".to_owned(), 413, "MANIFEST_INVALID"),
        ("PUT /v2/app/manifests/-v1".to_owned(), 400, "MANIFEST_INVALID"),
        ("PUT /v2/nowhere".to_owned(), 404, "UNSUPPORTED"),
        ("POST /v2/".to_owned(), 405, "UNSUPPORTED"),
    ];
    if !read_only {
        return requests.into();
    }
    let methods = ["PATCH ", "PUT ", "POST "];
    let is_of_api = |line: &str| !line.contains("nowhere");
    requests
        .into_iter()
        .filter(|(line, ..)| {
            is_of_api(line) && methods.iter().any(|method| line.starts_with(method))
        })
        .map(|(line, ..)| (line, 405, "UNSUPPORTED"))
        .collect()
}

/// More than a connection's buffers hold, and than a manifest may have.
const LARGE: usize = 5 << 20;

#[test]
fn a_client_that_sends_a_large_body_before_it_reads_sees_why_it_was_refused() {
    for read_only in [false, true] {
        let mut registry = Registry::with(Options { read_only, ..Options::default() });
        let before = registry.look();
        for (line, status, code) in refused(read_only) {
            let mut connection = plain_http::connect(registry.address);
            let head = format!("{line} HTTP/1.1\r\nHost: x\r\nContent-Length: {LARGE}\r\n\r\n");
            connection.write_all(head.as_bytes()).expect("a server that reads");
            connection.write_all(&vec![b'x'; LARGE]).expect("a server that reads to the end");
            sees_refusal(&registry, &mut connection, &line, status, code);
            assert_eq!(connection.read(&mut [0]).expect("an end without a reset"), 0, "{line}");
        }
        assert_eq!(before.changes(&registry.look()), "");
        registry.serves("large bodies");
    }
}

#[test]
fn a_large_body_that_waits_to_be_asked_for_is_not_asked_for_in_vain() {
    for read_only in [false, true] {
        let mut registry = Registry::with(Options { read_only, ..Options::default() });
        let before = registry.look();
        for (line, status, code) in refused(read_only) {
            let mut connection = plain_http::connect(registry.address);
            let head = format!(
                "{line} HTTP/1.1\r\nHost: x\r\nContent-Length: {LARGE}\r\nExpect: 100-continue\r\n\r\n"
            );
            connection.write_all(head.as_bytes()).expect("a server that reads");
            sees_refusal(&registry, &mut connection, &line, status, code);
            assert_eq!(connection.read(&mut [0]).expect("an end without a reset"), 0, "{line}");
        }
        assert_eq!(before.changes(&registry.look()), "");
        registry.serves("large bodies that were not sent");
    }
}

fn sees_refusal(
    registry: &Registry,
    connection: &mut TcpStream,
    line: &str,
    status: u16,
    code: &str,
) {
    let answer = answer(connection, true);
    registry.is_error(&answer, (status, code), line);
    assert_eq!(answer.header("connection"), Some("close"), "{line}");
}

#[test]
fn over_http_2_a_large_body_that_is_refused_does_not_hide_the_answer() {
    for read_only in [false, true] {
        let mut registry = Registry::with(Options { read_only, ..Options::default() });
        let before = registry.look();
        let address = registry.address;
        registry.runtime.block_on(async {
            let mut client = Client::connect(address, Protocol::Http2).await;
            for expects in [false, true] {
                for (line, status, code) in refused(read_only) {
                    let (method, url) = line.split_once(' ').expect("a method and a URL");
                    let mut request = Request::builder().method(method).uri(url);
                    if expects {
                        request = request.header("Expect", "100-continue");
                    }
                    let part = Bytes::from(vec![b'x'; 1 << 20]);
                    let parts = stream::iter((0..LARGE >> 20).map(move |_| Ok(part.clone())));
                    if line.contains("manifests/v1") {
                        request = request.header("Content-Length", LARGE);
                    }
                    let answer = client.send(request, streamed(parts)).await;
                    assert_eq!(answer.status, status, "{line}");
                    assert_eq!(answer.json()["errors"][0]["code"], code, "{line}");
                }
            }
        });
        assert_eq!(before.changes(&registry.look()), "");
        registry.serves("large bodies");
    }
}

#[test]
fn a_small_body_that_is_refused_does_not_cost_the_connection() {
    let mut registry = Registry::new();
    for (line, status, code) in refused(false) {
        if status == 413 {
            continue;
        }
        registry.refuses(&line, &[], &[b'x'; 100_000], (status, code));
        assert!(registry.connection.is_some(), "{line}");
    }
    let chunked = chunked(&[b' '; 200_000], 9_999);
    let headers = [MANIFEST_TYPE, ("Transfer-Encoding", "chunked")];
    registry.refuses("PUT /v2/app/manifests/new", &headers, &chunked, (400, "MANIFEST_INVALID"));
    assert!(registry.connection.is_some());
}
