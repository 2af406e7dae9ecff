//! What the engine is built of: no HTTP crate, and nothing that would bring one.

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

/// The crates of a list that no engine needs. `tree` has one crate a line, its name first.
fn http_crates(tree: &str) -> Complaints {
    tree.lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| HTTP.contains(name))
        .map(|name| {
            format!(
                "registry-store is built with `{name}`; the engine knows no HTTP: what needs it belongs \
                 into registry-http, or behind a feature that is off by default (run `cargo tree \
                 --package registry-store --edges normal --invert {name}`)"
            )
        })
        .collect()
}

/// What a crate of the workspace is built of by default, one a line.
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
    fn an_engine_built_with_http_is_caught() {
        // The server is what the engine must not become.
        assert!(http_crates(&tree_of("registry-http")).iter().any(|found| found.contains("hyper")));
        assert_eq!(http_crates("bytes v1.12.2\nhyper v1.12.0 (*)\n").len(), 1);
    }
}
