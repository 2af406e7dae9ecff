//! `registry referrers rebuild`: what it prints, what it changes, how it ends.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use registry_store::digest::{Algorithm, Digest};
use registry_store::layout::{self, RepositoryLayout};
use registry_store::manifest::Manifest;
use registry_tests::documents::{descriptor_of, image, image_document, manifest};
use registry_tests::plain_http::request;
use registry_tests::registry_process::{RegistryProcess, program};
use registry_tests::tree::Tree;
use tempfile::TempDir;

fn rebuild(root: &Path, repositories: &[&str]) -> Output {
    let mut command = Command::new(program());
    command.args(["referrers", "rebuild", "--root"]).arg(root).args(repositories);
    command.env_remove("RUST_LOG").stdin(Stdio::null()).output().unwrap()
}

fn lines(of: &[u8]) -> Vec<&str> {
    std::str::from_utf8(of).unwrap().lines().collect()
}

fn write(root: &Path, key: &registry_store::backend::Key, content: &[u8]) {
    let path = root.join(key.as_str());
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// Stores a manifest as Distribution does.
fn store(root: &Path, repository: &str, manifest: &Manifest) -> Digest {
    let keys = RepositoryLayout::new(&repository.parse().unwrap());
    let digest = manifest.digest(Algorithm::Sha256);
    write(root, &layout::blob(&digest), manifest.bytes());
    write(root, &keys.revision_link(&digest), digest.to_string().as_bytes());
    digest
}

fn subject() -> Manifest {
    image(b"{}", &[])
}

fn signature() -> Manifest {
    let mut document = image_document(b"{}", &[]);
    document["subject"] = descriptor_of(&subject());
    manifest(&document)
}

#[test]
fn what_was_recorded_is_told_for_each_repository_that_changed_and_in_total() {
    let root = TempDir::new().unwrap();
    for repository in ["app", "app/nested"] {
        store(root.path(), repository, &signature());
    }
    store(root.path(), "plain", &subject());
    let first = rebuild(root.path(), &[]);
    assert_eq!(first.status.code(), Some(0), "{first:?}");
    let said = lines(&first.stdout);
    assert_eq!(said.len(), 3, "{said:?}");
    assert!(said[0].starts_with("app: manifests read: 1, referrers recorded: 1"), "{said:?}");
    assert!(
        said[1].starts_with("app/nested: manifests read: 1, referrers recorded: 1"),
        "{said:?}"
    );
    let total =
        "total: repositories: 3, manifests read: 3, referrers recorded: 2, recorded already: 0";
    assert!(said[2].starts_with(total), "{said:?}");

    let before = Tree::read(root.path());
    let again = rebuild(root.path(), &[]);
    assert_eq!(again.status.code(), Some(0), "{again:?}");
    let said = lines(&again.stdout);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("referrers recorded: 0, recorded already: 2"), "{said:?}");
    assert_eq!(Tree::read(root.path()), before);
}

#[test]
fn a_registry_that_serves_lists_what_was_recorded_beside_it() {
    let root = TempDir::new().unwrap();
    let registry = RegistryProcess::start(root.path());
    let digest = store(root.path(), "app", &signature());
    let list = format!("/v2/app/referrers/{}", subject().digest(Algorithm::Sha256));
    let listed = || {
        let answer = request(registry.address(), "GET", &list);
        String::from_utf8(answer.body).unwrap().contains(&digest.to_string())
    };
    assert!(!listed());
    assert!(rebuild(root.path(), &[]).status.success());
    assert!(listed());
}

#[test]
fn only_the_repositories_that_are_named_are_rebuilt() {
    let root = TempDir::new().unwrap();
    for repository in ["a", "a/b", "c"] {
        store(root.path(), repository, &signature());
    }
    let output = rebuild(root.path(), &["c", "a"]);
    assert!(output.status.success(), "{output:?}");
    let said = lines(&output.stdout);
    assert!(said[0].starts_with("c: ") && said[1].starts_with("a: "), "{said:?}");
    assert!(said[2].starts_with("total: repositories: 2, "), "{said:?}");
}

#[test]
fn a_repository_that_is_named_twice_is_rebuilt_once() {
    let root = TempDir::new().unwrap();
    store(root.path(), "b", &subject());
    store(root.path(), "a", &subject());
    let output = rebuild(root.path(), &["missing", "b", "a", "b", "missing"]);
    let said = lines(&output.stdout);
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].starts_with("missing: failed: "), "{said:?}");
    assert!(said[1].starts_with("total: repositories: 3, manifests read: 2"), "{said:?}");
}

#[test]
fn what_cannot_be_read_is_named_and_is_no_success() {
    let root = TempDir::new().unwrap();
    let damaged = store(root.path(), "a", &signature());
    write(root.path(), &layout::blob(&damaged), b"");
    store(root.path(), "b", &subject());
    let output = rebuild(root.path(), &["a", "missing", "b"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = lines(&output.stdout);
    assert!(said[0].ends_with("manifests that cannot be read: 1"), "{said:?}");
    assert_eq!(said[1], format!("a@{damaged}: cannot be read"));
    assert!(said[2].starts_with("missing: failed: ") && said[2].contains("not known"), "{said:?}");
    assert!(said[3].starts_with("total: repositories: 3, manifests read: 1"), "{said:?}");
    let log = lines(&output.stderr);
    let last = log.last().unwrap();
    assert!(
        last.starts_with("registry: not all could be read (manifests: 1, repositories: 1)"),
        "{log:?}"
    );
}

#[test]
fn a_data_directory_that_is_not_there_is_not_made() {
    let above = TempDir::new().unwrap();
    let root = above.path().join("missing");
    let output = rebuild(&root, &[]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let log = lines(&output.stderr);
    assert!(log.len() == 1 && log[0].contains("expected a directory (see --root)"), "{log:?}");
    assert!(!root.exists());
}

#[test]
fn a_directory_without_a_registrys_data_is_told_of() {
    let root = TempDir::new().unwrap();
    let expected = root.path().canonicalize().unwrap().join(layout::top().as_str());
    let told = |found: &str| {
        let before = Tree::read(root.path());
        let output = rebuild(root.path(), &[]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert_eq!(lines(&output.stdout), [""; 0]);
        let log = lines(&output.stderr);
        let place = format!("expected the directory {}", expected.display());
        assert!(log.len() == 1 && log[0].contains(&place) && log[0].contains(found), "{log:?}");
        assert_eq!(Tree::read(root.path()), before);
    };
    fs::write(root.path().join("mine"), "mine").unwrap();
    told("No such file");
    fs::create_dir_all(expected.parent().unwrap()).unwrap();
    told("No such file");
    fs::write(&expected, "").unwrap();
    told("it is no directory");
}

#[test]
fn a_registry_that_holds_nothing_yet_has_nothing_to_record() {
    // New; used by the program, which leaves nothing else when all is gone; with the place for repositories.
    for made in ["", "_rs/tmp", layout::top().as_str()] {
        let root = TempDir::new().unwrap();
        fs::create_dir_all(root.path().join(made)).unwrap();
        let output = rebuild(root.path(), &[]);
        assert_eq!(output.status.code(), Some(0), "{made}: {output:?}");
        let said = lines(&output.stdout);
        assert!(said.len() == 1 && said[0].starts_with("total: repositories: 0, "), "{said:?}");
    }
}

#[test]
fn a_name_that_is_none_is_a_usage_error() {
    let root = TempDir::new().unwrap();
    let output = rebuild(root.path(), &["NoName"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let log = lines(&output.stderr);
    assert!(log.len() == 1 && log[0].contains("expected a repository name"), "{log:?}");
}
