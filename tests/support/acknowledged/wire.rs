//! [`Wire`]: a connection on which a request may go unanswered, because the server dies.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use crate::acknowledged::cutting::Cutting;
use crate::child::PATIENCE;
use crate::plain_http::Answer;

/// How much is handed to the system at a time.
const PIECE: usize = 64 << 10;

/// A connection to one server, kept between requests, and made anew where there is none.
#[derive(Debug)]
pub struct Wire {
    address: SocketAddr,
    stream: Option<BufReader<TcpStream>>,
    handed: usize,
}

/// A request.
#[derive(Clone, Copy, Debug)]
pub struct Request<'r> {
    /// Such as `GET`.
    pub method: &'r str,
    /// Path and query.
    pub target: &'r str,
    /// Headers beyond those of HTTP itself, each with its end of line.
    pub headers: &'r str,
    /// What is sent with it.
    pub body: Body<'r>,
}

/// A request's body.
#[derive(Clone, Copy, Debug)]
pub enum Body<'b> {
    /// With `Content-Length`.
    Whole(&'b [u8]),
    /// In the transfer coding `chunked`.
    Chunked(&'b [u8]),
}

impl<'b> Body<'b> {
    /// What is sent.
    pub const fn content(self) -> &'b [u8] {
        match self {
            Self::Whole(content) | Self::Chunked(content) => content,
        }
    }
}

impl Wire {
    /// To this server.
    pub const fn to(address: SocketAddr) -> Self {
        Self { address, stream: None, handed: 0 }
    }

    /// How many bytes of the last request's body may have reached the server.
    pub const fn handed(&self) -> usize {
        self.handed
    }

    /// Sends a request and reads the answer to it. Whatever fails, the connection is not used again.
    pub fn ask(&mut self, request: Request<'_>, cutting: &Cutting) -> io::Result<Answer> {
        self.handed = 0;
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => connect(self.address)?,
        };
        self.send(&mut stream, request, cutting)?;
        let answer = read_answer(&mut stream, request.method != "HEAD")?;
        cutting.progress();
        if answer.header("connection").is_none_or(|told| told != "close") {
            self.stream = Some(stream);
        }
        Ok(answer)
    }

    /// Sends the head of a request and no more than a part of its body, which is whole, and leaves it at that.
    pub fn begin(&self, request: Request<'_>, part: usize) -> io::Result<TcpStream> {
        let mut stream = connect(self.address)?.into_inner();
        stream.write_all(self.head(request).as_bytes())?;
        stream.write_all(&request.body.content()[..part])?;
        Ok(stream)
    }

    fn head(&self, request: Request<'_>) -> String {
        let Request { method, target, headers, body } = request;
        let length = match body {
            Body::Whole(body) => format!("Content-Length: {}", body.len()),
            Body::Chunked(_) => "Transfer-Encoding: chunked".to_owned(),
        };
        format!("{method} {target} HTTP/1.1\r\nHost: {}\r\n{length}\r\n{headers}\r\n", self.address)
    }

    fn send(
        &mut self,
        stream: &mut BufReader<TcpStream>,
        request: Request<'_>,
        cutting: &Cutting,
    ) -> io::Result<()> {
        let to = stream.get_mut();
        to.write_all(self.head(request).as_bytes())?;
        let chunked = matches!(request.body, Body::Chunked(_));
        for piece in request.body.content().chunks(PIECE) {
            // Counted first: who is cut off in the middle does not know how much arrived.
            self.handed += piece.len();
            if chunked {
                write!(to, "{:x}\r\n", piece.len())?;
            }
            to.write_all(piece)?;
            if chunked {
                to.write_all(b"\r\n")?;
            }
            cutting.progress();
        }
        if chunked { to.write_all(b"0\r\n\r\n") } else { Ok(()) }
    }
}

fn connect(address: SocketAddr) -> io::Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(BufReader::new(stream))
}

fn read_answer(stream: &mut BufReader<TcpStream>, has_body: bool) -> io::Result<Answer> {
    let first = line(stream)?;
    let status = first.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.ok_or_else(|| io::Error::other(format!("no answer of HTTP: {first:?}")))?;
    let mut answer = Answer { status, headers: Vec::new(), body: Vec::new() };
    loop {
        let header = line(stream)?;
        if header.is_empty() {
            break;
        }
        answer.headers.push(header);
    }
    if !has_body || status == 204 {
        return Ok(answer);
    }
    match answer.header("content-length").map(|length| length.parse().map_err(io::Error::other)) {
        Some(length) => answer.body = exactly(stream, length?)?,
        None => read_chunks(stream, &mut answer.body)?,
    }
    Ok(answer)
}

fn read_chunks(stream: &mut BufReader<TcpStream>, body: &mut Vec<u8>) -> io::Result<()> {
    loop {
        let length = usize::from_str_radix(&line(stream)?, 16).map_err(io::Error::other)?;
        body.extend(exactly(stream, length)?);
        line(stream)?;
        if length == 0 {
            return Ok(());
        }
    }
}

fn exactly(stream: &mut BufReader<TcpStream>, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// One line, without its end. That the connection ends instead is an error.
fn line(stream: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    match line.strip_suffix("\r\n") {
        Some(line) => Ok(line.to_owned()),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}
