//! `auth`: who is let in.

use super::{read, read_variables};
use crate::auth::token::Algorithm;
use crate::config::{Auth, Token};

fn auth(text: &str) -> Option<Auth> {
    let text = format!("version: 0.1\nstorage: inmemory\n{text}\n");
    read(&text, &[]).unwrap().configuration.auth
}

#[test]
fn without_it_everybody_is() {
    for text in ["", "auth:", "auth: {}", "auth: none", "auth: {none: {}}"] {
        assert_eq!(auth(text), None, "{text}");
    }
}

#[test]
fn users_are_in_a_file() {
    let users = |realm: &str, path: &str| {
        Some(Auth::Htpasswd { realm: realm.to_owned(), path: path.into() })
    };
    assert_eq!(auth("auth: {htpasswd: {realm: the realm, path: /p}}"), users("the realm", "/p"));
    let variables = [
        ("REGISTRY_AUTH", "htpasswd"),
        ("REGISTRY_AUTH_HTPASSWD_PATH", "/auth/htpasswd"),
        ("REGISTRY_AUTH_HTPASSWD_REALM", "Registry Realm"),
    ];
    let of_variables = read_variables(&variables).unwrap().configuration.auth;
    assert_eq!(of_variables, users("Registry Realm", "/auth/htpasswd"));
}

#[test]
fn tokens_are_taken_with_every_key_of_distribution() {
    let token = |more: &str| match auth(&format!(
        "auth: {{token: {{realm: r, service: s, issuer: i, {more}}}}}"
    )) {
        Some(Auth::Token(token)) => *token,
        other => panic!("{other:?}"),
    };
    let least = Token {
        realm: "r".to_owned(),
        service: "s".to_owned(),
        issuer: "i".to_owned(),
        root_cert_bundle: Some("/c".into()),
        jwks: None,
        algorithms: Algorithm::PUBLIC.to_vec(),
        auto_redirect: None,
    };
    assert_eq!(token("rootcertbundle: /c"), least);
    let all = token(
        "rootcertbundle: /c, jwks: /j, signingalgorithms: [HS256, EdDSA], autoredirect: true, \
         autoredirectpath: /jwt/auth",
    );
    let expected = Token {
        jwks: Some("/j".into()),
        algorithms: vec![Algorithm::Hs256, Algorithm::EdDsa],
        auto_redirect: Some("/jwt/auth".to_owned()),
        ..least
    };
    assert_eq!(all, expected);
    let redirect = |more: &str| token(&format!("jwks: /j, {more}")).auto_redirect;
    assert_eq!(redirect("autoredirect: true").as_deref(), Some("/auth/token"));
    assert_eq!(redirect("autoredirect: false, autoredirectpath: /x"), None);
}

#[test]
fn silly_lets_everybody_in_who_says_anything() {
    let silly = Auth::Silly { realm: "r".to_owned(), service: "s".to_owned() };
    assert_eq!(auth("auth: {silly: {realm: r, service: s}}"), Some(silly));
}
