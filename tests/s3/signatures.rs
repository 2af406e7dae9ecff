//! Who may ask: signatures in headers and in addresses.

use std::time::Duration;

use http::Request;
use registry_store::options::Clock as _;
use registry_tests::s3::options::Credentials;
use registry_tests::s3::signature::signer::{Signer, UNSIGNED};
use registry_tests::server::{Answer, whole};

use crate::fixture::{Fixture, refusal, refused};

/// A GET of what is there, signed by somebody, after something was done to it.
async fn get(s3: &Fixture, signer: &Signer, alter: impl FnOnce(&mut Request<()>)) -> Answer {
    let (mut head, ()) = s3.request("GET", "k?x-id=GetObject", &[]).into_parts();
    signer.sign(&mut head, UNSIGNED);
    let mut request = Request::from_parts(head, ());
    alter(&mut request);
    s3.send(request, whole("")).await
}

async fn fixture() -> Fixture {
    let s3 = Fixture::new().await;
    s3.put("k", b"x").await;
    s3
}

#[tokio::test]
async fn who_has_the_secret_is_let_in_and_nobody_else() {
    let s3 = fixture().await;
    let good = s3.signer();
    assert_eq!(get(&s3, &good, |_| {}).await.status, 200);
    let with = |change: fn(&mut Signer)| {
        let mut signer = good.clone();
        change(&mut signer);
        signer
    };
    for (signer, expected) in [
        (
            with(|signer| signer.credentials.secret_key += "x"),
            refused(403, "SignatureDoesNotMatch"),
        ),
        (with(|signer| signer.credentials.access_key += "x"), refused(403, "InvalidAccessKeyId")),
        (
            with(|signer| signer.region = "moon".to_owned()),
            refused(400, "AuthorizationHeaderMalformed"),
        ),
        (
            with(|signer| signer.credentials.session_token = Some("t".to_owned())),
            refused(400, "InvalidToken"),
        ),
    ] {
        assert_eq!(refusal(&get(&s3, &signer, |_| {}).await), expected);
    }
    let bare = s3.send(s3.request("GET", "k", &[]), whole("")).await;
    assert_eq!(refusal(&bare), refused(403, "AccessDenied"));
}

#[tokio::test]
async fn what_was_altered_after_it_was_signed_is_refused() {
    let s3 = fixture().await;
    let signer = s3.signer();
    let path = get(&s3, &signer, |request| {
        *request.uri_mut() = "/bucket/l?x-id=GetObject".parse().unwrap();
    })
    .await;
    let query =
        get(&s3, &signer, |request| *request.uri_mut() = "/bucket/k?x-id=Get".parse().unwrap())
            .await;
    let method = get(&s3, &signer, |request| *request.method_mut() = http::Method::DELETE).await;
    let host = get(&s3, &signer, |request| {
        request.headers_mut().insert("host", "127.0.0.2:80".parse().unwrap());
    })
    .await;
    for altered in [path, query, method, host] {
        assert_eq!(refusal(&altered), refused(403, "SignatureDoesNotMatch"));
    }
    let added = get(&s3, &signer, |request| {
        request.headers_mut().insert("x-amz-acl", "public-read".parse().unwrap());
    })
    .await;
    assert_eq!(refusal(&added), refused(403, "AccessDenied"));
    let harmless = get(&s3, &signer, |request| {
        request.headers_mut().insert("range", "bytes=0-0".parse().unwrap());
    })
    .await;
    assert_eq!(harmless.status, 206);
}

#[tokio::test]
async fn a_clock_may_be_off_by_a_quarter_of_an_hour() {
    let s3 = fixture().await;
    let signed = s3.signer();
    s3.clock.advance(Duration::from_mins(14));
    assert_eq!(get(&s3, &signed, |_| {}).await.status, 200);
    s3.clock.advance(Duration::from_mins(2));
    assert_eq!(refusal(&get(&s3, &signed, |_| {}).await), refused(403, "RequestTimeTooSkewed"));
    let ahead = Signer { now: s3.clock.now() + Duration::from_mins(16), ..signed };
    assert_eq!(refusal(&get(&s3, &ahead, |_| {}).await), refused(403, "RequestTimeTooSkewed"));
}

#[tokio::test]
async fn an_answer_tells_the_time_that_is_passed_in() {
    let s3 = fixture().await;
    let before = s3.get("k").await.header("date").to_owned();
    assert_eq!(s3.get("k").await.header("date"), before);
    s3.clock.advance(Duration::from_hours(24));
    assert_ne!(s3.get("k").await.header("date"), before);
}

#[tokio::test]
async fn who_has_a_temporary_key_brings_its_token() {
    let credentials =
        Credentials { session_token: Some("t/o=k+en".to_owned()), ..Credentials::default() };
    let s3 = Fixture::with(|options| options.credentials = Some(credentials)).await;
    assert_eq!(s3.put("k", b"x").await.status, 200);
    let mut without = s3.signer();
    without.credentials.session_token = None;
    assert_eq!(refusal(&get(&s3, &without, |_| {}).await), refused(400, "InvalidToken"));
    let address = s3.signer().presign(&s3.request("GET", "k", &[]).into_parts().0, 60);
    assert_eq!(open(&s3, "GET", &address, &[]).await.status, 200);
}

/// Opens an address as anybody may.
async fn open(s3: &Fixture, method: &str, address: &str, headers: &[(&str, &str)]) -> Answer {
    let (mut head, ()) = s3.request(method, "", headers).into_parts();
    head.uri = address.parse().unwrap();
    s3.send(Request::from_parts(head, ()), whole("")).await
}

#[tokio::test]
async fn an_address_lets_anybody_in_until_it_expires() {
    let s3 = fixture().await;
    let head = s3.request("GET", "k?response-content-type=a%2Fb", &[]).into_parts().0;
    let address = s3.signer().presign(&head, 600);
    let got = open(&s3, "GET", &address, &[("user-agent", "any")]).await;
    assert_eq!((got.status.as_u16(), &got.body[..]), (200, &b"x"[..]));
    assert_eq!(got.header("content-type"), "a/b");
    assert_eq!(open(&s3, "GET", &address, &[("range", "bytes=0-0")]).await.status, 206);
    s3.clock.advance(Duration::from_secs(599));
    assert_eq!(open(&s3, "GET", &address, &[]).await.status, 200);
    s3.clock.advance(Duration::from_secs(2));
    let late = open(&s3, "GET", &address, &[]).await;
    assert_eq!(refusal(&late), refused(403, "AccessDenied"));
    assert!(String::from_utf8_lossy(&late.body).contains("Request has expired"));
}

#[tokio::test]
async fn an_address_is_for_one_request_alone() {
    let s3 = fixture().await;
    let address = s3.signer().presign(&s3.request("GET", "k", &[]).into_parts().0, 600);
    for (method, address) in [
        ("PUT", address.clone()),
        ("GET", address.replace("/k?", "/l?")),
        ("GET", address.replace("X-Amz-Expires=600", "X-Amz-Expires=601")),
        ("GET", format!("{address}&response-content-type=x")),
    ] {
        let answer = open(&s3, method, &address, &[]).await;
        assert_eq!(refusal(&answer), refused(403, "SignatureDoesNotMatch"), "{method} {address}");
    }
    assert_eq!(open(&s3, "HEAD", &address, &[]).await.status, 403);
    let added = open(&s3, "GET", &address, &[("x-amz-checksum-mode", "ENABLED")]).await;
    assert_eq!(refusal(&added), refused(403, "AccessDenied"));
}

#[tokio::test]
async fn an_address_lasts_a_week_at_most() {
    let s3 = fixture().await;
    let head = s3.request("GET", "k", &[]).into_parts().0;
    let week = s3.signer().presign(&head, 604_800);
    assert_eq!(open(&s3, "GET", &week, &[]).await.status, 200);
    let longer = s3.signer().presign(&head, 604_801);
    let expected = refused(400, "AuthorizationQueryParametersError");
    assert_eq!(refusal(&open(&s3, "GET", &longer, &[]).await), expected);
    let missing = week.replace("X-Amz-Date", "X-Amz-When");
    assert_eq!(refusal(&open(&s3, "GET", &missing, &[]).await), expected);
}

#[tokio::test]
async fn nobody_is_asked_where_that_is_switched_off() {
    let s3 = Fixture::with(|options| options.credentials = None).await;
    let put = s3.send(s3.request("PUT", "k", &[]), whole("x")).await;
    assert_eq!(put.status, 200);
    assert_eq!(s3.send(s3.request("GET", "k?X-Amz-Signature=any", &[]), whole("")).await.body, "x");
}
