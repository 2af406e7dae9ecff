//! Debian's Distribution on the same data, at the same time and afterwards.

use std::net::SocketAddr;
use std::path::Path;

use registry_store::digest::Digest;
use registry_tests::image::{Layout, blobs_of};
use registry_tests::peers::{Distribution, Skopeo};
use registry_tests::plain_http::request;
use registry_tests::registry_process::RegistryProcess;
use registry_tests::tree::Tree;
use tempfile::TempDir;

const DATA: &str = "docker/registry/v2";

/// Pushes, to a registry, an image in both formats and an index, and the image once more.
fn push_everything(skopeo: &Skopeo, source: &Path, address: SocketAddr) {
    for (from, to, flags) in [
        ("image", "library/image:1", ["--format", "oci"].as_slice()),
        ("image", "library/image:docker", &["--format", "v2s2"]),
        ("image", "library/image:latest", &["--format", "oci"]),
        ("index", "library/image/index:1", &["--all"]),
        ("image", "library/image:1", &["--format", "oci"]),
    ] {
        copy(
            skopeo,
            &format!("oci:{}:{from}", source.display()),
            &format!("docker://{address}/{to}"),
            flags,
        );
    }
}

fn copy(skopeo: &Skopeo, from: &str, to: &str, flags: &[&str]) {
    let mut arguments = vec!["copy", "--src-tls-verify=false", "--dest-tls-verify=false"];
    arguments.extend(flags);
    arguments.extend([from, to]);
    skopeo.run(&arguments);
}

/// A layout with an image and an index, tagged so; returns their digests.
fn source(directory: &Path) -> [Digest; 2] {
    let mut layout = Layout::create(directory);
    [layout.add_image("image", "amd64"), layout.add_index("index", &["amd64", "arm64"])]
}

#[test]
fn the_same_pushes_leave_the_same_files() {
    let skopeo = Skopeo::new();
    let images = TempDir::new().unwrap();
    source(images.path());
    let (ours, theirs) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let registry = RegistryProcess::start(ours.path());
    push_everything(&skopeo, images.path(), registry.address());
    let distribution = Distribution::start(theirs.path());
    push_everything(&skopeo, images.path(), distribution.address());

    let [ours, theirs] = [ours, theirs].map(|root| Tree::read(&root.path().join(DATA)));
    assert_ne!(theirs.files.len(), 0);
    assert_eq!(ours.difference_of_files(&theirs), "", "first: registry, second: Distribution");
    for tree in [&ours, &theirs] {
        let litter = tree.files.keys().find(|path| path.contains("/_uploads/"));
        assert_eq!(litter, None, "no upload is left over");
    }
    // Distribution leaves the directory of a repository's uploads when the last is done; nothing reads it.
    let telling = |tree: &Tree| -> Vec<String> {
        let all = tree.empty_directories.iter();
        all.filter(|path| !path.ends_with("/_uploads")).cloned().collect()
    };
    assert_eq!(telling(&ours), telling(&theirs));
}

/// Pushes to one registry and reads it all from the other; both run on one directory.
fn one_serves_what_was_pushed_to_the_other(pushed_to: SocketAddr, read_from: SocketAddr) {
    let skopeo = Skopeo::new();
    let images = TempDir::new().unwrap();
    let [image, index] = source(images.path());
    push_everything(&skopeo, images.path(), pushed_to);

    let back = skopeo.path("back");
    let target = format!("oci:{}:1", back.display());
    copy(&skopeo, &format!("docker://{read_from}/library/image:1"), &target, &[]);
    assert!(blobs_of(&back).contains(&image));
    copy(&skopeo, &format!("docker://{read_from}/library/image/index:1"), &target, &["--all"]);
    assert!(blobs_of(&back).contains(&index));
    assert_eq!(blobs_of(&back), blobs_of(images.path()));
    let docker = format!("dir:{}", skopeo.path("docker").display());
    copy(&skopeo, &format!("docker://{read_from}/library/image:docker"), &docker, &[]);

    for listing in ["/v2/library/image/tags/list", "/v2/_catalog"] {
        let [theirs, ours] = [pushed_to, read_from].map(|address| listing_of(address, listing));
        assert_eq!(theirs, ours, "{listing}");
    }
}

/// A listing with its lists sorted: Distribution 2.8 gives tags as the directory has them.
fn listing_of(address: SocketAddr, target: &str) -> serde_json::Value {
    let answer = request(address, "GET", target);
    assert_eq!(answer.status, 200, "{target}");
    let mut listing: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    let lists = listing.as_object_mut().unwrap().values_mut();
    for list in lists.filter_map(serde_json::Value::as_array_mut) {
        list.sort_by_key(ToString::to_string);
    }
    listing
}

#[test]
fn registry_serves_what_is_pushed_to_distribution_beside_it() {
    let root = TempDir::new().unwrap();
    let registry = RegistryProcess::start(root.path());
    let distribution = Distribution::start(root.path());
    one_serves_what_was_pushed_to_the_other(distribution.address(), registry.address());
}

#[test]
fn distribution_serves_what_is_pushed_to_registry_beside_it() {
    let root = TempDir::new().unwrap();
    let registry = RegistryProcess::start(root.path());
    let distribution = Distribution::start(root.path());
    one_serves_what_was_pushed_to_the_other(registry.address(), distribution.address());
}

#[test]
fn distribution_serves_what_is_pushed_to_another_distribution_beside_it() {
    let root = TempDir::new().unwrap();
    let [one, other] = [(); 2].map(|()| Distribution::start(root.path()));
    one_serves_what_was_pushed_to_the_other(one.address(), other.address());
}

#[test]
fn registry_opens_what_distribution_left_and_distribution_what_registry_left() {
    let skopeo = Skopeo::new();
    let images = TempDir::new().unwrap();
    let [image, _] = source(images.path());
    let root = TempDir::new().unwrap();
    let from = format!("oci:{}:image", images.path().display());

    let distribution = Distribution::start(root.path());
    copy(&skopeo, &from, &format!("docker://{}/theirs:1", distribution.address()), &[]);
    drop(distribution);
    let registry = RegistryProcess::start(root.path());
    copy(&skopeo, &from, &format!("docker://{}/ours:1", registry.address()), &[]);
    assert_eq!(digest_of(registry.address(), "theirs", "1"), Some(image));
    drop(registry);
    let distribution = Distribution::start(root.path());
    assert_eq!(digest_of(distribution.address(), "theirs", "1"), Some(image));
    assert_eq!(digest_of(distribution.address(), "ours", "1"), Some(image));
}

#[test]
fn each_sees_what_the_other_deletes() {
    let skopeo = Skopeo::new();
    let images = TempDir::new().unwrap();
    let [image, _] = source(images.path());
    let root = TempDir::new().unwrap();
    let registry = RegistryProcess::start(root.path());
    let distribution = Distribution::start(root.path());
    let (ours, theirs) = (registry.address(), distribution.address());

    for (deletes, looks) in [(ours, theirs), (theirs, ours)] {
        push_everything(&skopeo, images.path(), ours);
        assert_eq!(digest_of(looks, "library/image", "1"), Some(image));
        skopeo.run(&[
            "delete",
            "--tls-verify=false",
            &format!("docker://{deletes}/library/image:1"),
        ]);
        for address in [deletes, looks] {
            assert_eq!(digest_of(address, "library/image", "1"), None);
            assert_eq!(digest_of(address, "library/image", "latest"), None);
            assert!(digest_of(address, "library/image", "docker").is_some());
            let tags = listing_of(address, "/v2/library/image/tags/list");
            assert_eq!(tags["tags"], serde_json::json!(["docker"]));
        }
    }
}

/// The digest of the manifest under a tag; `None` if there is none.
fn digest_of(address: SocketAddr, repository: &str, tag: &str) -> Option<Digest> {
    let reference = format!("docker://{address}/{repository}:{tag}");
    let said = Skopeo::new().try_run(&["inspect", "--tls-verify=false", "--raw", &reference]);
    if !said.success {
        assert!(said.errors.contains("manifest unknown"), "{}", said.errors);
        return None;
    }
    Some(Digest::sha256(&said.output))
}
