//! Tokens that another library made, by every algorithm; keys and certificates that OpenSSL made, and their ids as Python's
//! `cryptography` has them.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::Request;
use http::header::HOST;
use registry_store::options::Clock;

use super::*;
use crate::auth::Action;

/// By joserfc 1.6: for `registry`, from `issuer`, from 1,000,000,000 to 2,000,000,000.
const TOKENS: &str = include_str!("../../../../tests/support/issuer/tokens.txt");
const SHARED: &[u8] = include_bytes!("../../../../tests/support/issuer/shared.jwks");

/// The certificates whose keys they are signed with; ids of libtrust, and of RFC 7638.
const BUNDLE: [(&[u8], &str, &str); 5] = [
    (
        include_bytes!("../../../../tests/support/issuer/rsa.crt"),
        "NFZ7:HMFC:6BWF:DZ5I:HNTF:JE6I:Y5BF:VXPO:CGF6:2A7R:USWN:DIRG",
        "EQ2hue7x6qgrlOt0-f6_X84QHc7EWz1bwoC2uET1wD4",
    ),
    (
        include_bytes!("../../../../tests/support/issuer/root.crt"),
        "Q4R4:J5FO:4UWD:C5TD:CZSJ:HWOP:JSEN:HP77:BKKY:2HRH:ZWL5:KQ35",
        "Zcqko86uEbUV8dg4NWIAq3dcwQYynEIxem-NvJpCXyc",
    ),
    (
        include_bytes!("../../../../tests/support/issuer/p384.crt"),
        "FLRJ:ALZV:XZ4O:MF6C:DKYK:L2WK:ZFAC:J5YK:LIMQ:KUFS:Z2PC:66BV",
        "GX_57ocINGBbyKkdQHvJ1y_FssU157zIIsEUEdytUF8",
    ),
    (
        include_bytes!("../../../../tests/support/issuer/p521.crt"),
        "WJ2R:5UFA:SA4J:SX53:2322:EDFO:CGAS:WSOV:5ODE:2FTL:RHCR:BX2C",
        "fObCrTHxknf6X8kuh5jR5_i_1YolpGWlZXV3EN5u4XU",
    ),
    (
        include_bytes!("../../../../tests/support/issuer/ed25519.crt"),
        "4YCN:YQXG:YWVW:YFEJ:H5XO:74UQ:QE5S:I6IN:YEGI:PZLN:VK73:UZL6",
        "ffK9lIyGDldl65t0_yzKIruzQMVyqKs-enEjlLMbrTw",
    ),
];

#[derive(Debug)]
struct At(u64);

impl Clock for At {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.0)
    }
}

fn bundle() -> TrustedKeys {
    let pem: Vec<u8> = BUNDLE.iter().flat_map(|(pem, ..)| pem.iter().copied()).collect();
    TrustedKeys::of_certificates(&pem).unwrap()
}

fn verifier(algorithms: &[Algorithm]) -> TokenVerifier {
    let shared = TrustedKeys::of_jwks(SHARED).unwrap();
    let sources = [KeySource::Keys(bundle()), KeySource::Keys(shared)];
    TokenVerifier::new("issuer", "registry", algorithms, sources, Arc::new(At(1_500_000_000)))
        .unwrap()
}

/// The token of this algorithm.
fn token(name: &str) -> &'static str {
    TOKENS.lines().find(|token| algorithm_of(token) == name).unwrap()
}

fn algorithm_of(token: &str) -> String {
    let header = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
    let header: serde_json::Value = serde_json::from_slice(&header).unwrap();
    header["alg"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_token_of_every_algorithm_of_public_keys_is_believed() {
    let verifier = verifier(&Algorithm::PUBLIC);
    for algorithm in Algorithm::PUBLIC {
        let claims = verifier.verify(token(&algorithm.to_string())).await;
        assert_eq!(claims.unwrap().subject(), Some("ann"), "{algorithm}");
    }
}

#[tokio::test]
async fn a_shared_secret_is_taken_only_where_it_is_asked_for() {
    for algorithm in [Algorithm::Hs256, Algorithm::Hs384, Algorithm::Hs512] {
        let token = token(&algorithm.to_string());
        let refused = verifier(&Algorithm::PUBLIC).verify(token).await;
        assert_eq!(refused, Err(TokenError::Algorithm));
        assert!(verifier(&[algorithm]).verify(token).await.is_ok(), "{algorithm}");
    }
}

#[tokio::test]
async fn an_algorithm_that_is_not_let_is_refused() {
    let only = verifier(&[Algorithm::Es256]);
    for line in TOKENS.lines() {
        let verdict = only.verify(line).await;
        match algorithm_of(line).as_str() {
            "ES256" => assert!(verdict.is_ok()),
            name => assert_eq!(verdict, Err(TokenError::Algorithm), "{name}"),
        }
    }
}

#[tokio::test]
async fn a_token_with_any_byte_changed_is_refused() {
    let verifier = verifier(&Algorithm::PUBLIC);
    for name in ["ES256", "EdDSA"] {
        let good = token(name);
        for at in 0..good.len() {
            let mut bad = good.as_bytes().to_vec();
            bad[at] = if bad[at] == b'A' { b'B' } else { b'A' };
            let bad = String::from_utf8(bad).unwrap();
            assert!(verifier.verify(&bad).await.is_err(), "{name} {at}");
        }
        for bad in
            ["", ".", "..", &format!("{good}.x"), &good.replace('.', ""), &format!("{good}=")]
        {
            assert_eq!(verifier.verify(bad).await, Err(TokenError::Malformed), "{bad}");
        }
    }
}

#[tokio::test]
async fn a_token_without_a_signature_or_with_what_is_not_understood_is_refused() {
    let verifier = verifier(&Algorithm::PUBLIC);
    let claims = token("ES256").split('.').nth(1).unwrap();
    let kid = BUNDLE[1].1;
    for (header, error) in [
        (format!(r#"{{"alg":"none","kid":"{kid}"}}"#), TokenError::Algorithm),
        (format!(r#"{{"alg":"None","kid":"{kid}"}}"#), TokenError::Algorithm),
        (format!(r#"{{"alg":"ES256","kid":"{kid}"}}"#), TokenError::Signature),
        (format!(r#"{{"alg":"RS256","kid":"{kid}"}}"#), TokenError::Signature),
        (r#"{"alg":"ES256","kid":"other"}"#.to_owned(), TokenError::Key),
        (r#"{"alg":"ES256"}"#.to_owned(), TokenError::Key),
        (r#"{"alg":"ES256","x5c":["AAAA"]}"#.to_owned(), TokenError::Key),
        (format!(r#"{{"alg":"ES256","kid":"{kid}","x5c":["AAAA"]}}"#), TokenError::Key),
        (format!(r#"{{"alg":"ES256","kid":"{kid}","crit":["b64"]}}"#), TokenError::Malformed),
        (format!(r#"{{"alg":"none","alg":"ES256","kid":"{kid}"}}"#), TokenError::Malformed),
        (r#"{"kid":"x"}"#.to_owned(), TokenError::Malformed),
        ("[]".to_owned(), TokenError::Malformed),
    ] {
        let token = format!("{}.{claims}.", BASE64_URL_SAFE_NO_PAD.encode(&header));
        assert_eq!(verifier.verify(&token).await, Err(error), "{header}");
    }
}

#[test]
fn a_certificate_s_key_has_the_ids_of_distribution_2_and_3() {
    let trusted = bundle();
    for (pem, libtrust, thumbprint) in BUNDLE {
        let alone = TrustedKeys::of_certificates(pem).unwrap();
        let key = alone.by_id(libtrust).unwrap();
        assert_eq!(key.thumbprint().as_deref(), Some(thumbprint));
        assert!(alone.by_id(thumbprint) == Some(key) && trusted.by_id(thumbprint) == Some(key));
        assert_eq!(trusted.by_id(libtrust), Some(key));
    }
}

#[test]
fn a_key_of_a_set_has_its_own_id_and_its_thumbprint() {
    // RFC 7638 §3.1.
    let rsa = r#"{"keys": [{"kty": "RSA",
        "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
        "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"}]}"#;
    let trusted = TrustedKeys::of_jwks(rsa.as_bytes()).unwrap();
    let key = trusted.by_id("2011-04-29").unwrap();
    assert_eq!(trusted.by_id("NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"), Some(key));
    // What no token is verified with is passed over; what is no set is an error that shows nothing of it.
    let others = r#"{"keys": [{"kty": "EC", "crv": "secp256k1", "kid": "a"}, {"kty": "new", "kid": "b"},
        {"kty": "oct", "kid": "c", "k": "c2hvcnQ"}]}"#;
    let trusted = TrustedKeys::of_jwks(others.as_bytes()).unwrap();
    assert!(["a", "b", "c"].iter().all(|id| trusted.by_id(id).is_none()));
    let error = TrustedKeys::of_jwks(b"{\"keys\":\n[{\"kty\": \"oct\", \"k\": 5}]}").unwrap_err();
    assert_eq!(error, "line 2: expected a JSON Web Key Set, found another form");
}

#[test]
fn a_bundle_without_a_certificate_is_an_error() {
    let error = TrustedKeys::of_certificates(b"").unwrap_err();
    assert_eq!(error, "expected certificates in PEM, found none");
    let bad = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let error = TrustedKeys::of_certificates(bad).unwrap_err();
    assert!(error.starts_with("certificate 1: expected an X.509 certificate in PEM"), "{error}");
}

#[test]
fn a_challenge_says_where_and_for_what_a_token_is_to_be_had() {
    let value = |auto_redirect: Option<&str>, headers: &[(&str, &str)], scope: &[Access], wrong| {
        let challenge = Challenge {
            realm: "https://auth.example.com/token".to_owned(),
            service: "a \"service\"".to_owned(),
            auto_redirect: auto_redirect.map(str::to_owned),
        };
        let mut request = Request::get("/v2/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (head, ()) = request.body(()).unwrap().into_parts();
        challenge.value(&head, scope, wrong).unwrap().to_str().unwrap().to_owned()
    };
    let needed = |actions: &[Action]| {
        let access = |action| Access::Repository { name: "a/b".parse().unwrap(), action };
        actions.iter().copied().map(access).collect::<Vec<_>>()
    };
    const START: &str = r#"Bearer realm="https://auth.example.com/token",service="a \"service\"""#;
    assert_eq!(value(None, &[], &[], Wrong::Missing), START);
    assert_eq!(
        value(None, &[], &needed(&[Action::Pull, Action::Push]), Wrong::Invalid),
        format!(r#"{START},scope="repository:a/b:pull,push",error="invalid_token""#)
    );
    assert_eq!(
        value(None, &[], &[Access::Catalog], Wrong::Insufficient),
        format!(r#"{START},scope="registry:catalog:*",error="insufficient_scope""#)
    );
    // Where the client itself says which host it has asked.
    let host = (HOST.as_str(), "r.example.com:5000");
    let redirected = |headers: &[(&str, &str)]| {
        let value = value(Some("/jwt/auth"), headers, &[], Wrong::Missing);
        value.split('"').nth(1).unwrap().to_owned()
    };
    assert_eq!(redirected(&[host]), "https://r.example.com:5000/jwt/auth");
    let http = ("x-forwarded-proto", "http");
    assert_eq!(redirected(&[host, http]), "http://r.example.com:5000/jwt/auth");
    let other = ("x-forwarded-proto", "javascript");
    assert_eq!(redirected(&[host, other]), "https://r.example.com:5000/jwt/auth");
    for bad in [&[][..], &[(HOST.as_str(), "a b")], &[(HOST.as_str(), "u@h")]] {
        assert_eq!(redirected(bad), "https://auth.example.com/token", "{bad:?}");
    }
}

#[test]
fn keys_do_not_show_themselves() {
    let shown = format!("{:?} {:?}", verifier(&Algorithm::PUBLIC), TrustedKeys::of_jwks(SHARED));
    assert!(!shown.contains("0123456789") && !shown.contains("MDEyMzQ1"), "{shown}");
    let key = VerifyingKey::shared(b"0123456789abcdef0123456789abcdef".to_vec()).unwrap();
    assert_eq!((format!("{key:?}").as_str(), key.thumbprint()), ("Shared(..)", None));
}
