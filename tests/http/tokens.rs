//! Tokens of an issuer, good and bad, over a socket: whether they are believed, what they let do, and what who is refused
//! is told.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::header::AUTHORIZATION;
use http::{Method, Request};
use registry_http::Options;
use registry_http::auth::token::{
    Algorithm, Challenge, KeySource, TokenAuthorizer, TokenVerifier, TrustedKeys,
};
use registry_store::options::Clock;
use registry_tests::issuer::{Issuer, access};
use registry_tests::server::{Answer, Client, Protocol, Server, whole};
use serde_json::{Value, json};

use crate::fixture::Fixture;

const NOW: u64 = 1_800_000_000;

#[derive(Debug)]
struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(NOW)
    }
}

fn certificates(issuers: &[Issuer]) -> KeySource {
    let pem: String = issuers.iter().map(|issuer| issuer.certificate).collect();
    KeySource::Keys(TrustedKeys::of_certificates(pem.as_bytes()).unwrap())
}

fn keys(keys: &[Value]) -> KeySource {
    let set = json!({ "keys": keys }).to_string();
    KeySource::Keys(TrustedKeys::of_jwks(set.as_bytes()).unwrap())
}

/// A registry that takes tokens of `issuer` for `registry`.
struct Registry {
    fixture: Fixture,
    _server: Server,
    client: Client,
}

impl Registry {
    async fn trusting(sources: impl IntoIterator<Item = KeySource>) -> Self {
        Self::with(&Algorithm::PUBLIC, sources).await
    }

    async fn with(algorithms: &[Algorithm], sources: impl IntoIterator<Item = KeySource>) -> Self {
        let verifier =
            TokenVerifier::new("issuer", "registry", algorithms, sources, Arc::new(Stopped));
        let challenge = Challenge {
            realm: "https://auth.example.com/token".to_owned(),
            service: "registry".to_owned(),
            auto_redirect: None,
        };
        let authorizer = Arc::new(TokenAuthorizer::new(verifier.unwrap(), challenge));
        let fixture = Fixture::new().await;
        let options = Options { authorizer: Some(authorizer), ..Options::default() };
        let server = Server::start(fixture.service(options)).await;
        let client = server.connect(Protocol::Http1).await;
        Self { fixture, _server: server, client }
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

    /// Status and `error` of the challenge for a pull with a token.
    async fn pull(&mut self, token: &str) -> (u16, String) {
        let answer = self.ask("GET /v2/app/tags/list", Some(&format!("Bearer {token}"))).await;
        let challenge = answer.headers.get("www-authenticate").map(|it| it.to_str().unwrap());
        let error = challenge.unwrap_or_default().split("error=").nth(1).unwrap_or_default();
        (answer.status.as_u16(), error.trim_matches('"').to_owned())
    }

    async fn believes(&mut self, token: &str) -> bool {
        let (status, error) = self.pull(token).await;
        let believed = status == 200;
        assert!(believed || (status, error.as_str()) == (401, "invalid_token"), "{status} {error}");
        believed
    }
}

/// What lets pull from `app`.
fn claims() -> Value {
    json!({
        "iss": "issuer", "aud": "registry", "sub": "ann", "jti": "x", "iat": NOW,
        "nbf": NOW, "exp": NOW + 300, "access": access("app", &["pull"]),
    })
}

fn claims_with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

#[tokio::test]
async fn a_token_is_believed_by_any_of_the_ways_in_which_it_can_name_its_key() {
    let (root, leaf, ed25519, rsa) =
        (Issuer::root(), Issuer::leaf(), Issuer::ed25519(), Issuer::rsa());
    let bundle = [Issuer::root(), Issuer::ed25519(), Issuer::rsa()];
    let mut registry = Registry::trusting([certificates(&bundle)]).await;
    let id = |issuer: &Issuer| issuer.jwk()["kid"].clone();
    for (issuer, header) in [
        (&root, json!({"kid": id(&root)})),
        (&root, json!({"jwk": root.jwk()})),
        (&root, json!({"jwk": {"kty": "EC", "kid": id(&root)}})),
        (&root, json!({"x5c": [root.x5c()]})),
        (&leaf, json!({"x5c": [leaf.x5c()]})),
        (&leaf, json!({"x5c": [leaf.x5c(), root.x5c()]})),
        (&leaf, json!({"x5c": [leaf.x5c()], "kid": "whatever"})),
        (&leaf, json!({"jwk": {"kty": "EC", "x5c": [leaf.x5c()]}})),
        (&ed25519, json!({"kid": id(&ed25519)})),
        (&ed25519, json!({"jwk": ed25519.jwk()})),
        (&rsa, json!({"kid": "NFZ7:HMFC:6BWF:DZ5I:HNTF:JE6I:Y5BF:VXPO:CGF6:2A7R:USWN:DIRG"})),
        (&rsa, json!({"x5c": [rsa.x5c()]})),
    ] {
        assert!(registry.believes(&issuer.token(&header, &claims())).await, "{header}");
    }
    let mut named = root.jwk();
    named["kid"] = "mine".into();
    let mut registry = Registry::trusting([keys(&[named])]).await;
    for header in [json!({"kid": "mine"}), json!({"kid": id(&root)}), json!({"jwk": root.jwk()})] {
        assert!(registry.believes(&root.token(&header, &claims())).await, "{header}");
    }
    let chained = leaf.token(&json!({"x5c": [leaf.x5c(), root.x5c()]}), &claims());
    assert!(!registry.believes(&chained).await, "a set of keys vouches for no certificate");
}

#[tokio::test]
async fn a_token_of_another_key_is_not_believed_whatever_it_says() {
    let (root, leaf, stranger) = (Issuer::root(), Issuer::leaf(), Issuer::stranger());
    let mut registry = Registry::trusting([certificates(&[Issuer::root()])]).await;
    let mut disguised = stranger.jwk();
    disguised["kid"] = root.jwk()["kid"].clone();
    for (issuer, header) in [
        (&stranger, json!({})),
        (&stranger, json!({"kid": root.jwk()["kid"]})),
        (&stranger, json!({"kid": stranger.jwk()["kid"]})),
        (&stranger, json!({"jwk": stranger.jwk()})),
        (&stranger, json!({ "jwk": disguised })),
        (&stranger, json!({"x5c": [stranger.x5c()]})),
        (&stranger, json!({"x5c": [stranger.x5c(), root.x5c()]})),
        (&stranger, json!({"x5c": [root.x5c()]})),
        (&stranger, json!({"x5c": [leaf.x5c()]})),
        (&stranger, json!({"x5c": [leaf.x5c()], "jwk": stranger.jwk()})),
        (&stranger, json!({"jwk": {"kty": "EC", "x5c": [stranger.x5c()]}})),
        // A good key does not mend a bad chain.
        (&root, json!({"x5c": [stranger.x5c()], "kid": root.jwk()["kid"]})),
        (&root, json!({"x5c": ["!"], "kid": root.jwk()["kid"]})),
        (&root, json!({"x5c": vec![root.x5c(); 11]})),
        (&root, json!({"kid": "other"})),
        (&root, json!({})),
        (&leaf, json!({"kid": leaf.jwk()["kid"]})),
    ] {
        assert!(!registry.believes(&issuer.token(&header, &claims())).await, "{header}");
    }
}

#[tokio::test]
async fn what_is_signed_by_nothing_or_by_what_everybody_knows_is_not_believed() {
    let root = Issuer::root();
    let id = root.jwk()["kid"].clone();
    let everybody_knows = [
        root.certificate.as_bytes().to_vec(),
        root.certificate.trim().as_bytes().to_vec(),
        root.jwk().to_string().into_bytes(),
        Vec::new(),
    ];
    // With HMAC let as well: a public key is no shared secret.
    let hmac = [&Algorithm::PUBLIC[..], &[Algorithm::Hs256]].concat();
    for algorithms in [&Algorithm::PUBLIC[..], &hmac] {
        let mut registry = Registry::with(algorithms, [certificates(&[Issuer::root()])]).await;
        for secret in &everybody_knows {
            let token = Issuer::shared(secret).token(&json!({ "kid": id }), &claims());
            assert!(!registry.believes(&token).await);
        }
        for name in ["none", "None", "NONE", "", "HS256", "RS256", "ES384", "EdDSA"] {
            let token = root.token(&json!({"kid": id, "alg": name}), &claims());
            assert!(!registry.believes(&token).await, "{name}");
            let unsigned = format!("{}.", token.rsplit_once('.').unwrap().0);
            assert!(!registry.believes(&unsigned).await, "{name}");
        }
        assert!(registry.believes(&root.token(&json!({ "kid": id }), &claims())).await);
    }
}

#[tokio::test]
async fn a_token_for_others_or_for_another_time_is_not_believed() {
    let root = Issuer::root();
    let header = json!({"kid": root.jwk()["kid"]});
    let mut registry = Registry::trusting([certificates(&[Issuer::root()])]).await;
    let mut endless = claims();
    endless.as_object_mut().unwrap().remove("exp");
    for bad in [
        claims_with("exp", json!(NOW - 61)),
        claims_with("nbf", json!(NOW + 61)),
        claims_with("aud", json!("another")),
        claims_with("aud", json!(["another"])),
        claims_with("iss", json!("another")),
        endless,
    ] {
        assert!(!registry.believes(&root.token(&header, &bad)).await, "{bad}");
    }
    for good in [
        claims_with("exp", json!(NOW - 60)),
        claims_with("nbf", json!(NOW + 60)),
        claims_with("aud", json!(["another", "registry"])),
        // What other issuers say by names that ours says something by.
        claims_with("holder", json!("did:example:ann")),
        claims_with("mark", json!(7)),
        claims(),
    ] {
        assert!(registry.believes(&root.token(&header, &good)).await, "{good}");
    }
}

#[tokio::test]
async fn a_token_lets_do_what_it_names_and_nothing_else() {
    let root = Issuer::root();
    let header = json!({"kid": root.jwk()["kid"]});
    let mut registry = Registry::trusting([certificates(&[Issuer::root()])]).await;
    let both = json!([access("app", &["pull", "push"])[0], access("zoo", &["pull"])[0]]);
    let catalog = json!([{"type": "registry", "name": "catalog", "actions": ["*"]}]);
    let upload = "POST /v2/app/blobs/uploads/";
    let mount = "POST /v2/app/blobs/uploads/?mount={hello}&from=zoo";
    for (granted, request, status) in [
        (access("app", &["pull"]), "GET /v2/app/manifests/v1", 200),
        (access("app", &["*"]), "GET /v2/app/manifests/v1", 200),
        (access("app", &["push"]), "GET /v2/app/manifests/v1", 401),
        (access("zoo", &["*"]), "GET /v2/app/manifests/v1", 401),
        (json!([]), "GET /v2/app/manifests/v1", 401),
        (json!(null), "GET /v2/app/manifests/v1", 401),
        (access("app", &["pull"]), upload, 401),
        (access("app", &["push"]), upload, 401),
        (access("app", &["pull", "push"]), upload, 202),
        (access("app", &["*"]), upload, 202),
        (both, mount, 201),
        // As if the blob were not there.
        (access("app", &["pull", "push"]), mount, 202),
        (access("app", &["pull", "push"]), "DELETE /v2/app/manifests/v1", 401),
        (access("app", &["delete"]), "DELETE /v2/app/manifests/v1", 202),
        (access("app", &["*"]), "GET /v2/_catalog", 401),
        (catalog, "GET /v2/_catalog", 200),
        (json!([]), "GET /v2/", 200),
    ] {
        let token = root.token(&header, &claims_with("access", granted.clone()));
        let answer = registry.ask(request, Some(&format!("Bearer {token}"))).await;
        assert_eq!(answer.status.as_u16(), status, "{request} {granted}");
        if status == 401 {
            let challenge = answer.header("www-authenticate");
            assert!(challenge.ends_with(",error=\"insufficient_scope\""), "{challenge}");
        }
    }
}

#[tokio::test]
async fn who_is_refused_is_told_what_to_get() {
    const REALM: &str = r#"Bearer realm="https://auth.example.com/token",service="registry""#;
    let mut registry = Registry::trusting([certificates(&[Issuer::root()])]).await;
    for (request, scope) in [
        ("GET /v2/", ""),
        ("GET /v2/app/tags/list", r#",scope="repository:app:pull""#),
        ("POST /v2/app/blobs/uploads/", r#",scope="repository:app:pull,push""#),
        (
            "POST /v2/app/blobs/uploads/?mount={hello}&from=zoo",
            r#",scope="repository:app:pull,push repository:zoo:pull""#,
        ),
        ("DELETE /v2/app/manifests/v1", r#",scope="repository:app:delete""#),
        ("GET /v2/_catalog", r#",scope="registry:catalog:*""#),
    ] {
        for (given, error) in [
            (None, ""),
            (Some("Basic b2s="), ""),
            (Some("Bearer"), ""),
            (Some("Bearer x.y.z"), r#",error="invalid_token""#),
            (Some("bearer x"), r#",error="invalid_token""#),
        ] {
            let answer = registry.ask(request, given).await;
            assert_eq!(answer.status.as_u16(), 401, "{request}");
            assert_eq!(answer.header("www-authenticate"), format!("{REALM}{scope}{error}"));
            assert_eq!(answer.json()["errors"][0]["code"], "UNAUTHORIZED");
        }
    }
}

#[tokio::test]
async fn a_key_is_trusted_from_when_it_is_in_the_file_until_it_is_not() {
    let (root, stranger) = (Issuer::root(), Issuer::stranger());
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("bundle.crt");
    fs::write(&file, root.certificate).unwrap();
    let mut registry = Registry::trusting([KeySource::RootCertBundle(file.clone())]).await;
    let of = |issuer: &Issuer| issuer.token(&json!({"kid": issuer.jwk()["kid"]}), &claims());
    let mut believed = async |issuer: &Issuer| registry.believes(&of(issuer)).await;
    assert!(believed(&root).await && !believed(&stranger).await);
    fs::write(&file, format!("{}{}", root.certificate, stranger.certificate)).unwrap();
    assert!(believed(&root).await && believed(&stranger).await);
    fs::write(&file, stranger.certificate).unwrap();
    assert!(!believed(&root).await && believed(&stranger).await);
    fs::write(&file, "nothing").unwrap();
    assert!(!believed(&root).await && believed(&stranger).await, "the last good one counts");
}
