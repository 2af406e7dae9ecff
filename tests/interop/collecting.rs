//! Distribution's collector and ours on the same data: what each takes, and that the other reads what is left.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use registry_store::digest::{Algorithm, Digest};
use registry_store::manifest::Manifest;
use registry_tests::documents::{descriptor, descriptor_of, image_document, index, manifest};
use registry_tests::image::{Layout, blobs_of};
use registry_tests::peers::{Distribution, Skopeo};
use registry_tests::registry_process::{RegistryProcess, program, without_variables};
use registry_tests::tree::Tree;
use serde_json::json;
use tempfile::TempDir;

use crate::exchange::{Body, ask, expect};

const EMPTY: &str = "application/vnd.oci.empty.v1+json";
const CONFIG: &[u8] = b"{}";

/// What there is to be found, and what is garbage.
#[derive(Default)]
struct Filled {
    /// What has to be pulled as it was pushed, from where.
    kept: Vec<(String, Vec<u8>)>,
    /// A manifest that only its subject leads to.
    referrer: Option<Digest>,
    /// Blobs that nothing refers to any more.
    garbage: BTreeSet<Digest>,
    /// Where an upload goes on that is not finished.
    upload: String,
}

/// Everything that can be pushed, through the program at `address`.
fn fill(skopeo: &Skopeo, images: &Path, address: SocketAddr) -> Filled {
    let mut filled = Filled::default();
    with_skopeo(skopeo, images, address);
    let hand = Hand { address, filled: &mut filled };
    by_hand(hand);
    filled
}

fn with_skopeo(skopeo: &Skopeo, images: &Path, address: SocketAddr) {
    for (from, to, flags) in [
        ("image", "app:oci", ["--format", "oci"].as_slice()),
        ("image", "app:docker", &["--format", "v2s2"]),
        ("index", "app/index:1", &["--all"]),
        ("image", "app:moved", &["--format", "v2s2"]),
        ("image", "app:moved", &["--format", "oci"]),
        ("image", "mounted:1", &["--format", "oci"]),
    ] {
        let from = format!("oci:{}:{from}", images.display());
        let to = format!("docker://{address}/{to}");
        let copy = ["copy", "--dest-tls-verify=false"];
        skopeo.run(&[&copy, flags, &[&from, &to]].concat());
    }
}

fn by_hand(mut hand: Hand<'_>) {
    // An index of an index of an image that has no tag of its own.
    let inner = hand.image("nested", "", b"inner", Algorithm::Sha256);
    let middle = index(&[&inner]);
    hand.put("nested", "", &middle);
    hand.put("nested", "outer", &index(&[&middle]));

    let artifact = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "artifactType": "application/vnd.example.report",
        "config": descriptor(EMPTY, &Digest::sha256(CONFIG), CONFIG.len()),
        "layers": [descriptor(EMPTY, &Digest::sha256(CONFIG), CONFIG.len())],
    });
    hand.push("nested", CONFIG, Algorithm::Sha256);
    hand.put("nested", "report", &manifest(&artifact));
    let mut signature = artifact;
    signature["subject"] = descriptor_of(&inner);
    let signature = manifest(&signature);
    hand.put("nested", "", &signature);
    hand.filled.referrer = Some(Digest::sha256(signature.bytes()));

    hand.image("long", "sha512", b"hashed by sha512", Algorithm::Sha512);
    hand.mount("nested", "other/mounted", b"inner");
    hand.image("other/mounted", "1", b"inner", Algorithm::Sha256);

    // Moved away from, and still there by its digest.
    hand.image("moved", "tag", b"first", Algorithm::Sha256);
    hand.image("moved", "tag", b"second", Algorithm::Sha256);

    let deleted = hand.image("deleted", "tag", b"only here", Algorithm::Sha256);
    let gone = Digest::sha256(deleted.bytes());
    let url = format!("/v2/deleted/manifests/{gone}");
    expect(202, ask(hand.address, "DELETE", &url, "", Body::NOTHING));
    hand.filled.garbage = [gone, Digest::sha256(b"only here")].into();
    hand.filled.kept.retain(|(url, _)| !url.starts_with("/v2/deleted/"));

    hand.filled.upload = hand.session(b"the first half, ");
    let cancelled = hand.session(b"cancelled");
    expect(204, ask(hand.address, "DELETE", &cancelled, "", Body::NOTHING));
}

/// Pushes by hand what skopeo cannot make.
struct Hand<'f> {
    address: SocketAddr,
    filled: &'f mut Filled,
}

impl Hand<'_> {
    /// An image of one layer, whose digest is of `algorithm`, as is its manifest's if it has no tag.
    fn image(
        &mut self,
        repository: &str,
        tag: &str,
        layer: &[u8],
        algorithm: Algorithm,
    ) -> Manifest {
        self.push(repository, CONFIG, Algorithm::Sha256);
        let digest = self.push(repository, layer, algorithm);
        let mut document = image_document(CONFIG, &[layer]);
        document["layers"][0]["digest"] = json!(digest.to_string());
        let image = manifest(&document);
        self.put(repository, tag, &image);
        if algorithm == Algorithm::Sha512 {
            self.put(repository, &image.digest(algorithm).to_string(), &image);
        }
        image
    }

    fn push(&mut self, repository: &str, content: &[u8], algorithm: Algorithm) -> Digest {
        let digest = Digest::of(algorithm, content);
        let url = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
        let octets = "application/octet-stream";
        expect(201, ask(self.address, "POST", &url, octets, Body::Whole(content)));
        self.keeps(format!("/v2/{repository}/blobs/{digest}"), content);
        digest
    }

    fn mount(&mut self, from: &str, to: &str, content: &[u8]) {
        let digest = Digest::sha256(content);
        let url = format!("/v2/{to}/blobs/uploads/?mount={digest}&from={from}");
        expect(201, ask(self.address, "POST", &url, "", Body::NOTHING));
        self.keeps(format!("/v2/{to}/blobs/{digest}"), content);
    }

    /// Under its digest, and under a tag or another digest if one is given.
    fn put(&mut self, repository: &str, reference: &str, manifest: &Manifest) {
        let digest = Digest::sha256(manifest.bytes()).to_string();
        for reference in [digest.as_str(), reference].into_iter().filter(|it| !it.is_empty()) {
            let url = format!("/v2/{repository}/manifests/{reference}");
            let media_type = manifest.media_type().as_str();
            expect(201, ask(self.address, "PUT", &url, media_type, Body::Whole(manifest.bytes())));
            self.keeps(url, manifest.bytes());
        }
    }

    /// An upload that is not finished, and where it goes on.
    fn session(&mut self, content: &[u8]) -> String {
        let url = "/v2/unfinished/blobs/uploads/";
        let begun = expect(202, ask(self.address, "POST", url, "", Body::NOTHING));
        let url = begun.header("location").unwrap();
        let octets = "application/octet-stream";
        let answer = expect(202, ask(self.address, "PATCH", url, octets, Body::Whole(content)));
        answer.header("location").unwrap().to_owned()
    }

    fn keeps(&mut self, url: String, content: &[u8]) {
        self.filled.kept.retain(|(known, _)| *known != url);
        self.filled.kept.push((url, content.to_vec()));
    }
}

/// Runs the collector, and returns what it takes for garbage.
fn collect(root: &Path, flags: &[&str]) -> BTreeSet<Digest> {
    let said = Distribution::collect_garbage(root, flags);
    let output = String::from_utf8(said.output).unwrap();
    assert!(said.success, "{output}\n{}", said.errors);
    assert!(!said.errors.contains("level=error"), "{}", said.errors);
    let found = output.lines().filter_map(|line| line.split("eligible for deletion: ").nth(1));
    found.map(|digest| digest.trim().parse().unwrap()).collect()
}

/// Runs ours, and returns what it takes for garbage.
fn collect_ours(root: &Path, flags: &[&str]) -> BTreeSet<Digest> {
    let mut command = Command::new(program());
    command.args(["garbage-collect", "--root"]).arg(root).args(flags);
    let said = without_variables(&mut command).output().unwrap();
    let output = String::from_utf8(said.stdout).unwrap();
    assert!(said.status.success(), "{output}");
    let found = output.lines().filter_map(|line| line.strip_prefix("blob eligible for deletion: "));
    found.map(|digest| digest.parse().unwrap()).collect()
}

/// Whatever was pushed by hand comes back, and so do the images, to a client that has nothing.
fn all_is_there(skopeo: &Skopeo, images: &Path, address: SocketAddr, filled: &Filled) {
    for (url, content) in &filled.kept {
        let answer = expect(200, ask(address, "GET", url, "", Body::NOTHING));
        assert!(answer.body == *content, "{url}");
    }
    let back = skopeo.path("back");
    let to = format!("oci:{}:1", back.display());
    for from in ["app:oci", "app:moved", "mounted:1", "app/index:1"] {
        let from = format!("docker://{address}/{from}");
        skopeo.run(&["copy", "--src-tls-verify=false", "--all", &from, &to]);
    }
    assert_eq!(blobs_of(&back), blobs_of(images));
    let docker = format!("docker://{address}/app:docker");
    let to = format!("dir:{}", skopeo.path("docker").display());
    skopeo.run(&["copy", "--src-tls-verify=false", &docker, &to]);
}

#[test]
fn distributions_collector_takes_what_was_deleted_and_nothing_else() {
    let skopeo = Skopeo::new();
    let (images, root) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let mut layout = Layout::create(images.path());
    layout.add_image("image", "amd64");
    layout.add_index("index", &["amd64", "arm64"]);
    let registry = RegistryProcess::start(root.path());
    let filled = fill(&skopeo, images.path(), registry.address());
    all_is_there(&skopeo, images.path(), registry.address(), &filled);
    drop(registry);

    let before = Tree::read(root.path());
    assert_eq!(collect(root.path(), &["--dry-run"]), filled.garbage);
    assert_eq!(Tree::read(root.path()), before);
    assert_eq!(collect(root.path(), &[]), filled.garbage);

    let registry = RegistryProcess::start(root.path());
    let skopeo = Skopeo::new();
    all_is_there(&skopeo, images.path(), registry.address(), &filled);
    let last = b"the second half";
    let digest = Digest::sha256(b"the first half, the second half");
    let url = format!("{}&digest={digest}", filled.upload);
    expect(201, ask(registry.address(), "PUT", &url, "", Body::Whole(last)));
    for digest in &filled.garbage {
        let url = format!("/v2/deleted/blobs/{digest}");
        expect(404, ask(registry.address(), "GET", &url, "", Body::NOTHING));
    }
    // What the collector took is pushed again over the links that it left.
    let mut again = Filled::default();
    let mut hand = Hand { address: registry.address(), filled: &mut again };
    hand.image("deleted", "tag", b"only here", Algorithm::Sha256);
    all_is_there(&skopeo, images.path(), registry.address(), &again);
}

/// What README.md warns of.
#[test]
fn distributions_collector_takes_referrers_when_it_is_to_take_what_has_no_tag() {
    let root = TempDir::new().unwrap();
    let registry = RegistryProcess::start(root.path());
    let mut filled = Filled::default();
    by_hand(Hand { address: registry.address(), filled: &mut filled });
    drop(registry);
    let referrer = filled.referrer.unwrap();
    assert!(!collect(root.path(), &["--dry-run"]).contains(&referrer));
    assert!(collect(root.path(), &["--dry-run", "--delete-untagged"]).contains(&referrer));
}

#[test]
fn our_collector_takes_what_distributions_takes_and_distribution_serves_the_rest() {
    let skopeo = Skopeo::new();
    let (images, root) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let mut layout = Layout::create(images.path());
    layout.add_image("image", "amd64");
    layout.add_index("index", &["amd64", "arm64"]);
    let registry = RegistryProcess::start(root.path());
    let filled = fill(&skopeo, images.path(), registry.address());
    drop(registry);

    let before = Tree::read(root.path());
    assert_eq!(collect_ours(root.path(), &["--dry-run"]), collect(root.path(), &["--dry-run"]));
    assert_eq!(Tree::read(root.path()), before);
    assert_eq!(collect_ours(root.path(), &[]), filled.garbage);
    assert_eq!(collect(root.path(), &["--dry-run"]), BTreeSet::new());

    let registry = Distribution::start(root.path());
    let is_blob = |url: &str| url.contains("/blobs/") && !url.contains("sha512");
    for (url, content) in filled.kept.iter().filter(|(url, _)| is_blob(url)) {
        let answer = expect(200, ask(registry.address(), "GET", url, "", Body::NOTHING));
        assert!(answer.body == *content, "{url}");
    }
    let from = format!("docker://{}/app/index:1", registry.address());
    let to = format!("oci:{}:1", skopeo.path("from-distribution").display());
    skopeo.run(&["copy", "--src-tls-verify=false", "--all", &from, &to]);
    drop(registry);
    let registry = RegistryProcess::start(root.path());
    all_is_there(&skopeo, images.path(), registry.address(), &filled);
}

/// Where it is wrong, ours is not: what an index lists, and what is about something that is kept.
#[test]
fn without_tags_ours_takes_what_nothing_keeps_and_distributions_takes_more() {
    let root = TempDir::new().unwrap();
    let registry = RegistryProcess::start(root.path());
    let mut filled = Filled::default();
    by_hand(Hand { address: registry.address(), filled: &mut filled });
    drop(registry);
    let image = |layer: &[u8]| Digest::sha256(manifest(&image_document(CONFIG, &[layer])).bytes());
    // A tag was moved away from the first; what was pushed by its sha512 as well has its tag under its sha256.
    let mut expected = filled.garbage.clone();
    expected.extend([image(b"first"), Digest::sha256(b"first")]);
    let by_sha512 = filled.kept.iter().find(|(url, _)| url.contains("/manifests/sha512:")).unwrap();
    expected.insert(Digest::of(Algorithm::Sha512, &by_sha512.1));

    let flags = ["--dry-run", "--delete-untagged"];
    let (ours, theirs) = (collect_ours(root.path(), &flags), collect(root.path(), &flags));
    assert_eq!(ours, expected);
    assert!(ours.is_subset(&theirs), "{:?}", &ours - &theirs);
    let wrong = &theirs - &ours;
    assert!(
        wrong.contains(&filled.referrer.unwrap()) && wrong.contains(&image(b"inner")),
        "{wrong:?}"
    );
    assert_eq!(collect_ours(root.path(), &flags[1..]), expected);
    let registry = RegistryProcess::start(root.path());
    let gone =
        [image(b"first").to_string(), Digest::of(Algorithm::Sha512, &by_sha512.1).to_string()];
    for (url, content) in &filled.kept {
        let is_gone = gone.iter().any(|digest| url.ends_with(digest))
            || url.ends_with(&Digest::sha256(b"first").to_string());
        let status = if is_gone { 404 } else { 200 };
        let answer = expect(status, ask(registry.address(), "GET", url, "", Body::NOTHING));
        assert!(is_gone || answer.body == *content, "{url}");
    }
}
