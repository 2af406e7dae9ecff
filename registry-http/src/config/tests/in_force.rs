//! What `config check` shows, and what the schema says, are what is read.

use serde_json::Value;

use super::{read, read_variables};
use crate::config::keys::{self, Fate};
use crate::config::shapes::{self, Else, Least, Otherwise, Shape};
use crate::config::{Driver, Loaded, schema};

/// What a configuration does, whether things were said or not.
fn effect(loaded: &Loaded) -> String {
    let configuration = &loaded.configuration;
    let storage = &configuration.storage;
    let driver = match &storage.driver {
        Some(Driver::S3(s3)) => format!("{:?}", s3.options()),
        other => format!("{other:?}"),
    };
    format!(
        "{driver} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
        configuration.options(),
        configuration.access,
        configuration.debug,
        configuration.health,
        configuration.log,
        storage.purging,
        configuration.auth,
        configuration.http,
        configuration.notifications
    )
}

/// A file that chooses what a key belongs to, and the variable that sets the key.
fn around(key: &str) -> (String, String) {
    let tls = match key.starts_with("http.tls.") {
        true => "http: {tls: {certificate: c, key: k}}\n",
        false => "",
    };
    let driver = if key.starts_with("storage.s3") {
        "s3: {bucket: b, accesskey: a, secretkey: s}"
    } else if key == "storage.inmemory" {
        "inmemory:"
    } else {
        "filesystem:"
    };
    let auth = match key.strip_prefix("auth.").and_then(|rest| rest.split('.').next()) {
        Some("htpasswd") => "auth: {htpasswd: {realm: r, path: p}}\n",
        Some("silly") => "auth: {silly: {realm: r, service: s}}\n",
        Some("token") => "auth: {token: {realm: r, service: s, issuer: i, jwks: j}}\n",
        _ if key.starts_with("access.") => {
            "auth: {htpasswd: {realm: r, path: p}}\naccess: {tokens: {key: k}}\n"
        }
        _ => "",
    };
    let variable = format!("REGISTRY_{}", key.replace('.', "_").to_uppercase());
    (format!("version: 0.1\nstorage: {{{driver}}}\n{auth}{tls}"), variable)
}

#[test]
fn every_key_in_force_has_a_shape_and_every_shape_a_key() {
    let keys = keys::all().iter().filter(|row| row.fate == Fate::InForce);
    let mut keys: Vec<_> = keys.map(|row| row.key).collect();
    let mut shapes: Vec<_> = shapes::TABLE.iter().map(|row| row.key).collect();
    keys.sort_unstable();
    shapes.sort_unstable();
    assert_eq!(shapes, keys);
}

#[test]
fn a_default_that_is_shown_is_what_holds_if_nothing_is_said() {
    let mut looked_at = 0;
    for row in shapes::TABLE.iter().filter(|row| row.key != "version") {
        let (file, variable) = around(row.key);
        let check = |with_file: bool, value: &str| {
            let read = |variables: &[(&str, &str)]| match with_file {
                true => read(&file, variables).unwrap(),
                false => read_variables(variables).unwrap(),
            };
            let said = read(&[(&variable, value)]);
            assert_eq!(effect(&read(&[])), effect(&said), "{}: {value}", row.key);
        };
        match row.otherwise {
            Otherwise::Value(value) => check(true, value),
            // Where data is without a file is the command line's affair.
            Otherwise::WithFile(with, without) => {
                check(true, with);
                if row.shape == Shape::Boolean {
                    check(false, without);
                }
            }
            Otherwise::Told(_) | Otherwise::Nothing => continue,
        }
        looked_at += 1;
    }
    assert!(looked_at > 25, "{looked_at}");
}

#[test]
fn each_shape_is_what_the_type_of_its_key_takes() {
    for row in shapes::TABLE {
        let (file, variable) = around(row.key);
        let takes = |value: &str| read(&file, &[(&variable, value)]).is_ok();
        let strings = |words: &[&'static str]| words.to_vec();
        let (right, wrong): (Vec<&str>, Vec<&str>) = match row.shape {
            Shape::Exact(words) => {
                ([words, &["''", "~"]].concat(), strings(&["X", "tru", "[]", "{a: b}"]))
            }
            Shape::Exacts(words) => (words.to_vec(), strings(&["x", "[x]", "['']", "{a: b}"])),
            shape => {
                let (right, wrong) = examples(shape);
                (right.to_vec(), wrong.to_vec())
            }
        };
        let right = right.iter().map(|value| match row.shape {
            Shape::Exacts(_) => format!("[{value}]"),
            _ => (*value).to_owned(),
        });
        // Of the right shape, and refused for what it says.
        let is_refused = |value: &str| match row.key {
            "storage.s3.skipverify" => true,
            "storage.s3.v4auth" => matches!(value, "false" | "0"),
            // Without `http.tls.clientcas`.
            "access.certificates" => matches!(value, "true" | "on"),
            "http.tls.clientauth" => value.contains("verify"),
            // Without the other.
            "http.tls.certificate" | "http.tls.key" | "auth.token.jwks" => {
                matches!(value, "''" | "~")
            }
            "http.net" => value == "unix",
            "access.rules" | "health.file" | "health.http" | "health.tcp" => value.contains("url"),
            "storage.redirect.expiry"
            | "access.tokens.lifetime"
            | "access.tokens.refreshlifetime" => value == "0",
            _ => false,
        };
        for value in right.filter(|value| !is_refused(value)) {
            assert!(takes(&value), "{}: {value}", row.key);
        }
        for value in wrong {
            assert!(!takes(value), "{}: {value}", row.key);
        }
    }
}

/// What a shape takes, and what it does not.
fn examples(shape: Shape) -> (&'static [&'static str], &'static [&'static str]) {
    match shape {
        Shape::Boolean => (&["true", "false", "on"], &["\"true\"", "1", "x", "[]", "{a: b}"]),
        Shape::Switch => (&["true", "\"true\"", "1", "yes"], &["x", "[]", "2"]),
        Shape::Integer(i64::MIN) => (&["100", "0x64", "-1"], &["\"100\"", "x", "1.5", "[]"]),
        Shape::Integer(0) => (&["100", "0x64", "0"], &["\"100\"", "x", "1.5", "[]", "-1"]),
        Shape::Integer(_) => (&["100", "0x64", "1"], &["\"100\"", "x", "1.5", "[]", "0"]),
        Shape::Number(1, _) => (&["1", "\"8\""], &["x", "-1", "[]", "0", "4294967296"]),
        Shape::Number(0, _) => (&["0", "\"8388608\""], &["x", "-1", "[]", "5368709121"]),
        Shape::Number(..) => (&["8388608", "\"8388608\""], &["x", "-1", "[]", "1", "5368709121"]),
        Shape::Duration => (&["1h", "1h30m", "+90s", "0"], &["1", "x", "-1h", "[]"]),
        Shape::Span => (&["1h", "1h30m", "0.5s"], &["1", "x", "-1h", "[]", "0", "0s", "'0'"]),
        Shape::Word(_) => (&["info", "WARN"], &["trace", "[]"]),
        Shape::Paths => (&["[/a, b]", "[]"], &["x", "{a: b}", "[\"a\\nb\"]"]),
        Shape::Suites => (
            &["[TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_RSA_WITH_AES_128_CBC_SHA]", "[]"],
            &["x", "{a: b}", "[TLS_X]"],
        ),
        Shape::Path(Least::Empty) => (&["/a b", "''", "~"], PATHS),
        Shape::Path(Least::Something) => (&["/a", "~"], PATHS_AND_NONE),
        Shape::Path(Least::There) => (&["/a"], PATHS_AND_NONE),
        Shape::Address | Shape::Listening => {
            (&[":5000", "a:1", "'[::1]:80'", "''", "~"], &["5000", "a", "a:b", "[]", "a/b:1"])
        }
        Shape::Needed => (&["x", "7"], &["''", "[]", "{a: b}"]),
        Shape::Like(_, Else::Single) => (&["7", "''", "~"], &["[]", "{a: b}", "'::'"]),
        Shape::Like(_, Else::Nothing) => (&["/a/b", "''", "~"], &["[]", "{a: b}", "7", "a"]),
        Shape::Fields => (&["{a: b}", "{}"], &["x", "[]", "{a: [b]}"]),
        Shape::Headers => (&["{a: [b]}", "{}"], &["x", "[]", "{a: b}"]),
        Shape::Sections(_) => (&["[]", "[{url: 'http://a'}]"], &["x", "{a: b}", "[x]"]),
        Shape::Text | Shape::Secret => (&[], &["[]", "{a: b}"]),
        // A version in a variable is passed over, and a choice holds whatever is in it.
        Shape::Version | Shape::Choice | Shape::TextOrSections => (&[], &[]),
        Shape::Exact(_) | Shape::Exacts(_) => unreachable!("they have words of their own"),
    }
}

const PATHS: &[&str] = &["[]", "{a: b}", "'-----BEGIN PRIVATE KEY-----'", "\"a\\nb\""];
const PATHS_AND_NONE: &[&str] =
    &["[]", "{a: b}", "'-----BEGIN PRIVATE KEY-----'", "\"a\\nb\"", "''"];

#[test]
fn each_value_is_shown_with_where_it_comes_from_and_no_secret_is() {
    let file = "version: 0.1\nstorage:\n  s3aws:\n    bucket: images\n    accesskey: hunter2\n    secretkey: hunter2\n\
                http:\n  secret: hunter2\n  host: https://example.com\n\
                notifications:\n  endpoints:\n    - name: a\n      url: https://hunter2@a/hunter2\n      \
                headers: {X: [hunter2]}\n      backoff: 1s\nauth: {token: {realm: 'https://u:hunter2@r/', service: s, \
                issuer: i, jwks: j}}\nredis: {password: hunter2}\n";
    let loaded = read(file, &[("REGISTRY_STORAGE_DELETE_ENABLED", "yes")]).unwrap();
    let lines: Vec<String> = loaded.in_force().iter().map(ToString::to_string).collect();
    for line in [
        "version: 0.1  # c.yml:1",
        "log.level: info  # default",
        "storage.s3aws.bucket: images  # c.yml:4",
        "storage.s3aws.secretkey: (hidden)  # c.yml:6",
        "storage.s3aws.chunksize: 10485760  # default",
        "storage.delete.enabled: yes  # REGISTRY_STORAGE_DELETE_ENABLED",
        "http.secret: (hidden)  # c.yml:8",
        "http.host: https://example.com  # c.yml:9",
        "http.relativeurls: false  # default",
        "notifications.endpoints[0].name: a  # c.yml:12",
        "notifications.endpoints[0].url: (hidden)  # c.yml:13",
        "notifications.endpoints[0].backoff: 1s  # c.yml:15",
        "auth.token.issuer: i  # c.yml:16",
        "auth.token.autoredirect: false  # default",
    ] {
        assert!(lines.iter().any(|it| it == line), "{line}: {lines:#?}");
    }
    assert!(!lines.concat().contains("hunter2"), "{lines:#?}");
    let others = ["storage.filesystem", "storage.s3.", "auth.none", "auth.htpasswd", "redis"];
    assert!(!lines.iter().any(|line| others.iter().any(|it| line.starts_with(it))), "{lines:#?}");
}

#[test]
fn what_nobody_knows_hides_nothing_of_what_counts() {
    let file =
        "version: 0.1\nstorage: {s4: {key: hunter2}, cache: {}, filesystem: {rootdirectory: /d}}\n";
    let lines: Vec<String> =
        read(file, &[]).unwrap().in_force().iter().map(ToString::to_string).collect();
    let line = "storage.filesystem.rootdirectory: /d  # c.yml:2";
    assert!(lines.iter().any(|it| it == line), "{lines:#?}");
    assert!(!lines.concat().contains("s4"), "{lines:#?}");
}

#[test]
fn without_a_file_the_defaults_are_those_of_this_program() {
    let loaded = read_variables(&[]).unwrap();
    let lines: Vec<String> = loaded.in_force().iter().map(ToString::to_string).collect();
    for line in [
        "storage.filesystem.rootdirectory: registry-data  # default",
        "storage.delete.enabled: true  # default",
        "http.relativeurls: true  # default",
        "auth.none:  # default",
    ] {
        assert!(lines.iter().any(|it| it == line), "{line}: {lines:#?}");
    }
}

#[test]
fn the_schema_has_every_key_in_its_place() {
    let schema = schema();
    let storage = &schema["properties"]["storage"]["anyOf"][1]["properties"];
    assert_eq!(storage["delete"]["properties"]["enabled"]["default"], false);
    assert_eq!(storage["s3"]["properties"]["secretkey"]["writeOnly"], true);
    assert_eq!(storage["gcs"]["not"], Value::Object(Default::default()));
    assert_eq!(schema["properties"]["redis"]["deprecated"], true);
    let text = schema.to_string();
    for row in keys::all().iter().filter(|row| !row.key.ends_with('*')) {
        let name = row.key.rsplit('.').next().unwrap();
        assert!(text.contains(&format!("\"{name}\":")), "{}", row.key);
    }
}

#[test]
fn what_is_passed_over_is_said_at_its_line_or_left_out() {
    let shown = |file: &str| -> Vec<String> {
        let file = format!("version: 0.1\nstorage: {{filesystem: }}\n{file}\n");
        read(&file, &[]).unwrap().in_force().iter().map(ToString::to_string).collect()
    };
    let strong = "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256";
    let weak = "TLS_RSA_WITH_AES_128_CBC_SHA";
    for (file, begin) in [
        (
            "http: {host: registry.example.com}",
            "http.host: registry.example.com  # c.yml:3, passed over: ",
        ),
        ("http: {headers: {X-A: [b], Content-Length: [c]}}", "http.headers: {X-A: [b]}  # c.yml:3"),
        (
            "http: {tls: {minimumtls: tls1.3}}",
            "http.tls.minimumtls: tls1.3  # c.yml:3, passed over: ",
        ),
        (
            &format!(
                "http: {{tls: {{certificate: c, key: k, minimumtls: tls1.3, ciphersuites: [{strong}]}}}}"
            ),
            &format!("http.tls.ciphersuites: [{strong}]  # c.yml:3, passed over: "),
        ),
        (
            &format!("http: {{tls: {{certificate: c, key: k, ciphersuites: [{strong}, {weak}]}}}}"),
            &format!("http.tls.ciphersuites: [{strong}]  # c.yml:3"),
        ),
        (
            "http: {tls: {certificate: c, key: k, clientcas: [/a], clientauth: request-client-cert}}",
            "http.tls.clientcas: [/a]  # c.yml:3, passed over: ",
        ),
        (
            "http: {http2: {disabled: true}}",
            "http.h2c.enabled: false  # default, because http.http2",
        ),
        (
            "http: {http2: {disabled: true}, h2c: {enabled: true}}",
            "http.h2c.enabled: false  # c.yml:3, passed over: ",
        ),
        (
            "log: {level: warn}\nloglevel: debug",
            "loglevel: debug  # c.yml:4, passed over: log.level",
        ),
        ("http: {socketmode: 0660}", "http.socketmode: 0660  # c.yml:3, passed over: "),
        ("http: {addr: ''}", "http.addr: 127.0.0.1:5000  # default"),
        ("http: {net: '', host: ''}", "http.net: tcp  # default"),
        (
            "catalog: {maxentries: -1}",
            "catalog.maxentries: 1000  # c.yml:3, the default in place of -1",
        ),
        ("tags: {maxtags: 0}", "tags.maxtags: 1000  # c.yml:3, the default in place of 0"),
        (
            "health: {storagedriver: {interval: 0s, threshold: -2}}",
            "health.storagedriver.interval: 10s  # c.yml:3, the default in place of 0s",
        ),
        (
            "health: {storagedriver: {interval: 0s, threshold: -2}}",
            "health.storagedriver.threshold: 0  # c.yml:3, the default in place of -2",
        ),
    ] {
        let lines = shown(file);
        assert!(lines.iter().any(|it| it.starts_with(begin)), "{begin}: {lines:#?}");
    }
    let file =
        "version: 0.1\nstorage: {filesystem: , maintenance: {uploadpurging: {dryrun: true}}}\n";
    let lines: Vec<String> =
        read(file, &[]).unwrap().in_force().iter().map(ToString::to_string).collect();
    let line =
        "storage.maintenance.uploadpurging.enabled: false  # default, because dryrun is true";
    assert!(lines.iter().any(|it| it == line), "{lines:#?}");
}

#[test]
fn who_it_is_that_checks_and_leases_let_in_is_not_shown() {
    let file = "version: 0.1\nstorage: {s3: {bucket: b, accesskey: hunter2, secretkey: hunter2, sessiontoken: \
                hunter2}}\nhealth: {http: [{uri: 'http://a/?key=hunter2', headers: {Authorization: [hunter2]}}]}\n";
    let loaded = read(file, &[]).unwrap();
    let lines: Vec<String> = loaded.in_force().iter().map(ToString::to_string).collect();
    assert!(!lines.concat().contains("hunter2"), "{lines:#?}");
    for key in ["storage.s3.sessiontoken", "health.http[0].uri", "health.http[0].headers"] {
        let begin = format!("{key}: (hidden)");
        assert!(lines.iter().any(|it| it.starts_with(&begin)), "{key}: {lines:#?}");
    }
}
