//! `http.tls`, and SIGHUP.

use std::fs;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use registry_tests::certificates::{Authority, Wanted};
use registry_tests::plain_http::request;
use registry_tests::registry_process::RegistryProcess;
use registry_tests::tls_client::{ONLY_12, TlsClient};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::configuring::Place;
use crate::failures::{failure, says};

/// A configuration with a certificate, whose authority is returned.
fn place(more: &str) -> (Place, Authority) {
    let place = Place::new(&format!(
        "version: 0.1\nstorage: {{inmemory: {{}}}}\nhttp:\n  addr: 127.0.0.1:0\n  tls: {{certificate: server.crt, \
         key: server.key{more}}}\n"
    ));
    let authority = Authority::new("servers");
    renew(&place, &authority);
    (place, authority)
}

fn renew(place: &Place, authority: &Authority) {
    authority.issue(&Wanted::server()).write(place.file().parent().unwrap(), "server");
}

fn client(authority: &Authority) -> TlsClient {
    TlsClient::new(&authority.certificate())
}

#[tokio::test]
async fn a_configuration_with_a_certificate_is_served_over_tls_and_locations_say_so() {
    let (place, authority) = place("");
    let registry = RegistryProcess::greeted(&mut place.serve());
    says(registry.greeting(), &["https://127.0.0.1:"]);
    for client in [client(&authority), client(&authority).offers(&["h2"])] {
        let answer =
            client.send(registry.address(), Method::POST, "/v2/a/blobs/uploads/").await.unwrap();
        assert_eq!(answer.status(), 202);
        let location = answer.headers()["location"].to_str().unwrap();
        assert!(location.starts_with("https://localhost/v2/a/blobs/uploads/"), "{location}");
    }
    assert_eq!(request(registry.address(), "GET", "/v2/").status, 400, "in the clear");
}

#[tokio::test]
async fn certificates_are_renewed_at_sighup_and_connections_stay_up() {
    let (place, old) = place("");
    let mut registry = RegistryProcess::greeted(&mut place.serve());
    let stream = client(&old).connect(registry.address()).await.unwrap();
    let (mut kept, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);

    let new = Authority::new("others");
    renew(&place, &new);
    registry.signal(Signal::HUP);
    registry.log_line("SIGHUP: certificates: ");
    client(&new).ask(registry.address()).await.unwrap();
    client(&old).ask(registry.address()).await.unwrap_err();
    let again = Request::get("/v2/").header("host", "x").body(Empty::<Bytes>::new()).unwrap();
    assert_eq!(kept.send_request(again).await.unwrap().status(), 200);

    registry.signal(Signal::TERM);
    drop(kept);
    assert_eq!(registry.wait().code(), Some(0));
}

#[tokio::test]
async fn certificates_that_changed_are_found_and_broken_ones_leave_the_old_in_force() {
    let (place, old) = place("");
    let mut registry = RegistryProcess::greeted(&mut place.serve());
    let key = place.file().with_file_name("server.key");
    let secret = fs::read_to_string(&key).unwrap();
    let broken = secret.replace("END", "DNE");
    fs::write(&key, &broken).unwrap();
    let line = registry.log_line("the certificates in force stay");
    says(&line, &["server.key", "expected"]);
    assert!(!line.contains(broken.lines().nth(1).unwrap()), "a key is nobody's to see: {line}");
    client(&old).ask(registry.address()).await.unwrap();

    let new = Authority::new("others");
    renew(&place, &new);
    registry.log_line("new certificates are in force");
    client(&new).ask(registry.address()).await.unwrap();
}

#[tokio::test]
async fn a_minimum_and_the_authorities_of_clients_are_in_force() {
    let (place, authority) = place(", minimumtls: tls1.3, clientcas: [clients.crt]");
    let clients = Authority::new("clients");
    fs::write(place.file().with_file_name("clients.crt"), clients.certificate()).unwrap();
    let registry = RegistryProcess::greeted(&mut place.serve());
    let known = client(&authority).is(&clients.issue(&Wanted::client("alice")));
    let answer = known.send(registry.address(), Method::GET, "/v2/").await.unwrap();
    assert_eq!(answer.status(), 200);
    known.clone().speaks(ONLY_12).ask(registry.address()).await.unwrap_err();
    client(&authority).ask(registry.address()).await.unwrap_err();
}

#[tokio::test]
async fn a_client_whose_name_cannot_be_told_of_is_told_of_as_one_without_tls() {
    let (place, authority) = place(", clientcas: [clients.crt]");
    let clients = Authority::new("clients");
    fs::write(place.file().with_file_name("clients.crt"), clients.certificate()).unwrap();
    let mut registry = RegistryProcess::greeted(&mut place.serve());
    let strange = client(&authority).is(&clients.issue(&Wanted::client("alice").in_bmp()));
    strange.ask(registry.address()).await.unwrap_err();
    let line = registry.log_line("no TLS with a client");
    says(&line, &["INFO", "whose names are text"]);
}

#[test]
fn a_certificate_that_ran_out_is_told_of_at_the_start_and_when_it_is_read_again() {
    let (place, authority) = place("");
    let directory = place.file().parent().unwrap().to_owned();
    let expired = || authority.issue(&Wanted::server().expired());
    expired().write(&directory, "server");
    let mut registry = RegistryProcess::greeted(&mut place.serve());
    let line = registry.log_line("it ran out at");
    says(&line, &["WARN", "server.crt", "2001"]);
    expired().write(&directory, "server");
    registry.signal(Signal::HUP);
    registry.log_line("it ran out at");
}

#[test]
fn certificates_that_do_not_do_keep_it_from_starting() {
    let (place, _) = place("");
    fs::remove_file(place.file().with_file_name("server.key")).unwrap();
    let (status, line) = failure(&mut place.serve());
    assert_eq!(status, 1);
    says(&line, &["no TLS: cannot read server.key", "config.yml:5"]);
}

#[test]
fn sighup_without_anything_to_read_again_ends_nothing() {
    let root = TempDir::new().unwrap();
    let mut registry = RegistryProcess::start(root.path());
    registry.signal(Signal::HUP);
    registry.log_line("SIGHUP");
    assert_eq!(request(registry.address(), "GET", "/v2/").status, 200);
}
