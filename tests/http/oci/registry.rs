//! [`Registry`]: a registry with nothing in it, and a client of it that knows nothing but the protocol.

use bytes::Bytes;
use futures::stream;
use http::{Method, Request};
use registry_http::{Options, service};
use registry_store::digest::{Algorithm, Digest};
use registry_store::media_type::MediaType;
use registry_tests::server::{Answer, Client, ClientBody, Protocol, Server, streamed, whole};
use registry_tests::world::World;
use serde_json::{Value, json};
use tempfile::{tempdir, tempdir_in};

pub(super) const BOTH: [Protocol; 2] = [Protocol::Http1, Protocol::Http2];

/// A digest of an algorithm that this registry does not compute.
pub(super) const FOREIGN: &str =
    "blake3:af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";

/// The codes that the specification lets an answer have.
pub(super) const CODES: [&str; 14] = [
    "BLOB_UNKNOWN",
    "BLOB_UPLOAD_INVALID",
    "BLOB_UPLOAD_UNKNOWN",
    "DIGEST_INVALID",
    "MANIFEST_BLOB_UNKNOWN",
    "MANIFEST_INVALID",
    "MANIFEST_UNKNOWN",
    "NAME_INVALID",
    "NAME_UNKNOWN",
    "SIZE_INVALID",
    "UNAUTHORIZED",
    "DENIED",
    "UNSUPPORTED",
    "TOOMANYREQUESTS",
];

/// Set where the items are played on a directory, which `coverage.rs` does.
pub(super) const IN_A_DIRECTORY: &str = "REGISTRY_TESTS_OCI_IN_A_DIRECTORY";

/// On memory, or on a directory that is in memory where Linux has its place for that.
fn world() -> World {
    if std::env::var_os(IN_A_DIRECTORY).is_none() {
        return World::memory();
    }
    let directory = tempdir_in("/dev/shm").or_else(|_| tempdir());
    World::in_directory(directory.expect("room for a directory"))
}

/// A registry of its own, and one connection to it.
pub(super) struct Registry {
    pub(super) world: World,
    pub(super) server: Server,
    client: Client,
}

impl Registry {
    /// With the default options, over HTTP/1.1.
    pub(super) async fn new() -> Self {
        Self::with(Options::default(), Protocol::Http1).await
    }

    /// With the default options.
    pub(super) async fn over(protocol: Protocol) -> Self {
        Self::with(Options::default(), protocol).await
    }

    pub(super) async fn with(options: Options, protocol: Protocol) -> Self {
        let world = world();
        let server = Server::start(service(world.store.clone(), options)).await;
        let client = server.connect(protocol).await;
        Self { world, server, client }
    }

    /// The same storage served with other options, as after a restart.
    pub(super) async fn restarted(self, options: Options) -> Self {
        let service = service(self.world.store.clone(), options);
        let server = Server::start(service).await;
        let client = server.connect(Protocol::Http1).await;
        Self { world: self.world, server, client }
    }

    /// Sends a request such as `GET /v2/`. What is true of every answer is checked of this one too.
    pub(super) async fn ask(
        &mut self,
        line: &str,
        headers: &[(&str, &str)],
        body: ClientBody,
    ) -> Answer {
        let (method, url) = line.split_once(' ').expect("a method and a URL");
        let method: Method = method.parse().expect("a method");
        let request = Request::builder().method(&method).uri(url);
        let request =
            headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let answer = self.client.send(request, body).await;
        sound(line, &method, &answer);
        answer
    }

    pub(super) async fn get(&mut self, url: &str) -> Answer {
        self.ask(&format!("GET {url}"), &[], whole("")).await
    }

    pub(super) async fn get_range(&mut self, url: &str, range: &str) -> Answer {
        self.ask(&format!("GET {url}"), &[("range", range)], whole("")).await
    }

    pub(super) async fn head(&mut self, url: &str) -> Answer {
        self.ask(&format!("HEAD {url}"), &[], whole("")).await
    }

    pub(super) async fn delete(&mut self, url: &str) -> Answer {
        self.ask(&format!("DELETE {url}"), &[], whole("")).await
    }

    pub(super) async fn post(&mut self, url: &str, body: impl Into<Bytes>) -> Answer {
        self.ask(&format!("POST {url}"), &[], whole(body)).await
    }

    pub(super) async fn put(&mut self, url: &str, body: impl Into<Bytes>) -> Answer {
        self.ask(&format!("PUT {url}"), &[], whole(body)).await
    }

    /// A chunk at a place, as the specification has it.
    pub(super) async fn patch(&mut self, url: &str, range: &str, body: &'static str) -> Answer {
        let headers = [("content-type", "application/octet-stream"), ("content-range", range)];
        self.ask(&format!("PATCH {url}"), &headers, whole(body)).await
    }

    /// A part of unknown length, to be added wherever the session is.
    pub(super) async fn stream(&mut self, url: &str, body: &'static str) -> Answer {
        self.ask(&format!("PATCH {url}"), &[], parts(&[body])).await
    }

    /// Opens a session, and returns its address.
    pub(super) async fn start(&mut self, name: &str) -> String {
        let answer = self.post(&format!("/v2/{name}/blobs/uploads/"), "").await;
        is(&answer, 202);
        answer.header("location").to_owned()
    }

    /// Pushes a blob with one request, and returns its sha256 digest.
    pub(super) async fn push(&mut self, name: &str, content: &[u8]) -> String {
        let digest = sha256(content);
        let url = format!("/v2/{name}/blobs/uploads/?digest={digest}");
        is(&self.post(&url, content.to_vec()).await, 201);
        digest
    }

    /// Puts a manifest, of which the document itself says what it is.
    pub(super) async fn put_manifest(&mut self, name: &str, reference: &str, text: &str) -> Answer {
        let document: Value = serde_json::from_str(text).expect("a test's manifests are JSON");
        let media_type = document["mediaType"].as_str().unwrap_or(MediaType::OCI_MANIFEST);
        let line = format!("PUT /v2/{name}/manifests/{reference}");
        self.ask(&line, &[("content-type", media_type)], whole(text.to_owned())).await
    }

    /// Pushes a manifest under a tag, or under its digest if there is none, and returns its sha256 digest.
    pub(super) async fn push_manifest(
        &mut self,
        name: &str,
        tag: Option<&str>,
        document: &Value,
    ) -> String {
        let text = document.to_string();
        let digest = sha256(text.as_bytes());
        let reference = tag.unwrap_or(&digest);
        let answer = self.put_manifest(name, reference, &text).await;
        assert_eq!(answer.status, 201, "{text} was answered {answer:?}");
        digest
    }

    /// Pushes an image with the config `{}` and these layers, and returns its digest.
    pub(super) async fn push_image(
        &mut self,
        name: &str,
        tag: Option<&str>,
        layers: &[&[u8]],
    ) -> String {
        for content in layers.iter().copied().chain([&b"{}"[..]]) {
            self.push(name, content).await;
        }
        self.push_manifest(name, tag, &image(layers)).await
    }

    /// The descriptors that are listed as referrers, on one page.
    pub(super) async fn referrers(&mut self, name: &str, subject: &str) -> Vec<Value> {
        let answer = self.get(&format!("/v2/{name}/referrers/{subject}")).await;
        is(&answer, 200);
        answer.json()["manifests"].as_array().expect("a list").clone()
    }

    /// The tags that are listed, on one page.
    pub(super) async fn tags(&mut self, url: &str) -> Value {
        let answer = self.get(url).await;
        is(&answer, 200);
        answer.json()["tags"].clone()
    }
}

/// An image manifest with the config `{}` and these layers.
pub(super) fn image(layers: &[&[u8]]) -> Value {
    registry_tests::documents::image_document(b"{}", layers)
}

/// An index of what these descriptors name.
pub(super) fn index(manifests: &[Value]) -> Value {
    json!({"schemaVersion": 2, "mediaType": MediaType::OCI_INDEX, "manifests": manifests})
}

/// A descriptor of a document, by its sha256 digest.
pub(super) fn described(document: &Value) -> Value {
    let text = document.to_string();
    let media_type = document["mediaType"].clone();
    json!({"mediaType": media_type, "digest": sha256(text.as_bytes()), "size": text.len()})
}

/// An image manifest of the type `application/vnd.example.<kind>` whose subject is another document.
pub(super) fn referrer(kind: &str, subject: &Value) -> Value {
    let mut document = image(&[]);
    document["subject"] = described(subject);
    document["artifactType"] = json!(format!("application/vnd.example.{kind}"));
    document["annotations"] = json!({ "of": kind });
    document
}

pub(super) fn sha256(content: &[u8]) -> String {
    Digest::sha256(content).to_string()
}

pub(super) fn sha512(content: &[u8]) -> String {
    Digest::of(Algorithm::Sha512, content).to_string()
}

/// A body that comes in parts and does not say how long it is.
pub(super) fn parts(parts: &[&'static str]) -> ClientBody {
    let parts: Vec<_> = parts.iter().map(|part| Ok(Bytes::from_static(part.as_bytes()))).collect();
    streamed(stream::iter(parts))
}

#[track_caller]
pub(super) fn is(answer: &Answer, status: u16) {
    assert_eq!(answer.status.as_u16(), status, "{answer:?}");
}

/// An answer that says with a code what is wrong.
#[track_caller]
pub(super) fn is_refused(answer: &Answer, status: u16, code: &str) {
    is(answer, status);
    assert_eq!(answer.json()["errors"][0]["code"], code, "{answer:?}");
}

/// Is it a URL of a blob or manifest or session, with what stands before `?` as expected?
#[track_caller]
pub(super) fn leads_to(answer: &Answer, path: &str) {
    let location = answer.header("location");
    assert_eq!(location.split('?').next(), Some(path), "{answer:?}");
}

/// What is true of every answer, whatever was asked.
#[track_caller]
fn sound(line: &str, method: &Method, answer: &Answer) {
    assert_eq!(answer.header("docker-distribution-api-version"), "registry/2.0", "{line}");
    let length = answer.header("content-length");
    if *method == Method::HEAD {
        assert!(answer.body.is_empty(), "{line}: {answer:?}");
        return;
    }
    if !length.is_empty() {
        assert_eq!(length, answer.body.len().to_string(), "{line}: {answer:?}");
    }
    if answer.status.is_client_error() {
        is_an_error(line, answer);
    }
}

/// The form of a failure, which the specification prescribes for JSON.
#[track_caller]
fn is_an_error(line: &str, answer: &Answer) {
    assert_eq!(answer.header("content-type"), "application/json", "{line}");
    let body = answer.json();
    let whole = body.as_object().expect("an object");
    assert!(whole.keys().eq(["errors"]), "{line}: {body}");
    let errors = body["errors"].as_array().expect("a list");
    assert!(!errors.is_empty(), "{line}: {body}");
    for error in errors {
        let error = error.as_object().expect("an object");
        let known = ["code", "message", "detail"];
        assert!(error.keys().all(|key| known.contains(&key.as_str())), "{line}: {body}");
        let code = error["code"].as_str().expect("text");
        assert!(CODES.contains(&code), "{line}: {code} is not of the specification");
        assert!(error["message"].as_str().is_some_and(|text| !text.is_empty()), "{line}: {body}");
    }
}
