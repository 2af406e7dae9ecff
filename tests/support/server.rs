//! [`Server`]: a service on a real socket, and [`Client`]: one connection to it.

use std::fmt;
use std::future::pending;
use std::net::SocketAddr;

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use http::header::HOST;
use http::{HeaderMap, Request, StatusCode, request};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use registry_http::RegistryService;
use registry_http::serve::serve;
use registry_store::error::BodyError;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A service that answers on a port of this machine until it is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Server {
    /// Takes a free port.
    pub async fn start(service: RegistryService) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let task = tokio::spawn(async move {
            serve(listener, service, pending()).await.expect("a listener that was bound accepts");
        });
        Self { address, task }
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connects to it.
    pub async fn connect(&self, protocol: Protocol) -> Client {
        Client::connect(self.address, protocol).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// How a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 without TLS.
    Http2,
}

/// The body of a request.
pub type ClientBody = UnsyncBoxBody<Bytes, BodyError>;

/// A body whose length is declared.
pub fn whole(bytes: impl Into<Bytes>) -> ClientBody {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// A body whose length is not declared.
pub fn streamed<S>(parts: S) -> ClientBody
where
    S: Stream<Item = Result<Bytes, BodyError>> + Send + 'static,
{
    StreamBody::new(parts.map(|part| part.map(Frame::data))).boxed_unsync()
}

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Answer {
    /// The value of a header; empty if there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("visible ASCII"))
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("an answer in JSON")
    }
}

/// One connection, which is made again when the server has closed it.
pub struct Client {
    address: SocketAddr,
    protocol: Protocol,
    sender: Sender,
}

impl Client {
    /// Connects to what listens there.
    pub async fn connect(address: SocketAddr, protocol: Protocol) -> Self {
        Self { address, protocol, sender: Sender::connect(address, protocol).await }
    }

    /// Sends a request and reads the whole answer.
    pub async fn send(&mut self, request: request::Builder, body: ClientBody) -> Answer {
        self.try_send(request, body).await.expect("an answer")
    }

    /// The same, where the answer may break off.
    pub async fn try_send(
        &mut self,
        request: request::Builder,
        body: ClientBody,
    ) -> Result<Answer, hyper::Error> {
        let request = self.address(request.body(body).expect("a test's requests are well formed"));
        if self.sender.ready().await.is_err() {
            self.sender = Sender::connect(self.address, self.protocol).await;
        }
        let (head, body) = match &mut self.sender {
            Sender::Http1(sender) => sender.send_request(request).await?,
            Sender::Http2(sender) => sender.send_request(request).await?,
        }
        .into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(Answer { status: head.status, headers: head.headers, body })
    }

    /// Each protocol has its own place for the host: `Host` if the test names one, else where it is sent to. A
    /// `Location` may hold one already.
    fn address(&self, mut request: Request<ClientBody>) -> Request<ClientBody> {
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
        let named = request.headers_mut().remove(HOST);
        let host = named
            .unwrap_or_else(|| self.address.to_string().parse().expect("an address and a port"));
        let uri = match self.protocol {
            Protocol::Http1 => {
                request.headers_mut().insert(HOST, host);
                path
            }
            Protocol::Http2 => format!("http://{}{path}", host.to_str().expect("visible ASCII")),
        };
        *request.uri_mut() = uri.parse().expect("made of parts of a URI");
        request
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client({:?} to {})", self.protocol, self.address)
    }
}

enum Sender {
    Http1(http1::SendRequest<ClientBody>),
    Http2(http2::SendRequest<ClientBody>),
}

impl Sender {
    async fn connect(address: SocketAddr, protocol: Protocol) -> Self {
        let connection = TcpStream::connect(address).await.expect("it listens");
        connection.set_nodelay(true).expect("a TCP connection");
        let connection = TokioIo::new(connection);
        match protocol {
            Protocol::Http1 => {
                let (sender, driver) = http1::handshake(connection).await.expect("a handshake");
                tokio::spawn(driver);
                Self::Http1(sender)
            }
            Protocol::Http2 => {
                let handshake = http2::handshake(TokioExecutor::new(), connection);
                let (sender, driver) = handshake.await.expect("a handshake");
                tokio::spawn(driver);
                Self::Http2(sender)
            }
        }
    }

    async fn ready(&mut self) -> Result<(), hyper::Error> {
        match self {
            Self::Http1(sender) => sender.ready().await,
            Self::Http2(sender) => sender.ready().await,
        }
    }
}
