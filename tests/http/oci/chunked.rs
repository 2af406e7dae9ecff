//! Pushing a blob in chunks, or as a stream (items 44 to 52).

use registry_tests::server::{Answer, whole};

use super::registry::{BOTH, Registry, is, is_refused, leads_to, parts, sha256, sha512};

/// A session that no registry here has opened.
const UNKNOWN: &str = "/v2/a/blobs/uploads/6b3c9a93-af5d-473f-a4ff-9710022185cd";

/// The path of a session's address.
fn path(location: &str) -> String {
    location.split_once('?').map_or(location, |(path, _)| path).to_owned()
}

/// Opens a session and adds the chunk `abc`.
async fn begun(registry: &mut Registry) -> Answer {
    let location = registry.start("a").await;
    let answer = registry.patch(&location, "0-2", "abc").await;
    is(&answer, 202);
    answer
}

/// The session is where it was, with `abc` in it, and can be brought to its end.
async fn goes_on(registry: &mut Registry, location: &str) {
    let status = registry.get(location).await;
    is(&status, 204);
    assert_eq!(status.header("range"), "0-2");
    let next = registry.patch(status.header("location"), "3-5", "def").await;
    is(&next, 202);
    let url = format!("{}&digest={}", next.header("location"), sha256(b"abcdef"));
    let closed = registry.put(&url, "").await;
    is(&closed, 201);
    assert_eq!(registry.get(closed.header("location")).await.body, "abcdef");
    is(&registry.delete(closed.header("location")).await, 202);
}

#[tokio::test]
async fn item_044_chunks_in_order_are_stored_and_each_tells_the_last_byte() {
    for protocol in BOTH {
        let mut registry = Registry::over(protocol).await;
        let opened = registry.start("a/b").await;
        let mut location = opened.clone();
        for (range, chunk, stored) in
            [("0-0", "a", "0-0"), ("1-3", "bcd", "0-3"), ("4-5", "ef", "0-5")]
        {
            let answer = registry.patch(&location, range, chunk).await;
            is(&answer, 202);
            assert_eq!(answer.header("range"), stored);
            leads_to(&answer, &path(&opened));
            assert_eq!(answer.body, "");
            answer.header("location").clone_into(&mut location);
        }
        let url = format!("{location}&digest={}", sha256(b"abcdef"));
        let closed = registry.put(&url, "").await;
        is(&closed, 201);
        assert_eq!(registry.get(closed.header("location")).await.body, "abcdef");
    }
}

#[tokio::test]
async fn item_044_a_chunk_that_is_not_what_it_says_is_refused_and_the_session_goes_on() {
    for protocol in BOTH {
        let mut registry = Registry::over(protocol).await;
        for (range, status, code) in [
            ("3-6", 400, "SIZE_INVALID"),
            ("3-4", 400, "SIZE_INVALID"),
            ("5-3", 416, "BLOB_UPLOAD_INVALID"),
            ("what", 400, "BLOB_UPLOAD_INVALID"),
            ("3-", 400, "BLOB_UPLOAD_INVALID"),
            ("-5", 400, "BLOB_UPLOAD_INVALID"),
            ("0x3-5", 400, "BLOB_UPLOAD_INVALID"),
            ("3,5", 400, "BLOB_UPLOAD_INVALID"),
        ] {
            let location = begun(&mut registry).await.header("location").to_owned();
            is_refused(&registry.patch(&location, range, "def").await, status, code);
            goes_on(&mut registry, &location).await;
        }
    }
}

#[tokio::test]
async fn item_045_a_chunk_out_of_order_is_refused_and_the_session_goes_on() {
    for protocol in BOTH {
        let mut registry = Registry::over(protocol).await;
        // Ahead, behind, the same again, and overlapping; by the newest address and by an older one.
        for (range, chunk) in [("4-6", "efg"), ("99-101", "xyz"), ("0-2", "abc"), ("2-4", "cde")] {
            let first = registry.start("a").await;
            let stored = registry.patch(&first, "0-2", "abc").await;
            let current = stored.header("location").to_owned();
            for location in [&current, &first, &path(&current)] {
                let answer = registry.patch(location, range, chunk).await;
                is_refused(&answer, 416, "BLOB_UPLOAD_INVALID");
                assert_eq!(answer.header("range"), "0-2");
                leads_to(&answer, &path(&current));
                let told = registry.get(answer.header("location")).await;
                assert_eq!((told.status.as_u16(), told.header("range")), (204, "0-2"));
            }
            goes_on(&mut registry, &current).await;
        }
    }
}

#[tokio::test]
async fn item_045_the_first_chunk_starts_at_0() {
    let mut registry = Registry::new().await;
    let location = registry.start("a").await;
    for range in ["1-3", "3-5"] {
        let answer = registry.patch(&location, range, "abc").await;
        is_refused(&answer, 416, "BLOB_UPLOAD_INVALID");
        assert_eq!(answer.header("range"), "0-0");
    }
    let first = registry.patch(&location, "0-2", "abc").await;
    is(&first, 202);
    goes_on(&mut registry, first.header("location")).await;
}

#[tokio::test]
async fn item_046_a_last_chunk_out_of_order_is_refused_and_the_session_goes_on() {
    for protocol in BOTH {
        let mut registry = Registry::over(protocol).await;
        let digest = sha256(b"abcdef");
        for range in ["4-6", "0-2", "2-4", "99-101"] {
            let location = begun(&mut registry).await.header("location").to_owned();
            let line = format!("PUT {location}&digest={digest}");
            let answer = registry.ask(&line, &[("content-range", range)], whole("def")).await;
            is_refused(&answer, 416, "BLOB_UPLOAD_INVALID");
            assert_eq!(answer.header("range"), "0-2");
            leads_to(&answer, &path(&location));
            is(&registry.head(&format!("/v2/a/blobs/{digest}")).await, 404);
            goes_on(&mut registry, answer.header("location")).await;
        }
        // The same PUT, once it says where it belongs.
        let location = begun(&mut registry).await.header("location").to_owned();
        let line = format!("PUT {location}&digest={digest}");
        is(&registry.ask(&line, &[("content-range", "4-6")], whole("def")).await, 416);
        is(&registry.ask(&line, &[("content-range", "3-5")], whole("def")).await, 201);
    }
}

#[tokio::test]
async fn item_047_a_session_tells_how_far_it_has_come() {
    for protocol in BOTH {
        let mut registry = Registry::over(protocol).await;
        let opened = registry.start("a").await;
        let first = registry.patch(&opened, "0-2", "abc").await;
        let second = registry.stream(first.header("location"), "def").await;
        // By any of its addresses.
        for location in
            [&opened, first.header("location"), second.header("location"), &path(&opened)]
        {
            let answer = registry.get(location).await;
            is(&answer, 204);
            assert_eq!(answer.header("range"), "0-5");
            leads_to(&answer, &path(&opened));
            assert_eq!(answer.header("location"), second.header("location"));
            assert_eq!(answer.body, "");
            let head = registry.head(location).await;
            assert_eq!((head.status.as_u16(), head.header("range")), (204, "0-5"));
        }
        let status = registry.get(&opened).await;
        let url = format!("{}&digest={}", status.header("location"), sha256(b"abcdef"));
        is(&registry.put(&url, "").await, 201);
    }
}

#[tokio::test]
async fn item_048_with_nothing_stored_the_range_is_from_0_to_a_number() {
    for protocol in BOTH {
        let mut registry = Registry::over(protocol).await;
        let opened = registry.post("/v2/a/blobs/uploads/", "").await;
        let status = registry.get(opened.header("location")).await;
        let nothing = registry.stream(opened.header("location"), "").await;
        let ahead = registry.patch(opened.header("location"), "5-7", "abc").await;
        for (answer, code) in [(&opened, 202), (&status, 204), (&nothing, 202), (&ahead, 416)] {
            is(answer, code);
            assert_eq!(answer.header("range"), "0-0");
        }
    }
}

#[tokio::test]
async fn item_049_a_session_is_closed_by_the_digest_of_the_whole() {
    for protocol in BOTH {
        let mut registry = Registry::over(protocol).await;
        for digest in [sha256(b"abcdef"), sha512(b"abcdef")] {
            // The last chunk in a PATCH; in the PUT, with and without its place; all of it in the PUT.
            for (patched, headers, last) in [
                ("abcdef", &[][..], whole("")),
                ("abcdef", &[("content-length", "0")][..], whole("")),
                ("abc", &[][..], whole("def")),
                ("abc", &[("content-range", "3-5")][..], whole("def")),
                ("abc", &[][..], parts(&["d", "ef"])),
                ("", &[("content-range", "0-5")][..], whole("abcdef")),
            ] {
                let mut location = registry.start("a").await;
                if !patched.is_empty() {
                    let range = format!("0-{}", patched.len() - 1);
                    let answer = registry.patch(&location, &range, patched).await;
                    answer.header("location").clone_into(&mut location);
                }
                let line = format!("PUT {location}&digest={digest}");
                let answer = registry.ask(&line, headers, last).await;
                is(&answer, 201);
                leads_to(&answer, &format!("/v2/a/blobs/{digest}"));
                assert_eq!(registry.get(answer.header("location")).await.body, "abcdef");
                is_refused(&registry.get(&location).await, 404, "BLOB_UPLOAD_UNKNOWN");
                is(&registry.delete(answer.header("location")).await, 202);
            }
        }
    }
}

#[tokio::test]
async fn item_049_the_digest_covers_the_whole_and_not_the_last_chunk() {
    let mut registry = Registry::new().await;
    let location = begun(&mut registry).await.header("location").to_owned();
    let url = format!("{location}&digest={}", sha256(b"def"));
    is_refused(&registry.put(&url, "def").await, 400, "DIGEST_INVALID");
    goes_on(&mut registry, &location).await;
}

#[tokio::test]
async fn item_050_a_patch_without_a_place_is_a_stream() {
    for protocol in BOTH {
        let mut registry = Registry::over(protocol).await;
        let mut location = registry.start("a").await;
        for (body, stored) in [
            (parts(&["a", "bc", "d"]), "0-3"),
            (whole("ef"), "0-5"),
            (parts(&[]), "0-5"),
            (whole(""), "0-5"),
        ] {
            let answer = registry.ask(&format!("PATCH {location}"), &[], body).await;
            is(&answer, 202);
            assert_eq!(answer.header("range"), stored);
            leads_to(&answer, &path(&location));
            answer.header("location").clone_into(&mut location);
        }
        let url = format!("{location}&digest={}", sha256(b"abcdef"));
        let closed = registry.put(&url, "").await;
        is(&closed, 201);
        assert_eq!(registry.get(closed.header("location")).await.body, "abcdef");
    }
}

#[tokio::test]
async fn item_051_a_wrong_digest_at_the_close_is_refused_and_the_session_goes_on() {
    for protocol in BOTH {
        let mut registry = Registry::over(protocol).await;
        for (digest, last) in [
            (sha256(b"other"), ""),
            (sha256(b"other"), "def"),
            (sha512(b"other"), "def"),
            (sha256(b""), ""),
            ("sha256:abc".to_owned(), ""),
            ("md5:abc".to_owned(), ""),
            (String::new(), ""),
        ] {
            let location = begun(&mut registry).await.header("location").to_owned();
            let url = format!("{location}&digest={digest}");
            is_refused(&registry.put(&url, last).await, 400, "DIGEST_INVALID");
            goes_on(&mut registry, &location).await;
        }
        let location = begun(&mut registry).await.header("location").to_owned();
        is_refused(&registry.put(&location, "def").await, 400, "DIGEST_INVALID");
        goes_on(&mut registry, &location).await;
        is(&registry.head(&format!("/v2/a/blobs/{}", sha256(b"abc"))).await, 404);
    }
}

#[tokio::test]
async fn item_052_an_unknown_session_is_not_found() {
    let mut registry = Registry::new().await;
    let digest = sha256(b"abc");
    let cancelled = registry.start("a").await;
    is(&registry.delete(&cancelled).await, 204);
    let closed = registry.start("a").await;
    is(&registry.put(&format!("{closed}&digest={digest}"), "abc").await, 201);
    let of_another = registry.start("b").await.replace("/v2/b/", "/v2/a/");
    let never = format!("{UNKNOWN}?_offset=0");
    let no_id = "/v2/a/blobs/uploads/no-session-is-called-so?_offset=0".to_owned();
    for location in [never, no_id, cancelled, closed, of_another] {
        for (line, body) in [
            (format!("GET {location}"), ""),
            (format!("PATCH {location}"), "abc"),
            (format!("PUT {location}&digest={digest}"), "abc"),
            (format!("DELETE {location}"), ""),
        ] {
            let answer = registry.ask(&line, &[], whole(body)).await;
            assert_eq!(answer.status, 404, "{line}: {answer:?}");
            is_refused(&answer, 404, "BLOB_UPLOAD_UNKNOWN");
        }
        is(&registry.head(&location).await, 404);
    }
}
