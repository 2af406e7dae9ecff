//! buildah builds, pushes and pulls; the same against Distribution.

use std::fs;
use std::path::PathBuf;

use registry_tests::image::noise;
use registry_tests::peers::{Buildah, Context};

use crate::each::on_each_registry;
use crate::look;

on_each_registry! {
    Bench:
    what_was_built_comes_back_in_each_format
    each_image_of_an_index_is_pulled_for_its_platform
    an_image_is_built_upon_one_that_is_pulled
}

/// buildah and a registry.
struct Bench {
    buildah: Buildah,
    registry: String,
}

impl Bench {
    fn new(registry: &str) -> Self {
        Self { buildah: Buildah::new(), registry: registry.to_owned() }
    }

    fn name(&self, name: &str) -> String {
        format!("{}/{name}", self.registry)
    }

    fn remote(&self, name: &str) -> String {
        format!("docker://{}", self.name(name))
    }

    /// Builds in a chroot, which needs no more than root; returns the image's id.
    fn build(&self, name: &str, context: &Context, flags: &[&str]) -> String {
        let path = context.path().display().to_string();
        let arguments = [
            &["bud", "--quiet", "--isolation=chroot", "--layers", "--tls-verify=false"],
            flags,
            &["--tag", name, &path],
        ];
        self.buildah.line(&arguments.concat())
    }

    fn push(&self, image: &str, name: &str, flags: &[&str]) {
        let target = self.remote(name);
        let arguments = [&["push", "--quiet", "--tls-verify=false"], flags, &[image, &target]];
        self.buildah.run(&arguments.concat());
    }

    /// Removes all images with their layers: what is pulled next is pulled cold.
    fn forget(&self) {
        self.buildah.run(&["rmi", "--all", "--force"]);
        assert_eq!(self.buildah.line(&["images", "--all", "--quiet"]), "");
    }

    /// Pulls, and returns the id.
    fn pull(&self, name: &str, flags: &[&str]) -> String {
        let name = self.name(name);
        let arguments = [&["pull", "--quiet", "--tls-verify=false"], flags, &[&name]].concat();
        self.buildah.line(&arguments)
    }

    /// The root of what is in an image.
    fn files(&self, image: &str) -> PathBuf {
        let container = self.buildah.line(&["from", "--pull-never", image]);
        PathBuf::from(self.buildah.line(&["mount", &container]))
    }

    fn remove_containers(&self) {
        self.buildah.run(&["rm", "--all"]);
    }
}

fn what_was_built_comes_back_in_each_format(bench: &Bench) {
    let noise = noise(40 << 20);
    let context = Context::new("RUN echo by running > /made\nCOPY noise /noise\n");
    context.file("noise", &noise);
    let id = bench.build("localhost/built:1", &context, &[]);
    let formats = [
        ("oci", "application/vnd.oci.image.config.v1+json"),
        ("v2s2", "application/vnd.docker.container.image.v1+json"),
    ];
    for (format, config) in formats {
        let name = format!("library/built:{format}");
        bench.push("localhost/built:1", &name, &["--format", format]);
        let (_, manifest) = look::manifest(&bench.registry, &name);
        assert_eq!(manifest["config"]["mediaType"], config);
    }
    for (format, _) in formats {
        bench.forget();
        let name = format!("library/built:{format}");
        let pulled = bench.pull(&name, &[]);
        if format == "oci" {
            assert_eq!(pulled, id);
        }
        let files = bench.files(&pulled);
        assert_eq!(fs::read_to_string(files.join("made")).unwrap(), "by running\n");
        assert!(fs::read(files.join("noise")).unwrap() == noise, "{format} changed the content");
        bench.remove_containers();
    }
}

fn each_image_of_an_index_is_pulled_for_its_platform(bench: &Bench) {
    let images = ["amd64", "arm64"].map(|architecture| {
        let context = Context::new("COPY architecture /architecture\n");
        context.file("architecture", architecture.as_bytes());
        let name = format!("localhost/{architecture}:1");
        (architecture, bench.build(&name, &context, &["--arch", architecture]))
    });
    bench.buildah.run(&["manifest", "create", "localhost/list:1"]);
    for (architecture, _) in &images {
        let name = format!("localhost/{architecture}:1");
        bench.buildah.run(&["manifest", "add", "localhost/list:1", &name]);
    }
    for (format, media_type) in [
        ("oci", "application/vnd.oci.image.index.v1+json"),
        ("v2s2", "application/vnd.docker.distribution.manifest.list.v2+json"),
    ] {
        let name = format!("index:{format}");
        let target = bench.remote(&name);
        let arguments = ["manifest", "push", "--all", "--tls-verify=false", "--format", format];
        bench.buildah.run(&[arguments.as_slice(), &["localhost/list:1", &target]].concat());
        let (_, index) = look::manifest(&bench.registry, &name);
        assert_eq!(index["mediaType"], media_type);
        assert_eq!(index["manifests"].as_array().unwrap().len(), 2);
    }

    for (architecture, id) in &images {
        bench.forget();
        assert_eq!(&bench.pull("index:oci", &["--arch", architecture]), id, "{architecture}");
        let files = bench.files(id);
        assert_eq!(fs::read_to_string(files.join("architecture")).unwrap(), *architecture);
        bench.remove_containers();
    }
}

fn an_image_is_built_upon_one_that_is_pulled(bench: &Bench) {
    bench.build("localhost/base:1", &Context::new("RUN echo below > /base\n"), &[]);
    bench.push("localhost/base:1", "base:1", &[]);
    bench.forget();
    let context = Context::new("");
    let instructions = format!("FROM {}\nRUN cat /base > /copied\n", bench.name("base:1"));
    context.file("Dockerfile", instructions.replace("cat", "/bin/busybox cat").as_bytes());
    bench.build("localhost/upon:1", &context, &[]);
    let requests = bench.buildah.requests(&[
        "push",
        "--tls-verify=false",
        "localhost/upon:1",
        &bench.remote("upon:1"),
    ]);
    let with = |text: &str| requests.iter().filter(|request| request.contains(text)).count();
    assert_eq!(with("?from=base&mount="), 3, "{requests:#?}");
    assert_eq!(with("PATCH"), 2, "the new layer and the config alone are sent: {requests:#?}");

    bench.forget();
    let files = bench.files(&bench.pull("upon:1", &[]));
    assert_eq!(fs::read_to_string(files.join("copied")).unwrap(), "below\n");
    bench.remove_containers();
}
