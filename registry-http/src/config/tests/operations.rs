//! `log`, `http.debug`, `health` and `registryctl`: what they come to.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::read;
use crate::config::{Formatter, Rhythm};

const HEAD: &str = "version: 0.1\nstorage: {inmemory: }\n";

#[test]
fn what_is_not_said_has_distributions_defaults_and_without_a_file_requests_are_not_logged() {
    let said_nothing = read(HEAD, &[]).unwrap().configuration;
    assert!(said_nothing.log.access_log && said_nothing.log.fields.is_empty());
    assert_eq!(said_nothing.log.formatter, Formatter::Text);
    assert!(said_nothing.debug.address.is_none() && said_nothing.debug.metrics.is_none());
    let health = said_nothing.health;
    assert!(health.storage.is_none() && health.files.is_empty() && health.http.is_empty());
}

#[test]
fn every_key_counts_and_the_unknown_ones_of_a_list_are_told_of() {
    let loaded = read(
        &format!(
            "{HEAD}log: {{formatter: json, fields: {{service: registry}}, accesslog: {{disabled: true}}}}\n\
             http: {{debug: {{addr: ':5001', prometheus: {{enabled: true, path: /m}}}}}}\n\
             registryctl: {{addr: ':8080', secretfile: /run/secret}}\n\
             health:\n  storagedriver: {{enabled: true, interval: 1m, threshold: 3}}\n  \
             file: [{{file: /down, interval: 1s, threshold: 2}}]\n  tcp: [{{addr: 'redis:6379', timeout: 2s}}]\n  \
             http: [{{uri: 'https://me:hunter2@h/x', statuscode: 204, headers: {{A: [hunter2]}}}}]\n"
        ),
        &[],
    )
    .unwrap();
    let configuration = &loaded.configuration;
    assert_eq!(configuration.log.formatter, Formatter::Json);
    assert_eq!(configuration.log.fields["service"], "registry");
    assert!(!configuration.log.access_log);
    assert_eq!(configuration.debug.address.as_ref().unwrap().to_string(), ":5001");
    assert_eq!(configuration.debug.metrics.as_deref(), Some("/m"));
    assert_eq!(configuration.registryctl.address.as_ref().unwrap().to_string(), ":8080");
    let secret_file = configuration.registryctl.secret_file.as_deref();
    assert_eq!(secret_file, Some(Path::new("/run/secret")));

    let health = &configuration.health;
    let seconds = Duration::from_secs;
    let usual = Rhythm { interval: seconds(10), timeout: seconds(10), threshold: 0 };
    let storage = Rhythm { interval: seconds(60), threshold: 3, ..usual };
    assert_eq!(health.storage, Some(storage));
    let file = Rhythm { interval: seconds(1), threshold: 2, ..usual };
    assert_eq!(health.files, [(PathBuf::from("/down"), file)]);
    let tcp = Rhythm { timeout: seconds(2), ..usual };
    assert_eq!(health.tcp, [("redis:6379".to_owned(), tcp)]);
    assert_eq!((health.http[0].status, health.http[0].headers.len()), (204, 1));
    assert!(!format!("{configuration:?}").contains("hunter2"));
    let warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
    // Distribution's checks of files have none.
    assert!(
        warnings.len() == 1 && warnings[0].contains("health.file[0].threshold"),
        "{warnings:?}"
    );
}

#[test]
fn what_cannot_be_meant_is_refused_without_showing_a_password() {
    for (text, key) in [
        ("http: {debug: {addr: nowhere}}", "http.debug.addr"),
        ("http: {debug: {prometheus: {path: metrics}}}", "http.debug.prometheus.path"),
        ("http: {debug: {prometheus: {path: /debug/health}}}", "http.debug.prometheus.path"),
        ("registryctl: {addr: '8080'}", "registryctl.addr"),
        ("log: {formatter: xml}", "log.formatter"),
        ("health: {file: [{interval: 1s}]}", "health.file[0].file"),
        ("health: {tcp: [{addr: redis}]}", "health.tcp[0].addr"),
        ("health: {http: [{uri: 'ftp://me:hunter2@h/'}]}", "health.http[0].uri"),
        (
            "health: {http: [{uri: 'http://h/', headers: {A: [\"hunter2\\n\"]}}]}",
            "health.http[0].headers",
        ),
    ] {
        let told = read(&format!("{HEAD}{text}\n"), &[]).unwrap_err().to_string();
        assert!(told.contains(key) && !told.contains("hunter2"), "{told}");
    }
}
