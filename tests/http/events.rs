//! What was done, as an event sink is told of it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt as _;
use http::header::{HOST, IF_MATCH, IF_NONE_MATCH, RANGE, USER_AGENT};
use http::request::Parts;
use http::{Method, Request, request};
use registry_http::auth::{Access, Actor, Authorizer, Denial};
use registry_http::events::{Action, Event, EventSink, Target};
use registry_http::{Locations, Options};
use registry_store::reference::Reference;
use registry_store::store::Store;
use registry_tests::server::{Answer, Client, Protocol, Server, whole};
use registry_tests::world::repository;

use crate::fixture::Fixture;

/// Keeps what it is told, and sees at that moment whether it is true.
#[derive(Debug)]
struct Witness {
    store: Store,
    told: Mutex<Vec<(Event, bool)>>,
}

impl EventSink for Witness {
    fn tell(&self, event: Event) {
        let seen = is_there(&self.store, &event).now_or_never();
        let seen = seen.expect("memory answers without waiting");
        self.told.lock().unwrap().push((event, seen));
    }
}

async fn is_there(store: &Store, event: &Event) -> bool {
    let repository = repository(store, event.repository.as_str());
    match &event.target {
        Target::Blob { digest, .. } => repository.blobs().size(digest).await.is_ok(),
        Target::Tag(tag) => repository.tags().resolve(tag).await.is_ok(),
        Target::Manifest { digest, tag, .. } => {
            let reference = match tag {
                Some(tag) => Reference::Tag(tag.clone()),
                None => Reference::Digest(*digest),
            };
            let found = repository.manifests().get(&reference).await;
            found.is_ok_and(|found| found.digest == *digest)
        }
    }
}

/// Everybody is called `alice`.
#[derive(Debug)]
struct Alice;

#[async_trait]
impl Authorizer for Alice {
    async fn authorize(&self, _: &Parts, _: &[Access]) -> Result<Actor, Denial> {
        Ok(Actor::named("alice"))
    }
}

struct Scene {
    fixture: Fixture,
    witness: Arc<Witness>,
    _server: Server,
    client: Client,
}

impl Scene {
    async fn new() -> Self {
        Self::with(Options::default()).await
    }

    async fn with(options: Options) -> Self {
        let fixture = Fixture::new().await;
        let store = fixture.world.store.clone();
        let witness = Arc::new(Witness { store, told: Mutex::default() });
        let options = Options { events: Some(witness.clone()), ..options };
        let server = Server::start(fixture.service(options)).await;
        let client = server.connect(Protocol::Http1).await;
        Self { fixture, witness, _server: server, client }
    }

    /// Sends a request, in which names in braces are filled in.
    async fn send(&mut self, method: Method, url: &str, body: &str) -> Answer {
        self.send_with(Request::builder().method(method), url, body).await
    }

    async fn send_with(&mut self, request: request::Builder, url: &str, body: &str) -> Answer {
        let (url, body) = (self.fixture.fill_in(url), self.fixture.fill_in(body));
        self.client.send(request.uri(url), whole(body)).await
    }

    /// What was told since the last time, in short, with what the store said at that moment.
    fn told(&self) -> Vec<(String, bool)> {
        let told: Vec<_> = self.witness.told.lock().unwrap().drain(..).collect();
        told.into_iter().map(|(event, seen)| (short(&event), seen)).collect()
    }

    /// Compares what was told since the last time with what is expected; names in braces are filled in.
    fn expect(&self, expected: &[(&str, bool)]) {
        let expected: Vec<_> =
            expected.iter().map(|(text, seen)| (self.fixture.fill_in(text), *seen)).collect();
        assert_eq!(self.told(), expected);
    }
}

/// An event as `<action> <repository> <target>`.
fn short(event: &Event) -> String {
    let action = match &event.action {
        Action::Pull => "pull".to_owned(),
        Action::Push => "push".to_owned(),
        Action::Mount { from: Some(from) } => format!("mount from {from} to"),
        Action::Mount { from: None } => "mount to".to_owned(),
        Action::Delete => "delete".to_owned(),
    };
    let size = |size: &Option<u64>| size.map_or_else(String::new, |size| format!(" of {size}"));
    let target = match &event.target {
        Target::Blob { digest, size: bytes } => format!("blob {digest}{}", size(bytes)),
        Target::Tag(tag) => format!("tag {tag}"),
        Target::Manifest { digest, size: bytes, media_type, tag } => {
            let tag = tag.as_ref().map_or_else(String::new, |tag| format!(" as {tag}"));
            assert_eq!(bytes.is_some(), media_type.is_some());
            format!("manifest {digest}{}{tag}", size(bytes))
        }
    };
    format!("{action} {} {target}", event.repository)
}

#[tokio::test]
async fn a_blob_that_is_pulled_or_looked_for_is_told_of() {
    let mut scene = Scene::new().await;
    for method in [Method::GET, Method::HEAD] {
        scene.send(method, "/v2/app/blobs/{hello}", "").await;
        scene.expect(&[("pull app blob {hello} of 11", true)]);
    }
    let part = Request::get("/").header(RANGE, "bytes=0-0");
    assert_eq!(scene.send_with(part, "/v2/app/blobs/{hello}", "").await.status, 206);
    scene.expect(&[("pull app blob {hello} of 11", true)]);
}

#[tokio::test]
async fn a_manifest_that_is_pulled_is_told_of_with_the_tag_it_was_pulled_by() {
    let mut scene = Scene::new().await;
    for method in [Method::GET, Method::HEAD] {
        scene.send(method.clone(), "/v2/app/manifests/v1", "").await;
        scene.expect(&[("pull app manifest {image} of {image.size} as v1", true)]);
        scene.send(method, "/v2/app/manifests/{image}", "").await;
        scene.expect(&[("pull app manifest {image} of {image.size}", true)]);
    }
}

#[tokio::test]
async fn what_the_client_has_already_is_not_pulled() {
    let mut scene = Scene::new().await;
    for (url, digest) in [("/v2/app/blobs/{hello}", "{hello}"), ("/v2/app/manifests/v1", "{image}")]
    {
        let digest = scene.fixture.fill_in(digest);
        let request = Request::get("/").header(IF_NONE_MATCH, format!("\"{digest}\""));
        assert_eq!(scene.send_with(request, url, "").await.status, 304);
    }
    scene.expect(&[]);
}

#[tokio::test]
async fn nothing_is_told_of_what_a_precondition_kept_from_being_done() {
    let mut scene = Scene::new().await;
    for (method, url) in [
        (Method::GET, "/v2/app/blobs/{hello}"),
        (Method::HEAD, "/v2/app/blobs/{hello}"),
        (Method::DELETE, "/v2/app/blobs/{hello}"),
        (Method::GET, "/v2/app/manifests/v1"),
        (Method::PUT, "/v2/app/manifests/v1"),
        (Method::DELETE, "/v2/app/manifests/v1"),
        (Method::DELETE, "/v2/app/manifests/{image}"),
    ] {
        let request = Request::builder().method(method).header(IF_MATCH, "\"other\"");
        assert_eq!(scene.send_with(request, url, "{other.json}").await.status, 412);
    }
    scene.expect(&[]);
}

#[tokio::test]
async fn a_blob_that_is_pushed_either_way_is_told_of_once() {
    let mut scene = Scene::new().await;
    let answer = scene.send(Method::POST, "/v2/new/blobs/uploads/?digest={abcdef}", "abcdef").await;
    assert_eq!(answer.status, 201);
    scene.expect(&[("push new blob {abcdef} of 6", true)]);

    let location = scene.send(Method::POST, "/v2/zoo/blobs/uploads/", "").await;
    let location = scene.send(Method::PATCH, location.header("location"), "abc").await;
    scene.expect(&[]);
    let url = format!("{}&digest={{abcdef}}", location.header("location"));
    assert_eq!(scene.send(Method::PUT, &url, "def").await.status, 201);
    scene.expect(&[("push zoo blob {abcdef} of 6", true)]);
}

#[tokio::test]
async fn a_mount_is_told_of_with_where_the_blob_is_from() {
    let mut scene = Scene::new().await;
    let answer =
        scene.send(Method::POST, "/v2/new/blobs/uploads/?mount={hello}&from=app", "").await;
    assert_eq!(answer.status, 201);
    scene.expect(&[("mount from app to new blob {hello} of 11", true)]);
    let answer = scene.send(Method::POST, "/v2/newer/blobs/uploads/?mount={hello}", "").await;
    assert_eq!(answer.status, 201);
    scene.expect(&[("mount to newer blob {hello} of 11", true)]);
    let answer = scene.send(Method::POST, "/v2/new/blobs/uploads/?mount={tool}&from=zoo", "").await;
    assert_eq!(answer.status, 202);
    scene.expect(&[]);
}

#[tokio::test]
async fn a_manifest_that_is_pushed_is_told_of_for_each_of_its_tags_or_once_without() {
    let mut scene = Scene::new().await;
    scene.send(Method::PUT, "/v2/app/manifests/v9", "{other.json}").await;
    scene.expect(&[("push app manifest {other} of {other.size} as v9", true)]);
    scene.send(Method::PUT, "/v2/app/manifests/{other}?tag=a&tag=b", "{other.json}").await;
    scene.expect(&[
        ("push app manifest {other} of {other.size} as a", true),
        ("push app manifest {other} of {other.size} as b", true),
    ]);
    scene.send(Method::PUT, "/v2/app/manifests/{other}", "{other.json}").await;
    scene.expect(&[("push app manifest {other} of {other.size}", true)]);
}

#[tokio::test]
async fn what_is_deleted_is_told_of_when_it_has_gone() {
    let mut scene = Scene::new().await;
    for url in ["/v2/zoo/blobs/{hello}", "/v2/app/manifests/all"] {
        assert_eq!(scene.send(Method::DELETE, url, "").await.status, 202);
    }
    scene.expect(&[("delete zoo blob {hello}", false), ("delete app tag all", false)]);
}

#[tokio::test]
async fn a_manifest_that_is_deleted_is_told_of_after_each_tag_that_went_with_it() {
    let mut scene = Scene::new().await;
    assert_eq!(scene.send(Method::DELETE, "/v2/app/manifests/{image}", "").await.status, 202);
    scene.expect(&[
        ("delete app tag v1", false),
        ("delete app tag v2", false),
        ("delete app manifest {image}", false),
    ]);
}

#[tokio::test]
async fn what_failed_and_what_changes_nothing_that_is_stored_is_not_told_of() {
    let mut scene = Scene::new().await;
    for (method, url, body) in [
        (Method::GET, "/v2/app/blobs/{missing}", ""),
        (Method::HEAD, "/v2/app/manifests/none", ""),
        (Method::POST, "/v2/app/blobs/uploads/?digest={abcdef}", "other"),
        (Method::PUT, "/v2/app/manifests/v1", "{orphan.json}"),
        (Method::PUT, "/v2/app/manifests/v1", "{"),
        (Method::DELETE, "/v2/app/blobs/{missing}", ""),
        (Method::DELETE, "/v2/app/manifests/none", ""),
        (Method::DELETE, "/v2/app/manifests/{missing}", ""),
    ] {
        let answer = scene.send(method.clone(), url, body).await;
        assert!(answer.status.is_client_error(), "{method} {url}: {}", answer.status);
    }
    let range = Request::get("/").header(RANGE, "bytes=99-");
    assert_eq!(scene.send_with(range, "/v2/app/blobs/{hello}", "").await.status, 416);
    for url in ["/", "/v2/", "/v2/_catalog", "/v2/app/tags/list", "/v2/app/referrers/{image}"] {
        assert_eq!(scene.send(Method::GET, url, "").await.status, 200);
    }
    let started = scene.send(Method::POST, "/v2/app/blobs/uploads/", "").await;
    assert_eq!(scene.send(Method::DELETE, started.header("location"), "").await.status, 204);
    scene.expect(&[]);
}

#[tokio::test]
async fn an_event_says_who_when_with_what_and_where_the_target_is() {
    let options = Options { authorizer: Some(Arc::new(Alice)), ..Options::default() };
    let mut scene = Scene::with(options).await;
    scene.fixture.world.clock.advance(Duration::from_secs(3600));
    let request = Request::head("/").header(HOST, "r.example:5000").header(USER_AGENT, "docker/27");
    scene.send_with(request, "/v2/app/manifests/v1", "").await;
    let (event, _) = scene.witness.told.lock().unwrap().pop().unwrap();
    assert_eq!(event.time, registry_store::options::Clock::now(&*scene.fixture.world.clock));
    assert_eq!(event.actor.name(), Some("alice"));
    assert_eq!(event.request.method, Method::HEAD);
    assert_eq!(event.request.host.as_deref(), Some("r.example:5000"));
    assert_eq!(event.request.user_agent.as_deref(), Some("docker/27"));
    let url = scene.fixture.fill_in("http://r.example:5000/v2/app/manifests/{image}");
    assert_eq!(event.url, Some(url.clone()));

    // What a proxy would say is the client's word where none is said to be there.
    let request = Request::get("/").header(HOST, "r.example:5000");
    let request = request.header("X-Forwarded-Host", "evil").header("Forwarded", "host=evil");
    scene.send_with(request, "/v2/app/manifests/v1", "").await;
    let (event, _) = scene.witness.told.lock().unwrap().pop().unwrap();
    assert_eq!(event.url, Some(url));

    scene.send(Method::DELETE, "/v2/app/manifests/v1", "").await;
    let (event, _) = scene.witness.told.lock().unwrap().pop().unwrap();
    assert_eq!((event.url, event.request.user_agent), (None, None));
}

#[tokio::test]
async fn the_address_in_an_event_is_that_of_the_options_where_they_have_one() {
    let locations = Locations::Under("https://public.example/r".to_owned());
    let mut scene = Scene::with(Options { locations, ..Options::default() }).await;
    scene.send(Method::GET, "/v2/app/blobs/{hello}", "").await;
    let (event, _) = scene.witness.told.lock().unwrap().pop().unwrap();
    let url = scene.fixture.fill_in("https://public.example/r/v2/app/blobs/{hello}");
    assert_eq!(event.url, Some(url));
    assert_eq!(event.actor, Actor::anonymous());
}
