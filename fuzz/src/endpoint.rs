//! URLs, through the service's own door: whatever a client asks for gets an orderly answer.

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, LINK, LOCATION};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use registry_http::{Options, RegistryService, UploadSecret, service};
use registry_store::backend::MemoryBackend;
use registry_store::options::StoreOptions;
use registry_store::store::Store;
use std::sync::Arc;
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt as _;

/// The bytes are lines of a method, a space, and what follows the host in a URL. Each is asked, with an empty
/// body, of a registry that begins empty.
pub fn endpoint(data: &[u8]) {
    let lines = data.split(|&b| b == b'\n').filter_map(|line| std::str::from_utf8(line).ok());
    // Addresses of upload sessions are signed or not, as the number of bytes has it.
    let registry = Registry::new(if data.len().is_multiple_of(2) { "" } else { "secret" });
    for (method, url) in lines.take(16).filter_map(|line| line.split_once(' ')) {
        let Ok(method) = method.parse::<Method>() else { continue };
        if Request::get(url).body(()).is_ok() && url.starts_with('/') {
            registry.answers_orderly(&method, url);
        }
    }
}

/// An answer, its body collected.
type Answer = Response<Bytes>;

struct Registry {
    runtime: Runtime,
    service: RegistryService,
}

impl Registry {
    fn new(secret: &str) -> Self {
        let options = Options { upload_secret: UploadSecret::new(secret), ..Options::default() };
        let store = Store::new(Arc::new(MemoryBackend::new()), StoreOptions::default());
        let runtime = Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime without a driver for sockets needs nothing of the system");
        Self { runtime, service: service(store, options) }
    }

    fn ask(&self, method: &Method, url: &str) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(url)
            .body(Empty::<Bytes>::new())
            .expect("the method and the URL were parsed before");
        let service = self.service.clone();
        self.runtime.block_on(async move {
            let response = service.oneshot(request).await.expect("the service is infallible");
            let (head, body) = response.into_parts();
            let body = body.collect().await.expect("memory does not fail").to_bytes();
            Response::from_parts(head, body)
        })
    }

    fn answers_orderly(&self, method: &Method, url: &str) {
        let answer = self.ask(method, url);
        let about = format!("{method} {url}: {} {:?}", answer.status(), answer.body());
        assert!(!answer.status().is_server_error(), "memory does not fail: {about}");
        if answer.status().is_client_error() {
            tells_what_is_wrong(method, &answer, &about);
        }
        self.understands_what_it_hands_out(&answer, &about);
        self.means_the_same_however_it_is_written(method, url, answer.status());
        if *method == Method::GET {
            let head = self.ask(&Method::HEAD, url);
            assert_eq!(head.status(), answer.status(), "HEAD answers as GET: {about}");
            assert!(head.body().is_empty(), "HEAD has no body: {about}");
        }
    }

    /// What `Location` and `Link` point at is understood, and is there.
    fn understands_what_it_hands_out(&self, answer: &Answer, about: &str) {
        let text = |value: &HeaderValue| value.to_str().expect("a URL is ASCII").to_owned();
        if let Some(location) = answer.headers().get(LOCATION).map(text) {
            let there = self.ask(&Method::GET, &location).status();
            assert!(there.is_success(), "{location} answers {there}: {about}");
        }
        if let Some(link) = answer.headers().get(LINK).map(text) {
            let next = link.strip_prefix('<').and_then(|link| link.split_once('>'));
            let (next, _) = next.expect("a link is in angle brackets");
            let there = self.ask(&Method::GET, next).status();
            assert!(there.is_success(), "{next} answers {there}: {about}");
        }
    }

    /// A letter of the path that is percent-encoded is still that letter. Only what reads is asked twice.
    fn means_the_same_however_it_is_written(&self, method: &Method, url: &str, status: StatusCode) {
        let path = url.split('?').next().unwrap_or_default();
        let Some(at) = path.rfind(|c: char| c.is_ascii_alphabetic()) else { return };
        let begins_an_escape = path[..at].ends_with('%') || path[..at].ends_with("%2");
        let in_an_escape = at > 1 && path.as_bytes()[at - 2] == b'%' || begins_an_escape;
        if *method != Method::GET || in_an_escape {
            return;
        }
        let encoded = format!("{}%{:02X}{}", &url[..at], url.as_bytes()[at], &url[at + 1..]);
        assert_eq!(self.ask(method, &encoded).status(), status, "{url} and {encoded}");
    }
}

/// The error's form, as the specification has it; a method that is not known comes with those that are.
fn tells_what_is_wrong(method: &Method, answer: &Answer, about: &str) {
    if answer.status() == StatusCode::METHOD_NOT_ALLOWED {
        let allow = answer.headers().get(ALLOW).and_then(|allow| allow.to_str().ok());
        let allow = allow.unwrap_or_default();
        assert!(!allow.is_empty(), "405 has Allow: {about}");
        assert!(!allow.split(", ").any(|known| known == method.as_str()), "{allow}: {about}");
    }
    if *method != Method::HEAD {
        let media_type = answer.headers().get(CONTENT_TYPE);
        assert!(
            media_type.is_some_and(|it| it.as_bytes().starts_with(b"application/json")),
            "{about}"
        );
        assert!(answer.body().starts_with(br#"{"errors":[{"#), "{about}");
    }
}
