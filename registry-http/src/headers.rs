//! Headers: the names and values of the protocol.

use std::fmt::Display;

use http::header::{CONTENT_LENGTH, CONTENT_TYPE, IF_NONE_MATCH, IF_RANGE};
use http::{HeaderMap, HeaderName, HeaderValue};
use registry_store::digest::Digest;
use registry_store::media_type::{MediaType, MediaTypeError};

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
/// The type of every blob.
pub(crate) const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");
/// The one range unit.
pub(crate) const BYTES: HeaderValue = HeaderValue::from_static("bytes");
/// A blob never changes: a year, as Distribution.
pub(crate) const CACHE_FOR_A_YEAR: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// A value made of parts that were parsed, so that only visible ASCII can be in it.
pub(crate) fn value(text: impl Display) -> HeaderValue {
    HeaderValue::try_from(text.to_string())
        .expect("names, digests, tags, numbers and encoded text are visible ASCII")
}

/// The strong validator of content: its digest.
pub(crate) fn etag(digest: &Digest) -> HeaderValue {
    value(format_args!("\"{digest}\""))
}

/// Has the client this content already? (RFC 9110 §13.1.2; an unquoted digest is understood too.)
pub(crate) fn has_already(headers: &HeaderMap, digest: &Digest) -> bool {
    let digest = digest.to_string();
    let names = |tag: &str| {
        let tag = tag.trim();
        let tag = tag.strip_prefix("W/").unwrap_or(tag);
        tag == "*" || tag.trim_matches('"') == digest
    };
    headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(names)
}

/// May a range of this content be sent? Not if the client wants one of other content (RFC 9110 §13.1.5).
pub(crate) fn may_send_range(headers: &HeaderMap, digest: &Digest) -> bool {
    headers
        .get(IF_RANGE)
        .is_none_or(|tag| tag == etag(digest) || tag.as_bytes() == digest.to_string().as_bytes())
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

    #[test]
    fn if_none_match_is_a_list_of_quoted_weak_or_bare_digests_or_a_star() {
        let digest = Digest::sha256(b"x");
        for text in [
            format!("\"{digest}\""),
            format!("W/\"{digest}\""),
            format!("\"other\", \"{digest}\""),
            digest.to_string(),
            "*".to_owned(),
        ] {
            assert!(has_already(&with(IF_NONE_MATCH, &text), &digest), "{text}");
        }
        assert!(!has_already(&with(IF_NONE_MATCH, "\"other\""), &digest));
        assert!(!has_already(&HeaderMap::new(), &digest));
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
