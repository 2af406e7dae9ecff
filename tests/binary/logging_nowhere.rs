//! A log that nobody takes: lines are lost and counted, and no request waits for them.

use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader, ErrorKind, PipeReader, PipeWriter, Write as _, pipe};
use std::net::SocketAddr;
use std::process::Command;

use registry_tests::plain_http::{connect, request};
use registry_tests::registry_process::RegistryProcess;
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::process::Signal;

use crate::configuring::Place;
use crate::failures::failure;
use crate::listening::push;
use crate::operating::{address_in, figure, place, until};

/// Begins to send a blob, and leaves. That is logged.
fn break_an_upload_off(address: SocketAddr) {
    let mut stream = connect(address);
    let target = "/v2/app/blobs/uploads/?digest=sha256:\
                  e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    write!(stream, "POST {target} HTTP/1.1\r\nHost: {address}\r\nContent-Length: 9\r\n\r\nabc")
        .unwrap();
}

/// Ends it, which it does as if all had been read.
fn ends_well(registry: RegistryProcess) {
    assert_eq!(request(registry.address(), "GET", "/v2/").status, 200);
    push(registry.address(), "app", b"content");
    registry.signal(Signal::TERM);
    let status = registry.wait();
    assert_eq!(status.code(), Some(0), "{status}");
}

#[test]
fn with_a_log_whose_reader_has_gone_a_registry_serves_and_ends_well() {
    let place = place("registryctl: {addr: 127.0.0.1:0}\n");
    let mut command = place.serve();
    command.env("JOBSERVICE_SECRET", "hunter2");
    let (read, written) = pipe().unwrap();
    let registry = RegistryProcess::logging(&mut command, written.into());
    // What a command holds, it holds open.
    drop(command);
    let mut log = BufReader::new(read).lines().map(Result::unwrap);
    let mut beside = |what: &str| {
        let line = log.find(|line| line.contains(what)).expect("it is said at the start");
        address_in(&line)
    };
    let debug = beside("the debug server listens");
    let ctl = beside("registryctl listens");
    drop(log);
    for round in 1..3 {
        break_an_upload_off(registry.address());
        let is_lost = || figure(debug, "registry_log_dropped_total").unwrap() >= f64::from(round);
        until("the line is lost, and counted", is_lost);
    }
    assert_eq!(request(ctl, "GET", "/api/health").status, 200);
    ends_well(registry);
}

#[test]
fn with_a_log_that_is_full_and_that_nobody_reads_a_registry_serves_and_ends_well() {
    let place = place("log: {level: debug}\nregistryctl: {addr: 127.0.0.1:0}\n");
    let (_read, written) = full_pipe();
    let mut command = place.serve();
    command.env("JOBSERVICE_SECRET", "hunter2");
    let registry = RegistryProcess::logging(&mut command, written.into());
    for _ in 0..64 {
        break_an_upload_off(registry.address());
        assert_eq!(request(registry.address(), "GET", "/v2/app/tags/list").status, 404);
    }
    ends_well(registry);
}

/// A pipe that takes nothing more: who writes to it waits.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (read, mut written) = pipe().unwrap();
    fcntl_setfl(&written, OFlags::NONBLOCK).unwrap();
    for part in [&[b'x'; 4096][..], b"x"] {
        let full = loop {
            if let Err(error) = written.write(part) {
                break error;
            }
        };
        assert_eq!(full.kind(), ErrorKind::WouldBlock);
    }
    fcntl_setfl(&written, OFlags::empty()).unwrap();
    (read, written)
}

#[test]
fn with_its_log_on_a_full_disk_a_registry_starts() {
    let place = Place::usual();
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    ends_well(RegistryProcess::logging(&mut place.serve(), full.into()));
}

#[test]
fn a_start_that_fails_is_told_of_where_lines_are_written_by_a_thread() {
    let place = Place::usual();
    let taken = RegistryProcess::greeted(&mut place.serve());
    let address = taken.address().to_string();
    let other = Place::usual();
    let mut command: Command = other.serve();
    let (status, line) = failure(command.args(["--addr", &address]));
    assert_eq!(status, 1);
    assert!(line.contains(&address), "{line}");
}
