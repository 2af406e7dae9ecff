//! Users and keys of a configuration: who is let in, what does not start, and that the log holds no secret.

use std::fs;
use std::io::Write as _;

use registry_tests::issuer::{Issuer, access};
use registry_tests::plain_http::{answer, connect};
use registry_tests::registry_process::RegistryProcess;
use rustix::process::Signal;
use serde_json::json;
use tempfile::TempDir;

use crate::configuring::Place;
use crate::failures::{failure, says};

/// `ann` with the password `secret`, by libxcrypt.
const HASH: &str = "$2b$04$BeUDnQxBbQWPcN2EzgO0f.vo1OUzMiyDsHn1b1GcuFYxS48KJR/XW";
const GIVEN: &str = "Basic YW5uOnNlY3JldA==";

fn configured(auth: &str) -> Place {
    Place::new(&format!(
        "version: 0.1\nlog: {{level: debug}}\nstorage: {{filesystem: {{rootdirectory: DATA}}}}\n\
         http: {{addr: '127.0.0.1:0'}}\nauth: {auth}\n"
    ))
}

fn status(registry: &RegistryProcess, authorization: &str) -> u16 {
    let mut stream = connect(registry.address());
    write!(
        stream,
        "GET /v2/_catalog HTTP/1.1\r\nHost: r\r\nAuthorization: {authorization}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    answer(&mut stream, true).status
}

#[test]
fn the_users_of_a_file_are_let_in_and_the_log_tells_nothing_of_their_passwords() {
    let directory = TempDir::new().unwrap();
    let users = directory.path().join("htpasswd");
    fs::write(&users, format!("ann:{HASH}\nold:$apr1$hunter2\n")).unwrap();
    let place = configured(&format!("{{htpasswd: {{realm: r, path: {}}}}}", users.display()));
    let mut registry = RegistryProcess::greeted(&mut place.serve());
    assert_eq!(status(&registry, GIVEN), 200);
    assert_eq!(status(&registry, "Basic YW5uOndyb25n"), 401);
    assert_eq!(status(&registry, "Bearer hunter2"), 401);
    let warned = registry.log_line("line 2: this user cannot log in");
    assert!(warned.contains("WARN"), "{warned}");

    fs::write(&users, "hunter2\n").unwrap();
    assert_eq!(status(&registry, GIVEN), 200, "the last good one counts");
    let told = registry.log_line("what it said before stays in force");
    says(
        &told,
        &["ERROR", users.to_str().unwrap(), "line 1: expected a line of the form name:hash"],
    );
    fs::write(&users, "ann:no\n").unwrap();
    assert_eq!(status(&registry, GIVEN), 401);

    registry.signal(Signal::TERM);
    let log = registry.ended();
    for secret in ["secret", "wrong", "hunter2", "YW5u", "$2b$", "$apr1$"] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
}

#[test]
fn the_tokens_of_an_issuer_are_taken_and_the_log_tells_nothing_of_them() {
    let directory = TempDir::new().unwrap();
    let bundle = directory.path().join("bundle.crt");
    let root = Issuer::root();
    fs::write(&bundle, root.certificate).unwrap();
    let place = configured(&format!(
        "{{token: {{realm: 'https://r/token', service: s, issuer: i, rootcertbundle: {}}}}}",
        bundle.display()
    ));
    let registry = RegistryProcess::greeted(&mut place.serve());
    let token = |expires: u64, access| {
        let claims = json!({"iss": "i", "aud": "s", "exp": expires, "access": access});
        root.token(&json!({"kid": root.jwk()["kid"]}), &claims)
    };
    let all = json!([{"type": "registry", "name": "catalog", "actions": ["*"]}]);
    let (good, old) = (token(32_000_000_000, all.clone()), token(1_000_000_000, all));
    let small = token(32_000_000_000, access("app", &["*"]));
    for (token, expected) in [(&good, 200), (&old, 401), (&small, 401), (&"x.y.z".to_owned(), 401)]
    {
        assert_eq!(status(&registry, &format!("Bearer {token}")), expected);
    }
    registry.signal(Signal::TERM);
    let log = registry.ended();
    assert!(log.contains("a token is not believed: it has expired"), "{log}");
    for token in [good, old, small] {
        for part in token.split('.') {
            assert!(!log.contains(part), "{part} in {log}");
        }
    }
}

#[test]
fn users_or_keys_that_cannot_be_read_keep_it_from_starting() {
    let directory = TempDir::new().unwrap();
    let bad = directory.path().join("bad");
    fs::write(&bad, "hunter2").unwrap();
    let (bad, nowhere) = (bad.display(), directory.path().join("nowhere"));
    let nowhere = nowhere.display();
    for (auth, parts) in [
        (
            format!("{{htpasswd: {{realm: r, path: {nowhere}}}}}"),
            [
                "config.yml:5: the htpasswd file",
                "nowhere: cannot be read",
                "expected a file as htpasswd -B",
            ],
        ),
        (
            format!("{{htpasswd: {{realm: r, path: {bad}}}}}"),
            ["config.yml:5: the htpasswd file", "line 1", "expected a line of the form name:hash"],
        ),
        (
            format!("{{token: {{realm: r, service: s, issuer: i, rootcertbundle: {bad}}}}}"),
            ["config.yml:5: the file of certificates", "bad:", "expected certificates in PEM"],
        ),
        (
            format!("{{token: {{realm: r, service: s, issuer: i, jwks: {bad}}}}}"),
            ["config.yml:5: the file of keys", "bad:", "expected a JSON Web Key Set"],
        ),
    ] {
        let place = configured(&auth);
        let (status, line) = failure(&mut place.serve());
        assert_eq!(status, 1);
        says(&line, &parts);
        assert!(!line.contains("hunter2"), "{line}");
        assert!(!place.data().exists(), "nothing was made");
    }
}
