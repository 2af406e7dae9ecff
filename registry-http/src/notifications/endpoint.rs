//! [`Endpoint`]: who is told, how, and of what.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::header::AUTHORIZATION;
use http::uri::{Authority, Parts, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use percent_encoding::percent_decode_str;

use super::envelope::Envelope;
use super::filter::Filter;

/// Who is told: an entry of `notifications.endpoints`. Its `Debug` shows neither address nor headers.
#[derive(Clone)]
pub struct Endpoint {
    /// What it is called in logs and counts; its queue on disk goes by it, and by the address too where it is empty or
    /// another's as well: such a queue is left behind when the address changes.
    pub name: String,
    /// Where events are sent.
    pub address: Address,
    /// What requests bear, such as `Authorization`. Secret.
    pub headers: HeaderMap,
    /// How long a try may take, from the search for its address to the head of the answer. Default: 1 second.
    pub timeout: Duration,
    /// So many tries in a row are made without a pause. Default: 10.
    pub threshold: u32,
    /// How long is waited from then on before each, twice as long each time up to [`Endpoint::LONGEST`], and up to a
    /// quarter more by chance. Default: 1 second.
    pub backoff: Duration,
    /// What it is not told of.
    pub ignore: Filter,
    /// In which form it is told.
    pub envelope: Envelope,
}

impl Endpoint {
    /// What a backoff grows to, unless it is longer by itself: 1 minute.
    pub const LONGEST: Duration = Duration::from_secs(60);

    /// One with Distribution's defaults.
    pub fn new(name: impl Into<String>, address: Address) -> Self {
        Self {
            name: name.into(),
            address,
            headers: HeaderMap::new(),
            timeout: Duration::from_secs(1),
            threshold: 10,
            backoff: Duration::from_secs(1),
            ignore: Filter::default(),
            envelope: Envelope::V1,
        }
    }

    /// Adds a header, which is not shown. `None` if it is none.
    pub fn with_header(mut self, name: &str, value: &str) -> Option<Self> {
        let name: HeaderName = name.parse().ok()?;
        let mut value: HeaderValue = value.parse().ok()?;
        value.set_sensitive(true);
        self.headers.append(name, value);
        Some(self)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("name", &self.name)
            .field("timeout", &self.timeout)
            .field("threshold", &self.threshold)
            .field("backoff", &self.backoff)
            .field("ignore", &self.ignore)
            .field("envelope", &self.envelope)
            .finish_non_exhaustive()
    }
}

/// An `http` or `https` address. Secret as a whole: many a receiver knows its senders by the path.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    /// Without the name and password.
    uri: Uri,
    authorization: Option<HeaderValue>,
}

impl Address {
    /// Reads it. A name and a password in it are sent as `Authorization: Basic`, as Go does, unless the endpoint's headers
    /// have another. `None` if it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let uri: Uri = text.parse().ok()?;
        let mut parts: Parts = uri.into_parts();
        if ![Some(&Scheme::HTTP), Some(&Scheme::HTTPS)].contains(&parts.scheme.as_ref()) {
            return None;
        }
        let authority = parts.authority.take()?;
        let (credentials, host) = match authority.as_str().rsplit_once('@') {
            Some((credentials, host)) => (Some(credentials), host.parse::<Authority>().ok()?),
            None => (None, authority.clone()),
        };
        if host.host().is_empty() {
            return None;
        }
        parts.authority = Some(host);
        let authorization = match credentials {
            Some(credentials) => Some(basic(credentials)?),
            None => None,
        };
        Some(Self { uri: Uri::from_parts(parts).ok()?, authorization })
    }

    pub(super) fn uri(&self) -> &Uri {
        &self.uri
    }

    pub(super) fn is_tls(&self) -> bool {
        self.uri.scheme() == Some(&Scheme::HTTPS)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Address(..)")
    }
}

/// What every request bears.
pub(super) fn headers(endpoint: &Endpoint) -> HeaderMap {
    let mut headers = endpoint.headers.clone();
    if let Some(authorization) = &endpoint.address.authorization
        && !headers.contains_key(AUTHORIZATION)
    {
        headers.insert(AUTHORIZATION, authorization.clone());
    }
    headers
}

fn basic(credentials: &str) -> Option<HeaderValue> {
    let (name, password) = credentials.split_once(':').unwrap_or((credentials, ""));
    let decoded = |text: &str| percent_decode_str(text).collect::<Vec<u8>>();
    let pair = [decoded(name), vec![b':'], decoded(password)].concat();
    let mut value: HeaderValue = format!("Basic {}", BASE64_STANDARD.encode(pair)).parse().ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_of_http_and_their_credentials_go_into_a_header() {
        let plain = Address::parse("http://h.example:8080/a?token=hunter2").unwrap();
        assert_eq!(plain.uri().to_string(), "http://h.example:8080/a?token=hunter2");
        assert!(plain.authorization.is_none() && !plain.is_tls());
        let with = Address::parse("https://ann:p%40ss@h.example/").unwrap();
        assert_eq!(with.uri().to_string(), "https://h.example/");
        assert_eq!(with.authorization.as_ref().unwrap(), "Basic YW5uOnBAc3M=");
        assert!(with.is_tls());
        for bad in
            ["", "h.example", "/a", "ftp://h.example/", "http://", "http:///a", "http://a b/"]
        {
            assert_eq!(Address::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_header_of_the_endpoint_counts_before_the_address() {
        let address = Address::parse("http://a:b@h.example").unwrap();
        let endpoint = Endpoint::new("x", address);
        assert_eq!(headers(&endpoint)[AUTHORIZATION], "Basic YTpi");
        let endpoint = endpoint.with_header("authorization", "hunter2").unwrap();
        assert_eq!(headers(&endpoint)[AUTHORIZATION], "hunter2");
        assert!(endpoint.clone().with_header("a b", "x").is_none());
        assert!(endpoint.with_header("a", "x\n").is_none());
    }

    #[test]
    fn nothing_secret_is_shown() {
        let address = Address::parse("http://ann:hunter2@h.example/hunter2?hunter2").unwrap();
        let endpoint = Endpoint::new("x", address).with_header("x-key", "hunter2").unwrap();
        let shown = format!("{endpoint:?} {:?} {:?}", endpoint.address, headers(&endpoint));
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
