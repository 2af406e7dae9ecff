//! What is kept of an upload session for every program: when it began, and what Distribution says of its offset.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use bytes::Bytes;
use http::header::RANGE;
use http::{Method, Request};
use http_body_util::Full;
use registry_http::{Options, UploadSecret, service};
use registry_store::backend::{BackendExt as _, MemoryBackend, PutMode};
use registry_store::error::Error;
use registry_store::layout::RepositoryLayout;
use registry_store::name::RepositoryName;
use registry_store::options::StoreOptions;
use registry_store::store::Store;
use registry_store::upload_id::UploadId;
use registry_store::uploads::ResumeAt;
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt as _;

const ID: &str = "6b3c9a93-af5d-473f-a4ff-9710022185cd";

/// A session of seven bytes, written by another program, with such a `startedat`.
struct Foreign {
    runtime: Runtime,
    store: Store,
    name: RepositoryName,
    id: UploadId,
}

impl Foreign {
    fn new(mark: &[u8]) -> Self {
        let runtime = Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime without a driver for sockets needs nothing of the system");
        let backend = MemoryBackend::new();
        let name = "a/b".parse().expect("it is a name");
        let id = ID.parse().expect("it is an upload id");
        let keys = RepositoryLayout::new(&name).session(id);
        runtime.block_on(async {
            for (key, bytes) in [(&keys.data, &b"foreign"[..]), (&keys.mark, mark)] {
                let bytes = Bytes::copy_from_slice(bytes);
                backend.put(key, bytes, PutMode::Overwrite).await.expect("memory does not fail");
            }
        });
        let store = Store::new(Arc::new(backend), StoreOptions::default());
        Self { runtime, store, name, id }
    }

    /// The status of an answer.
    fn ask(&self, method: Method, query: &str) -> u16 {
        let secret = UploadSecret::new("secret");
        let options = Options { upload_secret: secret, ..Options::default() };
        let url = format!("/v2/{}/blobs/uploads/{}{query}", self.name, self.id);
        let request = Request::builder().method(method).uri(url);
        let request = request.body(Full::new(Bytes::from_static(b"!")));
        let request = request.expect("the query was encoded");
        let asked = service(self.store.clone(), options).oneshot(request);
        let answer = self.runtime.block_on(asked).unwrap_or_else(|never| match never {});
        let told = answer.headers().get(RANGE).and_then(|range| range.to_str().ok());
        assert!(told.is_none_or(|told| ["0-6", "0-7"].contains(&told)), "{told:?}");
        answer.status().as_u16()
    }
}

/// When a session began.
pub fn started_at(mark: &[u8]) {
    let foreign = Foreign::new(mark);
    let uploads = foreign.store.repository(&foreign.name).uploads();
    let began = match foreign.runtime.block_on(uploads.status(foreign.id)) {
        Ok(status) => {
            assert_eq!(status.tip.offset, 7);
            assert!(looks_like_a_time(mark), "{}", mark.escape_ascii());
            Some(status.started_at)
        }
        Err(Error::UploadUnknown { .. }) => None,
        Err(error) => unreachable!("{error:?}"),
    };
    // The address that the service gives says when it began, and has to be written whenever that was.
    let status = foreign.ask(Method::GET, "");
    assert_eq!(status, if began.is_some() { 204 } else { 404 }, "{}", mark.escape_ascii());
    let age = Duration::from_secs(3600);
    // By any clock: it was 2015 once.
    let is_old = began.is_some_and(|began| began < SystemTime::UNIX_EPOCH + age * 400_000);
    foreign.runtime.block_on(foreign.store.purge_uploads(age)).expect("memory does not fail");
    let is_there = foreign.runtime.block_on(uploads.status(foreign.id)).is_ok();
    assert!(!is_there || !is_old, "it expires: {}", mark.escape_ascii());
    assert!(!is_there || began.is_some(), "it is there now: {}", mark.escape_ascii());
    if is_there {
        let digest = registry_store::digest::Digest::sha256(b"foreign");
        let nothing = futures::stream::empty();
        let committed = uploads.commit(foreign.id, ResumeAt::default(), &digest, nothing);
        assert_eq!(foreign.runtime.block_on(committed).expect("it is whole"), 7);
    }
}

/// `dddd-dd-ddTdd:dd:dd`, a fraction or none, and `Z` or an offset: RFC 3339 §5.6, whatever the numbers are.
fn looks_like_a_time(mark: &[u8]) -> bool {
    let shape: Vec<u8> = mark.iter().map(|b| if b.is_ascii_digit() { b'd' } else { *b }).collect();
    let Some(rest) = shape.strip_prefix(b"dddd-dd-dd") else { return false };
    let Some(rest) = rest.split_first().and_then(|(_, rest)| rest.strip_prefix(b"dd:dd:dd")) else {
        return false;
    };
    let rest = rest.strip_prefix(b".d").unwrap_or(rest);
    let digits = rest.iter().take_while(|byte| **byte == b'd').count();
    let rest = &rest[digits..];
    matches!(rest, b"Z" | b"z" | b"+dd:dd" | b"-dd:dd")
}

/// Distribution's `_state`: bytes that stand behind its HMAC, or the whole text if the first is odd.
pub fn state_of_distribution(bytes: &[u8]) {
    let Some((first, bytes)) = bytes.split_first() else { return };
    let state = match first % 2 {
        0 => URL_SAFE.encode([&[0; 32][..], bytes].concat()).replace('=', "%3D"),
        _ => bytes.iter().map(|byte| format!("%{byte:02X}")).collect(),
    };
    let foreign = Foreign::new(b"2026-01-02T03:04:05Z");
    let query = format!("?_state={state}");
    let looked_at = foreign.ask(Method::GET, &query);
    let expected = if first % 2 == 0 { offset_of(bytes) } else { None };
    if first % 2 == 0 || state.is_empty() {
        // One that has a member twice is refused.
        let may_be_read = expected.is_some() || state.is_empty();
        assert!(looked_at == 404 || may_be_read, "{}", bytes.escape_ascii());
    }
    let appended = foreign.ask(Method::PATCH, &query);
    match (looked_at, expected) {
        (204, Some(7)) => assert_eq!(appended, 202),
        (204, Some(_)) => assert_eq!(appended, 416),
        // The whole text is one, by chance, or there is none.
        (204, None) => assert!([202, 416].contains(&appended)),
        (status, _) => assert_eq!((status, appended), (404, 404)),
    }
}

/// The offset that JSON for this session has: an object, or its values in their order.
fn offset_of(json: &[u8]) -> Option<u64> {
    let state: Value = serde_json::from_slice(json).ok()?;
    let member = |number: usize, name: &str| match &state {
        Value::Array(values) => values.get(number).filter(|_| values.len() == 3).cloned(),
        state => state.get(name).cloned(),
    };
    let is_of_this = member(0, "Name")? == "a/b" && member(1, "UUID")? == ID;
    is_of_this.then(|| member(2, "Offset")?.as_u64()).flatten()
}
