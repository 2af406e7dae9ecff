//! What Harbor's core, its jobs and its proxy rely on of the registry behind them, one test for each.
//!
//! As its client, its middleware and its probes have it (Harbor 2.0 to 2.15). Its metrics are the sixteenth.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use futures::stream;
use http::header::AUTHORIZATION;
use http::{Method, Request, request};
use registry_http::Options;
use registry_http::auth::basic::BasicAuthorizer;
use registry_http::auth::htpasswd::Htpasswd;
use registry_http::serve::Limits;
use registry_store::digest::Digest;
use registry_store::options::SystemRandom;
use registry_tests::documents::{image_document, manifest, push_manifest};
use registry_tests::server::{Answer, Client, Protocol, Server, streamed, whole};
use registry_tests::world::push;
use serde_json::json;
use tower::ServiceExt as _;

use crate::fixture::Fixture;

/// The account that core has, with the password `secret`.
const USERS: &str =
    "harbor_registry_user:$2b$04$BeUDnQxBbQWPcN2EzgO0f.vo1OUzMiyDsHn1b1GcuFYxS48KJR/XW\n";
const OCI: &str = "application/vnd.oci.image.manifest.v1+json";
const OCTETS: &str = "application/octet-stream";

/// A registry as it is behind Harbor.
struct Behind {
    fixture: Fixture,
    server: Server,
    client: Client,
    _users: tempfile::TempDir,
}

impl Behind {
    async fn core() -> Self {
        let users = tempfile::tempdir().unwrap();
        let file = users.path().join("passwd");
        fs::write(&file, USERS).unwrap();
        let passwords = Htpasswd::open(&file, &SystemRandom).unwrap();
        let authorizer = BasicAuthorizer::new(passwords, "harbor-registry-basic-realm").unwrap();
        let options = Options { authorizer: Some(Arc::new(authorizer)), ..Options::default() };
        let fixture = Fixture::new().await;
        let server = Server::start(fixture.service(options)).await;
        let client = server.connect(Protocol::Http1).await;
        Self { fixture, server, client, _users: users }
    }

    /// Asks as core does, with what stands in braces filled in.
    async fn ask(&mut self, method: Method, url: &str) -> Answer {
        self.send(Request::builder().method(method).uri(self.fixture.fill_in(url)), "").await
    }

    async fn send(&mut self, request: request::Builder, body: impl Into<Bytes>) -> Answer {
        let known = format!("Basic {}", BASE64_STANDARD.encode("harbor_registry_user:secret"));
        self.client.send(request.header(AUTHORIZATION, known), whole(body)).await
    }

    async fn status(&mut self, method: Method, url: &str) -> u16 {
        self.ask(method, url).await.status.as_u16()
    }

    /// Begins an upload and returns where it goes on.
    async fn begin(&mut self, repository: &str) -> String {
        let posted = self.ask(Method::POST, &format!("/v2/{repository}/blobs/uploads/")).await;
        assert_eq!(posted.status, 202);
        posted.header("location").to_owned()
    }

    async fn chunk(
        &mut self,
        method: Method,
        url: &str,
        range: &str,
        body: &'static str,
    ) -> Answer {
        let request = Request::builder().method(method).uri(url).header("content-type", OCTETS);
        self.send(request.header("content-range", range), body).await
    }
}

#[tokio::test]
async fn harbor_01_the_root_is_200_for_whoever_asks() {
    let mut behind = Behind::core().await;
    let answer = behind.client.send(Request::get("/"), whole("")).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn harbor_02_everything_below_v2_wants_the_password_of_core() {
    let mut behind = Behind::core().await;
    for url in [
        "/v2/",
        "/v2/_catalog",
        "/v2/app/tags/list",
        "/v2/app/manifests/v1",
        "/v2/app/blobs/{hello}",
    ] {
        let filled = behind.fixture.fill_in(url);
        let answer = behind.client.send(Request::get(filled.as_str()), whole("")).await;
        assert_eq!(answer.status, 401, "{url}");
        let challenge = "Basic realm=\"harbor-registry-basic-realm\"";
        assert_eq!(answer.header("www-authenticate"), challenge);
        assert_eq!(behind.status(Method::GET, url).await, 200, "{url}");
    }
}

#[tokio::test]
async fn harbor_03_an_upload_begins_with_its_location_its_id_and_an_empty_range() {
    let mut behind = Behind::core().await;
    let request = Request::post("/v2/app/blobs/uploads/").header("content-length", "0");
    let answer = behind.send(request, "").await;
    assert_eq!(answer.status, 202);
    assert_eq!(answer.header("range"), "0-0");
    let id = answer.header("docker-upload-uuid");
    assert!(
        !id.is_empty()
            && answer.header("location").contains(&format!("/v2/app/blobs/uploads/{id}"))
    );
}

#[tokio::test]
async fn harbor_04_the_range_of_a_chunk_says_how_much_was_taken_without_a_unit() {
    let mut behind = Behind::core().await;
    let location = behind.begin("app").await;
    let request = Request::patch(&location).header("content-type", OCTETS);
    let answer = behind.send(request, "abcdef").await;
    assert_eq!(answer.status, 202);
    assert_eq!(answer.header("range"), "0-5");
}

#[tokio::test]
async fn harbor_05_a_copy_in_chunks_goes_on_after_a_failure_and_ends_with_its_last_chunk() {
    let mut behind = Behind::core().await;
    let location = behind.begin("app").await;
    let answer = behind.chunk(Method::PATCH, &location, "0-2", "abc").await;
    assert_eq!((answer.status.as_u16(), answer.header("range")), (202, "0-2"));
    // The answer was lost, and the job sends the chunk again.
    let again = behind.chunk(Method::PATCH, &location, "0-2", "abc").await;
    assert_eq!(again.status, 416);
    let status = behind.send(Request::get(&location), "").await;
    assert_eq!((status.status.as_u16(), status.header("range")), (204, "0-2"));
    let closing = format!("{}&digest={}", status.header("location"), Digest::sha256(b"abcdef"));
    let answer = behind.chunk(Method::PUT, &closing, "3-5", "def").await;
    assert_eq!(answer.status, 201);
    assert_eq!(behind.ask(Method::GET, "/v2/app/blobs/{abcdef}").await.body, "abcdef");
}

#[tokio::test]
async fn harbor_06_what_is_pushed_is_answered_with_its_digest() {
    let mut behind = Behind::core().await;
    let location = behind.begin("app").await;
    let abcdef = Digest::sha256(b"abcdef").to_string();
    let request = Request::put(format!("{location}&digest={abcdef}"));
    let answer = behind.send(request.header("content-type", OCTETS), "abcdef").await;
    assert_eq!((answer.status.as_u16(), answer.header("docker-content-digest")), (201, &*abcdef));
    let (image, digest) =
        (behind.fixture.fill_in("{image.json}"), behind.fixture.fill_in("{image}"));
    let request = Request::put("/v2/app/manifests/v3").header("content-type", OCI);
    let answer = behind.send(request, image).await;
    assert_eq!((answer.status.as_u16(), answer.header("docker-content-digest")), (201, &*digest));
}

#[tokio::test]
async fn harbor_07_a_blob_of_the_source_is_mounted_and_never_silently_not() {
    let mut behind = Behind::core().await;
    let mount = "/v2/copied/blobs/uploads/?mount={hello}&from=app";
    let answer = behind.ask(Method::POST, mount).await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.header("docker-content-digest"), behind.fixture.fill_in("{hello}"));
    assert_eq!(behind.status(Method::HEAD, "/v2/copied/blobs/{hello}").await, 200);
    let absent = "/v2/copied/blobs/uploads/?mount={missing}&from=app";
    assert_eq!(behind.status(Method::POST, absent).await, 202);
}

#[tokio::test]
async fn harbor_08_parts_of_blobs_are_served_and_a_range_beyond_is_told() {
    let mut behind = Behind::core().await;
    let blob = behind.fixture.fill_in("/v2/app/blobs/{hello}");
    let etag = behind.fixture.fill_in("\"{hello}\"");
    let part = |range: &str| {
        let request = Request::get(&blob).header("range", range).header("if-range", &etag);
        request.header("accept-encoding", "identity")
    };
    let answer = behind.send(part("bytes=0-4"), "").await;
    assert_eq!((answer.status.as_u16(), answer.header("content-length")), (206, "5"));
    assert_eq!(answer.header("content-range"), "bytes 0-4/11");
    assert_eq!(answer.body, "hello");
    assert_eq!(behind.send(part("bytes=11-"), "").await.status, 416);
    let head = behind.ask(Method::HEAD, "/v2/app/blobs/{hello}").await;
    assert_eq!((head.status.as_u16(), head.header("content-length")), (200, "11"));
}

#[tokio::test]
async fn harbor_09_the_catalog_and_tags_are_listed_with_a_link_to_the_next_page() {
    let mut behind = Behind::core().await;
    let catalog = behind.ask(Method::GET, "/v2/_catalog?n=1000").await;
    assert_eq!(catalog.json()["repositories"], json!(["app", "app/tools", "zoo"]));
    for (url, list, all) in
        [("/v2/_catalog?n=1", "repositories", 3), ("/v2/app/tags/list?n=1", "tags", 3)]
    {
        let (mut next, mut found) = (Some(url.to_owned()), BTreeSet::new());
        while let Some(url) = next {
            let page = behind.ask(Method::GET, &url).await;
            assert_eq!(page.status, 200);
            for name in page.json()[list].as_array().unwrap() {
                assert!(found.insert(name.to_string()));
            }
            let link = page.header("link").strip_prefix('<');
            next = link.and_then(|link| link.strip_suffix(">; rel=\"next\"")).map(str::to_owned);
        }
        assert_eq!(found.len(), all, "{url}");
    }
}

#[tokio::test]
async fn harbor_10_a_manifest_that_is_deleted_takes_every_tag_of_it_along() {
    let mut behind = Behind::core().await;
    assert_eq!(behind.status(Method::GET, "/v2/app/manifests/v2").await, 200);
    assert_eq!(behind.status(Method::DELETE, "/v2/app/manifests/{image}").await, 202);
    for reference in ["v1", "v2", "{image}"] {
        let url = format!("/v2/app/manifests/{reference}");
        assert_eq!(behind.status(Method::GET, &url).await, 404, "{reference}");
    }
    assert_eq!(behind.ask(Method::GET, "/v2/app/tags/list").await.json()["tags"], json!(["all"]));
}

#[tokio::test]
async fn harbor_11_a_blob_without_a_manifest_is_pushed_pulled_and_deleted() {
    let mut behind = Behind::core().await;
    let location = behind.begin("scandata_export").await;
    let request = Request::put(format!("{location}&digest={}", Digest::sha256(b"abcdef")));
    assert_eq!(behind.send(request, "abcdef").await.status, 201);
    let blob = "/v2/scandata_export/blobs/{abcdef}";
    assert_eq!(behind.ask(Method::GET, blob).await.body, "abcdef");
    assert_eq!(behind.status(Method::DELETE, blob).await, 202);
    assert_eq!(behind.status(Method::GET, blob).await, 404);
}

#[tokio::test]
async fn harbor_12_every_failure_is_an_error_in_json_that_can_be_passed_on() {
    let mut behind = Behind::core().await;
    for (method, url, status, code) in [
        (Method::GET, "/v2/app/manifests/v9", 404, "MANIFEST_UNKNOWN"),
        (Method::GET, "/v2/app/blobs/{missing}", 404, "BLOB_UNKNOWN"),
        (Method::GET, "/v2/none/tags/list", 404, "NAME_UNKNOWN"),
        (Method::GET, "/v2/app/blobs/nothing", 400, "DIGEST_INVALID"),
        (Method::DELETE, "/v2/app/manifests/{missing}", 404, "MANIFEST_UNKNOWN"),
    ] {
        let answer = behind.ask(method, url).await;
        assert_eq!(answer.status, status, "{url}");
        assert_eq!(answer.json()["errors"][0]["code"], code, "{url}");
    }
    let answer = behind.client.send(Request::get("/v2/app/tags/list"), whole("")).await;
    assert_eq!(answer.status, 401);
    assert_eq!(answer.json()["errors"][0]["code"], "UNAUTHORIZED");
}

/// Core waits for half an hour, and its proxy for longer.
#[tokio::test(start_paused = true)]
async fn harbor_13_an_upload_that_goes_on_may_take_for_hours() {
    let fixture = Fixture::new().await;
    let service = fixture.service(Options::default());
    let post = Request::post("/v2/app/blobs/uploads/").body(whole("")).unwrap();
    let posted = service.clone().oneshot(post).await.unwrap();
    let location = posted.headers()["location"].to_str().unwrap().to_owned();
    let began = tokio::time::Instant::now();
    // A byte in 50 seconds.
    let slow = stream::unfold(0, |sent| async move {
        tokio::time::sleep(Duration::from_secs(50)).await;
        (sent < 300).then(|| (Ok(Bytes::from_static(b"a")), sent + 1))
    });
    let patch = Request::patch(location).body(streamed(slow)).unwrap();
    let answer = service.oneshot(patch).await.unwrap();
    assert_eq!(answer.status(), 202);
    assert_eq!(answer.headers()["range"], "0-299");
    assert!(began.elapsed() > Duration::from_hours(4));
}

/// Since 2.15 core knows the tags alone, and pushes by digest.
#[tokio::test(start_paused = true)]
async fn harbor_14_manifests_without_tags_are_kept_and_served_however_many_and_however_long() {
    let fixture = Fixture::new().await;
    let repository = fixture.world.repository("untagged");
    push(&repository, b"{}").await;
    let mut digests = Vec::new();
    for number in 0..1000 {
        let mut document = image_document(b"{}", &[]);
        document["annotations"] = json!({"number": number.to_string()});
        digests.push(push_manifest(&repository, &manifest(&document), &[]).await);
    }
    let year = Duration::from_hours(365 * 24);
    fixture.world.clock.advance(year);
    let upkeep = tokio::time::timeout(year, fixture.world.store.maintenance()).await;
    assert!(upkeep.is_err(), "it goes on for ever");
    let service = fixture.service(Options::default());
    for digest in digests {
        let url = format!("/v2/untagged/manifests/{digest}");
        let head = Request::head(url).header("accept", OCI).body(whole("")).unwrap();
        assert_eq!(service.clone().oneshot(head).await.unwrap().status(), 200);
    }
}

/// What Go's clients have as the longest time that a connection is kept without a request.
const GO_KEEPS: Duration = Duration::from_secs(90);

#[tokio::test]
async fn harbor_15_as_many_connections_as_core_keeps_are_all_of_use_later() {
    let head = Limits::default().head.unwrap();
    assert!(
        head > GO_KEEPS,
        "core closes first, so that none of its requests meets a closed connection"
    );
    let behind = Behind::core().await;
    let mut kept = Vec::new();
    for _ in 0..200 {
        let mut client = behind.server.connect(Protocol::Http1).await;
        assert_eq!(client.send(Request::get("/"), whole("")).await.status, 200);
        kept.push(client);
    }
    for client in &mut kept {
        // It is not made again: that would be another.
        assert_eq!(client.try_send(Request::get("/"), whole("")).await.unwrap().status, 200);
    }
}
