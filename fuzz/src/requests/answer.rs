//! What holds of every answer, by itself.

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HOST, LOCATION};
use http::{HeaderName, Method, Response, StatusCode};
use registry_store::digest::Digest;

use super::request::{Asked, Kind};

/// An answer, its body collected.
pub type Answer = Response<Bytes>;

/// The codes of the OCI distribution-spec, and Distribution's for faults of the storage.
const CODES: [&str; 17] = [
    "BLOB_UNKNOWN",
    "BLOB_UPLOAD_INVALID",
    "BLOB_UPLOAD_UNKNOWN",
    "DIGEST_INVALID",
    "MANIFEST_BLOB_UNKNOWN",
    "MANIFEST_INVALID",
    "MANIFEST_UNKNOWN",
    "NAME_INVALID",
    "NAME_UNKNOWN",
    "SIZE_INVALID",
    "UNAUTHORIZED",
    "DENIED",
    "UNSUPPORTED",
    "TOOMANYREQUESTS",
    "UNKNOWN",
    "UNAVAILABLE",
    "MANIFEST_UNVERIFIED",
];

/// Looks at one answer.
pub fn is_orderly(asked: &Asked, answer: &Answer, has_failed: bool) {
    let about = format!("{asked:?}: {answer:?}");
    let status = answer.status();
    assert!(has_failed || !status.is_server_error(), "nothing failed: {about}");
    assert!(statuses(asked).contains(&status.as_u16()) || status.is_server_error(), "{about}");
    assert!(answer.headers().contains_key("docker-distribution-api-version"), "{about}");
    if status.is_client_error() || status.is_server_error() {
        tells_what_is_wrong(asked, answer, &about);
    }
    has_the_length_it_says(asked, answer, &about);
    if status == StatusCode::OK && asked.method == Method::GET {
        is_what_its_digest_says(asked, answer, &about);
    }
}

/// A header's text.
pub fn text<'a>(answer: &'a Answer, name: &HeaderName) -> Option<&'a str> {
    answer.headers().get(name).map(|value| value.to_str().expect("it is visible ASCII"))
}

/// `Docker-Content-Digest`.
pub fn content_digest(answer: &Answer) -> Option<Digest> {
    let text = text(answer, &HeaderName::from_static("docker-content-digest"))?;
    Some(text.parse().expect("it is a digest"))
}

/// The path and query of `Location`, whatever stands before it.
pub fn location(answer: &Answer) -> String {
    let location = text(answer, &LOCATION).expect("it says where");
    let location: http::Uri = location.parse().expect("it is a URL");
    location.path_and_query().map(ToString::to_string).unwrap_or_default()
}

/// What an endpoint may answer, but for faults of the storage.
fn statuses(asked: &Asked) -> &'static [u16] {
    let (method, kind) = (&asked.method, asked.kind);
    // A proxy may have read another request in it.
    if asked.headers.get_all(HOST).iter().count() > 1 {
        return &[400];
    }
    if kind == Kind::Nothing {
        return &[404];
    }
    if *method == Method::OPTIONS {
        return &[200];
    }
    let reads = *method == Method::GET || *method == Method::HEAD;
    match kind {
        Kind::Root | Kind::Base if reads => &[200],
        Kind::Tags if reads => &[200, 400, 404],
        Kind::Catalog | Kind::Referrers if reads => &[200, 400],
        Kind::Blob if reads => &[200, 206, 304, 400, 404, 412, 416],
        Kind::Manifest if reads => &[200, 304, 400, 404, 412],
        Kind::Blob | Kind::Manifest if *method == Method::DELETE => &[202, 400, 404, 412],
        Kind::Manifest if *method == Method::PUT => &[201, 400, 412, 413],
        Kind::Uploads if *method == Method::POST => &[201, 202, 400],
        Kind::Upload if reads => &[204, 400, 404],
        Kind::Upload if *method == Method::PATCH => &[202, 400, 404, 416],
        Kind::Upload if *method == Method::PUT => &[201, 400, 404, 416],
        Kind::Upload if *method == Method::DELETE => &[204, 400, 404],
        _ => &[405],
    }
}

/// The error's form, as the specification has it.
fn tells_what_is_wrong(asked: &Asked, answer: &Answer, about: &str) {
    if answer.status() == StatusCode::METHOD_NOT_ALLOWED {
        assert!(text(answer, &ALLOW).is_some_and(|allow| allow.ends_with("OPTIONS")), "{about}");
    }
    if asked.method == Method::HEAD {
        return;
    }
    assert_eq!(text(answer, &CONTENT_TYPE), Some("application/json"), "{about}");
    let told: serde_json::Value = serde_json::from_slice(answer.body()).expect("it is JSON");
    let errors = told["errors"].as_array().expect("it is a list of errors");
    assert!(!errors.is_empty(), "{about}");
    for error in errors {
        let code = error["code"].as_str().unwrap_or_default();
        assert!(CODES.contains(&code), "{about}");
        assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{about}");
    }
}

fn has_the_length_it_says(asked: &Asked, answer: &Answer, about: &str) {
    let said = text(answer, &CONTENT_LENGTH);
    if asked.method == Method::HEAD {
        assert!(answer.body().is_empty(), "{about}");
        return;
    }
    let is_bare = matches!(answer.status().as_u16(), 204 | 304);
    let expected = (!is_bare).then(|| answer.body().len().to_string());
    assert_eq!(said, expected.as_deref(), "{about}");
}

fn is_what_its_digest_says(asked: &Asked, answer: &Answer, about: &str) {
    if !matches!(asked.kind, Kind::Blob | Kind::Manifest) {
        return;
    }
    let digest = content_digest(answer).expect("what has a digest says so");
    assert_eq!(Digest::of(digest.algorithm(), answer.body()), digest, "{about}");
    assert!(asked.digest.is_none_or(|asked| asked == digest), "{about}");
    assert_eq!(text(answer, &ETAG), Some(format!("\"{digest}\"").as_str()), "{about}");
}

/// The first byte, the last, and how many there are, of an answer in part.
pub fn part(answer: &Answer) -> (usize, usize, usize) {
    let range = text(answer, &CONTENT_RANGE).expect("a part says which it is");
    let numbers = range.strip_prefix("bytes ").and_then(|range| {
        let (range, size) = range.split_once('/')?;
        let (first, last) = range.split_once('-')?;
        Some((first.parse().ok()?, last.parse().ok()?, size.parse().ok()?))
    });
    numbers.expect("it is written as RFC 9110 has it")
}
