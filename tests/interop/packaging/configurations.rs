//! The configurations that are packed, and the schema beside real ones.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use registry_tests::registry_process::{program, without_variables};
use tempfile::TempDir;

use super::{of_repository, text, well};
use crate::schema::wrongs;

#[test]
fn every_configuration_that_is_packed_starts_without_a_warning() {
    for file in ["image/like-2.yml", "image/like-3.yml", "systemd/config.yml"] {
        let path = of_repository("packaging").join(file);
        let said = well(Command::new(program()).args(["config", "check"]).arg(path));
        assert!(said.contains("storage.filesystem.rootdirectory: /var/lib/registry"), "{said}");
        assert!(!said.contains("warning"), "{said}");
    }
    let dockerfile = text("packaging/Dockerfile");
    for file in ["image/like-2.yml", "image/like-3.yml"] {
        assert!(dockerfile.contains(&format!("packaging/{file}")));
    }
}

/// What no registry starts with, and a schema can tell: it lies in one key.
const WRONG: [&str; 20] = [
    "storage: {filesystem: {}}",
    "version: 0.2\nstorage: {filesystem: {}}",
    "version: 0.1",
    "version: 0.1\nstorage: gcs",
    "version: 0.1\nstorage: {gcs: {bucket: b}}",
    "version: 0.1\nstorage: {filesystem: {}, inmemory: {}}",
    "version: 0.1\nstorage: {s3: {region: r}}",
    "version: 0.1\nstorage: {s3: {bucket: b, chunksize: large}}",
    "version: 0.1\nstorage: {filesystem: {}, delete: {enabled: 'true'}}",
    "version: 0.1\nstorage: {filesystem: {}, redirect: {expiry: 6}}",
    "STORAGElog: {level: loud}",
    "STORAGEauth: {ldap: {}}",
    "STORAGEauth: {htpasswd: {realm: r}}",
    "STORAGEauth: {silly: {realm: r, service: s}, htpasswd: {realm: r, path: p}}",
    "STORAGEproxy: {remoteurl: 'https://a'}",
    "STORAGEmiddleware: {storage: [{name: cloudfront}]}",
    "STORAGEdatabase: {enabled: true}",
    "STORAGEhttp: [a]",
    "STORAGEcatalog: {maxentries: many}",
    "STORAGEnotifications: {endpoints: {a: b}}",
];

#[test]
fn the_schema_takes_real_configurations_and_refuses_wrong_ones() {
    let place = TempDir::new().unwrap();
    let mut files: Vec<(PathBuf, bool)> = Vec::new();
    for entry in fs::read_dir(of_repository("registry-http/src/config/tests/real")).unwrap() {
        let path = entry.unwrap().path();
        // What is wrong about one may lie in more than one key, and then only the registry can say so. PyYAML knows
        // all the words of YAML 1.1 for booleans but `y` and `n`.
        let is_refused = fs::read_to_string(&path).unwrap().contains("\n#! ");
        if !is_refused && !path.ends_with("yaml-1.1.yml") {
            files.push((path, true));
        }
    }
    assert!(files.len() > 10);
    for (at, wrong) in WRONG.into_iter().enumerate() {
        let path = place.path().join(format!("wrong-{at}.yml"));
        let storage = "version: 0.1\nstorage: {filesystem: {}}\n";
        fs::write(&path, wrong.replace("STORAGE", storage)).unwrap();
        // The registry thinks so too.
        let mut check = Command::new(program());
        let checked = without_variables(&mut check).args(["config", "check"]).arg(&path).output();
        assert!(!checked.unwrap().status.success(), "{wrong}");
        files.push((path, false));
    }
    let wrongs = wrongs(files.iter().map(|(path, _)| path.as_path()));
    assert_eq!(wrongs.len(), files.len());
    for (wrong, (path, is_right)) in wrongs.iter().zip(&files) {
        assert_eq!(wrong.is_none(), *is_right, "{}: {wrong:?}", path.display());
    }
}
