//! What a user sees first: the greeting, the flags, the data directory.

use std::ffi::OsStr;
use std::fs;
use std::process::Command;

use registry_store::digest::Digest;
use registry_tests::plain_http::request;
use registry_tests::registry_process::{RegistryProcess, program};
use registry_tests::tree::Tree;
use tempfile::TempDir;

use crate::listening::push;

#[test]
fn it_says_where_it_listens_where_the_data_is_and_what_to_try() {
    let root = TempDir::new().unwrap();
    let registry = RegistryProcess::start(root.path());
    let lines: Vec<&str> = registry.greeting().lines().collect();
    let address = registry.address().to_string();
    assert_ne!(registry.address().port(), 0);
    assert!(lines[0].ends_with(&format!("http://{address}")), "{lines:?}");
    let absolute = root.path().canonicalize().unwrap();
    assert!(lines[1].ends_with(absolute.to_str().unwrap()), "{lines:?}");
    assert!(lines[2].contains(&address), "{lines:?}");
    assert_eq!(request(registry.address(), "GET", "/v2/").status, 200);
}

#[test]
fn serve_is_what_it_does_without_a_command() {
    let root = TempDir::new().unwrap();
    let mut command = Command::new(program());
    command.args(["serve", "--addr", "127.0.0.1:0", "--root"]).arg(root.path());
    let registry = RegistryProcess::greeted(&mut command);
    assert_eq!(request(registry.address(), "GET", "/v2/").status, 200);
}

#[test]
fn the_data_directory_is_registry_data_where_it_was_started() {
    let here = TempDir::new().unwrap();
    let mut command = Command::new(program());
    command.args(["--addr", "127.0.0.1:0"]).current_dir(here.path());
    let registry = RegistryProcess::greeted(&mut command);
    let data = here.path().canonicalize().unwrap().join("registry-data");
    assert!(data.is_dir());
    assert!(registry.greeting().contains(data.to_str().unwrap()), "{}", registry.greeting());
}

#[test]
fn the_data_directory_is_made_with_all_that_is_missing_above_it() {
    let above = TempDir::new().unwrap();
    let root = above.path().join("not/there/yet");
    let _registry = RegistryProcess::start(&root);
    assert!(root.is_dir());
}

#[test]
fn every_interface_is_shown_as_an_address_that_can_be_typed() {
    let root = TempDir::new().unwrap();
    let mut command = Command::new(program());
    command.args(["--addr", "0.0.0.0:0", "--root"]).arg(root.path());
    let registry = RegistryProcess::greeted(&mut command);
    let local = format!("localhost:{}", registry.address().port());
    assert!(registry.greeting().contains(&local), "{}", registry.greeting());
}

#[test]
fn what_was_pushed_is_there_after_a_restart() {
    let root = TempDir::new().unwrap();
    let digest = {
        let registry = RegistryProcess::start(root.path());
        push(registry.address(), "kept", b"content")
    };
    let registry = RegistryProcess::start(root.path());
    let answer = request(registry.address(), "GET", &format!("/v2/kept/blobs/{digest}"));
    assert_eq!((answer.status, answer.body.as_slice()), (200, b"content".as_slice()));
}

#[test]
fn a_read_only_registry_serves_what_is_there_and_changes_nothing() {
    let root = TempDir::new().unwrap();
    let digest = {
        let registry = RegistryProcess::start(root.path());
        push(registry.address(), "kept", b"content")
    };
    let before = Tree::read(root.path());
    let registry = RegistryProcess::start_with(root.path(), &["--read-only"]);
    let blob = format!("/v2/kept/blobs/{digest}");
    assert_eq!(request(registry.address(), "GET", &blob).body, b"content");
    let other = Digest::sha256(b"");
    for (method, target) in [
        ("POST", "/v2/kept/blobs/uploads/".to_owned()),
        ("POST", format!("/v2/kept/blobs/uploads/?digest={other}")),
        ("PUT", "/v2/kept/manifests/latest".to_owned()),
        ("DELETE", blob),
    ] {
        assert_eq!(request(registry.address(), method, &target).status, 405, "{method} {target}");
    }
    assert_eq!(Tree::read(root.path()), before);
}

#[test]
fn upload_addresses_are_signed_with_the_secret_of_a_file_or_of_the_environment() {
    let root = TempDir::new().unwrap();
    let file = root.path().join("secret");
    fs::write(&file, "shared\n").unwrap();
    let address = |variable: &str, flags: &[&OsStr]| {
        let mut command = Command::new(program());
        command.args(["--addr", "127.0.0.1:0", "--root"]).arg(root.path()).args(flags);
        let registry = RegistryProcess::greeted(command.env("REGISTRY_HTTP_SECRET", variable));
        let answer = request(registry.address(), "POST", "/v2/new/blobs/uploads/");
        answer.header("location").unwrap().to_owned()
    };
    let flag = [OsStr::new("--secret-file"), file.as_os_str()];
    assert!(address("", &flag).contains("?_state="));
    assert!(address("shared", &[]).contains("?_state="));
    // As with Distribution, nothing is no secret.
    assert!(address("", &[]).contains("?_offset=0"));
}

#[test]
fn help_names_every_flag_with_its_default() {
    let output = Command::new(program()).arg("--help").output().unwrap();
    assert!(output.status.success());
    let help = String::from_utf8(output.stdout).unwrap();
    for text in [
        "--addr",
        "127.0.0.1:5000",
        "--root",
        "registry-data",
        "--read-only",
        "--secret-file",
        "REGISTRY_HTTP_SECRET",
        "REGISTRY_CONFIGURATION_PATH",
        "RUST_LOG",
    ] {
        assert!(help.contains(text), "expected {text} in\n{help}");
    }
}

#[test]
fn version_is_one_line_with_the_name() {
    let output = Command::new(program()).arg("--version").output().unwrap();
    assert!(output.status.success());
    let version = String::from_utf8(output.stdout).unwrap();
    assert!(version.starts_with("registry ") && version.lines().count() == 1, "{version}");
}
