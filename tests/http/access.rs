//! Who may do what: what each request needs, how a refusal looks, and that nothing is touched before the verdict.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderValue, Method, Request, request};
use registry_http::auth::{Access, Action, Actor, Authorizer, Denial, scope};
use registry_http::{Options, service};
use registry_store::backend::MemoryBackend;
use registry_store::digest::Digest;
use registry_store::options::StoreOptions;
use registry_store::store::Store;
use registry_tests::backends::CountedBackend;
use registry_tests::documents::push_image;
use registry_tests::plain_http;
use registry_tests::server::{Client, Protocol, Server, whole};
use registry_tests::world::{push, repository};
use tokio::task::spawn_blocking;

use crate::fixture::Fixture;

const ID: &str = "6b3c9a93-af5d-473f-a4ff-9710022185cd";

/// Answers as it was told to, then lets everything pass; keeps what it was asked.
#[derive(Debug, Default)]
struct Scripted {
    verdicts: Mutex<VecDeque<Result<Actor, Denial>>>,
    asked: Mutex<Vec<Vec<Access>>>,
}

impl Scripted {
    fn new(verdicts: impl IntoIterator<Item = Result<Actor, Denial>>) -> Arc<Self> {
        let verdicts = Mutex::new(verdicts.into_iter().collect());
        Arc::new(Self { verdicts, asked: Mutex::default() })
    }

    /// What it was asked since the last time, each as a scope.
    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().drain(..).map(|needed| scope(&needed)).collect()
    }
}

#[async_trait]
impl Authorizer for Scripted {
    async fn authorize(&self, _: &Parts, needed: &[Access]) -> Result<Actor, Denial> {
        self.asked.lock().unwrap().push(needed.to_vec());
        self.verdicts.lock().unwrap().pop_front().unwrap_or_else(|| Ok(Actor::anonymous()))
    }
}

/// Knows one password, and tells those who do not give it what it would take.
#[derive(Debug)]
struct Password;

#[async_trait]
impl Authorizer for Password {
    async fn authorize(&self, head: &Parts, needed: &[Access]) -> Result<Actor, Denial> {
        if head.headers.get(AUTHORIZATION).is_some_and(|given| given == "Basic b2s=") {
            return Ok(Actor::named("somebody"));
        }
        Err(unauthorized(&format!("Bearer realm=\"r\",scope=\"{}\"", scope(needed))))
    }
}

fn unauthorized(challenge: &str) -> Denial {
    Denial::Unauthorized { challenges: vec![HeaderValue::from_str(challenge).unwrap()] }
}

fn ask(method: Method, url: &str) -> request::Builder {
    Request::builder().method(method).uri(url)
}

fn with(authorizer: Arc<dyn Authorizer>) -> Options {
    Options { authorizer: Some(authorizer), ..Options::default() }
}

/// A server with the fixture's content that asks `authorizer`, and a connection to it.
async fn serve(authorizer: Arc<dyn Authorizer>) -> (Fixture, Server, Client) {
    let fixture = Fixture::new().await;
    let server = Server::start(fixture.service(with(authorizer))).await;
    let client = server.connect(Protocol::Http1).await;
    (fixture, server, client)
}

/// Every request there is, and the scope of what it needs. `{hello}` is a blob of `app` and `zoo`.
fn every_request() -> Vec<(Method, String, &'static str)> {
    const PULL: &str = "repository:app:pull";
    const PUSH: &str = "repository:app:pull,push";
    const DELETE: &str = "repository:app:delete";
    let (get, head, put, post) = (Method::GET, Method::HEAD, Method::PUT, Method::POST);
    let (patch, delete) = (Method::PATCH, Method::DELETE);
    let session = format!("/v2/app/blobs/uploads/{ID}");
    let uploads = "/v2/app/blobs/uploads/";
    [
        (get.clone(), "/v2/".to_owned(), ""),
        (get.clone(), "/v2/_catalog".to_owned(), "registry:catalog:*"),
        (get.clone(), "/v2/app/tags/list".to_owned(), PULL),
        (get.clone(), "/v2/app/referrers/{image}".to_owned(), PULL),
        (get.clone(), "/v2/app/blobs/{hello}".to_owned(), PULL),
        (head.clone(), "/v2/app/blobs/{hello}".to_owned(), PULL),
        (get.clone(), "/v2/app/manifests/v1".to_owned(), PULL),
        (head.clone(), "/v2/app/manifests/{image}".to_owned(), PULL),
        (put.clone(), "/v2/app/manifests/v1".to_owned(), PUSH),
        (put.clone(), "/v2/app/manifests/{image}?tag=a&tag=b".to_owned(), PUSH),
        (post.clone(), uploads.to_owned(), PUSH),
        (post.clone(), format!("{uploads}?digest={{hello}}"), PUSH),
        (post.clone(), format!("{uploads}?mount={{hello}}"), PUSH),
        (post.clone(), format!("{uploads}?mount={{hello}}&from=app"), PUSH),
        (
            post,
            format!("{uploads}?mount={{hello}}&from=zoo"),
            "repository:app:pull,push repository:zoo:pull",
        ),
        (get, session.clone(), PUSH),
        (head, session.clone(), PUSH),
        (patch, session.clone(), PUSH),
        (put, format!("{session}?digest={{hello}}"), PUSH),
        (delete.clone(), session, "repository:app:push"),
        (delete.clone(), "/v2/app/blobs/{hello}".to_owned(), DELETE),
        (delete.clone(), "/v2/app/manifests/v1".to_owned(), DELETE),
        (delete, "/v2/app/manifests/{image}".to_owned(), DELETE),
    ]
    .into()
}

#[tokio::test]
async fn every_request_asks_once_for_what_it_needs() {
    let scripted = Scripted::new([]);
    let (fixture, _server, mut client) = serve(scripted.clone()).await;
    for (method, url, needed) in every_request() {
        client.send(ask(method.clone(), &fixture.fill_in(&url)), whole("")).await;
        assert_eq!(scripted.asked(), [needed], "{method} {url}");
    }
}

#[tokio::test]
async fn nobody_is_asked_about_the_root_about_options_or_about_what_no_registry_has() {
    let scripted = Scripted::new([]);
    let (fixture, _server, mut client) = serve(scripted.clone()).await;
    for (method, url, status) in [
        (Method::GET, "/", 200),
        (Method::OPTIONS, "/v2/", 200),
        (Method::OPTIONS, "/v2/app/manifests/v1", 200),
        (Method::GET, "/v2/nowhere", 404),
        (Method::GET, "/v2/APP/tags/list", 400),
        (Method::GET, "/v2/app/manifests/-", 404),
        (Method::GET, "/v2/app/tags/list?n=x", 400),
        (Method::POST, "/v2/app/tags/list", 405),
        (Method::PUT, "/v2/app/blobs/uploads/no-uuid", 404),
    ] {
        let answer = client.send(ask(method.clone(), &fixture.fill_in(url)), whole("")).await;
        assert_eq!(answer.status, status, "{method} {url}");
    }
    assert!(scripted.asked().is_empty());
}

#[tokio::test]
async fn what_is_refused_touches_no_storage_and_looks_the_same_whatever_is_stored() {
    let backend = CountedBackend::new(Arc::new(MemoryBackend::new()));
    let store = Store::new(Arc::new(backend.clone()), StoreOptions::default());
    let app = repository(&store, "app");
    let image = push_image(&app, b"{}", &[], "v1").await;
    let hello = push(&app, b"hello world").await;
    let server = Server::start(service(store, with(Arc::new(Password)))).await;
    let mut client = server.connect(Protocol::Http1).await;
    backend.reset();

    for (method, url, _) in every_request() {
        let url = url.replace("{hello}", &hello.to_string()).replace("{image}", &image.to_string());
        let there = client.send(ask(method.clone(), &url), whole("")).await;
        assert_eq!(there.status, 401, "{method} {url}");
        let elsewhere = url.replace("app", "nix");
        let nothing = client.send(ask(method.clone(), &elsewhere), whole("")).await;
        // What was asked for is told, and nothing else.
        let nothing_said = String::from_utf8_lossy(&nothing.body).replace("nix", "app");
        let there_said = String::from_utf8_lossy(&there.body);
        assert_eq!(
            (nothing.status, &*nothing_said),
            (there.status, &*there_said),
            "{method} {url}"
        );
    }
    assert_eq!(backend.counts().total(), 0);
}

#[tokio::test]
async fn challenges_are_sent_as_they_are_each_in_a_header_of_its_own() {
    let challenges = ["Bearer realm=\"https://a/b?c=d\",service=\"x, y\"", "Basic realm=\"z\""];
    let values = challenges.map(HeaderValue::from_static).into();
    let scripted = Scripted::new([Err(Denial::Unauthorized { challenges: values })]);
    let (_fixture, _server, mut client) = serve(scripted).await;
    let answer = client.send(ask(Method::HEAD, "/v2/app/manifests/v1"), whole("")).await;
    assert_eq!(answer.status, 401);
    let sent: Vec<_> = answer.headers.get_all(WWW_AUTHENTICATE).iter().collect();
    assert_eq!(sent, challenges);
}

#[tokio::test]
async fn who_may_not_is_denied_and_a_verdict_that_cannot_be_had_is_not_the_client_s_fault() {
    let unavailable = Denial::Unavailable { reason: "ldap://secret is down".into() };
    let scripted = Scripted::new([Err(Denial::Denied), Err(unavailable)]);
    let (_fixture, _server, mut client) = serve(scripted).await;
    for (status, code, retry) in [(403, "DENIED", ""), (503, "UNAVAILABLE", "5")] {
        let answer = client.send(ask(Method::DELETE, "/v2/app/manifests/v1"), whole("")).await;
        assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (status, retry));
        assert_eq!(answer.json()["errors"][0]["code"], code);
        assert!(!String::from_utf8_lossy(&answer.body).contains("secret"));
    }
    let answer = client.send(ask(Method::GET, "/v2/app/manifests/v1"), whole("")).await;
    assert_eq!(answer.status, 200, "it is still there");
}

#[tokio::test]
async fn a_mount_from_what_may_not_be_read_is_an_upload_session() {
    for refused in [Denial::Denied, unauthorized("Bearer all")] {
        let scripted = Scripted::new([Err(refused), Ok(Actor::anonymous())]);
        let (fixture, _server, mut client) = serve(scripted.clone()).await;
        let url = fixture.fill_in("/v2/new/blobs/uploads/?mount={hello}&from=app");
        let answer = client.send(ask(Method::POST, &url), whole("")).await;
        assert_eq!(answer.status, 202);
        let both = "repository:new:pull,push";
        assert_eq!(scripted.asked(), [format!("{both} repository:app:pull"), both.to_owned()]);

        // As if the blob were not there, and it can be pushed.
        let digest = fixture.fill_in("{hello}");
        let url = format!("{}&digest={digest}", answer.header("location"));
        let pushed = client.send(ask(Method::PUT, &url), whole("hello world")).await;
        assert_eq!(pushed.status, 201);
    }
}

#[tokio::test]
async fn a_mount_into_what_may_not_be_pushed_to_is_refused_with_the_challenge_that_names_all() {
    let (fixture, _server, mut client) = serve(Arc::new(Password)).await;
    let url = fixture.fill_in("/v2/new/blobs/uploads/?mount={hello}&from=app");
    let answer = client.send(ask(Method::POST, &url), whole("")).await;
    assert_eq!(answer.status, 401);
    let scope = "Bearer realm=\"r\",scope=\"repository:new:pull,push repository:app:pull\"";
    assert_eq!(answer.header("www-authenticate"), scope);
}

#[tokio::test]
async fn a_mount_that_nobody_can_judge_is_not_taken_for_one_that_is_refused() {
    let unavailable = || Err(Denial::Unavailable { reason: "down".into() });
    let slower = || Err(Denial::TooManyRequests { retry_after: Duration::ZERO });
    for (verdicts, status, count) in [
        (vec![unavailable()], 503, 1),
        (vec![slower()], 429, 1),
        (vec![Err(Denial::Denied), unavailable()], 503, 2),
    ] {
        let scripted = Scripted::new(verdicts);
        let (fixture, _server, mut client) = serve(scripted.clone()).await;
        let url = fixture.fill_in("/v2/new/blobs/uploads/?mount={hello}&from=app");
        let answer = client.send(ask(Method::POST, &url), whole("")).await;
        assert_eq!(answer.status, status);
        assert_eq!(scripted.asked().len(), count);
    }
}

#[tokio::test]
async fn with_an_authorizer_a_blob_is_mounted_from_where_the_client_says_and_from_nowhere_else() {
    let (fixture, _server, mut client) = serve(Scripted::new([])).await;
    for (query, status) in [("mount={hello}", 202), ("mount={hello}&from=app", 201)] {
        let url = fixture.fill_in(&format!("/v2/new/blobs/uploads/?{query}"));
        let answer = client.send(ask(Method::POST, &url), whole("")).await;
        assert_eq!(answer.status, status, "{query}");
    }
}

#[tokio::test]
async fn a_body_that_comes_with_a_refused_request_is_not_waited_for() {
    let fixture = Fixture::new().await;
    let options = Options { drain_limit: 0, ..with(Arc::new(Password)) };
    let server = Server::start(fixture.service(options)).await;
    let address = server.address();
    let answer = spawn_blocking(move || {
        use std::io::Write as _;
        let mut stream = plain_http::connect(address);
        let length = 1_u64 << 40;
        let digest = Digest::sha256(b"");
        write!(
            stream,
            "POST /v2/app/blobs/uploads/?digest={digest} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\nabc"
        )
        .unwrap();
        plain_http::answer(&mut stream, true)
    });
    let answer = answer.await.unwrap();
    assert_eq!((answer.status, answer.header("connection")), (401, Some("close")));
}

#[tokio::test]
async fn a_small_body_of_a_refused_request_does_not_cost_the_connection() {
    let (_fixture, server, _client) = serve(Arc::new(Password)).await;
    let address = server.address();
    let answers = spawn_blocking(move || {
        use std::io::Write as _;
        let mut stream = plain_http::connect(address);
        let body = "x".repeat(200_000);
        let length = body.len();
        write!(
            stream,
            "PUT /v2/app/manifests/b HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{body}\
             GET / HTTP/1.1\r\nHost: x\r\n\r\n"
        )
        .unwrap();
        [plain_http::answer(&mut stream, true).status, plain_http::answer(&mut stream, true).status]
    });
    assert_eq!(answers.await.unwrap(), [401, 200]);
}

#[test]
fn an_action_is_called_as_in_a_token() {
    let called = [Action::Pull, Action::Push, Action::Delete].map(|action| action.to_string());
    assert_eq!(called, ["pull", "push", "delete"]);
}
