//! `access` of a configuration: accounts, the token service with the key that it makes, and what keeps it from starting.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::PathBuf;

use registry_tests::plain_http::{Answer, request, send};
use registry_tests::registry_process::RegistryProcess;
use rustix::process::Signal;
use serde_json::Value;

use crate::configuring::Place;
use crate::failures::{failure, says};
use crate::operating::{place, start, text, with_header};
use crate::secrets::holds_none_of;

/// `ann` with the password `hunter2`, as `htpasswd -Bbn` printed it.
const ANN: &str = "ann:$2y$04$BxIknfV9QwW5KoO7ygTZreg3kU5s.yvP8MofZe89u6Gju/9pvmT56\n";
const GIVEN: &str = "Authorization: Basic YW5uOmh1bnRlcjI=";
const WRONG: &str = "Authorization: Basic YW5uOmh1bnRlcjM=";
const FORM: &str = "application/x-www-form-urlencoded";
const SCOPE: &str = "scope=repository:app/x:pull,push";

const TEAM: &str = "auth: {htpasswd: {realm: r, path: DATA.users}}
access:
  rules:
    - {who: user:ann, where: app/**, may: RW}
  tokens: {key: DATA.key}
log: {level: debug}
";

fn team(text: &str) -> Place {
    let place = place(text);
    fs::write(beside(&place, "users"), ANN).unwrap();
    place
}

/// A file beside the data.
fn beside(place: &Place, name: &str) -> PathBuf {
    place.data().with_extension(name)
}

fn json(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{}", text(answer));
    serde_json::from_slice(&answer.body).unwrap()
}

fn word(answer: &Value, name: &str) -> String {
    answer[name].as_str().unwrap().to_owned()
}

/// What the token serves for: the statuses of a push, a push elsewhere, the catalog.
fn uses(registry: SocketAddr, token: &str) -> [u16; 3] {
    let header = format!("Content-Length: 0\r\nAuthorization: Bearer {token}");
    ["POST /v2/app/x/blobs/uploads/", "POST /v2/zoo/blobs/uploads/", "GET /v2/_catalog"].map(|it| {
        let (method, target) = it.split_once(' ').unwrap();
        with_header(registry, method, target, &header).status
    })
}

fn refreshed(registry: SocketAddr, refresh: &str) -> Answer {
    let form = format!("grant_type=refresh_token&service=registry&{SCOPE}&refresh_token={refresh}");
    send(registry, "POST", "/token", FORM, form.as_bytes())
}

#[test]
fn tokens_are_fetched_in_each_way_and_their_key_is_made_once_and_nothing_tells_of_either() {
    let place = team(TEAM);
    let (registry, debug) = start(&place);
    let address = registry.address();
    let key_file = beside(&place, "key");
    let key = fs::read_to_string(&key_file).unwrap();
    assert_eq!(fs::metadata(&key_file).unwrap().mode() & 0o777, 0o600);

    let asked = format!("/token?service=registry&account=ann&offline_token=true&{SCOPE}");
    let by_get = json(&with_header(address, "GET", &asked, GIVEN));
    let form = format!(
        "grant_type=password&service=registry&client_id=t&access_type=offline&username=ann&password=hunter2&{SCOPE}"
    );
    let by_post = json(&send(address, "POST", "/token", FORM, form.as_bytes()));
    let refresh = word(&by_post, "refresh_token");
    let by_refresh = json(&refreshed(address, &refresh));
    let tokens = [&by_get, &by_post, &by_refresh].map(|it| word(it, "access_token"));
    for token in &tokens {
        assert_eq!(uses(address, token), [202, 403, 403]);
    }
    let wrong = [
        with_header(address, "GET", &asked, WRONG),
        send(address, "POST", "/token", FORM, form.replace("hunter2", "hunter3").as_bytes()),
        refreshed(address, &tokens[0]),
        with_header(address, "GET", "/v2/app/x/tags/list", WRONG),
        with_header(address, "GET", "/v2/", &format!("Authorization: Bearer {refresh}")),
    ];
    for answer in &wrong {
        assert_eq!(answer.status, 401);
    }
    let mut seen: Vec<String> =
        wrong.iter().map(|it| format!("{:?}{}", it.headers, text(it))).collect();
    seen.extend(["/metrics", "/debug/health"].map(|it| text(&request(debug, "GET", it))));
    registry.signal(Signal::TERM);
    let (output, log) = registry.ended_with_output();
    assert!(output.contains("/token?") && log.contains("made a key"), "{output}\n{log}");
    seen.extend([output, log]);

    // The same key after a restart: what it signed before is good. Meanwhile somebody has let others read it.
    fs::set_permissions(&key_file, fs::Permissions::from_mode(0o644)).unwrap();
    let registry = RegistryProcess::greeted(&mut place.serve());
    assert_eq!(fs::read_to_string(&key_file).unwrap(), key);
    assert_eq!(uses(registry.address(), &tokens[0]), [202, 403, 403]);
    let last = word(&json(&refreshed(registry.address(), &refresh)), "token");
    registry.signal(Signal::TERM);
    let (output, log) = registry.ended_with_output();
    says(&log, &["WARN", "others can read the key that tokens are signed with"]);
    seen.extend([output, log]);
    let checked = place.registry().args(["config", "check"]).arg(place.file()).output().unwrap();
    assert!(checked.status.success());
    seen.extend([checked.stdout, checked.stderr].map(|it| String::from_utf8(it).unwrap()));

    let mut secrets = vec!["hunter2", "hunter3", "YW5uOmh1bnRlcj", "$2y$", ANN[11..].trim()];
    let refresh_of_get = word(&by_get, "refresh_token");
    for token in tokens.iter().chain([&refresh, &refresh_of_get, &last]) {
        secrets.extend(token.split('.'));
    }
    secrets.extend(key.lines().filter(|line| !line.starts_with("-----")));
    holds_none_of(&seen, &secrets);
}

#[test]
fn a_mistake_in_a_rule_keeps_it_from_starting_and_makes_no_key() {
    for (right, wrong, parts) in [
        ("may: RW", "may: RX", ["config.yml:14: access.rules[0].may", "found `RX`"]),
        ("user:ann", "usr:ann", ["config.yml:14: access.rules[0].who", "found `usr:ann`"]),
        ("app/**", "app/*", ["config.yml:14: access.rules[0].where", "found `app/*`"]),
        ("who:", "whom:", ["config.yml:14: access.rules[0].whom", "is `who` meant?"]),
    ] {
        let place = team(&TEAM.replace(right, wrong));
        let (status, line) = failure(&mut place.serve());
        assert_eq!(status, 1);
        says(&line, &parts);
        let check = failure(place.registry().args(["config", "check"]).arg(place.file()));
        assert_eq!(check, (status, line));
        assert!(!place.data().exists() && !beside(&place, "key").exists(), "nothing was made");
    }
}

#[test]
fn a_key_that_is_none_keeps_it_from_starting_and_is_not_shown() {
    let place = team(TEAM);
    fs::write(beside(&place, "key"), "hunter2\n").unwrap();
    let (status, line) = failure(&mut place.serve());
    assert_eq!(status, 1);
    says(&line, &["the key that tokens are signed with", "data.key", "expected a key of P-256"]);
    assert!(!line.contains("hunter2"), "{line}");
    assert_eq!(fs::read_to_string(beside(&place, "key")).unwrap(), "hunter2\n");
}
