//! The image: built of a static program as the Dockerfile says, and run as those are whose place it takes.

use std::fs;
use std::os::unix::fs::chown;
use std::path::PathBuf;
use std::process::{Command, ExitStatus};

use registry_tests::image::{Layout, blobs_of};
use registry_tests::peers::{Podman, Skopeo};
use registry_tests::plain_http::request;
use registry_tests::registry_process::{RegistryProcess, static_program};
use rustix::process::Signal;

use super::{of_repository, well};

/// Who serves in Harbor, and owns its data there.
const HARBOR: u32 = 10000;

/// The images, with podman that has built them.
pub(super) struct Images {
    pub(super) podman: Podman,
    /// All that the last stages of the Dockerfile take from the first.
    tree: PathBuf,
}

impl Images {
    /// Of a program that was built here, since the first stage would fetch a compiler; trusting these authorities.
    pub(super) fn built(targets: &[&str], authorities: &str) -> Self {
        let podman = Podman::new();
        let certificates = podman.path("certificates.crt");
        fs::write(&certificates, authorities).unwrap();
        let stage = podman.path("stage");
        let this = Self { podman, tree: stage.join("image") };
        let mut assemble = Command::new(of_repository("packaging/image/assemble"));
        well(assemble.arg(static_program()).arg(certificates).arg(&this.tree));
        let file = of_repository("packaging/Dockerfile").display().to_string();
        let context = format!("--build-context=build={}", stage.display());
        let repository = of_repository("").display().to_string();
        for target in targets {
            let image = image(target);
            let build = ["build", "--quiet", "--layers=false", "--file", &file, &context];
            let this_one = ["--target", target, "--tag", &image, &repository];
            this.podman.run(&[&build[..], &this_one].concat());
        }
        this
    }

    /// A directory for one of Harbor's volumes.
    pub(super) fn volume(&self, name: &str) -> PathBuf {
        let path = self.podman.path(name);
        fs::create_dir_all(&path).unwrap();
        chown(&path, Some(HARBOR), Some(HARBOR)).unwrap();
        path
    }

    /// Serves, by an image and with flags and arguments, until this is dropped; at ports that are free.
    pub(super) fn serve(&self, target: &str, flags: &[&str], arguments: &[&str]) -> Container<'_> {
        let name = format!("serving-{target}");
        let always = [
            "--name",
            &name,
            "--read-only",
            "--user=10000:10000",
            "--env=REGISTRY_HTTP_ADDR=127.0.0.1:0",
            "--env=REGISTRY_HTTP_DEBUG_ADDR=127.0.0.1:0",
        ];
        let flags = [&always[..], flags].concat();
        let mut command = self.podman.container(&flags, &image(target), arguments);
        let registry = Some(RegistryProcess::greeted(&mut command));
        Container { registry, podman: &self.podman, name }
    }

    /// What is printed by a command that is given to an image.
    fn printed(&self, target: &str, flags: &[&str], arguments: &[&str]) -> String {
        well(&mut self.podman.container(flags, &image(target), arguments))
    }
}

fn image(target: &str) -> String {
    format!("localhost/registry:{target}")
}

/// A registry that serves from an image.
pub(super) struct Container<'a> {
    registry: Option<RegistryProcess>,
    podman: &'a Podman,
    name: String,
}

impl Container<'_> {
    pub(super) fn registry(&mut self) -> &mut RegistryProcess {
        self.registry.as_mut().unwrap()
    }

    /// Asks it to end, and waits until it has.
    fn ended(mut self) -> ExitStatus {
        self.podman.run(&["kill", "--signal=TERM", &self.name]);
        self.registry.take().unwrap().wait()
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        // Whatever became of the test; it may have ended by itself.
        let _ = self.podman.try_run(&["rm", "--force", "--time=0", &self.name]);
    }
}

#[test]
fn the_images_hold_the_program_and_what_it_needs_and_nothing_else() {
    let images = Images::built(&["like-2", "like-3"], "no authority\n");
    let in_both = [
        "drwxr-xr-x bin/",
        "-rwxr-xr-x bin/registry",
        "drwxr-xr-x etc/",
        "drwxr-xr-x etc/ssl/",
        "drwxr-xr-x etc/ssl/certs/",
        "-rw-r--r-- etc/ssl/certs/ca-certificates.crt",
        "drwxrwxrwt tmp/",
        "drwxr-xr-x var/",
        "drwxr-xr-x var/lib/",
        "drwxr-xr-x var/lib/registry/",
    ];
    let of_2 = [
        "drwxr-xr-x etc/docker/",
        "drwxr-xr-x etc/docker/registry/",
        "-rw-r--r-- etc/docker/registry/config.yml",
    ];
    let of_3 = ["drwxr-xr-x etc/distribution/", "-rw-r--r-- etc/distribution/config.yml"];
    for (target, own) in [("like-2", of_2.as_slice()), ("like-3", &of_3)] {
        let container = images.podman.line(&["create", &image(target)]);
        let tar = images.podman.path("export.tar");
        images.podman.run(&["export", "--output", tar.to_str().unwrap(), &container]);
        images.podman.run(&["rm", &container]);
        let listed = well(Command::new("tar").args(["--list", "--verbose", "--file"]).arg(tar));
        let mut found: Vec<String> = listed
            .lines()
            .map(|line| {
                let words: Vec<&str> = line.split_whitespace().collect();
                assert_eq!(words[1], "0/0", "{line}");
                [words[0], words[words.len() - 1]].join(" ")
            })
            .collect();
        found.sort_by(|one, other| one[11..].cmp(&other[11..]));
        let mut expected = [&in_both[..], own].concat();
        expected.sort_by_key(|line| &line[11..]);
        assert_eq!(found, expected, "{target}");

        let size = images.podman.line(&["image", "inspect", "--format={{.Size}}", &image(target)]);
        let program = fs::metadata(images.tree.join("bin/registry")).unwrap().len();
        assert!(size.parse::<u64>().unwrap() < program + (256 << 10), "{size}, {program}");
    }
}

#[test]
fn each_image_serves_by_its_configuration_as_another_user_on_a_root_that_cannot_be_written() {
    let images = Images::built(&["like-2", "like-3"], "no authority\n");
    let skopeo = Skopeo::new();
    let digest = Layout::create(&skopeo.path("source")).add_image("it", "amd64");
    for (target, of_a_delete) in [("like-2", 405), ("like-3", 202)] {
        let data = images.volume(&format!("data-{target}"));
        let volume = format!("--volume={}:/var/lib/registry", data.display());
        let mut container = images.serve(target, &[&volume], &[]);
        let address = container.registry().address();
        let name = format!("docker://{address}/library/app:1");
        skopeo.run(&["copy", "--dest-tls-verify=false", "oci:source:it", &name]);
        let back = format!("oci:{target}:it");
        skopeo.run(&["copy", "--src-tls-verify=false", &name, &back]);
        assert_eq!(blobs_of(&skopeo.path("source")), blobs_of(&skopeo.path(target)));
        let manifest = format!("/v2/library/app/manifests/{digest}");
        assert_eq!(request(address, "DELETE", &manifest).status, of_a_delete);
        assert_eq!(container.ended().code(), Some(0), "{target}");
        assert!(data.join("docker/registry/v2/repositories/library/app").exists());
    }
}

#[test]
fn what_is_given_to_an_image_is_a_command_of_the_program() {
    let images = Images::built(&["like-2"], "no authority\n");
    assert!(images.printed("like-2", &[], &["--version"]).starts_with("registry "));
    // As it is started for registry:2: with the program's name and without.
    let data = images.volume("data");
    let volume = format!("--volume={}:/var/lib/registry", data.display());
    let config = "/etc/docker/registry/config.yml";
    for serve in [&["serve", config][..], &["registry", "serve", config]] {
        let traces = "--env=OTEL_TRACES_EXPORTER=zipkin";
        let mut container = images.serve("like-2", &[&volume, traces], serve);
        assert_eq!(request(container.registry().address(), "GET", "/v2/").status, 200);
        // Traces are in it, if not these.
        container.registry().log_line("OTEL_TRACES_EXPORTER: expected otlp or none");
        container.registry().signal(Signal::TERM);
        let ended = container.registry.take().unwrap().wait();
        assert_eq!(ended.code(), Some(0), "{serve:?}");
    }
    let collect = ["garbage-collect", "--dry-run", "--nobody-writes", config];
    let said = images.printed("like-2", &["--read-only", &volume], &collect);
    assert!(said.contains("would delete: manifests: 0"), "{said}");
}
