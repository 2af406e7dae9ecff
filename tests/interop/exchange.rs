//! [`ask`]: one request written by hand, with a body of its own form.

use std::io::Write as _;
use std::net::SocketAddr;

use registry_tests::plain_http::{Answer, answer, connect};

/// A request's body.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Body<'b> {
    /// With `Content-Length`.
    Whole(&'b [u8]),
    /// In the transfer coding `chunked`, in chunks of uneven lengths.
    Chunked(&'b [u8]),
}

impl<'b> Body<'b> {
    pub(crate) const NOTHING: Self = Self::Whole(b"");

    pub(crate) fn content(self) -> &'b [u8] {
        match self {
            Self::Whole(content) | Self::Chunked(content) => content,
        }
    }

    /// The header that announces it, and the bytes as they are sent.
    fn coded(self) -> (String, Vec<u8>) {
        match self {
            Self::Whole(content) => {
                (format!("Content-Length: {}", content.len()), content.to_vec())
            }
            Self::Chunked(content) => ("Transfer-Encoding: chunked".to_owned(), chunks(content)),
        }
    }
}

/// Sends one request on a connection of its own. An absolute `url` is asked of `address` all the same, whatever host
/// it names.
pub(crate) fn ask(
    address: SocketAddr,
    method: &str,
    url: &str,
    content_type: &str,
    body: Body<'_>,
) -> Answer {
    let target = match url.split_once("://") {
        Some((_, behind)) => &behind[behind.find('/').expect("a URL with a path")..],
        None => url,
    };
    let (length, coded) = body.coded();
    let mut stream = connect(address);
    let head = format!(
        "{method} {target} HTTP/1.1\r\nHost: {address}\r\n{length}\r\nContent-Type: {content_type}\r\n\
         Connection: close\r\n\r\n"
    );
    // A server that refuses a body may close before it has read all of it; its answer tells.
    let _ = stream.write_all(&[head.as_bytes(), &coded].concat());
    answer(&mut stream, method != "HEAD")
}

/// Expects an answer of this status, and shows the body of another.
#[track_caller]
pub(crate) fn expect(status: u16, answer: Answer) -> Answer {
    let body = String::from_utf8_lossy(&answer.body);
    assert_eq!(answer.status, status, "{:?}\n{body:.1000}", answer.headers);
    answer
}

fn chunks(content: &[u8]) -> Vec<u8> {
    let mut coded = Vec::new();
    let mut rest = content;
    for length in [1, 63, 64, 65, 1000, 4095, 8193].into_iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (chunk, behind) = rest.split_at(rest.len().min(length));
        coded.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        coded.extend_from_slice(chunk);
        coded.extend_from_slice(b"\r\n");
        rest = behind;
    }
    coded.extend_from_slice(b"0\r\n\r\n");
    coded
}
