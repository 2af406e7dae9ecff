//! Storage that is full, fails or cannot be reached: the right status, nothing half visible, and the same session
//! goes on when it is well again.

use std::sync::Arc;

use registry_http::Options;
use registry_store::backend::{ErrorKind, MemoryBackend};
use registry_store::digest::Digest;
use registry_tests::backends::{Fault, FaultyBackend, Method, Moment};
use registry_tests::plain_http::Answer;

use super::{MANIFEST_TYPE, Registry, good_image};

/// What a storage can fail with, and what a client sees of it.
const KINDS: &[(ErrorKind, u16, &str)] = &[
    (ErrorKind::Full, 507, "UNKNOWN"),
    (ErrorKind::Busy, 503, "UNAVAILABLE"),
    (ErrorKind::Unavailable, 503, "UNAVAILABLE"),
    (ErrorKind::Denied, 500, "UNKNOWN"),
    (ErrorKind::Foreign, 500, "UNKNOWN"),
    (ErrorKind::Io, 500, "UNKNOWN"),
];
/// More calls than any request makes.
const MOST_CALLS: u64 = 100;
const CONTENT: &[u8] = b"abcdef";

fn registry() -> (Registry, FaultyBackend) {
    let backend = FaultyBackend::new(Arc::new(MemoryBackend::new()));
    (Registry::on(Arc::new(backend.clone()), Options::default()), backend)
}

/// Sends a request again and again, each time with another call of the storage failing, until it meets no fault.
/// `prepare` makes the line; `check` looks at what is left of each that failed.
fn every_call_fails_in_turn(
    prepare: impl Fn(&mut Registry) -> String,
    body: &[u8],
    check: impl Fn(&mut Registry, &str, &Answer),
) {
    for &(kind, status, code) in KINDS {
        for moment in [Moment::Before, Moment::After] {
            let (mut registry, backend) = registry();
            let mut failed = 0;
            let ended = (1..MOST_CALLS).any(|call| {
                let line = prepare(&mut registry);
                backend.arm(Fault { method: None, call, kind, moment });
                let answer = registry.ask(&line, &[MANIFEST_TYPE], body);
                if backend.disarm() {
                    assert!(answer.status < 300, "{line}: {answer:?}");
                    return true;
                }
                // Some failures are not the request's: what is left of a session that became a blob expires.
                if answer.status >= 300 {
                    failed += 1;
                    let told = format!("{line} with {kind:?} at call {call}");
                    registry.is_error(&answer, (status, code), &told);
                    let retry = answer.header("retry-after").is_some();
                    assert_eq!(retry, status == 503, "{told}");
                    let shown = String::from_utf8_lossy(&answer.body);
                    assert!(!shown.contains("was to fail"), "{told}: {shown}");
                }
                check(&mut registry, &line, &answer);
                registry.serves(&line);
                false
            });
            assert!(ended && failed > 0, "{kind:?} {moment:?}: {failed} failures");
            registry.works();
        }
    }
}

#[test]
fn an_upload_that_cannot_begin_leaves_no_repository() {
    every_call_fails_in_turn(
        |_| "POST /v2/new/blobs/uploads/".to_owned(),
        b"",
        |registry, _, _| {
            assert_eq!(registry.ask("GET /v2/new/tags/list", &[], b"").status, 404);
        },
    );
}

#[test]
fn a_part_that_cannot_be_stored_is_gone_on_from_in_the_same_session() {
    every_call_fails_in_turn(
        |registry| format!("PATCH {}", registry.start("new")),
        CONTENT,
        |registry, line, _| {
            let location = line.strip_prefix("PATCH ").expect("it was prepared so");
            registry.lacks("new", CONTENT);
            registry.finish("new", location, CONTENT);
            let delete = format!("DELETE /v2/new/blobs/{}", Digest::sha256(CONTENT));
            assert_eq!(registry.ask(delete, &[], b"").status, 202);
        },
    );
}

#[test]
fn a_close_that_cannot_be_stored_can_be_asked_for_again() {
    let digest = Digest::sha256(CONTENT);
    every_call_fails_in_turn(
        |registry| format!("PUT {}&digest={digest}", registry.start("new")),
        CONTENT,
        |registry, line, answer| {
            let location = line.strip_prefix("PUT ").expect("it was prepared so");
            let (location, _) = location.split_once("&digest").expect("it was prepared so");
            let blob = format!("/v2/new/blobs/{digest}");
            let is_there = registry.ask(format!("GET {blob}"), &[], b"");
            match is_there.status {
                200 => assert_eq!(is_there.body, CONTENT),
                found => assert_eq!((found, answer.status >= 300), (404, true)),
            }
            match registry.ask(format!("GET {location}"), &[], b"").status {
                204 => registry.finish("new", location, CONTENT),
                // It was promoted, or is gone: a PUT of the same digest finishes what is left of it, if anything.
                found => {
                    assert_eq!(found, 404);
                    let again = registry.ask(line, &[], b"").status;
                    assert!([201, 404].contains(&again), "{again}");
                    let post = format!("POST /v2/new/blobs/uploads/?digest={digest}");
                    assert_eq!(registry.ask(post, &[], CONTENT).status, 201);
                }
            }
            registry.pulls("new", CONTENT);
            assert_eq!(registry.ask(format!("DELETE {blob}"), &[], b"").status, 202);
        },
    );
}

#[test]
fn a_blob_in_one_request_that_cannot_be_stored_is_there_whole_or_not() {
    let digest = Digest::sha256(CONTENT);
    every_call_fails_in_turn(
        |_| format!("POST /v2/new/blobs/uploads/?digest={digest}"),
        CONTENT,
        |registry, line, _| {
            let blob = registry.ask(format!("GET /v2/new/blobs/{digest}"), &[], b"");
            assert!(blob.status == 404 || blob.body == CONTENT, "{blob:?}");
            assert_eq!(registry.ask(line, &[], CONTENT).status, 201);
            registry.pulls("new", CONTENT);
            let delete = format!("DELETE /v2/new/blobs/{digest}");
            assert_eq!(registry.ask(delete, &[], b"").status, 202);
        },
    );
}

#[test]
fn a_manifest_that_cannot_be_stored_is_there_whole_or_not() {
    let image = good_image();
    every_call_fails_in_turn(
        |_| "PUT /v2/app/manifests/new".to_owned(),
        image.bytes(),
        |registry, line, _| {
            let found = registry.ask("GET /v2/app/manifests/new", &[], b"");
            assert!(found.status == 404 || found.body == *image.bytes(), "{found:?}");
            assert_eq!(registry.ask(line, &[MANIFEST_TYPE], image.bytes()).status, 201);
            assert_eq!(registry.ask("DELETE /v2/app/manifests/new", &[], b"").status, 202);
        },
    );
}

#[test]
fn what_cannot_be_deleted_stays_whole_or_is_gone() {
    let image = good_image();
    every_call_fails_in_turn(
        |registry| {
            let put = "PUT /v2/app/manifests/new";
            assert_eq!(registry.ask(put, &[MANIFEST_TYPE], image.bytes()).status, 201);
            "DELETE /v2/app/manifests/new".to_owned()
        },
        b"",
        |registry, _, answer| {
            let found = registry.ask("GET /v2/app/manifests/new", &[], b"");
            assert!(found.status == 404 || found.body == *image.bytes(), "{found:?}");
            assert!(found.status == 404 || answer.status >= 300);
        },
    );
    every_call_fails_in_turn(
        |registry| format!("DELETE {}", registry.start("new")),
        b"",
        |registry, line, _| {
            let location = line.strip_prefix("DELETE ").expect("it was prepared so");
            let status = registry.ask(format!("GET {location}"), &[], b"").status;
            assert!([204, 404].contains(&status), "{status}");
            let again = registry.ask(line, &[], b"").status;
            assert_eq!(again, if status == 204 { 204 } else { 404 });
        },
    );
}

#[test]
fn a_disk_that_fills_in_the_middle_of_a_body_has_what_came_before() {
    let (mut registry, backend) = registry();
    let content: Vec<u8> = (0..4_000_000_u32).map(|at| (at % 249) as u8).collect();
    for call in [1, 2, 5] {
        let location = registry.start("new");
        let fault = Fault {
            method: Some(Method::Append),
            call,
            kind: ErrorKind::Full,
            moment: Moment::Before,
        };
        backend.arm(fault);
        let answer = registry.ask(format!("PATCH {location}"), &[], &content);
        assert!(!backend.disarm());
        registry.is_error(&answer, (507, "UNKNOWN"), "PATCH");
        let stored = registry.status(&location).0;
        assert_eq!(stored, 512 * 1024 * (usize::try_from(call).expect("a small number") - 1));
        registry.lacks("new", &content);
        registry.finish("new", &location, &content);
        let delete = format!("DELETE /v2/new/blobs/{}", Digest::sha256(&content));
        assert_eq!(registry.ask(delete, &[], b"").status, 202);
    }
    registry.works();
}
