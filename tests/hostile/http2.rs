//! HTTP/2 at its worst: frames by hand, so that nothing of a client's own manners holds them back.

use std::io::Write as _;
use std::net::TcpStream;

use registry_http::Options;
use registry_http::serve::Limits;
use registry_tests::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, GET, GOAWAY, HEADERS, PING, POST, RST_STREAM,
    SETTINGS, answer_pings, begun, begun_closed, error, frame, get, head, is_ok, literal, next,
};

use crate::registry::{Registry, SOON, soon};

const PROTOCOL_ERROR: u32 = 1;
const REFUSED_STREAM: u32 = 7;
const CANCEL: u32 = 8;
const ENHANCE_YOUR_CALM: u32 = 11;

fn connect(registry: &Registry) -> TcpStream {
    begun(registry.connect())
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

#[test]
fn a_connection_whose_client_takes_nothing_of_an_answer_is_closed_though_it_answers_pings() {
    let registry = Registry::with(soon(), Options::default());
    let mut stream = begun_closed(registry.connect());
    stream.write_all(&get(1, "/v2/app/manifests/v1")).unwrap();
    assert!(is_ok(&mut stream, 1));
    registry.serves_others("meanwhile");
    answer_pings(&mut stream);
    registry.serves_others("after it");
}
