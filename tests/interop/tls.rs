//! skopeo and podman push and pull over TLS, with a certificate of theirs and without; Debian's Distribution, with the same
//! configuration, proves the test.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use registry_tests::certificates::{Authority, Wanted};
use registry_tests::image::{Layout, blobs_of};
use registry_tests::peers::{Distribution, Podman, Skopeo};
use registry_tests::registry_process::RegistryProcess;
use tempfile::TempDir;

/// A registry over TLS, the authorities, and a directory of what a client is given.
struct Bench {
    directory: TempDir,
    clients: Authority,
}

impl Bench {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let (servers, clients) = (Authority::new("servers"), Authority::new("clients"));
        servers.issue(&Wanted::server()).write(directory.path(), "server");
        fs::write(directory.path().join("clients.crt"), clients.certificate()).unwrap();
        let given = directory.path().join("given");
        fs::create_dir(&given).unwrap();
        fs::write(given.join("ca.crt"), servers.certificate()).unwrap();
        Self { directory, clients }
    }

    fn configuration(&self, asks_for_certificates: bool) -> PathBuf {
        let place = self.directory.path().display();
        let clients = format!("    clientcas: [{place}/clients.crt]\n");
        let text = format!(
            "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {place}/data}}}}\nhttp:\n  addr: 127.0.0.1:0\n  tls:\n    \
             certificate: {place}/server.crt\n    key: {place}/server.key\n    minimumtls: tls1.2\n{}",
            if asks_for_certificates { clients.as_str() } else { "" }
        );
        let file = self.directory.path().join("config.yml");
        fs::write(&file, text).unwrap();
        file
    }

    /// What `--cert-dir` names: the authority of servers, and a client's certificate as the programs call it.
    fn given(&self, authority: Option<&Authority>) -> PathBuf {
        let given = self.directory.path().join("given");
        if let Some(authority) = authority {
            let identity = authority.issue(&Wanted::client("alice"));
            fs::write(given.join("client.cert"), identity.certificate).unwrap();
            fs::write(given.join("client.key"), identity.key).unwrap();
        }
        given
    }
}

fn an_image_comes_back_with_skopeo(address: SocketAddr, given: &Path) {
    let skopeo = Skopeo::new();
    let digest = Layout::create(&skopeo.path("source")).add_image("it", "amd64");
    let given = given.to_str().unwrap();
    let name = format!("docker://{address}/team/app:v1");
    skopeo.run(&["copy", "--dest-cert-dir", given, "oci:source:it", &name]);
    skopeo.run(&["copy", "--src-cert-dir", given, &name, "oci:back:it"]);
    assert_eq!(blobs_of(&skopeo.path("source")), blobs_of(&skopeo.path("back")));
    let format = ["inspect", "--cert-dir", given, "--format", "{{.Digest}}", &name];
    assert_eq!(skopeo.line(&format), digest.to_string());
}

fn an_image_comes_back_with_podman(address: SocketAddr, given: &Path) {
    let podman = Podman::new();
    Layout::create(&podman.path("source")).add_image("it", "amd64");
    let given = format!("--cert-dir={}", given.display());
    let id = podman.line(&["pull", "--quiet", "oci:source:it"]);
    let name = format!("{address}/team/app:v2");
    podman.run(&["push", "--quiet", &given, &id, &name]);
    podman.run(&["rmi", "--all", "--force"]);
    assert_eq!(podman.line(&["pull", "--quiet", &given, &name]), id);
}

#[test]
fn skopeo_and_podman_push_and_pull_over_tls() {
    let bench = Bench::new();
    let registry = RegistryProcess::configured(&bench.configuration(false), &[]);
    let given = bench.given(None);
    an_image_comes_back_with_skopeo(registry.address(), &given);
    an_image_comes_back_with_podman(registry.address(), &given);
    // Whoever does not know the authority does not connect.
    let name = format!("docker://{}/team/app:v1", registry.address());
    let said = Skopeo::new().try_run(&["inspect", &name]);
    assert!(said.errors.contains("certificate signed by unknown authority"), "{}", said.errors);
}

#[test]
fn skopeo_and_podman_push_and_pull_with_a_client_certificate_and_not_without() {
    let bench = Bench::new();
    let registry = RegistryProcess::configured(&bench.configuration(true), &[]);
    let name = format!("docker://{}/team/app:v1", registry.address());
    for authority in [None, Some(&Authority::new("clients"))] {
        let given = bench.given(authority);
        let refused = ["inspect", "--cert-dir", given.to_str().unwrap(), &name];
        let said = Skopeo::new().try_run(&refused);
        assert!(said.errors.contains("tls: "), "{}", said.errors);
    }
    let given = bench.given(Some(&bench.clients));
    an_image_comes_back_with_skopeo(registry.address(), &given);
    an_image_comes_back_with_podman(registry.address(), &given);
}

#[test]
fn the_same_configuration_serves_the_same_clients_at_distribution() {
    let bench = Bench::new();
    let registry = Distribution::configured(&bench.configuration(true), &[]);
    let given = bench.given(Some(&bench.clients));
    an_image_comes_back_with_skopeo(registry.address(), &given);
    an_image_comes_back_with_podman(registry.address(), &given);
}
