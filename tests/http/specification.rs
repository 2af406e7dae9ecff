//! Plays `specification.txt`, which explains itself, over HTTP/1.1 and over HTTP/2.

use std::fmt::Write as _;

use bytes::Bytes;
use futures::stream;
use http::{Method, Request, request};
use registry_http::Options;
use registry_tests::server::{Answer, Client, Protocol, Server, streamed, whole};

use crate::fixture::Fixture;

#[tokio::test]
async fn everything_in_the_specification_holds_over_http_1() {
    hold(Protocol::Http1).await;
}

#[tokio::test]
async fn everything_in_the_specification_holds_over_http_2() {
    hold(Protocol::Http2).await;
}

async fn hold(protocol: Protocol) {
    let cases = Case::all(include_str!("specification.txt"));
    assert!(cases.len() > 100, "the specification was not read whole: {} cases", cases.len());
    let mut broken = String::new();
    let mut count = 0;
    for case in &cases {
        if let Err(fault) = case.play(protocol).await {
            count += 1;
            let _ = write!(broken, "\n{}, line {}:\n{fault}\n", case.title, case.line);
        }
    }
    assert!(broken.is_empty(), "{count} of {} cases do not hold:\n{broken}", cases.len());
}

/// A sentence of the specification, and the requests that show it.
struct Case {
    title: String,
    line: usize,
    options: Options,
    exchanges: Vec<Exchange>,
}

/// A request and what is expected of its answer, both as lines.
#[derive(Default)]
struct Exchange {
    request: Vec<String>,
    expected: Vec<String>,
}

impl Case {
    fn all(text: &str) -> Vec<Self> {
        let mut cases: Vec<Self> = Vec::new();
        for (number, line) in text.lines().enumerate() {
            if let Some(title) = line.strip_prefix("# ") {
                cases.push(Self {
                    title: title.to_owned(),
                    line: number + 1,
                    options: Options::default(),
                    exchanges: Vec::new(),
                });
                continue;
            }
            let Some(case) = cases.last_mut() else { continue };
            let (mark, rest) = line.split_at(line.len().min(1));
            let rest = rest.strip_prefix(' ').unwrap_or(rest).to_owned();
            match mark {
                "@" => set(&mut case.options, &rest),
                ">" => case.exchange_for_request().request.push(rest),
                "<" => {
                    let exchange = case.exchanges.last_mut();
                    exchange.expect("a request comes first").expected.push(rest);
                }
                _ => assert!(line.trim().is_empty() || mark == "#", "what is {line:?}?"),
            }
        }
        cases
    }

    fn exchange_for_request(&mut self) -> &mut Exchange {
        if self.exchanges.last().is_none_or(|last| !last.expected.is_empty()) {
            self.exchanges.push(Exchange::default());
        }
        self.exchanges.last_mut().expect("one was pushed")
    }

    async fn play(&self, protocol: Protocol) -> Result<(), String> {
        let mut fixture = Fixture::new().await;
        let server = Server::start(fixture.service(self.options.clone())).await;
        let mut client = server.connect(protocol).await;
        for exchange in &self.exchanges {
            exchange.play(&mut client, &mut fixture).await?;
        }
        Ok(())
    }
}

fn set(options: &mut Options, text: &str) {
    match text {
        "deletion is off" => options.delete = false,
        "read-only" => options.read_only = true,
        "no mounts from anywhere" => options.mount_from_anywhere = false,
        "at most 2 tags on a page" => options.tags_max = 2,
        "at most 2 repositories on a page" => options.catalog_max = 2,
        "2 repositories on a page by default" => options.catalog_default = 2,
        "at most 1 referrer on a page" => options.referrers_max = 1,
        "locations as the request" => options.locations = registry_http::Locations::FromRequest,
        "paths begin with /registry" => "/registry".clone_into(&mut options.path_prefix),
        _ => unreachable!("{text:?} is no option"),
    }
}

impl Exchange {
    async fn play(&self, client: &mut Client, fixture: &mut Fixture) -> Result<(), String> {
        let lines = |lines: &[String]| lines.iter().map(|line| fixture.fill_in(line)).collect();
        let (sent, expected): (Vec<String>, Vec<String>) =
            (lines(&self.request), lines(&self.expected));
        let asked = Asked::parse(&sent);
        let head = match asked.has_head() {
            true => Some(client.send(asked.request(Method::HEAD), whole("")).await),
            false => None,
        };
        let answer = client.send(asked.request(asked.method.clone()), asked.body()).await;
        if answer.headers.contains_key("location") {
            let before = fixture.fill_in("{location}");
            fixture.name("location before", &before);
            fixture.name("location", answer.header("location"));
        }

        let told = || format!("  {}\n  was answered {answer:?}", sent[0]);
        sound(&asked, &answer).map_err(|fault| format!("{}\n  {fault}", told()))?;
        if let Some(head) = head {
            same_head(&head, &answer).map_err(|fault| format!("{}\n  {fault}", told()))?;
        }
        as_expected(&expected, &answer).map_err(|fault| format!("{}\n  {fault}", told()))
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

    fn body(&self) -> registry_tests::server::ClientBody {
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
fn sound(asked: &Asked, answer: &Answer) -> Result<(), String> {
    if answer.header("docker-distribution-api-version") != "registry/2.0" {
        return Err("has no Docker-Distribution-API-Version".to_owned());
    }
    let length = answer.header("content-length");
    let bare = matches!(answer.status.as_u16(), 204 | 304);
    if bare != length.is_empty() {
        return Err(format!("has the Content-Length {length:?}"));
    }
    let has_body = asked.method != Method::HEAD && !bare;
    if has_body && length != answer.body.len().to_string() {
        return Err(format!("has a body of {} bytes", answer.body.len()));
    }
    if !has_body && !answer.body.is_empty() {
        return Err("has a body".to_owned());
    }
    Ok(())
}

fn same_head(head: &Answer, answer: &Answer) -> Result<(), String> {
    let mut heads = [head.headers.clone(), answer.headers.clone()];
    for headers in &mut heads {
        headers.remove("date");
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
        let found = if found.is_empty() { "-".to_owned() } else { found.join(", ") };
        if !matches(value, &found) {
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
