//! The token service, over a socket: who gets a token, for what, and what it lets do.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::join_all;
use http::Request;
use http::header::{AUTHORIZATION, HOST, WWW_AUTHENTICATE};
use http::request::Parts;
use http_body_util::{BodyExt as _, Full};
use registry_http::auth::Actor;
use registry_http::auth::credentials::{Credentials, Users};
use registry_http::auth::htpasswd::Htpasswd;
use registry_http::auth::issuer::{Issuer, SigningKey, TokenService};
use registry_http::auth::policy::PolicyAuthorizer;
use registry_http::peer::ClientCertificate;
use registry_http::{Locations, Options, RegistryService};
use registry_store::error::BodyError;
use registry_store::options::{StoreOptions, SystemRandom};
use registry_tests::server::{Answer, Client, Protocol, Server, whole};
use serde_json::Value;
use tower::ServiceExt as _;

use crate::fixture::Fixture;
use crate::policy::{HASH, basic, policy, users};

struct Registry {
    fixture: Fixture,
    server: Server,
    client: Client,
}

impl Registry {
    async fn new(prefix: &str) -> Self {
        Self::located(prefix, Locations::FromRequest, users()).await
    }

    async fn located(prefix: &str, locations: Locations, users: Credentials) -> Self {
        let key = SigningKey::from_pem(SigningKey::generate().unwrap().as_bytes()).unwrap();
        let issuer = Issuer::new(key, "us", "the registry", &StoreOptions::default());
        let policy = Arc::new(policy(&[("everybody", "app/**", "R"), ("user:pusher", "zoo", "S")]));
        let service = TokenService::new(issuer, users.clone(), Arc::clone(&policy));
        let authorizer = PolicyAuthorizer::new(policy, users)
            .with_own_tokens(service.verifier(), service.challenge());
        let fixture = Fixture::new().await;
        let options = Options {
            authorizer: Some(Arc::new(authorizer)),
            tokens: Some(Arc::new(service)),
            locations,
            path_prefix: prefix.to_owned(),
            ..Options::default()
        };
        let server = Server::start(fixture.service(options)).await;
        let client = server.connect(Protocol::Http1).await;
        Self { fixture, server, client }
    }

    async fn ask(&mut self, request: &str, given: Option<&str>) -> Answer {
        let (method, url) = request.split_once(' ').unwrap();
        let mut request = Request::builder().method(method).uri(self.fixture.fill_in(url));
        if let Some(given) = given {
            request = request.header(AUTHORIZATION, given);
        }
        self.client.send(request, whole("")).await
    }

    async fn post(&mut self, form: &str) -> Answer {
        let request = Request::post("/token");
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        self.client.send(request, whole(form.to_owned())).await
    }

    /// A token that the service gives to this user, or to nobody, for these scopes.
    async fn token(&mut self, given: Option<&str>, query: &str) -> (String, Value) {
        let url = format!("GET /token?service=the+registry&{query}");
        let answer = self.ask(&url, given).await;
        assert_eq!(answer.status, 200, "{url}");
        assert_eq!(answer.header("cache-control"), "no-store");
        let answer = answer.json();
        (format!("Bearer {}", answer["token"].as_str().unwrap()), answer["scope"].clone())
    }
}

/// As of all who come by way of a proxy, or of Harbor's core.
#[tokio::test]
async fn right_passwords_that_come_all_at_once_from_one_address_all_get_tokens() {
    for (times, path) in [(40, "/token?service=the+registry"), (300, "/token"), (300, "/v2/")] {
        let registry = Registry::located("", Locations::FromRequest, users()).await;
        let ask = async |_| {
            let mut client = registry.server.connect(Protocol::Http1).await;
            let request = Request::get(path).header(AUTHORIZATION, basic("pusher"));
            client.send(request, whole("")).await.status
        };
        let statuses = join_all((0..times).map(ask)).await;
        assert!(statuses.iter().all(|status| *status == 200), "{path}: {statuses:?}");
    }
}

const PUSH: &str = "POST /v2/app/blobs/uploads/";
const MOUNT: &str = "POST /v2/app/blobs/uploads/?mount={hello}&from=zoo";

#[tokio::test]
async fn a_token_holds_what_is_asked_for_and_allowed_and_lets_do_that() {
    let mut registry = Registry::new("").await;
    let all = "scope=repository:app:pull,push,delete&scope=repository:zoo:pull";
    for (name, query, granted, statuses) in [
        // Pull, push, delete of app; pull of zoo.
        ("reader", all, "repository:app:pull", [200, 403, 403, 403]),
        ("pusher", all, "repository:app:pull,push", [200, 202, 403, 403]),
        ("pusher", "scope=repository:app:*", "repository:app:pull,push", [200, 202, 403, 403]),
        // What he might, but has not asked for.
        ("pusher", "scope=repository:app:pull", "repository:app:pull", [200, 401, 403, 403]),
        ("pusher", "scope=repository:zoo:pull,push", "", [401, 401, 403, 403]),
        ("deleter", all, "repository:app:pull,delete", [200, 403, 202, 403]),
        ("nobody", all, "", [403, 403, 403, 403]),
    ] {
        let (token, scope) = registry.token(Some(&basic(name)), query).await;
        assert_eq!(scope, granted, "{name} {query}");
        let requests = [
            "GET /v2/app/tags/list",
            PUSH,
            "DELETE /v2/app/manifests/all",
            "GET /v2/zoo/tags/list",
        ];
        for (request, status) in requests.into_iter().zip(statuses) {
            let answer = registry.ask(request, Some(&token)).await;
            assert_eq!(answer.status.as_u16(), status, "{name} {query}: {request}");
            if status == 401 {
                let challenge = answer.header("www-authenticate");
                assert!(challenge.ends_with("error=\"insufficient_scope\""), "{challenge}");
            }
        }
        assert_eq!(registry.ask("GET /v2/", Some(&token)).await.status, 200);
    }
    let (token, scope) = registry.token(Some(&basic("root")), "scope=registry:catalog:*").await;
    assert_eq!(scope, "registry:catalog:*");
    assert_eq!(registry.ask("GET /v2/_catalog", Some(&token)).await.status, 200);
    let (token, scope) = registry.token(Some(&basic("pusher")), "scope=registry:catalog:*").await;
    assert_eq!(scope, "registry:catalog:*");
    let listed = registry.ask("GET /v2/_catalog", Some(&token)).await;
    assert_eq!(listed.json()["repositories"], serde_json::json!(["zoo"]));
    let (token, _) = registry.token(Some(&basic("reader")), "scope=registry:catalog:*").await;
    assert_eq!(registry.ask("GET /v2/_catalog", Some(&token)).await.status, 403);
}

#[tokio::test]
async fn who_is_not_known_gets_a_token_for_what_everybody_may() {
    let mut registry = Registry::new("").await;
    let query = "scope=repository:app/tools:pull,push&scope=repository:app:pull";
    let (token, scope) = registry.token(None, query).await;
    assert_eq!(scope, "repository:app/tools:pull");
    assert_eq!(registry.ask("GET /v2/app/tools/tags/list", Some(&token)).await.status, 200);
    // He may log in, so that it is not denied.
    for request in [PUSH, "GET /v2/app/tags/list", "GET /v2/zoo/tags/list", "GET /v2/not/tags/list"]
    {
        assert_eq!(registry.ask(request, Some(&token)).await.status, 401, "{request}");
    }
}

#[tokio::test]
async fn who_gives_a_wrong_password_gets_none_whether_he_exists_or_not() {
    let mut registry = Registry::new("").await;
    let wrong = "Basic cmVhZGVyOndyb25n";
    let unknown = "Basic c3RyYW5nZXI6c2VjcmV0";
    let mut bodies = Vec::new();
    for given in [wrong, unknown, "Bearer x", "Basic !"] {
        let answer = registry.ask("GET /token?scope=repository:app/tools:pull", Some(given)).await;
        assert_eq!(answer.status, 401, "{given}");
        assert_eq!(answer.header("www-authenticate"), "Basic realm=\"the registry\"");
        assert_eq!(answer.json()["errors"][0]["code"], "UNAUTHORIZED");
        bodies.push(answer.body);
    }
    for form in [
        "grant_type=password&username=reader&password=wrong&client_id=t",
        "grant_type=password&username=stranger&password=secret&client_id=t",
        "grant_type=refresh_token&refresh_token=x.y.z&client_id=t",
    ] {
        let answer = registry.post(form).await;
        assert_eq!(answer.status, 401, "{form}");
        assert_eq!(answer.json()["error"], "invalid_grant");
        bodies.push(answer.body);
    }
    assert!(bodies.iter().all(|body| *body == bodies[0]));
    for (form, error) in [
        ("grant_type=client_credentials", "unsupported_grant_type"),
        ("", "invalid_request"),
        ("grant_type=password&service=other&username=reader&password=secret", "invalid_request"),
        (&"x".repeat(64 * 1024 + 1), "invalid_request"),
    ] {
        let answer = registry.post(form).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["error"]), (400, &error.into()));
    }
    let answer = registry.ask("PUT /token", None).await;
    assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, "GET, HEAD, POST, OPTIONS"));
}

#[tokio::test]
async fn a_refresh_token_fetches_others_and_is_none_itself() {
    let mut registry = Registry::new("").await;
    let login =
        "grant_type=password&username=pusher&password=secret&access_type=offline&client_id=t";
    let answer = registry.post(login).await.json();
    let refresh = answer["refresh_token"].as_str().unwrap().to_owned();
    let scope = "scope=repository%3Aapp%3Apull%2Cpush+repository%3Azoo%3Apull";
    let form = format!("grant_type=refresh_token&refresh_token={refresh}&{scope}");
    let fetched = registry.post(&form).await.json();
    assert_eq!(fetched["scope"], "repository:app:pull,push");
    let token = format!("Bearer {}", fetched["access_token"].as_str().unwrap());
    assert_eq!(registry.ask(PUSH, Some(&token)).await.status, 202);
    let refused = registry.ask(PUSH, Some(&format!("Bearer {refresh}"))).await;
    assert_eq!(refused.status, 401);
    assert!(refused.header("www-authenticate").ends_with("error=\"invalid_token\""));
    // By GET it comes when it is asked for.
    let url =
        "GET /token?account=pusher&client_id=docker&offline_token=true&service=the%20registry";
    let by_query = registry.ask(url, Some(&basic("pusher"))).await.json();
    assert!(by_query["refresh_token"].is_string());
    let (_, without) = registry.token(Some(&basic("pusher")), "offline_token=false").await;
    assert_eq!(without, "");
}

#[tokio::test]
async fn clients_are_sent_to_the_address_they_have_come_by() {
    // Where locations are to be relative, too: else passwords would go in clear that were to go by TLS.
    for (prefix, locations) in [
        ("", Locations::FromRequest),
        ("/registry", Locations::FromRequest),
        ("", Locations::Relative),
        ("/registry", Locations::Relative),
    ] {
        let mut registry = Registry::located(prefix, locations, users()).await;
        for (forwarded, base) in
            [(None, "http://r.example.com:1"), (Some("https"), "https://r.example.com:1")]
        {
            let mut request =
                Request::get(format!("{prefix}/v2/app/tags/list")).header(HOST, "r.example.com:1");
            if let Some(scheme) = forwarded {
                request = request.header("x-forwarded-proto", scheme);
            }
            let answer = registry.client.send(request, whole("")).await;
            assert_eq!(
                answer.header("www-authenticate"),
                format!(
                    "Bearer realm=\"{base}{prefix}/token\",service=\"the registry\",scope=\"repository:app:pull\""
                )
            );
        }
        // What a proxy says of the host that can be none does not count.
        for (name, value) in [("forwarded", "host=;proto=http"), ("x-forwarded-host", "a b")] {
            let request = Request::get(format!("{prefix}/v2/app/tags/list"));
            let request = request.header(HOST, "r.example.com:1").header(name, value);
            let answer = registry.client.send(request, whole("")).await;
            let realm = format!("Bearer realm=\"http://r.example.com:1{prefix}/token\"");
            assert!(answer.header("www-authenticate").starts_with(&realm), "{name}: {value}");
        }
        let url = format!("GET {prefix}/token?scope=repository:app:pull");
        assert_eq!(registry.ask(&url, Some(&basic("reader"))).await.status, 200);
        // A password does at the registry itself, too.
        let url = format!("GET {prefix}/v2/app/tags/list");
        assert_eq!(registry.ask(&url, Some(&basic("reader"))).await.status, 200);
    }
}

/// A request of a client with a certificate, if any.
async fn by_certificate(
    service: &RegistryService,
    request: &str,
    given: Option<&str>,
    certificate: Option<&ClientCertificate>,
) -> (u16, String, Value) {
    let (method, url) = request.split_once(' ').unwrap();
    let mut asked = Request::builder().method(method).uri(url).header(HOST, "r");
    if let Some(given) = given {
        asked = asked.header(AUTHORIZATION, given);
    }
    if let Some(certificate) = certificate {
        asked = asked.extension(certificate.clone());
    }
    let asked = asked.body(Full::new(Bytes::new())).unwrap();
    let answer = service.clone().oneshot(asked).await.unwrap();
    let challenge = answer.headers().get(WWW_AUTHENTICATE);
    let challenge = challenge.map_or("", |value| value.to_str().unwrap()).to_owned();
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, challenge, serde_json::from_slice(&body).unwrap_or_default())
}

#[tokio::test]
async fn the_holder_of_a_certificate_may_by_his_token_what_he_may_without_it() {
    let pem = SigningKey::generate().unwrap();
    let fixture = Fixture::new().await;
    let rules = [("certificate:DNS=builder.example.com", "app", "RW"), ("everybody", "zoo", "R")];
    // The same registry, and one that was started anew with narrower rules.
    let [service, narrower] = [&rules[..], &rules[1..]].map(|rules| {
        let key = SigningKey::from_pem(pem.as_bytes()).unwrap();
        let issuer = Issuer::new(key, "us", "s", &StoreOptions::default());
        let policy = Arc::new(policy(rules));
        let users = users().with_certificates();
        let tokens = TokenService::new(issuer, users.clone(), Arc::clone(&policy));
        let authorizer = PolicyAuthorizer::new(policy, users)
            .with_own_tokens(tokens.verifier(), tokens.challenge());
        let (authorizer, tokens) = (Some(Arc::new(authorizer) as _), Some(Arc::new(tokens)));
        fixture.service(Options { authorizer, tokens, ..Options::default() })
    });
    // Called like a user, who may push to `app` and delete in it.
    let certificate = |dns: &str| ClientCertificate {
        common_name: Some("root".to_owned()),
        dns_names: vec![dns.to_owned()],
        fingerprint: "ab".repeat(32),
        ..ClientCertificate::default()
    };
    let requests = [
        "GET /v2/",
        "GET /v2/app/tags/list",
        PUSH,
        "DELETE /v2/app/manifests/all",
        "GET /v2/zoo/tags/list",
        "POST /v2/zoo/blobs/uploads/",
        "GET /v2/not/tags/list",
        "GET /v2/_catalog",
    ];
    let all = "scope=repository:app:*&scope=repository:zoo:*&scope=repository:not:*&scope=registry:catalog:*";
    for (dns, scope) in [
        ("builder.example.com", "repository:app:pull,push repository:zoo:pull"),
        ("other.example.com", "repository:zoo:pull"),
    ] {
        let certificate = certificate(dns);
        let of_him = Some(&certificate);
        let url = format!("GET /token?service=s&offline_token=true&{all}");
        let (_, _, answer) = by_certificate(&service, &url, None, of_him).await;
        assert_eq!((&answer["scope"], &answer["refresh_token"]), (&scope.into(), &Value::Null));
        let token = format!("Bearer {}", answer["token"].as_str().unwrap());
        for request in requests {
            let direct = by_certificate(&service, request, None, of_him).await.0;
            // The token is what counts, whoever sends it.
            for who in [of_him, None] {
                let by_token = by_certificate(&service, request, Some(&token), who).await.0;
                assert_eq!(by_token, direct, "{dns}: {request}");
            }
        }
        let (status, ..) = by_certificate(&narrower, PUSH, Some(&token), None).await;
        assert_eq!(status, 403, "what the policy no longer allows");
        // What he might, but has not asked for.
        let (_, _, answer) = by_certificate(&service, "GET /token?service=s", None, of_him).await;
        let token = format!("Bearer {}", answer["token"].as_str().unwrap());
        let (status, challenge, _) = by_certificate(&service, PUSH, Some(&token), None).await;
        if dns.starts_with("builder") {
            assert_eq!(status, 401);
            assert!(challenge.ends_with("error=\"insufficient_scope\""), "{challenge}");
        } else {
            assert_eq!(status, 403);
        }
    }
}

#[tokio::test]
async fn a_mount_is_declined_where_the_token_or_the_policy_does_not_let_read_the_source() {
    let mut registry = Registry::new("").await;
    let target = "scope=repository:app:pull,push";
    let zoo = format!("{target}&scope=repository:zoo:pull");
    for (name, scopes, status) in [
        ("root", zoo.as_str(), 201),
        // He might, but has not asked for it.
        ("root", target, 202),
        // He has asked for it, and may not.
        ("pusher", zoo.as_str(), 202),
        // Not even the target.
        ("root", "scope=repository:zoo:pull", 401),
        ("reader", zoo.as_str(), 403),
    ] {
        let (token, _) = registry.token(Some(&basic(name)), scopes).await;
        let answer = registry.ask(MOUNT, Some(&token)).await;
        assert_eq!(answer.status.as_u16(), status, "{name} {scopes}");
    }
}

#[tokio::test]
async fn who_may_not_read_the_source_of_a_mount_is_told_what_to_fetch_for_the_target() {
    let mut registry = Registry::new("").await;
    for scopes in
        ["scope=repository:app:pull", "scope=repository:app:pull&scope=repository:zoo:pull"]
    {
        let (token, _) = registry.token(Some(&basic("pusher")), scopes).await;
        let answer = registry.ask(MOUNT, Some(&token)).await;
        assert_eq!(answer.status, 401, "{scopes}");
        let challenge = answer.header("www-authenticate");
        let scope = "scope=\"repository:app:pull,push\",error=\"insufficient_scope\"";
        assert!(challenge.ends_with(scope), "{challenge}");
        let names = answer.json()["errors"][0]["detail"].as_array().unwrap().clone();
        assert!(names.iter().all(|it| it["Name"] == "app"), "{names:?}");
    }
    // With that the mount is declined.
    let target = "scope=repository:app:pull,push";
    let (token, _) = registry.token(Some(&basic("pusher")), target).await;
    assert_eq!(registry.ask(MOUNT, Some(&token)).await.status, 202);
}

#[tokio::test]
async fn refresh_tokens_end_with_the_password_that_stands_in_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("htpasswd");
    let good = format!("pusher:{HASH}\n");
    fs::write(&file, &good).unwrap();
    let users = Htpasswd::open(&file, &SystemRandom).unwrap();
    let users = Credentials::none().with_users(Arc::new(users));
    let mut registry = Registry::located("", Locations::FromRequest, users).await;
    let login = "grant_type=password&username=pusher&password=secret&access_type=offline";
    let answer = registry.post(login).await.json();
    let refresh = answer["refresh_token"].as_str().unwrap();
    assert!(!answer.to_string().contains("$2b$"));
    let form = format!("grant_type=refresh_token&refresh_token={refresh}");
    // The same password by another hash, another user, no hash of bcrypt.
    let again = good.replace("BeUDnQxBbQWPcN2EzgO0f.", "CeUDnQxBbQWPcN2EzgO0f.");
    for (text, status) in [
        (good.as_str(), 200),
        (&again, 401),
        (&good, 200),
        (&good.replace("pusher", "other"), 401),
        ("", 401),
        ("pusher:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n", 401),
        (&format!("{good}pusher:{{SHA}}5en6G6MezRroT3XKqkdPOmY/BfQ=\n"), 401),
        (&format!("other:{HASH}\n{good}"), 200),
    ] {
        // Another file of that name: a text of the same length at the same moment would be the same file.
        let new = directory.path().join("new");
        fs::write(&new, text).unwrap();
        fs::rename(&new, &file).unwrap();
        assert_eq!(registry.post(&form).await.status.as_u16(), status, "{text}");
    }
}

/// Users who cannot be looked up now.
struct Busy;

#[async_trait]
impl Users for Busy {
    async fn is_right(&self, _: &Parts, _: &str, _: &str) -> Result<bool, BodyError> {
        Err("too many wait, hunter2 among them".into())
    }

    async fn mark(&self, _: &str) -> Result<Option<String>, BodyError> {
        Err("the same".into())
    }
}

#[tokio::test]
async fn where_passwords_cannot_be_looked_at_now_it_is_said_when_to_come_again() {
    let users = Credentials::none().with_users(Arc::new(Busy));
    let mut registry = Registry::located("", Locations::FromRequest, users).await;
    let given = basic("reader");
    let login = "grant_type=password&username=reader&password=secret";
    for answer in [
        registry.ask("GET /v2/", Some(&given)).await,
        registry.ask("GET /v2/app/tags/list", Some(&given)).await,
        registry.ask(PUSH, Some(&given)).await,
        registry.ask("GET /token?service=the+registry", Some(&given)).await,
        registry.post(login).await,
    ] {
        assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, "5"));
        assert_eq!(answer.json()["errors"][0]["code"], "UNAVAILABLE");
        assert!(!String::from_utf8_lossy(&answer.body).contains("hunter2"));
    }
    // Who brings nothing is not kept waiting by it.
    assert_eq!(registry.ask("GET /v2/app/tools/tags/list", None).await.status, 200);
}

#[tokio::test]
async fn who_gets_a_token_is_known_to_those_who_tell_of_requests() {
    let registry = Registry::new("").await;
    let key = SigningKey::from_pem(SigningKey::generate().unwrap().as_bytes()).unwrap();
    let issuer = Issuer::new(key, "us", "s", &StoreOptions::default());
    let tokens = TokenService::new(issuer, users(), policy(&[]));
    let service =
        registry.fixture.service(Options { tokens: Some(Arc::new(tokens)), ..Options::default() });
    let wrong = Some("Basic cmVhZGVyOndyb25n".to_owned());
    for (given, actor) in [
        (Some(basic("reader")), Some(Actor::named("reader"))),
        (None, Some(Actor::anonymous())),
        (wrong, None),
    ] {
        let mut request = Request::get("/token").header(HOST, "r");
        if let Some(given) = &given {
            request = request.header(AUTHORIZATION, given);
        }
        let request = request.body(Full::new(Bytes::new())).unwrap();
        let answer = service.clone().oneshot(request).await.unwrap();
        assert_eq!(answer.extensions().get::<Actor>(), actor.as_ref(), "{given:?}");
    }
}
