//! Upload sessions damaged by hand: a client that does as it is told ends with the right blob.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use registry_tests::image::{Layout, blobs_of};
use registry_tests::peers::Skopeo;
use registry_tests::registry_process::RegistryProcess;
use tempfile::TempDir;

use crate::exchange::{Body, ask};
use crate::healing::Damage::{self, Cut, Empty, Garbage, Nuls, Remove};
use crate::upload::{OCTETS, REPOSITORY, Upload, codes, noise, serve, uploads};

/// How many bytes there are in two parts.
const LENGTH: usize = 100_000;

/// What is left of a session.
#[derive(Clone, Copy, Debug)]
enum Left {
    /// So many bytes.
    Bytes(usize),
    /// Nothing: it is unknown.
    Nothing,
}

/// The file of a session, what is done to it, and what is left then.
const DAMAGES: &[(&str, Damage, Left)] = &[
    ("data", Cut, Left::Bytes(LENGTH / 2)),
    ("data", Empty, Left::Bytes(0)),
    // Other programs make the file with the first byte.
    ("data", Remove, Left::Bytes(0)),
    ("startedat", Cut, Left::Nothing),
    ("startedat", Empty, Left::Nothing),
    ("startedat", Remove, Left::Nothing),
    ("startedat", Garbage, Left::Nothing),
    ("startedat", Nuls, Left::Nothing),
    // Nothing says which bytes are sound.
    ("_record", Cut, Left::Bytes(0)),
    ("_record", Empty, Left::Bytes(0)),
    ("_record", Garbage, Left::Bytes(0)),
    ("_record", Nuls, Left::Bytes(0)),
    // A session of another program has none: it is hashed again.
    ("_record", Remove, Left::Bytes(LENGTH)),
    ("hashstates/sha256/100000", Cut, Left::Bytes(LENGTH)),
    ("hashstates/sha256/100000", Empty, Left::Bytes(LENGTH)),
    ("hashstates/sha256/100000", Garbage, Left::Bytes(LENGTH)),
    ("hashstates/sha256/100000", Remove, Left::Bytes(LENGTH)),
];

/// The one session that was not there before.
fn new_session(root: &Path, known: &mut Vec<PathBuf>) -> PathBuf {
    let all = fs::read_dir(uploads(root)).unwrap().map(|entry| entry.unwrap().path());
    let new = all.into_iter().find(|path| !known.contains(path)).unwrap();
    known.push(new.clone());
    new
}

/// Does as a client does: goes on from where it is told, or begins anew.
fn carry_on(at: SocketAddr, mut upload: Upload, content: &[u8], left: Left, why: &str) {
    let rest = Body::Whole(&content[LENGTH..]);
    match left {
        Left::Bytes(LENGTH) => upload.append(at, rest),
        Left::Bytes(length) => {
            let answer = ask(at, "PATCH", &upload.location, OCTETS, rest);
            assert_eq!(answer.status, 416, "{why}");
            upload.sent.truncate(length);
            upload.go_on_from(&answer);
            upload.look(at);
            upload.append(at, Body::Chunked(&content[length..]));
        }
        Left::Nothing => {
            for (method, body) in [("GET", Body::NOTHING), ("PATCH", rest), ("DELETE", rest)] {
                let answer = ask(at, method, &upload.location, OCTETS, body);
                assert_eq!(answer.status, 404, "{method} after {why}");
                assert_eq!(codes(&answer), ["BLOB_UPLOAD_UNKNOWN"], "{method} after {why}");
            }
            upload = Upload::begin(at);
            upload.append(at, Body::Whole(content));
        }
    }
    let (digest, sent) = upload.finish(at, Body::NOTHING);
    assert!(sent == content);
    serve([at], &digest, content);
}

fn a_client_that_does_as_it_is_told_ends_with_the_right_blob(restarts: bool) {
    let root = TempDir::new().unwrap();
    let mut registry = RegistryProcess::start(root.path());
    let mut known = Vec::new();
    for (number, (file, damage, left)) in DAMAGES.iter().enumerate() {
        let content = noise(number as u64, LENGTH + 77_777);
        let mut upload = Upload::begin(registry.address());
        upload.append(registry.address(), Body::Whole(&content[..40_001]));
        upload.append(registry.address(), Body::Chunked(&content[40_001..LENGTH]));
        let session = new_session(root.path(), &mut known);
        damage.apply(&session.join(file));
        if restarts {
            drop(registry);
            registry = RegistryProcess::start(root.path());
        }
        let why = format!("{damage:?} of {file}");
        carry_on(registry.address(), upload, &content, *left, &why);
    }
    // What is left of the sessions is in nobody's way.
    let (images, skopeo) = (TempDir::new().unwrap(), Skopeo::new());
    Layout::create(images.path()).add_image("it", "amd64");
    let image = format!("docker://{}/{REPOSITORY}:1", registry.address());
    let from = format!("oci:{}:it", images.path().display());
    skopeo.run(&["copy", "--dest-tls-verify=false", &from, &image]);
    let back = skopeo.path("back");
    let to = format!("oci:{}:it", back.display());
    skopeo.run(&["copy", "--src-tls-verify=false", &image, &to]);
    assert_eq!(blobs_of(&back), blobs_of(images.path()));
}

#[test]
fn a_client_of_a_damaged_session_ends_with_the_right_blob_while_the_registry_runs() {
    a_client_that_does_as_it_is_told_ends_with_the_right_blob(false);
}

#[test]
fn a_client_of_a_damaged_session_ends_with_the_right_blob_after_a_restart() {
    a_client_that_does_as_it_is_told_ends_with_the_right_blob(true);
}
