//! Users of an htpasswd file, and `silly`, over a socket.

use std::fs;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::Request;
use http::header::AUTHORIZATION;
use registry_http::Options;
use registry_http::auth::Authorizer;
use registry_http::auth::basic::BasicAuthorizer;
use registry_http::auth::htpasswd::Htpasswd;
use registry_http::auth::silly::SillyAuthorizer;
use registry_store::options::SystemRandom;
use registry_tests::server::{Answer, Client, Protocol, Server, whole};

use crate::fixture::Fixture;

/// `ann` with the password `secret`, by libxcrypt.
const ANN: &str = "ann:$2b$04$BeUDnQxBbQWPcN2EzgO0f.vo1OUzMiyDsHn1b1GcuFYxS48KJR/XW\n";

async fn serve(authorizer: impl Authorizer) -> (Fixture, Server, Client) {
    let fixture = Fixture::new().await;
    let options = Options { authorizer: Some(Arc::new(authorizer)), ..Options::default() };
    let server = Server::start(fixture.service(options)).await;
    let client = server.connect(Protocol::Http1).await;
    (fixture, server, client)
}

async fn get(client: &mut Client, url: &str, given: Option<&str>) -> Answer {
    let mut request = Request::get(url);
    if let Some(given) = given {
        request = request.header(AUTHORIZATION, given);
    }
    client.send(request, whole("")).await
}

fn basic(name: &str, password: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{name}:{password}")))
}

#[tokio::test]
async fn who_is_in_the_file_may_do_everything_and_nobody_else_anything() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("htpasswd");
    fs::write(&file, ANN).unwrap();
    let users = Htpasswd::open(&file, &SystemRandom).unwrap();
    let authorizer = BasicAuthorizer::new(users, "the realm").unwrap();
    let (_fixture, _server, mut client) = serve(authorizer).await;
    let urls = ["/v2/", "/v2/_catalog", "/v2/app/tags/list", "/v2/app/manifests/v1"];
    for url in urls {
        for given in [
            None,
            Some(basic("ann", "wrong")),
            Some(basic("bob", "secret")),
            Some("Bearer token".to_owned()),
        ] {
            let answer = get(&mut client, url, given.as_deref()).await;
            assert_eq!(answer.status.as_u16(), 401, "{url} {given:?}");
            assert_eq!(answer.header("www-authenticate"), "Basic realm=\"the realm\"");
            assert_eq!(answer.json()["errors"][0]["code"], "UNAUTHORIZED");
        }
        let answer = get(&mut client, url, Some(&basic("ann", "secret"))).await;
        assert_eq!(answer.status.as_u16(), 200, "{url}");
    }
    // From the next request on.
    fs::write(&file, ANN.replace("ann", "bob")).unwrap();
    assert_eq!(get(&mut client, "/v2/", Some(&basic("ann", "secret"))).await.status, 401);
    assert_eq!(get(&mut client, "/v2/", Some(&basic("bob", "secret"))).await.status, 200);
}

#[tokio::test]
async fn many_requests_of_one_user_at_once_are_all_let_in() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("htpasswd");
    fs::write(&file, ANN).unwrap();
    let users = Htpasswd::open(&file, &SystemRandom).unwrap();
    let asked = (0..64).map(|n| {
        let users = users.clone();
        let password = if n % 2 == 0 { "secret" } else { "wrong" };
        tokio::spawn(async move { (n, users.verify(None, "ann", password).await.unwrap()) })
    });
    for asked in asked.collect::<Vec<_>>() {
        let (n, is_right) = asked.await.unwrap();
        assert_eq!(is_right, n % 2 == 0);
    }
}

#[tokio::test]
async fn silly_lets_in_who_says_anything_and_tells_the_others_of_each_access() {
    let authorizer = SillyAuthorizer::new("r", "s").unwrap();
    let (_fixture, _server, mut client) = serve(authorizer).await;
    for given in ["Basic b2s=", "Bearer x", "seriously, anything"] {
        assert_eq!(get(&mut client, "/v2/app/tags/list", Some(given)).await.status, 200);
    }
    let answer = get(&mut client, "/v2/", None).await;
    assert_eq!(answer.status, 401);
    assert_eq!(answer.header("www-authenticate"), r#"Bearer realm="r",service="s""#);
    let request = Request::post("/v2/app/blobs/uploads/");
    let answer = client.send(request, whole("")).await;
    let scope = r#"scope="repository:app:pull repository:app:push""#;
    assert_eq!(
        answer.header("www-authenticate"),
        format!(r#"Bearer realm="r",service="s",{scope}"#)
    );
}
