//! Accounts of a team: clients log in, push and pull through the token service; who may only read is refused.

use std::fs;
use std::path::Path;

use registry_tests::image::{Layout, blobs_of};
use registry_tests::peers::{Podman, Skopeo};
use registry_tests::registry_process::RegistryProcess;
use tempfile::TempDir;

/// All with the password `secret`, by libxcrypt.
const HASH: &str = "$2b$04$BeUDnQxBbQWPcN2EzgO0f.vo1OUzMiyDsHn1b1GcuFYxS48KJR/XW";

const TEAM: &str = "version: 0.1
storage: {filesystem: {rootdirectory: DIRECTORY/data}, delete: {enabled: true}}
http: {addr: '127.0.0.1:0', secret: s}
auth: {htpasswd: {realm: the team, path: DIRECTORY/htpasswd}}
access:
  anonymous: [{where: public/**, may: R}]
  rules:
    - {who: user:api, where: api/**, may: R}
    - {who: user:api-push, where: [api/**, public/**], may: RWD}
  tokens: {key: DIRECTORY/key.pem}
";

/// A registry of a team, and an image to push.
fn team(text: &str) -> (TempDir, RegistryProcess) {
    let directory = TempDir::new().unwrap();
    let users = ["api", "api-push"].map(|name| format!("{name}:{HASH}\n")).concat();
    fs::write(directory.path().join("htpasswd"), users).unwrap();
    Layout::create(&directory.path().join("images")).add_image("it", "amd64");
    let file = directory.path().join("config.yml");
    fs::write(&file, text.replace("DIRECTORY", directory.path().to_str().unwrap())).unwrap();
    let registry = RegistryProcess::configured(&file, &[]);
    (directory, registry)
}

/// skopeo, logged in as this user, if any.
fn skopeo_as(name: Option<&str>, registry: &str) -> Skopeo {
    let skopeo = Skopeo::new();
    if let Some(name) = name {
        let user = format!("--username={name}");
        let wrong = ["login", "--tls-verify=false", &user, "--password=wrong", registry];
        assert!(!skopeo.try_run(&wrong).success);
        skopeo.run(&["login", "--tls-verify=false", &user, "--password=secret", registry]);
    }
    skopeo
}

fn push(skopeo: &Skopeo, images: &Path, target: &str) -> bool {
    let source = format!("oci:{}:it", images.display());
    skopeo.try_run(&["copy", "--dest-tls-verify=false", &source, target]).success
}

fn pull(skopeo: &Skopeo, target: &str, images: &Path) -> bool {
    let back = TempDir::new().unwrap();
    let back_as = format!("oci:{}:it", back.path().display());
    let done = skopeo.try_run(&["copy", "--src-tls-verify=false", target, &back_as]).success;
    assert!(!done || blobs_of(back.path()) == blobs_of(images));
    done
}

fn each_may_do_what_he_may(text: &str) {
    let (directory, process) = team(text);
    let (registry, images) = (process.address().to_string(), directory.path().join("images"));
    let named = |name: &str| format!("docker://{registry}/{name}:it");
    let (api, public, other) = (named("api/app"), named("public/app"), named("other/app"));

    let pusher = skopeo_as(Some("api-push"), &registry);
    for target in [&api, &public] {
        assert!(push(&pusher, &images, target), "{target}");
        assert!(pull(&pusher, target, &images), "{target}");
    }
    assert!(!push(&pusher, &images, &other));

    let reader = skopeo_as(Some("api"), &registry);
    assert!(pull(&reader, &api, &images) && pull(&reader, &public, &images));
    assert!(!push(&reader, &images, &api) && !push(&reader, &images, &named("api/new")));
    assert!(!reader.try_run(&["delete", "--tls-verify=false", &api]).success);
    assert!(!reader.try_run(&["list-tags", "--tls-verify=false", &other]).success);

    let nobody = skopeo_as(None, &registry);
    assert!(pull(&nobody, &public, &images));
    assert!(!pull(&nobody, &api, &images) && !push(&nobody, &images, &public));

    pusher.run(&["delete", "--tls-verify=false", &api]);
    assert!(!pull(&pusher, &api, &images));
}

#[test]
fn skopeo_may_do_what_its_account_may_through_the_token_service() {
    each_may_do_what_he_may(TEAM);
}

#[test]
fn skopeo_may_do_what_its_account_may_by_password() {
    each_may_do_what_he_may(&TEAM.replace("  tokens: {key: DIRECTORY/key.pem}\n", ""));
}

#[test]
fn podman_logs_in_pushes_and_pulls_through_the_token_service() {
    let (_directory, process) = team(TEAM);
    let registry = process.address().to_string();
    let podman = Podman::new();
    let login = |name: &str, password: &str| {
        let (user, password) = (format!("--username={name}"), format!("--password={password}"));
        podman.try_run(&["login", "--tls-verify=false", &user, &password, &registry]).success
    };
    let name = format!("{registry}/api/app:it");
    // From where podman runs: the path becomes a name, which takes no capital letters.
    Layout::create(&podman.path("images")).add_image("it", "amd64");
    let push = |what: &str| podman.try_run(&["push", "--tls-verify=false", what, &name]).success;
    let loaded = podman.line(&["pull", "--quiet", "--arch=amd64", "oci:images:it"]);

    assert!(!login("api-push", "wrong"));
    assert!(!push(&loaded));
    assert!(login("api-push", "secret"));
    assert!(push(&loaded));
    assert!(login("api", "secret"));
    assert!(!push(&loaded));
    podman.run(&["pull", "--quiet", "--tls-verify=false", "--arch=amd64", &name]);
}
