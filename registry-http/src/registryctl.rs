//! [`Registryctl`]: the three requests that Harbor's collector sends to its `registryctl`, so that under Harbor no second
//! program deletes in the storage.
//!
//! | request | what is done |
//! |---|---|
//! | `GET /api/health` | nothing; `"healthy"`. Asks for no secret |
//! | `DELETE /api/registry/blob/{digest}` | the blob's bytes go: [`Store::remove_blob`] |
//! | `DELETE /api/registry/{name}/manifests/{digest}` | the manifest goes, and what points at it: [`Manifests::delete`](registry_store::manifests::Manifests::delete) |
//!
//! It answers 200 when that is done and 404 if there is nothing to do, as Harbor's does. All but the first need the header
//! `Authorization: Harbor-Secret <secret>`. To delete is what it is for: `storage.delete.enabled` does not count here;
//! read-only does.

use std::convert::Infallible;
use std::fmt;
use std::hint::black_box;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use registry_store::digest::Digest;
use registry_store::name::RepositoryName;
use registry_store::store::Store;
use tower::Service;

use crate::body::ResponseBody;
use crate::error::{Failure, Plain, plain};
use crate::headers::{JSON, TEXT};
use crate::read_only::ReadOnlySwitch;

/// What stands before the secret.
const SCHEME: &str = "Harbor-Secret ";

/// See the [module](self). Cheap to clone.
#[derive(Clone)]
pub struct Registryctl(Arc<Shared>);

struct Shared {
    store: Store,
    /// Of the secret: what is compared says nothing of it but whether it is the same.
    secret: Digest,
    read_only: ReadOnlySwitch,
}

impl Registryctl {
    /// Deletes in `store` for who knows the secret; `None` if that is empty: then anybody would know it. Nothing is deleted
    /// while `read_only` is on.
    pub fn new(store: Store, secret: &[u8], read_only: ReadOnlySwitch) -> Option<Self> {
        let digest = Digest::sha256(secret);
        let shared = Shared { store, secret: digest, read_only };
        (!secret.is_empty()).then(|| Self(Arc::new(shared)))
    }
}

impl fmt::Debug for Registryctl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registryctl").finish_non_exhaustive()
    }
}

impl<B> Service<Request<B>> for Registryctl {
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let shared = Arc::clone(&self.0);
        let (head, _) = request.into_parts();
        Box::pin(async move { Ok(shared.answer(&head).await) })
    }
}

/// What is to go.
#[derive(Debug, PartialEq, Eq)]
enum Doomed {
    Blob(Digest),
    Manifest(RepositoryName, Digest),
}

impl Shared {
    async fn answer(&self, head: &Parts) -> Response<ResponseBody> {
        let path = head.uri.path();
        if path == "/api/health" {
            return match head.method {
                Method::GET => fine("\"healthy\""),
                _ => plain(Plain::Method, TEXT, "expected GET\n"),
            };
        }
        if !self.is_known(head) {
            // Whoever reaches it may send as many as he likes, of any path.
            tracing::debug!("registryctl: the secret is not the one that is configured");
            return plain(Plain::Unknown, TEXT, "Unauthorized\n");
        }
        let doomed = match doomed(path) {
            None => return plain(Plain::NotFound, TEXT, "404 page not found\n"),
            Some(Err(why)) => return plain(Plain::Bad, TEXT, format!("{why}\n")),
            Some(Ok(_)) if head.method != Method::DELETE => {
                return plain(Plain::Method, TEXT, "expected DELETE\n");
            }
            Some(Ok(doomed)) => doomed,
        };
        if self.read_only.is_on() {
            return plain(Plain::Unavailable, TEXT, "nothing can be deleted: it is read-only\n");
        }
        let outcome = match &doomed {
            Doomed::Blob(digest) => self.store.remove_blob(digest).await,
            Doomed::Manifest(name, digest) => {
                self.store.repository(name).manifests().delete(digest).await.map(|()| true)
            }
        };
        match outcome {
            Ok(true) => {
                tracing::info!(?doomed, "registryctl: deleted");
                fine("")
            }
            Ok(false) => plain(Plain::NotFound, TEXT, "there is no such blob\n"),
            Err(error) => Failure::from(error).into_response(&head.method, &head.uri),
        }
    }

    /// Does the request have the secret? Takes as long whatever it has.
    fn is_known(&self, head: &Parts) -> bool {
        let mut given = head.headers.get_all(AUTHORIZATION).iter();
        let (Some(value), None) = (given.next(), given.next()) else { return false };
        let Some(secret) = value.as_bytes().strip_prefix(SCHEME.as_bytes()) else { return false };
        let (found, expected) = (Digest::sha256(secret).hex(), self.secret.hex());
        let pairs = found.bytes().zip(expected.bytes());
        black_box(pairs.fold(0, |differences, (one, other)| differences | (one ^ other))) == 0
    }
}

/// `None` if the path is none of the API's.
fn doomed(path: &str) -> Option<Result<Doomed, String>> {
    let rest = path.strip_prefix("/api/registry/")?;
    let digest = |text: &str| text.parse::<Digest>().map_err(|error| error.to_string());
    if let Some((name, reference)) = rest.rsplit_once("/manifests/") {
        let name = name.parse::<RepositoryName>().map_err(|error| error.to_string());
        return Some(name.and_then(|name| Ok(Doomed::Manifest(name, digest(reference)?))));
    }
    let reference = rest.strip_prefix("blob/").filter(|rest| !rest.contains('/'))?;
    Some(digest(reference).map(Doomed::Blob))
}

fn fine(text: &'static str) -> Response<ResponseBody> {
    let mut response = ResponseBody::full(text).respond(StatusCode::OK);
    if !text.is_empty() {
        response.headers_mut().insert(CONTENT_TYPE, JSON);
    }
    response
}

#[cfg(test)]
mod tests {
    use http_body_util::Empty;
    use registry_store::backend::MemoryBackend;
    use registry_store::options::StoreOptions;
    use tower::ServiceExt as _;

    use super::*;

    async fn ask(ctl: &Registryctl, method: Method, path: &str, header: Option<&str>) -> u16 {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(value) = header {
            request = request.header(AUTHORIZATION, value);
        }
        let request = request.body(Empty::<bytes::Bytes>::new()).unwrap();
        ctl.clone().oneshot(request).await.unwrap().status().as_u16()
    }

    fn registryctl(read_only: &ReadOnlySwitch) -> Registryctl {
        let store = Store::new(Arc::new(MemoryBackend::new()), StoreOptions::default());
        Registryctl::new(store, b"s3cret", read_only.clone()).unwrap()
    }

    #[tokio::test]
    async fn who_does_not_have_the_secret_learns_nothing() {
        let ctl = registryctl(&ReadOnlySwitch::default());
        let blob = format!("/api/registry/blob/{}", Digest::sha256(b"x"));
        assert_eq!(ask(&ctl, Method::GET, "/api/health", None).await, 200);
        for header in [
            None,
            Some(""),
            Some("s3cret"),
            Some("Harbor-Secret"),
            Some("Harbor-Secret "),
            Some("Harbor-Secret s3cre"),
            Some("Harbor-Secret s3cret "),
            Some("harbor-secret s3cret"),
        ] {
            for path in [blob.as_str(), "/api/registry/a/manifests/x", "/none"] {
                assert_eq!(ask(&ctl, Method::DELETE, path, header).await, 401, "{header:?} {path}");
            }
        }
        assert_eq!(ask(&ctl, Method::DELETE, &blob, Some("Harbor-Secret s3cret")).await, 404);
        let store = Store::new(Arc::new(MemoryBackend::new()), StoreOptions::default());
        assert!(Registryctl::new(store, b"", ReadOnlySwitch::default()).is_none());
    }

    #[tokio::test]
    async fn what_is_not_understood_is_refused_and_nothing_goes_while_read_only() {
        let switch = ReadOnlySwitch::default();
        let ctl = registryctl(&switch);
        let digest = Digest::sha256(b"x");
        let ask = async |method: Method, path: &str| {
            ask(&ctl, method, path, Some("Harbor-Secret s3cret")).await
        };
        for (path, status) in [
            ("/api/registry/blob/sha256:0".to_owned(), 400),
            ("/api/registry/A/manifests/sha256:0".to_owned(), 400),
            (format!("/api/registry/A/manifests/{digest}"), 400),
            (format!("/api/registry/a/b/manifests/{digest}"), 404),
            (format!("/api/registry/blob/x/{digest}"), 404),
            ("/api/registry/gc".to_owned(), 404),
        ] {
            assert_eq!(ask(Method::DELETE, &path).await, status, "{path}");
        }
        let blob = format!("/api/registry/blob/{digest}");
        assert_eq!(ask(Method::GET, &blob).await, 405);
        assert_eq!(ask(Method::POST, "/api/health").await, 405);
        switch.set(true);
        assert_eq!(ask(Method::DELETE, &blob).await, 503);
    }
}
