//! To be removed: what answers until the engine and the protocol are there.

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tower::util::BoxCloneService;

#[derive(Default)]
pub(crate) struct Options {
    pub(crate) read_only: bool,
    pub(crate) delete: bool,
}

pub(crate) struct FilesystemBackend;

impl FilesystemBackend {
    pub(crate) fn open(_: &Path) -> Result<Self, Infallible> {
        Ok(Self)
    }
}

#[derive(Default)]
pub(crate) struct StoreOptions;

#[derive(Clone)]
pub(crate) struct Store;

impl Store {
    pub(crate) fn new(_: Arc<FilesystemBackend>, _: StoreOptions) -> Self {
        Self
    }
    pub(crate) async fn maintenance(&self) {
        std::future::pending().await
    }
}

pub(crate) fn service(
    _: Store,
    _: Options,
) -> BoxCloneService<Request<Incoming>, Response<Full<Bytes>>, Infallible> {
    BoxCloneService::new(tower::service_fn(|request: Request<Incoming>| async move {
        let (parts, body) = request.into_parts();
        let created = parts.method != http::Method::GET && body.collect().await.is_ok();
        let mut response = Response::new(Full::from("{}"));
        if created {
            *response.status_mut() = http::StatusCode::CREATED;
        }
        Ok(response)
    }))
}
