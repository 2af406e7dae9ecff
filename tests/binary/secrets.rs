//! Secrets of a configuration: no log, answer, metric, mistake nor `config check` has one in it.

use std::fs;
use std::io::Write as _;
use std::process::Command;

use registry_tests::plain_http::{Answer, answer, connect, request};
use registry_tests::s3::options::Credentials;
use rustix::process::Signal;
use serde_json::Value;

use crate::configuring::Place;
use crate::operating::{beside, place, start, text, until, with_header};
use crate::{listening, s3};

/// What was seen of a registry holds none of its secrets.
#[track_caller]
pub(crate) fn holds_none_of(seen: &[String], secrets: &[&str]) {
    for text in seen {
        for secret in secrets {
            let found = text.lines().find(|line| line.contains(secret));
            assert_eq!(found, None, "{secret}");
        }
    }
}

/// All that a command that ends prints, and whether it ended well.
fn printed(command: &mut Command) -> (String, bool) {
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].map(|it| String::from_utf8(it).unwrap()).concat();
    (text, output.status.success())
}

#[test]
fn no_log_metric_or_answer_has_a_secret_in_it() {
    for (formatter, threshold) in [("text", 1_000_000), ("json", 1), ("logstash", 1_000_000)] {
        let fails = threshold == 1;
        let place = place(&format!(
            "  secret: hunter2\n\
             log: {{level: debug, formatter: {formatter}}}\n\
             registryctl: {{addr: 127.0.0.1:0, secretfile: DATA.secret}}\n\
             health:\n  http: [{{uri: 'http://me:hunter2@127.0.0.1:1/hunter2?key=hunter2', interval: 5ms, \
             threshold: {threshold}, headers: {{Authorization: [Bearer hunter2]}}}}]\n\
             notifications:\n  endpoints: [{{name: one, url: 'http://me:hunter2@127.0.0.1:1/?key=hunter2', \
             headers: {{Authorization: [Bearer hunter2]}}}}]\n\
             auth: {{htpasswd: {{realm: r, path: DATA.users}}}}\n\
             redis: {{addr: 'redis://:hunter2@r', password: hunter2}}\n"
        ));
        fs::write(format!("{}.secret", place.data().display()), "hunter2\n").unwrap();
        fs::write(format!("{}.users", place.data().display()), "ann:hunter2\n").unwrap();
        let (mut registry, debug) = start(&place);
        let ctl = beside(&mut registry, "registryctl");
        let address = registry.address();
        let mut seen = Vec::new();
        let mut see = |answer: Answer| {
            seen.push(answer.headers.join("\n"));
            seen.push(text(&answer));
        };
        until("the check fails", || !fails || request(debug, "GET", "/debug/health").status == 503);
        for target in [
            "/v2/app/blobs/uploads/1?_state=hunter2",
            "/v2/_catalog?token=hunter2&password=hunter2",
            "/v2/?hunter2",
            "/v2/?_state%3Dhunter2",
            "http://me:hunter2@registry.example.com/v2/",
        ] {
            for header in [
                "Authorization: Basic aHVudGVyMjpodW50ZXIy",
                "Authorization: Bearer hunter2",
                "Cookie: hunter2",
                "Referer: http://me:hunter2@registry.example.com/?key=hunter2",
                "Referer: //me:hunter2@example.com/x",
                "Referer: me:hunter2@example.com",
            ] {
                see(with_header(address, "GET", target, header));
                see(with_header(ctl, "DELETE", "/api/registry/blob/x", header));
            }
        }
        let mut stream = connect(address);
        let head = "GET /v2/ HTTP/1.1\r\nHost: me:hunter2@x\r\nConnection: close\r\n\r\n";
        stream.write_all(head.as_bytes()).unwrap();
        see(answer(&mut stream, true));
        let header = "Authorization: Harbor-Secret hunter2";
        see(with_header(ctl, "DELETE", "/api/registry/blob/x", header));
        for target in ["/metrics", "/debug/health", "/debug/ready", "/debug/readonly"] {
            see(request(debug, "GET", target));
        }
        registry.signal(Signal::TERM);
        let (output, log) = registry.ended_with_output();
        assert!(output.contains("_catalog") && !log.is_empty(), "{output}\n{log}");
        seen.extend([output, log]);
        holds_none_of(&seen, &["hunter2", "aHVudGVyMjpodW50ZXIy"]);
    }
}

#[test]
fn the_keys_of_a_bucket_are_not_told_whether_they_are_good_or_not() {
    let bucket = s3::served();
    let Credentials { access_key, secret_key, .. } = Credentials::default();
    let debug = "  debug: {addr: '127.0.0.1:0', prometheus: {enabled: true}}";
    let lines = format!("log: {{level: debug}}\nhttp:\n  addr: 127.0.0.1:0\n{debug}\n");
    let place = s3::configuration(&bucket.server.endpoint(), "", &lines);
    let file = fs::read_to_string(place.file()).unwrap();
    let one_http = file.replace("http: {addr: '127.0.0.1:0', relativeurls: true}\n", "");
    fs::write(place.file(), one_http).unwrap();

    let (registry, debug) = start(&place);
    let digest = listening::push(registry.address(), "app", b"content");
    let blob = format!("/v2/app/blobs/{digest}");
    assert_eq!(request(registry.address(), "GET", &blob).status, 200);
    let mut seen = vec![text(&request(debug, "GET", "/metrics"))];
    // What a request is told that finds the bucket gone.
    drop(bucket);
    let failed = request(registry.address(), "GET", &blob);
    assert!(failed.status >= 500);
    seen.push(text(&failed));
    seen.push(text(&request(debug, "GET", "/debug/ready")));
    registry.signal(Signal::TERM);
    let (output, log) = registry.ended_with_output();
    seen.extend([output, log]);
    seen.push(printed(place.registry().args(["config", "check"]).arg(place.file())).0);
    holds_none_of(&seen, &[&access_key, &secret_key]);

    let bucket = s3::served();
    let place = s3::configuration(&bucket.server.endpoint(), ", sessiontoken: hunter4", "");
    for (variable, value) in [("ACCESSKEY", "hunter2"), ("SECRETKEY", "hunter3")] {
        let mut command = place.serve();
        let (line, is_well) =
            printed(command.env(format!("REGISTRY_STORAGE_S3_{variable}"), value));
        assert!(!is_well && line.contains("cannot open the bucket"), "{line}");
        holds_none_of(&[line], &["hunter", &access_key, &secret_key]);
    }
}

/// Configurations with a secret wherever one may be written, well or by mistake.
const EVERYWHERE: &[&str] = &[
    "http: {secret: hunter2}",
    "http: {secret: [hunter2]}",
    "http: {secret: {hunter2: hunter2}}",
    "http: {secret: 'hunter2}",
    "http: {secret: hunter2, secret: hunter2}",
    "http: {secrets: hunter2}",
    "http: {host: 'https://me:hunter2@r'}",
    "log: {hooks: [{type: mail, options: {smtp: {password: hunter2}}}]}",
    "redis: {addr: 'redis://:hunter2@r', password: hunter2}",
    "redis: hunter2",
    "proxy: {password: hunter2}",
    "proxy: {remoteurl: 'https://me:hunter2@r', password: hunter2}",
    "middleware: {storage: [{name: cloudfront, options: {privatekey: hunter2}}]}",
    "auth: {ldap: {password: hunter2}}",
    "auth: {token: {realm: 'https://me:hunter2@r', service: s, issuer: i}}",
    "registryctl: {addr: '127.0.0.1:0', secret: hunter2}",
    "database: {enabled: true, password: hunter2}",
    "reporting: {bugsnag: {apikey: hunter2}}",
    "notifications: {endpoints: [{name: a, url: hunter2}]}",
    "notifications: {endpoints: [{name: a, url: 'ftp://me:hunter2@r'}]}",
    "notifications: {endpoints: [{name: a, url: 'http://me:hunter2@r/?key=hunter2'}]}",
    "notifications: {endpoints: [{name: a, url: 'http://r', headers: hunter2}]}",
    "notifications: {endpoints: [{name: a, url: 'http://r', headers: {A: hunter2}}]}",
    "notifications: {endpoints: [{name: a, url: 'http://r', headers: {A: [hunter2]}}]}",
    "notifications: {endpoints: [{name: a, url: 'http://r', headers: {A: [\"hunter2\\n\"]}}]}",
    "notifications: {endpoints: [{name: a, url: [hunter2]}]}",
    "notifications: {endpoints: [{name: a, uri: hunter2}]}",
    "health: {http: [{uri: hunter2}]}",
    "health: {http: [{uri: 'http://me:hunter2@r/?key=hunter2'}]}",
    "health: {http: [{uri: 'http://r', headers: {A: hunter2}}]}",
    "health: {http: [{uri: 'http://r', headers: {A: [\"hunter2\\n\"]}}]}",
    "storage: {azure: {accountkey: hunter2}}",
    "storage: {s3: {bucket: b, accesskey: hunter2, secretkey: hunter2, sessiontoken: hunter2}}",
    "storage: {s3: {bucket: b, region: r, regionendpoint: 'http://me:hunter2@r'}}",
    "storage: {s3: {bucket: b, accesskey: hunter2}}",
    "storage: {s3: {bucket: b, secretkey: [hunter2]}}",
    "storage: {s3aws: {bucket: b, accesskey: k, secretkey: {hunter2: hunter2}}}",
    "storage: {s3: {bucket: b, session-token: hunter2}}",
];

/// The same in variables.
const VARIABLES: &[(&str, &str)] = &[
    ("REGISTRY_HTTP_SECRET", "hunter2"),
    ("REGISTRY_HTTP_SECRET", "[hunter2"),
    ("REGISTRY_HTTP_SECRET", "{hunter2: hunter2}"),
    ("REGISTRY_HTTP_SECRETS", "hunter2"),
    ("REGISTRY_HTTP", "{secret: hunter2}"),
    ("REGISTRY_HTTP", "hunter2"),
    ("REGISTRY_REDIS_PASSWORD", "hunter2"),
    ("REGISTRY_PROXY_PASSWORD", "hunter2"),
    ("REGISTRY_STORAGE_S3_SECRETKEY", "hunter2"),
    ("REGISTRY_NOTIFICATIONS_ENDPOINTS", "[{name: a, url: 'http://me:hunter2@r'}]"),
    ("REGISTRY_NOTIFICATIONS_ENDPOINTS", "hunter2"),
];

#[test]
fn neither_config_check_nor_a_mistake_shows_a_secret_wherever_it_stands() {
    for text in EVERYWHERE {
        let storage = if text.starts_with("storage") { "" } else { "storage: inmemory\n" };
        let place = Place::new(&format!("version: 0.1\n{storage}{text}\n"));
        shows_no_secret(&place, text, |command| command);
    }
    for (name, value) in VARIABLES {
        let place = Place::new("version: 0.1\nstorage: inmemory\n");
        shows_no_secret(&place, name, |command| command.env(name, value));
    }
}

fn shows_no_secret(place: &Place, what: &str, with: impl Fn(&mut Command) -> &mut Command) {
    let (checked, is_well) =
        printed(with(place.registry().args(["config", "check"]).arg(place.file())));
    assert!(!checked.contains("hunter2"), "{what}: {checked}");
    if !is_well {
        let (told, is_well) = printed(with(&mut place.serve()));
        assert!(!is_well && !told.contains("hunter2"), "{what}: {told}");
    }
}

/// A new key that holds a secret has to stand above.
#[test]
fn every_key_that_the_schema_hides_is_among_these() {
    let place = Place::usual();
    let mut command = place.registry();
    let schema: Value =
        serde_json::from_str(&printed(command.args(["config", "schema"])).0).unwrap();
    let mut names = Vec::new();
    hidden(&schema, "", &mut names);
    assert!(names.len() >= 4, "{names:?}");
    for name in names {
        assert!(EVERYWHERE.iter().any(|text| text.contains(&format!("{name}: hunter2"))), "{name}");
    }
}

/// The names of properties that are `writeOnly`.
fn hidden(schema: &Value, name: &str, names: &mut Vec<String>) {
    if schema["writeOnly"] == true {
        names.push(name.to_owned());
    }
    match schema {
        Value::Object(members) => members.iter().for_each(|(name, it)| hidden(it, name, names)),
        Value::Array(items) => items.iter().for_each(|it| hidden(it, name, names)),
        _ => {}
    }
}
