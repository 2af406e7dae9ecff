//! Frames of HTTP/2 by hand, for clients that have no manners.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use crate::child::PATIENCE;

/// A frame of a body.
pub const DATA: u8 = 0;
/// One of a head.
pub const HEADERS: u8 = 1;
/// One that ends a stream early.
pub const RST_STREAM: u8 = 3;
/// One of settings.
pub const SETTINGS: u8 = 4;
/// One that is to be answered.
pub const PING: u8 = 6;
/// One that says that the connection ends.
pub const GOAWAY: u8 = 7;
/// One that goes on with a head.
pub const CONTINUATION: u8 = 9;

/// A flag: nothing more comes on the stream.
pub const END_STREAM: u8 = 1;
/// A flag: the head is whole.
pub const END_HEADERS: u8 = 4;

/// The place of a method in HPACK's static table.
pub const GET: u8 = 0x82;
/// The same of another.
pub const POST: u8 = 0x83;

/// A frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend_from_slice(&[kind, flags]);
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// A head in HPACK: a method by its place in the static table, and a path.
pub fn head(method: u8, path: &str) -> Vec<u8> {
    // The scheme http, and a path and a host that are not to be remembered.
    let mut head = vec![method, 0x86, 0x04];
    literal(&mut head, path);
    head.push(0x01);
    literal(&mut head, "x");
    head
}

/// A whole request without a body.
pub fn get(stream: u32, path: &str) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &head(GET, path))
}

/// A string without Huffman's code, of fewer than 2^14 bytes.
pub fn literal(head: &mut Vec<u8>, text: &str) {
    match text.len().checked_sub(127) {
        None => head.push(text.len() as u8),
        Some(over) if over < 128 => head.extend_from_slice(&[127, over as u8]),
        Some(over) => head.extend_from_slice(&[127, (over % 128) as u8 | 128, (over / 128) as u8]),
    }
    head.extend_from_slice(text.as_bytes());
}

/// What a client begins with.
pub fn preface() -> Vec<u8> {
    [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &frame(SETTINGS, 0, 0, &[])].concat()
}

/// A connection on which HTTP/2 has begun.
pub fn begun(mut stream: TcpStream) -> TcpStream {
    stream.write_all(&preface()).expect("the server reads");
    stream
}

/// The same with windows that are closed: nothing of a body may come.
pub fn begun_closed(mut stream: TcpStream) -> TcpStream {
    const NO_WINDOW: [u8; 6] = [0, 4, 0, 0, 0, 0];
    stream.write_all(&preface()).expect("the server reads");
    stream.write_all(&frame(SETTINGS, 0, 0, &NO_WINDOW)).expect("the server reads");
    stream
}

/// Answers the server's pings, and does nothing else, until the connection ends.
pub fn answer_pings(stream: &mut TcpStream) {
    let deadline = Instant::now() + PATIENCE;
    while let Some((kind, _, payload)) = next(stream) {
        assert!(Instant::now() < deadline, "the server keeps it open");
        // Whether it was sent or the connection has ended, the next frame tells.
        if kind == PING {
            let _ = stream.write_all(&frame(PING, 1, 0, &payload));
        }
    }
}

/// The next frame: its kind, its stream, its payload. None at the end of the connection.
pub fn next(stream: &mut impl Read) -> Option<(u8, u32, Vec<u8>)> {
    let mut head = [0; 9];
    stream.read_exact(&mut head).ok()?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let id = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
    let mut payload = vec![0; length as usize];
    stream.read_exact(&mut payload).ok()?;
    Some((head[3], id, payload))
}

/// The error that a frame ends a stream, or the connection, with.
pub fn error(kind: u8, payload: &[u8]) -> u32 {
    let at = if kind == GOAWAY { 4 } else { 0 };
    u32::from_be_bytes(payload[at..at + 4].try_into().expect("it is of four bytes"))
}

/// The answer to a stream whose head is in one frame: whether it is the static table's 200.
pub fn is_ok(stream: &mut TcpStream, id: u32) -> bool {
    loop {
        match next(stream).expect("the server answers") {
            (HEADERS, found, payload) if found == id => return payload[0] == 0x88,
            (GOAWAY | RST_STREAM, _, payload) => panic!("{payload:?}"),
            _ => {}
        }
    }
}
