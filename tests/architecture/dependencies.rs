//! What is built if no more is asked for: an engine without an HTTP crate, and a service without a server.

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

/// Crates that listen, make system calls, or read a command line or a configuration; `mio` and what follows it are of tokio's network
/// and signals.
const SERVER: &[&str] = &[
    "clap",
    "h2",
    "httparse",
    "hyper",
    "hyper-util",
    "mio",
    "rustix",
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
                 is there already: what needs more belongs behind `serve`, `cli` or `testing` (run `cargo tree \
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

/// Those of `crates` that are in a tree, which has one crate a line, its name first.
fn found_in<'t>(tree: &'t str, crates: &[&str]) -> impl Iterator<Item = &'t str> {
    let names = tree.lines().filter_map(|line| line.split_whitespace().next());
    names.filter(|name| crates.contains(name))
}

/// What a crate of the workspace is built of without its features, one a line.
fn tree_of(package: &str) -> String {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--package", package, "--edges", "normal", "--prefix", "none"])
        .args(["--no-default-features", "--offline", "--locked"])
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
    fn a_service_built_with_a_server_is_caught() {
        // The tests have a server, a client and a filesystem.
        let found = server_crates(&tree_of("registry-tests"));
        for name in ["clap", "hyper", "mio", "rustix", "tracing-subscriber"] {
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
