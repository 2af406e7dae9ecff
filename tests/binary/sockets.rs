//! Unix sockets, and sockets that systemd hands over.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use registry_tests::child::{PATIENCE, Server};
use registry_tests::plain_http::request;
use registry_tests::registry_process::{program, without_variables};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::configuring::Place;
use crate::failures::{failure, says};

/// A configuration with a socket in the same directory.
fn place(more: &str) -> (Place, PathBuf) {
    let place = Place::new(&format!(
        "version: 0.1\nstorage: {{inmemory: {{}}}}\nhttp: {{net: unix, addr: r.sock{more}}}\n"
    ));
    let socket = place.file().with_file_name("r.sock");
    (place, socket)
}

fn started(place: &Place) -> Server {
    let mut server = Server::start(&mut place.serve());
    server.output_line("listens on http+unix:r.sock");
    server.output_line("try");
    server
}

/// The status line of the answer to `GET /v2/`.
fn asked(socket: &Path) -> String {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(b"GET /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.lines().next().unwrap_or_default().to_owned()
}

#[test]
fn a_unix_socket_is_listened_at_with_its_mode_and_removed_at_the_end() {
    let (place, socket) = place(", socketmode: 0600");
    let server = started(&place);
    assert_eq!(asked(&socket), "HTTP/1.1 200 OK");
    let found = fs::symlink_metadata(&socket).unwrap();
    assert!(found.file_type().is_socket());
    assert_eq!(found.permissions().mode() & 0o777, 0o600);
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
    assert!(!socket.exists());
}

#[test]
fn a_socket_that_was_left_behind_is_replaced_and_one_in_use_is_not() {
    let (place, socket) = place("");
    let server = started(&place);
    server.signal(Signal::KILL);
    server.wait();
    assert!(socket.exists(), "it is left behind");
    let mut server = started(&place);
    server.log_line("a socket that nobody listens at is replaced");
    assert_eq!(asked(&socket), "HTTP/1.1 200 OK");

    let (_, line) = failure(&mut place.serve());
    says(&line, &["cannot listen at r.sock: somebody listens there", "http.addr"]);
    assert_eq!(asked(&socket), "HTTP/1.1 200 OK", "the first is not disturbed");
}

#[test]
fn a_file_in_the_place_of_a_socket_is_left_as_it_is() {
    let (place, socket) = place("");
    fs::write(&socket, "precious").unwrap();
    let (_, line) = failure(&mut place.serve());
    says(&line, &["there is something that is no socket"]);
    assert_eq!(fs::read_to_string(&socket).unwrap(), "precious");
}

/// It is for the shell, whose place the program takes.
const OURS: &str = "LISTEN_PID=$$";

/// The program, as systemd starts it with one socket: the third descriptor, and in a variable whom it is for.
fn activated(socket: impl Into<OwnedFd>, process: &str) -> Server {
    let mut command = Command::new("sh");
    without_variables(&mut command);
    let script = format!(r#"LISTEN_FDS=1 {process} exec "$0" "$@" 3<&0"#);
    command.args(["-c", &script]).arg(program());
    command.env("REGISTRY_STORAGE", "inmemory").args(["--addr", "127.0.0.1:0"]);
    Server::try_start_with(&mut command, socket.into().into()).unwrap()
}

#[test]
fn a_port_that_systemd_opened_is_listened_at() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut server = activated(listener, OURS);
    server.output_line(&format!("listens on http://{address}"));
    assert_eq!(request(address, "GET", "/v2/").status, 200);
    server.log_line("handed over");
}

#[test]
fn a_unix_socket_that_systemd_opened_is_listened_at_and_stays_systemd_s() {
    let directory = TempDir::new().unwrap();
    let socket = directory.path().join("r.sock");
    let mut server = activated(UnixListener::bind(&socket).unwrap(), OURS);
    server.output_line("listens on http+unix:");
    server.output_line("try");
    assert_eq!(asked(&socket), "HTTP/1.1 200 OK");
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
    assert!(socket.exists());
}

#[test]
fn sockets_that_were_meant_for_another_process_are_not_taken() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let theirs = listener.local_addr().unwrap();
    for process in ["LISTEN_PID=1", "LISTEN_PID=", ""] {
        let mut server = activated(listener.try_clone().unwrap(), process);
        let line = server.output_line("listens on");
        assert!(!line.contains(&theirs.to_string()), "{process}: {line}");
    }
}

#[test]
fn a_connection_that_is_handed_over_is_no_place_to_listen() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let tcp = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (unix, _other) = UnixStream::pair().unwrap();
    for socket in [OwnedFd::from(tcp), unix.into()] {
        let mut server = activated(socket, OURS);
        server.log_line("it does not listen; expected one that listens");
        assert_eq!(server.wait().code(), Some(1));
    }
}

#[test]
fn a_socket_that_took_the_place_of_ours_is_left_where_it_is() {
    let (place, socket) = place("");
    let server = started(&place);
    fs::remove_file(&socket).unwrap();
    let _theirs = UnixListener::bind(&socket).unwrap();
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
    assert!(socket.exists());
}

/// To connect to it would wait until it accepts.
#[tokio::test]
async fn a_socket_whose_owner_does_not_accept_is_in_use_and_not_waited_for() {
    let (place, socket) = place("");
    let owner = tokio::net::UnixSocket::new_stream().unwrap();
    owner.bind(&socket).unwrap();
    let _owner = owner.listen(1).unwrap();
    let mut waiting = Vec::new();
    while let Ok(stream) = tokio::net::UnixStream::connect(&socket).await {
        waiting.push(stream);
    }
    let (status, line) = failure(&mut place.serve());
    assert_eq!(status, 1);
    says(&line, &["cannot listen at r.sock: somebody listens there", "http.addr"]);
    assert!(socket.exists());
}
