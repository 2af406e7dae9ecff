//! Ranges, through the service's own door: `Range` of a download, and `Content-Range` of an upload.
//!
//! Each is read here once more, byte by byte as the grammar has it, and the answer has to be what follows.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, LOCATION, RANGE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use registry_http::{Options, RegistryService, service};
use registry_store::backend::MemoryBackend;
use registry_store::digest::Digest;
use registry_store::options::StoreOptions;
use registry_store::store::Store;
use std::sync::Arc;
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt as _;

/// The longest part that is sent to a session.
const LONGEST: u128 = 64;

/// The first byte is the size of a blob. The rest are lines: a byte that says how the body of an upload is, and the
/// value of a header.
pub fn range(data: &[u8]) {
    let Some((&size, lines)) = data.split_first() else { return };
    let mut registry = Registry::new(usize::from(size));
    for line in lines.split(|&byte| byte == b'\n').take(16) {
        let Some((&how, value)) = line.split_first() else { continue };
        let Ok(value) = HeaderValue::from_bytes(value) else { continue };
        registry.sends_the_part_that_is_asked_for(&value);
        registry.takes_the_part_that_fits(how, &value);
    }
}

/// What is read of a header's value.
struct Reader<'v>(&'v [u8]);

impl Reader<'_> {
    fn byte(&mut self, wanted: impl Fn(u8) -> bool) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        if !wanted(first) {
            return None;
        }
        self.0 = rest;
        Some(first)
    }

    fn sign(&mut self, sign: u8) -> Option<u8> {
        self.byte(|byte| byte == sign)
    }

    fn any(&mut self, signs: &[u8]) {
        while self.byte(|byte| signs.contains(&byte)).is_some() {}
    }

    /// At least one digit; a number too great for 128 bits is the greatest of those.
    fn number(&mut self) -> Option<u128> {
        let mut number: Option<u128> = None;
        while let Some(digit) = self.byte(|byte| byte.is_ascii_digit()) {
            let before = number.unwrap_or_default().saturating_mul(10);
            number = Some(before.saturating_add(u128::from(digit - b'0')));
        }
        number
    }
}

/// One range of bytes of RFC 9110 §14.2, with white space around its parts; its ends, one of them at least.
fn range_of(value: &[u8]) -> Option<(Option<u128>, Option<u128>)> {
    let mut reader = Reader(value);
    reader.any(b" \t");
    for letter in *b"bytes" {
        reader.byte(|byte| byte.to_ascii_lowercase() == letter)?;
    }
    reader.any(b" \t");
    reader.sign(b'=')?;
    reader.any(b" \t");
    let first = reader.number();
    reader.sign(b'-')?;
    let last = reader.number();
    reader.any(b" \t");
    (reader.0.is_empty() && (first.is_some() || last.is_some())).then_some((first, last))
}

/// The first byte and the last of a part: `0-9` as OCI has it, `bytes 0-9/*` as RFC 9110 §14.4, or between the two.
fn part_of(value: &[u8]) -> Option<(u128, u128)> {
    let mut reader = Reader(value);
    reader.any(b" \t");
    if let Some(rest) = reader.0.strip_prefix(b"bytes") {
        reader = Reader(rest);
    }
    reader.any(b" =");
    let first = reader.number()?;
    reader.sign(b'-')?;
    let last = reader.number()?;
    if reader.sign(b'/').is_some() && reader.sign(b'*').is_none() {
        let whole = reader.number()?;
        if first <= last && whole <= last {
            return None; // it ends beyond the whole
        }
    }
    reader.any(b" \t");
    reader.0.is_empty().then_some((first, last))
}

type Answer = Response<Bytes>;

/// A registry with a blob and an upload session.
struct Registry {
    runtime: Runtime,
    service: RegistryService,
    content: Bytes,
    blob: String,
    session: String,
    stored: u128,
}

impl Registry {
    fn new(size: usize) -> Self {
        let runtime = Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime without a driver for sockets needs nothing of the system");
        let store = Store::new(Arc::new(MemoryBackend::new()), StoreOptions::default());
        let service = service(store, Options::default());
        let content: Bytes = (0..=255).take(size).collect::<Vec<u8>>().into();
        let digest = Digest::sha256(&content);
        let (blob, session) = (format!("/v2/a/blobs/{digest}"), String::new());
        let mut new = Self { runtime, service, content, blob, session, stored: 0 };
        let url = format!("/v2/a/blobs/uploads/?digest={digest}");
        let pushed = new.ask(Request::post(url), new.content.clone());
        assert_eq!(pushed.status(), StatusCode::CREATED);
        let begun = new.ask(Request::post("/v2/a/blobs/uploads/"), Bytes::new());
        let location = begun.headers()[LOCATION].to_str().expect("a URL is ASCII");
        location.split('?').next().unwrap_or_default().clone_into(&mut new.session);
        new
    }

    fn ask(&self, request: http::request::Builder, body: Bytes) -> Answer {
        let request = request.body(Full::new(body)).expect("each part of it is sound");
        let service = self.service.clone();
        self.runtime.block_on(async move {
            let response = service.oneshot(request).await.unwrap_or_else(|never| match never {});
            let (head, body) = response.into_parts();
            let body = body.collect().await.expect("memory does not fail").to_bytes();
            Response::from_parts(head, body)
        })
    }

    fn sends_the_part_that_is_asked_for(&self, value: &HeaderValue) {
        let answer = self.ask(Request::get(&self.blob).header(RANGE, value), Bytes::new());
        let size = self.content.len();
        let within = |number: u128| usize::try_from(number).unwrap_or(usize::MAX).min(size);
        let part = match range_of(value.as_bytes()) {
            None => None,
            Some((Some(first), Some(last))) if last < first => Some(size..size),
            Some((Some(first), last)) => {
                Some(within(first)..last.map_or(size, |last| within(last.saturating_add(1))))
            }
            Some((None, last)) => Some(size - within(last.unwrap_or_default())..size),
        };
        let told = answer.headers().get(CONTENT_RANGE);
        let (status, expected, body) = match part {
            None => (StatusCode::OK, None, self.content.clone()),
            Some(part) if part.is_empty() => {
                assert_eq!(answer.status(), StatusCode::RANGE_NOT_SATISFIABLE, "{value:?}");
                assert_eq!(
                    told.map(HeaderValue::as_bytes),
                    Some(format!("bytes */{size}").as_bytes())
                );
                return;
            }
            Some(part) => {
                let range = format!("bytes {}-{}/{size}", part.start, part.end - 1);
                (StatusCode::PARTIAL_CONTENT, Some(range), self.content.slice(part))
            }
        };
        assert_eq!(answer.status(), status, "{value:?} of {size} bytes");
        assert_eq!(told.map(HeaderValue::as_bytes), expected.as_deref().map(str::as_bytes));
        assert_eq!(answer.body(), &body, "{value:?}");
    }

    fn takes_the_part_that_fits(&mut self, how: u8, value: &HeaderValue) {
        let part = part_of(value.as_bytes());
        let length = part.filter(|(first, last)| first <= last).map(|(first, last)| last - first);
        let fitting = length.unwrap_or_default().min(LONGEST) + 1;
        let sent = match how & 3 {
            0 | 1 => fitting,
            2 => fitting + 1,
            _ => fitting - 1,
        };
        let body: Bytes = vec![how; usize::try_from(sent).unwrap_or_default()].into();
        let mut request = Request::builder().method(Method::PATCH).uri(&self.session);
        request = request.header(CONTENT_RANGE, value);
        if how & 4 != 0 {
            request = request.header(CONTENT_LENGTH, sent.to_string());
        }
        let answer = self.ask(request, body);

        let is_here = part.is_some_and(|(first, _)| first == self.stored);
        let is_whole = length.is_some() && length == sent.checked_sub(1);
        let status = answer.status().as_u16();
        match part {
            None => assert_eq!(status, 400, "{value:?}"),
            Some((first, last)) if last < first => assert!([400, 416].contains(&status)),
            Some(_) if is_here && is_whole => assert_eq!(status, 202, "{value:?}: {answer:?}"),
            Some(_) => assert!([400, 416].contains(&status), "{value:?}: {answer:?}"),
        }
        let after = self.ask(Request::get(&self.session), Bytes::new());
        let told = after.headers()[RANGE].to_str().expect("a range is ASCII");
        let offset = after.headers()[LOCATION].to_str().expect("a URL is ASCII").rsplit('=').next();
        let offset =
            offset.and_then(|offset| offset.parse::<u128>().ok()).expect("it has an offset");
        assert_eq!(told, format!("0-{}", offset.saturating_sub(1)));
        match status {
            202 => assert_eq!(offset, self.stored + sent),
            // What began where the session is, and was of another length than it said, has partly arrived.
            400 if is_here => assert!((self.stored..=self.stored + sent).contains(&offset)),
            _ => assert_eq!(offset, self.stored, "{value:?}: {answer:?}"),
        }
        self.stored = offset;
    }
}
