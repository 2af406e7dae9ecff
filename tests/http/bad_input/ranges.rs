//! A `Content-Range` that lies, or cannot be read, on PATCH and on PUT.

use registry_store::digest::Digest;

use super::Registry;

const CONTENT: &[u8] = b"abcdef";

/// A session that has the first three bytes of [`CONTENT`].
fn half(registry: &mut Registry) -> String {
    let location = registry.start("new");
    let answer = registry.ask(format!("PATCH {location}"), &[("Content-Range", "0-2")], b"abc");
    assert_eq!((answer.status, answer.header("range")), (202, Some("0-2")));
    answer.header("location").expect("a session has an address").to_owned()
}

/// The request with which such a session would go on, by either method.
fn requests(location: &str) -> [String; 2] {
    let digest = Digest::sha256(CONTENT);
    [format!("PATCH {location}"), format!("PUT {location}&digest={digest}")]
}

#[test]
fn a_content_range_that_lies_or_cannot_be_read_leaves_the_session_as_it_was() {
    let mut registry = Registry::new();
    let location = half(&mut registry);
    let (elsewhere, backwards) = ((416, "BLOB_UPLOAD_INVALID"), (416, "BLOB_UPLOAD_INVALID"));
    let (length, unreadable) = ((400, "SIZE_INVALID"), (400, "BLOB_UPLOAD_INVALID"));
    let ranges = [
        // Behind the session, and ahead of it.
        ("0-2", elsewhere),
        ("2-4", elsewhere),
        ("4-6", elsewhere),
        ("1000000-1000002", elsewhere),
        ("18446744073709551613-18446744073709551615", elsewhere),
        ("bytes 4-6/*", elsewhere),
        ("5-3", backwards),
        ("3-2", backwards),
        ("18446744073709551615-0", backwards),
        // Of another length than the body.
        ("3-4", length),
        ("3-6", length),
        ("3-3", length),
        ("0-5", length),
        ("3-18446744073709551615", length),
        ("0-18446744073709551615", length),
        ("18446744073709551615-18446744073709551616", length),
        ("99999999999999999999999-99999999999999999999999", length),
        // Of no known form.
        ("", unreadable),
        ("-", unreadable),
        ("3-", unreadable),
        ("-5", unreadable),
        ("3", unreadable),
        ("bytes", unreadable),
        ("bytes */6", unreadable),
        ("bytes */*", unreadable),
        ("*", unreadable),
        ("3 - 5", unreadable),
        ("3- 5", unreadable),
        ("3 -5", unreadable),
        ("+3-5", unreadable),
        ("3-+5", unreadable),
        ("3--5", unreadable),
        ("-3-5", unreadable),
        ("3-5-7", unreadable),
        ("3-5,6-8", unreadable),
        ("3.0-5.0", unreadable),
        ("0x3-0x5", unreadable),
        ("3-5x", unreadable),
        ("chunks 3-5", unreadable),
        ("3\u{2013}5", unreadable),
        ("\u{663}-\u{665}", unreadable),
        ("%33-5", unreadable),
    ];
    for (range, expected) in ranges {
        for line in requests(&location) {
            let answer = registry.refuses(&line, &[("Content-Range", range)], b"def", expected);
            if expected == elsewhere && !["5-3", "3-2", "18446744073709551615-0"].contains(&range) {
                assert_eq!(answer.header("range"), Some("0-2"), "{range}");
                let fresh = answer.header("location").expect("where it goes on");
                assert_eq!(registry.status(fresh).0, 3);
            }
            assert_eq!(registry.status(&location).0, 3, "{range}");
        }
    }
    registry.finish("new", &location, CONTENT);
    registry.works();
}

#[test]
fn a_content_range_whose_end_lies_beyond_the_whole_it_names_is_refused() {
    let mut registry = Registry::new();
    let location = half(&mut registry);
    // RFC 9110 §14.4: such a value is invalid, and what it describes must not be put together with the rest.
    for range in ["3-5/5", "bytes 3-5/0", "bytes 3-5/x", "bytes 3-5/", "3-5/6/7", "3-5/-1"] {
        for line in requests(&location) {
            let headers = [("Content-Range", range)];
            registry.refuses(&line, &headers, b"def", (400, "BLOB_UPLOAD_INVALID"));
        }
    }
    let headers = [("Content-Range", "bytes 3-5/6")];
    assert_eq!(registry.ask(&requests(&location)[1], &headers, b"def").status, 201);
    registry.pulls("new", CONTENT);
}

#[test]
fn two_content_ranges_that_disagree_are_refused() {
    let mut registry = Registry::new();
    let location = half(&mut registry);
    for line in requests(&location) {
        for (one, other) in [("3-5", "0-2"), ("0-2", "3-5"), ("3-5", "what")] {
            let headers = [("Content-Range", one), ("Content-Range", other)];
            registry.refuses(&line, &headers, b"def", (400, "BLOB_UPLOAD_INVALID"));
        }
    }
    registry.finish("new", &location, CONTENT);
}

#[test]
fn a_content_range_without_a_byte_behind_it_is_refused() {
    let mut registry = Registry::new();
    let location = half(&mut registry);
    for line in requests(&location) {
        registry.refuses(line, &[("Content-Range", "3-5")], b"", (400, "SIZE_INVALID"));
    }
    registry.finish("new", &location, CONTENT);
}

#[test]
fn a_chunked_body_that_is_not_as_long_as_its_content_range_can_be_gone_on_from() {
    let mut registry = Registry::new();
    for body in [
        "0\r\n\r\n",
        "1\r\nd\r\n0\r\n\r\n",
        "4\r\ndefg\r\n0\r\n\r\n",
        "1\r\nd\r\n3\r\nefg\r\n0\r\n\r\n",
    ] {
        for which in 0..2 {
            let location = half(&mut registry);
            let line = &requests(&location)[which];
            let headers = [("Content-Range", "3-5"), ("Transfer-Encoding", "chunked")];
            let before = registry.look().without("/_uploads/");
            let answer = registry.ask(line, &headers, body.as_bytes());
            registry.is_error(&answer, (400, "SIZE_INVALID"), line);
            assert_eq!(before.changes(&registry.look().without("/_uploads/")), "");
            assert!((3..6).contains(&registry.status(&location).0));
            registry.finish("new", &location, CONTENT);
            let digest = Digest::sha256(CONTENT);
            let delete = registry.ask(format!("DELETE /v2/new/blobs/{digest}"), &[], b"");
            assert_eq!(delete.status, 202);
        }
    }
    registry.works();
}

#[test]
fn a_range_of_a_session_that_is_not_there_is_of_no_interest() {
    let mut registry = Registry::new();
    let session = format!("/v2/new/blobs/uploads/{}", super::NO_SESSION);
    let unknown = (404, "BLOB_UPLOAD_UNKNOWN");
    registry.refuses(format!("PATCH {session}"), &[("Content-Range", "0-2")], b"abc", unknown);
    let unreadable = (400, "BLOB_UPLOAD_INVALID");
    registry.refuses(format!("PATCH {session}"), &[("Content-Range", "x")], b"abc", unreadable);
}
