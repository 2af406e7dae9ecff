//! Plays the table of `specification/`, whose README explains it: over HTTP/1.1 and HTTP/2 on memory, over
//! HTTP/1.1 on a filesystem.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use http::{Method, Request, request};
use registry_tests::backends::{Fault, FaultyBackend, Moment};
use registry_tests::server::{Answer, Client, ClientBody, Protocol, Server, streamed, whole};
use registry_tests::world::World;
use tempfile::{tempdir, tempdir_in};

use crate::fixture::Fixture;
use crate::table::{self, Case, Exchange, Page};

/// Cases that are played at the same time: on a filesystem they wait for it.
const AT_ONCE: usize = 8;

#[tokio::test]
async fn everything_in_the_specification_holds_over_http_1() {
    hold(World::memory, Protocol::Http1).await;
}

#[tokio::test]
async fn everything_in_the_specification_holds_over_http_2() {
    hold(World::memory, Protocol::Http2).await;
}

#[tokio::test]
async fn everything_in_the_specification_holds_on_a_filesystem() {
    hold(in_a_directory, Protocol::Http1).await;
}

/// In memory too, where Linux has its place for that: hundreds of directories are made and removed, and what is played
/// here is not about what a medium keeps.
fn in_a_directory() -> World {
    let directory = tempdir_in("/dev/shm").or_else(|_| tempdir());
    World::in_directory(directory.expect("room for a directory"))
}

async fn hold(world: fn() -> World, protocol: Protocol) {
    let pages = table::pages();
    let cases: Vec<&Case> = pages.iter().flat_map(|page| &page.cases).collect();
    assert!(cases.len() > 300, "the specification was not read whole: {} cases", cases.len());
    let plays = cases.iter().map(|case| async move {
        let fault = case.play(world, protocol).await.err()?;
        Some(format!("\n{}:\n{fault}\n", case.title))
    });
    let faults: Vec<Option<String>> = stream::iter(plays).buffered(AT_ONCE).collect().await;
    let faults: Vec<String> = faults.into_iter().flatten().collect();
    assert!(
        faults.is_empty(),
        "{} of {} do not hold:\n{}",
        faults.len(),
        cases.len(),
        faults.concat()
    );
}

/// The codes of Distribution 2.8 and 3.x, and of the OCI distribution-spec, which are among them.
const KNOWN_CODES: [&str; 20] = [
    "BLOB_UNKNOWN",
    "BLOB_UPLOAD_INVALID",
    "BLOB_UPLOAD_UNKNOWN",
    "DENIED",
    "DIGEST_INVALID",
    "MANIFEST_BLOB_UNKNOWN",
    "MANIFEST_INVALID",
    "MANIFEST_UNKNOWN",
    "MANIFEST_UNVERIFIED",
    "NAME_INVALID",
    "NAME_UNKNOWN",
    "PAGINATION_NUMBER_INVALID",
    "RANGE_INVALID",
    "SIZE_INVALID",
    "TAG_INVALID",
    "TOOMANYREQUESTS",
    "UNAUTHORIZED",
    "UNAVAILABLE",
    "UNKNOWN",
    "UNSUPPORTED",
];

#[test]
fn every_code_is_shown_in_errors_txt_or_said_there_to_be_never_sent() {
    let pages = table::pages();
    let page =
        pages.iter().find(|page| page.name == "errors.txt").expect("there is a table of errors");
    let (shown, never) = (codes_shown(page), codes_never_sent(page));
    assert_eq!(shown.intersection(&never).count(), 0, "{shown:?} and {never:?}");
    let told: BTreeSet<&str> = shown.union(&never).map(String::as_str).collect();
    assert_eq!(told, BTreeSet::from(KNOWN_CODES));

    let source = include_str!("../../registry-http/src/error.rs");
    let upper =
        |text: &&str| text.len() > 3 && text.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
    let sent: BTreeSet<String> = source.split('"').filter(upper).map(ToOwned::to_owned).collect();
    assert_eq!(shown, sent, "what is shown, and what `error.rs` can send");
}

fn codes_shown(page: &Page) -> BTreeSet<String> {
    let exchanges = page.cases.iter().flat_map(|case| &case.exchanges);
    let codes = exchanges.filter_map(|exchange| exchange.expected[0].split_once(' '));
    codes.map(|(_, code)| code.to_owned()).collect()
}

/// A line of prose that is indented and begins with a code says that it is never sent.
fn codes_never_sent(page: &Page) -> BTreeSet<String> {
    let lines = page.prose.iter().filter_map(|line| line.strip_prefix("  "));
    let words = lines.filter_map(|line| line.split(' ').next());
    words.filter(|word| KNOWN_CODES.contains(word)).map(ToOwned::to_owned).collect()
}

impl Case {
    async fn play(&self, world: fn() -> World, protocol: Protocol) -> Result<(), String> {
        let mut fixture = Fixture::on(world()).await;
        for text in &self.beforehand {
            match text.as_str() {
                "nothing was pushed" => fixture.world = world(),
                text => fixture.beforehand(text).await,
            }
        }
        let backend = FaultyBackend::new(fixture.world.backend.clone());
        let options = self.options.clone();
        let service = match self.fault {
            Some(_) => fixture.service_over(Arc::new(backend.clone()), options),
            None => fixture.service(options),
        };
        let server = Server::start(service).await;
        fixture.name("host", &server.address());
        let mut player = Player { client: server.connect(protocol).await, fixture, backend };
        for exchange in &self.exchanges {
            player.play(self, exchange).await?;
        }
        Ok(())
    }
}

struct Player {
    client: Client,
    fixture: Fixture,
    backend: FaultyBackend,
}

impl Player {
    async fn play(&mut self, case: &Case, exchange: &Exchange) -> Result<(), String> {
        let lines =
            |lines: &[String]| lines.iter().map(|line| self.fixture.fill_in(line)).collect();
        let (sent, expected): (Vec<String>, Vec<String>) =
            (lines(&exchange.request), lines(&exchange.expected));
        let asked = Asked::parse(&sent);
        let head = match asked.has_head() {
            true => Some(self.send(case, &asked, Method::HEAD, whole("")).await),
            false => None,
        };
        let answer = self.send(case, &asked, asked.method.clone(), asked.body()).await;
        self.remember(&asked, &answer);

        let told = |fault: String| {
            let line: String = sent[0].chars().take(300).collect();
            format!("  {line}\n  was answered {answer:?}\n  {fault}")
        };
        let is_stream = expected.iter().any(|line| line == "Content-Length: -");
        sound(&asked, &answer, is_stream).map_err(told)?;
        if let Some(head) = head {
            same_head(&head, &answer).map_err(told)?;
        }
        as_expected(&expected, &answer).map_err(told)
    }

    async fn send(
        &mut self,
        case: &Case,
        asked: &Asked,
        method: Method,
        body: ClientBody,
    ) -> Answer {
        if let Some(kind) = case.fault {
            self.backend.arm(Fault { method: None, call: 1, kind, moment: Moment::Before });
        }
        self.client.send(asked.request(method), body).await
    }

    /// Names what the requests behind this one may refer to.
    fn remember(&mut self, asked: &Asked, answer: &Answer) {
        for (name, header) in [
            ("location", "location"),
            ("digest", "docker-content-digest"),
            ("session", "docker-upload-uuid"),
        ] {
            if answer.headers.contains_key(header) {
                let before = self.fixture.fill_in(&format!("{{{name}}}"));
                self.fixture.name(&format!("{name} before"), &before);
                self.fixture.name(name, answer.header(header));
            }
        }
        if !asked.body.is_empty() {
            self.fixture.name("sent", &asked.body);
            self.fixture.name("sent.size", &asked.body.len());
        }
    }
}

/// A request as it is written.
struct Asked {
    method: Method,
    url: String,
    headers: Vec<(String, String)>,
    body: String,
    is_chunked: bool,
}

impl Asked {
    fn parse(lines: &[String]) -> Self {
        let (method, url) = lines[0].split_once(' ').expect("a method and a URL");
        let end = lines.iter().position(String::is_empty).unwrap_or(lines.len());
        let header = |line: &String| {
            let (name, value) = line.split_once(": ").expect("a header");
            (name.to_owned(), value.to_owned())
        };
        let mut headers: Vec<_> = lines[1..end].iter().map(header).collect();
        let before = headers.len();
        headers.retain(|(name, _)| name != "Transfer-Encoding");
        Self {
            method: method.parse().expect("a method"),
            url: url.to_owned(),
            is_chunked: headers.len() < before,
            headers,
            body: lines.get(end + 1..).unwrap_or_default().join("\n"),
        }
    }

    fn request(&self, method: Method) -> request::Builder {
        let request = Request::builder().method(method).uri(&self.url);
        self.headers.iter().fold(request, |request, (name, value)| request.header(name, value))
    }

    fn body(&self) -> ClientBody {
        if self.is_chunked {
            streamed(stream::iter([Ok(Bytes::from(self.body.clone()))]))
        } else {
            whole(self.body.clone())
        }
    }

    /// Must HEAD be answered the same? A range is defined for GET only.
    fn has_head(&self) -> bool {
        self.method == Method::GET && !self.headers.iter().any(|(name, _)| name == "Range")
    }
}

/// What is true of every answer.
fn sound(asked: &Asked, answer: &Answer, is_stream: bool) -> Result<(), String> {
    if answer.header("docker-distribution-api-version") != "registry/2.0" {
        return Err("has no Docker-Distribution-API-Version".to_owned());
    }
    let length = answer.header("content-length");
    let bare = matches!(answer.status.as_u16(), 204 | 304);
    if (bare || is_stream) != length.is_empty() {
        return Err(format!("has the Content-Length {length:?}"));
    }
    let has_body = asked.method != Method::HEAD && !bare;
    if has_body && !is_stream && length != answer.body.len().to_string() {
        return Err(format!("has a body of {} bytes", answer.body.len()));
    }
    if !has_body && !answer.body.is_empty() {
        return Err("has a body".to_owned());
    }
    if has_body && answer.status.as_u16() >= 400 { sound_error(answer) } else { Ok(()) }
}

/// The form of errors: OCI distribution-spec, "Error Codes".
fn sound_error(answer: &Answer) -> Result<(), String> {
    if answer.header("content-type") != "application/json" {
        return Err("is no JSON".to_owned());
    }
    let json = answer.json();
    let entries = json["errors"].as_array().filter(|entries| !entries.is_empty());
    let entries = entries.ok_or("has no list of errors")?;
    let code = |text: &str| text.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
    for entry in entries {
        let keys = entry.as_object().ok_or("has an error that is none")?;
        let known = keys.keys().all(|key| ["code", "message", "detail"].contains(&key.as_str()));
        let message = entry["message"].as_str().is_some_and(|text| !text.is_empty());
        if !known || !message || !entry["code"].as_str().is_some_and(code) {
            return Err(format!("has the error {entry}"));
        }
    }
    Ok(())
}

fn same_head(head: &Answer, answer: &Answer) -> Result<(), String> {
    let mut heads = [head.headers.clone(), answer.headers.clone()];
    for headers in &mut heads {
        headers.remove("date");
        // Says how the connection goes on, nothing of the answer.
        headers.remove("transfer-encoding");
    }
    if head.status != answer.status || heads[0] != heads[1] || !head.body.is_empty() {
        return Err(format!("but HEAD {head:?}"));
    }
    Ok(())
}

fn as_expected(expected: &[String], answer: &Answer) -> Result<(), String> {
    let (status, code) = expected[0].split_once(' ').unwrap_or((&expected[0], ""));
    if answer.status.as_str() != status {
        return Err(format!("expected {status}"));
    }
    if !code.is_empty() && answer.json()["errors"][0]["code"] != code {
        return Err(format!("expected the code {code}"));
    }
    let end = expected.iter().position(String::is_empty).unwrap_or(expected.len());
    for line in &expected[1..end] {
        let (name, value) = line.split_once(": ").expect("a header");
        let found: Vec<&str> = answer
            .headers
            .get_all(name)
            .iter()
            .map(|value| value.to_str().expect("visible ASCII"))
            .collect();
        let is_expected = match value {
            "-" => found.is_empty(),
            value => !found.is_empty() && matches(value, &found.join(", ")),
        };
        if !is_expected {
            return Err(format!("expected {line}"));
        }
    }
    let body = expected.get(end + 1..).unwrap_or_default().join("\n");
    let found = String::from_utf8_lossy(&answer.body);
    if end < expected.len() && !matches(&body, &found) {
        return Err(format!("expected the body {body}"));
    }
    Ok(())
}

/// Is `text` what the pattern says, where `*` stands for anything?
fn matches(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(text) = text.strip_prefix(start) else { return false };
    (0..=text.len()).filter(|&at| text.is_char_boundary(at)).any(|at| matches(rest, &text[at..]))
}
