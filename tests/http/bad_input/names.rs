//! Names, tags, digests and parameters outside their grammar, at every place where each can stand.

use registry_store::digest::Digest;

use super::{CONFIG, HELLO, MANIFEST_TYPE, NO_SESSION, Registry, TOOL, good_image};

/// What is no name of a repository, as it stands in a URL.
fn bad_names() -> Vec<String> {
    let mut names: Vec<String> = [
        // The way out.
        "..",
        "../..",
        "app/..",
        "../app",
        "app/../app",
        "app/../../../../secret",
        ".",
        "./app",
        "app/.",
        "%2e%2e",
        "%2E%2e/app",
        "app/%2e%2e/%2e%2e",
        "%252e%252e",
        "...",
        "a..b",
        // Slashes that are none.
        "app%2ftools",
        "app%2Ftools",
        "app%252ftools",
        "%2fetc%2fpasswd",
        "app%2f..%2f..%2fsecret",
        "app\\tools",
        "app%5ctools",
        "..%5c..",
        // Bytes that end a name elsewhere.
        "%00",
        "app%00",
        "app%00/tools",
        "app%0a",
        "app%0d%0aX-Evil:%201",
        "app%09",
        "app%20",
        "app%3fx",
        "app%23",
        // Letters and separators in the wrong place.
        "App",
        "APP/tools",
        "app/Tools",
        "-app",
        "app-",
        "_app",
        "app_",
        ".app",
        "app.",
        "a._b",
        "a___b",
        "app/-tools",
        // Nothing between slashes.
        "",
        "/app",
        "app/",
        "app//tools",
        // What is ours below a repository.
        "_uploads",
        "app/_uploads",
        "app/_layers",
        "app/_manifests/tags",
        "_rs",
        "_catalog",
        // Other characters.
        "%c3%a9",
        "%ff",
        "%",
        "%2",
        "%zz",
        "a+b",
        "a:b",
        "a@b",
        "a~b",
        "a*b",
        "a,b;c",
        "app&x",
    ]
    .map(str::to_owned)
    .into();
    // A name has at most 255 bytes, and so has each component, as filesystems have it.
    names.push("a".repeat(256));
    names.push(format!("{}a", "a/".repeat(128)));
    names.push("a".repeat(20_000));
    names
}

/// Every request that names a repository, with `{}` for its name.
fn requests_of_a_repository() -> Vec<String> {
    let (hello, image) = (Digest::sha256(HELLO), Digest::sha256(good_image().bytes()));
    vec![
        "GET /v2/{}/tags/list".to_owned(),
        "HEAD /v2/{}/tags/list".to_owned(),
        format!("GET /v2/{{}}/referrers/{image}"),
        format!("GET /v2/{{}}/blobs/{hello}"),
        format!("HEAD /v2/{{}}/blobs/{hello}"),
        format!("DELETE /v2/{{}}/blobs/{hello}"),
        "GET /v2/{}/manifests/v1".to_owned(),
        format!("HEAD /v2/{{}}/manifests/{image}"),
        "PUT /v2/{}/manifests/v1".to_owned(),
        format!("PUT /v2/{{}}/manifests/{image}?tag=v1"),
        "DELETE /v2/{}/manifests/v1".to_owned(),
        format!("DELETE /v2/{{}}/manifests/{image}"),
        "POST /v2/{}/blobs/uploads/".to_owned(),
        format!("POST /v2/{{}}/blobs/uploads/?digest={hello}"),
        format!("POST /v2/{{}}/blobs/uploads/?mount={hello}&from=app"),
        format!("GET /v2/{{}}/blobs/uploads/{NO_SESSION}"),
        format!("PATCH /v2/{{}}/blobs/uploads/{NO_SESSION}"),
        format!("PUT /v2/{{}}/blobs/uploads/{NO_SESSION}?digest={hello}"),
        format!("DELETE /v2/{{}}/blobs/uploads/{NO_SESSION}"),
    ]
}

/// The body that a request would have if it were good.
fn body_of(line: &str) -> Vec<u8> {
    if line.starts_with("PUT ") && line.contains("/manifests/") {
        return good_image().bytes().to_vec();
    }
    let has_body = ["POST ", "PATCH ", "PUT "].iter().any(|method| line.starts_with(method));
    if has_body { HELLO.to_vec() } else { Vec::new() }
}

#[test]
fn a_name_that_is_none_is_refused_by_every_endpoint() {
    let mut registry = Registry::new();
    let (names, before) = (bad_names(), registry.look());
    for request in requests_of_a_repository() {
        for name in &names {
            let line = request.replace("{}", name);
            let (body, expected) = (body_of(&line), (400, "NAME_INVALID"));
            registry.refuses_since(&before, &line, &[], &body, expected);
        }
    }
    registry.works();
}

#[test]
fn a_name_in_bytes_above_ascii_is_refused_by_every_endpoint() {
    let mut registry = Registry::new();
    for request in requests_of_a_repository() {
        let line = request.replace("{}", "caf\u{e9}/\u{202e}");
        registry.refuses(&line, &[], &body_of(&line), (400, "NAME_INVALID"));
    }
}

#[test]
fn the_longest_name_and_the_longest_tag_work_and_one_byte_more_does_not() {
    let mut registry = Registry::new();
    let (longest, tag) = ("a".repeat(255), "t".repeat(128));
    for content in [HELLO, CONFIG] {
        let post = format!("POST /v2/{longest}/blobs/uploads/?digest={}", Digest::sha256(content));
        assert_eq!(registry.ask(post, &[], content).status, 201);
    }
    let url = format!("/v2/{longest}/manifests/{tag}");
    let put = registry.ask(format!("PUT {url}"), &[MANIFEST_TYPE], good_image().bytes());
    assert_eq!(put.status, 201);
    assert_eq!(registry.ask(format!("GET {url}"), &[], b"").status, 200);
    let catalog = registry.ask("GET /v2/_catalog", &[], b"");
    assert!(String::from_utf8_lossy(&catalog.body).contains(&longest));
    registry.refuses(format!("GET {url}t"), &[], b"", (404, "MANIFEST_UNKNOWN"));
    registry.refuses(
        format!("PUT {url}t"),
        &[MANIFEST_TYPE],
        good_image().bytes(),
        (400, "MANIFEST_INVALID"),
    );
    assert_eq!(registry.ask(format!("DELETE {url}"), &[], b"").status, 202);
}

#[test]
fn a_reference_that_is_neither_tag_nor_digest_is_not_there_and_cannot_be_written() {
    let mut registry = Registry::new();
    let mut references: Vec<String> = [
        "..",
        ".",
        "%2e%2e",
        "%252e%252e",
        ".v1",
        "-v1",
        "v1%2f..",
        "v1%2fx",
        "%2fv1",
        "v1%252fx",
        "v1%00",
        "%00",
        "v1%0a",
        "v1%20",
        "v\\1",
        "v%5c1",
        "v%c3%a9",
        "%ff",
        "v1@x",
        "v+1",
        "v~1",
        "v%3f1",
        "%",
    ]
    .map(str::to_owned)
    .into();
    references.push("t".repeat(129));
    references.push("t".repeat(20_000));
    let digests = bad_digests();
    let references = references.into_iter().map(|text| (text, "MANIFEST_INVALID"));
    for (reference, code) in references.chain(digests.map(|text| (text, "DIGEST_INVALID"))) {
        let url = format!("/v2/app/manifests/{reference}");
        for method in ["GET", "HEAD"] {
            registry.refuses(format!("{method} {url}"), &[], b"", (404, "MANIFEST_UNKNOWN"));
        }
        registry.refuses(format!("PUT {url}"), &[MANIFEST_TYPE], good_image().bytes(), (400, code));
        registry.refuses(format!("DELETE {url}"), &[], b"", (400, code));
    }
    registry.works();
}

/// What has a colon and is no digest, or of an algorithm that is not supported.
fn bad_digests() -> impl Iterator<Item = String> {
    let hex = Digest::sha256(HELLO).hex();
    [
        format!("sha256:{}", hex.to_uppercase()),
        format!("sha256:{}", &hex[1..]),
        format!("sha256:{hex}0"),
        format!("sha256:g{}", &hex[1..]),
        format!("sha512:{hex}"),
        format!("SHA256:{hex}"),
        format!("md5:{}", &hex[..32]),
        format!("sha1:{}", &hex[..40]),
        format!("sha256:{}..%2f..", &hex[6..]),
        format!("sha256:%2e%2e%2f{}", &hex[3..]),
        format!("sha256:{}%00", &hex[1..]),
        format!("sha256:{hex}%00"),
        format!("sha256%253a{hex}:"),
        format!("sha256::{hex}"),
        format!("%20sha256:{hex}"),
        format!("sha256:{hex}%0a"),
        format!("sha256:{}", "0".repeat(20_000)),
        "sha256:".to_owned(),
        ":".to_owned(),
        format!(":{hex}"),
        "..:..".to_owned(),
        "sha256:%c3%a9".to_owned(),
    ]
    .into_iter()
}

#[test]
fn a_digest_that_is_none_is_refused_wherever_one_stands() {
    let mut registry = Registry::new();
    let invalid = (400, "DIGEST_INVALID");
    let colonless = ["latest", "..", "%2e%2e%2f", "%00"].map(str::to_owned);
    for digest in bad_digests().chain(colonless) {
        for method in ["GET", "HEAD", "DELETE"] {
            registry.refuses(format!("{method} /v2/app/blobs/{digest}"), &[], b"", invalid);
        }
        let post = format!("POST /v2/app/blobs/uploads/?digest={digest}");
        registry.refuses(post, &[], HELLO, invalid);
        let put = format!("PUT /v2/app/blobs/uploads/{NO_SESSION}?digest={digest}");
        registry.refuses(put, &[], HELLO, invalid);
        // Of an algorithm that is not known there may be referrers, and none is listed here.
        if !["md5:", "sha1:"].iter().any(|known| digest.starts_with(known)) {
            registry.refuses(format!("GET /v2/app/referrers/{digest}"), &[], b"", invalid);
        }
        let after = format!("GET /v2/app/referrers/{}?last={digest}", Digest::sha256(HELLO));
        registry.refuses(after, &[], b"", invalid);
    }
    for algorithm in ["md5", "SHA256", "sha256%00", "..", "%2e%2e%2f", "sha256%2fx"] {
        let post = format!("POST /v2/app/blobs/uploads/?digest-algorithm={algorithm}");
        registry.refuses(post, &[], b"", invalid);
    }
    registry.works();
}

#[test]
fn tags_as_parameters_have_to_be_tags() {
    let mut registry = Registry::new();
    let image = Digest::sha256(good_image().bytes());
    let long = "t".repeat(129);
    let bad =
        ["..", "%2e%2e", "-x", ".x", "a%2fb", "a%252fb", "a%00", "a\\b", "%c3%a9", "a:b", &long];
    for tag in bad {
        // Even if others beside it are good.
        for query in [format!("tag={tag}"), format!("tag=good&tag={tag}&tag=better")] {
            let put = format!("PUT /v2/app/manifests/{image}?{query}");
            let body = good_image();
            registry.refuses(put, &[MANIFEST_TYPE], body.bytes(), (400, "MANIFEST_INVALID"));
        }
    }
    let many: String = (0..51).map(|number| format!("tag=t{number}&")).collect();
    let put = format!("PUT /v2/app/manifests/{image}?{many}");
    registry.refuses(put, &[MANIFEST_TYPE], good_image().bytes(), (414, "UNSUPPORTED"));
    registry.works();
}

#[test]
fn a_mount_from_what_is_no_repository_or_of_what_is_no_blob_is_the_beginning_of_an_upload() {
    let mut registry = Registry::new();
    let tool = Digest::sha256(TOOL);
    let from = bad_names().into_iter().filter(|name| !name.is_empty() && !name.contains('&'));
    // In a query the slash may be encoded.
    let from = from.filter(|name| !name.eq_ignore_ascii_case("app%2ftools"));
    let queries = from.map(|from| format!("mount={tool}&from={from}"));
    let digests = bad_digests().map(|mount| format!("mount={mount}&from=app/tools"));
    let clean = registry.look();
    for query in queries.chain(digests) {
        let answer = registry.ask(format!("POST /v2/new/blobs/uploads/?{query}"), &[], b"");
        assert_eq!(answer.status, 202, "{query}");
        let location = answer.header("location").expect("a session").to_owned();
        let left = registry.look().without("repositories/new");
        assert_eq!(clean.changes(&left), "", "{query}");
        registry.lacks("new", TOOL);
        assert_eq!(registry.ask(format!("DELETE {location}"), &[], b"").status, 204);
    }
    assert_eq!(clean.changes(&registry.look().without("repositories/new")), "");
    registry.works();
}

#[test]
fn pages_are_asked_for_with_a_number_and_may_begin_anywhere() {
    let mut registry = Registry::new();
    let image = Digest::sha256(good_image().bytes());
    let listings = [
        "/v2/_catalog".to_owned(),
        "/v2/app/tags/list".to_owned(),
        format!("/v2/app/referrers/{image}"),
    ];
    for listing in &listings {
        for n in
            ["-1", "%2d1", "1.5", "1e3", "0x10", "ten", "%00", "+1", "1%20", "%d9%a3", "1;2", "--"]
        {
            let invalid = (400, "UNSUPPORTED");
            registry.refuses(format!("GET {listing}?n={n}"), &[], b"", invalid);
        }
    }
    let before = registry.look();
    for listing in &listings {
        let digests = listing.contains("referrers");
        for n in ["", "0", "1", "007", "18446744073709551616", &"9".repeat(5000)] {
            assert_eq!(registry.ask(format!("GET {listing}?n={n}"), &[], b"").status, 200, "{n}");
        }
        for last in [
            "..",
            "../..",
            "%2e%2e%2f",
            "/",
            "//",
            "%00",
            "a%00b",
            "%ff",
            "%",
            "\\",
            "App",
            "a//b",
            &"a/".repeat(10_000),
            &"a".repeat(10_000),
            "zzz",
        ] {
            let answer = registry.ask(format!("GET {listing}?last={last}&n=5"), &[], b"");
            assert_eq!(answer.status, if digests { 400 } else { 200 }, "{listing} {last}");
        }
        for garbage in [
            "?",
            "&&&",
            "=",
            "===",
            "n",
            "%00=%00",
            "n=1&n=-1",
            "x=%ff",
            "?n=1",
            "artifactType=%00",
        ] {
            let answer = registry.ask(format!("GET {listing}?{garbage}"), &[], b"");
            assert_eq!(answer.status, 200, "{listing}?{garbage}");
        }
    }
    assert_eq!(before.changes(&registry.look()), "");
    registry.works();
}

#[test]
fn a_path_with_something_more_or_less_in_it_is_none_of_the_api() {
    let mut registry = Registry::new();
    let hello = Digest::sha256(HELLO);
    for path in [
        "/v1/",
        "/v2x/",
        "/V2/",
        "//v2/",
        "/../v2/",
        "/v2/..",
        "/v2/%2e%2e/",
        "/v2/app",
        "/v2/app/manifests",
        "/v2/app/manifests/",
        "/v2/app/manifests/v1/..",
        "/v2/app/manifests/../v1",
        "/v2/app/manifests/v1/x",
        "/v2/app/blobs",
        "/v2/app/tags",
        "/v2/app/tags/v1",
        "/v2/app/tags/list/x",
        "/v2/_catalog/x",
        "/v2/app/_uploads/x",
        "/v2/app/blobs%2fuploads",
        "/secret",
        "/etc/passwd",
        "/docker/registry/v2/blobs",
    ] {
        for method in ["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "BREW"] {
            registry.refuses(format!("{method} {path}"), &[], b"", (404, "UNSUPPORTED"));
        }
    }
    let odd = format!("GET /v2/app/blobs/{hello}/");
    assert_eq!(registry.ask(odd, &[], b"").status, 200, "slashes at the end do not matter");
    registry.works();
}
