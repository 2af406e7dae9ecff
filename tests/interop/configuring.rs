//! One configuration, unchanged, for Debian's Distribution and for ours, in turn on one directory.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use registry_tests::image::{Layout, blobs_of};
use registry_tests::peers::{Distribution, Skopeo};
use registry_tests::plain_http::request;
use registry_tests::registry_process::RegistryProcess;
use tempfile::TempDir;

use crate::exchange::{Body, ask, expect};

const OCTETS: &str = "application/octet-stream";

/// What the image of `registry:2` has, with deletion switched on in the words of YAML 1.1, and what joins the two.
const CONFIGURATION: &str = "version: 0.1
log:
  level: info
  fields:
    service: registry
storage:
  cache:
    blobdescriptor: inmemory
  filesystem:
    rootdirectory: DATA
    maxthreads: 0144
  delete:
    enabled: yes
  maintenance:
    uploadpurging: {enabled: true, age: 168h, interval: 24h, dryrun: false}
    readonly:
      enabled: off
http:
  addr: 127.0.0.1:0
  secret: shared
  headers:
    X-Content-Type-Options: [nosniff]
health:
  storagedriver:
    enabled: true
    interval: 10s
    threshold: 3
";

/// Either program.
enum Either {
    Distribution(Distribution),
    Registry(RegistryProcess),
}

impl Either {
    fn start(ours: bool, file: &Path, variables: &[(&str, &str)]) -> Self {
        if ours {
            Self::Registry(RegistryProcess::configured(file, variables))
        } else {
            Self::Distribution(Distribution::configured(file, variables))
        }
    }

    fn address(&self) -> SocketAddr {
        match self {
            Self::Distribution(it) => it.address(),
            Self::Registry(it) => it.address(),
        }
    }
}

fn written(place: &TempDir) -> PathBuf {
    let file = place.path().join("config.yml");
    let data = place.path().join("data");
    fs::write(&file, CONFIGURATION.replace("DATA", data.to_str().unwrap())).unwrap();
    file
}

fn copy(skopeo: &Skopeo, from: &str, to: &str) {
    skopeo.run(&["copy", "--src-tls-verify=false", "--dest-tls-verify=false", from, to]);
}

#[test]
fn the_same_file_starts_either_and_each_goes_on_where_the_other_ended() {
    let (place, images) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let file = written(&place);
    let mut layout = Layout::create(images.path());
    let digest = layout.add_image("image", "amd64");
    let skopeo = Skopeo::new();
    let source = format!("oci:{}:image", images.path().display());

    let mut begun: Option<String> = None;
    for (turn, ours) in [false, true, false, true].into_iter().enumerate() {
        let program = Either::start(ours, &file, &[]);
        let address = program.address();
        // The upload that the one before began.
        if let Some(location) = begun.take() {
            let content = format!("turn {turn}");
            let blob = registry_store::digest::Digest::sha256(content.as_bytes());
            let url = format!("{location}&digest={blob}");
            expect(201, ask(address, "PUT", &url, OCTETS, Body::Whole(content.as_bytes())));
        }
        // The image that the one before pushed, and its deletion.
        if turn > 0 {
            let back = skopeo.path(&format!("back-{turn}"));
            let from = format!("docker://{address}/image:{}", turn - 1);
            copy(&skopeo, &from, &format!("oci:{}:image", back.display()));
            assert_eq!(blobs_of(&back), blobs_of(images.path()));
            let manifest = format!("/v2/image/manifests/{digest}");
            expect(202, ask(address, "DELETE", &manifest, OCTETS, Body::NOTHING));
            assert_eq!(request(address, "GET", &manifest).status, 404);
        }
        copy(&skopeo, &source, &format!("docker://{address}/image:{turn}"));
        let posted = ask(address, "POST", "/v2/image/blobs/uploads/", OCTETS, Body::NOTHING);
        let location = expect(202, posted).header("location").unwrap().to_owned();
        // Either gives whole addresses, as the file does not ask for relative ones.
        assert!(location.starts_with(&format!("http://{address}/v2/image/")), "{location}");
        begun = Some(location);
    }
}

#[test]
fn the_same_variables_mean_the_same_to_either() {
    let place = TempDir::new().unwrap();
    let file = written(&place);
    let other = place.path().join("other");
    fs::create_dir(&other).unwrap();
    let variables = [
        ("REGISTRY_STORAGE_MAINTENANCE_READONLY", "{\"enabled\":true}"),
        ("REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY", other.to_str().unwrap()),
        ("REGISTRY_HTTP_PREFIX", "/under/"),
        ("REGISTRY_LOG_LEVEL", "info"),
        ("REGISTRY_PORT", "tcp://10.0.0.1:5000"),
    ];
    for ours in [false, true] {
        let program = Either::start(ours, &file, &variables);
        let status = |method, target| request(program.address(), method, target).status;
        assert_eq!(status("GET", "/under/v2/"), 200, "ours: {ours}");
        assert_eq!(status("GET", "/v2/"), 404, "ours: {ours}");
        assert_eq!(status("GET", "/"), 200, "ours: {ours}");
        assert_eq!(status("POST", "/under/v2/image/blobs/uploads/"), 405, "ours: {ours}");
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 2, "the other directory was taken");
    }
}

#[test]
fn either_puts_locations_behind_the_same_host() {
    let place = TempDir::new().unwrap();
    let file = written(&place);
    for (host, prefix, expected) in [
        ("https://registry.example.com", "", "https://registry.example.com/v2/image/"),
        ("https://example.com/base/", "/under/", "https://example.com/base/v2/image/"),
        ("https://example.com", "/under/", "https://example.com/v2/image/"),
        ("registry.example.com", "/under/", "http://ADDRESS/under/v2/image/"),
    ] {
        for ours in [false, true] {
            let variables = [("REGISTRY_HTTP_HOST", host), ("REGISTRY_HTTP_PREFIX", prefix)];
            let program = Either::start(ours, &file, &variables);
            let path = format!("{}/v2/image/blobs/uploads/", prefix.trim_end_matches('/'));
            let posted = ask(program.address(), "POST", &path, OCTETS, Body::NOTHING);
            let expected = expected.replace("ADDRESS", &program.address().to_string());
            let location = expect(202, posted).header("location").unwrap().to_owned();
            assert!(location.starts_with(&expected), "ours: {ours}, {host} {prefix}: {location}");
        }
    }
}
