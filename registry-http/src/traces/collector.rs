//! [`Collector`]: the way to a collector of traces.

use std::fmt;
use std::io;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry_http::{HttpClient, HttpError};
use tokio::runtime::Handle;
use tokio::time::timeout;

use crate::notifications::connector;

/// How much of an answer is read, in bytes.
const ANSWER: usize = 64 * 1024;

/// By HTTP/1.1, on a connection that is kept. Who sends need not be in a runtime: it is done on this one.
pub(super) struct Collector {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    runtime: Handle,
    timeout: Duration,
}

impl Collector {
    /// Connects nowhere yet. TLS trusts what the system trusts; that cannot be read is an error.
    pub(super) fn new(runtime: Handle, is_tls: bool, timeout: Duration) -> io::Result<Self> {
        let client = Client::builder(TokioExecutor::new()).build(connector(is_tls)?);
        Ok(Self { client, runtime, timeout })
    }
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (client, limit) = (self.client.clone(), self.timeout);
        let exchange = async move {
            let (head, body) = client.request(request.map(Full::new)).await?.into_parts();
            let body = Limited::new(body, ANSWER).collect().await?.to_bytes();
            Ok::<_, HttpError>(Response::from_parts(head, body))
        };
        // The time is that of the runtime, which the thread that sends is not in.
        self.runtime.spawn(async move { timeout(limit, exchange).await }).await??
    }
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collector").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}
