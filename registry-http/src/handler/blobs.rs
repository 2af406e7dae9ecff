//! Blobs: GET, HEAD, DELETE (end-2, end-10).

use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, RANGE,
};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use registry_store::backend::ReadRange;
use registry_store::digest::Digest;
use registry_store::error::Error;
use registry_store::name::RepositoryName;

use super::report::Report;
use super::{Answer, Call, precondition_failed};
use crate::body::ResponseBody;
use crate::events::{Action, Target};
use crate::headers;
use crate::range::{self, Wanted};

/// The blob, the part of it that `Range` names, or 304 if the client has it, or 412 if it wants another: in the order
/// of RFC 9110 §13.2.2.
///
/// HEAD answers without opening the blob, and knows no ranges (RFC 9110 §14.2).
pub(super) async fn get(call: &Call<'_>, name: &RepositoryName, digest: &Digest) -> Answer {
    let blobs = call.repository(name).blobs();
    let sent = &call.head.headers;
    let asked = headers::precondition(sent);
    if asked.is.is_some_and(|wanted| !wanted.names(digest)) {
        blobs.size(digest).await?;
        return Err(precondition_failed(name, &(*digest).into(), digest));
    }
    if asked.is_not.is_some_and(|known| known.names(digest)) {
        blobs.size(digest).await?;
        return Ok(with_validators(ResponseBody::empty(), StatusCode::NOT_MODIFIED, digest));
    }
    if call.is_head() {
        let size = blobs.size(digest).await?;
        let mut response = with_validators(ResponseBody::empty(), StatusCode::OK, digest);
        describe(response.headers_mut());
        let length = HeaderValue::from(size);
        Report::of(call, name)
            .tell(Action::Pull, Target::Blob { digest: *digest, size: Some(size) });
        response.headers_mut().insert(CONTENT_LENGTH, length);
        return Ok(response);
    }

    let read = match wanted(sent, digest) {
        Wanted::All => ReadRange::Full,
        Wanted::Part(read) => read,
        Wanted::Backwards => {
            let (digest, size) = (*digest, blobs.size(digest).await?);
            return Err(Error::RangeNotSatisfiable { digest, size }.into());
        }
    };
    let blob = blobs.get(digest, read).await?;
    let pulled = Target::Blob { digest: *digest, size: Some(blob.size()) };
    Report::of(call, name).tell(Action::Pull, pulled);
    let range = blob.range();
    let (status, part) = match read {
        ReadRange::Full => (StatusCode::OK, None),
        _ => (StatusCode::PARTIAL_CONTENT, Some(range::satisfied(&range, blob.size()))),
    };
    let length = range.end - range.start;
    let body = ResponseBody::sized(blob.into_stream(), length);
    let mut response = with_validators(body, status, digest);
    describe(response.headers_mut());
    if let Some(part) = part {
        let part = headers::value(part);
        response.headers_mut().insert(CONTENT_RANGE, part);
    }
    Ok(response)
}

/// Takes the blob from this repository; others keep it.
pub(super) async fn delete(call: &Call<'_>, name: &RepositoryName, digest: &Digest) -> Answer {
    let blobs = call.repository(name).blobs();
    // A blob is what its digest says for as long as it is there, so no lock is needed to compare.
    if !headers::precondition(&call.head.headers).holds(Some(digest)) {
        blobs.size(digest).await?;
        return Err(precondition_failed(name, &(*digest).into(), digest));
    }
    blobs.delete(digest).await?;
    Report::of(call, name).tell(Action::Delete, Target::Blob { digest: *digest, size: None });
    Ok(ResponseBody::empty().respond(StatusCode::ACCEPTED))
}

fn wanted(sent: &HeaderMap, digest: &Digest) -> Wanted {
    let range = sent.get(RANGE).and_then(|range| range.to_str().ok());
    range.filter(|_| headers::may_send_range(sent, digest)).map_or(Wanted::All, Wanted::parse)
}

/// What an answer with the blob and one that says "you have it" share (RFC 9110 §15.4.5).
fn with_validators(
    body: ResponseBody,
    status: StatusCode,
    digest: &Digest,
) -> Response<ResponseBody> {
    let mut response = body.respond(status);
    let to = response.headers_mut();
    to.insert(ETAG, headers::etag(digest));
    to.insert(headers::CONTENT_DIGEST, headers::value(digest));
    to.insert(CACHE_CONTROL, headers::CACHE_FOR_A_YEAR);
    response
}

fn describe(to: &mut HeaderMap) {
    to.insert(ACCEPT_RANGES, headers::BYTES);
    to.insert(CONTENT_TYPE, headers::OCTETS);
}
