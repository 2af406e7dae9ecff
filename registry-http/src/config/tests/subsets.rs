//! Any keys that are known, together: read, and never a surprise.

use proptest::prelude::*;
use proptest::sample::subsequence;

use super::read;
use crate::config::keys::{self, Fate, Idle};
use crate::config::problem::Problem;

/// A value that each key in force can have.
fn value(key: &str) -> &'static str {
    match key.rsplit('.').next().unwrap_or(key) {
        "level" | "loglevel" => "warn",
        "addr" => ":5000",
        "prefix" | "rootdirectory" | "directory" | "path" | "secretfile" => "/some/path",
        "formatter" => "json",
        "fields" => "{service: registry}",
        "file" => "[{file: /some/path}]",
        "http" => "[{uri: 'http://a/'}]",
        "tcp" => "[{addr: 'a:1'}]",
        "endpoints" => "[{name: a, url: 'http://a'}]",
        "host" => "https://registry.example.com",
        "age" | "interval" | "expiry" | "draintimeout" => "1h",
        "storageclass" => "STANDARD",
        "objectacl" => "private",
        "chunksize" | "multipartcopychunksize" | "multipartcopythresholdsize" => "\"8388608\"",
        "maxentries"
        | "maxtags"
        | "maxthreads"
        | "maxbytes"
        | "maxevents"
        | "threshold"
        | "multipartcopymaxconcurrency"
        | "minimumsize" => "25",
        // Anything else is refused.
        "skipverify" => "false",
        "version" => "0.1",
        "net" => "tcp",
        "socketmode" => "'0660'",
        "headers" => "{X-A: [b]}",
        "bucket" | "region" | "regionendpoint" | "redirectendpoint" | "keyid" | "secret"
        | "accesskey" | "secretkey" | "sessiontoken" => "text",
        _ => "true",
    }
}

/// Rows of the table that a registry starts with, but for `storage`'s drivers and the kinds of `auth`, which are exclusive.
fn harmless() -> Vec<(&'static str, &'static str)> {
    let rows = keys::all().iter().filter(|row| !row.key.ends_with(".*"));
    let rows = rows.filter(|row| !matches!(row.fate, Fate::Refused(_)));
    let rows = rows.filter(|row| row.key != "storage.inmemory" && !row.key.starts_with("auth."));
    // They go together; `tls.rs` has them.
    let rows = rows.filter(|row| !row.key.starts_with("http.tls."));
    // They depend on the kind of `auth`.
    let rows = rows.filter(|row| !row.key.starts_with("access."));
    rows.map(|row| match row.idle {
        Idle::Never => (row.key, value(row.key)),
        _ => (row.key, "[]"),
    })
    .collect()
}

/// Rows that it does not start with.
fn refused() -> Vec<&'static str> {
    let rows = keys::all().iter().filter(|row| matches!(row.fate, Fate::Refused(_)));
    rows.filter(|row| row.idle != Idle::Unvalidated).map(|row| row.key).collect()
}

fn variable(key: &str) -> String {
    format!("REGISTRY_{}", key.replace('*', "something").replace('.', "_").to_uppercase())
}

fn load(driver: &str, keys: &[(&str, &str)]) -> Result<(), Problem> {
    let text = format!("version: 0.1\nstorage: {{{driver}: {{}}}}\n");
    let variables: Vec<(String, &str)> =
        keys.iter().map(|(key, value)| (variable(key), *value)).collect();
    let variables: Vec<(&str, &str)> =
        variables.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    read(&text, &variables).map(|_| ())
}

proptest! {
    #[test]
    fn any_known_keys_that_are_not_refused_are_read(
        keys in subsequence(harmless(), 0..=harmless().len()),
    ) {
        let of = |driver: &str| {
            let other = if driver == "s3" { "storage.filesystem" } else { "storage.s3" };
            let mut keys: Vec<_> = keys.iter().copied().filter(|(key, _)| !key.starts_with(other)).collect();
            if driver == "s3" {
                // What the others need.
                keys.retain(|(key, _)| !key.ends_with("key") || key.ends_with("keyid"));
                keys.push(("storage.s3.bucket", "text"));
            }
            load(driver, &keys)
        };
        prop_assert_eq!(of("filesystem"), Ok(()));
        prop_assert_eq!(of("s3"), Ok(()));
    }

    #[test]
    fn one_that_is_refused_is_named_whatever_stands_beside_it(
        keys in subsequence(harmless(), 0..=harmless().len()),
        key in prop::sample::select(refused()),
    ) {
        let mut keys: Vec<_> = keys.into_iter().filter(|(key, _)| !key.starts_with("storage.s3")).collect();
        keys.push((key, "{enabled: true}"));
        let problem = load("filesystem", &keys).unwrap_err();
        prop_assert_eq!(problem.key(), key.replace('*', "something"));
        let origin = problem.origin().map(ToString::to_string);
        prop_assert_eq!(origin, Some(variable(key)));
    }

    #[test]
    fn text_of_any_kind_is_read_or_refused_in_one_line(text in "\\PC*|[a-z:{}\\[\\],&*!#|>'\"%@ \n-]{0,60}") {
        if let Err(problem) = read(&text, &[]) {
            prop_assert_eq!(problem.to_string().lines().count(), 1);
        }
    }
}
