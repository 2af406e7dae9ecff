//! [`Signer`]: signs requests as a client does.

use std::time::SystemTime;

use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Uri};

use super::canonical;
use crate::s3::dates;
use crate::s3::options::Credentials;
use crate::s3::request;

/// The body is not signed.
pub const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

/// The body comes in chunks that are signed one by one.
pub const SIGNED_CHUNKS: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";

/// The same, with trailers that are signed too.
pub const SIGNED_CHUNKS_AND_TRAILERS: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER";

/// The body comes in chunks that are not signed, with trailers.
pub const UNSIGNED_CHUNKS: &str = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";

/// Signs requests at one instant.
#[derive(Clone, Debug)]
pub struct Signer {
    /// Who signs.
    pub credentials: Credentials,
    /// For which region.
    pub region: String,
    /// When.
    pub now: SystemTime,
}

impl Signer {
    /// Signs a request, with all its headers. `payload` is [`payload_hash`] or one of the constants. The seed of the
    /// chunks' signatures.
    pub fn sign(&self, head: &mut Parts, payload: &str) -> Chain {
        let timestamp = dates::basic(self.now);
        let scope = canonical::scope(&timestamp, &self.region);
        let mut put = |name: &'static str, value: &str| {
            let value = HeaderValue::from_str(value).expect("a test's values are text");
            head.headers.insert(HeaderName::from_static(name), value);
        };
        put("x-amz-content-sha256", payload);
        put("x-amz-date", &timestamp);
        if let Some(token) = &self.credentials.session_token {
            put("x-amz-security-token", token);
        }
        let mut signed: Vec<String> =
            head.headers.keys().map(|name| name.as_str().to_owned()).collect();
        signed.sort();
        let query = request::query(head.uri.query().unwrap_or_default());
        let canonical = canonical::request(head, &query, &signed, payload);
        let key = canonical::key(&self.credentials.secret_key, &scope);
        let signature = canonical::sign(&key, &canonical::to_sign(&timestamp, &scope, &canonical));
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={}, Signature={signature}",
            self.credentials.access_key,
            signed.join(";"),
        );
        let value = HeaderValue::from_str(&authorization).expect("made of text");
        head.headers.insert(AUTHORIZATION, value);
        Chain { key, timestamp, scope, last: signature }
    }

    /// The path and query with which anybody may make this request, for so many seconds. What headers it has are
    /// signed, and `Host` has to be one of them.
    pub fn presign(&self, head: &Parts, expires: u64) -> String {
        let timestamp = dates::basic(self.now);
        let scope = canonical::scope(&timestamp, &self.region);
        let mut signed: Vec<String> =
            head.headers.keys().map(|name| name.as_str().to_owned()).collect();
        signed.sort();
        let mut query = request::query(head.uri.query().unwrap_or_default());
        let mut add = |name: &str, value: &str| query.push((name.to_owned(), value.to_owned()));
        add("X-Amz-Algorithm", "AWS4-HMAC-SHA256");
        add("X-Amz-Credential", &format!("{}/{scope}", self.credentials.access_key));
        add("X-Amz-Date", &timestamp);
        add("X-Amz-Expires", &expires.to_string());
        add("X-Amz-SignedHeaders", &signed.join(";"));
        if let Some(token) = &self.credentials.session_token {
            add("X-Amz-Security-Token", token);
        }
        let canonical = canonical::request(head, &query, &signed, UNSIGNED);
        let key = canonical::key(&self.credentials.secret_key, &scope);
        let signature = canonical::sign(&key, &canonical::to_sign(&timestamp, &scope, &canonical));
        query.push(("X-Amz-Signature".to_owned(), signature));
        let query: Vec<String> = query
            .iter()
            .map(|(name, value)| {
                format!("{}={}", canonical::encoded(name), canonical::encoded(value))
            })
            .collect();
        format!("{}?{}", path(&head.uri), query.join("&"))
    }
}

fn path(uri: &Uri) -> &str {
    if uri.path().is_empty() { "/" } else { uri.path() }
}

/// The hash of a body that is signed whole.
pub fn payload_hash(body: &[u8]) -> String {
    canonical::sha256(body)
}

/// Signs chunks, each with the signature before.
#[derive(Clone, Debug)]
pub struct Chain {
    key: Vec<u8>,
    timestamp: String,
    scope: String,
    last: String,
}

impl Chain {
    /// The body of chunks, with the empty one at the end.
    pub fn chunks<'c>(&mut self, chunks: impl IntoIterator<Item = &'c [u8]>) -> Vec<u8> {
        let mut body = Vec::new();
        for chunk in chunks {
            body.extend(self.chunk(chunk));
            body.extend(b"\r\n");
        }
        body.extend(self.chunk(b""));
        body
    }

    /// The trailers that may follow, and their signature.
    pub fn trailers(&mut self, name: &str, value: &str) -> Vec<u8> {
        let hash = canonical::sha256(format!("{name}:{value}\n").as_bytes());
        let text = canonical::trailer_to_sign(&self.timestamp, &self.scope, &self.last, &hash);
        self.last = canonical::sign(&self.key, &text);
        let last = &self.last;
        format!("{name}:{value}\r\nx-amz-trailer-signature:{last}\r\n\r\n").into_bytes()
    }

    fn chunk(&mut self, bytes: &[u8]) -> Vec<u8> {
        let hash = canonical::sha256(bytes);
        let text = canonical::chunk_to_sign(&self.timestamp, &self.scope, &self.last, &hash);
        self.last = canonical::sign(&self.key, &text);
        let head = format!("{:x};chunk-signature={}\r\n", bytes.len(), self.last);
        [head.as_bytes(), bytes].concat()
    }
}
