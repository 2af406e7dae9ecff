//! [`Registry`]: one on a directory and a real socket, and a client of it that is as clients are.

use std::collections::BTreeSet;
use std::future::pending;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use registry_http::serve::{Limits, serve_with};
use registry_http::{Options, service};
use registry_store::backend::fs::FilesystemBackend;
use registry_store::digest::Digest;
use registry_store::options::StoreOptions;
use registry_store::store::Store;
use registry_tests::documents::{image, push_image};
use registry_tests::plain_http::{self, Answer};
use registry_tests::world::repository;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// The only blob of `app`, but for the config of its image, which is tagged `v1`.
pub(crate) const HELLO: &[u8] = b"hello world";
/// The config of that image.
pub(crate) const CONFIG: &[u8] = b"{}";

/// A registry in whose directory's surroundings nobody may touch anything.
pub(crate) struct Registry {
    // Ends first, and with it whatever serves.
    runtime: Runtime,
    pub(crate) address: SocketAddr,
    pub(crate) store: Store,
    surroundings: TempDir,
}

impl Registry {
    pub(crate) fn new() -> Self {
        Self::with(Limits::default(), Options::default())
    }

    pub(crate) fn with(limits: Limits, options: Options) -> Self {
        Self::with_store(limits, options, StoreOptions::default())
    }

    pub(crate) fn with_store(limits: Limits, options: Options, store: StoreOptions) -> Self {
        let surroundings = TempDir::new().unwrap();
        let root = surroundings.path().join("root");
        std::fs::create_dir(&root).unwrap();
        std::fs::write(surroundings.path().join("secret"), "not to be touched").unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let store = Store::new(Arc::new(FilesystemBackend::open(&root).unwrap()), store);
        let service = service(store.clone(), options);
        let address = runtime.block_on(async {
            push_image(&repository(&store, "app"), CONFIG, &[HELLO], "v1").await;
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            tokio::spawn(serve_with(limits, listener, service, pending()));
            address
        });
        Self { runtime, address, store, surroundings }
    }

    pub(crate) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// Every file below the directory that has the root.
    pub(crate) fn files(&self) -> BTreeSet<PathBuf> {
        let mut files = BTreeSet::new();
        add_files(self.surroundings.path(), &mut files);
        files.into_iter().map(|it| it.strip_prefix(&self.surroundings).unwrap().into()).collect()
    }

    /// How many files below the root are open (Linux).
    pub(crate) fn open_files(&self) -> usize {
        let root = self.surroundings.path().join("root");
        std::fs::read_dir("/proc/self/fd")
            .unwrap()
            // One that was just closed has no target.
            .filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok())
            .filter(|target| target.starts_with(&root) && target.is_file())
            .count()
    }

    /// A connection of a client that means harm.
    pub(crate) fn connect(&self) -> TcpStream {
        plain_http::connect(self.address)
    }

    /// Everything that comes in return for these bytes, to the end of the connection by the server.
    pub(crate) fn all_answers(&self, sent: &[u8]) -> String {
        let mut stream = self.connect();
        // It may be refused before all of it was sent.
        let _ = stream.write_all(sent);
        rest(&mut stream)
    }

    /// A client with a connection of its own pulls what is there, pushes something, and pulls that.
    pub(crate) fn serves_others(&self, told: &str) {
        serves(self.address, told);
    }
}

/// The good client of [`Registry::serves_others`].
pub(crate) fn serves(address: SocketAddr, told: &str) {
    let pulled = plain_http::request(address, "GET", "/v2/app/manifests/v1");
    assert_eq!(pulled.status, 200, "{told}");
    assert_eq!(pulled.body, *image(CONFIG, &[HELLO]).bytes(), "{told}");
    serves_pushes(address, told);
}

/// A client with connections of its own pushes something, and pulls it.
pub(crate) fn serves_pushes(address: SocketAddr, told: &str) {
    let content = told.as_bytes();
    let digest = Digest::sha256(content);
    let post = format!("/v2/others/blobs/uploads/?digest={digest}");
    let pushed = plain_http::send(address, "POST", &post, "application/octet-stream", content);
    assert_eq!(pushed.status, 201, "{told}");
    let pulled = plain_http::request(address, "GET", &format!("/v2/others/blobs/{digest}"));
    assert_eq!((pulled.status, &pulled.body[..]), (200, content), "{told}");
}

/// Begins an upload, and returns where.
pub(crate) fn begin(address: SocketAddr, repository: &str) -> String {
    let post = plain_http::request(address, "POST", &format!("/v2/{repository}/blobs/uploads/"));
    assert_eq!(post.status, 202);
    post.header("location").unwrap().to_owned()
}

/// How far an upload has come.
pub(crate) fn offset(address: SocketAddr, location: &str) -> u64 {
    let status = plain_http::request(address, "GET", location);
    assert_eq!(status.status, 204);
    let (_, offset) = status.header("location").unwrap().split_once("_offset=").unwrap();
    offset.split('&').next().unwrap().parse().unwrap()
}

/// What is still to come on a connection, to its end: a reset is one, where the server had more to read.
pub(crate) fn rest(stream: &mut TcpStream) -> String {
    let (mut all, mut part) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut part) {
            Ok(0) => break,
            Ok(count) => all.extend_from_slice(&part[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => {
                let reset = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];
                assert!(reset.contains(&error.kind()), "the server keeps it open: {error}");
                break;
            }
        }
    }
    String::from_utf8_lossy(&all).into_owned()
}

/// The statuses of answers one after the other.
pub(crate) fn statuses(answers: &str) -> Vec<u16> {
    answers
        .split("HTTP/1.")
        .skip(1)
        .map(|answer| answer[2..5].parse().unwrap())
        .filter(|status| *status != 100)
        .collect()
}

/// Limits that tests run into: enough for a client that is not slow, however busy the machine is.
pub(crate) fn soon() -> Limits {
    Limits { head: Some(SOON), idle: Some(SOON), ..Limits::default() }
}

pub(crate) const SOON: Duration = Duration::from_secs(1);

/// One answer on a connection that is kept.
pub(crate) fn answer(stream: &mut TcpStream) -> Answer {
    plain_http::answer(stream, true)
}

fn add_files(directory: &Path, files: &mut BTreeSet<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        // Not through links.
        if entry.file_type().unwrap().is_dir() {
            add_files(&entry.path(), files);
        } else {
            files.insert(entry.path());
        }
    }
}
