//! Blobs: GET, HEAD, DELETE (end-2, end-10).

use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, LOCATION,
    RANGE,
};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use registry_store::backend::{ReadRange, SignedMethod};
use registry_store::blobs::{Blob, FoundBlob};
use registry_store::digest::Digest;
use registry_store::error::Error;
use registry_store::name::RepositoryName;

use super::report::Report;
use super::{Answer, Call, precondition_failed};
use crate::body::ResponseBody;
use crate::events::{Action, Target};
use crate::headers::{self, relies_on_our_validator};
use crate::options::Redirect;
use crate::range::{self, Wanted};

/// The blob, the part of it that `Range` names, or where to fetch them; or 304 if the client has it, or 412 if it wants
/// another: in the order of RFC 9110 §13.2.2.
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
    // The storage knows no validator of ours, and would not find what the client wants to go on with.
    let redirect = call.options.redirect.filter(|_| !relies_on_our_validator(sent, digest));
    if redirect.is_none() && !call.is_head() {
        // To open it tells all that a look would.
        return read(call, name, digest, |range| blobs.get(digest, range)).await;
    }

    let found = blobs.find(digest).await?;
    if let Some(redirect) = redirect
        && let Some(address) = address(call, &found, &redirect).await?
    {
        tell_of_pull(call, name, digest, found.size());
        return Ok(elsewhere(&address, digest));
    }
    if call.is_head() {
        tell_of_pull(call, name, digest, found.size());
        let mut response = with_validators(ResponseBody::empty(), StatusCode::OK, digest);
        describe(response.headers_mut());
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(found.size()));
        return Ok(response);
    }
    read(call, name, digest, |range| found.open(range)).await
}

/// Where the client is sent for the blob; `None` if it goes through the service.
async fn address(
    call: &Call<'_>,
    found: &FoundBlob,
    redirect: &Redirect,
) -> Result<Option<String>, Error> {
    if found.size() < redirect.minimum_size {
        return Ok(None);
    }
    let method = if call.is_head() { SignedMethod::Head } else { SignedMethod::Get };
    found.address(method, redirect.expires_in).await
}

/// A cache that kept this would send clients to an address that has expired, and whoever reads the cache to the blob.
fn elsewhere(address: &str, digest: &Digest) -> Response<ResponseBody> {
    let mut response = ResponseBody::empty().respond(StatusCode::TEMPORARY_REDIRECT);
    let to = response.headers_mut();
    to.insert(LOCATION, headers::value(address));
    to.insert(headers::CONTENT_DIGEST, headers::value(digest));
    to.insert(CACHE_CONTROL, headers::NOT_KEPT);
    response
}

/// Sends the blob, or the part of it that the client asks for, as `open` opens it.
async fn read<F>(
    call: &Call<'_>,
    name: &RepositoryName,
    digest: &Digest,
    open: impl FnOnce(ReadRange) -> F,
) -> Answer
where
    F: Future<Output = Result<Blob, Error>>,
{
    let asked = match wanted(&call.head.headers, digest) {
        Wanted::All => ReadRange::Full,
        Wanted::Part(part) => part,
        Wanted::Backwards => {
            let size = call.repository(name).blobs().size(digest).await?;
            return Err(Error::RangeNotSatisfiable { digest: *digest, size }.into());
        }
    };
    let blob = open(asked).await?;
    tell_of_pull(call, name, digest, blob.size());
    let sent = blob.range();
    let (status, part) = match asked {
        ReadRange::Full => (StatusCode::OK, None),
        _ => (StatusCode::PARTIAL_CONTENT, Some(range::satisfied(&sent, blob.size()))),
    };
    let length = sent.end - sent.start;
    let body = ResponseBody::sized(blob.into_stream(), length);
    let mut response = with_validators(body, status, digest);
    describe(response.headers_mut());
    if let Some(part) = part {
        response.headers_mut().insert(CONTENT_RANGE, headers::value(part));
    }
    Ok(response)
}

fn tell_of_pull(call: &Call<'_>, name: &RepositoryName, digest: &Digest, size: u64) {
    let pulled = Target::Blob { digest: *digest, size: Some(size) };
    Report::of(call, name).tell(Action::Pull, pulled);
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
