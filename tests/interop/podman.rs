//! podman pushes, pulls and searches; the same against Distribution.

use registry_tests::image::Layout;
use registry_tests::peers::Podman;
use serde_json::Value;

use crate::each::on_each_registry;
use crate::look;

on_each_registry! {
    Bench:
    an_image_comes_back_in_each_format
    layers_compressed_with_zstd_come_back
    a_second_push_sends_nothing_but_the_manifest
    another_repository_mounts_the_layers
    each_image_of_an_index_is_pulled_for_its_platform
    an_image_is_pulled_by_its_digest
    search_finds_repositories_by_the_catalog
    search_lists_the_tags_of_a_repository
    what_is_not_there_is_unknown
}

/// podman and a registry.
struct Bench {
    podman: Podman,
    registry: String,
}

impl Bench {
    fn new(registry: &str) -> Self {
        Self { podman: Podman::new(), registry: registry.to_owned() }
    }

    fn name(&self, name: &str) -> String {
        format!("{}/{name}", self.registry)
    }

    /// Takes an image of two layers into podman's storage, as `localhost/<architecture>:it`, and returns its id.
    fn image(&self, architecture: &str) -> String {
        Layout::create(&self.podman.path(architecture)).add_image("it", architecture);
        // From where podman runs: the path becomes a name, which takes no capital letters.
        let source = format!("oci:{architecture}:it");
        let id = self.podman.line(&["pull", "--quiet", "--arch", architecture, &source]);
        self.podman.run(&["tag", &id, &format!("localhost/{architecture}:it")]);
        id
    }

    /// Pushes what has this id, and returns the digest it was told.
    fn push(&self, id: &str, name: &str, flags: &[&str]) -> String {
        let file = self.podman.path("digest");
        let digest_file = format!("--digestfile={}", file.display());
        let name = self.name(name);
        let arguments =
            [&["push", "--quiet", "--tls-verify=false", &digest_file], flags, &[id, &name]];
        self.podman.run(&arguments.concat());
        std::fs::read_to_string(file).unwrap()
    }

    /// Removes all images with their layers: what is pulled next is pulled cold.
    fn forget(&self) {
        self.podman.run(&["rmi", "--all", "--force"]);
        assert_eq!(self.podman.line(&["images", "--all", "--quiet"]), "");
    }

    /// Pulls, and returns the id.
    fn pull(&self, name: &str, flags: &[&str]) -> String {
        let name = self.name(name);
        let arguments = [&["pull", "--quiet", "--tls-verify=false"], flags, &[&name]].concat();
        self.podman.line(&arguments)
    }

    fn search(&self, flags: &[&str], term: &str) -> Value {
        let term = self.name(term);
        let arguments = [&["search", "--tls-verify=false", "--format=json"], flags, &[&term]];
        serde_json::from_slice(&self.podman.run(&arguments.concat())).unwrap()
    }
}

fn an_image_comes_back_in_each_format(bench: &Bench) {
    let id = bench.image("amd64");
    let formats = [
        ("oci", "application/vnd.oci.image.config.v1+json"),
        ("v2s2", "application/vnd.docker.container.image.v1+json"),
    ];
    for (format, config) in formats {
        let name = format!("library/image:{format}");
        let digest = bench.push(&id, &name, &["--format", format]);
        let (found, manifest) = look::manifest(&bench.registry, &name);
        assert_eq!(found.to_string(), digest);
        assert_eq!(manifest["config"]["mediaType"], config);
    }
    for (format, _) in formats {
        bench.forget();
        assert_eq!(bench.pull(&format!("library/image:{format}"), &[]), id, "{format}");
    }
}

fn layers_compressed_with_zstd_come_back(bench: &Bench) {
    let id = bench.image("amd64");
    bench.push(&id, "image:1", &["--format=oci", "--compression-format=zstd"]);
    let (_, manifest) = look::manifest(&bench.registry, "image:1");
    for layer in manifest["layers"].as_array().unwrap() {
        assert_eq!(layer["mediaType"], "application/vnd.oci.image.layer.v1.tar+zstd");
    }
    bench.forget();
    assert_eq!(bench.pull("image:1", &[]), id);
}

fn a_second_push_sends_nothing_but_the_manifest(bench: &Bench) {
    let id = bench.image("amd64");
    let name = bench.name("image:1");
    let push = ["push", "--tls-verify=false", &id, &name];
    let sent = |requests: &[String]| -> Vec<String> {
        let methods = requests.iter().filter_map(|request| request.split(' ').next());
        methods
            .filter(|method| ["POST", "PATCH", "PUT"].contains(method))
            .map(str::to_owned)
            .collect()
    };
    let mut first = sent(&bench.podman.requests(&push));
    first.sort();
    // Two layers and a config, each begun, streamed and finished; the manifest.
    let expected = ["PATCH", "PATCH", "PATCH", "POST", "POST", "POST", "PUT", "PUT", "PUT", "PUT"];
    assert_eq!(first, expected);
    assert_eq!(sent(&bench.podman.requests(&push)), ["PUT"]);
}

fn another_repository_mounts_the_layers(bench: &Bench) {
    let id = bench.image("amd64");
    bench.push(&id, "image:1", &[]);
    let name = bench.name("team/other:1");
    let requests = bench.podman.requests(&["push", "--tls-verify=false", &id, &name]);
    let with = |text: &str| requests.iter().filter(|request| request.contains(text)).count();
    assert_eq!(with("?from=image&mount="), 2, "{requests:#?}");
    assert_eq!(with("PATCH"), 1, "the config alone is sent: {requests:#?}");
    bench.forget();
    assert_eq!(bench.pull("team/other:1", &[]), id);
}

fn each_image_of_an_index_is_pulled_for_its_platform(bench: &Bench) {
    let images = ["amd64", "arm64"].map(|architecture| (architecture, bench.image(architecture)));
    bench.podman.run(&["manifest", "create", "localhost/list:1"]);
    for (architecture, _) in &images {
        let image = format!("containers-storage:localhost/{architecture}:it");
        bench.podman.run(&["manifest", "add", "localhost/list:1", &image]);
    }
    let target = format!("docker://{}", bench.name("index:1"));
    let push = ["manifest", "push", "--all", "--tls-verify=false", "localhost/list:1", &target];
    bench.podman.run(&push);
    let (_, index) = look::manifest(&bench.registry, "index:1");
    assert_eq!(index["manifests"].as_array().unwrap().len(), 2);

    for (architecture, id) in &images {
        bench.forget();
        assert_eq!(&bench.pull("index:1", &["--arch", architecture]), id, "{architecture}");
    }
}

fn an_image_is_pulled_by_its_digest(bench: &Bench) {
    let id = bench.image("amd64");
    let digest = bench.push(&id, "image:1", &[]);
    bench.forget();
    assert_eq!(bench.pull(&format!("image@{digest}"), &[]), id);
}

fn search_finds_repositories_by_the_catalog(bench: &Bench) {
    let id = bench.image("amd64");
    for name in ["one/image:1", "other/image:1", "one/thing:1"] {
        bench.push(&id, name, &[]);
    }
    let found = bench.search(&[], "image");
    let mut names: Vec<_> = found.as_array().unwrap().iter().map(|one| &one["Name"]).collect();
    names.sort_by_key(ToString::to_string);
    assert_eq!(names, [&bench.name("one/image"), &bench.name("other/image")]);
}

fn search_lists_the_tags_of_a_repository(bench: &Bench) {
    let id = bench.image("amd64");
    for name in ["image:2", "image:1"] {
        bench.push(&id, name, &[]);
    }
    let found = bench.search(&["--list-tags"], "image");
    let mut tags = found[0]["Tags"].as_array().unwrap().clone();
    tags.sort_by_key(ToString::to_string);
    assert_eq!(tags, ["1", "2"]);
}

fn what_is_not_there_is_unknown(bench: &Bench) {
    let id = bench.image("amd64");
    bench.push(&id, "image:1", &[]);
    for name in ["image:2", "no/such/repository:1"] {
        let said = bench.podman.try_run(&["pull", "--tls-verify=false", &bench.name(name)]);
        assert!(!said.success);
        assert!(said.errors.contains("manifest unknown"), "{}", said.errors);
    }
}
