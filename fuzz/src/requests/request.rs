//! [`Asked`]: a request made of a fuzzer's choices: sound, strange or broken.

use bytes::Bytes;
use futures::TryStreamExt as _;
use http::header::{
    CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, EXPECT, HOST, IF_MATCH, IF_NONE_MATCH, IF_RANGE,
    RANGE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use http_body::Frame;
use http_body_util::StreamBody;
use registry_store::digest::{Algorithm, Digest};
use tower::BoxError;

use super::super::documents::{CONTENTS, manifests};
use super::super::input::Input;
use super::Upload;

/// Names that are good, as they are written in a path.
pub const NAMES: [&str; 3] = ["a", "a/b", "tags/list"];
const BAD_NAMES: [&str; 6] = ["A", "a//b", "..", "a%2Fb", "a/_uploads", "%00"];
pub const TAGS: [&str; 2] = ["1", "latest"];

/// What a path is one of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Root,
    Base,
    Catalog,
    Tags,
    Referrers,
    Blob,
    Manifest,
    Uploads,
    Upload,
    Nothing,
}

const KINDS: [Kind; 16] = [
    Kind::Manifest,
    Kind::Blob,
    Kind::Uploads,
    Kind::Upload,
    Kind::Upload,
    Kind::Uploads,
    Kind::Manifest,
    Kind::Upload,
    Kind::Blob,
    Kind::Manifest,
    Kind::Referrers,
    Kind::Tags,
    Kind::Catalog,
    Kind::Base,
    Kind::Root,
    Kind::Nothing,
];

/// A request, and what has to be known of it to judge the answer.
#[derive(Clone, Debug)]
pub struct Asked {
    pub kind: Kind,
    pub method: Method,
    /// The repository, if it is named as one can be.
    pub name: Option<&'static str>,
    /// What follows the name: a tag, if it can be one.
    pub tag: Option<&'static str>,
    /// The same: a digest, if it can be one.
    pub digest: Option<Digest>,
    /// Which upload session it is sent to, of those that are known.
    pub upload: Option<usize>,
    pub url: String,
    pub headers: HeaderMap,
    pub body: Vec<Bytes>,
    /// The body breaks off when all of its parts have arrived.
    pub is_broken: bool,
}

impl Asked {
    /// A request to read what is at a place.
    pub fn plain(method: Method, url: &str) -> Self {
        Self {
            kind: Kind::Nothing,
            method,
            name: None,
            tag: None,
            digest: None,
            upload: None,
            url: url.to_owned(),
            headers: HeaderMap::new(),
            body: Vec::new(),
            is_broken: false,
        }
    }

    pub fn new(uploads: &[Upload], input: &mut Input<'_>) -> Self {
        let mut asked = Self::plain(Method::GET, "");
        asked.kind = input.one_of(&KINDS);
        asked.method = method(asked.kind, input);
        let content = content(input);
        asked.url = asked.path(uploads, &content, input);
        asked.add_query(&content, input);
        if input.below(4) > 0 || asked.method == Method::PUT && asked.kind == Kind::Manifest {
            asked.body = input.parts(&content);
        }
        for _ in 0..input.below(4) {
            asked.add_header(&content, input);
        }
        asked.is_broken = input.below(16) == 15;
        asked
    }

    /// The body as it was to be sent.
    pub fn content(&self) -> Bytes {
        self.body.concat().into()
    }

    /// The request. Its URL is one.
    pub fn request(
        &self,
    ) -> Request<impl http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + use<>> {
        let parts = self.body.clone().into_iter().map(Ok);
        let end = self.is_broken.then(|| Err(BoxError::from("the client has gone")));
        let frames = futures::stream::iter(parts.chain(end));
        let builder = Request::builder().method(self.method.clone()).uri(&self.url);
        let request = builder.body(StreamBody::new(frames.map_ok(Frame::data)));
        let mut request = request.expect("the URL was parsed before");
        *request.headers_mut() = self.headers.clone();
        request
    }

    fn path(&mut self, uploads: &[Upload], content: &Bytes, input: &mut Input<'_>) -> String {
        let name = match input.below(8) {
            7 => input.one_of(&BAD_NAMES).to_owned(),
            number => {
                let name = NAMES[number % NAMES.len()];
                self.name = Some(name);
                name.to_owned()
            }
        };
        match self.kind {
            Kind::Root => "/".to_owned(),
            Kind::Base => ["/v2/", "/v2"][input.below(2)].to_owned(),
            Kind::Catalog => "/v2/_catalog".to_owned(),
            Kind::Nothing => format!("/v1/{}", encoded(&input.text(8))),
            Kind::Tags => format!("/v2/{name}/tags/list"),
            Kind::Uploads => format!("/v2/{name}/blobs/uploads/"),
            Kind::Referrers => format!("/v2/{name}/referrers/{}", self.digest(content, input)),
            Kind::Blob => format!("/v2/{name}/blobs/{}", self.digest(content, input)),
            Kind::Manifest => format!("/v2/{name}/manifests/{}", self.reference(content, input)),
            Kind::Upload => self.session(&name, uploads, input),
        }
    }

    fn digest(&mut self, content: &Bytes, input: &mut Input<'_>) -> String {
        if input.below(8) == 7 {
            let text = input.text(8);
            self.tag = TAGS.into_iter().find(|tag| *tag == text);
            return encoded(&text);
        }
        let digest = digest(content, input);
        self.digest = Some(digest);
        digest.to_string()
    }

    fn reference(&mut self, content: &Bytes, input: &mut Input<'_>) -> String {
        if input.flag() {
            return self.digest(content, input);
        }
        let tag = input.one_of(&TAGS);
        self.tag = Some(tag);
        tag.to_owned()
    }

    /// The address of a session as it was handed out, or without what it says of the offset, or one that never was.
    fn session(&mut self, name: &str, uploads: &[Upload], input: &mut Input<'_>) -> String {
        let Some(number) = usize::from(input.byte()).checked_rem(uploads.len() + 1) else {
            unreachable!("there is one at least");
        };
        let Some(upload) = uploads.get(number) else {
            return format!("/v2/{name}/blobs/uploads/{}", encoded(&input.text(8)));
        };
        (self.upload, self.name) = (Some(number), Some(upload.name));
        let bare = upload.location.split('?').next().unwrap_or_default();
        if input.below(4) == 3 { bare.to_owned() } else { upload.location.clone() }
    }

    /// What a client would say, or might.
    fn add_query(&mut self, content: &Bytes, input: &mut Input<'_>) {
        let mut pairs: Vec<(&str, String)> = Vec::new();
        let is_closing = self.kind == Kind::Upload && self.method == Method::PUT;
        let is_opening = self.kind == Kind::Uploads;
        if is_closing && input.below(16) < 15 {
            pairs.push(("digest", digest(content, input).to_string()));
        }
        match input.below(4) {
            1 if is_opening => pairs.push(("digest", digest(content, input).to_string())),
            2 if is_opening => {
                pairs.push(("mount", digest(content, input).to_string()));
                pairs.extend(input.flag().then(|| ("from", input.one_of(&NAMES).to_owned())));
            }
            _ => {}
        }
        const KEYS: [&str; 10] = [
            "n",
            "last",
            "tag",
            "artifactType",
            "digest-algorithm",
            "_offset",
            "_tip",
            "_state",
            "from",
            "digest",
        ];
        for _ in 0..input.below(3) {
            let key = input.one_of(&KEYS);
            let value = match input.below(4) {
                0 => input.byte().to_string(),
                1 => ["sha512", "1", "latest", "a/b"][input.below(4)].to_owned(),
                2 => digest(content, input).to_string(),
                _ => encoded(&input.text(12)),
            };
            pairs.push((key, value));
        }
        for (key, value) in pairs {
            let sign = if self.url.contains('?') { '&' } else { '?' };
            self.url.push_str(&format!("{sign}{key}={value}"));
        }
    }

    fn add_header(&mut self, content: &Bytes, input: &mut Input<'_>) {
        const NAMES: [HeaderName; 9] = [
            CONTENT_LENGTH,
            CONTENT_RANGE,
            RANGE,
            IF_MATCH,
            IF_NONE_MATCH,
            IF_RANGE,
            EXPECT,
            HOST,
            CONTENT_TYPE,
        ];
        let name = &NAMES[input.below(NAMES.len())];
        let (start, length) = (usize::from(input.byte()), content.len());
        let value = match (input.below(4), name) {
            (0, _) => input.text(16),
            (_, &CONTENT_LENGTH) => length.to_string(),
            (_, &CONTENT_RANGE) => format!("{start}-{}", (start + length).saturating_sub(1)),
            (_, &RANGE) => format!("bytes={start}-{}", usize::from(input.byte())),
            (_, &EXPECT) => "100-continue".to_owned(),
            (_, &HOST) => "registry.example:5000".to_owned(),
            (_, &CONTENT_TYPE) => manifests()[start % manifests().len()].media_type().to_string(),
            (1, _) => "*".to_owned(),
            _ => format!("\"{}\"", digest(content, input)),
        };
        if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
            self.headers.append(name, value);
        }
    }
}

/// Mostly one that the path knows.
fn method(kind: Kind, input: &mut Input<'_>) -> Method {
    const ALL: [Method; 7] = [
        Method::GET,
        Method::HEAD,
        Method::PUT,
        Method::POST,
        Method::PATCH,
        Method::DELETE,
        Method::OPTIONS,
    ];
    const MANIFEST: [Method; 6] =
        [Method::PUT, Method::PUT, Method::GET, Method::DELETE, Method::HEAD, Method::PUT];
    const UPLOAD: [Method; 6] =
        [Method::PATCH, Method::PUT, Method::GET, Method::PUT, Method::DELETE, Method::PATCH];
    const BLOB: [Method; 3] = [Method::GET, Method::HEAD, Method::DELETE];
    if input.below(16) == 15 {
        return ALL[input.below(ALL.len())].clone();
    }
    match kind {
        Kind::Uploads => Method::POST,
        Kind::Upload => UPLOAD[input.below(UPLOAD.len())].clone(),
        Kind::Blob => BLOB[input.below(BLOB.len())].clone(),
        Kind::Manifest => MANIFEST[input.below(MANIFEST.len())].clone(),
        _ => ALL[input.below(2)].clone(),
    }
}

/// A blob, a manifest, or anything.
fn content(input: &mut Input<'_>) -> Bytes {
    let (blobs, documents) = (CONTENTS.len(), manifests().len());
    match input.below(blobs + documents + 1) {
        number if number < blobs => Bytes::from_static(CONTENTS[number]),
        number if number < blobs + documents => manifests()[number - blobs].bytes().clone(),
        _ => Bytes::copy_from_slice(input.bytes(40)),
    }
}

/// Of this content, or of something else that there may be.
fn digest(content: &Bytes, input: &mut Input<'_>) -> Digest {
    let algorithm = if input.below(8) == 7 { Algorithm::Sha512 } else { Algorithm::Sha256 };
    match input.below(3) {
        0 | 1 => Digest::of(algorithm, content),
        _ => Digest::of(algorithm, &self::content(input)),
    }
}

/// Every byte percent-encoded, so that it stays in its place; never nothing, and never a word of the API.
fn encoded(text: &str) -> String {
    let text = if text.is_empty() || text == "uploads" { "x" } else { text };
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}
