//! [`Fixture`]: an S3 with one bucket, one server and a client that signs.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, StatusCode};
use registry_store::options::Clock as _;
use registry_tests::s3::S3;
use registry_tests::s3::options::S3Options;
use registry_tests::s3::server::S3Server;
use registry_tests::s3::signature::signer::{Chain, Signer, payload_hash};
use registry_tests::server::{Answer, Client, ClientBody, Protocol, whole};
use registry_tests::world::TestClock;

/// The bucket.
pub(crate) const BUCKET: &str = "bucket";

/// An S3 with one bucket.
pub(crate) struct Fixture {
    pub(crate) s3: Arc<S3>,
    pub(crate) server: S3Server,
    pub(crate) clock: Arc<TestClock>,
}

impl Fixture {
    /// One as AWS's, but for parts, which may be of five bytes.
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// The same with other options.
    pub(crate) async fn with(change: impl FnOnce(&mut S3Options)) -> Self {
        let clock = Arc::new(TestClock::default());
        let mut options = S3Options {
            clock: Arc::<TestClock>::clone(&clock),
            smallest_part: 5,
            ..S3Options::default()
        };
        change(&mut options);
        let s3 = S3::new(options);
        s3.create_bucket(BUCKET);
        let server = S3Server::start(&s3).await;
        Self { s3, server, clock }
    }

    /// Who signs by default: who may ask, now.
    pub(crate) fn signer(&self) -> Signer {
        Signer {
            credentials: self.s3.options().credentials.clone().unwrap_or_default(),
            region: self.s3.options().region.clone(),
            now: self.clock.now(),
        }
    }

    /// A request to this server, not signed yet. `target` is below the bucket: `key?query`.
    pub(crate) fn request(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
    ) -> Request<()> {
        let target = format!("/{BUCKET}/{target}");
        let mut builder = Request::builder().method(method).uri(target);
        if !headers.iter().any(|(name, _)| *name == "host") {
            builder = builder.header("host", self.server.address().to_string());
        }
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        builder.body(()).expect("a test's requests are well formed")
    }

    /// A request that is signed, with what its chunks are signed by.
    pub(crate) fn signed(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        payload: &str,
    ) -> (Request<()>, Chain) {
        let (mut head, ()) = self.request(method, target, headers).into_parts();
        let chain = self.signer().sign(&mut head, payload);
        (Request::from_parts(head, ()), chain)
    }

    /// Sends a request as it is.
    pub(crate) async fn send(&self, request: Request<()>, body: ClientBody) -> Answer {
        self.try_send(request, body).await.expect("an answer")
    }

    /// The same, where the answer may break off.
    pub(crate) async fn try_send(
        &self,
        request: Request<()>,
        body: ClientBody,
    ) -> Result<Answer, hyper::Error> {
        let mut client = Client::connect(self.server.address(), Protocol::Http1).await;
        let mut builder = Request::builder().method(request.method()).uri(request.uri());
        *builder.headers_mut().expect("a builder without an error") = request.headers().clone();
        client.try_send(builder, body).await
    }

    /// Signs a request, sends it, and reads the answer.
    pub(crate) async fn ask(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        self.try_ask(method, target, headers, body).await.expect("an answer")
    }

    /// The same, where the answer may break off.
    pub(crate) async fn try_ask(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Answer, hyper::Error> {
        let (request, _) = self.signed(method, target, headers, &payload_hash(body));
        self.try_send(request, whole(Bytes::copy_from_slice(body))).await
    }

    pub(crate) async fn put(&self, key: &str, body: &[u8]) -> Answer {
        self.ask("PUT", key, &[], body).await
    }

    pub(crate) async fn get(&self, target: &str) -> Answer {
        self.ask("GET", target, &[], b"").await
    }

    /// Begins an upload in parts.
    pub(crate) async fn begin(&self, key: &str, headers: &[(&str, &str)]) -> String {
        let answer = self.ask("POST", &format!("{key}?uploads"), headers, b"").await;
        assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
        first(&answer, "UploadId")
    }

    /// Uploads a part, and tells its ETag with its quotes.
    pub(crate) async fn part(&self, key: &str, id: &str, number: u32, body: &[u8]) -> String {
        let target = format!("{key}?partNumber={number}&uploadId={id}");
        let answer = self.ask("PUT", &target, &[], body).await;
        assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
        answer.header("etag").to_owned()
    }

    /// Completes an upload.
    pub(crate) async fn complete(
        &self,
        key: &str,
        id: &str,
        headers: &[(&str, &str)],
        parts: &[(u32, &str)],
    ) -> Answer {
        let target = format!("{key}?uploadId={id}");
        self.ask("POST", &target, headers, completion(parts).as_bytes()).await
    }
}

/// What is asked for by a completion of these parts, numbers with ETags.
pub(crate) fn completion(parts: &[(u32, &str)]) -> String {
    let parts: String = parts
        .iter()
        .map(|(number, etag)| {
            format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>")
        })
        .collect();
    format!(
        "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{parts}</CompleteMultipartUpload>"
    )
}

/// What stands in all elements of a name, as it is written.
pub(crate) fn all(answer: &Answer, element: &str) -> Vec<String> {
    let text = std::str::from_utf8(&answer.body).expect("a document is text");
    let (open, close) = (format!("<{element}>"), format!("</{element}>"));
    let behind = text.split(&open).skip(1);
    behind.map(|rest| rest.split(&close).next().expect("a first").to_owned()).collect()
}

/// What stands in the first element of a name.
pub(crate) fn first(answer: &Answer, element: &str) -> String {
    let found = all(answer, element).into_iter().next();
    found.unwrap_or_else(|| panic!("no {element} in {} {:?}", answer.status, answer.body))
}

/// Status and code of a refusal.
pub(crate) fn refusal(answer: &Answer) -> (u16, String) {
    (answer.status.as_u16(), first(answer, "Code"))
}

/// A refusal to compare with.
pub(crate) fn refused(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}
