//! Clients that pull a blob are sent to the storage, which they can fetch it from themselves.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, IF_MATCH, IF_NONE_MATCH, IF_RANGE, LOCATION, RANGE,
};
use http::{HeaderName, Method, Request, StatusCode, Uri, request};
use registry_http::events::{Action, Event, EventSink, Target};
use registry_http::{Options, Redirect, service};
use registry_store::backend::MemoryBackend;
use registry_store::backend::s3::S3Options;
use registry_store::digest::{Algorithm, Digest};
use registry_store::layout::{self, RepositoryLayout};
use registry_store::options::StoreOptions;
use registry_store::store::Store;
use registry_tests::backends::{BUCKET, ServedBucket, open};
use registry_tests::s3::operation::Operation;
use registry_tests::s3::options::S3Options as ServerOptions;
use registry_tests::s3::server::S3Server;
use registry_tests::server::{Answer, Client, Protocol, Server, whole};
use registry_tests::world::{push, push_as, repository};

/// The content of the blob that clients are sent for.
const LARGE: &[u8] = &[b'x'; 100];
/// The content of one that goes through the service.
const SMALL: &[u8] = &[b'x'; 99];

/// Blobs of 100 bytes and more are redirected.
const REDIRECT: Redirect = Redirect { minimum_size: 100, expires_in: Duration::from_secs(600) };

/// Keeps what it is told.
#[derive(Debug, Default)]
struct Told(Mutex<Vec<Event>>);

impl EventSink for Told {
    fn tell(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

/// A registry on a bucket whose clients find it at another server than the registry does.
struct Scene {
    served: ServedBucket,
    public: S3Server,
    store: Store,
    told: Arc<Told>,
    _server: Server,
    client: Client,
}

impl Scene {
    async fn new() -> Self {
        Self::with(Some(REDIRECT)).await
    }

    async fn with(redirect: Option<Redirect>) -> Self {
        let served = ServedBucket::new(ServerOptions::default());
        let public = S3Server::start(&served.s3).await;
        let endpoint = Some(public.endpoint());
        let backend = open(S3Options { public_endpoint: endpoint, ..served.options() });
        let store = Store::new(Arc::new(backend), StoreOptions::default());
        for content in [LARGE, SMALL] {
            push(&repository(&store, "app"), content).await;
        }
        let told = Arc::<Told>::default();
        let options = Options { redirect, events: Some(told.clone()), ..Options::default() };
        let server = Server::start(service(store.clone(), options)).await;
        let client = server.connect(Protocol::Http1).await;
        Self { served, public, store, told, _server: server, client }
    }

    async fn ask(&mut self, request: request::Builder, digest: &Digest) -> Answer {
        let url = format!("/v2/app/blobs/{digest}");
        self.client.send(request.uri(url), whole("")).await
    }

    async fn get(&mut self, content: &[u8]) -> Answer {
        self.ask(Request::get("/"), &Digest::sha256(content)).await
    }

    /// Does what a client does that was sent elsewhere: the same again, there, without what only we are to see.
    async fn follow(&self, answer: &Answer, request: request::Builder) -> Answer {
        let location: Uri = answer.header(LOCATION.as_str()).parse().unwrap();
        assert_eq!(location.authority().unwrap().as_str(), self.public.address().to_string());
        let mut there = Client::connect(self.public.address(), Protocol::Http1).await;
        there.send(request.uri(location), whole("")).await
    }
}

#[tokio::test]
async fn whoever_pulls_is_sent_to_the_storage_and_gets_there_what_was_asked_for() {
    let mut scene = Scene::new().await;
    let digest = Digest::sha256(LARGE);
    for (method, header, status, body) in [
        (Method::GET, None, 200, LARGE),
        (Method::HEAD, None, 200, b""),
        (Method::GET, Some((RANGE, "bytes=10-19")), 206, &LARGE[10..20]),
        (Method::GET, Some((RANGE, "bytes=-7")), 206, &LARGE[93..]),
        (Method::GET, Some((IF_NONE_MATCH, "\"other\"")), 200, LARGE),
        // Whose it is to say that there is nothing of it.
        (Method::GET, Some((RANGE, "bytes=100-")), 416, b""),
    ] {
        let request = || {
            let request = Request::builder().method(&method);
            let header = header.as_ref().map(|(name, value): &(HeaderName, &str)| (name, *value));
            header.into_iter().fold(request, |request, (name, value)| request.header(name, value))
        };
        let told = format!("{method} {header:?}");
        let answer = scene.ask(request(), &digest).await;
        assert_eq!(answer.status, StatusCode::TEMPORARY_REDIRECT, "{told}");
        assert!(answer.body.is_empty(), "{told}");
        assert_eq!(answer.header(CONTENT_LENGTH.as_str()), "0", "{told}");
        assert_eq!(answer.header("docker-content-digest"), digest.to_string(), "{told}");
        assert_eq!(answer.header(CACHE_CONTROL.as_str()), "no-store", "{told}");
        assert!(answer.header(LOCATION.as_str()).contains("X-Amz-Expires=600"), "{answer:?}");

        let found = scene.follow(&answer, request()).await;
        assert_eq!(found.status, status, "{told}");
        if status != 416 {
            assert_eq!(found.body, body, "{told}");
        }
        if method == Method::HEAD {
            assert_eq!(found.header(CONTENT_LENGTH.as_str()), "100");
        }
    }
}

#[tokio::test]
async fn an_address_is_of_one_method_and_one_blob() {
    let mut scene = Scene::new().await;
    let answer = scene.get(LARGE).await;
    assert_eq!(scene.follow(&answer, Request::head("/")).await.status, 403);
    let [large, small] = [LARGE, SMALL].map(|content| Digest::sha256(content).hex());
    let mut other = answer.clone();
    let changed = answer.header(LOCATION.as_str()).replace(&large, &small);
    other.headers.insert(LOCATION, changed.parse().unwrap());
    assert_eq!(scene.follow(&other, Request::get("/")).await.status, 403);
}

#[tokio::test]
async fn to_be_sent_elsewhere_costs_the_storage_two_looks_and_no_read_of_the_blob() {
    let mut scene = Scene::new().await;
    let counts = |scene: &Scene| {
        let [gets, heads] =
            [Operation::GetObject, Operation::HeadObject].map(|it| scene.served.s3.count(it));
        (gets, heads, scene.served.s3.requests().len())
    };
    scene.served.s3.forget_requests();
    assert_eq!(scene.get(LARGE).await.status, 307);
    assert_eq!(counts(&scene), (1, 1, 2));
    // The one that goes through the service is read besides, and its link is not read again.
    scene.served.s3.forget_requests();
    assert_eq!(scene.get(SMALL).await.status, 200);
    assert_eq!(counts(&scene), (2, 1, 3));
}

#[tokio::test]
async fn a_small_blob_goes_through_the_service() {
    let mut scene = Scene::new().await;
    let answer = scene.get(SMALL).await;
    assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, SMALL));
    let part = Request::get("/").header(RANGE, "bytes=0-1");
    let answer = scene.ask(part, &Digest::sha256(SMALL)).await;
    assert_eq!((answer.status.as_u16(), &answer.body[..]), (206, &b"xx"[..]));
    let answer = scene.ask(Request::head("/"), &Digest::sha256(SMALL)).await;
    assert_eq!((answer.status.as_u16(), answer.header("content-length")), (200, "99"));
}

#[tokio::test]
async fn nobody_is_sent_for_what_the_repository_does_not_have() {
    let mut scene = Scene::new().await;
    let elsewhere = push(&repository(&scene.store, "other"), b"in another repository").await;
    let emptied = push(&repository(&scene.store, "app"), b"emptied").await;
    scene.served.s3.put(BUCKET, layout::blob(&emptied).as_str(), "");
    let gone = push(&repository(&scene.store, "app"), b"gone").await;
    scene.served.s3.remove(BUCKET, layout::blob(&gone).as_str());
    let unlinked = push(&repository(&scene.store, "app"), b"unlinked").await;
    let keys = RepositoryLayout::new(repository(&scene.store, "app").name());
    scene.served.s3.put(BUCKET, keys.layer_link(&unlinked).as_str(), "");
    for digest in [Digest::sha256(b"never pushed"), elsewhere, emptied, gone, unlinked] {
        for method in [Method::GET, Method::HEAD] {
            let answer = scene.ask(Request::builder().method(&method), &digest).await;
            assert_eq!(answer.status, 404, "{method} {digest}");
            assert_eq!(answer.header(LOCATION.as_str()), "");
        }
    }
    assert!(scene.told.0.lock().unwrap().is_empty());
}

#[tokio::test]
async fn preconditions_are_answered_before_anybody_is_sent_elsewhere() {
    let mut scene = Scene::new().await;
    let digest = Digest::sha256(LARGE);
    let ours = format!("\"{digest}\"");
    for method in [Method::GET, Method::HEAD] {
        for (name, value, status) in
            [(IF_NONE_MATCH, ours.as_str(), 304), (IF_MATCH, "\"other\"", 412)]
        {
            let request = Request::builder().method(&method).header(&name, value);
            let answer = scene.ask(request, &digest).await;
            assert_eq!(answer.status, status, "{method} {name}: {value}");
        }
    }
    assert!(scene.told.0.lock().unwrap().is_empty(), "nothing was pulled");
}

/// The storage compares with its own, so it would refuse what holds here, or send all in place of a part.
#[tokio::test]
async fn whoever_compares_with_our_validator_is_answered_here() {
    let mut scene = Scene::new().await;
    let digest = Digest::sha256(LARGE);
    let ours = format!("\"{digest}\"");
    let request = Request::get("/").header(IF_MATCH, &ours);
    let answer = scene.ask(request, &digest).await;
    assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, LARGE));
    let request = Request::get("/").header(IF_RANGE, &ours).header(RANGE, "bytes=0-1");
    let answer = scene.ask(request, &digest).await;
    assert_eq!((answer.status.as_u16(), &answer.body[..]), (206, &b"xx"[..]));

    // Who has the storage's goes on there.
    let sent = scene.get(LARGE).await;
    let theirs = scene.follow(&sent, Request::get("/")).await.header("etag").to_owned();
    let request = || Request::get("/").header(IF_RANGE, &theirs).header(RANGE, "bytes=0-1");
    let answer = scene.ask(request(), &digest).await;
    assert_eq!(answer.status, 307);
    assert_eq!(scene.follow(&answer, request()).await.body, &b"xx"[..]);
}

#[tokio::test]
async fn a_pull_is_told_of_as_ever() {
    let mut scene = Scene::new().await;
    let digest = Digest::sha256(LARGE);
    for method in [Method::GET, Method::HEAD] {
        assert_eq!(scene.ask(Request::builder().method(method), &digest).await.status, 307);
        let event = scene.told.0.lock().unwrap().pop().unwrap();
        assert_eq!(event.action, Action::Pull);
        assert_eq!(event.target, Target::Blob { digest, size: Some(100) });
        assert!(scene.told.0.lock().unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_blob_that_was_pushed_by_its_sha512_is_found_there() {
    let mut scene = Scene::new().await;
    let digest = push_as(&repository(&scene.store, "app"), Algorithm::Sha512, LARGE).await;
    let answer = scene.ask(Request::get("/"), &digest).await;
    assert_eq!(answer.status, 307);
    assert_eq!(answer.header("docker-content-digest"), digest.to_string());
    assert_eq!(scene.follow(&answer, Request::get("/")).await.body, LARGE);
}

#[tokio::test]
async fn nobody_is_sent_elsewhere_unless_that_is_switched_on() {
    let mut scene = Scene::with(None).await;
    assert!(Options::default().redirect.is_none());
    let answer = scene.get(LARGE).await;
    assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, LARGE));
}

#[tokio::test]
async fn storage_without_signed_addresses_serves_as_without_redirects() {
    let store = Store::new(Arc::new(MemoryBackend::new()), StoreOptions::default());
    let digest = push(&repository(&store, "app"), LARGE).await;
    let options = Options { redirect: Some(REDIRECT), ..Options::default() };
    let server = Server::start(service(store, options)).await;
    let mut client = server.connect(Protocol::Http1).await;
    let url = format!("/v2/app/blobs/{digest}");
    let answer = client.send(Request::get(&url), whole("")).await;
    assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, LARGE));
    let part = Request::get(&url).header(RANGE, "bytes=0-1");
    assert_eq!(client.send(part, whole("")).await.status, 206);
    let answer = client.send(Request::head(&url), whole("")).await;
    assert_eq!((answer.status.as_u16(), answer.header("content-length")), (200, "100"));
}

#[tokio::test]
async fn an_address_that_cannot_be_signed_is_a_fault_of_the_storage() {
    let too_long = Redirect { expires_in: Redirect::LONGEST + Duration::from_secs(1), ..REDIRECT };
    let mut scene = Scene::with(Some(too_long)).await;
    assert_eq!(scene.get(LARGE).await.status, 500);
    assert!(scene.told.0.lock().unwrap().is_empty(), "nothing was pulled");
}
