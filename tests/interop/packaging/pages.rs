//! The pages of `docs/`, followed word for word.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use registry_tests::registry_process::program;
use tempfile::TempDir;

use super::{text, well};

/// The blocks that are for a shell, one after the other in one.
fn commands(page: &str) -> String {
    let mut script = String::from("set -eu -o pipefail\n");
    let mut is_command = false;
    for line in page.lines() {
        match line {
            "```sh" => is_command = true,
            "```" => is_command = false,
            _ if is_command => script.extend([line, "\n"]),
            _ => {}
        }
    }
    script
}

/// Follows a page word for word, in a directory of its own and at a free port.
fn follow(page: &str, place: &Path) -> String {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let script = commands(&text(page)).replace("127.0.0.1:5000", &format!("127.0.0.1:{free}"));
    let path = std::env::var("PATH").unwrap();
    let here = program().parent().unwrap().display();
    // Whatever becomes of it, what it started ends with it.
    let script = format!("trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n{script}");
    let mut shell = Command::new("timeout");
    shell.args(["120", "bash", "-c", &script]).current_dir(place);
    well(shell.env("PATH", format!("{here}:{path}")))
}

#[test]
fn the_page_for_those_who_come_from_distribution_can_be_followed() {
    let place = TempDir::new().unwrap();
    let said = follow("docs/from-distribution.md", place.path());
    for part in [
        "storage.delete.enabled: true  # REGISTRY_STORAGE_DELETE_ENABLED\n",
        "http.secret: (hidden)  # config.yml:12\n",
        "a layer",
        "another layer",
    ] {
        assert!(said.contains(part), "{part:?} in {said}");
    }
}

#[test]
fn the_page_for_those_who_have_harbor_can_be_followed() {
    let place = TempDir::new().unwrap();
    let config = place.path().join("common/config/registry");
    fs::create_dir_all(&config).unwrap();
    let real = text("registry-http/src/config/tests/real/harbor-compose.yml");
    fs::write(config.join("config.yml"), real).unwrap();
    let said = follow("docs/under-harbor.md", place.path());
    assert!(said.contains("auth.htpasswd.realm: harbor-registry-basic-realm"), "{said}");
    assert!(said.contains("{\"repositories\":[]}"), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
}
