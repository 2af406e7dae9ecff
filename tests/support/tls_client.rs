//! [`TlsClient`]: a client that asks once, over TLS.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::certificates::Identity;

/// How a client connects.
#[derive(Clone, Debug)]
pub struct TlsClient {
    trusts: String,
    versions: &'static [&'static SupportedProtocolVersion],
    identity: Option<Identity>,
    offers: &'static [&'static str],
}

const BOTH: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];

/// TLS 1.2, and nothing else.
pub const ONLY_12: &[&SupportedProtocolVersion] = &[&TLS12];
/// TLS 1.3, and nothing else.
pub const ONLY_13: &[&SupportedProtocolVersion] = &[&TLS13];

impl TlsClient {
    /// One that trusts this authority, which is in PEM, and speaks TLS 1.2 and 1.3.
    pub fn new(trusts: &str) -> Self {
        Self { trusts: trusts.to_owned(), versions: BOTH, identity: None, offers: &[] }
    }

    /// The same, of these versions.
    #[must_use]
    pub fn speaks(self, versions: &'static [&'static SupportedProtocolVersion]) -> Self {
        Self { versions, ..self }
    }

    /// The same, with a certificate of its own.
    #[must_use]
    pub fn is(self, identity: &Identity) -> Self {
        Self { identity: Some(identity.clone()), ..self }
    }

    /// The same, that offers these protocols by ALPN.
    #[must_use]
    pub fn offers(self, offers: &'static [&'static str]) -> Self {
        Self { offers, ..self }
    }

    /// A connection.
    ///
    /// # Errors
    ///
    /// If there is no TLS to be had.
    pub async fn connect(&self, to: SocketAddr) -> io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(to).await?;
        let name = ServerName::try_from("localhost").expect("it is a name");
        TlsConnector::from(Arc::new(self.config())).connect(name, stream).await
    }

    /// The body of what the server answers to `GET /`.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub async fn ask(&self, to: SocketAddr) -> io::Result<String> {
        let answer = self.send(to, Method::GET, "/").await?;
        Ok(String::from_utf8_lossy(answer.body()).into_owned())
    }

    /// One request without a body, on a connection of its own.
    ///
    /// # Errors
    ///
    /// If there is no TLS to be had, or no answer.
    pub async fn send(
        &self,
        to: SocketAddr,
        method: Method,
        path: &str,
    ) -> io::Result<Response<Bytes>> {
        let stream = self.connect(to).await?;
        let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        let stream = TokioIo::new(stream);
        let request = Request::builder().method(method).header("host", "localhost");
        let request = request.uri(format!("https://localhost{path}"));
        let request = request.body(Empty::<Bytes>::new()).expect("it is a request");
        let answer = if is_http2 {
            let (mut sender, connection) =
                http2::handshake(TokioExecutor::new(), stream).await.map_err(io::Error::other)?;
            tokio::spawn(connection);
            sender.send_request(request).await
        } else {
            let (mut sender, connection) =
                http1::handshake(stream).await.map_err(io::Error::other)?;
            tokio::spawn(connection);
            let path = request.uri().path_and_query().map(|it| it.as_str().parse());
            let (mut head, body) = request.into_parts();
            head.uri = path.expect("it has a path").expect("it is one");
            sender.send_request(Request::from_parts(head, body)).await
        };
        let (head, body) = answer.map_err(io::Error::other)?.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?;
        Ok(Response::from_parts(head, body.to_bytes()))
    }

    fn config(&self) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(self.trusts.as_bytes()) {
            let certificate = certificate.expect("it is PEM");
            roots.add(certificate).expect("it is a certificate");
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(self.versions)
            .expect("there are suites of each version")
            .with_root_certificates(roots);
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let certificate = identity.certificate.as_bytes();
                let chain: Result<_, _> = CertificateDer::pem_slice_iter(certificate).collect();
                let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes());
                let (chain, key) = (chain.expect("it is PEM"), key.expect("it is PEM"));
                // Whether they go together is for the server to find out.
                let key = ring::sign::any_supported_type(&key).expect("it is a key");
                let certified = CertifiedKey::new(chain, key);
                builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(certified)))
            }
        };
        config.alpn_protocols = self.offers.iter().map(|it| it.as_bytes().to_vec()).collect();
        config
    }
}
