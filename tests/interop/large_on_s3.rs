//! A blob much larger than the memory of the program that takes it, and gives it back, in a bucket of Garage.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;

use registry_store::digest::{Algorithm, Digest, Hasher};
use registry_tests::backends::on_garage;
use registry_tests::image::noise;
use registry_tests::plain_http;
use registry_tests::registry_process::RegistryProcess;
use tempfile::TempDir;

use crate::replicas::configuration;

/// The blob is so many times a piece of 1 MiB.
const PIECES: u64 = 640;
/// What the program may hold, in KiB.
const MOST_MEMORY: u64 = 200 << 10;

#[test]
fn a_large_blob_is_pushed_and_pulled_in_little_memory() {
    let (garage, options) = on_garage();
    let home = TempDir::new().unwrap();
    let file = home.path().join("config.yml");
    fs::write(&file, configuration("127.0.0.1:0".parse().unwrap(), &options)).unwrap();
    let registry = RegistryProcess::configured(&file, &[]);
    let (address, piece) = (registry.address(), noise(1 << 20));
    let digest = push(address, &piece);
    assert_eq!(pull(address, &digest), (PIECES << 20, digest));
    let peak = registry.peak_memory();
    assert!(peak < MOST_MEMORY, "{peak} KiB");
    drop(garage);
}

/// As docker does it: a session, all bytes in one PATCH whose length is not known, a PUT.
fn push(address: SocketAddr, piece: &[u8]) -> Digest {
    let path = |location: &str| location.split_once(&address.to_string()).unwrap().1.to_owned();
    let begun = plain_http::request(address, "POST", "/v2/large/blobs/uploads/");
    let session = path(begun.header("location").unwrap());
    let mut stream = plain_http::connect(address);
    write!(
        stream,
        "PATCH {session} HTTP/1.1\r\nHost: {address}\r\nTransfer-Encoding: chunked\r\n\
         Content-Type: application/octet-stream\r\n\r\n"
    )
    .unwrap();
    let mut hasher = Hasher::new(Algorithm::Sha256);
    for _ in 0..PIECES {
        hasher.update(piece);
        write!(stream, "{:x}\r\n", piece.len()).unwrap();
        stream.write_all(piece).unwrap();
        stream.write_all(b"\r\n").unwrap();
    }
    stream.write_all(b"0\r\n\r\n").unwrap();
    let sent = plain_http::answer(&mut stream, true);
    assert_eq!(sent.status, 202);
    let digest = hasher.finish();
    let put = format!("{}&digest={digest}", path(sent.header("location").unwrap()));
    assert_eq!(plain_http::request(address, "PUT", &put).status, 201);
    digest
}

/// How many bytes come, and what they are.
fn pull(address: SocketAddr, digest: &Digest) -> (u64, Digest) {
    let mut stream = plain_http::connect(address);
    write!(
        stream,
        "GET /v2/large/blobs/{digest} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let head = plain_http::answer(&mut stream, false);
    assert_eq!(head.status, 200);
    let (mut hasher, mut length, mut buffer) =
        (Hasher::new(Algorithm::Sha256), 0, vec![0; 1 << 20]);
    loop {
        let read = stream.read(&mut buffer).unwrap();
        if read == 0 {
            return (length, hasher.finish());
        }
        hasher.update(&buffer[..read]);
        length += read as u64;
    }
}
