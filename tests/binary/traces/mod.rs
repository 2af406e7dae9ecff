//! Traces of the program, by OTLP, at a collector of this process.

mod collector;

use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;

use registry_store::digest::Digest;
use registry_tests::plain_http::{answer, connect, request, send};
use registry_tests::registry_process::RegistryProcess;
use rustix::process::Signal;

use self::collector::{Collector, attribute};
use crate::configuring::Place;
use crate::listening::push;
use crate::operating::{beside, figure, place, until};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;

/// A registry whose traces go to this collector.
fn start(place: &Place, collector: &Collector, more: &[(&str, &str)]) -> RegistryProcess {
    let mut command = place.serve();
    command.env("OTEL_TRACES_EXPORTER", "otlp");
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{}", collector.address));
    command.envs(more.iter().copied());
    RegistryProcess::greeted(&mut command)
}

/// Ends it, so that all is sent that is to be. Returns its log.
fn end(registry: RegistryProcess) -> String {
    registry.signal(Signal::TERM);
    registry.ended()
}

/// A request with a trace of its client's, and secrets wherever there may be some.
fn ask(address: SocketAddr) {
    let mut stream = connect(address);
    write!(
        stream,
        "GET /v2/app/manifests/v1?token=hunter2 HTTP/1.1\r\nHost: r\r\nX-Request-Id: 5a0b\r\n\
         Authorization: Bearer hunter2\r\nCookie: hunter2\r\n\
         traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    assert_eq!(answer(&mut stream, true).status, 404);
}

/// The span of the request with this id.
fn the_one(collector: &Collector, id: &str) -> Span {
    collector.spans().into_iter().find(|it| attribute(&it.attributes, "id") == id).unwrap()
}

#[test]
fn a_request_is_a_span_of_its_clients_trace_and_calls_to_the_storage_are_its_children() {
    let (place, collector) = (place(""), Collector::start(true));
    let headers = "token=hunter2,x-scope=team";
    let registry = start(&place, &collector, &[("OTEL_EXPORTER_OTLP_HEADERS", headers)]);
    ask(registry.address());
    let log = end(registry);

    let (head, document) = collector.sent().remove(0);
    for line in
        ["post /v1/traces http/1.1", "content-type: application/x-protobuf", "x-scope: team"]
    {
        assert!(head.iter().any(|found| found == line), "{line}: {head:?}");
    }
    let resource = document.resource_spans[0].resource.clone().unwrap();
    assert_eq!(attribute(&resource.attributes, "service.name"), "registry");
    let spans = collector.spans();
    let get = spans.iter().find(|it| it.name == "GET /v2/{name}/manifests/{reference}").unwrap();
    assert_eq!(hex::encode(&get.trace_id), "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(hex::encode(&get.parent_span_id), "b7ad6b7169203331");
    for (name, value) in [
        ("http.request.method", "GET"),
        ("http.route", "/v2/{name}/manifests/{reference}"),
        ("http.response.status_code", "404"),
        ("url.path", "/v2/app/manifests/v1"),
        ("url.scheme", "http"),
        ("id", "5a0b"),
        ("error.type", ""),
    ] {
        assert_eq!(attribute(&get.attributes, name), value, "{name}");
    }
    let children = spans.iter().filter(|it| it.parent_span_id == get.span_id).collect::<Vec<_>>();
    assert!(!children.is_empty(), "{spans:#?}");
    for child in &children {
        assert!(child.name.starts_with("storage "), "{child:?}");
        assert_eq!(child.trace_id, get.trace_id);
        assert!(!attribute(&child.attributes, "storage.action").is_empty(), "{child:?}");
    }
    assert!(!format!("{spans:?}{log}").contains("hunter2"), "{spans:#?}\n{log}");
}

#[test]
fn what_goes_on_by_itself_and_what_an_answer_reads_are_of_the_trace_of_their_request() {
    let (place, collector) = (place(""), Collector::start(true));
    let registry = start(&place, &collector, &[]);
    let content = b"content";
    let blob = Digest::sha256(content);
    let target = format!("/v2/app/blobs/uploads/?digest={blob}");
    let type_of_bytes = "application/octet-stream";
    assert_eq!(send(registry.address(), "POST", &target, type_of_bytes, content).status, 201);
    let target = format!("/v2/app/blobs/{blob}");
    assert_eq!(request(registry.address(), "GET", &target).body, content);
    assert_eq!(request(registry.address(), "GET", "/v2/_catalog").status, 200);
    assert_eq!(request(registry.address(), "DELETE", &target).status, 202);
    end(registry);

    let spans = collector.spans();
    for (name, actions) in [
        ("POST /v2/{name}/blobs/uploads/", &["stage", "append", "move", "put"][..]),
        ("GET /v2/{name}/blobs/{digest}", &["read"]),
        ("GET /v2/_catalog", &["list"]),
        ("DELETE /v2/{name}/blobs/{digest}", &["delete"]),
    ] {
        let request = spans.iter().find(|it| it.name == name).unwrap();
        assert!(request.parent_span_id.is_empty(), "{request:?}");
        for action in actions {
            let of_it = |it: &&Span| {
                it.parent_span_id == request.span_id && it.name == format!("storage {action}")
            };
            assert!(spans.iter().any(|it| of_it(&it)), "{name}: {action}: {spans:#?}");
        }
    }
    // What the program does by itself, such as looking at the storage, is nobody's trace.
    let roots = spans.iter().filter(|it| it.parent_span_id.is_empty());
    assert!(roots.clone().all(|it| it.name.contains(" /v2/")), "{spans:#?}");
    let requests = collector.sent().len();
    assert!(requests < 3, "spans are sent together: {requests} requests");
}

#[test]
fn lines_of_the_log_have_the_id_of_their_request_and_nothing_that_is_for_traces() {
    for formatter in ["text", "json", "logstash"] {
        let place = place(&format!("log: {{formatter: {formatter}}}\n"));
        let collector = Collector::start(true);
        let registry = start(&place, &collector, &[]);
        let blob = push(registry.address(), "app", b"content");
        let hex = blob.hex();
        let data = format!("docker/registry/v2/blobs/sha256/{}/{hex}/data", &hex[..2]);
        fs::write(place.data().join(data), b"other").unwrap();
        let mut stream = connect(registry.address());
        write!(
            stream,
            "POST /v2/app/blobs/uploads/?digest={blob} HTTP/1.1\r\nHost: x\r\nX-Request-Id: 5a0b\r\n\
             Content-Length: 7\r\nConnection: close\r\n\r\ncontent"
        )
        .unwrap();
        assert_eq!(answer(&mut stream, true).status, 201);
        let log = end(registry);
        let told = log.lines().find(|line| line.contains("5a0b"));
        let told = told.unwrap_or_else(|| panic!("{formatter}: {log}"));
        for name in ["otel.", "url.", "http.route", "error.type"] {
            assert!(!log.contains(name), "{formatter}: {log}");
        }
        let scope = if formatter == "text" {
            "http.request{id=5a0b}:"
        } else {
            r#""http.request.id":"5a0b""#
        };
        assert!(told.contains(scope), "{formatter}: {told}");
        assert_eq!(
            attribute(&the_one(&collector, "5a0b").attributes, "http.request.method"),
            "POST"
        );
    }
}

#[test]
fn a_request_that_the_storage_fails_is_an_error_and_so_is_the_call() {
    let (place, collector) = (place(""), Collector::start(true));
    let registry = start(&place, &collector, &[]);
    let blob = Digest::sha256(b"content");
    let data = place.data().join("docker/registry/v2/blobs/sha256").join(&blob.hex()[..2]);
    fs::create_dir_all(data.parent().unwrap()).unwrap();
    fs::write(&data, b"in the way").unwrap();
    let target = format!("/v2/app/blobs/uploads/?digest={blob}");
    let mut stream = connect(registry.address());
    write!(
        stream,
        "POST {target} HTTP/1.1\r\nHost: x\r\nX-Request-Id: 5a0b\r\nContent-Length: 7\r\n\
         Connection: close\r\n\r\ncontent"
    )
    .unwrap();
    let status = answer(&mut stream, true).status;
    assert!(status >= 500, "{status}");
    end(registry);

    let span = the_one(&collector, "5a0b");
    assert_eq!(attribute(&span.attributes, "error.type"), status.to_string());
    let is_error = |it: &Span| it.status.as_ref().is_some_and(|it| it.code() == StatusCode::Error);
    assert!(is_error(&span), "{span:?}");
    let spans = collector.spans();
    let calls = spans.iter().filter(|it| it.parent_span_id == span.span_id);
    assert_eq!(calls.filter(|it| is_error(it)).count(), 1, "{spans:#?}");
}

#[test]
fn a_collector_that_hangs_holds_up_nothing_and_what_is_lost_is_counted() {
    let (place, collector) = (place(""), Collector::start(false));
    let variables = [
        ("OTEL_BSP_MAX_QUEUE_SIZE", "16"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4"),
        ("OTEL_BSP_SCHEDULE_DELAY", "1"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "600000"),
    ];
    let mut registry = start(&place, &collector, &variables);
    let debug = beside(&mut registry, "the debug server");
    for _ in 0..100 {
        assert_eq!(request(registry.address(), "GET", "/v2/").status, 200);
    }
    let count =
        |outcome| figure(debug, &format!("registry_trace_spans_total{{outcome=\"{outcome}\"}}"));
    until("all have ended", || count("ended") == Some(100.0));
    assert_eq!((count("sent"), count("failed")), (Some(0.0), Some(0.0)));
    let log = end(registry);
    assert_eq!(collector.sent().len(), 1, "one is sent at a time");
    assert!(log.contains("not all spans reached the collector lost=100"), "{log}");
}

#[test]
fn what_the_sampler_leaves_out_and_what_is_not_asked_for_is_not_sent() {
    for variables in [
        [("OTEL_TRACES_SAMPLER", "always_off")],
        [("OTEL_TRACES_EXPORTER", "none")],
        [("OTEL_SDK_DISABLED", "true")],
    ] {
        let (place, collector) = (place(""), Collector::start(true));
        let registry = start(&place, &collector, &variables);
        assert_eq!(request(registry.address(), "GET", "/v2/").status, 200);
        let log = end(registry);
        assert!(collector.sent().is_empty() && !log.contains("spans"), "{variables:?}: {log}");
    }
}

#[test]
fn what_cannot_be_done_is_told_of_and_it_serves_without_traces() {
    for (variable, value, told) in [
        ("OTEL_TRACES_EXPORTER", "zipkin", "OTEL_TRACES_EXPORTER: expected otlp or none"),
        (
            "OTEL_EXPORTER_OTLP_PROTOCOL",
            "grpc",
            "OTEL_EXPORTER_OTLP_PROTOCOL: expected http/protobuf",
        ),
    ] {
        let (place, collector) = (place(""), Collector::start(true));
        let mut registry = start(&place, &collector, &[(variable, value)]);
        registry.log_line(told);
        assert_eq!(request(registry.address(), "GET", "/v2/").status, 200);
        end(registry);
        assert!(collector.sent().is_empty());
    }
}

#[test]
fn a_collector_that_refuses_is_told_of_once_and_no_secret_of_its_address_is() {
    let (place, collector) = (place(""), Collector::start(true));
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://user:hunter2@127.0.0.1:1/hunter2"),
        ("OTEL_BSP_SCHEDULE_DELAY", "1"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1"),
    ];
    let mut registry = start(&place, &collector, &variables);
    let debug = beside(&mut registry, "the debug server");
    for _ in 0..3 {
        assert_eq!(request(registry.address(), "GET", "/v2/").status, 200);
    }
    let failed = || figure(debug, "registry_trace_spans_total{outcome=\"failed\"}");
    until("all have failed", || failed() == Some(3.0));
    let log = end(registry);
    assert_eq!(log.matches("the collector takes no traces").count(), 1, "{log}");
    assert!(!log.contains("hunter2"), "{log}");
}
