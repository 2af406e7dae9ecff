//! Users and keys of a configuration: who is let in, what does not start, and that the log holds no secret.

use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

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

/// With the rights that `access` gives, and a token service.
fn with_tokens(directory: &Path, key: &Path) -> Place {
    let users = directory.join("htpasswd");
    fs::write(&users, format!("ann:{HASH}\n")).unwrap();
    Place::new(&format!(
        "version: 0.1\nstorage: {{filesystem: {{rootdirectory: DATA}}}}\nhttp: {{addr: '127.0.0.1:0'}}\n\
         auth: {{htpasswd: {{realm: r, path: {}}}}}\n\
         access: {{rules: [{{who: 'user:*', where: '**', may: R}}], tokens: {{key: {}}}}}\n",
        users.display(),
        key.display()
    ))
}

fn ask_for_a_token(registry: &RegistryProcess, authorization: &str) -> u16 {
    let mut stream = connect(registry.address());
    write!(
        stream,
        "GET /token?account=hunter2 HTTP/1.1\r\nHost: r\r\nAuthorization: {authorization}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    answer(&mut stream, true).status
}

#[test]
fn a_login_that_fails_is_told_of_by_the_address_and_one_that_does_not_by_the_name() {
    let directory = TempDir::new().unwrap();
    let place = with_tokens(directory.path(), &directory.path().join("key.pem"));
    let mut registry = RegistryProcess::greeted(&mut place.serve());
    assert_eq!(ask_for_a_token(&registry, "Basic aHVudGVyMjpodW50ZXIy"), 401);
    let told = registry.log_line("a login failed");
    says(&told, &["INFO", "127.0.0.1:"]);
    assert!(!told.contains("hunter2"), "{told}");
    assert_eq!(ask_for_a_token(&registry, GIVEN), 200);
    let told = registry.output_line(" ann ");
    says(&told, &["GET /token", " 200 "]);
    assert!(!told.contains("hunter2"), "{told}");
}

#[test]
fn a_key_that_others_can_read_is_told_of_and_one_that_cannot_be_read_keeps_it_from_starting() {
    let directory = TempDir::new().unwrap();
    let key = directory.path().join("key.pem");
    let place = with_tokens(directory.path(), &key);
    let registry = RegistryProcess::greeted(&mut place.serve());
    registry.signal(Signal::TERM);
    let log = registry.ended();
    assert!(log.contains("made a key") && !log.contains("others can read"), "{log}");

    fs::set_permissions(&key, Permissions::from_mode(0o640)).unwrap();
    let mut registry = RegistryProcess::greeted(&mut place.serve());
    says(&registry.log_line("others can read the key"), &["WARN", "key.pem"]);
    drop(registry);

    fs::write(&key, "hunter2").unwrap();
    fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    let in_a_file = key.join("key.pem");
    for (key, what) in [
        (key.as_path(), "expected a key of P-256 or Ed25519"),
        (directory.path(), "expected a file that this user may read"),
        (&in_a_file, "expected a file that this user may read"),
    ] {
        let place = with_tokens(directory.path(), key);
        let (status, line) = failure(&mut place.serve());
        assert_eq!(status, 1);
        says(&line, &["the key that tokens are signed with", what, "config.yml:5"]);
        assert!(!line.contains("hunter2"), "{line}");
    }
}
