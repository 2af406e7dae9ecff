//! Webhooks: what an endpoint is told, and that nothing is lost between the program and one that fails.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::yield_now;
use std::time::Instant;

use registry_store::digest::Digest;
use registry_tests::child::PATIENCE;
use registry_tests::plain_http::{request, send};
use registry_tests::receiver::{Mood, Receiver, Sent};
use registry_tests::registry_process::RegistryProcess;
use rustix::process::Signal;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

use crate::configuring::Place;
use crate::listening::push;
use crate::operating::{address_in, figure, until};

const TAKE: Mood = Mood::Answer(200);

/// A registry with its data in the place, which tells one endpoint at this address.
fn place(address: SocketAddr, more: &str) -> Place {
    Place::new(&format!(
        "version: 0.1\nlog: {{level: debug}}\n\
         storage:\n  filesystem:\n    rootdirectory: DATA\n  delete: {{enabled: true}}\n\
         http:\n  addr: 127.0.0.1:0\n\
         notifications:\n  \
           events: {{includereferences: true}}\n{more}  \
           endpoints:\n    \
             - name: one\n      url: http://{address}/told?key=hunter2\n      \
               headers: {{Authorization: [Bearer hunter2]}}\n      \
               timeout: 300ms\n      threshold: 1\n      backoff: 1ms\n"
    ))
}

fn start(place: &Place) -> RegistryProcess {
    RegistryProcess::greeted(&mut place.serve())
}

/// Pushes blobs, one after the other.
fn push_some(registry: &RegistryProcess, contents: std::ops::Range<u32>) -> Vec<Digest> {
    contents.map(|it| push(registry.address(), "app", &it.to_be_bytes())).collect()
}

/// The digests of what was taken, in order.
fn taken(sent: &[Sent]) -> Vec<String> {
    let taken = sent.iter().filter(|it| it.mood == TAKE);
    taken.map(|it| it.event()["target"]["digest"].as_str().unwrap().to_owned()).collect()
}

/// Waits until a file of a queue below `directory` tells of this.
fn wait_for_disk(directory: &Path, digest: &Digest) {
    let deadline = Instant::now() + PATIENCE;
    while !is_told_of(directory, &digest.to_string()) {
        assert!(Instant::now() < deadline, "expected {digest} below {}", directory.display());
        yield_now();
    }
}

fn is_told_of(directory: &Path, text: &str) -> bool {
    let Ok(entries) = fs::read_dir(directory) else { return false };
    entries.flatten().any(|entry| {
        let path = entry.path();
        if path.is_dir() {
            return is_told_of(&path, text);
        }
        fs::read_to_string(&path).is_ok_and(|found| found.contains(text))
    })
}

/// `SIGKILL`, and its log.
fn kill(registry: RegistryProcess) -> String {
    registry.signal(Signal::KILL);
    registry.ended()
}

#[test]
fn an_endpoint_that_fails_hangs_is_away_and_comes_back_has_all_in_order_over_kills_and_restarts() {
    let address = {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.local_addr().unwrap()
    };
    let place = place(address, "");
    let queue = place.data().join("_rs/notifications");

    // It is away; the program is killed.
    let registry = start(&place);
    let mut pushed = push_some(&registry, 0..3);
    wait_for_disk(&queue, &pushed[2]);
    let mut log = kill(registry);

    // It fails; the program is killed.
    let receiver = Receiver::start_at(address, Mood::Answer(503));
    let registry = start(&place);
    pushed.extend(push_some(&registry, 3..6));
    wait_for_disk(&queue, &pushed[5]);
    receiver.wait_for(|sent| sent.len() >= 2);
    log += &kill(registry);

    // It hangs; the program is told to end, and does not wait for it.
    receiver.set(Mood::Hang);
    let registry = start(&place);
    pushed.extend(push_some(&registry, 6..9));
    receiver.wait_for(|sent| sent.iter().any(|it| it.mood == Mood::Hang));
    registry.signal(Signal::TERM);
    let last = registry.ended();
    assert!(last.contains("its queue waits for the next start"), "{last}");
    log += &last;

    // It is back.
    receiver.set(TAKE);
    let registry = start(&place);
    pushed.extend(push_some(&registry, 9..12));
    let sent = receiver.wait_for(|sent| taken(sent).len() >= 12);
    let expected: Vec<String> = pushed.iter().map(ToString::to_string).collect();
    assert_eq!(taken(&sent), expected, "all of it, once, in order");
    let first = sent.iter().find(|it| it.mood == TAKE).unwrap();
    assert_eq!(first.header("authorization"), Some("Bearer hunter2"));
    assert!(first.head[0].starts_with("POST /told?key=hunter2 "), "{:?}", first.head);

    // And nothing of it comes again.
    registry.signal(Signal::TERM);
    log += &registry.ended();
    let registry = start(&place);
    let last = push_some(&registry, 12..13);
    let sent = receiver.wait_for(|sent| taken(sent).len() >= 13);
    assert_eq!(taken(&sent)[12], last[0].to_string());
    log += &kill(registry);
    assert!(!log.contains("hunter2"), "{log}");
}

#[test]
fn a_queue_that_is_full_drops_the_oldest_and_holds_up_no_push() {
    let receiver = Receiver::start(Mood::Answer(500));
    let place = place(receiver.address(), "  queue: {maxevents: 2, directory: QUEUES}\n");
    let file = fs::read_to_string(place.file()).unwrap();
    let queues = place.data().with_file_name("queues");
    fs::write(place.file(), file.replace("QUEUES", queues.to_str().unwrap())).unwrap();

    let mut registry = start(&place);
    let mut pushed = push_some(&registry, 0..1);
    // The first is being told, again and again.
    receiver.wait_for(|sent| !sent.is_empty());
    pushed.extend(push_some(&registry, 1..6));
    registry.log_line("its queue is full");
    // What was dropped is not told any more, not even what was being told.
    let last = pushed[4].to_string();
    receiver.wait_for(|sent| sent.iter().any(|it| it.event()["target"]["digest"] == last));
    receiver.set(TAKE);
    let sent = receiver.wait_for(|sent| taken(sent).len() >= 2);
    let expected = [4, 5].map(|at: usize| pushed[at].to_string());
    assert_eq!(taken(&sent), expected);
    registry.log_line("events were lost while it was full");
    assert!(!place.data().join("_rs/notifications").exists());
    assert!(queues.join("one/0").is_dir());
}

#[test]
fn events_are_distributions_with_what_a_manifest_refers_to_and_filters_hold() {
    let receivers = [(); 4].map(|()| Receiver::start(TAKE));
    let [one, second, filtered, disabled] = &receivers;
    let place = place(one.address(), "");
    let more = format!(
        "    - {{name: v2, url: 'http://{}/', envelope: v2}}\n    \
         - {{name: filtered, url: 'http://{}/', ignoredmediatypes: [application/octet-stream], ignore: {{actions: [pull]}}}}\n    \
         - {{name: off, url: 'http://{}/', disabled: true}}\n",
        second.address(),
        filtered.address(),
        disabled.address()
    );
    let file = fs::read_to_string(place.file()).unwrap();
    fs::write(place.file(), file + &more).unwrap();
    let registry = start(&place);
    let address = registry.address();

    let config = push(address, "app", b"{}");
    let descriptor = json!({"mediaType": "application/vnd.oci.empty.v1+json", "digest": config.to_string(), "size": 2});
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({
        "schemaVersion": 2, "mediaType": media_type, "config": descriptor, "layers": [descriptor],
    })
    .to_string();
    let answer = send(address, "PUT", "/v2/app/manifests/v1", media_type, manifest.as_bytes());
    assert_eq!(answer.status, 201);
    assert_eq!(request(address, "GET", "/v2/app/manifests/v1").status, 200);
    let digest = Digest::sha256(manifest.as_bytes());
    assert_eq!(request(address, "DELETE", &format!("/v2/app/manifests/{digest}")).status, 202);

    // A blob, a manifest, a pull; the tag that went, and the manifest.
    let sent = one.wait_for(|sent| sent.len() >= 5);
    let v1 = "application/vnd.docker.distribution.events.v1+json";
    assert!(sent.iter().all(|it| it.header("content-type") == Some(v1)));
    let mut push = sent[1].event().clone();
    let source = push["source"].take();
    assert!(
        source["addr"].as_str().unwrap().ends_with(&format!(":{}", address.port())),
        "{source}"
    );
    assert_eq!(source["instanceID"].as_str().unwrap().len(), 36);
    assert_eq!(push["id"].take().as_str().unwrap().len(), 36);
    assert!(push["timestamp"].take().as_str().unwrap().ends_with('Z'));
    push["request"]["addr"].take();
    push["request"]["id"].take();
    let expected = json!({
        "id": null, "timestamp": null, "action": "push",
        "target": {
            "mediaType": media_type, "size": manifest.len(), "digest": digest.to_string(), "length": manifest.len(),
            "repository": "app", "url": format!("http://{address}/v2/app/manifests/{digest}"), "tag": "v1",
            // The manifest has been deleted since, perhaps before this was sent.
            "references": push["target"]["references"],
        },
        "request": {"id": null, "addr": null, "host": address.to_string(), "method": "PUT", "useragent": ""},
        "actor": {}, "source": null,
    });
    assert_eq!(push, expected);
    let actions = |sent: &[Sent]| -> Vec<String> {
        sent.iter().map(|it| it.event()["action"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(actions(&sent), ["push", "push", "pull", "delete", "delete"]);
    assert_eq!(sent[3].event()["target"], json!({"repository": "app", "tag": "v1"}));
    assert_eq!(
        sent[4].event()["target"],
        json!({"repository": "app", "digest": digest.to_string()})
    );

    let sent = second.wait_for(|sent| sent.len() >= 5);
    let v2 = "application/vnd.docker.distribution.events.v2+json";
    assert!(sent.iter().all(|it| it.header("content-type") == Some(v2)));
    let tag = json!({"mediaType": "", "digest": "", "size": 0, "repository": "app", "tag": "v1"});
    assert_eq!(sent[3].event()["target"], tag);
    assert_eq!(actions(&filtered.wait_for(|sent| sent.len() >= 3)), ["push", "delete", "delete"]);
    assert!(disabled.sent().is_empty());
}

#[test]
fn what_a_manifest_refers_to_is_told_while_it_is_there() {
    let receiver = Receiver::start(TAKE);
    let place = place(receiver.address(), "");
    let registry = start(&place);
    let address = registry.address();
    let config = push(address, "app", b"{}");
    let descriptor = json!({"mediaType": "application/vnd.oci.empty.v1+json", "digest": config.to_string(), "size": 2});
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({
        "schemaVersion": 2, "mediaType": media_type, "config": descriptor, "layers": [descriptor],
    });
    let body = manifest.to_string();
    let answer = send(address, "PUT", "/v2/app/manifests/v1", media_type, body.as_bytes());
    assert_eq!(answer.status, 201);
    let sent = receiver.wait_for(|sent| sent.len() >= 2);
    assert_eq!(sent[0].event()["target"]["references"], Value::Null, "a blob refers to nothing");
    assert_eq!(sent[1].event()["target"]["references"], json!([descriptor, descriptor]));
}

#[test]
fn without_a_place_on_disk_queues_are_in_memory_and_that_is_said() {
    let receiver = Receiver::start(Mood::Answer(500));
    let place = place(receiver.address(), "");
    let file = fs::read_to_string(place.file()).unwrap();
    let data = format!("  filesystem:\n    rootdirectory: {}\n", place.data().display());
    fs::write(place.file(), file.replace(&data, "  inmemory:\n")).unwrap();
    let mut registry = start(&place);
    registry.log_line("notifications.queue.directory: not said");
    push_some(&registry, 0..1);
    receiver.wait_for(|sent| !sent.is_empty());
    registry.signal(Signal::TERM);
    let log = registry.ended();
    assert!(log.contains("its queue was in memory alone, and is lost"), "{log}");
}

#[test]
fn a_directory_that_is_asked_for_and_cannot_be_made_does_not_start() {
    let receiver = Receiver::start(TAKE);
    let place = place(receiver.address(), "  queue: {directory: /dev/null/queues}\n");
    let output = place.serve().output().unwrap();
    assert!(!output.status.success());
    let line = String::from_utf8_lossy(&output.stderr);
    assert!(
        line.contains("cannot open the queue of the endpoint one in /dev/null/queues/one"),
        "{line}"
    );
    assert!(line.contains("see notifications.queue.directory"), "{line}");
}

fn certificate(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("binary/certificates").join(name)
}

/// A receiver that speaks TLS, and calls itself by `receiver.pem`.
fn over_tls() -> Receiver {
    let chain = vec![CertificateDer::from_pem_file(certificate("receiver.pem")).unwrap()];
    let key = PrivateKeyDer::from_pem_file(certificate("receiver-key.pem")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let config = Arc::new(config);
    Receiver::start_over(TAKE, move |stream| {
        let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
        Box::new(StreamOwned::new(connection, stream))
    })
}

#[test]
fn over_https_the_certificate_of_an_endpoint_has_to_be_one_that_is_trusted() {
    let receiver = over_tls();
    let place = place(receiver.address(), "");
    let file = fs::read_to_string(place.file()).unwrap();
    fs::write(place.file(), file.replace("url: http://", "url: https://")).unwrap();
    let trusting = |name| {
        let mut command = place.serve();
        RegistryProcess::greeted(command.env("SSL_CERT_FILE", certificate(name)))
    };

    let mut registry = trusting("stranger.pem");
    let pushed = push_some(&registry, 0..1);
    let line = registry.log_line("it takes no events");
    assert!(line.contains("certificate"), "{line}");
    registry.signal(Signal::TERM);
    registry.ended();
    assert!(receiver.sent().is_empty(), "nothing is told to a stranger");

    let _registry = trusting("receiver.pem");
    let sent = receiver.wait_for(|sent| !sent.is_empty());
    assert_eq!(taken(&sent), [pushed[0].to_string()]);
}

#[test]
fn metrics_tell_under_distributions_names_how_the_telling_goes() {
    let receiver = Receiver::start(TAKE);
    let address = receiver.address();
    let endpoint = format!("url: 'http://{address}/', timeout: 5s, threshold: 1, backoff: 1ms");
    let place = Place::new(&format!(
        "version: 0.1\n\
         storage: {{filesystem: {{rootdirectory: DATA}}}}\n\
         http:\n  addr: 127.0.0.1:0\n  debug: {{addr: 127.0.0.1:0, prometheus: {{enabled: true}}}}\n\
         notifications:\n  endpoints:\n    - {{name: one, {endpoint}}}\n    - {{name: one, {endpoint}}}\n"
    ));
    let mut registry = start(&place);
    let debug = address_in(&registry.log_line("the debug server listens on"));
    push(registry.address(), "app", b"content");
    for endpoint in ["one", "one #2"] {
        let of = format!("endpoint=\"{endpoint}\"");
        for (sample, value) in [
            (format!("registry_notifications_events_total{{type=\"Events\",{of}}}"), 1.0),
            (format!("registry_notifications_events_total{{type=\"Successes\",{of}}}"), 1.0),
            (format!("registry_notifications_events_total{{type=\"Failures\",{of}}}"), 0.0),
            (format!("registry_notifications_events_total{{type=\"Errors\",{of}}}"), 0.0),
            (format!("registry_notifications_pending_total{{{of}}}"), 0.0),
            (format!("registry_notifications_status_total{{code=\"200 OK\",{of}}}"), 1.0),
            (format!("registry_notifications_dropped_total{{{of}}}"), 0.0),
        ] {
            until(&format!("{sample} is {value}"), || figure(debug, &sample) == Some(value));
        }
    }
    let metrics = String::from_utf8(request(debug, "GET", "/metrics").body).unwrap();
    for (name, kind) in
        [("events", "counter"), ("pending", "gauge"), ("status", "counter"), ("dropped", "counter")]
    {
        let line = format!("# TYPE registry_notifications_{name}_total {kind}\n");
        assert!(metrics.contains(&line), "{line}");
    }
    let mut samples: Vec<&str> = metrics
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.rsplit_once(' ').unwrap().0)
        .collect();
    let all = samples.len();
    samples.sort_unstable();
    samples.dedup();
    assert_eq!(samples.len(), all, "each sample comes once");
}
