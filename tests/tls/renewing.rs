//! Certificates that are renewed while connections are up.

use std::fs;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use registry_http::serve::tls::{ClientAuth, Tls, TlsOptions};
use registry_tests::certificates::{Authority, Wanted};
use registry_tests::child::PATIENCE;

use crate::served::{Files, Served};

#[tokio::test]
async fn new_files_are_for_new_connections_and_old_ones_stay_up() {
    let files = Files::new();
    let served = Served::with(files.options()).await;
    let stream = TokioIo::new(files.client().connect(served.address).await.unwrap());
    let (mut old, connection) = http1::handshake(stream).await.unwrap();
    tokio::spawn(connection);

    let new = Files::new();
    for file in ["server.crt", "server.key"] {
        fs::copy(new.path().join(file), files.path().join(file)).unwrap();
    }
    assert!(served.tls.reload().unwrap(), "they have changed");
    assert!(!served.tls.reload().unwrap(), "they have not changed since");
    new.client().ask(served.address).await.unwrap();
    files.client().ask(served.address).await.unwrap_err();
    let request = Request::get("/").header("host", "localhost").body(Empty::<Bytes>::new());
    assert_eq!(old.send_request(request.unwrap()).await.unwrap().status(), 200);
}

/// Each writes and then reads: whoever wrote last read what is last, unless one that read before comes after it.
#[test]
fn many_that_read_again_at_once_leave_what_is_last_in_force() {
    let files = Files::new();
    let tls = Tls::load(files.options()).unwrap();
    let identities: Vec<_> = (0..4).map(|_| files.authority.issue(&Wanted::server())).collect();
    let writing = Mutex::new(());
    for _ in 0..50 {
        thread::scope(|scope| {
            for identity in &identities {
                scope.spawn(|| {
                    let one = writing.lock().unwrap();
                    identity.write(files.path(), "server");
                    drop(one);
                    // For a moment they may not fit together.
                    let _ = tls.reload();
                });
            }
        });
        assert!(!tls.reload().unwrap(), "something else was in force");
    }
}

#[tokio::test]
async fn files_that_changed_are_found_without_being_told() {
    let files = Files::new();
    let served = Served::with(files.options()).await;
    let watching = tokio::spawn(served.tls.clone().watch(Duration::from_millis(2)));
    let new = Files::new();
    // One after the other: for a moment they do not fit together.
    for file in ["server.crt", "server.key"] {
        fs::copy(new.path().join(file), files.path().join(file)).unwrap();
    }
    let started = Instant::now();
    while new.client().ask(served.address).await.is_err() {
        assert!(started.elapsed() < PATIENCE, "they are not found");
    }
    watching.abort();
}

#[tokio::test]
async fn broken_files_leave_the_old_ones_in_force() {
    let files = Files::new();
    let served = Served::with(files.options()).await;
    let (certificate, key) = (files.options().certificate, files.options().key);
    let good = fs::read(&key).unwrap();
    let other = Files::new();
    for broken in [&b""[..], &good[..good.len() / 2], &fs::read(other.options().key).unwrap()] {
        fs::write(&key, broken).unwrap();
        let error = served.tls.reload().unwrap_err().to_string();
        assert!(error.contains("expected"), "{error}");
        files.client().ask(served.address).await.unwrap();
    }
    fs::remove_file(&key).unwrap();
    served.tls.reload().unwrap_err();
    fs::write(&key, &good).unwrap();
    assert!(!served.tls.reload().unwrap(), "all is as it was");
    fs::write(&certificate, "").unwrap();
    served.tls.reload().unwrap_err();
    files.client().ask(served.address).await.unwrap();
}

#[tokio::test]
async fn an_authority_of_clients_that_is_taken_away_lets_nobody_in_any_more() {
    let (files, old, new) = (Files::new(), Authority::new("old"), Authority::new("new"));
    let clients = ClientAuth::Require(files.authority_of_clients(&old));
    let served = Served::with(TlsOptions { clients, ..files.options() }).await;
    let is = |authority: &Authority| files.client().is(&authority.issue(&Wanted::client("alice")));
    let (of_old, of_new) = (is(&old), is(&new));
    of_old.ask(served.address).await.unwrap();
    of_new.ask(served.address).await.unwrap_err();
    files.authority_of_clients(&new);
    assert!(served.tls.reload().unwrap());
    of_old.ask(served.address).await.unwrap_err();
    of_new.ask(served.address).await.unwrap();
}
