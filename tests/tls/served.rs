//! A listener with TLS, which tells each client what it sees of it.

use std::convert::Infallible;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use registry_http::serve::tls::{ClientAuth, Tls, TlsOptions, TlsVersion};
use registry_http::serve::{ClientCertificate, Limits, OverTls, Peer, Server};
use registry_tests::certificates::{Authority, Wanted};
use registry_tests::tls_client::TlsClient;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tower::service_fn;

/// A directory of certificates, and the authority that signed the server's.
pub(crate) struct Files {
    pub(crate) directory: TempDir,
    pub(crate) authority: Authority,
}

impl Files {
    pub(crate) fn new() -> Self {
        let (directory, authority) = (TempDir::new().unwrap(), Authority::new("servers"));
        authority.issue(&Wanted::server()).write(directory.path(), "server");
        Self { directory, authority }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Writes the certificate of an authority of clients.
    pub(crate) fn authority_of_clients(&self, authority: &Authority) -> Vec<PathBuf> {
        let file = self.path().join("clients.crt");
        fs::write(&file, authority.certificate()).unwrap();
        vec![file]
    }

    /// What serves with them, as usual.
    pub(crate) fn options(&self) -> TlsOptions {
        TlsOptions {
            certificate: self.path().join("server.crt"),
            key: self.path().join("server.key"),
            minimum: TlsVersion::Tls12,
            cipher_suites: None,
            clients: ClientAuth::None,
            http2: true,
        }
    }

    /// A client that trusts them.
    pub(crate) fn client(&self) -> TlsClient {
        TlsClient::new(&self.authority.certificate())
    }
}

/// A listener that is there as long as this is.
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    pub(crate) tls: Tls,
    running: JoinHandle<()>,
}

impl Served {
    pub(crate) async fn with(options: TlsOptions) -> Self {
        Self::limited(options, Limits::default()).await
    }

    pub(crate) async fn limited(options: TlsOptions, limits: Limits) -> Self {
        let tls = Tls::load(options).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = Server { limits, tls: Some(tls.clone()), ..Server::default() };
        let service = service_fn(async |request| Ok::<_, Infallible>(told(&request)));
        let running = tokio::spawn(async move {
            server.serve(listener, service, std::future::pending()).await.unwrap();
        });
        Self { address, tls, running }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.running.abort();
    }
}

/// `HTTP/2.0 over TLS from 127.0.0.1, alice aliases …`.
fn told(request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let extensions = request.extensions();
    let secured = if extensions.get::<OverTls>().is_some() { "over TLS" } else { "in the clear" };
    let from = match extensions.get::<Peer>() {
        Some(Peer::Tcp(address)) => address.ip().to_string(),
        other => format!("{other:?}"),
    };
    let client = match extensions.get::<ClientCertificate>() {
        None => "nobody".to_owned(),
        Some(it) => {
            assert_eq!(it.fingerprint.len(), 64);
            assert!(!it.serial.is_empty());
            let name = it.common_name.as_deref().unwrap_or("-");
            let names = [it.dns_names.clone(), it.emails.clone(), it.uris.clone()].concat();
            format!("{name} [{}]", names.join(" "))
        }
    };
    let text = format!("{:?} {secured} from {from}: {client}", request.version());
    Response::new(Full::new(Bytes::from(text)))
}
