//! The load balancer that tests put before replicas does what they take for granted of it.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use registry_store::digest::Digest;
use registry_tests::peers::Haproxy;
use registry_tests::plain_http::{answer, connect, request, send};
use registry_tests::registry_process::RegistryProcess;
use tempfile::TempDir;

const OCTETS: &str = "application/octet-stream";

/// Pushes a blob, and gives the path it is pulled from.
fn push(address: SocketAddr, content: &[u8]) -> String {
    let digest = Digest::sha256(content);
    let target = format!("/v2/app/blobs/uploads/?digest={digest}");
    assert_eq!(send(address, "POST", &target, OCTETS, content).status, 201);
    format!("/v2/app/blobs/{digest}")
}

#[test]
fn the_requests_of_one_connection_go_to_each_replica_in_turn() {
    let roots = [(); 2].map(|()| TempDir::new().unwrap());
    let replicas = roots.each_ref().map(|root| RegistryProcess::start(root.path()));
    let blob = push(replicas[0].address(), b"in the first");
    let haproxy = Haproxy::in_front_of(&replicas.each_ref().map(RegistryProcess::address));
    let mut stream = connect(haproxy.address());
    let statuses = [(); 4].map(|()| {
        write!(stream, "GET {blob} HTTP/1.1\r\nHost: {}\r\n\r\n", haproxy.address()).unwrap();
        answer(&mut stream, true).status
    });
    assert_eq!(statuses, [200, 404, 200, 404]);
}

#[test]
fn a_replica_that_is_gone_is_passed_over() {
    let roots = [(); 2].map(|()| TempDir::new().unwrap());
    let [gone, stays] = roots.each_ref().map(|root| RegistryProcess::start(root.path()));
    let haproxy = Haproxy::in_front_of(&[gone.address(), stays.address()]);
    drop(gone);
    let large = vec![b'x'; 3_000_000];
    for content in [b"one".as_slice(), b"another", &large] {
        let blob = push(haproxy.address(), content);
        assert!(request(haproxy.address(), "GET", &blob).body == content);
    }
}

#[test]
fn a_request_that_was_sent_is_not_sent_again_and_neither_is_half_of_one() {
    let sent = [b'x'; 4000];
    for length in [sent.len(), 2 * sent.len()] {
        let [breaks, other] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let haproxy = Haproxy::in_front_of(&[&breaks, &other].map(|one| one.local_addr().unwrap()));
        let replica = thread::spawn(move || read_until(&breaks, &sent));
        let mut stream = connect(haproxy.address());
        write!(stream, "PATCH / HTTP/1.1\r\nHost: any\r\nContent-Length: {length}\r\n\r\n")
            .unwrap();
        stream.write_all(&sent).unwrap();
        assert_eq!(answer(&mut stream, true).status, 502);
        replica.join().unwrap();
        other.set_nonblocking(true).unwrap();
        assert_eq!(other.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    }
}

/// Takes a connection, and closes it without an answer when this has come.
fn read_until(listener: &TcpListener, last: &[u8]) {
    let (mut stream, _) = listener.accept().unwrap();
    let mut read = Vec::new();
    while !read.ends_with(last) {
        let mut piece = [0; 1000];
        let length = stream.read(&mut piece).unwrap();
        assert_ne!(length, 0, "what was sent comes");
        read.extend(&piece[..length]);
    }
}

#[test]
fn it_ends_when_it_is_dropped() {
    let nowhere = "127.0.0.1:1".parse().unwrap();
    let haproxy = Haproxy::in_front_of(&[nowhere]);
    let address = haproxy.address();
    drop(connect(address));
    drop(haproxy);
    assert!(TcpStream::connect(address).is_err(), "nothing listens there any more");
}
