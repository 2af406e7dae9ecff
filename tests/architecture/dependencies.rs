//! What is built if no more is asked for: an engine without an HTTP crate, and a service without a server or a client of
//! S3.

use std::path::Path;
use std::process::Command;

use crate::source::Complaints;

/// Crates that speak HTTP, or whose purpose is to serve it.
const HTTP: &[&str] = &[
    "actix-web",
    "axum",
    "h2",
    "h3",
    "http",
    "http-body",
    "httparse",
    "hyper",
    "hyper-util",
    "isahc",
    "reqwest",
    "tonic",
    "tower",
    "tower-http",
    "ureq",
    "warp",
];

/// Crates that listen, make system calls, know passwords and tokens, or read a command line or a configuration; `mio` and what follows it are of tokio's network
/// and signals.
const SERVER: &[&str] = &[
    "bcrypt",
    "clap",
    "h2",
    "httparse",
    "hyper",
    "hyper-util",
    "mio",
    "p521",
    "ring",
    "rustix",
    "rustls-webpki",
    "rustls",
    "saphyr-parser",
    "signal-hook-registry",
    "socket2",
    "tracing-subscriber",
];

/// The crates of a list that a service in somebody else's server does not need.
fn server_crates(tree: &str) -> Complaints {
    found_in(tree, SERVER)
        .map(|name| {
            format!(
                "registry-http without its features is built with `{name}`; that is for a service in a server that \
                 is there already: what needs more belongs behind `auth`, `serve`, `cli` or `testing` (run `cargo tree \
                 --package registry-http --no-default-features --edges normal --invert {name}`)"
            )
        })
        .collect()
}

/// The crates of a list that no engine needs.
fn http_crates(tree: &str) -> Complaints {
    found_in(tree, HTTP)
        .map(|name| {
            format!(
                "registry-store is built with `{name}`; the engine knows no HTTP: what needs it belongs \
                 into registry-http, or behind a feature that is off by default (run `cargo tree \
                 --package registry-store --edges normal --invert {name}`)"
            )
        })
        .collect()
}

/// The crates of AWS's SDK, which only the S3 backend needs.
fn aws_crates(tree: &str, built: &str) -> Complaints {
    let names = tree.lines().filter_map(|line| line.split_whitespace().next());
    names
        .filter(|name| name.starts_with("aws-"))
        .map(|name| {
            format!(
                "{built} is built with `{name}`; who keeps nothing in S3 is to build no client of it: it belongs behind \
                 registry-store's feature `s3`, which registry-http's `cli` turns on"
            )
        })
        .collect()
}

/// Those of `crates` that are in a tree, which has one crate a line, its name first.
fn found_in<'t>(tree: &'t str, crates: &[&str]) -> impl Iterator<Item = &'t str> {
    let names = tree.lines().filter_map(|line| line.split_whitespace().next());
    names.filter(|name| crates.contains(name))
}

/// What a crate of the workspace is built of without its features, one a line.
fn tree_of(package: &str) -> String {
    tree_with(package, "")
}

/// What it is built of with these features and no others.
fn tree_with(package: &str, features: &str) -> String {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--package", package, "--edges", "normal", "--prefix", "none"])
        .args(["--no-default-features", "--features", features, "--offline", "--locked"])
        .current_dir(workspace)
        .output()
        .expect("the cargo that built this test can be run");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo tree: {complaint}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::assert_none;

    #[test]
    fn the_engine_is_built_without_http() {
        assert_none(&http_crates(&tree_of("registry-store")));
    }

    #[test]
    fn a_service_for_somebody_else_s_server_is_built_without_one() {
        assert_none(&server_crates(&tree_of("registry-http")));
    }

    #[test]
    fn no_client_of_s3_is_built_for_who_keeps_nothing_there() {
        for (package, features) in [
            ("registry-store", ""),
            ("registry-store", "fs"),
            ("registry-http", ""),
            ("registry-http", "serve"),
            ("registry-http", "testing"),
        ] {
            let built = format!("{package} with the features [{features}]");
            assert_none(&aws_crates(&tree_with(package, features), &built));
        }
    }

    #[test]
    fn a_client_of_s3_is_found_where_it_is_meant_to_be() {
        for (package, features) in [("registry-store", "s3"), ("registry-http", "cli")] {
            let found = aws_crates(&tree_with(package, features), package);
            assert!(found.iter().any(|found| found.contains("`aws-sdk-s3`")), "{package}");
        }
    }

    #[test]
    fn a_service_built_with_a_server_is_caught() {
        // The tests have a server, a client and a filesystem.
        let found = server_crates(&tree_of("registry-tests"));
        for name in ["bcrypt", "clap", "hyper", "mio", "rustix", "tracing-subscriber"] {
            assert!(found.iter().any(|found| found.contains(&format!("`{name}`"))), "{name}");
        }
    }

    #[test]
    fn an_engine_built_with_http_is_caught() {
        // The service is what the engine must not become.
        assert!(
            http_crates(&tree_of("registry-http")).iter().any(|found| found.contains("`tower`"))
        );
        assert_eq!(http_crates("bytes v1.12.2\nhyper v1.12.0 (*)\n").len(), 1);
    }
}
