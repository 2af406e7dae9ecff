//! What the listener does with a connection.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::process::Command;

use bytes::Bytes;
use http::{Request, Version};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use registry_store::digest::Digest;
use registry_tests::plain_http::{answer, connect, request};
use registry_tests::registry_process::{RegistryProcess, program};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tempfile::TempDir;
use tokio::net::TcpStream;

/// Pushes a blob in one request and returns its digest.
pub(crate) fn push(address: SocketAddr, repository: &str, content: &[u8]) -> Digest {
    let digest = Digest::sha256(content);
    let mut stream = connect(address);
    write!(
        stream,
        "POST /v2/{repository}/blobs/uploads/?digest={digest} HTTP/1.1\r\nHost: {address}\r\n\
         Content-Type: application/octet-stream\r\nContent-Length: {}\r\n\r\n",
        content.len()
    )
    .unwrap();
    stream.write_all(content).unwrap();
    assert_eq!(answer(&mut stream, true).status, 201);
    digest
}

#[tokio::test]
async fn http_1_and_http_2_are_answered_at_the_same_port() {
    let root = TempDir::new().unwrap();
    let registry = RegistryProcess::start(root.path());
    let address = registry.address();
    assert_eq!(request(address, "GET", "/v2/").status, 200);

    let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let asked = Request::get(format!("http://{address}/v2/")).body(Empty::<Bytes>::new()).unwrap();
    let answer = sender.send_request(asked).await.unwrap();
    assert_eq!((answer.version(), answer.status().as_u16()), (Version::HTTP_2, 200));
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "{}");
    drop(sender);
    connection.await.unwrap().unwrap();
}

#[test]
fn a_connection_is_kept_for_the_next_request() {
    let root = TempDir::new().unwrap();
    let registry = RegistryProcess::start(root.path());
    let mut stream = connect(registry.address());
    for _ in 0..3 {
        write!(stream, "GET /v2/ HTTP/1.1\r\nHost: {}\r\n\r\n", registry.address()).unwrap();
        assert_eq!(answer(&mut stream, true).status, 200);
    }
}

#[test]
fn a_thousand_idle_connections_are_kept_and_each_is_answered_again() {
    const MOST: u64 = 1024;
    let root = TempDir::new().unwrap();
    // The registry inherits what is allowed here. Each connection takes a descriptor there, and one here.
    let limits = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limits.maximum, ..limits }).unwrap();
    let allowed = limits.maximum.unwrap_or(u64::MAX).saturating_sub(200).min(MOST);
    assert!(allowed >= MOST / 2, "expected more file descriptors to be allowed than {limits:?}");

    let registry = RegistryProcess::start(root.path());
    let mut connections: Vec<_> = (0..allowed).map(|_| connect(registry.address())).collect();
    for _ in 0..2 {
        for stream in &mut connections {
            write!(stream, "GET /v2/ HTTP/1.1\r\nHost: {}\r\n\r\n", registry.address()).unwrap();
        }
        for stream in &mut connections {
            assert_eq!(answer(stream, true).status, 200);
        }
    }
}

#[test]
fn a_client_that_has_closed_its_side_still_gets_its_answer() {
    let root = TempDir::new().unwrap();
    let registry = RegistryProcess::start(root.path());
    let mut stream = connect(registry.address());
    write!(stream, "GET /v2/ HTTP/1.1\r\nHost: {}\r\n\r\n", registry.address()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(answer(&mut stream, true).status, 200);
    assert_eq!(stream.read(&mut [0]).unwrap(), 0, "then the server closes too");
}

#[test]
fn a_request_that_is_not_http_ends_its_connection_and_no_other() {
    let root = TempDir::new().unwrap();
    let registry = RegistryProcess::start(root.path());
    let mut stream = connect(registry.address());
    stream.write_all(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n").unwrap();
    assert_eq!(answer(&mut stream, true).status, 400);
    assert_eq!(request(registry.address(), "GET", "/v2/").status, 200);
}

#[test]
fn a_lack_of_file_descriptors_is_logged_and_survived() {
    let root = TempDir::new().unwrap();
    let mut command = Command::new("sh");
    command
        .args(["-c", r#"ulimit -n 32; exec "$0" "$@""#])
        .arg(program())
        .args(["--max-connections", "0", "--addr", "127.0.0.1:0", "--root"])
        .arg(root.path());
    let mut registry = RegistryProcess::greeted(&mut command);
    // The kernel takes more connections than the process can accept.
    let connections: Vec<_> = (0..40).map(|_| connect(registry.address())).collect();
    registry.log_line("cannot accept a connection");
    drop(connections);
    assert_eq!(request(registry.address(), "GET", "/v2/").status, 200);
}
