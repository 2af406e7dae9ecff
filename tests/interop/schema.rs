//! The schema of the configuration and the program say the same of single keys, as a validator and a reader of YAML that
//! no one here wrote have it.

use std::fs;
use std::path::Path;
use std::process::Command;

use registry_tests::registry_process::{program, without_variables};
use tempfile::TempDir;

/// What the program starts with, and the schema takes.
const TAKEN: &[&str] = &[
    "auth: none",
    "auth: {none: x}",
    "auth: {}",
    "auth:",
    "auth: {htpasswd: {realm: r, path: /p}}",
    "auth: {token: {realm: r, service: s, issuer: i, jwks: j, signingalgorithms: [ES256, RS256]}}",
    "auth: {token: {realm: r, service: s, issuer: i, jwks: j, rootcertbundle: '', signingalgorithms: }}",
    "middleware: {storage: {}, registry: '', repository: []}",
    "middleware: {storage: [{name: x, disabled: true}]}",
    "database: ''",
    "database: {enabled: false}",
    "database: []",
    "proxy: {remoteurl: ''}",
    "http: {addr: ':5000', net: tcp, prefix: /a/b/, host: 'https://h:5000/x'}",
    "http: {addr: '', net: '', prefix: '', host: ''}",
    "http: {host: registry.example.com}",
    "http: {net: unix, addr: /run/r.sock, socketmode: '0660'}",
    "http: {socketmode: 0660}",
    "http: {tls: {minimumtls: ssl3, ciphersuites: [TLS_X]}}",
    "http: {tls: {certificate: '', key: ''}}",
    "http: {tls: {certificate: c, key: k, minimumtls: tls1.3, ciphersuites: [TLS_X], clientcas: [a]}}",
    "http: {tls: {certificate: c, key: k, clientauth: require-any-client-cert}}",
    "http: {debug: {addr: 'localhost:5001', prometheus: {enabled: true, path: /metrics}}}",
    "http: {draintimeout: 0}",
    "log: {formatter: logstash, level: WARN}",
    "log: {formatter: ''}",
    "catalog: {maxentries: -1}",
    "tags: {maxtags: 0}",
    "health: {storagedriver: {enabled: true, interval: 0, threshold: -1}}",
    "registryctl: {addr: ':8080', secretfile: ''}",
    "notifications: {queue: {maxbytes: 1, maxevents: 1}}",
    "access:",
    "redis: [whatever]",
];

/// What it does not start with, and the schema refuses.
const REFUSED: &[&str] = &[
    "auth: {htpasswd: {realm: r, path: ''}}",
    "auth: {htpasswd: {realm: '', path: p}}",
    "auth: {htpasswd: {realm: r, path: }}",
    "auth: {htpasswd: {realm: r, path: '-----BEGIN'}}",
    "auth: {silly: {realm: r, service: ''}}",
    "auth: {token: {realm: r, service: s, issuer: i, jwks: j, signingalgorithms: [es256]}}",
    "auth: {token: {realm: r, service: s, issuer: i, jwks: j, autoredirectpath: x}}",
    "auth: {token: {realm: r, service: s, issuer: i, jwks: \"a\\nb\"}}",
    "access: {tokens: {}}",
    "access: {tokens: {key: ''}}",
    "middleware: {storage: [x]}",
    "middleware: {storage: [{name: x}]}",
    "database: {enabled: true}",
    "database: {x: y}",
    "http: {addr: 5000}",
    "http: {addr: localhost}",
    "http: {net: TCP}",
    "http: {net: unix}",
    "http: {net: unix, addr: ''}",
    "http: {prefix: a}",
    "http: {prefix: //evil/}",
    "http: {prefix: /a/../b}",
    "http: {host: 'ftp://h'}",
    "http: {host: 'https://u:p@h'}",
    "http: {socketmode: rw}",
    "http: {tls: {certificate: c, key: k, minimumtls: TLS1.2}}",
    "http: {tls: {certificate: c, key: k, ciphersuites: [TLS_X]}}",
    "http: {tls: {certificate: c, key: k, clientauth: verify}}",
    "http: {tls: {certificate: \"a\\nb\", key: k}}",
    "http: {debug: {addr: nowhere}}",
    "http: {debug: {prometheus: {path: metrics}}}",
    "log: {formatter: JSON}",
    "registryctl: {addr: '8080'}",
    "notifications: {queue: {maxbytes: 0}}",
    "catalog: {maxentries: '5'}",
];

/// The same of `storage`.
const STORED: &[&str] = &[
    "filesystem",
    "{filesystem: }",
    "{inmemory: {}}",
    "{filesystem: , redirect: {minimumsize: 0, expiry: 1h}}",
    "{filesystem: , maintenance: {uploadpurging: {age: 1h}}}",
    "{s3: {bucket: b, storageclass: NONE, objectacl: '', chunksize: '5242880'}}",
    "{s3: {bucket: b, multipartcopymaxconcurrency: 1}}",
];

const NOT_STORED: &[&str] = &[
    "gcs",
    "{inmemory: x}",
    "{filesystem: {rootdirectory: ''}}",
    "{filesystem: {rootdirectory: '{a}'}}",
    "{filesystem: , redirect: {minimumsize: -1}}",
    "{filesystem: , maintenance: {uploadpurging: {age: 0s}}}",
    "{filesystem: , maintenance: {uploadpurging: {interval: 0}}}",
    "{s3: {bucket: ''}}",
    "{s3: {bucket: b, storageclass: standard}}",
    "{s3: {bucket: b, objectacl: Private}}",
    "{s3: {bucket: b, chunksize: 1}}",
    "{s3: {bucket: b, multipartcopymaxconcurrency: 0}}",
];

/// Prints of each file whether it is right, or else what is wrong.
const VALIDATE: &str = "
import json, sys, yaml, jsonschema
schema, *files = sys.argv[1:]
schema = json.load(open(schema))
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)
for file in files:
    document = next(yaml.safe_load_all(open(file)))
    errors = [e.json_path + ' ' + e.message[:200].replace(chr(10), ' ') for e in validator.iter_errors(document)]
    print('right' if not errors else errors[0])
";

/// What is wrong with each of these configurations, as the program's schema has it; `None` is nothing.
pub(crate) fn wrongs<'f>(files: impl IntoIterator<Item = &'f Path>) -> Vec<Option<String>> {
    let place = TempDir::new().unwrap();
    let schema = place.path().join("schema.json");
    let printed = Command::new(program()).args(["config", "schema"]).output().unwrap();
    fs::write(&schema, printed.stdout).unwrap();
    let mut python = Command::new("python3");
    python.args(["-c", VALIDATE]).arg(&schema).args(files);
    let said = python.output().expect("python3 is installed");
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let said = String::from_utf8(said.stdout).unwrap();
    said.lines().map(|line| Some(line.to_owned()).filter(|line| line != "right")).collect()
}

#[test]
fn the_schema_takes_what_the_program_takes_and_refuses_what_it_refuses() {
    let place = TempDir::new().unwrap();
    let of_key = |text: &&str| format!("version: 0.1\nstorage: {{filesystem: }}\n{text}\n");
    let of_storage = |text: &&str| format!("version: 0.1\nstorage: {text}\n");
    let taken = TAKEN.iter().map(of_key).chain(STORED.iter().map(of_storage));
    let refused = REFUSED.iter().map(of_key).chain(NOT_STORED.iter().map(of_storage));
    let mut files = Vec::new();
    let all = taken.map(|text| (text, true)).chain(refused.map(|text| (text, false)));
    for (at, (text, is_right)) in all.enumerate() {
        let file = place.path().join(format!("{at}.yml"));
        fs::write(&file, &text).unwrap();
        let mut check = Command::new(program());
        let checked = without_variables(&mut check).args(["config", "check"]).arg(&file).output();
        assert_eq!(checked.unwrap().status.success(), is_right, "the program: {text}");
        files.push((file, text, is_right));
    }
    let wrongs = wrongs(files.iter().map(|(file, ..)| file.as_path()));
    assert_eq!(wrongs.len(), files.len());
    for (wrong, (_, text, is_right)) in wrongs.iter().zip(&files) {
        assert_eq!(wrong.is_none(), *is_right, "the schema: {text}: {wrong:?}");
    }
}
