//! Upload sessions: requests that come twice, at once, for another's session or for none.

use std::io::Write as _;

use bytes::Bytes;
use futures::channel::mpsc;
use futures::{SinkExt as _, future};
use http::{Method, Request};
use registry_store::digest::Digest;
use registry_tests::plain_http::{self, answer};
use registry_tests::server::{Client, Protocol, streamed};

use super::{NO_SESSION, Registry};

#[test]
fn a_part_that_is_sent_twice_is_added_once() {
    let mut registry = Registry::new();
    let location = registry.start("new");
    let chunked = b"6\r\nabcdef\r\n0\r\n\r\n";
    let streams = [("Transfer-Encoding", "chunked")];
    for (line, headers, body, (status, range)) in [
        (format!("PATCH {location}"), &[][..], &b"abc"[..], (202, "0-2")),
        (format!("PATCH {location}"), &[], b"abc", (416, "0-2")),
        (format!("PATCH {location}"), &streams, chunked, (416, "0-2")),
        (format!("PATCH {location}"), &[("Content-Range", "0-2")], b"abc", (416, "0-2")),
        // An address that says nothing, and a range that does.
        (format!("PATCH {}", bare(&location)), &[("Content-Range", "0-2")], b"abc", (416, "0-2")),
        (format!("PATCH {}", bare(&location)), &[("Content-Range", "3-5")], b"def", (202, "0-5")),
        (format!("PATCH {}", bare(&location)), &[("Content-Range", "3-5")], b"def", (416, "0-5")),
    ] {
        let before = registry.look();
        let answer = registry.ask(&line, headers, body);
        assert_eq!((answer.status, answer.header("range")), (status, Some(range)), "{line}");
        let fresh = answer.header("location").expect("where it goes on").to_owned();
        assert_eq!(registry.status(&fresh), registry.status(&location));
        if status == 416 {
            assert_eq!(before.changes(&registry.look()), "", "{line}");
        }
    }
    registry.finish("new", &location, b"abcdef");
    registry.works();
}

/// An address as a client has it that keeps no more of it than the id.
fn bare(location: &str) -> &str {
    location.split('?').next().expect("a path")
}

#[test]
fn a_closing_request_that_is_sent_twice_finds_the_session_gone_and_the_blob_there() {
    let mut registry = Registry::new();
    let location = registry.start("new");
    let put = format!("PUT {location}&digest={}", Digest::sha256(b"abcdef"));
    assert_eq!(registry.ask(&put, &[], b"abcdef").status, 201);
    registry.refuses(&put, &[], b"abcdef", (404, "BLOB_UPLOAD_UNKNOWN"));
    registry.pulls("new", b"abcdef");
    registry.works();
}

/// Two requests on one session at the same time, from the same address. Each is held open until both have sent
/// something, so that they do meet.
fn at_once(registry: &Registry, requests: [(Method, String, u8); 2]) -> [u16; 2] {
    let address = registry.address;
    registry.runtime.block_on(async {
        let mut senders = Vec::new();
        let mut answers = Vec::new();
        for (method, url, byte) in requests {
            let (sender, parts) = mpsc::channel(4);
            senders.push((sender, byte));
            answers.push(tokio::spawn(async move {
                let mut client = Client::connect(address, Protocol::Http1).await;
                let request = Request::builder().method(method).uri(url);
                client.send(request, streamed(parts)).await.status.as_u16()
            }));
        }
        for size in [1, 1000, 700_000] {
            for (sender, byte) in &mut senders {
                // One that was stopped takes no more.
                let _ = sender.send(Ok(Bytes::from(vec![*byte; size]))).await;
            }
        }
        drop(senders);
        let statuses = future::join_all(answers).await;
        let statuses: Vec<u16> =
            statuses.into_iter().map(|status| status.expect("no panic")).collect();
        [statuses[0], statuses[1]]
    })
}

/// The length of either body in [`at_once`].
const LENGTH: usize = 701_001;

#[test]
fn of_two_parts_sent_at_once_one_is_taken_and_never_a_mixture() {
    let mut registry = Registry::new();
    let mut taken = 0;
    for _ in 0..10 {
        let location = registry.start("new");
        let statuses = at_once(
            &registry,
            [(Method::PATCH, location.clone(), b'a'), (Method::PATCH, location.clone(), b'b')],
        );
        assert!(statuses.iter().all(|status| [202, 409, 416].contains(status)), "{statuses:?}");
        assert!(statuses.iter().filter(|status| **status == 202).count() <= 1, "{statuses:?}");
        let (offset, now) = registry.status(&location);
        assert!(offset <= LENGTH && (offset == LENGTH || !statuses.contains(&202)), "{offset}");
        // Who was stopped had stored something, or else the other begins where it should.
        assert!(offset > 0, "after {statuses:?} there is nothing");
        taken += usize::from(statuses.contains(&202));
        // What is there is of one of them: by which it can be closed.
        let closed = [b'a', b'b'].map(|byte| {
            let digest = Digest::sha256(&vec![byte; offset]);
            registry.ask(format!("PUT {now}&digest={digest}"), &[], b"").status
        });
        assert!(
            closed.contains(&201),
            "after {statuses:?} {offset} bytes are a mixture: {closed:?}"
        );
    }
    assert!(taken > 0, "no part came through");
    registry.works();
}

#[test]
fn a_part_and_a_close_sent_at_once_end_in_the_blob_that_was_closed_or_an_open_session() {
    let mut registry = Registry::new();
    let whole = vec![b'b'; LENGTH];
    let digest = Digest::sha256(&whole);
    for _ in 0..10 {
        let location = registry.start("new");
        let put = format!("{location}&digest={digest}");
        let statuses =
            at_once(&registry, [(Method::PATCH, location.clone(), b'a'), (Method::PUT, put, b'b')]);
        let [patched, put] = statuses;
        assert!([202, 404, 409, 416].contains(&patched), "{statuses:?}");
        assert!([201, 409, 416].contains(&put), "{statuses:?}");
        if put == 201 {
            registry.pulls("new", &whole);
            let answer = registry.ask(format!("GET {location}"), &[], b"");
            assert_eq!(answer.status, 404, "the session has ended");
            assert_eq!(
                registry.ask(format!("DELETE /v2/new/blobs/{digest}"), &[], b"").status,
                202
            );
        } else {
            registry.lacks("new", &whole);
            let (offset, _) = registry.status(&location);
            assert!(offset == LENGTH || patched != 202);
            let byte =
                if patched == 202 || prefix_of(&registry, &location, b'a') { b'a' } else { b'b' };
            let content = vec![byte; offset];
            registry.finish("new", &location, &content);
            // It may be what the next one is to close with.
            let delete = format!("DELETE /v2/new/blobs/{}", Digest::sha256(&content));
            assert_eq!(registry.ask(delete, &[], b"").status, 202);
        }
    }
    registry.works();
}

/// Are a session's bytes all this one?
fn prefix_of(registry: &Registry, location: &str, byte: u8) -> bool {
    let id = bare(location).rsplit('/').next().expect("an id");
    let data = registry.path(&format!("repositories/new/_uploads/{id}/data"));
    std::fs::read(data).expect("a session has bytes").iter().all(|found| *found == byte)
}

#[test]
fn two_closes_sent_at_once_end_in_the_blob() {
    let mut registry = Registry::new();
    let whole = vec![b'c'; LENGTH];
    let digest = Digest::sha256(&whole);
    for _ in 0..10 {
        let location = registry.start("new");
        let put = format!("{location}&digest={digest}");
        let statuses =
            at_once(&registry, [(Method::PUT, put.clone(), b'c'), (Method::PUT, put, b'c')]);
        assert!(
            statuses.iter().all(|status| [201, 404, 409, 416].contains(status)),
            "{statuses:?}"
        );
        if !statuses.contains(&201) {
            // One has stopped the other and found that this had stored something: it is gone on from there.
            registry.finish("new", &location, &whole);
        }
        registry.pulls("new", &whole);
        assert_eq!(registry.ask(format!("GET {location}"), &[], b"").status, 404);
        assert_eq!(registry.ask(format!("DELETE /v2/new/blobs/{digest}"), &[], b"").status, 202);
    }
    registry.works();
}

/// Every request on a session at this address.
fn requests(session: &str) -> Vec<(String, &'static [u8])> {
    let digest = Digest::sha256(b"abc");
    vec![
        (format!("GET {session}"), b""),
        (format!("HEAD {session}"), b""),
        (format!("PATCH {session}"), b"abc"),
        (format!("PATCH {session}?_offset=3"), b"abc"),
        (format!("PUT {session}?digest={digest}"), b"abc"),
        (format!("PUT {session}?digest={digest}"), b""),
        (format!("PUT {session}?_offset=3&digest={digest}"), b""),
        (format!("DELETE {session}"), b""),
    ]
}

#[test]
fn the_session_of_another_repository_is_unknown_and_unharmed() {
    let mut registry = Registry::new();
    let location = registry.start("app/tools");
    assert_eq!(registry.ask(format!("PATCH {location}"), &[], b"abc").status, 202);
    let id = bare(&location).rsplit('/').next().expect("an id").to_owned();
    for other in ["app", "new", "app/tools/deeper", "tools"] {
        for (line, body) in requests(&format!("/v2/{other}/blobs/uploads/{id}")) {
            registry.refuses(&line, &[], body, (404, "BLOB_UPLOAD_UNKNOWN"));
        }
    }
    assert_eq!(registry.status(&location).0, 3);
    registry.finish("app/tools", &location, b"abcdef");
    registry.works();
}

#[test]
fn a_session_that_never_was_or_cannot_be_is_unknown() {
    let mut registry = Registry::new();
    let long = "a".repeat(20_000);
    for id in [
        NO_SESSION,
        "00000000-0000-0000-0000-000000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
        "6B3C9A93-AF5D-473F-A4FF-9710022185CD",
        "6b3c9a93af5d473fa4ff9710022185cd",
        "%7B6b3c9a93-af5d-473f-a4ff-9710022185cd%7D",
        "urn:uuid:6b3c9a93-af5d-473f-a4ff-9710022185cd",
        "6b3c9a93-af5d-473f-a4ff-9710022185c",
        "6b3c9a93-af5d-473f-a4ff-9710022185cd0",
        "6b3c9a93-af5d-473f-a4ff-9710022185cd%00",
        "6b3c9a93-af5d-473f-a4ff-9710022185cd%2fdata",
        "..",
        "%2e%2e",
        "%2e%2e%2f_layers",
        "x",
        "%00",
        "%ff",
        "_",
        &long,
    ] {
        for (line, body) in requests(&format!("/v2/app/blobs/uploads/{id}")) {
            registry.refuses(&line, &[], body, (404, "BLOB_UPLOAD_UNKNOWN"));
        }
    }
    registry.works();
}

#[test]
fn an_address_that_came_back_changed_is_refused_and_the_session_unharmed() {
    let mut registry = Registry::new();
    let location = registry.start("new");
    let session = bare(&location).to_owned();
    let digest = Digest::sha256(b"abc");
    let bad_offset =
        ["-1", "x", "1.5", "%00", "+0", "0x0", "18446744073709551616", "%d9%a0", "0%20"];
    let offsets =
        bad_offset.map(|offset| (format!("_offset={offset}"), (400, "BLOB_UPLOAD_INVALID")));
    let states = ["x", "%00", "AAAA", "%ff", "=", "..", &"A".repeat(20_000)]
        .map(|state| (format!("_state={state}"), (404, "BLOB_UPLOAD_INVALID")));
    for (query, expected) in offsets.into_iter().chain(states) {
        for line in [
            format!("GET {session}?{query}"),
            format!("PATCH {session}?{query}"),
            format!("PUT {session}?{query}&digest={digest}"),
            format!("DELETE {session}?{query}"),
        ] {
            registry.refuses(&line, &[], b"abc", expected);
        }
    }
    for (line, body) in [
        (format!("PATCH {session}?_offset=1"), b"abc"),
        (format!("PATCH {session}?_offset=18446744073709551615"), b"abc"),
        (format!("PUT {session}?_offset=1&digest={digest}"), b"abc"),
        (format!("PATCH {session}?_offset=9&_tip=%00%ff"), b"abc"),
    ] {
        registry.refuses(&line, &[], body, (416, "BLOB_UPLOAD_INVALID"));
    }
    registry.finish("new", &location, b"abc");
    registry.works();
}

#[test]
fn a_close_with_the_wrong_digest_leaves_the_session_as_it_was() {
    let mut registry = Registry::new();
    let location = registry.start("new");
    let answer = registry.ask(format!("PATCH {location}"), &[], b"abc");
    let location = answer.header("location").expect("a session").to_owned();
    let wrong = [Digest::sha256(b"other"), Digest::sha256(b"def"), Digest::sha256(b"abcde")];
    for digest in wrong {
        for body in ["def", ""] {
            let put = format!("PUT {location}&digest={digest}");
            registry.refuses(put, &[], body.as_bytes(), (400, "DIGEST_INVALID"));
            assert_eq!(registry.status(&location).0, 3);
        }
    }
    let sha512 = Digest::of(registry_store::digest::Algorithm::Sha512, b"abcde");
    let put = format!("PUT {location}&digest={sha512}");
    registry.refuses(put, &[], b"def", (400, "DIGEST_INVALID"));
    registry.refuses(format!("PUT {location}"), &[], b"def", (400, "DIGEST_INVALID"));
    registry.finish("new", &location, b"abcdef");
    registry.works();
}

#[test]
fn a_session_is_deleted_while_a_part_of_it_is_sent() {
    let mut registry = Registry::new();
    let location = registry.start("new");
    let before = registry.look().without("repositories/new");
    let mut patch = plain_http::connect(registry.address);
    let head = format!(
        "PATCH {location} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n"
    );
    patch.write_all(head.as_bytes()).expect("a server that reads");
    // Its body is asked for when the session is taken up.
    assert_eq!(answer(&mut patch, false).status, 100);
    patch.write_all(b"abc").expect("a server that reads");

    assert_eq!(registry.ask(format!("DELETE {location}"), &[], b"").status, 204);
    let stopped = answer(&mut patch, true);
    registry.is_error(&stopped, (409, "BLOB_UPLOAD_INVALID"), "PATCH");
    registry.refuses(format!("GET {location}"), &[], b"", (404, "BLOB_UPLOAD_UNKNOWN"));
    assert_eq!(before.changes(&registry.look().without("repositories/new")), "");
    registry.works();
}
