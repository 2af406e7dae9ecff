//! `http.tls`, unix sockets and headers.

use std::path::PathBuf;

use super::{Problem, read, refuses};
use crate::config::UnixSocket;
use crate::serve::tls::{ClientAuth, TlsOptions, TlsVersion};

fn with_http(http: &str) -> String {
    format!("version: 0.1\nstorage: {{inmemory: {{}}}}\nhttp: {{{http}}}\n")
}

fn with_tls(more: &str) -> String {
    with_http(&format!("tls: {{certificate: /c, key: /k{more}}}"))
}

#[track_caller]
fn tls(more: &str) -> TlsOptions {
    read(&with_tls(more), &[]).unwrap().configuration.http.tls.unwrap()
}

#[test]
fn clients_are_asked_for_what_the_words_of_go_say() {
    let authorities = || vec![PathBuf::from("/a"), PathBuf::from("/b")];
    for (more, expected) in [
        ("", ClientAuth::None),
        (", clientauth: request-client-cert", ClientAuth::Request),
        (", clientauth: require-any-client-cert", ClientAuth::RequireAny),
        (", clientcas: [/a, /b]", ClientAuth::Require(authorities())),
        (
            ", clientcas: [/a, /b], clientauth: verify-client-cert-if-given",
            ClientAuth::VerifyIfGiven(authorities()),
        ),
        (
            ", clientcas: [/a, /b], clientauth: require-and-verify-client-cert",
            ClientAuth::Require(authorities()),
        ),
    ] {
        assert_eq!(tls(more).clients, expected, "{more}");
    }
}

#[test]
fn authorities_that_nobody_is_verified_by_are_told_of() {
    for (clientauth, count) in [
        ("request-client-cert", 1),
        ("require-any-client-cert", 1),
        ("verify-client-cert-if-given", 0),
        ("require-and-verify-client-cert", 0),
    ] {
        let text = with_tls(&format!(", clientcas: [/a], clientauth: {clientauth}"));
        let warnings = read(&text, &[]).unwrap().warnings;
        assert_eq!(warnings.len(), count, "{clientauth}: {warnings:?}");
        let is_told = |it: &Problem| it.to_string().contains("nobody's certificate is verified");
        assert!(warnings.iter().all(is_told), "{warnings:?}");
    }
}

#[test]
fn versions_and_suites_are_those_of_the_file() {
    assert_eq!(tls("").minimum, TlsVersion::Tls12);
    assert_eq!(tls(", minimumtls: tls1.3").minimum, TlsVersion::Tls13);
    assert_eq!(tls("").cipher_suites, None);
    let weak = "TLS_RSA_WITH_AES_128_CBC_SHA";
    let strong = "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256";
    let loaded = read(&with_tls(&format!(", ciphersuites: [{weak}, {strong}]")), &[]).unwrap();
    let tls = loaded.configuration.http.tls.unwrap();
    assert_eq!(tls.cipher_suites, Some(vec![strong.parse().unwrap()]));
    let warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "c.yml:3: http.tls.ciphersuites: `TLS_RSA_WITH_AES_128_CBC_SHA` is passed over: it is too weak: there is no \
          forward secrecy, or no authenticated encryption"
        ]
    );
    assert!(tls.http2);
    let text = with_http("tls: {certificate: /c, key: /k}, http2: {disabled: true}");
    let http = read(&text, &[]).unwrap().configuration.http;
    assert!(!http.tls.unwrap().http2 && !http.h2c);
}

#[test]
fn what_would_weaken_tls_or_is_not_known_is_refused() {
    for (more, line) in [
        (
            ", minimumtls: tls1.0",
            "minimumtls: refused, because tls1.0 is not spoken any more (RFC 8996): expected tls1.2 or tls1.3",
        ),
        (", minimumtls: ssl3", "minimumtls: expected tls1.2 or tls1.3, found `ssl3`"),
        (
            ", ciphersuites: [TLS_X]",
            "ciphersuites: expected the name of a cipher suite, found `TLS_X`",
        ),
        (
            ", ciphersuites: [TLS_RSA_WITH_AES_128_CBC_SHA]",
            "ciphersuites: expected at least one cipher suite with forward secrecy and authenticated encryption, such as \
             TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, found none",
        ),
        (
            ", clientauth: verify-client-cert-if-given",
            "clientauth: expected the authorities to verify by in http.tls.clientcas, found none",
        ),
        (
            ", clientcas: [/a], clientauth: maybe",
            "clientauth: expected request-client-cert, require-any-client-cert, verify-client-cert-if-given or \
             require-and-verify-client-cert, found `maybe`",
        ),
    ] {
        refuses(&with_tls(more), &[], &format!("c.yml:3: http.tls.{line}"));
    }
    for (tls, line) in [
        ("key: /k", "key: expected http.tls.certificate with it, found none"),
        (
            "clientauth: require-any-client-cert",
            "clientauth: refused, because there is no TLS without http.tls.certificate: anybody could connect",
        ),
    ] {
        let text = with_http(&format!("tls: {{{tls}}}"));
        refuses(&text, &[], &format!("c.yml:3: http.tls.{line}"));
    }
}

#[test]
fn a_unix_socket_has_a_path_and_a_mode() {
    let socket = |more: &str| {
        let text = with_http(&format!("net: unix, addr: /run/r.sock{more}"));
        read(&text, &[]).unwrap().configuration.http.socket
    };
    let path = || PathBuf::from("/run/r.sock");
    assert_eq!(socket(""), Some(UnixSocket { path: path(), mode: None }));
    for mode in ["0660", "660", "0o660", "'0660'"] {
        let expected = Some(UnixSocket { path: path(), mode: Some(0o660) });
        assert_eq!(socket(&format!(", socketmode: {mode}")), expected, "{mode}");
    }
    for mode in ["0999", "rw", "+7", "7777"] {
        let text = with_http(&format!("net: unix, addr: /s, socketmode: {mode}"));
        let line =
            format!("c.yml:3: http.socketmode: expected permissions such as 0660, found `{mode}`");
        refuses(&text, &[], &line);
    }
    refuses(&with_http("net: udp"), &[], "c.yml:3: http.net: expected tcp or unix, found `udp`");
}

#[test]
fn what_says_how_a_body_is_read_is_not_said_twice() {
    for name in [
        "Connection",
        "Content-Encoding",
        "Content-Length",
        "Content-Range",
        "TE",
        "Trailer",
        "Transfer-Encoding",
        "Upgrade",
    ] {
        let loaded = read(&with_http(&format!("headers: {{{name}: [x], X-A: [b]}}")), &[]).unwrap();
        assert_eq!(loaded.configuration.http.headers.len(), 1, "{name}");
        let line = loaded.warnings[0].to_string();
        assert!(line.starts_with(&format!("c.yml:3: http.headers.{name}: passed over")), "{line}");
    }
}

#[test]
fn very_many_headers_are_refused_and_no_more() {
    let headers: String = (0..33_000).map(|at| format!("x{at}: [y], ")).collect();
    let problem = read(&with_http(&format!("headers: {{{headers}}}")), &[]).unwrap_err();
    assert!(problem.to_string().contains("expected fewer headers"), "{problem}");
}

#[test]
fn headers_keep_all_their_values_and_break_nothing() {
    let text =
        with_http("headers: {Access-Control-Allow-Methods: [GET, HEAD], X-A: [b], X-Empty: }");
    let headers = read(&text, &[]).unwrap().configuration.options().headers;
    let methods: Vec<_> = headers.get_all("access-control-allow-methods").iter().collect();
    assert_eq!(methods, ["GET", "HEAD"]);
    assert_eq!(headers.len(), 3);
    for (headers, line) in [
        ("'A B': [c]", "A B: expected the name of a header, found another form"),
        (
            "X-A: [\"b\\r\\nC: d\"]",
            "X-A: expected the value of a header, found one with a line break or the like",
        ),
    ] {
        let text = with_http(&format!("headers: {{{headers}}}"));
        refuses(&text, &[], &format!("c.yml:3: http.headers.{line}"));
    }
}
