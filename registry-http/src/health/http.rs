//! [`HttpProbe`]: does a server answer as it should?

use std::error::Error;
use std::fmt;
use std::io;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Request, Uri};
use http_body_util::Empty;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use super::Probe;
use crate::notifications::connector;

/// Sends HEAD, as Distribution does, and compares the status. Redirects are not followed.
pub struct HttpProbe {
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    uri: Uri,
    headers: HeaderMap,
    status: u16,
}

impl HttpProbe {
    /// Connects nowhere yet. TLS trusts what the system trusts; that cannot be read is an error.
    pub fn new(uri: Uri, headers: HeaderMap, status: u16) -> io::Result<Self> {
        let connector = connector(uri.scheme_str() == Some("https"))?;
        let mut builder = Client::builder(TokioExecutor::new());
        // A connection that was kept would say little of whether another can be made.
        builder.pool_max_idle_per_host(0);
        Ok(Self { client: builder.build(connector), uri, headers, status })
    }
}

#[async_trait]
impl Probe for HttpProbe {
    async fn probe(&self) -> Result<(), String> {
        let mut request = Request::head(&self.uri)
            .body(Empty::new())
            .map_err(|error| format!("cannot ask: {error}"))?;
        request.headers_mut().extend(self.headers.clone());
        let answer = self.client.request(request).await.map_err(|error| {
            // The error itself only says that there is one.
            error.source().map_or_else(|| error.to_string(), ToString::to_string)
        })?;
        let found = answer.status().as_u16();
        if found == self.status {
            return Ok(());
        }
        Err(format!("expected the status {}, found {found}", self.status))
    }
}

impl fmt::Debug for HttpProbe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Its address and headers may hold passwords.
        f.debug_struct("HttpProbe").field("status", &self.status).finish_non_exhaustive()
    }
}
