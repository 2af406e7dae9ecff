//! Bad input: it gets the specified error, nothing visible is left of it, and the next good request works.
//!
//! [`Registry::refuses`] looks at all three, so that a test is a table of what is bad and how it is answered.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod bodies;
mod foreign_files;
mod leaving;
mod manifests;
mod names;
mod never_between;
mod oddities;
mod ranges;
mod seen;
mod sessions;
mod storage;

use std::future;
use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;

use registry_http::{Options, service};
use registry_store::backend::Backend;
use registry_store::backend::fs::FilesystemBackend;
use registry_store::digest::Digest;
use registry_store::manifest::Manifest;
use registry_store::options::StoreOptions;
use registry_store::store::Store;
use registry_tests::documents::{image, push_image};
use registry_tests::plain_http::{self, Answer};
use registry_tests::world::{push, repository};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use self::seen::Seen;

/// A blob of `app`.
const HELLO: &[u8] = b"hello world";
/// A blob of `app/tools`, and of nothing else.
const TOOL: &[u8] = b"a tool";
/// The config of every image.
const CONFIG: &[u8] = b"{}";
/// A session that was never begun.
const NO_SESSION: &str = "6b3c9a93-af5d-473f-a4ff-9710022185cd";
const MANIFEST_TYPE: (&str, &str) = ("Content-Type", "application/vnd.oci.image.manifest.v1+json");

/// The error codes of the specification that bad input and bad storage get, and the two of the storage.
const CODES: &[&str] = &[
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
    "UNAVAILABLE",
    "UNKNOWN",
    "UNSUPPORTED",
];

/// A registry on a real socket: `app` with [`HELLO`] and [`CONFIG`], and the image of both tagged `v1`; and
/// `app/tools` with [`TOOL`].
struct Registry {
    // Ends first, and with it whatever serves.
    runtime: Runtime,
    address: SocketAddr,
    store: Store,
    backend: Arc<dyn Backend>,
    /// The directory that has the root, and nothing else that anybody may change.
    surroundings: Option<TempDir>,
    connection: Option<TcpStream>,
}

impl Registry {
    /// On a directory.
    fn new() -> Self {
        Self::with(Options::default())
    }

    /// On a directory, with options of the service.
    fn with(options: Options) -> Self {
        let surroundings = TempDir::new().expect("there is room for a directory");
        let root = surroundings.path().join("root");
        std::fs::create_dir(&root).expect("there is room for a directory");
        std::fs::write(surroundings.path().join("secret"), "not to be touched").expect("room");
        let backend = FilesystemBackend::open(&root).expect("an empty directory can be opened");
        let mut registry = Self::on(Arc::new(backend), options);
        registry.surroundings = Some(surroundings);
        registry
    }

    /// On any storage.
    fn on(backend: Arc<dyn Backend>, options: Options) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("threads can be made");
        let store = Store::new(backend.clone(), StoreOptions::default());
        let service = service(store.clone(), options);
        let address = runtime.block_on(async {
            fill(&store).await;
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            let address = listener.local_addr().expect("it is bound");
            tokio::spawn(registry_http::serve::serve(listener, service, future::pending()));
            address
        });
        Self { runtime, address, store, backend, surroundings: None, connection: None }
    }

    /// Where it keeps things, if that is a directory.
    fn root(&self) -> PathBuf {
        let surroundings = self.surroundings.as_ref().expect("it is on a directory");
        surroundings.path().join("root")
    }

    /// A place below the root: `repositories/…` or `blobs/…`.
    fn path(&self, below: &str) -> PathBuf {
        self.root().join("docker/registry/v2").join(below)
    }

    /// All that can be seen of the storage, and of what lies around it.
    fn look(&self) -> Seen {
        match &self.surroundings {
            Some(surroundings) => Seen::below(surroundings.path()),
            None => self.runtime.block_on(Seen::on(&*self.backend)),
        }
    }

    /// All that lies beside the root, which nobody may touch.
    fn look_around(&self) -> Seen {
        let surroundings = self.surroundings.as_ref().expect("it is on a directory");
        Seen::below_but(surroundings.path(), "root")
    }

    /// One request on the kept connection, of whatever bytes the line consists. The body's length is declared,
    /// unless the headers say how long it is.
    fn ask(&mut self, line: impl AsRef<[u8]>, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let line = line.as_ref();
        let mut sent = [line, b" HTTP/1.1\r\nHost: registry\r\n"].concat();
        for (name, value) in headers {
            write!(sent, "{name}: {value}\r\n").expect("memory takes all");
        }
        let says = |name: &str| headers.iter().any(|(found, _)| found.eq_ignore_ascii_case(name));
        if !says("content-length") && !says("transfer-encoding") {
            write!(sent, "Content-Length: {}\r\n", body.len()).expect("memory takes all");
        }
        sent.extend_from_slice(b"\r\n");
        sent.extend_from_slice(body);
        self.exchange(&sent, !line.starts_with(b"HEAD "))
    }

    /// Sends these bytes on the kept connection and reads one answer.
    fn exchange(&mut self, sent: &[u8], has_body: bool) -> Answer {
        let mut connection =
            self.connection.take().unwrap_or_else(|| plain_http::connect(self.address));
        connection.write_all(sent).expect("a server that reads");
        let answer = plain_http::answer(&mut connection, has_body);
        // A connection that is not said to end goes on.
        if answer.header("connection") != Some("close") {
            self.connection = Some(connection);
        }
        answer
    }

    /// Asks for what is to be refused, and looks whether it is: that the answer has this status and code and is of
    /// the specified form, that nothing has changed, and that a good request works after it.
    fn refuses(
        &mut self,
        line: impl AsRef<[u8]>,
        headers: &[(&str, &str)],
        body: &[u8],
        expected: (u16, &str),
    ) -> Answer {
        let before = self.look();
        self.refuses_since(&before, line, headers, body, expected)
    }

    /// The same, where it is known what could be seen before.
    fn refuses_since(
        &mut self,
        before: &Seen,
        line: impl AsRef<[u8]>,
        headers: &[(&str, &str)],
        body: &[u8],
        expected: (u16, &str),
    ) -> Answer {
        let answer = self.ask(&line, headers, body);
        let told = format!("{} {headers:?}", String::from_utf8_lossy(line.as_ref()));
        self.is_error(&answer, expected, &told);
        assert_eq!(before.changes(&self.look()), "", "{told}");
        self.serves(&told);
        answer
    }

    /// Is it an error of this status and code, of the specified form, that tells nothing of the storage?
    fn is_error(&self, answer: &Answer, expected: (u16, &str), told: &str) {
        let shown = String::from_utf8_lossy(&answer.body).into_owned();
        assert_eq!(answer.status, expected.0, "{told}: {shown}");
        assert_eq!(answer.header("docker-distribution-api-version"), Some("registry/2.0"));
        let length = answer.header("content-length").expect("an error has a length");
        assert_eq!(answer.header("content-type"), Some("application/json"), "{told}");
        if answer.body.is_empty() && told.starts_with("HEAD ") {
            return;
        }
        assert_eq!(length, answer.body.len().to_string(), "{told}");
        let document: serde_json::Value =
            serde_json::from_slice(&answer.body).expect("an error is JSON");
        let errors = document["errors"].as_array().expect("a list of errors");
        assert_eq!(document.as_object().map(serde_json::Map::len), Some(1), "{told}: {shown}");
        assert!(!errors.is_empty(), "{told}: {shown}");
        for error in errors {
            let error = error.as_object().expect("an error is an object");
            let code = error["code"].as_str().expect("a code is text");
            assert_eq!(code, expected.1, "{told}: {shown}");
            assert!(CODES.contains(&code), "{told}: {shown}");
            assert_ne!(error["message"].as_str(), Some(""), "{told}: {shown}");
            let known = ["code", "message", "detail"];
            assert!(error.keys().all(|key| known.contains(&key.as_str())), "{told}: {shown}");
        }
        let secret = self.surroundings.as_ref().map_or("docker/registry/v2".into(), |directory| {
            directory.path().to_string_lossy().into_owned()
        });
        assert!(!shown.contains(&secret) && !shown.contains("docker/registry/v2"), "{shown}");
        assert!(answer.body.len() < 2000, "{told}: {shown}");
    }

    /// A good request works.
    fn serves(&mut self, told: &str) {
        let answer = self.ask("GET /v2/app/manifests/v1", &[], b"");
        assert_eq!(answer.status, 200, "after {told}");
        assert_eq!(answer.body, *good_image().bytes(), "after {told}");
    }

    /// A push works, of all that a push can be, and so does taking it away.
    fn works(&mut self) {
        let content = b"something new";
        let blob = format!("/v2/works/blobs/{}", Digest::sha256(content));
        let location = self.start("works");
        let answer = self.ask(format!("PATCH {location}"), &[], &content[..4]);
        assert_eq!(answer.status, 202);
        let location = answer.header("location").expect("a session").to_owned();
        let put = format!("PUT {location}&digest={}", Digest::sha256(content));
        assert_eq!(self.ask(put, &[], &content[4..]).status, 201);
        let post = format!("POST /v2/works/blobs/uploads/?digest={}", Digest::sha256(CONFIG));
        assert_eq!(self.ask(post, &[], CONFIG).status, 201);
        let image = image(CONFIG, &[content]);
        let put = "PUT /v2/works/manifests/v1";
        assert_eq!(self.ask(put, &[MANIFEST_TYPE], image.bytes()).status, 201);
        let answer = self.ask("GET /v2/works/manifests/v1", &[], b"");
        assert_eq!((answer.status, &answer.body[..]), (200, &image.bytes()[..]));
        assert_eq!(self.ask(format!("GET {blob}"), &[], b"").body, content);
        assert_eq!(self.ask("DELETE /v2/works/manifests/v1", &[], b"").status, 202);
        assert_eq!(self.ask(format!("DELETE {blob}"), &[], b"").status, 202);
        assert_eq!(self.ask(format!("GET {blob}"), &[], b"").status, 404);
    }

    /// Begins an upload, and returns its address.
    fn start(&mut self, name: &str) -> String {
        let answer = self.ask(format!("POST /v2/{name}/blobs/uploads/"), &[], b"");
        assert_eq!(answer.status, 202);
        answer.header("location").expect("a session has an address").to_owned()
    }

    /// How far a session has come, and where it goes on.
    fn status(&mut self, location: &str) -> (usize, String) {
        // A request that was cut off may reach the session only now, and then it is the newer one: this is told so, and
        // asks again.
        let mut answers = (0..10).map(|_| self.ask(format!("GET {location}"), &[], b""));
        let answer =
            answers.find(|answer| answer.status != 409).expect("a session can be looked at");
        assert_eq!(answer.status, 204, "{location}");
        let location = answer.header("location").expect("a session has an address").to_owned();
        let (_, offset) = location.split_once("_offset=").expect("it says how far it has come");
        let offset: usize = offset.parse().expect("a number");
        let range = format!("0-{}", offset.saturating_sub(1));
        assert_eq!(answer.header("range"), Some(range.as_str()));
        (offset, location)
    }

    /// Goes on with a session from where it has come to, to a blob of this content, and pulls that.
    fn finish(&mut self, name: &str, location: &str, content: &[u8]) {
        let (offset, location) = self.status(location);
        let digest = Digest::sha256(content);
        let rest = &content[offset..];
        let range = format!("{offset}-{}", content.len().saturating_sub(1));
        let headers: &[_] =
            if rest.is_empty() { &[] } else { &[("Content-Range", range.as_str())] };
        let answer = self.ask(format!("PUT {location}&digest={digest}"), headers, rest);
        let shown = String::from_utf8_lossy(&answer.body).into_owned();
        assert_eq!(answer.status, 201, "from {offset} on: {shown}");
        self.pulls(name, content);
    }

    /// A blob of this content can be pulled.
    fn pulls(&mut self, name: &str, content: &[u8]) {
        let url = format!("GET /v2/{name}/blobs/{}", Digest::sha256(content));
        let answer = self.ask(url, &[], b"");
        assert_eq!(answer.status, 200);
        assert!(answer.body == content, "found {} other bytes", answer.body.len());
    }

    /// No blob of this content can be pulled, from anywhere.
    fn lacks(&mut self, name: &str, content: &[u8]) {
        let url = format!("GET /v2/{name}/blobs/{}", Digest::sha256(content));
        assert_eq!(self.ask(url, &[], b"").status, 404);
    }
}

/// The image that is tagged `v1`.
fn good_image() -> Manifest {
    image(CONFIG, &[HELLO])
}

async fn fill(store: &Store) {
    push_image(&repository(store, "app"), CONFIG, &[HELLO], "v1").await;
    push(&repository(store, "app/tools"), TOOL).await;
}
