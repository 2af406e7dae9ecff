//! [`Webhook`]: sends a document to an endpoint.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderValue, Request, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use tokio::time::timeout;

use super::endpoint::{self, Endpoint};

/// How much of an answer is read, in bytes, so that the connection can go on. What it says is of no interest.
const ANSWER: usize = 64 * 1024;

/// How long the rest of an answer is waited for, once its status is known.
const REST: Duration = Duration::from_millis(500);

/// The way to an endpoint.
#[async_trait]
pub(super) trait Transport: Send + Sync + 'static {
    /// Sends a document once. Returns the status of the answer, or why there was none, which holds nothing secret.
    async fn post(&self, document: Bytes) -> Result<u16, String>;
}

/// By HTTP/1.1, in the clear or by TLS, on a connection that is kept. Redirects are not followed.
pub(super) struct Webhook {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    uri: Uri,
    headers: HeaderMap,
    timeout: Duration,
}

impl Webhook {
    /// Connects nowhere yet. TLS trusts what the system trusts; that cannot be read is an error.
    pub(super) fn new(endpoint: &Endpoint) -> io::Result<Self> {
        let connector = connector(endpoint.address.is_tls())?;
        let mut headers = endpoint::headers(endpoint);
        let media_type = HeaderValue::from_static(endpoint.envelope.media_type());
        headers.insert(CONTENT_TYPE, media_type);
        let agent = HeaderValue::from_static(concat!("registry/", env!("CARGO_PKG_VERSION")));
        headers.entry(USER_AGENT).or_insert(agent);
        Ok(Self {
            client: Client::builder(TokioExecutor::new()).build(connector),
            uri: endpoint.address.uri().clone(),
            headers,
            timeout: endpoint.timeout,
        })
    }
}

#[async_trait]
impl Transport for Webhook {
    async fn post(&self, document: Bytes) -> Result<u16, String> {
        let mut request = Request::post(&self.uri)
            .body(Full::new(document))
            .expect("the address was looked at when it was read");
        request.headers_mut().extend(self.headers.clone());
        let answer = match timeout(self.timeout, self.client.request(request)).await {
            Ok(answer) => answer.map_err(|error| chain(&error))?,
            Err(_) => return Err(format!("no answer in {:?}", self.timeout)),
        };
        let status = answer.status().as_u16();
        // What the endpoint did with the event is said. A rest that is longer, broken or late ends the connection, and no
        // more.
        let _ = timeout(REST, Limited::new(answer.into_body(), ANSWER).collect()).await;
        Ok(status)
    }
}

/// A way to servers, in the clear or by TLS, which trusts what the system trusts.
pub(crate) fn connector(is_tls: bool) -> io::Result<HttpsConnector<HttpConnector>> {
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_nodelay(true);
    Ok(HttpsConnectorBuilder::new()
        .with_tls_config(tls(is_tls)?)
        .https_or_http()
        .enable_http1()
        .wrap_connector(connector))
}

fn tls(is_used: bool) -> io::Result<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?;
    let builder = match is_used {
        true => builder.with_native_roots()?,
        false => builder.with_root_certificates(RootCertStore::empty()),
    };
    Ok(builder.with_no_client_auth())
}

/// An error and what it came from. None of these speaks of more of an address than its host.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;
    use crate::notifications::endpoint::Address;

    #[tokio::test]
    async fn an_answer_counts_by_its_head_whatever_becomes_of_the_rest() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/", listener.local_addr().unwrap());
        let answering = tokio::spawn(async move {
            let mut open = Vec::new();
            for head in ["200 X\r\nContent-Length: 5", "500 X\r\nTransfer-Encoding: chunked"] {
                let (mut stream, _) = listener.accept().await.unwrap();
                let read = stream.read(&mut [0; 4096]).await.unwrap();
                assert!(read > 0);
                stream.write_all(format!("HTTP/1.1 {head}\r\n\r\n").as_bytes()).await.unwrap();
                // Nothing more comes.
                open.push(stream);
            }
            open
        });
        let endpoint = Endpoint {
            timeout: Duration::from_secs(10),
            ..Endpoint::new("x", Address::parse(&address).unwrap())
        };
        let webhook = Webhook::new(&endpoint).unwrap();
        assert_eq!(webhook.post(Bytes::from_static(b"{}")).await, Ok(200));
        assert_eq!(webhook.post(Bytes::from_static(b"{}")).await, Ok(500));
        answering.await.unwrap();
    }
}
