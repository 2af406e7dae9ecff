//! `registry garbage-collect`: what it prints and takes, and beside whom it does not run.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use registry_store::backend::Key;
use registry_store::digest::{Algorithm, Digest};
use registry_store::layout::{self, RepositoryLayout};
use registry_store::manifest::Manifest;
use registry_tests::backends::BUCKET;
use registry_tests::documents::image;
use registry_tests::plain_http::{request, send};
use registry_tests::registry_process::{RegistryProcess, program, without_variables};
use registry_tests::tree::Tree;
use serde_json::Value;
use tempfile::TempDir;

use crate::configuring::Place;
use crate::listening::push;
use crate::s3::{configuration, served};

fn run(command: &mut Command) -> Output {
    without_variables(command).stdin(Stdio::null()).output().unwrap()
}

fn collect(root: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(program());
    run(command.args(["garbage-collect", "--root"]).arg(root).args(arguments))
}

fn lines(of: &[u8]) -> Vec<&str> {
    std::str::from_utf8(of).unwrap().lines().collect()
}

/// An image that a tag points at, one that a tag pointed at, and a blob that nothing refers to.
struct Filled {
    kept: Manifest,
    moved: Manifest,
    loose: Digest,
}

fn fill(root: &Path) -> Filled {
    let registry = RegistryProcess::start(root);
    let (kept, moved) = (image(b"{}", &[b"kept"]), image(b"{}", &[b"moved"]));
    for content in [&b"{}"[..], b"kept", b"moved"] {
        push(registry.address(), "app", content);
    }
    for image in [&moved, &kept] {
        let (url, media_type) = ("/v2/app/manifests/v1", image.media_type().as_str());
        assert_eq!(send(registry.address(), "PUT", url, media_type, image.bytes()).status, 201);
    }
    let loose = push(registry.address(), "other/app", b"loose");
    Filled { kept, moved, loose }
}

fn sha256(manifest: &Manifest) -> Digest {
    manifest.digest(Algorithm::Sha256)
}

#[test]
fn it_says_what_it_takes_and_takes_it_as_distribution_does() {
    let root = TempDir::new().unwrap();
    let Filled { kept, moved, loose } = fill(root.path());
    let (kept, moved, layer) = (sha256(&kept), sha256(&moved), Digest::sha256(b"moved"));
    let before = Tree::read(root.path());

    let output = collect(root.path(), &["--dry-run"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let mut marked = [kept, moved];
    marked.sort();
    let expected = [
        "app".to_owned(),
        format!("app: marking manifest {}", marked[0]),
        format!("app: marking manifest {}", marked[1]),
        "other/app".to_owned(),
        format!("other/app: layer link eligible for deletion: {loose}"),
        format!("blob eligible for deletion: {loose}"),
        "total: repositories: 2, manifests: 2, marked: 5, blobs: 6; would delete: manifests: 0, links: 1, blobs: 1, \
         bytes: 5; left as young: 0; damaged: 0"
            .to_owned(),
    ];
    assert_eq!(lines(&output.stdout), expected);
    assert_eq!(Tree::read(root.path()), before);

    let output = collect(root.path(), &["-m"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let said = lines(&output.stdout);
    assert!(
        said.contains(&format!("app: manifest eligible for deletion: {moved}").as_str()),
        "{said:?}"
    );
    for digest in [moved, layer, loose] {
        assert!(
            said.contains(&format!("blob eligible for deletion: {digest}").as_str()),
            "{said:?}"
        );
        assert!(!root.path().join(layout::blob_place(&digest).as_str()).exists(), "{digest}");
    }
    let registry = RegistryProcess::start(root.path());
    let get = |url: String| request(registry.address(), "GET", &url).status;
    assert_eq!(get(format!("/v2/app/manifests/{kept}")), 200);
    assert_eq!(get(format!("/v2/app/blobs/{}", Digest::sha256(b"kept"))), 200);
    assert_eq!(get(format!("/v2/app/manifests/{moved}")), 404);
    assert_eq!(get(format!("/v2/app/blobs/{layer}")), 404);
}

#[test]
fn a_manifest_that_may_not_be_deleted_is_named_and_the_others_go() {
    let above = TempDir::new().unwrap();
    let root = above.path().join("data");
    fs::create_dir(&root).unwrap();
    let Filled { kept, moved, loose } = fill(&root);
    let registry = RegistryProcess::start(&root);
    let more = image(b"{}", &[b"more"]);
    push(registry.address(), "app", b"more");
    for image in [&more, &kept] {
        let (url, media_type) = ("/v2/app/manifests/v1", image.media_type().as_str());
        assert_eq!(send(registry.address(), "PUT", url, media_type, image.bytes()).status, 201);
    }
    drop(registry);
    let layout = RepositoryLayout::new(&"app".parse().unwrap());
    let link = |manifest: &Manifest| layout.revision_link(&sha256(manifest));
    let held = root.join(link(&moved).parent().unwrap().as_str());
    let mut command = Command::new(program());
    if fs::metadata(&root).unwrap().uid() == 0 {
        command = as_nobody(above.path());
    }
    fs::set_permissions(&held, Permissions::from_mode(0o555)).unwrap();
    let output = run(command.args(["garbage-collect", "-m", "--root"]).arg(&root));
    let said = lines(&output.stdout).join("\n");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(said.contains(link(&moved).as_str()), "{said}");
    assert!(!said.contains(link(&more).as_str()), "{said}");
    let is_there = |key: Key| root.join(key.as_str()).exists();
    assert!(is_there(link(&moved)) && !is_there(link(&more)));
    // What it refers to stays, and what the other referred to goes.
    assert!(is_there(layout::blob(&Digest::sha256(b"moved"))));
    assert!(!is_there(layout::blob(&Digest::sha256(b"more"))) && !is_there(layout::blob(&loose)));
    fs::set_permissions(&held, Permissions::from_mode(0o777)).unwrap();
    assert!(collect(&root, &["-m"]).status.success());
    assert!(!is_there(link(&moved)) && !is_there(layout::blob(&Digest::sha256(b"moved"))));
}

/// No permission binds the superuser: a program that is nobody, whose everything below `above` then is.
fn as_nobody(above: &Path) -> Command {
    let copy = above.join("registry");
    fs::copy(program(), &copy).unwrap();
    let given = Command::new("chown").arg("-R").arg("65534:65534").arg(above).status().unwrap();
    assert!(given.success());
    let mut command = Command::new(copy);
    command.uid(65534).gid(65534).current_dir("/");
    command
}

#[test]
fn quiet_says_nothing_where_nothing_is_damaged() {
    let root = TempDir::new().unwrap();
    fill(root.path());
    let output = collect(root.path(), &["--quiet", "--delete-untagged"]);
    assert!(
        output.status.success() && output.stdout.is_empty() && output.stderr.is_empty(),
        "{output:?}"
    );
}

#[test]
fn every_line_can_be_json() {
    let root = TempDir::new().unwrap();
    let Filled { loose, .. } = fill(root.path());
    let output = collect(root.path(), &["-d", "--json"]);
    let said: Vec<Value> =
        lines(&output.stdout).iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let blob = said.iter().find(|line| line["step"] == "delete-blob").unwrap();
    assert_eq!(
        (blob["digest"].as_str(), &blob["size"]),
        (Some(loose.to_string().as_str()), &5.into())
    );
    let total = said.last().unwrap();
    assert_eq!((&total["step"], &total["deletedBytes"]), (&"total".into(), &5.into()));
}

#[test]
fn damage_is_named_keeps_its_repository_and_is_no_success() {
    let root = TempDir::new().unwrap();
    let Filled { kept, moved, loose } = fill(root.path());
    let blob = layout::blob(&sha256(&kept));
    fs::write(root.path().join(blob.as_str()), "").unwrap();
    let output = collect(root.path(), &["-m", "-q"]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let [line] = lines(&output.stdout)[..] else { panic!("{output:?}") };
    assert!(line.starts_with(&format!("app: damaged, all of it is kept: {blob}: ")), "{line}");
    let log = lines(&output.stderr);
    assert!(log.last().unwrap().starts_with("registry: damage was found (objects: 1)"), "{log:?}");
    assert!(root.path().join(layout::blob(&sha256(&moved)).as_str()).exists());
    assert!(!root.path().join(layout::blob(&loose).as_str()).exists());
}

#[test]
fn it_does_not_run_beside_a_registry_that_writes_but_beside_one_that_reads() {
    let root = TempDir::new().unwrap();
    let Filled { loose, .. } = fill(root.path());
    let registry = RegistryProcess::start(root.path());
    let output = collect(root.path(), &[]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let log = lines(&output.stderr);
    assert!(log[0].contains("a registry that writes has it open"), "{log:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    let url = format!("/v2/other/app/blobs/{loose}");
    assert_eq!(request(registry.address(), "GET", &url).status, 200);
    assert!(collect(root.path(), &["-d"]).status.success());
    drop(registry);

    let registry = RegistryProcess::start_with(root.path(), &["--read-only"]);
    assert!(collect(root.path(), &[]).status.success());
    assert_eq!(request(registry.address(), "GET", &url).status, 404);
}

#[test]
fn a_registry_does_not_start_beside_a_collection() {
    let root = TempDir::new().unwrap();
    fill(root.path());
    // The lock as a collector holds it.
    let locks: Vec<_> =
        fs::read_dir(root.path().join("_rs/lock")).unwrap().map(Result::unwrap).collect();
    let name = Digest::sha256(layout::writers().as_str().as_bytes()).hex();
    let lock = locks.iter().find(|lock| lock.file_name() == name.as_str()).unwrap();
    let held = fs::File::open(lock.path()).unwrap();
    rustix::fs::flock(&held, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let mut command = Command::new(program());
    let output = run(command.args(["--addr", "127.0.0.1:0", "--root"]).arg(root.path()));
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let log = lines(&output.stderr);
    assert!(log.last().unwrap().contains("garbage is being collected"), "{log:?}");
    RegistryProcess::start_with(root.path(), &["--read-only"]);
    drop(held);
    RegistryProcess::start(root.path());
}

#[test]
fn nothing_that_is_done_to_the_lock_files_lets_a_collection_in() {
    let root = TempDir::new().unwrap();
    fill(root.path());
    let registry = RegistryProcess::start(root.path());
    fs::remove_dir_all(root.path().join("_rs")).unwrap();
    let output = collect(root.path(), &[]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(lines(&output.stderr)[0].contains("a registry that writes has it open"), "{output:?}");
    drop(registry);
    assert!(collect(root.path(), &[]).status.success());
}

#[test]
fn flags_may_have_values_as_those_of_distribution_may() {
    let root = TempDir::new().unwrap();
    let Filled { loose, moved, .. } = fill(root.path());
    let is_there = |digest: &Digest| root.path().join(layout::blob(digest).as_str()).exists();
    for flags in [&["--dry-run=true", "-m"][..], &["-d=true"], &["-dm"], &["-m=true", "-d=1"]] {
        let output = collect(root.path(), flags);
        assert_eq!(output.status.code(), Some(0), "{flags:?}: {output:?}");
        assert!(is_there(&loose), "{flags:?}");
    }
    let flags = ["--delete-untagged=false", "-d=false", "--quiet=true"];
    let output = collect(root.path(), &flags);
    assert!(output.status.success() && output.stdout.is_empty(), "{output:?}");
    assert!(!is_there(&loose) && is_there(&sha256(&moved)));
    assert!(collect(root.path(), &["--delete-untagged=true", "-q"]).status.success());
    assert!(!is_there(&sha256(&moved)));
}

#[test]
fn a_directory_without_a_registrys_data_is_no_success() {
    let root = TempDir::new().unwrap();
    fs::write(root.path().join("file"), "").unwrap();
    for flags in [&["-d"][..], &[]] {
        let output = collect(root.path(), flags);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(output.stdout.is_empty(), "{output:?}");
    }
}

#[test]
fn blobs_without_repositories_go_only_if_that_is_said() {
    let root = TempDir::new().unwrap();
    let Filled { loose, .. } = fill(root.path());
    let blob = root.path().join(layout::blob(&loose).as_str());
    fs::remove_dir_all(root.path().join(layout::repositories().as_str())).unwrap();
    for flags in [&[][..], &["-d"], &["-m"]] {
        let output = collect(root.path(), flags);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(lines(&output.stderr)[0].contains("--no-repositories"), "{output:?}");
        assert!(blob.exists());
    }
    assert!(collect(root.path(), &["--no-repositories"]).status.success());
    assert!(!blob.exists());
}

#[test]
fn a_configuration_of_distribution_says_where_the_data_is() {
    let place = Place::usual();
    let Filled { loose, .. } = fill(&place.data());
    let file = place.file();
    let mut command = Command::new(program());
    let output = run(command.args(["garbage-collect", "--dry-run"]).arg(&file));
    assert!(output.status.success(), "{output:?}");
    assert!(
        lines(&output.stdout).contains(&format!("blob eligible for deletion: {loose}").as_str())
    );
    // Flags may stand behind it, too.
    let mut command = Command::new(program());
    assert!(run(command.arg("garbage-collect").arg(&file).args(["-m", "-q"])).status.success());
    assert!(!place.data().join(layout::blob(&loose).as_str()).exists());
}

#[test]
fn a_bucket_is_collected_once_it_is_said_that_nobody_writes() {
    let bucket = served();
    let digest = Digest::of(Algorithm::Sha512, b"loose");
    let link = RepositoryLayout::new(&"app".parse().unwrap()).layer_link(&digest);
    bucket.s3.put(BUCKET, layout::blob(&digest).as_str(), "loose");
    bucket.s3.put(BUCKET, link.as_str(), digest.to_string());
    let place = configuration(&bucket.server.endpoint(), "", "");
    let run = |flags: &[&str]| {
        let mut command = place.registry();
        command.arg("garbage-collect").arg(place.file()).args(flags).output().unwrap()
    };
    let output = run(&[]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(lines(&output.stderr)[0].contains("--nobody-writes"), "{output:?}");
    let output = run(&["--dry-run"]);
    assert!(
        lines(&output.stdout).contains(&format!("blob eligible for deletion: {digest}").as_str())
    );
    assert_eq!(bucket.s3.objects(BUCKET).len(), 2);
    assert!(run(&["--nobody-writes"]).status.success());
    let left: Vec<_> = bucket.s3.objects(BUCKET).into_keys().collect();
    assert!(!left.iter().any(|name| name.starts_with("docker/")), "{left:?}");
}

#[test]
fn a_data_directory_that_is_not_there_is_not_made() {
    let above = TempDir::new().unwrap();
    let root = above.path().join("missing");
    for flags in [&[][..], &["-d"]] {
        assert_eq!(collect(&root, flags).status.code(), Some(1));
        assert!(!root.exists());
    }
}
