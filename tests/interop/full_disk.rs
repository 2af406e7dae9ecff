//! The program on a disk that is really full: a filesystem in memory of a few mebibytes.
//!
//! It is mounted where only the program sees it, which needs root, and goes when the program ends.

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use registry_store::digest::Digest;
use registry_tests::documents::image;
use registry_tests::plain_http::{Answer, answer, connect};
use registry_tests::registry_process::{RegistryProcess, program};
use tempfile::TempDir;

/// The program with its data on a disk of 4 MiB, mounted at `root`.
fn start(root: &Path) -> RegistryProcess {
    let mount =
        "mount -t tmpfs -o size=4m tmpfs \"$1\" && exec \"$2\" --addr 127.0.0.1:0 --root \"$1\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "--", "sh", "-c", mount, "sh"]).arg(root).arg(program());
    RegistryProcess::greeted(&mut command)
}

fn ask(address: SocketAddr, line: &str, body: &[u8]) -> Answer {
    let mut stream = connect(address);
    write!(
        stream,
        "{line} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    )
    .unwrap();
    // What is refused may not be read to its end.
    let _ = stream.write_all(body);
    answer(&mut stream, !line.starts_with("HEAD"))
}

fn is_full(answer: &Answer, told: &str) {
    let body = String::from_utf8_lossy(&answer.body);
    assert_eq!(answer.status, 507, "{told}: {body}");
    assert!(body.contains("\"code\":\"UNKNOWN\"") && body.contains("full"), "{body}");
}

fn begin(address: SocketAddr) -> String {
    let begun = ask(address, "POST /v2/app/blobs/uploads/", b"");
    assert_eq!(begun.status, 202);
    begun.header("location").unwrap().to_owned()
}

/// Where a session has come to, and where it goes on.
fn status(address: SocketAddr, location: &str) -> (usize, String) {
    let status = ask(address, &format!("GET {location}"), b"");
    assert_eq!(status.status, 204);
    let location = status.header("location").unwrap().to_owned();
    let offset = location.split_once("_offset=").unwrap().1.parse().unwrap();
    (offset, location)
}

fn push(address: SocketAddr, content: &[u8]) -> Answer {
    let digest = Digest::sha256(content);
    ask(address, &format!("POST /v2/app/blobs/uploads/?digest={digest}"), content)
}

fn pulls(address: SocketAddr, content: &[u8]) {
    let pulled = ask(address, &format!("GET /v2/app/blobs/{}", Digest::sha256(content)), b"");
    assert_eq!(pulled.status, 200);
    assert!(pulled.body == content);
}

#[test]
fn a_full_disk_is_told_and_the_service_goes_on_and_works_again_when_there_is_room() {
    let root = TempDir::new().unwrap();
    let registry = start(root.path());
    let address = registry.address();
    let (config, layer) = (b"{}", b"a small layer");
    let image = image(config, &[layer]);
    for content in [&config[..], layer] {
        assert_eq!(push(address, content).status, 201);
    }
    let put = "PUT /v2/app/manifests/v1";
    assert_eq!(ask(address, put, image.bytes()).status, 201);

    // It fills in the middle of a body.
    let large: Vec<u8> = (0..8_000_000_u32).map(|at| (at % 253) as u8).collect();
    let location = begin(address);
    is_full(&ask(address, &format!("PATCH {location}"), &large), "PATCH");
    let (stored, now) = status(address, &location);
    assert!(stored > 1 << 20 && stored < 4 << 20, "{stored}");
    // What is stored fills it still. Nothing can be written now, and everything be read.
    is_full(&ask(address, &format!("PATCH {now}"), &large[stored..]), "PATCH again");
    is_full(&push(address, &large), "POST of a whole blob");
    is_full(&ask(address, put, &[image.bytes().as_ref(), &[b' '; 100_000]].concat()), "PUT");
    pulls(address, layer);
    assert_eq!(ask(address, "GET /v2/app/manifests/v1", b"").body, *image.bytes());
    let tags = ask(address, "GET /v2/app/tags/list", b"");
    assert_eq!(tags.body, b"{\"name\":\"app\",\"tags\":[\"v1\"]}");
    let large_digest = Digest::sha256(&large);
    assert_eq!(ask(address, &format!("GET /v2/app/blobs/{large_digest}"), b"").status, 404);

    // The end of the session makes room.
    let (stored, now) = status(address, &location);
    assert!(stored < 4 << 20, "{stored}");
    assert_eq!(ask(address, &format!("DELETE {now}"), b"").status, 204);
    assert_eq!(ask(address, &format!("GET {now}"), b"").status, 404);
    assert_eq!(push(address, b"another small layer").status, 201);
    pulls(address, b"another small layer");
    assert_eq!(ask(address, "DELETE /v2/app/manifests/v1", b"").status, 202);
    assert_eq!(ask(address, put, image.bytes()).status, 201);
}

#[test]
fn a_session_that_met_a_full_disk_is_finished_when_there_is_room() {
    let root = TempDir::new().unwrap();
    let registry = start(root.path());
    let address = registry.address();
    let in_the_way = begin(address);
    assert_eq!(ask(address, &format!("PATCH {in_the_way}"), &[0; 2 << 20]).status, 202);

    let content: Vec<u8> = (0..3_000_000_u32).map(|at| (at % 239) as u8).collect();
    let location = begin(address);
    is_full(&ask(address, &format!("PATCH {location}"), &content), "PATCH");
    let put = |now: &str| format!("PUT {now}&digest={}", Digest::sha256(&content));
    let (stored, now) = status(address, &location);
    is_full(&ask(address, &put(&now), &content[stored..]), "PUT");
    assert_eq!(ask(address, &format!("DELETE {in_the_way}"), b"").status, 204);

    let (stored, now) = status(address, &location);
    assert!(stored > 0 && stored < content.len(), "{stored}");
    let finished = ask(address, &put(&now), &content[stored..]);
    assert_eq!(finished.status, 201, "{}", String::from_utf8_lossy(&finished.body));
    pulls(address, &content);
}
