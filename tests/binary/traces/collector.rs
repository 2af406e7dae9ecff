//! [`Collector`]: takes spans by OTLP, as protobuf over HTTP.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use registry_tests::plain_http::received;

/// What it was sent: heads, and documents.
type Sent = Vec<(Vec<String>, ExportTraceServiceRequest)>;

/// It listens as long as the process lives.
pub(crate) struct Collector {
    pub(crate) address: SocketAddr,
    sent: Arc<Mutex<Sent>>,
}

impl Collector {
    /// It answers, or never does.
    pub(crate) fn start(answers: bool) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let sent = Arc::new(Mutex::new(Sent::new()));
        let all = Arc::clone(&sent);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let all = Arc::clone(&all);
                // A connection ends as its client likes.
                thread::spawn(move || serve(stream, &all, answers));
            }
        });
        Self { address, sent }
    }

    pub(crate) fn sent(&self) -> Sent {
        self.sent.lock().unwrap().clone()
    }

    /// All spans it was sent.
    pub(crate) fn spans(&self) -> Vec<Span> {
        let documents = self.sent().into_iter().flat_map(|(_, document)| document.resource_spans);
        documents.flat_map(|it| it.scope_spans).flat_map(|it| it.spans).collect()
    }
}

fn serve(stream: TcpStream, all: &Mutex<Sent>, answers: bool) -> Option<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let (head, body) = received(&mut reader)?;
        let head = head.iter().map(|line| line.to_lowercase()).collect();
        let document = ExportTraceServiceRequest::decode(body.as_slice()).unwrap();
        all.lock().unwrap().push((head, document));
        if !answers {
            // Until the client has had enough.
            return reader.read_line(&mut String::new()).ok().map(|_| ());
        }
        let answer =
            "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n";
        reader.get_mut().write_all(answer.as_bytes()).ok()?;
    }
}

/// An attribute as text; empty if there is none.
pub(crate) fn attribute(of: &[KeyValue], name: &str) -> String {
    let found = of.iter().find(|it| it.key == name).and_then(|it| it.value.clone());
    match found {
        Some(AnyValue { value: Some(Value::StringValue(text)) }) => text,
        Some(AnyValue { value: Some(Value::IntValue(number)) }) => number.to_string(),
        Some(other) => format!("{other:?}"),
        None => String::new(),
    }
}
