//! Accounts with rights of their own, over a socket: what each may do, and that who may not is told nothing.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, DATE, HOST, LINK};
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt as _, Full};
use registry_http::Options;
use registry_http::auth::credentials::Credentials;
use registry_http::auth::htpasswd::Htpasswd;
use registry_http::auth::policy::{Policy, PolicyAuthorizer, Rule, Who};
use registry_http::auth::token::{Challenge, KeySource, TokenVerifier, TrustedKeys};
use registry_http::peer::ClientCertificate;
use registry_store::options::{SystemClock, SystemRandom};
use registry_tests::issuer::{Issuer, access};
use registry_tests::server::{Answer, Client, Protocol, Server, whole};
use serde_json::json;
use tower::ServiceExt as _;

use crate::fixture::Fixture;

/// All have the password `secret`; the hash is by libxcrypt.
pub(crate) const HASH: &str = "$2b$04$BeUDnQxBbQWPcN2EzgO0f.vo1OUzMiyDsHn1b1GcuFYxS48KJR/XW";

pub(crate) fn users() -> Credentials {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("htpasswd");
    let names = ["reader", "pusher", "deleter", "root", "nobody"];
    fs::write(&file, names.map(|name| format!("{name}:{HASH}\n")).concat()).unwrap();
    // The file goes, what it said stays in force.
    let users = Htpasswd::open(&file, &SystemRandom).unwrap();
    Credentials::none().with_users(Arc::new(users))
}

fn rule(who: &str, place: &str, may: &str) -> Rule {
    let who = if who == "everybody" { Who::Everybody } else { who.parse().unwrap() };
    Rule { who: vec![who], places: vec![place.parse().unwrap()], may: may.parse().unwrap() }
}

pub(crate) fn policy(more: &[(&str, &str, &str)]) -> Policy {
    let rules = [
        ("user:reader", "app", "R"),
        ("user:reader", "app/**", "R"),
        ("user:pusher", "app", "RW"),
        ("user:deleter", "app", "RD"),
        ("user:root", "**", "RWDS"),
    ];
    Policy::new(rules.iter().chain(more).map(|(who, place, may)| rule(who, place, may)))
}

pub(crate) fn basic(name: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{name}:secret")))
}

struct Registry {
    fixture: Fixture,
    _server: Server,
    client: Client,
}

impl Registry {
    async fn new(authorizer: PolicyAuthorizer) -> Self {
        let fixture = Fixture::new().await;
        let options = Options { authorizer: Some(Arc::new(authorizer)), ..Options::default() };
        let server = Server::start(fixture.service(options)).await;
        let client = server.connect(Protocol::Http1).await;
        Self { fixture, _server: server, client }
    }

    async fn of_users(more: &[(&str, &str, &str)]) -> Self {
        Self::new(PolicyAuthorizer::new(policy(more), users()).with_basic("r").unwrap()).await
    }

    async fn ask(&mut self, request: &str, given: Option<&str>) -> Answer {
        let (method, url) = request.split_once(' ').unwrap();
        let method: Method = method.parse().unwrap();
        let mut request = Request::builder().method(method).uri(self.fixture.fill_in(url));
        if let Some(given) = given {
            request = request.header(AUTHORIZATION, given);
        }
        self.client.send(request, whole("")).await
    }

    async fn status(&mut self, request: &str, given: Option<&str>) -> u16 {
        self.ask(request, given).await.status.as_u16()
    }
}

#[tokio::test]
async fn an_account_may_do_what_its_rules_allow_and_is_denied_the_rest() {
    let mut registry = Registry::of_users(&[]).await;
    let pull = "GET /v2/app/manifests/v1";
    let push = "POST /v2/app/blobs/uploads/";
    let delete = "DELETE /v2/app/manifests/v2";
    for (name, allowed) in [
        ("reader", &[pull, "GET /v2/app/tools/tags/list", "GET /v2/app/tags/list"][..]),
        ("pusher", &[pull, push]),
        ("deleter", &[pull, delete]),
        ("nobody", &[]),
        ("root", &[pull, push, delete, "GET /v2/zoo/tags/list", "GET /v2/_catalog"]),
    ] {
        let given = basic(name);
        assert_eq!(registry.status("GET /v2/", Some(&given)).await, 200, "{name}");
        for request in [
            pull,
            push,
            "GET /v2/app/tools/tags/list",
            "GET /v2/app/tags/list",
            "GET /v2/zoo/tags/list",
            "GET /v2/_catalog",
            delete,
        ] {
            let answer = registry.ask(request, Some(&given)).await;
            let is_allowed = allowed.contains(&request)
                || name == "deleter" && request == "GET /v2/app/tags/list"
                || name == "pusher" && request == "GET /v2/app/tags/list"
                || name == "root";
            assert_eq!(answer.status != 403, is_allowed, "{name}: {request} {}", answer.status);
            if !is_allowed {
                let error = answer.json()["errors"][0].clone();
                assert_eq!(error["code"], "DENIED");
                assert!(error["detail"][0]["Action"].is_string(), "docker tries the others again");
            }
        }
    }
}

#[tokio::test]
async fn who_may_not_see_a_repository_is_not_told_whether_it_exists() {
    let mut registry = Registry::of_users(&[]).await;
    let comparable = |answer: Answer| -> (u16, HeaderMap, String) {
        let mut headers = answer.headers;
        headers.remove(DATE);
        // What was asked for is told.
        let body = String::from_utf8_lossy(&answer.body).into_owned();
        let body = body.replace("\"Name\":\"not\"", "\"Name\":\"zoo\"");
        (answer.status.as_u16(), headers, body)
    };
    for given in [None, Some(basic("reader")), Some(basic("nobody"))] {
        let expected = if given.is_some() { 403 } else { 401 };
        for (there, not) in [
            ("GET /v2/zoo/tags/list", "GET /v2/not/tags/list"),
            ("HEAD /v2/zoo/manifests/v1", "HEAD /v2/not/manifests/v1"),
            ("GET /v2/zoo/blobs/{hello}", "GET /v2/not/blobs/{hello}"),
            ("GET /v2/zoo/blobs/{hello}", "GET /v2/zoo/blobs/{missing}"),
            ("GET /v2/zoo/referrers/{hello}", "GET /v2/not/referrers/{hello}"),
            ("POST /v2/zoo/blobs/uploads/", "POST /v2/not/blobs/uploads/"),
            ("PUT /v2/zoo/manifests/v1", "PUT /v2/not/manifests/v1"),
            ("DELETE /v2/zoo/blobs/{hello}", "DELETE /v2/not/blobs/{hello}"),
        ] {
            let (there, not) = (
                comparable(registry.ask(there, given.as_deref()).await),
                comparable(registry.ask(not, given.as_deref()).await),
            );
            assert_eq!(there.0, expected);
            assert_eq!(there, not);
        }
    }
    // A mount from there is declined as if the blob were not there.
    for from in ["zoo", "not"] {
        let mount = format!("POST /v2/app/blobs/uploads/?mount={{hello}}&from={from}");
        assert_eq!(registry.status(&mount, Some(&basic("pusher"))).await, 202, "{from}");
    }
}

#[tokio::test]
async fn what_everybody_may_needs_no_credentials_but_bad_ones_do_not_count_as_none() {
    let mut registry = Registry::of_users(&[("everybody", "app/**", "R")]).await;
    let pull = "GET /v2/app/tools/tags/list";
    let empty = format!("Basic {}", BASE64_STANDARD.encode(":"));
    for given in [None, Some(empty.as_str())] {
        assert_eq!(registry.status(pull, given).await, 200);
        assert_eq!(registry.status("GET /v2/app/tags/list", given).await, 401);
        // So that clients learn how they can log in.
        let answer = registry.ask("GET /v2/", given).await;
        assert_eq!(answer.status, 401);
        assert_eq!(answer.header("www-authenticate"), "Basic realm=\"r\"");
    }
    let wrong = format!("Basic {}", BASE64_STANDARD.encode("reader:wrong"));
    let [no_password, no_name] = ["reader:", ":secret"].map(|it| BASE64_STANDARD.encode(it));
    let [no_password, no_name] = [no_password, no_name].map(|it| format!("Basic {it}"));
    for given in [wrong.as_str(), &no_password, &no_name, "Bearer x.y.z", "Basic !"] {
        assert_eq!(registry.status(pull, Some(given)).await, 401, "{given}");
    }
    // Who is known may what everybody may.
    assert_eq!(registry.status(pull, Some(&basic("nobody"))).await, 200);
}

/// The names on a page of the catalog, and what its `Link` asks for.
async fn page(registry: &mut Registry, url: &str, name: &str) -> (Vec<String>, Option<String>) {
    let answer = registry.ask(&format!("GET {url}"), Some(&basic(name))).await;
    assert_eq!(answer.status, 200, "{name}: {url}");
    let names = serde_json::from_value(answer.json()["repositories"].clone()).unwrap();
    let link = answer.headers.get(LINK).map(|link| link.to_str().unwrap().to_owned());
    (names, link.map(|link| link[1..link.find('>').unwrap()].to_owned()))
}

#[tokio::test]
async fn the_catalog_lists_the_repositories_that_an_account_may_search() {
    let mut registry = Registry::of_users(&[
        ("user:reader", "app/**", "S"),
        ("user:reader", "none", "S"),
        ("user:pusher", "zoo", "S"),
        ("user:pusher", "app", "S"),
        ("user:deleter", "none/**", "RS"),
        ("user:root", "app", "S"),
    ])
    .await;
    for (name, expected) in [
        ("reader", &["app/tools"][..]),
        ("pusher", &["app", "zoo"]),
        ("deleter", &[]),
        ("root", &["app", "app/tools", "zoo"]),
    ] {
        assert_eq!(page(&mut registry, "/v2/_catalog", name).await, (strings(expected), None));
        for size in 1..=3 {
            let (mut found, mut next) = (Vec::new(), Some(format!("/v2/_catalog?n={size}")));
            while let Some(url) = next {
                let (names, link) = page(&mut registry, &url, name).await;
                assert!(names.len() == size || link.is_none(), "{name}: {url}");
                (found, next) = ([found, names].concat(), link);
            }
            assert_eq!(found, expected, "{name} in pages of {size}");
        }
    }
    for (last, expected) in
        [("app", &["zoo"][..]), ("b", &["zoo"]), ("zoo", &[]), ("a", &["app", "zoo"])]
    {
        let url = format!("/v2/_catalog?last={last}");
        assert_eq!(page(&mut registry, &url, "pusher").await, (strings(expected), None), "{last}");
    }
    assert_eq!(registry.status("GET /v2/_catalog", Some(&basic("nobody"))).await, 403);
    assert_eq!(registry.status("GET /v2/_catalog", None).await, 401);
}

fn strings(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn without_a_way_to_log_in_what_everybody_may_is_all_there_is() {
    let policy = Policy::new([rule("everybody", "app", "R")]);
    let mut registry = Registry::new(PolicyAuthorizer::new(policy, Credentials::none())).await;
    for (request, status) in [
        ("GET /v2/", 200),
        ("GET /v2/app/manifests/v1", 200),
        ("GET /v2/zoo/tags/list", 403),
        ("GET /v2/not/tags/list", 403),
        ("POST /v2/app/blobs/uploads/", 403),
        ("GET /v2/_catalog", 403),
    ] {
        assert_eq!(registry.status(request, None).await, status, "{request}");
    }
}

#[tokio::test]
async fn a_token_of_another_service_lets_do_what_both_it_and_the_policy_allow() {
    let root = Issuer::root();
    let keys = TrustedKeys::of_certificates(root.certificate.as_bytes()).unwrap();
    let algorithms = registry_http::auth::token::Algorithm::PUBLIC;
    let keys = [KeySource::Keys(keys)];
    let verifier = TokenVerifier::new("i", "s", algorithms, keys, Arc::new(SystemClock)).unwrap();
    let (realm, service) = ("https://auth/token".to_owned(), "s".to_owned());
    let challenge = Challenge { realm, service, auto_redirect: None };
    let policy = Policy::new([
        rule("subject:ci", "app", "RW"),
        rule("user:ci", "zoo", "RW"),
        rule("everybody", "app/**", "R"),
    ]);
    let authorizer = PolicyAuthorizer::new(policy, Credentials::none());
    let mut registry = Registry::new(authorizer.with_tokens(verifier, challenge)).await;
    let token = |subject: &str, name: &str, actions: &[&str]| {
        let claims = json!({
            "iss": "i", "aud": "s", "sub": subject, "exp": 32_000_000_000_u64, "kind": "user",
            "access": access(name, actions),
        });
        format!("Bearer {}", root.token(&json!({"kid": root.jwk()["kid"]}), &claims))
    };
    let both = &["pull", "push", "delete"][..];
    let push = "POST /v2/app/blobs/uploads/";
    for (token, request, status) in [
        (token("ci", "app", both), push, 202),
        (token("ci", "app", &["pull"]), push, 401),
        (token("ci", "app", both), "DELETE /v2/app/manifests/v1", 403),
        (token("ci", "zoo", both), "GET /v2/zoo/tags/list", 403),
        (token("other", "app", both), push, 403),
        (token("", "app", both), push, 401),
        (token("", "app/tools", both), "GET /v2/app/tools/tags/list", 200),
        ("Bearer x.y.z".to_owned(), push, 401),
    ] {
        assert_eq!(registry.status(request, Some(&token)).await, status, "{request}");
    }
}

#[tokio::test]
async fn a_client_goes_by_its_certificate_where_it_brings_nothing_else() {
    let fixture = Fixture::new().await;
    let policy = policy(&[("certificate:CN=builder", "app", "RW")]);
    let authorizer = PolicyAuthorizer::new(policy.clone(), users().with_certificates());
    let blind = PolicyAuthorizer::new(policy, users()).with_basic("r").unwrap();
    let with =
        |authorizer| Options { authorizer: Some(Arc::new(authorizer)), ..Options::default() };
    let (sees, blind) =
        (fixture.service(with(authorizer.with_basic("r").unwrap())), fixture.service(with(blind)));
    let certificate = |name: &str| ClientCertificate {
        common_name: Some(name.to_owned()),
        ..ClientCertificate::default()
    };
    for (service, name, given, request, status) in [
        (&sees, Some("builder"), None, "POST /v2/app/blobs/uploads/", 202),
        (&sees, Some("builder"), None, "GET /v2/", 200),
        // What skopeo and podman send if nobody has logged in.
        (&sees, Some("builder"), Some("Basic Og==".to_owned()), "POST /v2/app/blobs/uploads/", 202),
        (&sees, None, Some("Basic Og==".to_owned()), "GET /v2/app/tags/list", 401),
        (&sees, Some("builder"), None, "GET /v2/zoo/tags/list", 403),
        (&sees, Some("other"), None, "GET /v2/app/tags/list", 403),
        (&sees, None, None, "GET /v2/app/tags/list", 401),
        (&sees, Some("builder"), Some(basic("reader")), "POST /v2/app/blobs/uploads/", 403),
        (&sees, Some("builder"), Some("Bearer x".to_owned()), "GET /v2/app/tags/list", 401),
        (&blind, Some("builder"), None, "GET /v2/app/tags/list", 401),
    ] {
        let (method, url) = request.split_once(' ').unwrap();
        let mut asked = Request::builder().method(method).uri(url).header(HOST, "r");
        if let Some(given) = &given {
            asked = asked.header(AUTHORIZATION, given);
        }
        if let Some(name) = name {
            asked = asked.extension(certificate(name));
        }
        let asked = asked.body(Full::new(Bytes::new())).unwrap();
        let answer = service.clone().oneshot(asked).await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{name:?} {given:?} {request}");
        drop(answer.into_body().collect().await);
    }
}
