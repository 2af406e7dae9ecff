//! What operators see and order: metrics, the log of requests, health, read-only, Harbor's registryctl.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::thread::yield_now;
use std::time::Instant;

use registry_store::digest::Digest;
use registry_tests::child::PATIENCE;
use registry_tests::plain_http::{Answer, answer, connect, request, send};
use registry_tests::registry_process::RegistryProcess;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::configuring::Place;
use crate::failures::{failure, says};
use crate::listening::push;

/// With a debug server, and more lines at the end.
pub(crate) fn place(more: &str) -> Place {
    Place::new(&format!(
        "version: 0.1\n\
         storage:\n  filesystem:\n    rootdirectory: DATA\n  delete: {{enabled: true}}\n\
         http:\n  addr: 127.0.0.1:0\n  debug:\n    addr: 127.0.0.1:0\n    prometheus: {{enabled: true}}\n{more}"
    ))
}

/// A registry, and where a server for operators is.
pub(crate) fn start(place: &Place) -> (RegistryProcess, SocketAddr) {
    let mut registry = RegistryProcess::greeted(&mut place.serve());
    let debug = beside(&mut registry, "the debug server");
    (registry, debug)
}

/// Where a server for operators is.
pub(crate) fn beside(registry: &mut RegistryProcess, what: &str) -> SocketAddr {
    address_in(&registry.log_line(&format!("{what} listens on http://")))
}

pub(crate) fn address_in(line: &str) -> SocketAddr {
    let address = line.rsplit("http://").next().unwrap();
    let end = address.find(|it: char| it != '.' && it != ':' && !it.is_ascii_digit());
    address[..end.unwrap_or(address.len())].parse().unwrap()
}

pub(crate) fn text(answer: &Answer) -> String {
    String::from_utf8(answer.body.clone()).unwrap()
}

fn object(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap()
}

/// One request with this header, on a connection of its own.
pub(crate) fn with_header(address: SocketAddr, method: &str, target: &str, header: &str) -> Answer {
    let mut stream = connect(address);
    write!(
        stream,
        "{method} {target} HTTP/1.1\r\nHost: {address}\r\n{header}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    answer(&mut stream, method != "HEAD")
}

/// A metric's value, by its name and labels as they stand.
pub(crate) fn figure(debug: SocketAddr, sample: &str) -> Option<f64> {
    let metrics = text(&request(debug, "GET", "/metrics"));
    let line = metrics.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
    line.map(|value| value.parse().unwrap())
}

/// Waits until it is so.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "expected that {what}");
        yield_now();
    }
}

#[test]
fn metrics_have_distributions_names_and_count_what_was_done() {
    let place = place("");
    let (registry, debug) = start(&place);
    let digest = push(registry.address(), "secret/project", b"content");
    let blob = format!("/v2/secret/project/blobs/{digest}");
    assert_eq!(request(registry.address(), "GET", &blob).status, 200);
    assert_eq!(request(registry.address(), "GET", "/v2/x/manifests/none").status, 404);
    assert_eq!(request(registry.address(), "GET", "/nothing").status, 404);
    for (sample, least) in [
        ("registry_http_requests_total{code=\"201\",handler=\"blob_upload\",method=\"post\"}", 1.0),
        ("registry_http_requests_total{code=\"200\",handler=\"blob\",method=\"get\"}", 1.0),
        ("registry_http_requests_total{code=\"404\",handler=\"manifest\",method=\"get\"}", 1.0),
        ("registry_http_request_duration_seconds_count{handler=\"blob\",method=\"get\"}", 1.0),
        ("registry_http_response_size_bytes_sum{handler=\"blob\"}", 7.0),
        ("registry_http_request_size_bytes_sum{handler=\"blob_upload\"}", 7.0),
        ("registry_http_received_bytes_total{handler=\"blob_upload\"}", 7.0),
        ("registry_http_sent_bytes_total{handler=\"blob\"}", 7.0),
        ("registry_storage_cache_total{type=\"Request\"}", 0.0),
        ("registry_storage_cache_total{type=\"Hit\"}", 0.0),
        ("registry_storage_cache_total{type=\"Miss\"}", 0.0),
        ("registry_log_dropped_total", 0.0),
        ("registry_access_log_dropped_total", 0.0),
        ("registry_storage_action_seconds_count{action=\"GetContent\",driver=\"filesystem\"}", 1.0),
        ("registry_storage_action_seconds_count{action=\"Move\",driver=\"filesystem\"}", 1.0),
        ("registry_damage_total{found=\"blob\"}", 0.0),
        ("registry_read_only", 0.0),
        ("process_resident_memory_bytes", 1.0),
        ("process_open_fds", 1.0),
        ("process_cpu_seconds_total", 0.0),
        ("process_start_time_seconds", 1.0),
    ] {
        // A request has ended when its answer was handed over, which a client may see earlier.
        until(sample, || figure(debug, sample).is_some_and(|value| value >= least));
    }
    for handler in ["blob", "blob_upload", "manifest", "referrers"] {
        let sample = format!("registry_http_in_flight_requests{{handler=\"{handler}\"}}");
        until(&format!("{sample} is 0"), || figure(debug, &sample) == Some(0.0));
    }
    let metrics = request(debug, "GET", "/metrics");
    assert!(metrics.header("content-type").unwrap().starts_with("text/plain; version=0.0.4"));
    let metrics = text(&metrics);
    assert!(metrics.contains("registry_build_info{version=\""), "{metrics}");
    for unwanted in ["secret", "project", digest.hex().as_str(), "nothing"] {
        assert!(!metrics.contains(unwanted), "{unwanted}: {metrics}");
    }
    // They are not where clients are.
    assert_eq!(request(registry.address(), "GET", "/metrics").status, 404);
}

#[test]
fn a_damaged_blob_is_counted() {
    let place = place("");
    let (registry, debug) = start(&place);
    let digest = push(registry.address(), "app", b"content");
    let hex = digest.hex();
    let data = format!("docker/registry/v2/blobs/sha256/{}/{hex}/data", &hex[..2]);
    fs::write(place.data().join(data), b"").unwrap();
    assert_eq!(request(registry.address(), "GET", &format!("/v2/app/blobs/{digest}")).status, 404);
    assert!(figure(debug, "registry_damage_total{found=\"blob\"}").unwrap() >= 1.0);
}

#[test]
fn each_request_is_a_line_of_the_log_and_has_an_id() {
    let place = place("");
    let (mut registry, _) = start(&place);
    let answer = with_header(
        registry.address(),
        "GET",
        "/v2/_catalog?n=1&token=hunter2",
        "User-Agent: docker/28.0\r\nX-Request-Id: 0af7651916cd43dd",
    );
    assert_eq!(answer.header("x-request-id"), Some("0af7651916cd43dd"));
    let line = registry.output_line("_catalog");
    assert!(line.contains("] \"GET /v2/_catalog?n=1&token=*** HTTP/1.1\" 200 "), "{line}");
    assert!(line.ends_with(" \"\" \"docker/28.0\""), "{line}");
    let made = request(registry.address(), "GET", "/v2/");
    assert_eq!(made.header("x-request-id").unwrap().len(), 36);

    let silent = place_without_log();
    let (registry, _) = start(&silent);
    request(registry.address(), "GET", "/v2/");
    registry.signal(Signal::TERM);
    let (output, _) = registry.ended_with_output();
    assert!(!output.contains("GET"), "{output}");
}

fn place_without_log() -> Place {
    place("log: {accesslog: {disabled: true}}\n")
}

#[test]
fn lines_of_json_have_what_happens_the_id_of_its_request_and_the_fields_of_the_configuration() {
    let place = place("log: {formatter: json, level: debug, fields: {service: registry}}\n");
    let (mut registry, _) = start(&place);
    let header = "X-Request-Id: 5a0b";
    assert_eq!(with_header(registry.address(), "GET", "/v2/a/tags/list", header).status, 404);
    let line: Value = serde_json::from_str(&registry.output_line("tags/list")).unwrap();
    let told = |line: &Value, names: &[&str]| {
        names.iter().map(|name| line[*name].clone()).collect::<Vec<_>>()
    };
    let names = [
        "service",
        "http.request.id",
        "http.request.method",
        "http.request.uri",
        "http.response.status",
    ];
    let expected =
        [json!("registry"), json!("5a0b"), json!("GET"), json!("/v2/a/tags/list"), json!(404)];
    assert_eq!(told(&line, &names), expected);
    registry.signal(Signal::TERM);
    let (_, log) = registry.ended_with_output();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let refused = lines.iter().find(|line| line["path"] == "/v2/a/tags/list").unwrap();
    let names = ["service", "level", "msg", "http.request.id"];
    let expected = [json!("registry"), json!("debug"), json!("refused"), json!("5a0b")];
    assert_eq!(told(refused, &names), expected, "{refused}");
    assert!(refused["time"].as_str().unwrap().ends_with('Z'), "{refused}");
}

#[test]
fn while_a_check_fails_every_path_is_unavailable_and_the_debug_server_says_why() {
    let place = place(
        "health:\n  storagedriver: {enabled: true, interval: 10ms, threshold: 3}\n  \
         file: [{file: DATA.down, interval: 5ms}]\n",
    );
    let (registry, debug) = start(&place);
    let served = || request(registry.address(), "GET", "/").status;
    let health = || request(debug, "GET", "/debug/health");
    assert_eq!((served(), health().status, object(&health())), (200, 200, json!({})));
    assert_eq!(request(debug, "GET", "/debug/ready").status, 200);

    let down = format!("{}.down", place.data().display());
    fs::write(&down, "").unwrap();
    until("it is taken out of service", || served() == 503);
    let answer = request(registry.address(), "GET", "/v2/");
    assert_eq!(
        (answer.status, &object(&answer)["errors"][0]["code"]),
        (503, &json!("UNAVAILABLE"))
    );
    assert_eq!((health().status, object(&health())), (503, json!({ &down: "file exists" })));
    assert_eq!(request(debug, "GET", "/debug/ready").status, 503);
    assert_eq!(request(debug, "GET", "/debug/live").status, 200);
    fs::remove_file(&down).unwrap();
    until("it is back", || served() == 200);

    assert_eq!(request(debug, "GET", "/debug/health/down").status, 404);
    assert_eq!(request(debug, "POST", "/debug/health/down").status, 200);
    assert_eq!(served(), 503);
    assert_eq!(object(&health()), json!({ "manual_http_status": "manual check" }));
    assert_eq!(request(debug, "POST", "/debug/health/up").status, 200);
    assert_eq!((served(), health().status), (200, 200));
}

#[test]
fn what_listens_and_what_answers_is_checked() {
    let other = place("");
    let (other, _) = start(&other);
    let place = place(&format!(
        "health:\n  tcp: [{{addr: '{0}', interval: 5ms, timeout: 1s}}]\n  \
         http: [{{uri: 'http://{0}/v2/', interval: 5ms, threshold: 2}}]\n",
        other.address()
    ));
    let (registry, debug) = start(&place);
    let health = || object(&request(debug, "GET", "/debug/health"));
    assert_eq!(health(), json!({}));
    let (tcp, http) = (other.address().to_string(), format!("http://{}", other.address()));
    drop(other);
    until("both fail", || health().get(&tcp).is_some() && health().get(&http).is_some());
    assert_eq!(request(registry.address(), "GET", "/v2/").status, 503);
}

#[test]
fn two_checks_of_one_host_fail_each_for_itself() {
    let other = place("");
    let (other, _) = start(&other);
    let place = place(&format!(
        "health:\n  http:\n    - {{uri: 'http://{0}/none', interval: 5ms}}\n    \
         - {{uri: 'http://{0}/v2/', interval: 5ms, statuscode: 418}}\n    \
         - {{uri: 'http://{0}/v2/', interval: 5ms}}\n",
        other.address()
    ));
    let (_registry, debug) = start(&place);
    let health = || object(&request(debug, "GET", "/debug/health"));
    let name = format!("http://{}", other.address());
    let expected = json!({
        &name: "expected the status 200, found 404",
        format!("{name} #2"): "expected the status 418, found 200",
    });
    until("both fail", || health() == expected);
}

#[test]
fn without_its_data_directory_it_is_neither_ready_nor_healthy() {
    let place = place("health: {storagedriver: {enabled: true, interval: 5ms, threshold: 1}}\n");
    let (registry, debug) = start(&place);
    let status = |target: &str| request(debug, "GET", target).status;
    let away = place.data().with_extension("away");
    assert_eq!((status("/debug/ready"), status("/debug/health")), (200, 200));
    fs::rename(place.data(), &away).unwrap();
    let ready = request(debug, "GET", "/debug/ready");
    assert_eq!(ready.status, 503);
    let why = object(&ready)["storage"].as_str().unwrap().to_owned();
    assert!(
        why.contains("nothing is there; expected the directory that was opened at start"),
        "{why}"
    );
    until("it is taken out of service", || status("/debug/health") == 503);
    assert_eq!(request(registry.address(), "GET", "/v2/").status, 503);
    fs::rename(&away, place.data()).unwrap();
    until("it is back", || status("/debug/health") == 200);
    assert_eq!(status("/debug/ready"), 200);
}

#[test]
fn an_answer_that_the_storage_cuts_is_logged_as_broken_off_and_told_of_with_its_id() {
    let place = place("log: {formatter: json}\n");
    let (mut registry, _) = start(&place);
    // More than the buffers of two sockets hold.
    let content = vec![b'x'; 32 << 20];
    let digest = push(registry.address(), "app", &content);
    let mut stream = connect(registry.address());
    write!(stream, "GET /v2/app/blobs/{digest} HTTP/1.1\r\nHost: x\r\nX-Request-Id: 5a0b\r\n\r\n")
        .unwrap();
    stream.read_exact(&mut [0; 1]).unwrap();
    let hex = digest.hex();
    let data = format!("docker/registry/v2/blobs/sha256/{}/{hex}/data", &hex[..2]);
    fs::OpenOptions::new().write(true).open(place.data().join(data)).unwrap().set_len(0).unwrap();
    // However the connection ends.
    let _ = stream.read_to_end(&mut Vec::new());
    let told: Value = serde_json::from_str(&registry.log_line("the answer broke off")).unwrap();
    assert_eq!(told["http.request.id"], "5a0b", "{told}");
    let line: Value = serde_json::from_str(&registry.output_line("\"5a0b\"")).unwrap();
    assert_eq!(
        (&line["msg"], &line["http.response.status"]),
        (&json!("response broken off"), &json!(200))
    );
}

#[test]
fn what_goes_on_by_itself_is_told_of_with_the_id_of_its_request() {
    let place = place("log: {formatter: json}\n");
    let (mut registry, _) = start(&place);
    let digest = push(registry.address(), "app", b"content");
    let hex = digest.hex();
    let data = format!("docker/registry/v2/blobs/sha256/{}/{hex}/data", &hex[..2]);
    fs::write(place.data().join(data), b"other").unwrap();
    let target = format!("/v2/app/blobs/uploads/?digest={digest}");
    let mut stream = connect(registry.address());
    write!(
        stream,
        "POST {target} HTTP/1.1\r\nHost: x\r\nX-Request-Id: 5a0b\r\nContent-Length: 7\r\n\
         Connection: close\r\n\r\ncontent"
    )
    .unwrap();
    assert_eq!(answer(&mut stream, true).status, 201);
    let told = registry.log_line("damaged object replaced by a push");
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["http.request.id"], "5a0b", "{told}");
}

#[test]
fn json_tells_for_whom_a_proxy_asks_if_that_is_an_address() {
    let place = place("log: {formatter: json}\n");
    let (mut registry, _) = start(&place);
    for (number, (header, expected)) in [
        ("X-Forwarded-For: 192.0.2.7, 10.0.0.1", Some("192.0.2.7")),
        ("X-Forwarded-For: hunter2\r\nX-Real-Ip: 2001:db8::7", Some("2001:db8::7")),
        ("X-Real-Ip: 192.0.2.7:80", None),
    ]
    .into_iter()
    .enumerate()
    {
        let header = format!("{header}\r\nX-Request-Id: number-{number}");
        assert_eq!(with_header(registry.address(), "GET", "/v2/", &header).status, 200);
        let line = registry.output_line(&format!("number-{number}"));
        let line: Value = serde_json::from_str(&line).unwrap();
        let found = line["http.request.remoteaddr"].as_str().unwrap();
        match expected {
            Some(expected) => assert_eq!(found, expected),
            None => assert!(found.starts_with("127.0.0.1:"), "{found}"),
        }
    }
}

#[test]
fn writing_is_stopped_and_allowed_while_it_runs() {
    let place = place("");
    let (registry, debug) = start(&place);
    let order = |enabled: &str| {
        let body = format!("{{\"enabled\":{enabled}}}");
        send(debug, "POST", "/debug/readonly", "application/json", body.as_bytes())
    };
    let begins = || request(registry.address(), "POST", "/v2/app/blobs/uploads/").status;
    let digest = push(registry.address(), "app", b"content");
    assert_eq!(object(&request(debug, "GET", "/debug/readonly")), json!({ "enabled": false }));
    assert_eq!(object(&order("true")), json!({ "enabled": true }));
    let blob = format!("/v2/app/blobs/{digest}");
    assert_eq!((begins(), request(registry.address(), "DELETE", &blob).status), (405, 405));
    assert_eq!(request(registry.address(), "GET", &blob).status, 200);
    assert_eq!(figure(debug, "registry_read_only"), Some(1.0));
    assert_eq!(order("\"yes\"").status, 400);
    assert_eq!((order("false").status, begins()), (200, 202));

    // What was opened for reading cannot be written to.
    let place = place_of(place.data().as_path());
    let (_registry, debug) = start(&place);
    let refused =
        send(debug, "POST", "/debug/readonly", "application/json", b"{\"enabled\":false}");
    assert_eq!(refused.status, 409);
}

/// One that only reads, of this directory.
fn place_of(data: &Path) -> Place {
    Place::new(&format!(
        "version: 0.1\n\
         storage:\n  filesystem:\n    rootdirectory: {}\n  maintenance: {{readonly: {{enabled: true}}}}\n\
         http:\n  addr: 127.0.0.1:0\n  debug: {{addr: 127.0.0.1:0}}\n",
        data.display()
    ))
}

#[test]
fn harbors_collector_deletes_blobs_and_manifests() {
    let place = place("registryctl: {addr: 127.0.0.1:0}\n");
    let mut command = place.serve();
    command.env("JOBSERVICE_SECRET", "hunter2");
    let mut registry = RegistryProcess::greeted(&mut command);
    let ctl = beside(&mut registry, "registryctl");
    let health = request(ctl, "GET", "/api/health");
    assert_eq!((health.status, text(&health).as_str()), (200, "\"healthy\""));

    let blob = push(registry.address(), "app", b"{}");
    let manifest = format!(
        "{{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"config\":\
         {{\"mediaType\":\"application/vnd.oci.empty.v1+json\",\"digest\":\"{blob}\",\"size\":2}},\"layers\":[]}}"
    );
    let digest = Digest::sha256(manifest.as_bytes());
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let put =
        send(registry.address(), "PUT", "/v2/app/manifests/v1", media_type, manifest.as_bytes());
    assert_eq!(put.status, 201);

    let delete = |target: &str, secret: &str| {
        with_header(ctl, "DELETE", target, &format!("Authorization: Harbor-Secret {secret}")).status
    };
    let gone = format!("/api/registry/app/manifests/{digest}");
    assert_eq!((delete(&gone, "hunter3"), delete(&gone, "hunter2")), (401, 200));
    assert_eq!(delete(&gone, "hunter2"), 404);
    assert_eq!(request(registry.address(), "GET", "/v2/app/manifests/v1").status, 404);
    // Its bytes are a blob, as is its config.
    for blob in [digest, blob] {
        let gone = format!("/api/registry/blob/{blob}");
        assert_eq!((delete(&gone, "hunter2"), delete(&gone, "hunter2")), (200, 404));
        let hex = blob.hex();
        let place_of_blob = format!("docker/registry/v2/blobs/sha256/{}/{hex}", &hex[..2]);
        assert!(!place.data().join(place_of_blob).exists());
    }
    // The link to it leads nowhere, until it is pushed again.
    let target = format!("/v2/app/blobs/{blob}");
    assert_eq!(request(registry.address(), "HEAD", &target).status, 404);
    push(registry.address(), "app", b"{}");
    assert_eq!(request(registry.address(), "HEAD", &target).status, 200);
}

#[test]
fn registryctl_of_a_registry_that_only_reads_deletes_nothing_and_its_requests_are_logged() {
    let first = place("");
    let digest = push(start(&first).0.address(), "app", b"content");
    let place = Place::new(&format!(
        "version: 0.1\n\
         storage:\n  filesystem:\n    rootdirectory: {}\n  maintenance: {{readonly: {{enabled: true}}}}\n\
         http: {{addr: 127.0.0.1:0}}\nregistryctl: {{addr: 127.0.0.1:0}}\n",
        first.data().display()
    ));
    let mut command = place.serve();
    command.env("JOBSERVICE_SECRET", "hunter2");
    let mut registry = RegistryProcess::greeted(&mut command);
    let ctl = beside(&mut registry, "registryctl");
    let secret = "Authorization: Harbor-Secret hunter2";
    let delete =
        |header: &str| with_header(ctl, "DELETE", &format!("/api/registry/blob/{digest}"), header);
    let refused = delete(&format!("{secret}\r\nX-Request-Id: 5a0b"));
    assert_eq!((refused.status, refused.header("x-request-id")), (503, Some("5a0b")));
    assert_eq!(delete(&format!("{secret}\r\n{secret}")).status, 401);
    let line = registry.output_line("\"DELETE /api/registry/blob/");
    assert!(line.contains("HTTP/1.1\" 503 "), "{line}");
    let blob = format!("/v2/app/blobs/{digest}");
    assert_eq!(request(registry.address(), "GET", &blob).status, 200);
}

#[test]
fn registryctl_without_a_secret_does_not_start() {
    let place = place("registryctl: {addr: 127.0.0.1:0}\n");
    let mut command = place.serve();
    command.env_remove("JOBSERVICE_SECRET");
    let (status, line) = failure(&mut command);
    assert_eq!(status, 1);
    says(&line, &["registryctl.secretfile", "JOBSERVICE_SECRET"]);
    assert!(!place.data().exists(), "a start that fails leaves nothing behind");
}

#[cfg(not(feature = "otel"))]
#[test]
fn traces_that_the_program_was_not_built_with_are_told_of_where_they_are_asked_for() {
    for (exporter, is_asked_for) in [("otlp", true), ("none", false), ("", false)] {
        let place = place("");
        let mut command = place.serve();
        command.env("OTEL_TRACES_EXPORTER", exporter);
        let registry = RegistryProcess::greeted(&mut command);
        assert_eq!(request(registry.address(), "GET", "/v2/").status, 200);
        registry.signal(Signal::TERM);
        let log = registry.ended();
        assert_eq!(log.contains("--features otel"), is_asked_for, "{exporter:?}: {log}");
    }
}
