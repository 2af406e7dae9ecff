//! A client that leaves at every point of a push: no half of anything is visible, and the same push succeeds.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use registry_http::{Options, RegistryService, service};
use registry_store::backend::fs::FilesystemBackend;
use registry_store::digest::Digest;
use registry_store::manifest::Manifest;
use registry_store::options::StoreOptions;
use registry_store::store::Store;
use registry_tests::documents::image;
use registry_tests::plain_http;
use registry_tests::polls::drop_after_polls;
use tempfile::TempDir;
use tower::ServiceExt as _;

use super::{CONFIG, MANIFEST_TYPE, Registry};

const LAYER: &[u8] = b"a layer in two parts";
/// Polls that a whole push may need, with room.
const MOST_POLLS: usize = 1000;

fn pushed() -> Manifest {
    image(CONFIG, &[LAYER])
}

/// Asks a service without a socket.
async fn ask(
    service: &RegistryService,
    method: Method,
    url: &str,
    body: &[u8],
) -> (u16, Option<String>, Bytes) {
    let body = Full::new(Bytes::copy_from_slice(body));
    let request = Request::builder()
        .method(method)
        .uri(url)
        .header(MANIFEST_TYPE.0, MANIFEST_TYPE.1)
        .body(body)
        .expect("a test's requests are well formed");
    let answer = service.clone().oneshot(request).await.expect("a service that never fails");
    let (head, body) = answer.into_parts();
    let location =
        head.headers.get("location").map(|value| value.to_str().expect("ASCII").to_owned());
    (head.status.as_u16(), location, body.collect().await.expect("a body").to_bytes())
}

/// An image, as docker pushes it: each blob in a session, then the manifest.
async fn push(service: &RegistryService) {
    let (status, location, _) = ask(service, Method::POST, "/v2/new/blobs/uploads/", b"").await;
    assert_eq!(status, 202);
    let location = location.expect("a session");
    let (status, location, _) = ask(service, Method::PATCH, &location, &LAYER[..7]).await;
    assert_eq!(status, 202);
    let put = format!("{}&digest={}", location.expect("a session"), Digest::sha256(LAYER));
    assert_eq!(ask(service, Method::PUT, &put, &LAYER[7..]).await.0, 201);
    let post = format!("/v2/new/blobs/uploads/?digest={}", Digest::sha256(CONFIG));
    assert_eq!(ask(service, Method::POST, &post, CONFIG).await.0, 201);
    let put = "/v2/new/manifests/v1";
    assert_eq!(ask(service, Method::PUT, put, pushed().bytes()).await.0, 201);
}

/// Whatever is visible of the push is whole: a blob, a manifest with all that it refers to, a tag that leads to it.
/// Says whether all of it is.
async fn is_whole(service: &RegistryService, when: &str) -> bool {
    let manifest = pushed();
    let mut blobs = 0;
    for content in [LAYER, CONFIG] {
        let url = format!("/v2/new/blobs/{}", Digest::sha256(content));
        let (status, _, body) = ask(service, Method::GET, &url, b"").await;
        assert!(status == 404 || body == content, "{when}: {status} {body:?}");
        blobs += usize::from(status == 200);
    }
    let digest = Digest::sha256(manifest.bytes());
    let mut found = Vec::new();
    for reference in ["v1", &digest.to_string()] {
        let url = format!("/v2/new/manifests/{reference}");
        let (status, _, body) = ask(service, Method::GET, &url, b"").await;
        assert!(status == 404 || body == manifest.bytes(), "{when}: {status} {body:?}");
        found.push(status == 200);
    }
    let [tag, revision] = found[..] else { panic!("two were asked for") };
    assert!(!tag || revision, "{when}: a tag without its manifest");
    assert!(!revision || blobs == 2, "{when}: a manifest without its blobs");
    let (status, _, list) = ask(service, Method::GET, "/v2/new/tags/list", b"").await;
    let expected =
        if tag { "{\"name\":\"new\",\"tags\":[\"v1\"]}" } else { "{\"name\":\"new\",\"tags\":[]}" };
    assert!(status == 404 && !tag || list == expected, "{when}: {status} {list:?}");
    tag
}

#[test]
fn a_push_that_is_dropped_at_any_await_leaves_nothing_half() {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let ended = (0..MOST_POLLS).find(|&polls| {
        let root = TempDir::new().expect("there is room for a directory");
        let backend = FilesystemBackend::open(root.path()).expect("an empty directory");
        let store = Store::new(Arc::new(backend), StoreOptions::default());
        let service = service(store, Options::default());
        runtime.block_on(async {
            let ended = drop_after_polls(polls, push(&service)).await.is_some();
            // What must not stop half-way goes on by itself.
            while runtime.metrics().num_alive_tasks() > 0 {
                tokio::task::yield_now().await;
            }
            let when = format!("dropped after {polls} polls");
            assert!(is_whole(&service, &when).await || !ended, "{when}");
            push(&service).await;
            assert!(is_whole(&service, &when).await, "{when}");
            ended
        })
    });
    assert!(ended.is_some_and(|polls| polls > 1), "{ended:?} polls");
}

/// Every request of a push, as bytes; what is in braces is the address that a session has by then.
fn requests() -> Vec<Vec<u8>> {
    let manifest = pushed();
    let (layer, config) = (Digest::sha256(LAYER), Digest::sha256(CONFIG));
    let request = |line: String, length: &str, body: &[u8]| {
        let head = format!("{line} HTTP/1.1\r\nHost: x\r\n{length}\r\n\r\n");
        [head.as_bytes(), body].concat()
    };
    let length = |body: &[u8]| format!("Content-Length: {}", body.len());
    let chunked = "Transfer-Encoding: chunked";
    let put = "PUT /v2/new/manifests/v1".to_owned();
    vec![
        request("POST /v2/new/blobs/uploads/".to_owned(), &length(b""), b""),
        request("PATCH {session}".to_owned(), chunked, b"7\r\na layer\r\n0\r\n\r\n"),
        request(format!("PUT {{session}}&digest={layer}"), &length(&LAYER[7..]), &LAYER[7..]),
        request(format!("POST /v2/new/blobs/uploads/?digest={config}"), &length(CONFIG), CONFIG),
        request(put, &length(manifest.bytes()), manifest.bytes()),
    ]
}

/// Sends a request up to `cut` of its bytes, and then ends: properly, so that the end of the connection says that the
/// server has done with it; or at once.
fn leave(registry: &Registry, sent: &[u8], properly: bool) {
    let mut connection = plain_http::connect(registry.address);
    connection.write_all(sent).expect("a server that reads");
    if properly {
        connection.shutdown(Shutdown::Write).expect("a connection");
        let _ = connection.read_to_end(&mut Vec::new());
    }
}

/// The requests of a push one after the other, each whole; `before` comes before each with the bytes of it.
fn push_over_sockets(registry: &mut Registry, mut before: impl FnMut(&mut Registry, &[u8], &str)) {
    let mut session = String::new();
    for request in requests() {
        if !session.is_empty() {
            // From wherever it has come to by what was cut off.
            session = registry.status(&session).1;
        }
        let text = String::from_utf8(request).expect("a test's bodies are text");
        let sent = text.replace("{session}", &session);
        before(registry, sent.as_bytes(), &session);
        let mut answer = registry.exchange(sent.as_bytes(), true);
        // What came through before is there, or comes through only now and takes the session.
        while [409, 416].contains(&answer.status) {
            let content: &[u8] = if sent.starts_with("PATCH") { &LAYER[..7] } else { LAYER };
            let (offset, now) = registry.status(&session);
            assert!(offset <= content.len(), "{sent}");
            let line = if sent.starts_with("PATCH") {
                format!("PATCH {now}")
            } else {
                format!("PUT {now}&digest={}", Digest::sha256(LAYER))
            };
            answer = registry.ask(line, &[], &content[offset..]);
        }
        assert!([201, 202].contains(&answer.status), "{sent}: {answer:?}");
        session = match answer.header("location") {
            Some(location) if location.contains("/uploads/") => location.to_owned(),
            _ => String::new(),
        };
    }
}

#[test]
fn a_push_whose_connection_ends_after_any_byte_leaves_nothing_half() {
    let mut registry = Registry::new();
    let service = service(registry.store.clone(), Options::default());
    push_over_sockets(&mut registry, |registry, request, session| {
        for cut in 0..request.len() {
            leave(registry, &request[..cut], true);
            let when = format!("{} cut at {cut}", String::from_utf8_lossy(&request[..20]));
            assert!(!registry.runtime.block_on(is_whole(&service, &when)), "{when}");
            if !session.is_empty() {
                registry.status(session);
            }
        }
        registry.serves("many who left");
    });
    assert!(registry.runtime.block_on(is_whole(&service, "at the end")));
    let uploads = registry.path("repositories/new/_uploads");
    assert!(!uploads.exists() || fs::read_dir(uploads).expect("a directory").next().is_none());
    registry.works();
}

#[test]
fn a_push_whose_client_is_gone_after_any_byte_leaves_nothing_half() {
    let mut registry = Registry::new();
    let service = service(registry.store.clone(), Options::default());
    push_over_sockets(&mut registry, |registry, request, _| {
        for cut in (0..request.len()).step_by(3) {
            leave(registry, &request[..cut], false);
            let when = format!("{} gone at {cut}", String::from_utf8_lossy(&request[..20]));
            registry.runtime.block_on(is_whole(&service, &when));
        }
        registry.serves("many who left");
    });
    assert!(registry.runtime.block_on(is_whole(&service, "at the end")));
    registry.works();
}
