//! What the program tells of configurations and of itself: `config`, `completions`, `man`.

use std::process::{Command, Output};

use registry_tests::registry_process::{program, without_variables};

use crate::configuring::Place;
use crate::failures::{failure, says};

/// Every command, as it is typed.
const COMMANDS: [&str; 9] = [
    "serve",
    "referrers rebuild",
    "scrub",
    "garbage-collect",
    "config check",
    "config schema",
    "completions",
    "man",
    "help",
];

fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

/// Standard output and standard error.
fn texts(output: Output) -> (String, String) {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr))
}

fn printed(arguments: &[&str]) -> String {
    let mut command = Command::new(program());
    String::from_utf8(run(without_variables(&mut command).args(arguments)).stdout).unwrap()
}

#[test]
fn config_check_prints_every_value_with_where_it_comes_from_and_hides_secrets() {
    let place = Place::new(
        "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: /data\n\
         http:\n  secret: hunter2\nredis: {password: hunter2}\n",
    );
    let mut command = place.registry();
    command.args(["config", "check"]).arg(place.file());
    command.env("REGISTRY_STORAGE_DELETE_ENABLED", "true").env("REGISTRY_HTTP_ADDR", ":5001");
    let output = run(&mut command);
    let (lines, warnings) = texts(output);
    for line in [
        "storage.filesystem.rootdirectory: /data  # PLACE/config.yml:4",
        "storage.delete.enabled: true  # REGISTRY_STORAGE_DELETE_ENABLED",
        "http.addr: :5001  # REGISTRY_HTTP_ADDR",
        "http.secret: (hidden)  # PLACE/config.yml:6",
        "catalog.maxentries: 1000  # default",
        "auth.none:  # default",
    ] {
        let file = place.file();
        let line = line.replace("PLACE", file.parent().unwrap().to_str().unwrap());
        assert!(lines.lines().any(|it| it == line), "{line}\n{lines}");
    }
    says(&warnings, &["registry: warning: ", "config.yml:7: redis: passed over"]);
    assert!(!format!("{lines}{warnings}").contains("hunter2"));
    assert!(!place.data().exists(), "nothing is opened");
}

#[test]
fn config_check_without_a_file_shows_the_defaults_and_takes_the_file_of_the_variable() {
    assert!(printed(&["config", "check"]).contains("storage.delete.enabled: true  # default"));
    let place = Place::usual();
    let mut command = place.registry();
    command.args(["config", "check"]).env("REGISTRY_CONFIGURATION_PATH", place.file());
    let lines = String::from_utf8(run(&mut command).stdout).unwrap();
    assert!(lines.contains("storage.delete.enabled: false  # default"), "{lines}");
}

#[test]
fn config_check_fails_with_the_line_that_would_keep_it_from_starting() {
    let place = Place::new("version: 0.1\nstorage: {gcs: {bucket: b}}\n");
    let (status, checked) = failure(place.registry().args(["config", "check"]).arg(place.file()));
    assert_eq!(status, 1);
    assert_eq!((status, checked), failure(&mut place.serve()));
}

/// What Distribution has and this registry has not.
#[test]
fn what_is_not_here_is_named_in_one_line_at_start() {
    const STORAGE: &str = "storage: {filesystem: {rootdirectory: DATA}}\n";
    // Without it access would be wider, content less sure or the mode another.
    for (text, key, what) in [
        ("storage: {gcs: {bucket: b}}", "storage.gcs", "filesystem, inmemory or s3"),
        ("storage: {azure: {container: c}}", "storage.azure", "filesystem, inmemory or s3"),
        ("storage: {swift: {container: c}}", "storage.swift", "filesystem, inmemory or s3"),
        ("storage: {oss: {bucket: b}}", "storage.oss", "filesystem, inmemory or s3"),
        ("STORAGEproxy: {remoteurl: 'https://a'}", "proxy.remoteurl", "pull-through cache"),
        (
            "STORAGEmiddleware: {storage: [{name: cloudfront}]}",
            "middleware.storage",
            "no middleware",
        ),
        ("STORAGEmiddleware: {registry: [{name: x}]}", "middleware.registry", "no middleware"),
        ("STORAGEmiddleware: {repository: [{name: x}]}", "middleware.repository", "no middleware"),
        ("STORAGEhttp: {tls: {letsencrypt: {hosts: [a]}}}", "http.tls.letsencrypt.hosts", ""),
    ] {
        let text = format!("version: 0.1\n{}\n", text.replace("STORAGE", STORAGE));
        let place = Place::new(&text);
        let (status, line) = failure(&mut place.serve());
        assert_eq!(status, 1, "{line}");
        says(&line, &[&format!("{key}: refused, because "), what]);
        assert!(!place.data().exists(), "nothing was made");
    }
    // What is harmless.
    for (text, key) in [
        ("redis: {addr: 'redis:6379'}", "redis"),
        ("log: {hooks: [{type: mail, levels: [panic]}]}", "log.hooks"),
        ("proxy: {ttl: 168h}", "proxy.ttl"),
        ("compatibility: {schema1: {enabled: true}}", "compatibility"),
    ] {
        let place = Place::new(&format!("version: 0.1\n{STORAGE}{text}\n"));
        let output = run(place.registry().args(["config", "check"]).arg(place.file()));
        let (_, warnings) = texts(output);
        let told: Vec<&str> = warnings.lines().collect();
        assert_eq!(told.len(), 1, "{warnings}");
        says(told[0], &[&format!("{key}: passed over: ")]);
    }
}

#[test]
fn the_schema_is_one_document_of_json() {
    let schema: serde_json::Value = serde_json::from_str(&printed(&["config", "schema"])).unwrap();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(schema["properties"]["http"]["properties"]["secret"]["writeOnly"], true);
}

#[test]
fn completions_of_each_shell_have_every_command() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = printed(&["completions", shell]);
        for word in COMMANDS.iter().flat_map(|command| command.split(' ')) {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
}

#[test]
fn the_manual_has_a_page_for_every_command_that_the_first_one_names() {
    let first = printed(&["man"]);
    for command in COMMANDS.iter().filter(|command| **command != "help") {
        let words: Vec<&str> = command.split(' ').collect();
        let named = format!("registry\\-{}(1)", words[0].replace('-', "\\-"));
        assert!(first.contains(&named), "{named}");
        let page = printed(&[&["man"], &words[..]].concat());
        let title = format!("registry-{}", words.join("-"));
        assert!(page.contains(".TH") && page.contains(&title), "{command}: {page}");
        // Every flag of the command is on its page.
        let help = printed(&[&words[..], &["--help"]].concat());
        let flags = help.lines().filter_map(|line| line.trim_start().strip_prefix("--"));
        for flag in flags {
            let name = flag.split([' ', '=']).next().unwrap().replace('-', "\\-");
            assert!(page.contains(&format!("\\-\\-{name}")), "{command}: --{name}\n{page}");
        }
    }
    let (status, line) = failure(Command::new(program()).args(["man", "nothing"]));
    assert_eq!(status, 2);
    says(&line, &["expected a command of registry", "garbage-collect", "'nothing'"]);
}
