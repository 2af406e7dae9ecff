//! Requests that a proxy in front may read otherwise than the registry does: nothing in the body of one is ever taken
//! for the next.

use crate::registry::{Registry, statuses};

/// What is smuggled: it would take the image away and begin a repository, were it a request.
const SMUGGLED: &str = "DELETE /v2/app/manifests/v1 HTTP/1.1\r\nHost: x\r\n\r\n\
     POST /v2/smuggled/blobs/uploads/?digest=sha256:\
     ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad HTTP/1.1\r\nHost: x\r\n\
     Content-Length: 3\r\n\r\nabc";
const POST: &str = "POST /v2/new/blobs/uploads/ HTTP/1.1\r\n";

impl Registry {
    /// One answer comes in return for this, of this status, and the server closes; what is smuggled has no effect.
    fn answers_once(&self, sent: &str, expected: u16) {
        let head = sent.split("\r\n\r\n").next().unwrap();
        let answers = self.all_answers(sent.as_bytes());
        assert_eq!(statuses(&answers), [expected], "{head:?}: {answers}");
        self.is_unharmed(head);
    }

    fn is_unharmed(&self, told: &str) {
        self.serves_others(told);
        let files = self.files();
        let smuggled = files.iter().find(|file| file.to_string_lossy().contains("smuggled"));
        assert_eq!(smuggled, None, "{told}");
    }
}

#[test]
fn a_length_with_chunks_is_answered_once_whichever_a_proxy_believes() {
    let registry = Registry::new();
    // Empty by its chunks; by its length the whole of what is smuggled is its body, or a part.
    let rest = format!("0\r\n\r\n{SMUGGLED}");
    for length in [0, 3, 5, rest.len(), 1 << 40] {
        let fields = [format!("Content-Length: {length}"), "Transfer-Encoding: chunked".to_owned()];
        for [one, other] in [[0, 1], [1, 0]] {
            let (one, other) = (&fields[one], &fields[other]);
            let sent = format!("{POST}Host: x\r\n{one}\r\n{other}\r\n\r\n{rest}");
            registry.answers_once(&sent, 202);
            let sent = format!("GET /v2/ HTTP/1.1\r\nHost: x\r\n{one}\r\n{other}\r\n\r\n{rest}");
            registry.answers_once(&sent, 200);
        }
    }
}

#[test]
fn lengths_that_disagree_or_are_none_are_refused() {
    let registry = Registry::new();
    let whole = SMUGGLED.len();
    for lengths in [
        format!("Content-Length: 0\r\nContent-Length: {whole}"),
        format!("Content-Length: {whole}\r\nContent-Length: 0"),
        format!("Content-Length: 0, {whole}"),
        "Content-Length: 0, 0".to_owned(),
        format!("Content-Length: 0 {whole}"),
        format!("Content-Length: +{whole}"),
        format!("Content-Length: -{whole}"),
        format!("Content-Length: {whole:#x}"),
        format!("Content-Length: {whole}.0"),
        format!("Content-Length: \"{whole}\""),
        format!("Content-Length: {whole}e0"),
        format!("Content-Length: {whole};a"),
        format!("Content-Length: 18446744073709551616{whole}"),
        "Content-Length:".to_owned(),
        "Content-Length: zero".to_owned(),
        "Content-Length : 0".to_owned(),
        "Content-Length\t: 0".to_owned(),
        " Content-Length: 0".to_owned(),
        "Content-Length: 0\r\n 0".to_owned(),
        "Content-Length:\r\n 0".to_owned(),
        "Content-Length: \x000".to_owned(),
        "Content-Length: 0\x0b".to_owned(),
        "Content-\0Length: 0".to_owned(),
        "Content-Length: 0\rX: y".to_owned(),
    ] {
        registry.answers_once(&format!("{POST}Host: x\r\n{lengths}\r\n\r\n{SMUGGLED}"), 400);
    }
    // A number, and too great for one.
    let most = "Content-Length: 18446744073709551615";
    registry.answers_once(&format!("{POST}Host: x\r\n{most}\r\n\r\n{SMUGGLED}"), 431);
}

#[test]
fn an_encoding_other_than_chunks_alone_is_refused() {
    let registry = Registry::new();
    for encoding in [
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: identity, chunked",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunkedx",
        "Transfer-Encoding: x chunked",
        "Transfer-Encoding: chunked;a=b",
        "Transfer-Encoding: \"chunked\"",
        "Transfer-Encoding: ,chunked",
        "Transfer-Encoding: chunked,",
        "Transfer-Encoding:",
        "Transfer-Encoding: \x0bchunked",
        "Transfer-Encoding: chunked\x0b",
        "Transfer-Encoding: \0chunked",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding\t: chunked",
        " Transfer-Encoding: chunked",
        "Transfer-Encoding:\r\n chunked",
        "Transfer-Encoding: chunked\r\n , identity",
        "X: y\rTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\rX: y",
    ] {
        let sent = format!("{POST}Host: x\r\n{encoding}\r\n\r\n0\r\n\r\n{SMUGGLED}");
        registry.answers_once(&sent, 400);
        let length = format!("Content-Length: {}", 5 + SMUGGLED.len());
        for both in [format!("{encoding}\r\n{length}"), format!("{length}\r\n{encoding}")] {
            let sent = format!("{POST}Host: x\r\n{both}\r\n\r\n0\r\n\r\n{SMUGGLED}");
            registry.answers_once(&sent, 400);
        }
    }
}

#[test]
fn chunks_in_an_old_version_are_refused() {
    let registry = Registry::new();
    for version in ["1.0", "0.9", "1.2", "2.0"] {
        let post = POST.replace("1.1", version);
        let sent =
            format!("{post}Host: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{SMUGGLED}");
        registry.answers_once(&sent, 400);
    }
}

/// RFC 9112 §2.2 lets a line end so. Whatever a proxy makes of it, both framings are seen here, or none is.
#[test]
fn a_line_that_ends_in_a_line_feed_alone_hides_no_framing() {
    let registry = Registry::new();
    let length = format!("Content-Length: {}", 5 + SMUGGLED.len());
    let sent = format!(
        "{POST}Host: x\r\n{length}\r\nX: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{SMUGGLED}"
    );
    registry.answers_once(&sent, 202);
    let sent = format!(
        "{POST}Host: x\r\nTransfer-Encoding: chunked\r\nX: y\n{length}\r\n\r\n0\r\n\r\n{SMUGGLED}"
    );
    registry.answers_once(&sent, 202);
    let sent = format!("{POST}Host: x\r\nContent-Length: 0\r\nX: y\n{length}\r\n\r\n{SMUGGLED}");
    registry.answers_once(&sent, 400);
}

#[test]
fn what_is_in_a_body_is_no_request_though_nobody_wants_the_body() {
    let registry = Registry::new();
    let length = SMUGGLED.len();
    for (request, expected) in [
        ("GET /v2/", 200),
        ("HEAD /v2/", 200),
        ("OPTIONS /v2/", 200),
        ("GET /v2/app/manifests/v1", 200),
        ("GET /nothing", 404),
        ("BREW /v2/", 405),
        ("DELETE /v2/app/manifests/-", 400),
        ("PUT /v2/app/manifests/v2", 400),
        ("POST /v2/new/blobs/uploads/", 202),
    ] {
        let close = "Connection: close\r\n";
        for (framing, body) in [
            (format!("Content-Length: {length}"), SMUGGLED.to_owned()),
            (
                "Transfer-Encoding: chunked".to_owned(),
                format!("{length:x}\r\n{SMUGGLED}\r\n0\r\n\r\n"),
            ),
        ] {
            let kept = format!("{request} HTTP/1.1\r\nHost: x\r\n{framing}\r\n\r\n{body}");
            let last = format!("GET /v2/ HTTP/1.1\r\nHost: x\r\n{close}\r\n");
            let answers = registry.all_answers(format!("{kept}{last}").as_bytes());
            assert_eq!(statuses(&answers), [expected, 200], "{kept}: {answers}");
            registry.is_unharmed(&kept);
        }
    }
}

#[test]
fn two_hosts_or_a_target_that_is_one_are_refused() {
    let registry = Registry::new();
    for sent in [
        "GET /v2/ HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        "GET /v2/ HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n",
        "GET /v2/ HTTP/1.0\r\nHost: x\r\nhost: y\r\n\r\n",
        "GET http://z/v2/ HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        "GET x:80 HTTP/1.1\r\nHost: x\r\n\r\n",
        "DELETE x HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET x@y:80 HTTP/1.1\r\nHost: x\r\n\r\n",
    ] {
        registry.answers_once(&format!("{sent}{SMUGGLED}"), 400);
    }
}
