//! HTTP/2 at its worst: frames by hand, so that nothing of a client's own manners holds them back.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use registry_http::Options;
use registry_http::serve::Limits;

use crate::registry::{Registry, SOON, soon};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

const PROTOCOL_ERROR: u32 = 1;
const REFUSED_STREAM: u32 = 7;
const CANCEL: u32 = 8;
const ENHANCE_YOUR_CALM: u32 = 11;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend_from_slice(&[kind, flags]);
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// A head in HPACK: a method by its place in the static table, and a path.
fn head(method: u8, path: &str) -> Vec<u8> {
    // The scheme http, and a path and a host that are not to be remembered.
    let mut head = vec![method, 0x86, 0x04];
    literal(&mut head, path);
    head.push(0x01);
    literal(&mut head, "x");
    head
}

const GET: u8 = 0x82;
const POST: u8 = 0x83;

/// A string without Huffman's code, of fewer than 2^14 bytes.
fn literal(head: &mut Vec<u8>, text: &str) {
    match text.len().checked_sub(127) {
        None => head.push(text.len() as u8),
        Some(over) if over < 128 => head.extend_from_slice(&[127, over as u8]),
        Some(over) => head.extend_from_slice(&[127, (over % 128) as u8 | 128, (over / 128) as u8]),
    }
    head.extend_from_slice(text.as_bytes());
}

/// A connection that has begun.
fn connect(registry: &Registry) -> TcpStream {
    let mut stream = registry.connect();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
    stream.write_all(&frame(SETTINGS, 0, 0, &[])).unwrap();
    stream
}

/// The next frame: its kind, its stream, its payload. None at the end of the connection.
fn next(stream: &mut TcpStream) -> Option<(u8, u32, Vec<u8>)> {
    let mut head = [0; 9];
    stream.read_exact(&mut head).ok()?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let id = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
    let mut payload = vec![0; length as usize];
    stream.read_exact(&mut payload).ok()?;
    Some((head[3], id, payload))
}

/// The error that a frame ends a stream, or the connection, with.
fn error(kind: u8, payload: &[u8]) -> u32 {
    let at = if kind == GOAWAY { 4 } else { 0 };
    u32::from_be_bytes(payload[at..at + 4].try_into().unwrap())
}

/// The error that the server ends the connection with. It does end it.
fn goaway(stream: &mut TcpStream) -> Option<u32> {
    let mut found = None;
    while let Some((kind, _, payload)) = next(stream) {
        if kind == GOAWAY {
            found = Some(error(kind, &payload));
        }
    }
    found
}

/// The answer to a stream whose head is in one frame: whether it is the static table's 200.
fn is_ok(stream: &mut TcpStream, id: u32) -> bool {
    loop {
        match next(stream).unwrap() {
            (HEADERS, found, payload) if found == id => return payload[0] == 0x88,
            (GOAWAY | RST_STREAM, _, payload) => panic!("{payload:?}"),
            _ => {}
        }
    }
}

#[test]
fn requests_begun_and_taken_back_at_once_end_the_connection() {
    let registry = Registry::new();
    let mut stream = connect(&registry);
    let mut id = 1;
    // It ends while they are sent; a server that bears it would answer pings for ever.
    for _ in 0..1000 {
        let mut sent = Vec::new();
        for _ in 0..100 {
            sent.extend(frame(HEADERS, END_HEADERS | END_STREAM, id, &head(GET, "/v2/_catalog")));
            sent.extend(frame(RST_STREAM, 0, id, &CANCEL.to_be_bytes()));
            id += 2;
        }
        if stream.write_all(&sent).is_err() {
            break;
        }
    }
    let ended = goaway(&mut stream);
    // The reset may overtake it.
    assert!(ended.is_none_or(|error| error == ENHANCE_YOUR_CALM), "{ended:?}");
    registry.serves_others("after them");
}

#[test]
fn more_requests_at_once_than_may_be_are_refused_and_the_rest_answered() {
    let limits = Limits { streams: 20, ..Limits::default() };
    let registry = Registry::with(limits, Options::default());
    let mut stream = connect(&registry);
    // Their bodies do not come.
    let post = head(
        POST,
        "/v2/new/blobs/uploads/?digest=sha256:\
        ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    );
    for at in 0..25 {
        stream.write_all(&frame(HEADERS, END_HEADERS, 2 * at + 1, &post)).unwrap();
    }
    let mut refused = 0;
    while refused < 5 {
        let (kind, id, payload) = next(&mut stream).unwrap();
        if kind == RST_STREAM {
            assert_eq!((error(kind, &payload), id > 40), (REFUSED_STREAM, true), "{id}");
            refused += 1;
        }
        assert_ne!(kind, GOAWAY);
    }
    registry.serves_others("meanwhile");
    // One is done; then there is room for another.
    stream.write_all(&frame(DATA, END_STREAM, 1, b"abc")).unwrap();
    loop {
        let (kind, id, _) = next(&mut stream).unwrap();
        assert_ne!(kind, GOAWAY);
        if (kind, id) == (HEADERS, 1) {
            break;
        }
    }
    let get = frame(HEADERS, END_HEADERS | END_STREAM, 101, &head(GET, "/v2/"));
    stream.write_all(&get).unwrap();
    assert!(is_ok(&mut stream, 101));
}

#[test]
fn a_head_that_is_too_long_is_refused() {
    let registry = Registry::new();
    let mut stream = connect(&registry);
    let mut long = head(GET, "/v2/");
    for _ in 0..200 {
        long.extend_from_slice(&[0x00, 1, b'a']);
        literal(&mut long, &"b".repeat(1000));
    }
    let mut parts = long.chunks(16_000);
    stream.write_all(&frame(HEADERS, END_STREAM, 1, parts.next().unwrap())).unwrap();
    for part in parts {
        stream.write_all(&frame(CONTINUATION, 0, 1, part)).unwrap();
    }
    stream.write_all(&frame(CONTINUATION, END_HEADERS, 1, &[])).unwrap();
    // With 431, or with the end of the stream or of the connection.
    let answered = loop {
        match next(&mut stream) {
            Some((HEADERS, 1, payload)) => break Some(payload),
            Some((RST_STREAM | GOAWAY, ..)) | None => break None,
            Some(_) => {}
        }
    };
    let is_431 = |payload: Vec<u8>| payload.windows(2).any(|_| payload[0] != 0x88);
    assert!(answered.is_none_or(is_431));
    registry.serves_others("after it");
}

#[test]
fn a_head_without_an_end_ends_the_connection() {
    let registry = Registry::new();
    let mut stream = connect(&registry);
    stream.write_all(&frame(HEADERS, END_STREAM, 1, &head(GET, "/v2/"))).unwrap();
    let mut part = vec![0x00, 1, b'a'];
    literal(&mut part, &"b".repeat(16_000));
    for _ in 0..10_000 {
        if stream.write_all(&frame(CONTINUATION, 0, 1, &part)).is_err() {
            break;
        }
    }
    let ended = goaway(&mut stream);
    assert!(
        ended.is_none_or(|error| [PROTOCOL_ERROR, ENHANCE_YOUR_CALM].contains(&error)),
        "{ended:?}"
    );
    registry.serves_others("after it");
}

#[test]
fn whoever_asks_for_answers_without_end_and_reads_none_is_not_listened_to() {
    const MOST: usize = 64 << 20;
    let registry = Registry::new();
    for asked in [frame(PING, 0, 0, &[0; 8]), frame(SETTINGS, 0, 0, &[])] {
        let mut stream = connect(&registry);
        stream.set_nonblocking(true).unwrap();
        let many = asked.repeat(1000);
        let (mut sent, mut refusals) = (0, 0);
        // A server that read on would take all of it.
        while refusals < 1000 && sent < MOST {
            match stream.write(&many) {
                Ok(count) => (sent, refusals) = (sent + count, 0),
                Err(_) => refusals += 1,
            }
            std::thread::yield_now();
        }
        assert!(sent < MOST, "{sent}");
        registry.serves_others("meanwhile");
    }
}

#[test]
fn frames_that_are_none_end_the_connection() {
    let registry = Registry::new();
    for (told, sent) in [
        (
            "a length above the limit",
            [&[0xff, 0xff, 0xff, DATA, 0][..], &1_u32.to_be_bytes()].concat(),
        ),
        ("a body of nothing", frame(DATA, END_STREAM, 1, b"abc")),
        ("a stream of the server's", frame(HEADERS, END_HEADERS, 2, &head(GET, "/v2/"))),
        ("a head on no stream", frame(HEADERS, END_HEADERS, 0, &head(GET, "/v2/"))),
        ("a head that goes on from none", frame(CONTINUATION, END_HEADERS, 1, &head(GET, "/v2/"))),
        ("a head that is none", frame(HEADERS, END_HEADERS, 1, &[0xff; 100])),
        ("settings of five bytes", frame(SETTINGS, 0, 0, &[0; 5])),
        ("a ping of nine", frame(PING, 0, 0, &[0; 9])),
    ] {
        let mut stream = connect(&registry);
        stream.write_all(&sent).unwrap();
        let ended = goaway(&mut stream);
        assert!(ended.is_none_or(|error| error != 0), "{told}: {ended:?}");
        registry.serves_others(told);
    }
}

#[test]
fn a_connection_without_a_request_is_closed_though_it_answers_pings() {
    let registry = Registry::with(soon(), Options::default());
    let mut stream = connect(&registry);
    let mut pings = 0;
    while let Some((kind, _, payload)) = next(&mut stream) {
        // Every ping but those that are answers.
        if kind == PING {
            pings += 1;
            let _ = stream.write_all(&frame(PING, 1, 0, &payload));
        }
    }
    assert!(pings > 0, "expected some within {SOON:?}");
    registry.serves_others("after it");
}
