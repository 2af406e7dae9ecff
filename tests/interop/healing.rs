//! Damage made by hand to a data directory, and what an ordinary push by skopeo makes of it.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use registry_store::backend::Key;
use registry_store::digest::Digest;
use registry_store::layout::{self, RepositoryLayout};
use registry_tests::image::{Layout, blobs_of};
use registry_tests::peers::{Said, Skopeo};
use registry_tests::registry_process::RegistryProcess;
use registry_tests::tree::Tree;
use serde_json::Value;
use tempfile::TempDir;

use crate::exchange::{Body, ask, expect};

const DATA: &str = "docker/registry/v2";
const OF_NOTHING: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// What is done to a file.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Damage {
    Cut,
    Empty,
    Remove,
    /// Of another size than before.
    Garbage,
    /// The digest of something else that is there.
    Astray,
    /// As many NULs as there were bytes: what a filesystem may leave of a name that outran its bytes.
    Nuls,
}
use Damage::{Astray, Cut, Empty, Garbage, Nuls, Remove};

impl Damage {
    pub(crate) fn apply(self, file: &Path) {
        let content = fs::read(file).unwrap();
        let damaged = match self {
            Cut => &content[..content.len() / 2],
            Empty => b"",
            Remove => return fs::remove_file(file).unwrap(),
            Garbage => b"\xff{garbage",
            Astray => OF_NOTHING.as_bytes(),
            Nuls => &vec![0; content.len()],
        };
        fs::write(file, damaged).unwrap();
    }
}

/// A registry that an index of two images was pushed to.
struct Bench {
    images: TempDir,
    root: TempDir,
    registry: Option<RegistryProcess>,
    /// All that was written.
    good: Tree,
    index: Digest,
    image: Digest,
    config: Digest,
    layer: Digest,
}

impl Bench {
    fn new() -> Self {
        let (images, root) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let index = Layout::create(images.path()).add_index("it", &["amd64", "arm64"]);
        let document = |digest: &Digest| -> Value {
            let path = images.path().join("blobs/sha256").join(digest.hex());
            serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
        };
        let digest = |it: &Value| -> Digest { it["digest"].as_str().unwrap().parse().unwrap() };
        let image = digest(&document(&index)["manifests"][0]);
        let config = digest(&document(&image)["config"]);
        let layer = digest(&document(&image)["layers"][0]);
        let good = Tree::default();
        let mut bench = Self { images, root, registry: None, good, index, image, config, layer };
        bench.restart();
        assert!(bench.push().success);
        // Something else that is there.
        let url = format!("/v2/app/blobs/uploads/?digest={OF_NOTHING}");
        expect(201, ask(bench.address(), "POST", &url, "", Body::NOTHING));
        bench.good = bench.tree();
        bench
    }

    fn restart(&mut self) {
        self.registry = None;
        self.registry = Some(RegistryProcess::start(self.root.path()));
    }

    fn address(&self) -> SocketAddr {
        self.registry.as_ref().unwrap().address()
    }

    fn damage(&self, damage: Damage, key: &Key) {
        damage.apply(&self.path(key));
    }

    #[track_caller]
    fn is_put_right_by_a_push(&self, why: &str) {
        let said = self.push();
        assert!(said.success, "{why}: {}", said.errors);
        self.is_well(why);
    }

    fn path(&self, key: &Key) -> PathBuf {
        self.root.path().join(key.to_string())
    }

    fn tree(&self) -> Tree {
        Tree::read(&self.root.path().join(DATA))
    }

    /// By a client that has never pushed before.
    fn push(&self) -> Said {
        let from = format!("oci:{}:it", self.images.path().display());
        let to = format!("docker://{}/app:1", self.address());
        Skopeo::new().try_run(&["copy", "--all", "--dest-tls-verify=false", &from, &to])
    }

    /// Everything is as if nothing had ever been damaged, on the medium and to a client that has nothing.
    fn is_well(&self, why: &str) {
        assert_eq!(
            self.good.difference_of_files(&self.tree()),
            "",
            "{why}: first before, second now"
        );
        let skopeo = Skopeo::new();
        let back = skopeo.path("back");
        let from = format!("docker://{}/app:1", self.address());
        let to = format!("oci:{}:it", back.display());
        skopeo.run(&["copy", "--all", "--src-tls-verify=false", &from, &to]);
        assert_eq!(blobs_of(&back), blobs_of(self.images.path()), "{why}");
    }

    /// What the next push puts right.
    fn objects(&self) -> Vec<(Key, &'static [Damage])> {
        let links = RepositoryLayout::new(&"app".parse().unwrap());
        let tag = "1".parse().unwrap();
        let all: &[Damage] = &[Cut, Empty, Remove, Garbage, Nuls];
        let link: &[Damage] = &[Cut, Empty, Remove, Garbage, Nuls, Astray];
        vec![
            (layout::blob(&self.layer), &[Empty, Remove]),
            (layout::blob(&self.config), &[Empty, Remove]),
            (layout::blob(&self.image), all),
            (layout::blob(&self.index), all),
            (links.layer_link(&self.layer), link),
            (links.layer_link(&self.config), &[Astray, Garbage]),
            (links.revision_link(&self.image), link),
            (links.revision_link(&self.index), link),
            (links.tag_current_link(&tag), link),
            (links.tag_index_link(&tag, &self.index), link),
        ]
    }
}

#[test]
fn each_damage_is_put_right_by_the_next_push_while_the_registry_runs() {
    let bench = Bench::new();
    for (key, damages) in bench.objects() {
        for damage in damages {
            bench.damage(*damage, &key);
            bench.is_put_right_by_a_push(&format!("{damage:?} of {key}"));
        }
    }
}

#[test]
fn a_damage_of_each_object_is_put_right_by_the_next_push_after_a_restart() {
    let mut bench = Bench::new();
    for (number, (key, damages)) in bench.objects().iter().enumerate() {
        let damage = damages[number % damages.len()];
        bench.damage(damage, key);
        bench.restart();
        bench.is_put_right_by_a_push(&format!("{damage:?} of {key}"));
    }
}

#[test]
fn all_damage_at_once_is_put_right_by_the_next_push() {
    let bench = Bench::new();
    for (key, damages) in bench.objects() {
        bench.damage(damages[0], &key);
    }
    bench.is_put_right_by_a_push("all of it");
}

/// A client that asks whether a blob is there does not say how long it is to be. So the manifest's push finds it
/// out, and the push after that has to bring the blob.
#[test]
fn a_blob_of_another_size_is_found_by_the_next_push_and_put_right_by_the_one_behind_it() {
    let mut bench = Bench::new();
    for blob in [bench.layer, bench.config] {
        for (damage, restarts) in [(Cut, false), (Garbage, false), (Cut, true), (Garbage, true)] {
            let key = layout::blob(&blob);
            let why = format!("{damage:?} of {key}");
            bench.damage(damage, &key);
            if restarts {
                bench.restart();
            }
            let said = bench.push();
            assert!(!said.success, "{why}");
            assert!(said.errors.contains("manifest blob unknown"), "{why}: {}", said.errors);
            bench.is_put_right_by_a_push(&why);
        }
    }
}
