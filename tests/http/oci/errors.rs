//! Errors (item 96). That every failure has the form is checked of each answer, in `registry`.

use registry_http::Options;
use registry_tests::server::{Protocol, whole};
use serde_json::json;

use super::registry::{BOTH, CODES, Registry, image, is, sha256};

/// A request that fails, and how. `{session}` in its line is a session's address.
struct Failing {
    line: String,
    header: Option<(&'static str, &'static str)>,
    body: String,
    status: u16,
    code: &'static str,
}

fn failing() -> Vec<Failing> {
    let digest = sha256(b"missing");
    let manifest = image(&[b"missing"]).to_string();
    let many: String = (0..51).map(|number| format!("&tag=t{number}")).collect();
    let with = |line: &str, header, body: &str, status, code| {
        let (line, body) = (line.to_owned(), body.to_owned());
        Failing { line, header, body, status, code }
    };
    let bare = |line: &str, status, code| with(line, None, "", status, code);
    let put = |header, body: &str, status, code| {
        let header = Some(("content-type", header));
        with("PUT /v2/a/manifests/v1", header, body, status, code)
    };
    let chunk = |range, status, code| {
        with("PATCH {session}", Some(("content-range", range)), "abc", status, code)
    };
    vec![
        bare("GET /v3", 404, "UNSUPPORTED"),
        bare("POST /v2/", 405, "UNSUPPORTED"),
        bare("GET /v2/A/tags/list", 400, "NAME_INVALID"),
        bare("GET /v2/none/tags/list", 404, "NAME_UNKNOWN"),
        bare("GET /v2/a/tags/list?n=x", 400, "UNSUPPORTED"),
        bare("GET /v2/_catalog?n=x", 400, "UNSUPPORTED"),
        bare(&format!("GET /v2/a/referrers/{digest}?n=x"), 400, "UNSUPPORTED"),
        bare("GET /v2/a/referrers/x", 400, "DIGEST_INVALID"),
        bare(&format!("GET /v2/a/blobs/{digest}"), 404, "BLOB_UNKNOWN"),
        bare("GET /v2/a/blobs/x", 400, "DIGEST_INVALID"),
        bare("GET /v2/a/manifests/none", 404, "MANIFEST_UNKNOWN"),
        bare("GET /v2/a/manifests/-x", 404, "MANIFEST_UNKNOWN"),
        bare("DELETE /v2/a/manifests/-x", 400, "MANIFEST_INVALID"),
        bare("PUT /v2/a/manifests/x:y", 400, "DIGEST_INVALID"),
        bare(&format!("PUT /v2/a/manifests/{digest}?{many}"), 414, "UNSUPPORTED"),
        with(&format!("PUT /v2/a/manifests/{digest}"), None, &manifest, 400, "DIGEST_INVALID"),
        put("", "", 400, "MANIFEST_INVALID"),
        put("", &manifest, 400, "MANIFEST_BLOB_UNKNOWN"),
        put("nonsense", &manifest, 400, "MANIFEST_INVALID"),
        put("", &" ".repeat((4 << 20) + 1), 413, "MANIFEST_INVALID"),
        bare("POST /v2/a/blobs/uploads/?digest=x", 400, "DIGEST_INVALID"),
        bare("POST /v2/a/blobs/uploads/?digest-algorithm=x", 400, "DIGEST_INVALID"),
        bare("GET /v2/a/blobs/uploads/x", 404, "BLOB_UPLOAD_UNKNOWN"),
        chunk("5-7", 416, "BLOB_UPLOAD_INVALID"),
        chunk("7-5", 416, "BLOB_UPLOAD_INVALID"),
        chunk("x", 400, "BLOB_UPLOAD_INVALID"),
        chunk("0-7", 400, "SIZE_INVALID"),
        bare("PATCH {session}x", 400, "BLOB_UPLOAD_INVALID"),
        bare("PUT {session}", 400, "DIGEST_INVALID"),
        bare(&format!("PUT {{session}}&digest={digest}"), 400, "DIGEST_INVALID"),
    ]
}

#[tokio::test]
async fn item_096_every_failure_has_the_form_and_a_code_of_the_specification() {
    for protocol in BOTH {
        let mut registry = Registry::over(protocol).await;
        registry.push("a", b"{}").await;
        let session = registry.start("a").await;
        for Failing { line, header, body, status, code } in failing() {
            let line = line.replace("{session}", &session);
            let answer = registry.ask(&line, header.as_slice(), whole(body)).await;
            assert_eq!(answer.status.as_u16(), status, "{line}: {answer:?}");
            let errors = answer.json()["errors"].as_array().unwrap().clone();
            assert!(errors.iter().all(|error| error["code"] == code), "{line}: {errors:?}");
            assert!(CODES.contains(&code), "{code}");
        }
    }
}

#[tokio::test]
async fn item_096_so_has_a_range_that_cannot_be_had_and_what_is_switched_off() {
    let mut registry = Registry::new().await;
    let digest = registry.push("a", b"abc").await;
    let answer = registry.get_range(&format!("/v2/a/blobs/{digest}"), "bytes=9-").await;
    is(&answer, 416);
    assert_eq!(answer.json()["errors"][0]["code"], "SIZE_INVALID");
    let mut registry = registry.restarted(Options { read_only: true, ..Options::default() }).await;
    let answer = registry.post("/v2/a/blobs/uploads/", "").await;
    is(&answer, 405);
    assert_eq!(answer.json()["errors"][0]["code"], "UNSUPPORTED");
}

#[tokio::test]
async fn item_096_text_of_the_client_in_a_message_does_not_break_the_json() {
    let mut registry = Registry::with(Options::default(), Protocol::Http1).await;
    for (url, found) in [
        ("/v2/%22%5C%0A%7B/tags/list", "\"\\\n{"),
        ("/v2/a/tags/list?n=%22%2C%22", "\",\""),
        ("/v2/a/blobs/%22%7D%5D", "\"}]"),
    ] {
        let answer = registry.get(url).await;
        is(&answer, 400);
        // Quoted as a debugger would, then as JSON.
        let message = answer.json()["errors"][0]["message"].clone();
        assert!(message.as_str().unwrap().contains(&format!("{found:?}")), "{message}");
        assert_eq!(
            answer.json(),
            json!({"errors": [{"code": answer.json()["errors"][0]["code"], "message": message}]})
        );
    }
}
