//! Whole configurations: what is in force, what is told of, and what is refused.

mod access;
mod auth;
mod changes;
mod files;
mod in_force;
mod mistakes;
mod notifications;
mod operations;
mod s3;
mod subsets;
mod tls;

use crate::config::origin::Origin;
use crate::config::problem::Problem;
use crate::config::{Auth, Driver, Loaded, load};
use crate::options::Locations;
use crate::serve::tls::TlsOptions;

/// Reads a text as the file `c.yml`, with these variables.
fn read(text: &str, variables: &[(&str, &str)]) -> Result<Loaded, Problem> {
    let source = Origin::File { file: "c.yml".into(), line: 1 };
    load(Some((text, &source)), owned(variables))
}

/// Reads variables alone.
fn read_variables(variables: &[(&str, &str)]) -> Result<Loaded, Problem> {
    load(None, owned(variables))
}

fn owned(variables: &[(&str, &str)]) -> Vec<(String, String)> {
    variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[track_caller]
fn refuses(text: &str, variables: &[(&str, &str)], line: &str) {
    let problem = read(text, variables).expect_err(line).to_string();
    assert_eq!(problem, line, "{text} {variables:?}");
}

/// What is in force, as words of the form `name=value`.
fn summary(loaded: &Loaded) -> Vec<String> {
    let configuration = &loaded.configuration;
    let (storage, http) = (&configuration.storage, &configuration.http);
    let driver = match &storage.driver {
        Some(Driver::Filesystem(it)) => match &it.root {
            Some(root) => format!("filesystem:{}", root.display()),
            None => "filesystem".to_owned(),
        },
        Some(Driver::Memory) => "memory".to_owned(),
        Some(Driver::S3(it)) => format!("s3:{}:{}", it.bucket, it.root_directory),
        None => "-".to_owned(),
    };
    let purge = match storage.purging {
        it if it.enabled => format!("{}/{}", it.age.as_secs(), it.interval.as_secs()),
        _ => "off".to_owned(),
    };
    let auth = match &configuration.auth {
        None => "none".to_owned(),
        Some(Auth::Htpasswd { realm, path }) => format!("htpasswd:{realm}:{}", path.display()),
        Some(Auth::Token(it)) => format!("token:{}:{}", it.issuer, it.auto_redirect.is_some()),
        Some(Auth::Silly { .. }) => "silly".to_owned(),
    };
    let locations = match &http.locations {
        Locations::Relative => "relative",
        Locations::FromRequest => "request",
        Locations::Under(base) | Locations::At(base) => base,
    };
    let dash = || "-".to_owned();
    let tls = |it: &TlsOptions| {
        format!("{:?},{},{}", it.minimum, it.certificate.display(), it.key.display())
    };
    vec![
        format!("driver={driver}"),
        format!("addr={}", http.address.as_ref().map_or_else(dash, ToString::to_string)),
        format!("auth={auth}"),
        format!("delete={}", storage.delete),
        format!("redirect={}", storage.redirect.is_some()),
        format!("readonly={}", storage.read_only),
        format!("purge={purge}"),
        format!("locations={locations}"),
        format!("prefix={}", http.prefix),
        format!("tls={}", http.tls.as_ref().map_or_else(dash, tls)),
        format!(
            "socket={}",
            http.socket.as_ref().map_or_else(dash, |it| it.path.display().to_string())
        ),
        format!("h2c={}", http.h2c),
        format!("drain={}", http.drain.map_or_else(dash, |limit| limit.as_secs().to_string())),
        format!("headers={}", http.headers.len()),
        format!("secret={}", if http.secret.is_some() { "yes" } else { "no" }),
        format!("level={}", configuration.log.level.map_or("-", |level| level.as_str())),
        format!("catalog={}", configuration.catalog_max),
        format!("tags={}", configuration.tags_max),
    ]
}
