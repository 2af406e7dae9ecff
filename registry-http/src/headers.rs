//! Headers: the names and values of the protocol.

use std::fmt::Display;

use http::header::{
    CONTENT_LENGTH, CONTENT_TYPE, HOST, IF_MATCH, IF_NONE_MATCH, IF_RANGE, TRANSFER_ENCODING,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};
use registry_store::digest::Digest;
use registry_store::media_type::{MediaType, MediaTypeError};
use registry_store::precondition::{Content, Precondition};

/// On every answer, as Distribution; some clients look for it before they believe in a registry.
pub(crate) const API_VERSION: HeaderName =
    HeaderName::from_static("docker-distribution-api-version");
/// The digest of what is answered, or was stored.
pub(crate) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
/// An upload session's id.
pub(crate) const UPLOAD_UUID: HeaderName = HeaderName::from_static("docker-upload-uuid");
/// The subject of a manifest that was stored.
pub(crate) const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
/// A tag that was given to a manifest that was stored.
pub(crate) const OCI_TAG: HeaderName = HeaderName::from_static("oci-tag");
/// What a list of referrers was filtered by.
pub(crate) const OCI_FILTERS: HeaderName = HeaderName::from_static("oci-filters-applied");

/// The value of [`API_VERSION`].
pub(crate) const REGISTRY_2: HeaderValue = HeaderValue::from_static("registry/2.0");
/// The type of JSON that has no type of its own.
pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// The type of what operators read.
pub(crate) const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
/// The type of every blob.
pub(crate) const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");
/// The one range unit.
pub(crate) const BYTES: HeaderValue = HeaderValue::from_static("bytes");
/// A blob never changes: a year, as Distribution.
pub(crate) const CACHE_FOR_A_YEAR: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// Not to be kept by any cache, be it the client's own.
pub(crate) const NOT_KEPT: HeaderValue = HeaderValue::from_static("no-store");

/// A value made of parts that were parsed, so that only visible ASCII can be in it.
pub(crate) fn value(text: impl Display) -> HeaderValue {
    HeaderValue::try_from(text.to_string())
        .expect("names, digests, tags, numbers and encoded text are visible ASCII")
}

/// What makes a request of HTTP/1.1 one that a proxy in front may have taken for another, or for two (RFC 9112 §3.2, §6.3,
/// §11.2): its body would then be the next request of somebody else. What servers refuse by themselves does not come here.
pub(crate) fn ambiguity(head: &Parts) -> Option<&'static str> {
    if head.version >= Version::HTTP_2 {
        return None;
    }
    if head.headers.get_all(HOST).iter().count() > 1 {
        return Some("two of the header Host");
    }
    let mut encodings = head.headers.get_all(TRANSFER_ENCODING).iter();
    let is_chunked =
        |value: &HeaderValue| value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked");
    if encodings.next().is_some_and(|first| !is_chunked(first)) || encodings.next().is_some() {
        return Some("a Transfer-Encoding other than chunked alone");
    }
    let is_authority = head.uri.authority().is_some() && head.uri.scheme().is_none();
    if is_authority && head.method != Method::CONNECT {
        return Some("a target that is an authority");
    }
    None
}

/// The strong validator of content: its digest.
pub(crate) fn etag(digest: &Digest) -> HeaderValue {
    value(format_args!("\"{digest}\""))
}

/// What the client wants to hold of the thing it asks for: `If-Match` and `If-None-Match` (RFC 9110 §13.1).
///
/// Conditions on dates are passed over, as §13.1.3 and §13.1.4 ask where no date is known of a thing.
pub(crate) fn precondition(headers: &HeaderMap) -> Precondition {
    Precondition {
        is: named(headers, IF_MATCH, strong),
        is_not: named(headers, IF_NONE_MATCH, weak),
    }
}

/// What a list of validators names; `None` without such a header. What is no digest names nothing here: a header that
/// cannot be read is still a condition, and one that nothing fulfils.
fn named(
    headers: &HeaderMap,
    name: HeaderName,
    read: fn(&str) -> Option<Digest>,
) -> Option<Content> {
    let mut digests = Vec::new();
    for value in headers.get_all(&name) {
        for tag in value.to_str().unwrap_or_default().split(',').map(str::trim) {
            if tag == "*" {
                return Some(Content::Any);
            }
            digests.extend(read(tag));
        }
    }
    headers.contains_key(name).then_some(Content::OneOf(digests))
}

/// A validator where only strong ones count, for `If-Match`. One without quotes is understood too.
fn strong(tag: &str) -> Option<Digest> {
    tag.trim_matches('"').parse().ok()
}

/// A validator where weak ones count too, for `If-None-Match`.
fn weak(tag: &str) -> Option<Digest> {
    strong(tag.strip_prefix("W/").unwrap_or(tag))
}

/// May a range of this content be sent? Not if the client wants one of other content (RFC 9110 §13.1.5).
pub(crate) fn may_send_range(headers: &HeaderMap, digest: &Digest) -> bool {
    headers
        .get(IF_RANGE)
        .is_none_or(|tag| tag == etag(digest) || tag.as_bytes() == digest.to_string().as_bytes())
}

/// Does the client compare with a validator of ours? Other servers of the same content have other ones.
pub(crate) fn relies_on_our_validator(headers: &HeaderMap, digest: &Digest) -> bool {
    let may_range = headers.contains_key(IF_RANGE) && may_send_range(headers, digest);
    headers.contains_key(IF_MATCH) || may_range
}

/// The length the client declares for its body.
pub(crate) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// What the client calls its body; `None` if it does not say.
pub(crate) fn content_type(headers: &HeaderMap) -> Result<Option<MediaType>, MediaTypeError> {
    let text = match headers.get(CONTENT_TYPE) {
        Some(value) => String::from_utf8_lossy(value.as_bytes()),
        None => return Ok(None),
    };
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    /// The forms that name a digest strongly.
    fn strong_forms(digest: &Digest) -> [String; 5] {
        [
            format!("\"{digest}\""),
            format!("\"other\", \"{digest}\""),
            format!(" \"{digest}\",,"),
            digest.to_string(),
            "*".to_owned(),
        ]
    }

    #[test]
    fn if_none_match_is_a_list_of_quoted_weak_or_bare_digests_or_a_star() {
        let digest = Digest::sha256(b"x");
        let holds = |text: &str| precondition(&with(IF_NONE_MATCH, text)).holds(Some(&digest));
        for text in strong_forms(&digest) {
            assert!(!holds(&text), "{text}");
        }
        assert!(!holds(&format!("W/\"{digest}\"")));
        for text in ["\"other\"", "\"*\"", "", "\"", "\u{e9}"] {
            assert!(holds(text), "{text}");
        }
    }

    #[test]
    fn if_match_is_a_list_of_quoted_or_bare_digests_or_a_star_and_nothing_else_matches() {
        let digest = Digest::sha256(b"x");
        let holds = |text: &str| precondition(&with(IF_MATCH, text)).holds(Some(&digest));
        for text in strong_forms(&digest) {
            assert!(holds(&text), "{text}");
        }
        let weak = format!("W/\"{digest}\"");
        for text in [weak.as_str(), "W/*", "\"other\"", "\"*\"", "", "\"", "\u{e9}"] {
            assert!(!holds(text), "{text}");
        }
    }

    #[test]
    fn a_condition_may_come_in_several_headers_and_none_asks_for_nothing() {
        let digest = Digest::sha256(b"x");
        let mut headers = with(IF_MATCH, "\"other\"");
        headers.append(IF_MATCH, etag(&digest));
        assert!(precondition(&headers).holds(Some(&digest)));
        assert!(precondition(&HeaderMap::new()).is_empty());
    }

    #[test]
    fn if_range_lets_a_range_through_only_for_the_same_content() {
        let digest = Digest::sha256(b"x");
        let tag = format!("\"{digest}\"");
        assert!(may_send_range(&HeaderMap::new(), &digest));
        assert!(may_send_range(&with(IF_RANGE, &tag), &digest));
        assert!(!may_send_range(&with(IF_RANGE, &format!("W/{tag}")), &digest));
        assert!(!may_send_range(&with(IF_RANGE, "Sat, 29 Oct 1994 19:43:31 GMT"), &digest));
    }
}
