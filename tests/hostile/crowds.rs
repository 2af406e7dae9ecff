//! Thousands of connections at once, most of them of no use: those that are get their answers.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use registry_http::Options;
use registry_http::serve::Limits;
use registry_store::digest::Digest;
use registry_tests::child::PATIENCE;
use registry_tests::frames;
use registry_tests::plain_http::{self, connect};
use registry_tests::registry_process::{RegistryProcess, program};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tempfile::TempDir;

use crate::registry::{Registry, answer, rest, serves_pushes, soon};

const GET: &[u8] = b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n";

/// The program, with what is held for threads told apart from what is held for connections.
fn start(command: &mut Command, root: &Path, flags: &[&str]) -> RegistryProcess {
    command.env("MALLOC_ARENA_MAX", "1");
    command.args(["--addr", "127.0.0.1:0", "--root"]).arg(root).args(flags);
    RegistryProcess::greeted(command)
}

#[test]
fn thousands_of_idle_connections_cost_little_and_keep_nobody_from_pushing_and_pulling() {
    const EACH: usize = 700;
    // In KiB, for each: measured are 9, of which the head that has begun takes the most.
    const MEMORY: u64 = 20;
    let limits = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limits.maximum, ..limits }).unwrap();
    let root = TempDir::new().unwrap();
    let flags = ["--max-connections", "10000", "--head-timeout", "0"];
    let registry = start(&mut Command::new(program()), root.path(), &flags);
    serves_pushes(registry.address(), "before");
    let before = registry.peak_memory();

    let begin = |sent: &[u8]| {
        let mut stream = connect(registry.address());
        stream.write_all(sent).unwrap();
        stream
    };
    let _silent: Vec<_> = (0..EACH).map(|_| begin(b"")).collect();
    let mut begun: Vec<_> = (0..EACH).map(|_| begin(&GET[..GET.len() - 1])).collect();
    let mut served: Vec<_> = (0..EACH).map(|_| begin(GET)).collect();
    for stream in &mut served {
        assert_eq!(answer(stream).status, 200);
    }
    serves_pushes(registry.address(), "while they are idle");
    let memory = registry.peak_memory() - before;
    assert!(memory <= 3 * EACH as u64 * MEMORY, "{memory} KiB");
    for stream in &mut begun {
        stream.write_all(b"\n").unwrap();
    }
    for stream in &mut served {
        stream.write_all(GET).unwrap();
    }
    for stream in begun.iter_mut().chain(&mut served) {
        assert_eq!(answer(stream).status, 200);
    }
    drop((begun, served));
    serves_pushes(registry.address(), "after they left");
}

/// Sends the beginning of an upload of `abc` to the end of its first byte.
fn half(address: SocketAddr) -> TcpStream {
    let mut stream = connect(address);
    let digest = Digest::sha256(b"abc");
    write!(
        stream,
        "POST /v2/half/blobs/uploads/?digest={digest} HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\
         Expect: 100-continue\r\n\r\n"
    )
    .unwrap();
    // It is in flight once its body is asked for.
    assert_eq!(plain_http::answer(&mut stream, false).status, 100);
    stream.write_all(b"a").unwrap();
    stream
}

fn finish(stream: &mut TcpStream) {
    stream.write_all(b"bc").unwrap();
    assert_eq!(answer(stream).status, 201);
}

#[test]
fn with_as_many_connections_as_may_be_the_longest_idle_gives_way_and_no_transfer_does() {
    const MOST: usize = 10;
    let limits = Limits { connections: Some(MOST), ..Limits::default() };
    let registry = Registry::with(limits, Options::default());
    let mut transfer = half(registry.address);
    let mut crowd: Vec<_> = (0..5 * MOST)
        .map(|at| {
            let mut stream = registry.connect();
            // Some only begin to ask.
            stream.write_all(if at % 3 == 0 { &GET[..9] } else { GET }).unwrap();
            if at % 3 != 0 {
                assert_eq!(answer(&mut stream).status, 200);
            }
            stream
        })
        .collect();
    registry.serves_others("in the crowd");
    for stream in &mut crowd[..3 * MOST] {
        assert_eq!(rest(stream), "");
    }
    finish(&mut transfer);
}

#[test]
fn with_a_transfer_on_each_connection_the_next_one_waits_for_the_first_to_be_done() {
    const MOST: usize = 4;
    let limits = Limits { connections: Some(MOST), ..Limits::default() };
    let registry = Registry::with(limits, Options::default());
    let mut transfers: Vec<_> = (0..MOST).map(|_| half(registry.address)).collect();
    let mut next = registry.connect();
    next.write_all(GET).unwrap();
    next.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let early = next.read(&mut [0]).unwrap_err();
    assert!([ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&early.kind()), "{early}");
    next.set_read_timeout(Some(PATIENCE)).unwrap();
    finish(&mut transfers[0]);
    assert_eq!(answer(&mut next).status, 200);
    drop(next);
    for transfer in &mut transfers[1..] {
        finish(transfer);
    }
}

/// They answer nothing that the server asks, so that it learns of none of them that it may end.
#[test]
fn clients_of_http_2_that_were_served_and_do_not_listen_give_way_too() {
    const MOST: usize = 4;
    let limits = Limits { connections: Some(MOST), ..Limits::default() };
    let registry = Registry::with(limits, Options::default());
    let mut crowd: Vec<_> = (0..MOST)
        .map(|_| {
            let mut stream = frames::begun(registry.connect());
            stream.write_all(&frames::get(1, "/v2/")).unwrap();
            assert!(frames::is_ok(&mut stream, 1));
            stream
        })
        .collect();
    registry.serves_others("beside them");
    assert!(frames::next(&mut crowd[0]).is_some(), "it was told");
}

/// What waits for them is no transfer, however well they answer pings.
#[test]
fn clients_of_http_2_that_take_nothing_of_an_answer_give_way_too() {
    const MOST: usize = 3;
    // Nothing else ends them.
    let limits = Limits { connections: Some(MOST), head: None, ..soon() };
    let registry = Registry::with(limits, Options::default());
    let crowd: Vec<_> = (0..MOST)
        .map(|_| {
            let mut stream = frames::begun_closed(registry.connect());
            stream.write_all(&frames::get(1, "/v2/")).unwrap();
            assert!(frames::is_ok(&mut stream, 1));
            thread::spawn(move || frames::answer_pings(&mut stream))
        })
        .collect();
    registry.serves_others("beside them");
    drop(crowd);
}

#[test]
fn few_descriptors_are_shared_between_connections_and_what_they_transfer() {
    let root = TempDir::new().unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", r#"ulimit -n 64; exec "$0" "$@""#]).arg(program());
    let registry = start(&mut command, root.path(), &[]);
    let crowd: Vec<_> = (0..100)
        .map(|_| {
            let mut stream = connect(registry.address());
            stream.write_all(&GET[..9]).unwrap();
            stream
        })
        .collect();
    for turn in 0..5 {
        serves_pushes(registry.address(), &format!("in the crowd, {turn}"));
    }
    drop(crowd);
    serves_pushes(registry.address(), "after it");
}
