//! One request whose client leaves: what is stored is as before it or as after it, never between.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::{fs, thread};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use registry_http::{Options, RegistryService, service};
use registry_store::backend::fs::FilesystemBackend;
use registry_store::digest::Digest;
use registry_store::layout::RepositoryLayout;
use registry_store::manifest::Manifest;
use registry_store::options::StoreOptions;
use registry_store::store::Store;
use registry_tests::documents::{image, push_manifest};
use registry_tests::polls::drop_after_polls;
use registry_tests::world::{push, repository};
use tempfile::{TempDir, tempdir, tempdir_in};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt as _;

use super::seen::Seen;
use super::{CONFIG, HELLO, MANIFEST_TYPE, Registry, fill, good_image};

/// Polls that a request may need, with room.
const MOST_POLLS: usize = 1000;
/// More than one read of a file brings, and one write to a connection takes.
const LARGE: usize = 2 << 20;
/// More than the buffers of a connection hold.
const LARGEST: usize = 16 << 20;
/// More than one page of what is read of a directory.
const TAGS: usize = 10_000;

fn content(size: usize) -> Vec<u8> {
    (0..size).map(|at| (at % 251) as u8).collect()
}

/// A manifest that is not pushed yet.
fn other() -> Manifest {
    image(CONFIG, &[])
}

/// What is asked, and how it is answered the first time and then again.
struct Asked {
    line: String,
    body: Bytes,
    first: u16,
    again: u16,
}

fn requests() -> Vec<Asked> {
    let (hello, large) = (Digest::sha256(HELLO), Digest::sha256(&content(LARGE)));
    let manifest = Digest::sha256(good_image().bytes());
    let other = other();
    let by_digest = Digest::sha256(other.bytes());
    [
        (format!("GET /v2/app/blobs/{large}"), &b""[..], 200, 200),
        ("GET /v2/app/tags/list?n=1".to_owned(), b"", 200, 200),
        (format!("DELETE /v2/app/manifests/{manifest}"), b"", 202, 404),
        ("DELETE /v2/app/manifests/v1".to_owned(), b"", 202, 404),
        (format!("DELETE /v2/app/blobs/{hello}"), b"", 202, 404),
        (format!("POST /v2/new/blobs/uploads/?mount={hello}&from=app"), b"", 201, 201),
        (format!("PUT /v2/app/manifests/{by_digest}?tag=a&tag=b&tag=v1"), other.bytes(), 201, 201),
    ]
    .map(|(line, body, first, again)| {
        let body = Bytes::copy_from_slice(body);
        Asked { line, body, first, again }
    })
    .into()
}

impl Asked {
    /// How it is answered where it was done already, or not yet.
    const fn status(&self, is_done: bool) -> u16 {
        if is_done { self.again } else { self.first }
    }

    fn bytes(&self) -> Vec<u8> {
        let (name, value) = MANIFEST_TYPE;
        let length = self.body.len();
        let head = format!(
            "{} HTTP/1.1\r\nHost: x\r\n{name}: {value}\r\nContent-Length: {length}\r\n\r\n",
            self.line
        );
        [head.as_bytes(), &self.body].concat()
    }

    /// Asks a service without a socket, and follows a listing to its end. The last status, and all bodies.
    async fn ask(&self, service: &RegistryService) -> (u16, Vec<u8>) {
        let (method, url) = self.line.split_once(' ').expect("a method and a URL");
        let (mut url, mut all) = (url.to_owned(), Vec::new());
        loop {
            let request = Request::builder()
                .method(method)
                .uri(&url)
                .header(MANIFEST_TYPE.0, MANIFEST_TYPE.1)
                .body(Full::new(self.body.clone()))
                .expect("a test's requests are well formed");
            let answer = service.clone().oneshot(request).await.expect("a service never fails");
            let (head, body) = answer.into_parts();
            all.extend_from_slice(&body.collect().await.expect("a body").to_bytes());
            let next = head.headers.get("link").map(|link| link.to_str().expect("ASCII"));
            let next = next.and_then(|link| link.strip_prefix('<')?.split_once('>'));
            let Some((next, _)) = next else { return (head.status.as_u16(), all) };
            next.clone_into(&mut url);
        }
    }
}

/// What is there besides.
async fn fill_more(store: &Store) {
    let app = repository(store, "app");
    push(&app, &content(LARGE)).await;
    push_manifest(&app, &good_image(), &["v2", "v3"]).await;
}

/// A service on a directory that is in memory where Linux has its place for that: very many are made.
async fn serve() -> (TempDir, RegistryService) {
    let root = tempdir_in("/dev/shm").or_else(|_| tempdir()).expect("room for a directory");
    let backend = FilesystemBackend::open(root.path()).expect("an empty directory");
    let store = Store::new(Arc::new(backend), StoreOptions::default());
    fill(&store).await;
    fill_more(&store).await;
    (root, service(store, Options::default()))
}

/// Lets what must not stop half-way go on to its end.
async fn settle(runtime: &Runtime) {
    while runtime.metrics().num_alive_tasks() > 0 {
        tokio::task::yield_now().await;
    }
}

/// Is it done? If neither that nor not yet, that is told.
fn is_done(before: &Seen, after: &Seen, now: &Seen, told: &str) -> bool {
    let (since, lacking) = (before.changes(now), now.changes(after));
    assert!(since.is_empty() || lacking.is_empty(), "{told}:\n{since}\nbut not\n{lacking}");
    lacking.is_empty()
}

#[test]
fn a_request_that_is_dropped_at_any_await_is_done_or_not_begun() {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut polls = Vec::new();
    for asked in requests() {
        let (before, after, answer) = runtime.block_on(async {
            let (root, service) = serve().await;
            let before = Seen::below(root.path());
            let answer = asked.ask(&service).await;
            assert_eq!(answer.0, asked.first, "{}", asked.line);
            (before, Seen::below(root.path()), answer)
        });
        let ended = (0..MOST_POLLS).find(|&polls| {
            let told = format!("{}, dropped after {polls} polls", asked.line);
            runtime.block_on(async {
                let (root, service) = serve().await;
                let ended = drop_after_polls(polls, asked.ask(&service)).await.is_some();
                settle(&runtime).await;
                let is_done = is_done(&before, &after, &Seen::below(root.path()), &told);
                assert!(is_done || !ended, "{told}");
                let (status, body) = asked.ask(&service).await;
                assert_eq!(status, asked.status(is_done), "{told}, again");
                assert!(status != asked.first || body == answer.1, "{told}, again");
                assert_eq!(after.changes(&Seen::below(root.path())), "", "{told}, again");
                ended
            })
        });
        polls.push(ended.unwrap_or_else(|| panic!("{} goes on for ever", asked.line)));
    }
    // One that meets only quick threads may end at its first poll.
    assert!(polls.iter().sum::<usize>() > polls.len(), "{polls:?}");
}

fn registry() -> Registry {
    let registry = Registry::new();
    registry.runtime.block_on(fill_more(&registry.store));
    registry
}

impl Registry {
    /// Sends this, reads so many bytes of the answer, and is gone: nothing more is taken of what is sent to it.
    fn leave(&self, sent: &[u8], read: usize) {
        self.runtime.block_on(async {
            let mut connection = TcpStream::connect(self.address).await.expect("it listens");
            connection.write_all(sent).await.expect("a server that reads");
            connection.read_exact(&mut vec![0; read]).await.expect("an answer");
            connection.set_zero_linger().expect("a TCP connection");
        });
    }

    /// Waits until the server has done with everybody but a client that is still there.
    fn settles(&mut self) {
        // It is accepted after all that came before, and then there are two tasks: its own, and the listener.
        self.connection = None;
        assert_eq!(self.ask("GET /v2/", &[], b"").status, 200);
        while self.runtime.metrics().num_alive_tasks() > 2 {
            thread::yield_now();
        }
    }
}

#[test]
fn a_request_whose_client_is_gone_is_done_or_not_begun() {
    for asked in requests() {
        let sent = asked.bytes();
        let after = {
            let mut registry = registry();
            assert_eq!(registry.exchange(&sent, true).status, asked.first, "{}", asked.line);
            registry.settles();
            registry.look()
        };
        for read in [0, 0, 0, 1, 100] {
            let told = format!("{}, gone after {read} bytes of the answer", asked.line);
            let mut registry = registry();
            let before = registry.look();
            for cut in (0..sent.len()).step_by(29) {
                registry.leave(&sent[..cut], 0);
            }
            registry.settles();
            assert_eq!(before.changes(&registry.look()), "", "{}, cut off", asked.line);

            registry.leave(&sent, read);
            registry.settles();
            let is_done = is_done(&before, &after, &registry.look(), &told);
            assert!(is_done || read == 0, "{told}");
            let answer = registry.exchange(&sent, true);
            assert_eq!(answer.status, asked.status(is_done), "{told}, again");
            registry.settles();
            assert_eq!(after.changes(&registry.look()), "", "{told}, again");
        }
    }
}

/// Tags of `app`, most of which are one file by many names.
fn add_tags(registry: &Registry) {
    let digest = Digest::sha256(good_image().bytes()).to_string();
    let tags = RepositoryLayout::new(&"app".parse().expect("a name")).tags();
    let tags = registry.root().join(tags.as_str());
    let link = |number: usize| tags.join(format!("t{number}/current/link"));
    let parent = |path: &Path| path.parent().expect("it is in a directory").to_owned();
    for number in 0..TAGS {
        fs::create_dir_all(parent(&link(number))).expect("room");
        if number == 0 {
            fs::write(link(0), &digest).expect("room");
        } else {
            fs::hard_link(link(0), link(number)).expect("a filesystem that links");
        }
    }
}

#[test]
fn a_long_answer_whose_client_is_gone_in_the_middle_is_given_to_the_next_whole() {
    let mut registry = registry();
    add_tags(&registry);
    let content = content(LARGEST);
    let digest = registry.runtime.block_on(push(&repository(&registry.store, "app"), &content));
    let blob = format!("/v2/app/blobs/{digest}");
    for url in [&blob, "/v2/app/tags/list"] {
        let mut sent = Vec::new();
        write!(sent, "GET {url} HTTP/1.1\r\nHost: x\r\n\r\n").expect("memory takes all");
        for read in [1, 200, 5_000, 40_000] {
            registry.leave(&sent, read);
            registry.settles();
        }
    }
    registry.pulls("app", &content);
    let tags = registry.runtime.block_on(async {
        let service = service(registry.store.clone(), Options::default());
        let (line, body) = ("GET /v2/app/tags/list".to_owned(), Bytes::new());
        Asked { line, body, first: 200, again: 200 }.ask(&service).await.1
    });
    let tags: serde_json::Value = serde_json::from_slice(&tags).expect("JSON");
    assert_eq!(tags["tags"].as_array().map(Vec::len), Some(TAGS + 3));
}
