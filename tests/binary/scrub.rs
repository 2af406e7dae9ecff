//! `registry scrub`: what it prints, what it changes, how it ends.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use registry_store::digest::{Algorithm, Digest};
use registry_store::layout::{self, RepositoryLayout};
use registry_tests::backends::BUCKET;
use registry_tests::plain_http::request;
use registry_tests::registry_process::{RegistryProcess, program};
use registry_tests::tree::Tree;
use tempfile::TempDir;

use crate::s3::{configuration, served};

fn scrub(root: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(program());
    command.args(["scrub", "--root"]).arg(root).args(arguments);
    command.env_remove("RUST_LOG").stdin(Stdio::null()).output().unwrap()
}

fn lines(of: &[u8]) -> Vec<&str> {
    std::str::from_utf8(of).unwrap().lines().collect()
}

/// Stores a blob as Distribution does, by what ought to be its content.
fn store(root: &Path, content: &str, stored: &str) -> Digest {
    let digest = Digest::sha256(content.as_bytes());
    let links = RepositoryLayout::new(&"app".parse().unwrap());
    for (key, content) in
        [(layout::blob(&digest), stored), (links.layer_link(&digest), &digest.to_string())]
    {
        let path = root.join(key.as_str());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    digest
}

fn blob(digest: &Digest) -> String {
    format!("/v2/app/blobs/{digest}")
}

#[test]
fn what_is_good_is_counted_and_nothing_changes() {
    let root = TempDir::new().unwrap();
    store(root.path(), "hello", "hello");
    store(root.path(), "world!", "world!");
    let before = Tree::read(root.path());
    let output = scrub(root.path(), &["--rate", "1GB"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let said = lines(&output.stdout);
    let total = "total: blobs: 2, bytes: 11, put into quarantine: 0, damaged and left: 0, changed meanwhile: 0, \
                 unreadable: 0; links: 2, damaged: 0, unreadable: 0";
    assert_eq!(said, [total]);
    assert_eq!(Tree::read(root.path()), before);
}

#[test]
fn a_damaged_blob_is_named_put_aside_beside_a_registry_that_serves_and_pushed_again() {
    let root = TempDir::new().unwrap();
    let damaged = store(root.path(), "hello", "jello");
    store(root.path(), "world", "world");
    let registry = RegistryProcess::start(root.path());
    assert_eq!(request(registry.address(), "GET", &blob(&damaged)).body, b"jello");

    let output = scrub(root.path(), &[]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let said = lines(&output.stdout);
    assert_eq!(said.len(), 2, "{said:?}");
    assert_eq!(said[0], format!("{damaged}: damaged (5 bytes): put into quarantine"));
    assert!(said[1].starts_with("total: blobs: 2, bytes: 10, put into quarantine: 1,"), "{said:?}");
    let log = lines(&output.stderr);
    let last = log.last().unwrap();
    assert!(last.starts_with("registry: damage was found (blobs: 1, links: 0)"), "{log:?}");
    // It is kept for an operator, and is not there to clients.
    let places: Vec<_> = fs::read_dir(root.path().join("_rs/quarantine")).unwrap().collect();
    let [Ok(place)] = &places[..] else { panic!("{places:?}") };
    let kept = place.path().join(layout::blob(&damaged).as_str());
    assert_eq!(fs::read(kept).unwrap(), b"jello");
    assert_eq!(request(registry.address(), "HEAD", &blob(&damaged)).status, 404);

    crate::listening::push(registry.address(), "app", b"hello");
    assert_eq!(request(registry.address(), "GET", &blob(&damaged)).body, b"hello");
    assert_eq!(scrub(root.path(), &[]).status.code(), Some(0));
}

#[test]
fn a_damaged_link_is_named_and_stays() {
    let root = TempDir::new().unwrap();
    let digest = store(root.path(), "hello", "hello");
    let link = RepositoryLayout::new(&"app".parse().unwrap()).layer_link(&digest);
    fs::write(root.path().join(link.as_str()), "").unwrap();
    let before = Tree::read(root.path());
    let output = scrub(root.path(), &[]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert_eq!(lines(&output.stdout)[0], format!("app: damaged link: {link}"));
    assert_eq!(Tree::read(root.path()), before);
}

#[test]
fn what_cannot_be_read_is_named_and_is_no_success() {
    let root = TempDir::new().unwrap();
    let digest = store(root.path(), "hello", "hello");
    let file = root.path().join(layout::blob(&digest).as_str());
    // A link that leads to itself.
    fs::remove_file(&file).unwrap();
    symlink(&file, &file).unwrap();
    let output = scrub(root.path(), &[]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = lines(&output.stdout);
    assert!(said[0].starts_with(&format!("{digest}: cannot be read: ")), "{said:?}");
    assert!(said[1].contains("unreadable: 1;"), "{said:?}");
}

#[test]
fn a_scrub_begins_behind_the_digest_it_is_given() {
    let root = TempDir::new().unwrap();
    let mut digests = ["one", "two", "three"].map(|content| store(root.path(), content, content));
    digests.sort();
    let output = scrub(root.path(), &["--after", &digests[0].to_string()]);
    assert!(lines(&output.stdout)[0].starts_with("total: blobs: 2,"), "{output:?}");
}

#[test]
fn a_rate_or_digest_that_is_none_is_a_usage_error() {
    let root = TempDir::new().unwrap();
    for (arguments, expected) in [
        (&["--rate", "fast"], "expected bytes a second, such as 50MB"),
        (&["--after", "sha256:abc"], "--after"),
    ] {
        let output = scrub(root.path(), arguments);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let log = lines(&output.stderr);
        assert!(log.len() == 1 && log[0].contains(expected), "{log:?}");
    }
}

#[test]
fn a_data_directory_that_is_not_there_is_not_made() {
    let above = TempDir::new().unwrap();
    let root = above.path().join("missing");
    assert_eq!(scrub(&root, &[]).status.code(), Some(1));
    assert!(!root.exists());
}

#[test]
fn a_damaged_blob_in_a_bucket_is_put_aside_too() {
    let bucket = served();
    let digest = Digest::of(Algorithm::Sha512, b"hello");
    let key = layout::blob(&digest);
    bucket.s3.put(BUCKET, key.as_str(), "hell");
    let place = configuration(&bucket.server.endpoint(), "", "");
    let mut command = place.registry();
    let output = command.args(["scrub", "--config"]).arg(place.file()).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let expected = format!("{digest}: damaged (4 bytes): put into quarantine");
    assert_eq!(lines(&output.stdout)[0], expected);
    let left: Vec<_> = bucket.s3.objects(BUCKET).into_keys().collect();
    let is_kept =
        |name: &&String| name.starts_with("_rs/quarantine/") && name.ends_with(key.as_str());
    assert!(!left.contains(&key.to_string()), "{left:?}");
    assert_eq!(left.iter().filter(is_kept).count(), 1, "{left:?}");
}
