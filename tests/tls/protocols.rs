//! What is spoken, and what is no TLS.

use std::path::Path;
use std::time::Duration;

use registry_http::serve::Limits;
use registry_http::serve::tls::{Tls, TlsOptions, TlsVersion};
use registry_tests::certificates::Wanted;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::served::{Files, Served};
use registry_tests::tls_client::{ONLY_12, ONLY_13};

#[tokio::test]
async fn tls_1_2_and_1_3_are_spoken() {
    let files = Files::new();
    let served = Served::with(files.options()).await;
    for versions in [ONLY_12, ONLY_13] {
        let told = files.client().speaks(versions).ask(served.address).await.unwrap();
        assert_eq!(told, "HTTP/1.1 over TLS from 127.0.0.1: nobody");
    }
}

#[tokio::test]
async fn with_a_minimum_of_1_3_a_client_of_1_2_is_refused() {
    let files = Files::new();
    let options = TlsOptions { minimum: TlsVersion::Tls13, ..files.options() };
    let served = Served::with(options).await;
    let refused = files.client().speaks(ONLY_12).ask(served.address).await.unwrap_err();
    assert!(refused.to_string().contains("ProtocolVersion"), "{refused}");
    files.client().speaks(ONLY_13).ask(served.address).await.unwrap();
}

#[tokio::test]
async fn of_tls_1_2_only_the_chosen_suites_are_spoken() {
    let files = Files::new();
    // The certificate's key is of ECDSA.
    for (suite, agrees) in [
        ("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", true),
        ("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", false),
    ] {
        let cipher_suites = Some(vec![suite.parse().unwrap()]);
        let served = Served::with(TlsOptions { cipher_suites, ..files.options() }).await;
        let agreed = files.client().speaks(ONLY_12).connect(served.address).await;
        let agreed = agreed.map(|stream| stream.get_ref().1.negotiated_cipher_suite().unwrap());
        let agreed = agreed.map(|agreed| format!("{:?}", agreed.suite())).ok();
        assert_eq!(agreed.as_deref(), agrees.then_some(suite));
        files.client().speaks(ONLY_13).ask(served.address).await.unwrap();
    }
}

#[tokio::test]
async fn http_2_is_agreed_on_by_alpn_unless_it_is_switched_off() {
    let files = Files::new();
    let both = Served::with(files.options()).await;
    let old = Served::with(TlsOptions { http2: false, ..files.options() }).await;
    for (offers, spoken, without_http2) in [
        (&["h2", "http/1.1"][..], "HTTP/2.0", "HTTP/1.1"),
        (&["http/1.1"], "HTTP/1.1", "HTTP/1.1"),
        (&[], "HTTP/1.1", "HTTP/1.1"),
    ] {
        let client = files.client().offers(offers);
        for (served, expected) in [(&both, spoken), (&old, without_http2)] {
            let told = client.ask(served.address).await.unwrap();
            assert!(told.starts_with(&format!("{expected} over TLS")), "{offers:?}: {told}");
        }
    }
}

#[tokio::test]
async fn a_request_in_the_clear_is_told_that_this_is_https() {
    let files = Files::new();
    let served = Served::with(files.options()).await;
    for method in ["GET", "HEAD", "POST", "OPTIONS", "PRI"] {
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        let request = format!("{method} /v2/ HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{answer}");
        let text = "\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";
        assert!(answer.ends_with(text), "{answer}");
    }
}

#[tokio::test]
async fn what_is_neither_tls_nor_http_ends_its_connection_and_no_other() {
    let files = Files::new();
    let served = Served::with(files.options()).await;
    for sent in
        [&b"\x00\x01\x02\x03\x04\x05\x06\x07"[..], b"\x16\x03\x01\xff\xff\xff\xff\xff", b"\n"]
    {
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        stream.write_all(sent).await.unwrap();
        stream.shutdown().await.unwrap();
        // It may be told by an alert, or by a reset.
        let _ = stream.read_to_end(&mut Vec::new()).await;
    }
    files.client().ask(served.address).await.unwrap();
}

#[tokio::test]
async fn a_handshake_that_does_not_end_is_cut_and_keeps_nobody_waiting() {
    let files = Files::new();
    let head = Some(Duration::from_millis(300));
    let limits = Limits { head, ..Limits::default() };
    let served = Served::limited(files.options(), limits).await;
    let mut slow = Vec::new();
    // Nothing; a beginning; the head of a record that is said to be long.
    for sent in [&b""[..], b"\x16", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"] {
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        stream.write_all(sent).await.unwrap();
        slow.push(stream);
    }
    files.client().ask(served.address).await.unwrap();
    for mut stream in slow {
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"");
    }
}

#[tokio::test]
async fn a_client_that_trusts_another_authority_or_looks_at_the_date_does_not_connect() {
    let files = Files::new();
    let served = Served::with(files.options()).await;
    let other = Files::new();
    let refused = other.client().ask(served.address).await.unwrap_err();
    assert!(
        refused.to_string().contains("UnknownIssuer")
            || refused.to_string().contains("BadSignature"),
        "{refused}"
    );

    // It is served as it is: whether its time is over is for clients to say.
    files.authority.issue(&Wanted::server().expired()).write(files.path(), "server");
    assert!(served.tls.reload().unwrap());
    let refused = files.client().ask(served.address).await.unwrap_err();
    assert!(refused.to_string().contains("xpired"), "{refused}");
}

#[test]
fn files_that_do_not_do_are_named_with_what_was_expected() {
    let files = Files::new();
    let load = |options: TlsOptions| Tls::load(options).unwrap_err().to_string();
    let (certificate, key) = (files.options().certificate, files.options().key);
    let missing = files.path().join("missing");
    let told = load(TlsOptions { key: missing.clone(), ..files.options() });
    assert!(told.starts_with(&format!("cannot read {}: ", missing.display())), "{told}");
    let told = load(TlsOptions { certificate: key.clone(), ..files.options() });
    assert!(told.contains("expected a certificate in PEM"), "{told}");
    let told = load(TlsOptions { key: certificate, ..files.options() });
    assert!(told.contains("expected a key in PEM"), "{told}");
    // A key of another certificate.
    let other = Files::new();
    let told = load(TlsOptions { key: other.options().key, ..files.options() });
    assert!(told.contains("expected a certificate and its key, found others"), "{told}");
    // One that nobody takes: `version_1/` was made with `openssl req -new` and `openssl x509 -req`, with no extensions.
    let old = Path::new(env!("CARGO_MANIFEST_DIR")).join("tls/version_1");
    let (certificate, its_key) = (old.join("certificate.pem"), old.join("key.pem"));
    let told = load(TlsOptions { certificate, key: its_key, ..files.options() });
    assert!(told.contains("of X.509 version 3, found version 1"), "{told}");
    let secret = std::fs::read_to_string(key).unwrap();
    assert!(!told.contains(secret.lines().nth(1).unwrap()));
}
