//! [`Reply`]: an answer, before it goes out.

use http::StatusCode;

use super::content::Content;
use super::error::S3Error;
use super::request::Request;
use super::xml::Element;

/// An answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Content,
    /// The length that is told instead of that of the body.
    pub(super) length: Option<u64>,
}

impl Reply {
    /// One without a body.
    pub(super) const fn empty(status: StatusCode) -> Self {
        Self { status, headers: Vec::new(), body: Content::new(), length: None }
    }

    /// 200 with a document.
    pub(super) fn document(root: &Element) -> Self {
        Self::xml(StatusCode::OK, root.document())
    }

    /// What a request is refused with.
    pub(super) fn refusal(error: &S3Error, request: &Request, id: &str) -> Self {
        let xml = error.to_xml(&request.resource(), id);
        let has_body = request.head.method != http::Method::HEAD;
        let mut reply =
            if has_body { Self::xml(error.status, xml) } else { Self::empty(error.status) };
        if error.status == StatusCode::RANGE_NOT_SATISFIABLE
            && let Some((_, size)) =
                error.details.iter().find(|(name, _)| *name == "ActualObjectSize")
        {
            reply = reply.with("content-range", format!("bytes */{size}"));
        }
        reply
    }

    pub(super) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(super) fn maybe(self, name: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    fn xml(status: StatusCode, document: String) -> Self {
        let body = Content::from(bytes::Bytes::from(document));
        Self { body, ..Self::empty(status) }.with("content-type", "application/xml")
    }
}
