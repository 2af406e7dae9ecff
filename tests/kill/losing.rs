//! That a loss is seen: what was acknowledged is taken away below a registry, and the check finds it.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use registry_tests::acknowledged::{Check, Pusher, Scope};
use registry_tests::registry_process::RegistryProcess;
use tempfile::TempDir;

#[test]
fn a_blob_that_is_gone_is_seen_to_be_lost() {
    let losses = losses(|v2| fs::remove_dir_all(v2.join("blobs")).unwrap());
    assert!(losses.iter().any(|loss| loss.contains("blob sha256:")), "{losses:?}");
    assert!(losses.iter().any(|loss| loss.contains("manifest sha256:")), "{losses:?}");
}

#[test]
fn a_tag_whose_manifest_is_gone_is_seen_to_be_half_made() {
    let losses = losses(|v2| each(v2, &|path| path.ends_with("_manifests/revisions")));
    assert!(losses.iter().any(|loss| loss.contains("by-1-v")), "{losses:?}");
}

#[test]
fn a_session_that_is_shorter_than_its_client_was_told_is_seen() {
    let losses = losses(|v2| each(v2, &|path| path.ends_with("data") && is_of_session(path)));
    assert!(losses.iter().any(|loss| loss.contains("a session at 0, expected")), "{losses:?}");
}

/// What is found missing of two images and an upload once `damage` was done below a registry's root.
fn losses(damage: impl FnOnce(&Path)) -> Vec<String> {
    let root = TempDir::new().unwrap();
    let registry = RegistryProcess::start(root.path());
    let mut client = Pusher::new(1, 7, 1 << 20);
    client.speak_to(&[registry.address()], 0, &Arc::default());
    for pushed in [client.push_image(), client.push_image(), client.park()] {
        pushed.expect("nobody kills the server");
    }
    let before = client.losses.clone();
    drop(registry);
    damage(&root.path().join("docker/registry/v2"));
    let registry = RegistryProcess::start(root.path());
    client.speak_to(&[registry.address()], 0, &Arc::default());
    Check::run(&mut client, Scope::Everything);
    assert!(before.is_empty(), "{before:?}");
    client.losses
}

fn is_of_session(path: &Path) -> bool {
    path.parent().and_then(Path::parent).is_some_and(|above| above.ends_with("_uploads"))
}

/// Removes the directories that are of this kind, and empties the files.
fn each(directory: &Path, goes: &dyn Fn(&Path) -> bool) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        match (goes(&path), path.is_dir()) {
            (true, true) => fs::remove_dir_all(&path).unwrap(),
            (true, false) => fs::write(&path, b"").unwrap(),
            (false, true) => each(&path, goes),
            (false, false) => {}
        }
    }
}
