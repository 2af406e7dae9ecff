//! HTTP/1.1 spoken by hand, for tests that care what happens on the connection.

use std::io::{BufRead, Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::child::PATIENCE;

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The lines of the head after the first, as they came.
    pub headers: Vec<String>,
    /// The body, as it came: not decoded if it is chunked.
    pub body: Vec<u8>,
}

impl Answer {
    /// The value of a header; its name's case does not matter.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// A connection.
pub fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("something listens there");
    stream.set_read_timeout(Some(PATIENCE)).expect("the bound is not zero");
    stream
}

/// One request without a body, on a connection of its own.
pub fn request(address: SocketAddr, method: &str, target: &str) -> Answer {
    let mut stream = connect(address);
    write!(
        stream,
        "{method} {target} HTTP/1.1\r\nHost: {address}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )
    .expect("the server reads");
    answer(&mut stream, method != "HEAD")
}

/// One request with a body, on a connection of its own.
pub fn send(
    address: SocketAddr,
    method: &str,
    target: &str,
    content_type: &str,
    body: &[u8],
) -> Answer {
    let mut stream = connect(address);
    write!(
        stream,
        "{method} {target} HTTP/1.1\r\nHost: {address}\r\nContent-Type: {content_type}\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    )
    .and_then(|()| stream.write_all(body))
    .expect("the server reads");
    answer(&mut stream, true)
}

/// Reads one request whose length is said: the lines of its head, and its body. `None` if there is none any more.
pub fn received(reader: &mut impl BufRead) -> Option<(Vec<String>, Vec<u8>)> {
    let mut head: Vec<String> = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            line => head.push(line.to_owned()),
        }
    }
    let length = head.iter().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim())
    });
    let mut body = vec![0; length?.parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    Some((head, body))
}

/// Reads one answer. The body is read to the length that the head gives, or to the end of the connection.
pub fn answer(stream: &mut TcpStream, has_body: bool) -> Answer {
    let head = head(stream);
    let mut lines = head.lines();
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1))
        .and_then(|code| code.parse().ok())
        .unwrap_or_else(|| panic!("expected an answer of HTTP/1.1, found {head:?}"));
    let mut answer =
        Answer { status, headers: lines.map(str::to_owned).collect(), body: Vec::new() };
    let has_body = has_body && status >= 200 && status != 204 && status != 304;
    let length = answer
        .header("content-length")
        .map(|length| length.parse::<u64>().expect("a length is a number"));
    if has_body {
        stream
            .take(length.unwrap_or(u64::MAX))
            .read_to_end(&mut answer.body)
            .expect("the server sends what it promised");
    }
    answer
}

/// Reads to the empty line, and not a byte further.
fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        // Unlike `read`, this goes on after a signal such as that of a child's end.
        stream.read_exact(&mut byte).expect("the server answers to the end of a head");
        head.push(byte[0]);
    }
    String::from_utf8(head).expect("a head is text")
}
