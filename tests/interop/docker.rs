//! docker, with a daemon of its own, builds, pushes, pulls and runs; the same against Distribution.

use registry_tests::image::noise;
use registry_tests::peers::{Context, Docker};

use crate::each::on_each_registry;
use crate::look;

on_each_registry! {
    Bench:
    layers_pushed_in_parallel_come_back
    a_second_push_sends_no_layer
    another_repository_mounts_the_layers
    a_pulled_image_runs
    an_image_is_pulled_by_its_digest
    all_tags_are_pulled_at_once
    each_image_of_an_index_is_pulled_for_its_platform
    what_is_not_there_is_unknown
    what_was_deleted_can_be_pushed_again
}

/// docker and a registry.
struct Bench {
    docker: Docker,
    registry: String,
}

impl Bench {
    fn new(registry: &str) -> Self {
        Self { docker: Docker::start(), registry: registry.to_owned() }
    }

    fn name(&self, name: &str) -> String {
        format!("{}/{name}", self.registry)
    }

    /// Builds an image of three layers, the last with this text in `/text`, and returns its id.
    fn build(&self, name: &str, text: &str) -> String {
        let context = Context::new("COPY text /text\nCMD [\"/bin/busybox\", \"cat\", \"/text\"]\n");
        context.file("text", text.as_bytes());
        self.build_of(name, &context)
    }

    fn build_of(&self, name: &str, context: &Context) -> String {
        let path = context.path().display().to_string();
        self.docker.run(&["build", "--quiet", "--tag", &self.name(name), &path])
    }

    /// Pushes, and returns the digest it was told and all that was printed.
    fn push(&self, name: &str) -> (String, String) {
        let said = self.docker.run(&["push", &self.name(name)]);
        let digest = said.rsplit("digest: ").next().and_then(|rest| rest.split(' ').next());
        (digest.unwrap().to_owned(), said)
    }

    fn pull(&self, name: &str) -> String {
        self.docker.run(&["pull", &self.name(name)])
    }

    /// Removes all images with their layers: what is pulled next is pulled cold.
    fn forget(&self) {
        self.docker.run(&["image", "prune", "--all", "--force"]);
        assert_eq!(self.docker.run(&["image", "ls", "--all", "--quiet"]), "");
    }

    fn id(&self, name: &str) -> String {
        self.docker.run(&["image", "inspect", "--format", "{{.Id}}", &self.name(name)])
    }
}

fn count(said: &str, words: &str) -> usize {
    said.lines().filter(|line| line.ends_with(words)).count()
}

fn layers_pushed_in_parallel_come_back(bench: &Bench) {
    let context = Context::new("COPY one /one\nCOPY two /two\nCOPY noise /noise\n");
    context.file("one", b"1");
    context.file("two", b"2");
    context.file("noise", &noise(40 << 20));
    let id = bench.build_of("library/app:1", &context);
    let (digest, said) = bench.push("library/app:1");
    assert_eq!(count(&said, ": Pushed"), 5, "{said}");
    assert_eq!(look::manifest(&bench.registry, "library/app:1").0.to_string(), digest);

    bench.forget();
    let said = bench.pull("library/app:1");
    assert_eq!(count(&said, ": Pull complete"), 5, "{said}");
    assert!(said.contains(&format!("Digest: {digest}\n")), "{said}");
    // An id stands for the content of every layer: docker checks them.
    assert_eq!(bench.id("library/app:1"), id);
}

fn a_second_push_sends_no_layer(bench: &Bench) {
    bench.build("app:1", "text");
    let (digest, _) = bench.push("app:1");
    let (again, said) = bench.push("app:1");
    assert_eq!(count(&said, ": Layer already exists"), 3, "{said}");
    assert_eq!(again, digest);
}

fn another_repository_mounts_the_layers(bench: &Bench) {
    let id = bench.build("app:1", "text");
    let (digest, _) = bench.push("app:1");
    bench.docker.run(&["tag", &bench.name("app:1"), &bench.name("team/other:1")]);
    let (other, said) = bench.push("team/other:1");
    assert_eq!(count(&said, ": Mounted from app"), 3, "{said}");
    assert_eq!(other, digest);
    bench.forget();
    bench.pull("team/other:1");
    assert_eq!(bench.id("team/other:1"), id);
}

fn a_pulled_image_runs(bench: &Bench) {
    bench.build("app:1", "said by the image");
    bench.push("app:1");
    bench.forget();
    bench.pull("app:1");
    let run = ["run", "--rm", "--network=none", "--security-opt=apparmor=unconfined"];
    let said = bench.docker.run(&[run.as_slice(), &[&bench.name("app:1")]].concat());
    assert_eq!(said, "said by the image");
}

fn an_image_is_pulled_by_its_digest(bench: &Bench) {
    let id = bench.build("app:1", "text");
    let (digest, _) = bench.push("app:1");
    bench.forget();
    let name = format!("app@{digest}");
    bench.pull(&name);
    assert_eq!(bench.id(&name), id);
}

fn all_tags_are_pulled_at_once(bench: &Bench) {
    let one = bench.build("app:1", "one");
    let two = bench.build("app:2", "two");
    bench.docker.run(&["push", "--all-tags", &bench.name("app")]);
    bench.forget();
    bench.docker.run(&["pull", "--all-tags", &bench.name("app")]);
    assert_eq!([bench.id("app:1"), bench.id("app:2")], [one, two]);
}

fn each_image_of_an_index_is_pulled_for_its_platform(bench: &Bench) {
    let (here, there) = (bench.build("here:1", "here"), bench.build("there:1", "there"));
    bench.push("here:1");
    bench.push("there:1");
    // The images come from other repositories, so the client mounts their layers.
    let [index, on_here, on_there] = ["app:1", "here:1", "there:1"].map(|name| bench.name(name));
    bench.docker.run(&["manifest", "create", "--insecure", &index, &on_here, &on_there]);
    let (own, other) = architectures(bench);
    bench.docker.run(&["manifest", "annotate", "--arch", other, &index, &on_there]);
    let digest = bench.docker.run(&["manifest", "push", "--insecure", &index]);
    let digest = digest.lines().last().unwrap();
    let (found, said) = look::manifest(&bench.registry, "app:1");
    assert_eq!(found.to_string(), digest);
    assert_eq!(said["mediaType"], "application/vnd.docker.distribution.manifest.list.v2+json");

    for (architecture, id) in [(own.as_str(), here), (other, there)] {
        bench.forget();
        bench.docker.run(&["pull", "--platform", &format!("linux/{architecture}"), &index]);
        assert_eq!(bench.id("app:1"), id, "{architecture}");
    }
}

/// That of this machine, which is that of what is built here, and one that is not.
fn architectures(bench: &Bench) -> (String, &'static str) {
    let own = bench.docker.run(&["version", "--format", "{{.Server.Arch}}"]);
    let other = if own == "arm64" { "amd64" } else { "arm64" };
    (own, other)
}

fn what_is_not_there_is_unknown(bench: &Bench) {
    bench.build("app:1", "text");
    bench.push("app:1");
    for name in ["app:2", "no/such/repository:1"] {
        let said = bench.docker.try_run(&["pull", &bench.name(name)]);
        assert!(!said.success);
        assert!(said.errors.contains("not found: manifest unknown"), "{}", said.errors);
    }
}

fn what_was_deleted_can_be_pushed_again(bench: &Bench) {
    let id = bench.build("app:1", "text");
    let (digest, _) = bench.push("app:1");
    look::delete(&bench.registry, "app:1");
    assert!(!bench.docker.try_run(&["pull", &bench.name("app:1")]).success);
    assert_eq!(bench.push("app:1").0, digest);
    bench.forget();
    bench.pull("app:1");
    assert_eq!(bench.id("app:1"), id);
}
