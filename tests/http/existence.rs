//! Who may not see it is not told whether it is there: what is refused looks the same for what exists and what does not.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::{fs, iter};

use http::header::{AUTHORIZATION, DATE};
use http::{Method, Request};
use registry_http::Options;
use registry_http::auth::Authorizer;
use registry_http::auth::basic::BasicAuthorizer;
use registry_http::auth::htpasswd::Htpasswd;
use registry_http::auth::issuer::{Issuer as OwnIssuer, SigningKey, TokenService};
use registry_http::auth::policy::PolicyAuthorizer;
use registry_http::auth::token::{
    Algorithm as Signing, Challenge, KeySource, TokenAuthorizer, TokenVerifier, TrustedKeys,
};
use registry_store::digest::Algorithm;
use registry_store::options::{StoreOptions, SystemClock, SystemRandom};
use registry_tests::issuer::{Issuer, access};
use registry_tests::server::{Client, Protocol, Server, whole};
use serde_json::json;

use crate::fixture::Fixture;
use crate::policy::{basic, policy, users};

const NOBODY_S: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const NO_SESSION: &str = "6b3c9a93-af5d-473f-a4ff-9710022185cd";

/// Requests, each for what is there and for what is not. The names are as long as each other.
const PAIRS: &[(&str, &str, &str)] = &[
    ("GET", "/v2/app/tags/list", "/v2/not/tags/list"),
    ("GET", "/v2/app/manifests/v1", "/v2/app/manifests/v0"),
    ("HEAD", "/v2/app/manifests/v1", "/v2/app/manifests/v0"),
    ("GET", "/v2/app/manifests/v1", "/v2/not/manifests/v1"),
    ("GET", "/v2/app/manifests/{image}", "/v2/app/manifests/{nobody's}"),
    ("PUT", "/v2/app/manifests/v1", "/v2/app/manifests/v0"),
    ("PUT", "/v2/app/manifests/v1", "/v2/not/manifests/v1"),
    ("DELETE", "/v2/app/manifests/v1", "/v2/app/manifests/v0"),
    ("DELETE", "/v2/app/manifests/{image}", "/v2/app/manifests/{nobody's}"),
    ("GET", "/v2/app/blobs/{hello}", "/v2/app/blobs/{nobody's}"),
    ("HEAD", "/v2/app/blobs/{hello}", "/v2/app/blobs/{nobody's}"),
    ("GET", "/v2/app/blobs/{hello}", "/v2/not/blobs/{hello}"),
    ("DELETE", "/v2/app/blobs/{hello}", "/v2/app/blobs/{nobody's}"),
    ("GET", "/v2/app/referrers/{image}", "/v2/app/referrers/{nobody's}"),
    ("POST", "/v2/app/blobs/uploads/", "/v2/not/blobs/uploads/"),
    (
        "POST",
        "/v2/app/blobs/uploads/?mount={hello}&from=zoo",
        "/v2/app/blobs/uploads/?mount={hello}&from=not",
    ),
    (
        "POST",
        "/v2/app/blobs/uploads/?mount={hello}&from=zoo",
        "/v2/app/blobs/uploads/?mount={nobody's}&from=zoo",
    ),
    ("GET", "/v2/app/blobs/uploads/{session}", "/v2/app/blobs/uploads/{none}"),
    ("PATCH", "/v2/app/blobs/uploads/{session}", "/v2/app/blobs/uploads/{none}"),
    (
        "PUT",
        "/v2/app/blobs/uploads/{session}?digest={hello}",
        "/v2/app/blobs/uploads/{none}?digest={hello}",
    ),
    ("DELETE", "/v2/app/blobs/uploads/{session}", "/v2/app/blobs/uploads/{none}"),
];

/// All that a client sees, with the names of what it has asked for taken out.
async fn seen(client: &mut Client, method: &str, url: &str, given: Option<&str>) -> String {
    let method: Method = method.parse().unwrap();
    let mut request = Request::builder().method(method).uri(url);
    if let Some(given) = given {
        request = request.header(AUTHORIZATION, given);
    }
    let answer = client.send(request, whole("")).await;
    assert!(matches!(answer.status.as_u16(), 401 | 403), "{url}: {}", answer.status);
    let mut headers = answer.headers.clone();
    headers.remove(DATE);
    let body = String::from_utf8_lossy(&answer.body);
    format!("{} {headers:?} {body}", answer.status)
        .replace("repository:not:", "repository:app:")
        .replace("repository:zoo:", "repository:app:")
        .replace("\"Name\":\"not\"", "\"Name\":\"app\"")
        .replace("\"Name\":\"zoo\"", "\"Name\":\"app\"")
}

async fn looks_alike(authorizer: Arc<dyn Authorizer>, given: &[Option<&str>]) {
    let fixture = Fixture::new().await;
    let session = fixture.world.repository("app").uploads().start(Algorithm::Sha256).await;
    let session = session.unwrap().id.to_string();
    let options = Options { authorizer: Some(authorizer), ..Options::default() };
    let server = Server::start(fixture.service(options)).await;
    let mut client = server.connect(Protocol::Http1).await;
    let fill_in = |url: &str| {
        let url = url.replace("{session}", &session).replace("{none}", NO_SESSION);
        fixture.fill_in(&url.replace("{nobody's}", NOBODY_S))
    };
    for given in given {
        for (method, there, not_there) in PAIRS {
            let there = seen(&mut client, method, &fill_in(there), *given).await;
            let not_there_seen = seen(&mut client, method, &fill_in(not_there), *given).await;
            assert_eq!(there, not_there_seen, "{method} {not_there}");
        }
    }
}

#[tokio::test]
async fn nobody_learns_what_is_there_whom_the_rules_do_not_let_whatever_he_brings() {
    let pem = SigningKey::generate().unwrap();
    let tokens = |rules: &[(&str, &str, &str)]| {
        let key = SigningKey::from_pem(pem.as_bytes()).unwrap();
        let issuer = OwnIssuer::new(key, "us", "s", &StoreOptions::default());
        TokenService::new(issuer, users(), policy(rules))
    };
    let made = async |rules: &[(&str, &str, &str)], name: Option<&str>, scope: &str| {
        let fixture = Fixture::new().await;
        let options = Options { tokens: Some(Arc::new(tokens(rules))), ..Options::default() };
        let server = Server::start(fixture.service(options)).await;
        let mut client = server.connect(Protocol::Http1).await;
        let mut request = Request::get(format!("/token?service=s&scope={scope}"));
        if let Some(name) = name {
            request = request.header(AUTHORIZATION, basic(name));
        }
        let answer = client.send(request, whole("")).await.json();
        format!("Bearer {}", answer["token"].as_str().unwrap())
    };
    let all = "repository:app:*+repository:not:*+repository:zoo:*";
    let wider = [("user:nobody", "**", "RWD"), ("everybody", "**", "RWD")];
    let given = [
        basic("nobody"),
        "Basic Og==".to_owned(),
        "Basic cmVhZGVyOndyb25n".to_owned(),
        "Bearer x.y.z".to_owned(),
        // Nothing is in it; what another would let has not been asked for; the rules have become narrower.
        made(&[], Some("nobody"), all).await,
        made(&[], None, all).await,
        made(&[], Some("root"), "repository:other:*").await,
        made(&wider, Some("nobody"), all).await,
        made(&wider, None, all).await,
    ];
    let given: Vec<Option<&str>> =
        iter::once(None).chain(given.iter().map(|it| Some(it.as_str()))).collect();
    let authorizer = || PolicyAuthorizer::new(policy(&[]), users());
    looks_alike(Arc::new(authorizer().with_basic("r").unwrap()), &given).await;
    let service = tokens(&[]);
    let with_tokens = authorizer().with_own_tokens(service.verifier(), service.challenge());
    looks_alike(Arc::new(with_tokens), &given).await;
}

#[tokio::test]
async fn nobody_learns_what_is_there_without_a_password() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("htpasswd");
    fs::write(&file, "ann:$2b$04$BeUDnQxBbQWPcN2EzgO0f.vo1OUzMiyDsHn1b1GcuFYxS48KJR/XW\n").unwrap();
    let users = Htpasswd::open(&file, &SystemRandom).unwrap();
    let authorizer = Arc::new(BasicAuthorizer::new(users, "realm").unwrap());
    looks_alike(authorizer, &[None, Some("Basic YW5uOnNlY3JlVA=="), Some("Bearer x")]).await;
}

#[tokio::test]
async fn nobody_learns_what_is_there_without_a_token_that_lets_him() {
    let root = Issuer::root();
    let trusted = TrustedKeys::of_certificates(root.certificate.as_bytes()).unwrap();
    let sources = [KeySource::Keys(trusted)];
    let clock = Arc::new(SystemClock);
    let verifier = TokenVerifier::new("issuer", "registry", Signing::PUBLIC, sources, clock);
    let challenge =
        Challenge { realm: "r".to_owned(), service: "registry".to_owned(), auto_redirect: None };
    let authorizer = Arc::new(TokenAuthorizer::new(verifier.unwrap(), challenge));
    let header = json!({"kid": root.jwk()["kid"]});
    let of_another = root.token(
        &header,
        &json!({
            "iss": "issuer", "aud": "registry", "exp": 32_000_000_000_u64,
            "access": access("other", &["*"]),
        }),
    );
    let of_another = format!("Bearer {of_another}");
    looks_alike(authorizer, &[None, Some("Bearer x.y.z"), Some(&of_another)]).await;
}
