//! General: what is there, what things may be called (items 1 to 10).

use registry_http::Options;
use registry_tests::server::{Protocol, whole};

use super::registry::{
    BOTH, Registry, described, image, index, is, is_refused, leads_to, parts, referrer, sha256,
};

#[tokio::test]
async fn item_001_everything_of_the_category_pull_is_there() {
    for protocol in BOTH {
        let mut registry = Registry::over(protocol).await;
        let manifest = registry.push_image("a/b", Some("v1"), &[b"layer"]).await;
        let layer = sha256(b"layer");
        let missing = sha256(b"missing");
        for url in [
            "/v2/".to_owned(),
            format!("/v2/a/b/blobs/{layer}"),
            "/v2/a/b/manifests/v1".to_owned(),
            format!("/v2/a/b/manifests/{manifest}"),
        ] {
            is(&registry.get(&url).await, 200);
            is(&registry.head(&url).await, 200);
        }
        for (url, code) in [
            (format!("/v2/a/b/blobs/{missing}"), "BLOB_UNKNOWN"),
            (format!("/v2/none/blobs/{layer}"), "BLOB_UNKNOWN"),
            (format!("/v2/a/b/manifests/{missing}"), "MANIFEST_UNKNOWN"),
            ("/v2/a/b/manifests/v2".to_owned(), "MANIFEST_UNKNOWN"),
            ("/v2/none/manifests/v1".to_owned(), "MANIFEST_UNKNOWN"),
        ] {
            is_refused(&registry.get(&url).await, 404, code);
            is(&registry.head(&url).await, 404);
        }
    }
}

#[tokio::test]
async fn item_002_the_category_push_is_there_with_all_of_its_apis() {
    for protocol in BOTH {
        let mut registry = Registry::over(protocol).await;
        let (abc, config) = (sha256(b"abc"), sha256(b"{}"));
        // end-4a, end-5, end-13, end-6
        let location = registry.start("a").await;
        let patched = registry.patch(&location, "0-2", "abc").await;
        is(&patched, 202);
        let status = registry.get(patched.header("location")).await;
        is(&status, 204);
        is(&registry.put(&format!("{}&digest={abc}", status.header("location")), "").await, 201);
        // end-4b, end-4c, end-11, end-14
        is(&registry.post(&format!("/v2/a/blobs/uploads/?digest={config}"), "{}").await, 201);
        let other = registry.post("/v2/a/blobs/uploads/?digest-algorithm=sha512", "").await;
        is(&other, 202);
        is(&registry.delete(other.header("location")).await, 204);
        is(&registry.post(&format!("/v2/b/blobs/uploads/?mount={abc}&from=a"), "").await, 201);
        // end-7a, end-7b
        let text = image(&[b"abc"]).to_string();
        let digest = sha256(text.as_bytes());
        for reference in ["v1", &digest, &format!("{digest}?tag=v2&tag=v3")] {
            is(&registry.put_manifest("a", reference, &text).await, 201);
        }
    }
}

#[tokio::test]
async fn item_002_the_categories_discovery_and_management_are_there_with_all_of_their_apis() {
    for protocol in BOTH {
        let mut registry = Registry::over(protocol).await;
        let digest = registry.push_image("a", Some("v1"), &[b"abc"]).await;
        let abc = sha256(b"abc");
        // end-8a, end-8b, end-12a, end-12b
        for url in [
            "/v2/a/tags/list".to_owned(),
            "/v2/a/tags/list?n=1&last=a".to_owned(),
            format!("/v2/a/referrers/{digest}"),
            format!("/v2/a/referrers/{digest}?artifactType=a/b"),
        ] {
            is(&registry.get(&url).await, 200);
        }
        // end-9, by tag and by digest, and end-10
        is(&registry.delete("/v2/a/manifests/v1").await, 202);
        is(&registry.delete(&format!("/v2/a/manifests/{digest}")).await, 202);
        is(&registry.delete(&format!("/v2/a/blobs/{abc}")).await, 202);
    }
}

#[tokio::test]
async fn item_003_head_is_get_without_its_body() {
    for protocol in BOTH {
        let mut registry = Registry::over(protocol).await;
        let digest = registry.push_image("a", Some("v1"), &[b"layer"]).await;
        let layer = sha256(b"layer");
        for url in [
            "/v2/",
            &format!("/v2/a/blobs/{layer}"),
            "/v2/a/manifests/v1",
            &format!("/v2/a/manifests/{digest}"),
            "/v2/a/tags/list?n=0",
            &format!("/v2/a/referrers/{digest}"),
            "/v2/a/manifests/none",
            "/v2/A/tags/list",
        ] {
            let (mut get, mut head) = (registry.get(url).await, registry.head(url).await);
            get.headers.remove("date");
            head.headers.remove("date");
            assert_eq!((get.status, get.headers), (head.status, head.headers), "{url}");
        }
    }
}

#[tokio::test]
async fn item_003_a_method_that_is_not_allowed_is_told_those_that_are() {
    let mut registry = Registry::new().await;
    let digest = sha256(b"");
    for (line, allowed) in [
        ("POST /v2/", "GET, HEAD, OPTIONS"),
        ("DELETE /v2/a/tags/list", "GET, HEAD, OPTIONS"),
        ("PATCH /v2/a/manifests/v1", "GET, HEAD, PUT, DELETE, OPTIONS"),
        ("GET /v2/a/blobs/uploads/", "POST, OPTIONS"),
        (&format!("PUT /v2/a/blobs/{digest}"), "GET, HEAD, DELETE, OPTIONS"),
        (&format!("POST /v2/a/referrers/{digest}"), "GET, HEAD, OPTIONS"),
    ] {
        let answer = registry.ask(line, &[], whole("")).await;
        is_refused(&answer, 405, "UNSUPPORTED");
        assert_eq!(answer.header("allow"), allowed, "{line}");
        let (_, url) = line.split_once(' ').unwrap();
        let answer = registry.ask(&format!("OPTIONS {url}"), &[], whole("")).await;
        is(&answer, 200);
        assert_eq!(answer.header("allow"), allowed, "{url}");
    }
    is_refused(&registry.get("/v2/a/nothing").await, 404, "UNSUPPORTED");
}

#[tokio::test]
async fn item_003_conditions_are_heeded() {
    let mut registry = Registry::new().await;
    let digest = registry.push_image("a", Some("v1"), &[b"layer"]).await;
    let layer = sha256(b"layer");
    for url in [format!("/v2/a/blobs/{layer}"), "/v2/a/manifests/v1".to_owned()] {
        let etag = registry.get(&url).await.header("etag").to_owned();
        assert!(etag.starts_with('"') && etag.ends_with('"'), "{etag}");
        let line = format!("GET {url}");
        let known = registry.ask(&line, &[("if-none-match", &etag)], whole("")).await;
        is(&known, 304);
        assert_eq!((known.header("etag"), known.body.len()), (&*etag, 0));
        is(&registry.ask(&line, &[("if-none-match", "\"other\"")], whole("")).await, 200);
        is(&registry.ask(&line, &[("if-match", &etag)], whole("")).await, 200);
        is_refused(
            &registry.ask(&line, &[("if-match", "\"other\"")], whole("")).await,
            412,
            "DENIED",
        );
        let line = format!("DELETE {url}");
        is_refused(
            &registry.ask(&line, &[("if-match", "\"other\"")], whole("")).await,
            412,
            "DENIED",
        );
    }
    assert_eq!(registry.get("/v2/a/manifests/v1").await.header("etag"), format!("\"{digest}\""));
    let line = format!("GET /v2/a/blobs/{layer}");
    let part = [("range", "bytes=0-0"), ("if-range", "\"other\"")];
    is(&registry.ask(&line, &part, whole("")).await, 200);
}

#[tokio::test]
async fn item_004_no_request_is_sent_elsewhere_unless_that_is_asked_for() {
    let mut registry = Registry::new().await;
    let digest = registry.push_image("a", Some("v1"), &[b"layer"]).await;
    let layer = sha256(b"layer");
    let mine = [("authorization", "Basic bWU6c2VjcmV0")];
    for url in [
        "/v2/",
        "/v2/a/manifests/v1",
        "/v2/a/tags/list",
        &format!("/v2/a/blobs/{layer}"),
        &format!("/v2/a/referrers/{digest}"),
    ] {
        let answer = registry.ask(&format!("GET {url}"), &mine, whole("")).await;
        is(&answer, 200);
        assert_eq!(answer.header("location"), "");
    }
    // Where a client is to go on it goes on here.
    let opened = registry.ask("POST /v2/a/blobs/uploads/", &mine, whole("")).await;
    is(&opened, 202);
    let url = format!("{}&digest={layer}", opened.header("location"));
    let pushed = registry.ask(&format!("PUT {url}"), &mine, whole("layer")).await;
    is(&pushed, 201);
    assert!(opened.header("location").starts_with("/v2/"), "{opened:?}");
    leads_to(&pushed, &format!("/v2/a/blobs/{layer}"));
}

#[tokio::test]
async fn item_005_the_base_says_that_this_is_a_registry() {
    for protocol in BOTH {
        let mut registry = Registry::over(protocol).await;
        for url in ["/v2/", "/v2"] {
            let answer = registry.get(url).await;
            is(&answer, 200);
            assert_eq!(
                (answer.header("content-type"), &*answer.body),
                ("application/json", &b"{}"[..])
            );
            is(&registry.head(url).await, 200);
        }
    }
}

/// Requests that name a repository, each with how it is answered if there is no such repository.
fn naming(name: &str) -> Vec<(String, u16)> {
    let digest = sha256(b"");
    vec![
        (format!("GET /v2/{name}/tags/list"), 404),
        (format!("GET /v2/{name}/manifests/v1"), 404),
        (format!("GET /v2/{name}/blobs/{digest}"), 404),
        (format!("GET /v2/{name}/referrers/{digest}"), 200),
        (format!("DELETE /v2/{name}/manifests/v1"), 404),
        (format!("DELETE /v2/{name}/blobs/{digest}"), 404),
        (format!("POST /v2/{name}/blobs/uploads/"), 202),
        (format!("PUT /v2/{name}/manifests/v1"), 400),
    ]
}

#[tokio::test]
async fn item_006_a_name_of_the_grammar_is_served() {
    let mut registry = Registry::new().await;
    for name in [
        "a",
        "0",
        "library/debian",
        "a.b",
        "a_b",
        "a__b",
        "a-b",
        "a---b",
        "a/b/c/d/e",
        "0.1/2_3/4__5/6-7",
        "a.b_c-d__e--f",
        "tags",
        "blobs/uploads",
        "manifests/list",
        "v2",
    ] {
        for (line, status) in naming(name) {
            let answer = registry.ask(&line, &[], whole("")).await;
            assert_eq!(answer.status.as_u16(), status, "{line}: {answer:?}");
            if status == 400 {
                is_refused(&answer, 400, "MANIFEST_INVALID");
            }
        }
        let digest = registry.push(name, b"abc").await;
        assert_eq!(registry.get(&format!("/v2/{name}/blobs/{digest}")).await.body, "abc");
    }
}

#[tokio::test]
async fn item_006_a_name_outside_of_the_grammar_is_refused() {
    let mut registry = Registry::new().await;
    for name in [
        "A",
        "aB",
        "a..b",
        "a___b",
        "a._b",
        "a.-b",
        "a_-b",
        "-a",
        "a-",
        "a.",
        ".a",
        "a_",
        "a__",
        "_a",
        "a/-b",
        "a/b-",
        "a/.b",
        "a//b",
        "a/B",
        "..",
        "a/../b",
        "%61%2f%62",
        "a%20b",
        "a%00",
        "%C3%A4",
        "a@b",
        "a:b",
        "a+b",
        "~a",
    ] {
        for (line, _) in naming(name) {
            let answer = registry.ask(&line, &[], whole("")).await;
            assert_eq!(answer.status, 400, "{line}");
            is_refused(&answer, 400, "NAME_INVALID");
        }
    }
}

#[tokio::test]
async fn item_007_a_name_of_255_characters_is_served_and_no_longer_one() {
    let mut registry = Registry::new().await;
    let host = registry.server.address().to_string();
    for name in ["a".repeat(255), format!("{}b", "a/".repeat(127)), "c".repeat(254 - host.len())] {
        registry.push_image(&name, Some("v1"), &[b"layer"]).await;
        is(&registry.get(&format!("/v2/{name}/manifests/v1")).await, 200);
        assert_eq!(
            registry.tags(&format!("/v2/{name}/tags/list")).await,
            serde_json::json!(["v1"])
        );
    }
    for (line, _) in naming(&"a".repeat(256)) {
        is_refused(&registry.ask(&line, &[], whole("")).await, 400, "NAME_INVALID");
    }
}

#[tokio::test]
async fn item_008_a_tag_of_the_grammar_names_a_manifest() {
    let mut registry = Registry::new().await;
    let digest = registry.push_image("a", None, &[]).await;
    let longest = "x".repeat(128);
    for tag in
        ["a", "Z", "0", "_", "latest", "V1.2-rc_3", "a.", "a-", "a..b--c__d", "sha256", &longest]
    {
        registry.push_manifest("a", Some(tag), &image(&[])).await;
        for url in [format!("/v2/a/manifests/{tag}"), format!("/v2/a/manifests/{digest}")] {
            assert_eq!(registry.get(&url).await.header("docker-content-digest"), digest, "{url}");
        }
    }
}

#[tokio::test]
async fn item_008_what_is_neither_a_tag_nor_a_digest_names_no_manifest() {
    let mut registry = Registry::new().await;
    let digest = registry.push_image("a", None, &[]).await;
    let text = image(&[]).to_string();
    let too_long = "x".repeat(129);
    for tag in [".a", "-a", "a+b", "a@b", "a%20b", "%C3%A4", "a%2Fb", "a%00", "~a", &*too_long] {
        let url = format!("/v2/a/manifests/{tag}");
        is_refused(&registry.get(&url).await, 404, "MANIFEST_UNKNOWN");
        is_refused(&registry.put_manifest("a", tag, &text).await, 400, "MANIFEST_INVALID");
        is_refused(&registry.delete(&url).await, 400, "MANIFEST_INVALID");
        // As a parameter too; a plus in a query stands for itself.
        let tagged = format!("{digest}?tag=good&tag={tag}");
        is_refused(&registry.put_manifest("a", &tagged, &text).await, 400, "MANIFEST_INVALID");
    }
    for digest in ["a:b", "sha256:", "latest:v1"] {
        is_refused(&registry.put_manifest("a", digest, &text).await, 400, "DIGEST_INVALID");
    }
    assert_eq!(registry.tags("/v2/a/tags/list").await, serde_json::json!([]));
}

#[tokio::test]
async fn item_009_a_reference_that_can_be_none_is_not_found() {
    let mut registry = Registry::new().await;
    registry.push_image("a", Some("v1"), &[]).await;
    let too_long = "x".repeat(129);
    for reference in [".INVALID_MANIFEST_NAME", "-v1", "sha256:abc", "a:b", "md5:abc", &*too_long] {
        let url = format!("/v2/a/manifests/{reference}");
        is_refused(&registry.get(&url).await, 404, "MANIFEST_UNKNOWN");
        is(&registry.head(&url).await, 404);
    }
}

#[tokio::test]
async fn item_010_no_request_needs_a_header_of_docker_and_none_is_misled_by_one() {
    let strange = [
        ("docker-distribution-api-version", "registry/1.0"),
        ("docker-content-digest", "nonsense"),
        ("docker-upload-uuid", "nonsense"),
    ];
    for headers in [&strange[..], &[]] {
        let mut registry = Registry::new().await;
        let opened = registry.ask("POST /v2/a/blobs/uploads/", headers, whole("")).await;
        is(&opened, 202);
        let line = format!("PATCH {}", opened.header("location"));
        let patched = registry.ask(&line, headers, parts(&["{}"])).await;
        is(&patched, 202);
        let digest = sha256(b"{}");
        let line = format!("PUT {}&digest={digest}", patched.header("location"));
        is(&registry.ask(&line, headers, whole("")).await, 201);
        let text = image(&[]).to_string();
        is(&registry.ask("PUT /v2/a/manifests/v1", headers, whole(text.clone())).await, 201);
        let pulled = registry.ask("GET /v2/a/manifests/v1", headers, whole("")).await;
        assert_eq!(pulled.body, text);
    }
}

#[tokio::test]
async fn item_002_a_category_that_is_switched_off_is_off_as_a_whole() {
    let registry = {
        let mut registry = Registry::new().await;
        registry.push_image("a", Some("v1"), &[b"abc"]).await;
        registry
    };
    let options = Options { read_only: true, ..Options::default() };
    let mut registry = registry.restarted(options).await;
    let digest = sha256(image(&[b"abc"]).to_string().as_bytes());
    let abc = sha256(b"abc");
    let id = "6b3c9a93-af5d-473f-a4ff-9710022185cd";
    for line in [
        "POST /v2/a/blobs/uploads/".to_owned(),
        format!("POST /v2/a/blobs/uploads/?digest={abc}"),
        format!("POST /v2/b/blobs/uploads/?mount={abc}&from=a"),
        format!("PATCH /v2/a/blobs/uploads/{id}"),
        format!("PUT /v2/a/blobs/uploads/{id}?digest={abc}"),
        format!("GET /v2/a/blobs/uploads/{id}"),
        format!("DELETE /v2/a/blobs/uploads/{id}"),
        "PUT /v2/a/manifests/v1".to_owned(),
        format!("PUT /v2/a/manifests/{digest}?tag=v2"),
        "DELETE /v2/a/manifests/v1".to_owned(),
        format!("DELETE /v2/a/manifests/{digest}"),
        format!("DELETE /v2/a/blobs/{abc}"),
    ] {
        is_refused(&registry.ask(&line, &[], whole("")).await, 405, "UNSUPPORTED");
    }
    is(&registry.get("/v2/a/manifests/v1").await, 200);
    is(&registry.get(&format!("/v2/a/referrers/{digest}")).await, 200);
}

#[tokio::test]
async fn item_001_what_is_deep_is_pulled_from_its_index_down() {
    let mut registry = Registry::with(Options::default(), Protocol::Http1).await;
    registry.push_image("a", None, &[b"layer"]).await;
    let inner = image(&[b"layer"]);
    let signature = referrer("signature", &inner);
    registry.push_manifest("a", None, &signature).await;
    registry
        .push_manifest("a", Some("all"), &index(&[described(&inner), described(&signature)]))
        .await;
    let all = registry.get("/v2/a/manifests/all").await.json();
    for entry in all["manifests"].as_array().unwrap() {
        let url = format!("/v2/a/manifests/{}", entry["digest"].as_str().unwrap());
        let pulled = registry.get(&url).await;
        assert_eq!(entry["size"], pulled.body.len());
        assert_eq!(entry["mediaType"], pulled.header("content-type"));
        let config = pulled.json()["config"]["digest"].as_str().unwrap().to_owned();
        assert_eq!(registry.get(&format!("/v2/a/blobs/{config}")).await.body, "{}");
    }
}
