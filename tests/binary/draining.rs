//! How it ends.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;

use registry_store::digest::Digest;
use registry_tests::frames;
use registry_tests::plain_http::{answer, connect, request};
use registry_tests::registry_process::{RegistryProcess, program};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::configuring::Place;

const CONTENT: &[u8] = b"half of it, and the other half";

/// A push of [`CONTENT`] whose body the server waits for: it has asked for it.
fn push_in_flight(address: SocketAddr) -> TcpStream {
    let mut stream = connect(address);
    write!(
        stream,
        "POST /v2/draining/blobs/uploads/?digest={} HTTP/1.1\r\nHost: {address}\r\n\
         Content-Type: application/octet-stream\r\nContent-Length: {}\r\nExpect: 100-continue\r\n\r\n",
        Digest::sha256(CONTENT),
        CONTENT.len()
    )
    .unwrap();
    assert_eq!(answer(&mut stream, false).status, 100);
    stream
}

#[test]
fn sigterm_finishes_the_push_in_flight_and_takes_no_more() {
    let root = TempDir::new().unwrap();
    let mut registry = RegistryProcess::start(root.path());
    let mut push = push_in_flight(registry.address());
    push.write_all(&CONTENT[..12]).unwrap();

    registry.signal(Signal::TERM);
    registry.log_line("draining");
    assert!(TcpStream::connect(registry.address()).is_err(), "the port is closed");

    push.write_all(&CONTENT[12..]).unwrap();
    assert_eq!(answer(&mut push, true).status, 201);
    assert_eq!(push.read(&mut [0]).unwrap(), 0, "the connection is not kept");
    assert_eq!(registry.wait().code(), Some(0));

    let registry = RegistryProcess::start(root.path());
    let blob = format!("/v2/draining/blobs/{}", Digest::sha256(CONTENT));
    assert_eq!(request(registry.address(), "GET", &blob).body, CONTENT);
}

#[test]
fn an_idle_connection_does_not_hold_it_up() {
    let root = TempDir::new().unwrap();
    let registry = RegistryProcess::start(root.path());
    let _silent = connect(registry.address());
    let mut idle = connect(registry.address());
    write!(idle, "GET /v2/ HTTP/1.1\r\nHost: {}\r\n\r\n", registry.address()).unwrap();
    assert_eq!(answer(&mut idle, true).status, 200);

    registry.signal(Signal::INT);
    assert_eq!(idle.read(&mut [0]).unwrap(), 0);
    assert_eq!(registry.wait().code(), Some(0));
}

/// It answers none of the server's pings, so that the server cannot learn whether it was heard.
#[test]
fn a_client_of_http_2_that_does_not_listen_does_not_hold_it_up() {
    let root = TempDir::new().unwrap();
    let registry = RegistryProcess::start(root.path());
    let mut stream = frames::begun(connect(registry.address()));
    stream.write_all(&frames::get(1, "/v2/")).unwrap();
    assert!(frames::is_ok(&mut stream, 1));

    registry.signal(Signal::TERM);
    while frames::next(&mut stream).is_some() {}
    assert_eq!(registry.wait().code(), Some(0));
}

#[test]
fn a_client_of_http_2_that_takes_nothing_of_an_answer_does_not_hold_it_up_though_it_answers_pings()
{
    let root = TempDir::new().unwrap();
    let flags = ["--addr", "127.0.0.1:0", "--idle-timeout", "1", "--head-timeout", "0", "--root"];
    let mut command = Command::new(program());
    let registry = RegistryProcess::greeted(command.args(flags).arg(root.path()));
    let mut stream = frames::begun_closed(connect(registry.address()));
    stream.write_all(&frames::get(1, "/v2/")).unwrap();
    assert!(frames::is_ok(&mut stream, 1));

    registry.signal(Signal::TERM);
    frames::answer_pings(&mut stream);
    assert_eq!(registry.wait().code(), Some(0));
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let root = TempDir::new().unwrap();
    let mut registry = RegistryProcess::start(root.path());
    let _push = push_in_flight(registry.address());
    registry.signal(Signal::TERM);
    registry.log_line("draining");
    registry.signal(Signal::INT);
    registry.log_line("registry: a second signal");
    assert_eq!(registry.wait().code(), Some(1), "requests were cut: that is no success");
}

#[test]
fn what_is_not_finished_after_draintimeout_is_cut() {
    let text =
        "version: 0.1\nstorage: {inmemory: {}}\nhttp: {addr: '127.0.0.1:0', draintimeout: 300ms}\n";
    let place = Place::new(text);
    let mut registry = RegistryProcess::greeted(&mut place.serve());
    let mut push = push_in_flight(registry.address());
    registry.signal(Signal::TERM);
    registry.log_line("draining");
    let line = registry.log_line("registry: http.draintimeout");
    assert!(line.contains("1 connections had requests in flight after 300ms"), "{line}");
    // It is cut: nothing comes, or a reset.
    assert_eq!(push.read(&mut [0]).unwrap_or(0), 0);
    assert_eq!(registry.wait().code(), Some(1), "requests were cut: that is no success");
}

#[test]
fn what_is_finished_before_draintimeout_is_a_success() {
    let text =
        "version: 0.1\nstorage: {inmemory: {}}\nhttp: {addr: '127.0.0.1:0', draintimeout: 1h}\n";
    let place = Place::new(text);
    let mut registry = RegistryProcess::greeted(&mut place.serve());
    let mut push = push_in_flight(registry.address());
    registry.signal(Signal::TERM);
    registry.log_line("draining");
    push.write_all(CONTENT).unwrap();
    assert_eq!(answer(&mut push, true).status, 201);
    assert_eq!(registry.wait().code(), Some(0));
}
