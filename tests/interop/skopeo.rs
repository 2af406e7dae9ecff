//! skopeo pushes, pulls, inspects, lists and deletes; the same against Distribution, which proves the test.

use std::path::Path;

use registry_store::digest::Digest;
use registry_tests::image::{Layout, blobs_of};
use registry_tests::peers::Skopeo;
use serde_json::Value;
use tempfile::TempDir;

use crate::each::on_each_registry;

on_each_registry! {
    Bench:
    an_image_comes_back_byte_for_byte
    an_image_converted_to_docker_schema_2_comes_back_byte_for_byte
    a_large_layer_comes_back_byte_for_byte
    an_index_comes_back_with_every_image
    one_image_of_an_index_can_be_pulled_alone
    a_second_push_of_the_same_image_changes_nothing
    an_image_can_be_copied_to_another_repository
    a_repository_is_mirrored_with_all_its_tags
    inspect_tells_what_was_pushed
    tags_are_listed
    a_deleted_image_is_gone_and_the_others_are_not
}

/// skopeo, a registry, and a layout to push from.
struct Bench {
    skopeo: Skopeo,
    registry: String,
    images: TempDir,
}

impl Bench {
    fn new(registry: &str) -> Self {
        Self {
            skopeo: Skopeo::new(),
            registry: registry.to_owned(),
            images: TempDir::new().unwrap(),
        }
    }

    fn image(&self) -> Digest {
        Layout::create(&self.source()).add_image("it", "amd64")
    }

    fn index(&self) -> Digest {
        Layout::create(&self.source()).add_index("it", &["amd64", "arm64"])
    }

    fn source(&self) -> std::path::PathBuf {
        self.images.path().join("source")
    }

    fn reference(&self, name: &str) -> String {
        format!("docker://{}/{name}", self.registry)
    }

    fn push(&self, name: &str, flags: &[&str]) {
        let source = format!("oci:{}:it", self.source().display());
        let target = self.reference(name);
        let mut arguments = vec!["copy", "--dest-tls-verify=false"];
        arguments.extend(flags);
        arguments.extend([source.as_str(), target.as_str()]);
        self.skopeo.run(&arguments);
    }

    fn pull(&self, name: &str, transport: &str, to: &Path, flags: &[&str]) {
        let source = self.reference(name);
        let target = format!("{transport}:{}", to.display());
        let mut arguments = vec!["copy", "--src-tls-verify=false"];
        arguments.extend(flags);
        arguments.extend([source.as_str(), target.as_str()]);
        self.skopeo.run(&arguments);
    }

    fn raw(&self, name: &str) -> Vec<u8> {
        self.skopeo.run(&["inspect", "--tls-verify=false", "--raw", &self.reference(name)])
    }

    fn digest(&self, name: &str) -> String {
        let reference = self.reference(name);
        let digest = self.skopeo.run(&[
            "inspect",
            "--tls-verify=false",
            "--format",
            "{{.Digest}}",
            &reference,
        ]);
        String::from_utf8(digest).unwrap().trim().to_owned()
    }

    fn tags(&self, repository: &str) -> Vec<String> {
        let listed =
            self.skopeo.run(&["list-tags", "--tls-verify=false", &self.reference(repository)]);
        let listed: Value = serde_json::from_slice(&listed).unwrap();
        let tags = listed["Tags"].as_array().unwrap();
        tags.iter().map(|tag| tag.as_str().unwrap().to_owned()).collect()
    }
}

fn an_image_comes_back_byte_for_byte(bench: &Bench) {
    let digest = bench.image();
    bench.push("library/image:1", &[]);
    assert_eq!(Digest::sha256(&bench.raw("library/image:1")), digest);

    let back = bench.skopeo.path("back");
    bench.pull("library/image:1", "oci", &back, &[]);
    assert_eq!(blobs_of(&back), blobs_of(&bench.source()));
    assert!(blobs_of(&back).contains(&digest));
}

fn an_image_converted_to_docker_schema_2_comes_back_byte_for_byte(bench: &Bench) {
    bench.image();
    bench.push("image:v2s2", &["--format", "v2s2"]);
    let manifest = bench.raw("image:v2s2");
    let parsed: Value = serde_json::from_slice(&manifest).unwrap();
    assert_eq!(parsed["mediaType"], "application/vnd.docker.distribution.manifest.v2+json");
    assert_eq!(bench.digest("image:v2s2"), Digest::sha256(&manifest).to_string());

    // The transport `dir` keeps a manifest as it came.
    let back = bench.skopeo.path("back");
    bench.pull("image:v2s2", "dir", &back, &[]);
    assert_eq!(std::fs::read(back.join("manifest.json")).unwrap(), manifest);
    let mut parts = vec![&parsed["config"]];
    parts.extend(parsed["layers"].as_array().unwrap());
    assert_eq!(parts.len(), 3);
    for part in parts {
        let digest: Digest = part["digest"].as_str().unwrap().parse().unwrap();
        let content = std::fs::read(back.join(digest.hex())).unwrap();
        assert_eq!(Digest::sha256(&content), digest);
    }
}

fn a_large_layer_comes_back_byte_for_byte(bench: &Bench) {
    let digest = Layout::create(&bench.source()).add_large_image("it", 40 << 20);
    // skopeo would compress it.
    bench.push("image:1", &["--preserve-digests"]);
    let back = bench.skopeo.path("back");
    bench.pull("image:1", "oci", &back, &["--preserve-digests"]);
    assert_eq!(blobs_of(&back), blobs_of(&bench.source()));
    assert!(blobs_of(&back).contains(&digest));
}

fn an_index_comes_back_with_every_image(bench: &Bench) {
    let digest = bench.index();
    bench.push("library/index:1", &["--all"]);
    assert_eq!(Digest::sha256(&bench.raw("library/index:1")), digest);

    let back = bench.skopeo.path("back");
    bench.pull("library/index:1", "oci", &back, &["--all"]);
    assert_eq!(blobs_of(&back), blobs_of(&bench.source()));
    assert!(blobs_of(&back).contains(&digest));
}

fn one_image_of_an_index_can_be_pulled_alone(bench: &Bench) {
    bench.index();
    bench.push("index:1", &["--all"]);
    let back = bench.skopeo.path("back");
    bench.pull("index:1", "dir", &back, &["--override-arch", "arm64"]);
    let manifest = std::fs::read(back.join("manifest.json")).unwrap();
    let digest = Digest::sha256(&manifest);
    assert_eq!(bench.raw(&format!("index@{digest}")), manifest);
}

fn a_second_push_of_the_same_image_changes_nothing(bench: &Bench) {
    let digest = bench.image();
    bench.push("image:1", &[]);
    bench.push("image:1", &[]);
    assert_eq!(bench.digest("image:1"), digest.to_string());
    assert_eq!(bench.tags("image"), ["1"]);
}

fn an_image_can_be_copied_to_another_repository(bench: &Bench) {
    let digest = bench.image();
    bench.push("one/image:1", &[]);
    // skopeo mounts the layers where it can.
    bench.skopeo.run(&[
        "copy",
        "--src-tls-verify=false",
        "--dest-tls-verify=false",
        &bench.reference("one/image:1"),
        &bench.reference("other/image:1"),
    ]);
    let back = bench.skopeo.path("back");
    bench.pull("other/image:1", "oci", &back, &[]);
    assert_eq!(blobs_of(&back), blobs_of(&bench.source()));
    assert_eq!(bench.digest("other/image:1"), digest.to_string());
}

fn a_repository_is_mirrored_with_all_its_tags(bench: &Bench) {
    let digest = bench.image();
    bench.push("image:1", &[]);
    bench.push("image:2", &[]);
    let back = bench.skopeo.path("back");
    let source = bench.reference("image").replace("docker://", "");
    let target = back.display().to_string();
    let sync = ["sync", "--src-tls-verify=false", "--src=docker", "--dest=dir"];
    bench.skopeo.run(&[sync.as_slice(), &[&source, &target]].concat());
    for tag in ["1", "2"] {
        let manifest = std::fs::read(back.join(format!("image:{tag}/manifest.json"))).unwrap();
        assert_eq!(Digest::sha256(&manifest), digest);
    }
}

fn inspect_tells_what_was_pushed(bench: &Bench) {
    let digest = bench.image();
    bench.push("image:1", &[]);
    let told = bench.skopeo.run(&["inspect", "--tls-verify=false", &bench.reference("image:1")]);
    let told: Value = serde_json::from_slice(&told).unwrap();
    assert_eq!(told["Digest"], digest.to_string());
    assert_eq!(told["RepoTags"], serde_json::json!(["1"]));
    assert_eq!(told["Architecture"], "amd64");
    assert_eq!(told["Labels"]["made-by"], "tests");
    assert_eq!(told["Layers"].as_array().unwrap().len(), 2);
}

fn tags_are_listed(bench: &Bench) {
    bench.image();
    for tag in ["2", "latest", "10", "1"] {
        bench.push(&format!("image:{tag}"), &[]);
    }
    let mut tags = bench.tags("image");
    tags.sort();
    assert_eq!(tags, ["1", "10", "2", "latest"]);
}

fn a_deleted_image_is_gone_and_the_others_are_not(bench: &Bench) {
    bench.image();
    bench.push("image:oci", &[]);
    bench.push("image:docker", &["--format", "v2s2"]);
    bench.skopeo.run(&["delete", "--tls-verify=false", &bench.reference("image:oci")]);

    let reference = bench.reference("image:oci");
    let said = bench.skopeo.try_run(&["inspect", "--tls-verify=false", "--raw", &reference]);
    assert!(!said.success);
    assert!(said.errors.contains("manifest unknown"), "{}", said.errors);
    assert_eq!(bench.tags("image"), ["docker"]);
    bench.pull("image:docker", "dir", &bench.skopeo.path("back"), &[]);
}
