//! A configuration of Distribution, and the environment: what they change, and what does not start.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use registry_tests::plain_http::request;
use registry_tests::registry_process::{RegistryProcess, program, without_variables};
use tempfile::TempDir;

use crate::failures::{failure, says};
use crate::listening::push;

/// A directory with a configuration in it, and a place for data.
pub(crate) struct Place(TempDir);

impl Place {
    /// The configuration is this text, in which `DATA` is the place for data.
    pub(crate) fn new(text: &str) -> Self {
        let directory = TempDir::new().unwrap();
        let text = text.replace("DATA", directory.path().join("data").to_str().unwrap());
        fs::write(directory.path().join("config.yml"), text).unwrap();
        Self(directory)
    }

    /// One that serves from the place for data, at a free port.
    pub(crate) fn usual() -> Self {
        Self::new(USUAL)
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.0.path().join("config.yml")
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.0.path().join("data")
    }

    /// `registry serve FILE`, in this directory and without any variables of the user.
    pub(crate) fn serve(&self) -> Command {
        let mut command = self.registry();
        command.arg("serve").arg(self.file());
        command
    }

    pub(crate) fn registry(&self) -> Command {
        let mut command = Command::new(program());
        without_variables(&mut command);
        command.current_dir(self.0.path());
        command
    }
}

const USUAL: &str = "version: 0.1\n\
                     storage:\n  filesystem:\n    rootdirectory: DATA\n\
                     http:\n  addr: 127.0.0.1:0\n";

/// Where an upload that is begun is told to go on.
fn location(registry: &RegistryProcess) -> String {
    let answer = request(registry.address(), "POST", "/v2/new/blobs/uploads/");
    assert_eq!(answer.status, 202);
    answer.header("location").unwrap().to_owned()
}

fn shows(registry: &RegistryProcess, data: &Path) -> bool {
    registry.greeting().contains(data.canonicalize().unwrap().to_str().unwrap())
}

#[test]
fn a_configuration_is_served_with_distributions_defaults() {
    let place = Place::usual();
    let registry = RegistryProcess::greeted(&mut place.serve());
    assert!(shows(&registry, &place.data()), "{}", registry.greeting());
    let digest = push(registry.address(), "kept", b"content");
    let blob = format!("/v2/kept/blobs/{digest}");
    assert_eq!(request(registry.address(), "GET", &blob).body, b"content");
    // Deletion is off, and locations are whole addresses.
    assert_eq!(request(registry.address(), "DELETE", &blob).status, 405);
    assert!(location(&registry).starts_with(&format!("http://{}/v2/new/", registry.address())));
}

#[test]
fn all_that_it_says_is_in_force() {
    let place = Place::new(&format!(
        "{USUAL}  secret: shared\n  prefix: /my/\n  relativeurls: true\n\
         catalog: {{maxentries: 1}}\nloglevel: debug\n"
    ));
    let mut command = place.serve();
    command.env("REGISTRY_STORAGE_DELETE_ENABLED", "true");
    let registry = RegistryProcess::greeted(&mut command);
    let get = |method, target| request(registry.address(), method, target);
    assert_eq!((get("GET", "/").status, get("GET", "/v2/").status), (200, 404));
    let answer = get("POST", "/my/v2/new/blobs/uploads/");
    let location = answer.header("location").unwrap();
    assert!(location.starts_with("/my/v2/new/") && location.contains("_state="), "{location}");
    // There is no such manifest, and it could be deleted.
    let absent = format!("/my/v2/new/manifests/sha256:{}", "0".repeat(64));
    assert_eq!(get("DELETE", &absent).status, 404);
}

#[test]
fn the_environment_wins_over_the_file_and_flags_over_the_environment() {
    let place = Place::new(&USUAL.replace("127.0.0.1:0", "192.0.2.1:1"));
    let other = place.0.path().join("other");
    let mut command = place.serve();
    command.env("REGISTRY_HTTP_ADDR", "localhost:0");
    command.env("REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY", &other);
    command.env("REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED", "false");
    let registry = RegistryProcess::greeted(&mut command);
    assert!(registry.address().ip().is_loopback());
    assert!(shows(&registry, &other), "{}", registry.greeting());
    let digest = push(registry.address(), "kept", b"content");
    drop(registry);

    command.env("REGISTRY_HTTP_ADDR", "192.0.2.1:1");
    command.env("REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY", "/nowhere");
    command.args(["--addr", "127.0.0.1:0", "--read-only", "--root"]).arg(&other);
    let registry = RegistryProcess::greeted(&mut command);
    let blob = format!("/v2/kept/blobs/{digest}");
    assert_eq!(request(registry.address(), "GET", &blob).body, b"content");
    assert_eq!(request(registry.address(), "POST", "/v2/kept/blobs/uploads/").status, 405);
}

#[test]
fn a_variable_makes_it_read_only_whether_the_file_has_the_section_or_not() {
    let section = "  maintenance:\n    readonly:\n      enabled: false\nhttp:\n";
    for text in [USUAL.to_owned(), USUAL.replace("http:\n", section)] {
        let place = Place::new(&text);
        fs::create_dir(place.data()).unwrap();
        let mut command = place.serve();
        command.env("REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED", "true");
        let registry = RegistryProcess::greeted(&mut command);
        let status = request(registry.address(), "POST", "/v2/new/blobs/uploads/").status;
        assert_eq!(status, 405, "{text}");
    }
}

#[test]
fn a_configuration_is_found_by_a_variable_and_as_the_first_argument() {
    let place = Place::usual();
    let mut by_variable = place.registry();
    by_variable.env("REGISTRY_CONFIGURATION_PATH", place.file());
    let mut with_command = place.registry();
    with_command.arg("serve").env("REGISTRY_CONFIGURATION_PATH", place.file());
    let mut first = place.registry();
    first.arg(place.file()).env("REGISTRY_CONFIGURATION_PATH", "/nowhere/config.yml");
    for command in [&mut by_variable, &mut with_command, &mut first] {
        let registry = RegistryProcess::greeted(command);
        assert!(shows(&registry, &place.data()), "{command:?}: {}", registry.greeting());
    }
}

#[test]
fn without_a_file_variables_change_what_is_usual_here() {
    let place = Place::usual();
    let mut command = place.registry();
    command.env("REGISTRY_HTTP_ADDR", "127.0.0.1:0").env("REGISTRY_HTTP_SECRET", "shared");
    let registry = RegistryProcess::greeted(&mut command);
    assert!(shows(&registry, &place.0.path().join("registry-data")), "{}", registry.greeting());
    let location = location(&registry);
    assert!(location.starts_with("/v2/new/") && location.contains("_state="), "{location}");
}

#[test]
fn data_can_be_kept_in_memory() {
    let place = Place::new("version: 0.1\nstorage: inmemory\nhttp: {addr: ':0'}\n");
    let registry = RegistryProcess::greeted(&mut place.serve());
    assert!(registry.greeting().contains("memory"), "{}", registry.greeting());
    // Every interface: this one too.
    let address = ([127, 0, 0, 1], registry.address().port()).into();
    let digest = push(address, "kept", b"content");
    assert_eq!(request(address, "GET", &format!("/v2/kept/blobs/{digest}")).status, 200);
    assert_eq!(fs::read_dir(place.0.path()).unwrap().count(), 1, "nothing but the configuration");
}

#[test]
fn what_has_no_effect_is_logged_with_its_line() {
    let place = Place::new(&format!("{USUAL}  adr: x\nredis: {{addr: r}}\n"));
    let mut command = place.serve();
    command.env("REGISTRY_PORT", "tcp://10.0.0.1:80");
    let mut registry = RegistryProcess::greeted(&mut command);
    for part in ["REGISTRY_PORT: ", "config.yml:7: http.adr: ", "config.yml:8: redis: "] {
        let line = registry.log_line(part);
        assert!(line.contains("WARN") && line.contains("passed over"), "{line}");
    }
}

#[test]
fn what_would_weaken_the_registry_does_not_start() {
    let auth = "auth: {ldap: {password: hunter2}}\n";
    let place = Place::new(&format!("{USUAL}{auth}"));
    let (status, line) = failure(&mut place.serve());
    assert_eq!(status, 1);
    says(&line, &["config.yml:7: auth.ldap: refused", "expected htpasswd"]);
    assert!(!line.contains("hunter2"), "{line}");
    assert!(!place.data().exists(), "nothing was made");

    let place = Place::usual();
    for (name, value, parts) in [
        ("REGISTRY_AUTH", "htpasswd", ["REGISTRY_AUTH: auth.htpasswd.realm: expected", "none"]),
        (
            "REGISTRY_HTTP_TLS_KEY",
            "/k",
            ["REGISTRY_HTTP_TLS_KEY: http.tls.key: ", "expected http.tls.certificate"],
        ),
    ] {
        // With a file and without.
        for mut command in [place.serve(), place.registry()] {
            let (status, line) = failure(command.env(name, value));
            assert_eq!(status, 1);
            says(&line, &parts);
        }
    }
}

#[test]
fn a_mistake_is_one_line_that_says_where_it_is() {
    for (text, parts) in [
        ("version: 0.1\nstorage: [\n", &["config.yml:", "expected YAML"][..]),
        ("storage: filesystem\n", &["config.yml:1: version: expected"]),
        ("version: 0.1\n", &["config.yml:1: storage: expected exactly one", "found none"]),
        (
            "version: 0.1\nstorage: filesystem\nhttp:\n  addr: 5000\n",
            &["config.yml:4: http.addr: expected", "found `5000`"],
        ),
        (
            "version: 0.1\nstorage: {filesystem: {rootdirectory: /proc/x}}\n",
            &["/proc/x", "storage.filesystem.rootdirectory, ", "config.yml:2"],
        ),
        (
            "version: 0.1\nstorage: inmemory\nhttp: {addr: '192.0.2.1:1'}\n",
            &["192.0.2.1:1", "http.addr, ", "config.yml:3"],
        ),
    ] {
        let (status, line) = failure(&mut Place::new(text).serve());
        assert_eq!(status, 1, "{line}");
        says(&line, parts);
    }
    let place = Place::new("version: 0.1\nstorage: inmemory\n");
    let (status, line) = failure(place.serve().args(["--root", "x"]));
    assert_eq!(status, 2);
    says(&line, &["--root", "storage.inmemory", "config.yml:2"]);
}

#[test]
fn a_configuration_that_is_not_there_is_one_line() {
    let place = Place::usual();
    let missing = place.0.path().join("missing.yml");
    let mut as_argument = place.registry();
    as_argument.arg(&missing);
    let mut by_variable = place.registry();
    by_variable.env("REGISTRY_CONFIGURATION_PATH", &missing);
    for command in [&mut as_argument, &mut by_variable] {
        let (status, line) = failure(command);
        assert_eq!(status, 1);
        says(&line, &[missing.to_str().unwrap(), "No such file", "expected"]);
    }
    let (status, line) = failure(place.serve().arg("another.yml"));
    assert_eq!(status, 2);
    says(&line, &["another.yml", "--help"]);
}

#[test]
fn headers_of_the_configuration_are_on_every_answer_and_change_none_of_its_own() {
    let place = Place::new(&format!(
        "{USUAL}  headers:\n    X-Content-Type-Options: [nosniff]\n    Access-Control-Allow-Methods: [GET, HEAD]\n    \
         Docker-Distribution-Api-Version: [mine]\n    Content-Type: [text/plain]\n"
    ));
    let registry = RegistryProcess::greeted(&mut place.serve());
    for (method, path, status) in [
        ("GET", "/v2/", 200),
        ("GET", "/v2/a/tags/list", 404),
        ("PUT", "/v2/", 405),
        ("OPTIONS", "/v2/_catalog", 200),
        ("POST", "/v2/a/blobs/uploads/", 202),
    ] {
        let answer = request(registry.address(), method, path);
        assert_eq!(answer.status, status, "{method} {path}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        let all = answer.headers.iter().map(|line| line.to_lowercase());
        let all: Vec<String> = all.filter(|line| line.starts_with("access-control")).collect();
        assert_eq!(all.len(), 2, "{all:?}");
        assert_eq!(answer.header("docker-distribution-api-version"), Some("registry/2.0"));
    }
    let json = request(registry.address(), "GET", "/v2/_catalog");
    assert!(json.header("content-type").unwrap().starts_with("application/json"));
}
