//! Requests that are odd, or wrong, as HTTP.

use std::io::{Read as _, Write as _};

use registry_store::digest::Digest;
use registry_tests::plain_http::{self, Answer};

use super::{HELLO, Registry, good_image};

/// Sends these bytes on a connection of its own and reads one answer.
fn raw(registry: &Registry, sent: &[u8]) -> Answer {
    let mut connection = plain_http::connect(registry.address);
    connection.write_all(sent).expect("a server that reads");
    plain_http::answer(&mut connection, !sent.starts_with(b"HEAD "))
}

#[test]
fn a_body_where_none_is_asked_for_is_passed_over() {
    let mut registry = Registry::new();
    let (hello, image) = (Digest::sha256(HELLO), Digest::sha256(good_image().bytes()));
    let before = registry.look();
    for body in [&b"x"[..], &[b'x'; 200_000]] {
        for url in [
            "/".to_owned(),
            "/v2/".to_owned(),
            "/v2/_catalog".to_owned(),
            "/v2/app/tags/list".to_owned(),
            "/v2/app/manifests/v1".to_owned(),
            format!("/v2/app/blobs/{hello}"),
            format!("/v2/app/referrers/{image}"),
        ] {
            for method in ["GET", "HEAD", "OPTIONS"] {
                let line = format!("{method} {url}");
                let alone = registry.ask(&line, &[], b"");
                let answer = registry.ask(&line, &[], body);
                assert_eq!((answer.status, &answer.body), (200, &alone.body), "{line}");
                assert!(registry.connection.is_some(), "{line}");
                let chunk = format!("{:x}\r\n{}\r\n0\r\n\r\n", body.len(), "x".repeat(body.len()));
                let chunked = [("Transfer-Encoding", "chunked")];
                let answer = registry.ask(&line, &chunked, chunk.as_bytes());
                assert_eq!((answer.status, &answer.body), (200, &alone.body), "{line}");
            }
        }
    }
    assert_eq!(before.changes(&registry.look()), "");

    let location = registry.start("new");
    let (_, location) = registry.status(&location);
    let before = registry.look();
    for method in ["GET", "HEAD"] {
        assert_eq!(registry.ask(format!("{method} {location}"), &[], b"abc").status, 204);
    }
    assert_eq!(before.changes(&registry.look()), "");
    assert_eq!(registry.ask(format!("DELETE {location}"), &[], b"abc").status, 204);
    assert_eq!(registry.ask("DELETE /v2/app/manifests/v1", &[], b"abc").status, 202);
    let delete = format!("DELETE /v2/app/blobs/{hello}");
    assert_eq!(registry.ask(&delete, &[], b"abc").status, 202);
    assert_eq!(registry.ask(&delete, &[], b"abc").status, 404);
    let post = registry.ask("POST /v2/new/blobs/uploads/", &[], b"abc");
    let location = post.header("location").expect("a session").to_owned();
    assert_eq!(registry.status(&location).0, 0, "a session begins empty");
}

#[test]
fn a_method_that_nobody_knows_is_not_allowed() {
    let mut registry = Registry::new();
    let session = registry.start("new");
    let hello = Digest::sha256(HELLO);
    for url in [
        "/",
        "/v2/",
        "/v2/_catalog",
        "/v2/app/tags/list",
        "/v2/app/manifests/v1",
        "/v2/app/blobs/uploads/",
        &format!("/v2/app/blobs/{hello}"),
        &session,
    ] {
        for method in ["BREW", "get", "TRACE", "PROPFIND", "X"] {
            let answer =
                registry.refuses(format!("{method} {url}"), &[], b"x", (405, "UNSUPPORTED"));
            let allow = answer.header("allow").expect("the methods that are");
            assert!(allow.ends_with("OPTIONS"), "{allow}");
        }
    }
    registry.works();
}

#[test]
fn a_target_may_be_a_whole_address() {
    let mut registry = Registry::new();
    let content = b"by an absolute target";
    for origin in ["http://registry", "https://elsewhere:5000", "http://u:p@[::1]:1"] {
        let answer = registry.ask(format!("GET {origin}/v2/app/manifests/v1"), &[], b"");
        assert_eq!(answer.status, 200, "{origin}");
        let answer = registry.ask(format!("POST {origin}/v2/new/blobs/uploads/"), &[], b"");
        let location = answer.header("location").expect("a session").to_owned();
        assert!(location.starts_with("/v2/new/blobs/uploads/"), "{location}");
        let put = format!("PUT {origin}{location}&digest={}", Digest::sha256(content));
        assert_eq!(registry.ask(put, &[], content).status, 201);
        registry.refuses(format!("GET {origin}/v2/../x"), &[], b"", (404, "UNSUPPORTED"));
        registry.refuses(format!("GET {origin}/v2/A/tags/list"), &[], b"", (400, "NAME_INVALID"));
    }
    registry.pulls("new", content);
}

#[test]
fn a_target_of_another_form_is_nothing_of_ours() {
    let mut registry = Registry::new();
    let before = registry.look();
    registry.refuses("OPTIONS *", &[], b"", (404, "UNSUPPORTED"));
    registry.refuses("GET *", &[], b"", (404, "UNSUPPORTED"));
    let answer = raw(&registry, b"CONNECT elsewhere:443 HTTP/1.1\r\nHost: elsewhere:443\r\n\r\n");
    registry.is_error(&answer, (405, "UNSUPPORTED"), "CONNECT");
    assert_eq!(before.changes(&registry.look()), "");
    registry.works();
}

/// What is no request ends the connection with 400, in whatever words the server that ships has for it.
#[test]
fn what_is_no_request_ends_its_connection_and_no_other() {
    let mut registry = Registry::new();
    let before = registry.look();
    let many_headers = format!("GET /v2/ HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(1000));
    let long_url = format!("GET /v2/{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(66_000));
    let long_header = format!("GET /v2/ HTTP/1.1\r\nHost: x\r\nA: {}\r\n\r\n", "b".repeat(3 << 20));
    let post = "POST /v2/new/blobs/uploads/ HTTP/1.1\r\nHost: x\r\n";
    for (sent, status) in [
        (&b"hello\r\n\r\n"[..], 400),
        (b"\0\0\0\0\r\n\r\n", 400),
        (b"GET\r\n\r\n", 400),
        (b"GET /v2/\r\n\r\n", 400),
        (b"GET /v2/ HTTP/9.9\r\n\r\n", 400),
        (b"GET /v2/\x00 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /v2/a b HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET v2/ HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /v2/\xff HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /v2/ HTTP/1.1\r\nHost x\r\n\r\n", 400),
        (b"GET /v2/ HTTP/1.1\r\nHo st: x\r\n\r\n", 400),
        (b"GET /v2/ HTTP/1.1\r\nA: \x00\r\n\r\n", 400),
        (format!("{post}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd").as_bytes(), 400),
        (format!("{post}Content-Length: 3, 4\r\n\r\nabcd").as_bytes(), 400),
        (format!("{post}Content-Length: -1\r\n\r\n").as_bytes(), 400),
        (format!("{post}Content-Length: +3\r\n\r\nabc").as_bytes(), 400),
        (format!("{post}Content-Length: 0x3\r\n\r\nabc").as_bytes(), 400),
        (format!("{post}Content-Length: 18446744073709551616\r\n\r\n").as_bytes(), 400),
        (format!("{post}Content-Length: \r\n\r\n").as_bytes(), 400),
        (format!("{post}Transfer-Encoding: gzip\r\n\r\n").as_bytes(), 400),
        (format!("{post}Transfer-Encoding: chunked, gzip\r\n\r\n").as_bytes(), 400),
        (
            b"POST /v2/new/blobs/uploads/ HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
        ),
        (many_headers.as_bytes(), 431),
        (long_url.as_bytes(), 414),
        (long_header.as_bytes(), 431),
    ] {
        let told = String::from_utf8_lossy(&sent[..sent.len().min(100)]).into_owned();
        let mut connection = plain_http::connect(registry.address);
        // It may be refused before all of it was sent.
        let _ = connection.write_all(sent);
        let answer = plain_http::answer(&mut connection, true);
        assert_eq!(answer.status, status, "{told}");
        assert!(answer.body.is_empty(), "{told}");
        let mut rest = Vec::new();
        // The rest of what was sent may reset it.
        let _ = connection.read_to_end(&mut rest);
        assert_eq!(rest, b"", "{told}");
        assert_eq!(before.changes(&registry.look()), "", "{told}");
        registry.serves(&told);
    }
    registry.works();
}

#[test]
fn a_length_that_is_said_twice_is_one_length() {
    let registry = Registry::new();
    let post = format!("POST /v2/new/blobs/uploads/?digest={} HTTP/1.1", Digest::sha256(b"abc"));
    let sent = format!("{post}\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc");
    assert_eq!(raw(&registry, sent.as_bytes()).status, 201);
}

/// RFC 9112 §6.1: chunks decide, and the connection ends, so that nobody takes a part of the body for a request.
#[test]
fn a_length_beside_chunks_says_nothing_and_ends_the_connection() {
    let mut registry = Registry::new();
    let digest = Digest::sha256(b"abcdef");
    for [one, other] in [
        ["Content-Length: 3", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding: chunked", "Content-Length: 3"],
        ["Content-Length: 300", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding: chunked", "Content-Length: 300"],
    ] {
        let sent = format!(
            "POST /v2/new/blobs/uploads/?digest={digest} HTTP/1.1\r\nHost: x\r\n{one}\r\n{other}\r\n\r\n\
             6\r\nabcdef\r\n0\r\n\r\nDELETE /v2/app/manifests/v1 HTTP/1.1\r\nHost: x\r\n\r\n"
        );
        let mut connection = plain_http::connect(registry.address);
        connection.write_all(sent.as_bytes()).expect("a server that reads");
        let answer = plain_http::answer(&mut connection, true);
        assert_eq!(answer.status, 201, "{one}, {other}");
        assert_eq!(answer.header("connection"), Some("close"));
        // What came behind it may reset the connection, and is not answered.
        let mut rest = Vec::new();
        let _ = connection.read_to_end(&mut rest);
        assert_eq!(String::from_utf8_lossy(&rest), "");
        registry.serves(one);
    }
    registry.pulls("new", b"abcdef");
}

/// No answer depends on the host but a Location that was asked to, so its absence harms nobody.
#[test]
fn a_request_without_a_host_is_answered() {
    let registry = Registry::new();
    assert_eq!(raw(&registry, b"GET /v2/ HTTP/1.1\r\n\r\n").status, 200);
    assert_eq!(raw(&registry, b"GET /v2/ HTTP/1.0\r\n\r\n").status, 200);
    let answer =
        raw(&registry, b"POST /v2/new/blobs/uploads/ HTTP/1.1\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(answer.status, 202);
}

#[test]
fn a_host_that_is_none_is_not_repeated() {
    use registry_http::{Locations, Options};
    let options = Options { locations: Locations::FromRequest, ..Options::default() };
    let registry = Registry::with(options);
    for host in ["", "a b", "a/b", "<script>", "a\tb", "\u{e9}", "a\"b", "x:y:z@"] {
        for name in ["Host", "X-Forwarded-Host"] {
            let sent = format!(
                "POST /v2/new/blobs/uploads/ HTTP/1.1\r\n{name}: {host}\r\nContent-Length: 0\r\n\r\n"
            );
            let answer = raw(&registry, sent.as_bytes());
            assert_eq!(answer.status, 202, "{host:?}");
            let location = answer.header("location").expect("a session");
            let path = location.strip_prefix("http://").map_or(location, |rest| {
                let (authority, _) = rest.split_once('/').expect("a path");
                assert!(authority.parse::<http::uri::Authority>().is_ok(), "{location}");
                &location["http://".len() + authority.len()..]
            });
            assert!(path.starts_with("/v2/new/blobs/uploads/"), "{location}");
        }
    }
}

#[test]
fn headers_that_make_no_sense_change_no_answer() {
    let mut registry = Registry::new();
    let url = format!("GET /v2/app/blobs/{}", Digest::sha256(HELLO));
    for (name, value) in [
        ("Range", "bytes=\u{e9}"),
        ("Range", "bytes=99999999999999999999999-1x"),
        ("Range", "bytes=-"),
        ("If-None-Match", "\u{e9}"),
        ("If-None-Match", "\""),
        ("If-Range", "\u{e9}"),
        ("Accept", "\u{e9};;;,,"),
        ("Authorization", "Basic ===="),
        ("Content-Type", "\u{e9}"),
        ("Content-Range", "nonsense"),
        ("Cookie", "\u{e9}"),
        ("Upgrade", "h2c"),
        ("Expect", "the unexpected"),
        ("Forwarded", "host=\";;"),
        ("X-Forwarded-Proto", "gopher"),
    ] {
        let answer = registry.ask(&url, &[(name, value)], b"");
        assert_eq!((answer.status, &answer.body[..]), (200, HELLO), "{name}: {value}");
    }
}
