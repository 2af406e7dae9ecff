//! [`Bench`]: a registry on a bucket whose requests are counted.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use registry_http::{Options, RegistryService, service};
use registry_store::digest::Digest;
use registry_store::layout::RepositoryLayout;
use registry_store::manifest::Manifest;
use registry_store::options::StoreOptions;
use registry_store::store::Store;
use registry_tests::backends::{BUCKET, ServedBucket};
use registry_tests::documents::image;
use registry_tests::s3::operation::Operation;
use registry_tests::s3::options::S3Options;
use tower::ServiceExt as _;

/// A registry on a bucket whose requests are counted.
pub(crate) struct Bench {
    pub(crate) served: ServedBucket,
    service: RegistryService,
}

/// An answer.
pub(crate) struct Answer {
    pub(crate) location: String,
    pub(crate) body: Bytes,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(Options::default())
    }

    pub(crate) fn with(options: Options) -> Self {
        let served = ServedBucket::new(S3Options::default());
        let store = Store::new(Arc::new(served.open()), StoreOptions::default());
        Self { served, service: service(store, options) }
    }

    /// Asks, and expects this status.
    #[track_caller]
    pub(crate) fn ask(
        &self,
        method: Method,
        url: &str,
        body: impl Into<Bytes>,
        expected: u16,
    ) -> impl Future<Output = Answer> {
        let builder = Request::builder().method(method.clone()).uri(url);
        let builder = builder.header("content-type", "application/vnd.oci.image.manifest.v1+json");
        let request = builder.body(Full::new(body.into())).unwrap();
        let (service, url) = (self.service.clone(), url.to_owned());
        async move {
            let (head, body) = service.oneshot(request).await.unwrap().into_parts();
            let location = head.headers.get("location");
            let location = location.map_or("", |location| location.to_str().unwrap()).to_owned();
            let (status, body) = (head.status.as_u16(), body.collect().await.unwrap().to_bytes());
            assert_eq!(status, expected, "{method} {url}: {body:?}");
            Answer { location, body }
        }
    }

    /// Pushes a blob as docker does: a session, all bytes in a PATCH, an empty PUT.
    pub(crate) async fn push_in_a_session(&self, name: &str, content: &Bytes) {
        let url = format!("/v2/{name}/blobs/uploads/");
        let begun = self.ask(Method::POST, &url, "", 202).await;
        let sent = self.ask(Method::PATCH, &begun.location, content.clone(), 202).await;
        let put = format!("{}&digest={}", sent.location, Digest::sha256(content));
        self.ask(Method::PUT, &put, "", 201).await;
    }

    /// Pushes a blob as containerd and BuildKit do: a session, all bytes in the PUT.
    pub(crate) async fn push_in_a_put(&self, name: &str, content: &Bytes) {
        let url = format!("/v2/{name}/blobs/uploads/");
        let begun = self.ask(Method::POST, &url, "", 202).await;
        let put = format!("{}&digest={}", begun.location, Digest::sha256(content));
        self.ask(Method::PUT, &put, content.clone(), 201).await;
    }

    /// Pushes a blob in one request.
    pub(crate) async fn push_in_a_post(&self, name: &str, content: &Bytes) {
        let url = format!("/v2/{name}/blobs/uploads/?digest={}", Digest::sha256(content));
        self.ask(Method::POST, &url, content.clone(), 201).await;
    }

    /// Pushes an image of a config and so many small layers with a tag.
    pub(crate) async fn push_image(&self, name: &str, layers: usize, tag: &str) -> Manifest {
        let layers: Vec<String> = (0..layers).map(|number| format!("layer {number}")).collect();
        for content in layers.iter().map(String::as_str).chain(["{}"]) {
            self.push_in_a_post(name, &Bytes::copy_from_slice(content.as_bytes())).await;
        }
        let layers: Vec<&[u8]> = layers.iter().map(String::as_bytes).collect();
        let manifest = image(b"{}", &layers);
        self.put(name, &manifest, tag).await;
        manifest
    }

    pub(crate) async fn put(&self, name: &str, manifest: &Manifest, tag: &str) {
        let url = format!("/v2/{name}/manifests/{tag}");
        self.ask(Method::PUT, &url, manifest.bytes().clone(), 201).await;
    }

    /// Writes the links of a tag, the last digest the one it points at, as if they had been pushed.
    pub(crate) fn place_tag(&self, keys: &RepositoryLayout, tag: &str, digests: &[Digest]) {
        let tag = tag.parse().unwrap();
        let put = |key: &str, digest: &Digest| self.served.s3.put(BUCKET, key, digest.to_string());
        for digest in digests {
            put(keys.tag_index_link(&tag, digest).as_str(), digest);
        }
        put(keys.tag_current_link(&tag).as_str(), digests.last().unwrap());
    }

    /// Counts from nought.
    pub(crate) fn begin(&self) {
        self.served.s3.forget_requests();
    }

    /// What was asked since, as `GetObject 2, HeadObject 1`, and how many requests that were.
    pub(crate) fn count(&self) -> (usize, String) {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        let requests = self.served.s3.requests();
        let requests =
            requests.iter().filter(|request| request.operation != Operation::DeleteOfBatch);
        for request in requests {
            *counts.entry(format!("{:?}", request.operation)).or_default() += 1;
        }
        let mut said = String::new();
        for (operation, count) in &counts {
            let comma = if said.is_empty() { "" } else { ", " };
            write!(said, "{comma}{operation} {count}").unwrap();
        }
        (counts.values().sum(), said)
    }

    /// Expects exactly this since [`Bench::begin`], and that it is not above what Distribution needs.
    #[track_caller]
    pub(crate) fn expect(&self, expected: &str, of_distribution: usize) {
        let (count, said) = self.count();
        assert_eq!(said, expected, "{count} requests");
        assert!(count <= of_distribution, "{count} requests, Distribution needs {of_distribution}");
    }
}
