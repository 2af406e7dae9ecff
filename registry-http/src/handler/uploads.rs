//! Upload sessions: POST, PATCH, PUT, GET, DELETE (end-4a to end-6, end-11, end-13, end-14).

use http::header::{LOCATION, RANGE};
use http::{Response, StatusCode};
use registry_store::digest::Digest;
use registry_store::error::Error;
use registry_store::name::RepositoryName;
use registry_store::upload_status::UploadStatus;
use registry_store::uploads::{ResumeAt, Uploads};

use super::report::Report;
use super::{Answer, Call};
use crate::body::{RequestBody, ResponseBody};
use crate::endpoint::{StartUpload, UploadTarget};
use crate::error::Failure;
use crate::events::{Action, Target};
use crate::headers;
use crate::range;
use crate::refusal::Refusal;

/// Begins an upload: a session, a whole blob, or a mount. A mount that cannot be is a session.
pub(super) async fn start(
    call: &Call<'_>,
    name: &RepositoryName,
    start: StartUpload,
    body: &mut RequestBody,
) -> Answer {
    let repository = call.repository(name);
    let algorithm = match start {
        StartUpload::Session(algorithm) => algorithm,
        StartUpload::Whole(digest) => {
            let size = repository.blobs().put(&digest, body).await?;
            return Ok(created(call, name, &digest, size, Action::Push));
        }
        StartUpload::Mount { digest, from } => {
            let mounted = match &from {
                Some(from) => repository.mount(&digest, from).await?,
                None if call.options.mount_from_anywhere => {
                    repository.mount_from_anywhere(&digest).await?
                }
                None => None,
            };
            if let Some(size) = mounted {
                return Ok(created(call, name, &digest, size, Action::Mount { from }));
            }
            digest.algorithm()
        }
    };
    let status = repository.uploads().start(algorithm).await?;
    Ok(session(call, name, &status, StatusCode::ACCEPTED))
}

/// Where the session has come to.
pub(super) async fn status(call: &Call<'_>, target: UploadTarget) -> Answer {
    let uploads = call.repository(&target.name).uploads();
    let status = uploads.status(target.id).await?;
    Ok(session(call, &target.name, &status, StatusCode::NO_CONTENT))
}

/// Adds a part: a chunk that says where it belongs, or a stream that is added at the end.
pub(super) async fn append(
    call: &Call<'_>,
    target: UploadTarget,
    body: &mut RequestBody,
) -> Answer {
    let uploads = call.repository(&target.name).uploads();
    let at = match resume_at(call, &target, body) {
        Ok(at) => at,
        Err(refusal) => return Err(with_status(call, &uploads, target, refusal).await),
    };
    match uploads.append(target.id, at, body).await {
        Ok(status) => Ok(session(call, &target.name, &status, StatusCode::ACCEPTED)),
        Err(error) => Err(resumable(call, &target.name, error)),
    }
}

/// Adds a last part, if there is one, and makes the whole a blob.
pub(super) async fn commit(
    call: &Call<'_>,
    target: UploadTarget,
    digest: &Digest,
    body: &mut RequestBody,
) -> Answer {
    let uploads = call.repository(&target.name).uploads();
    let at = match resume_at(call, &target, body) {
        Ok(at) => at,
        Err(refusal) => return Err(with_status(call, &uploads, target, refusal).await),
    };
    match uploads.commit(target.id, at, digest, body).await {
        Ok(size) => Ok(created(call, &target.name, digest, size, Action::Push)),
        Err(error) => Err(resumable(call, &target.name, error)),
    }
}

/// Ends the session.
pub(super) async fn cancel(call: &Call<'_>, target: &UploadTarget) -> Answer {
    call.repository(&target.name).uploads().cancel(target.id).await?;
    let mut response = ResponseBody::empty().respond(StatusCode::NO_CONTENT);
    response.headers_mut().insert(headers::UPLOAD_UUID, headers::value(target.id));
    Ok(response)
}

/// Where the request says it begins, by its address and by its `Content-Range`.
fn resume_at(
    call: &Call<'_>,
    target: &UploadTarget,
    body: &mut RequestBody,
) -> Result<ResumeAt, Refusal> {
    let part = range::of_body(&call.head.headers)?;
    if let Some(part) = part {
        body.expect(part.length());
    }
    Ok(ResumeAt { tip: target.tip.clone(), offset: part.map(|part| part.start) })
}

/// A client whose range can belong nowhere is told where its session is, as one whose range belongs elsewhere.
async fn with_status(
    call: &Call<'_>,
    uploads: &Uploads,
    target: UploadTarget,
    refusal: Refusal,
) -> Failure {
    if !matches!(refusal, Refusal::ContentRangeBackwards { .. }) {
        return refusal.into();
    }
    match uploads.status(target.id).await {
        Ok(status) => {
            let location = call.links.upload(&target.name, &status);
            Failure::from(refusal).with_session(location, status.tip.offset)
        }
        Err(error) => error.into(),
    }
}

/// A client that was wrong about the offset is told the right one, and an address that goes on from there.
///
/// Both are what was found then. To look again would stop a request that has come meanwhile and is right.
fn resumable(call: &Call<'_>, name: &RepositoryName, error: Error) -> Failure {
    let Error::UploadOffset { status, .. } = &error else {
        return error.into();
    };
    let location = call.links.upload(name, status);
    let stored = status.tip.offset;
    Failure::from(error).with_session(location, stored)
}

fn session(
    call: &Call<'_>,
    name: &RepositoryName,
    status: &UploadStatus,
    code: StatusCode,
) -> Response<ResponseBody> {
    let mut response = ResponseBody::empty().respond(code);
    let to = response.headers_mut();
    let location = call.links.upload(name, status);
    to.insert(LOCATION, headers::value(location));
    to.insert(RANGE, headers::value(range::stored(status.tip.offset)));
    to.insert(headers::UPLOAD_UUID, headers::value(status.id));
    response
}

/// The blob is one of the repository: it is told of, and the client is answered.
fn created(
    call: &Call<'_>,
    name: &RepositoryName,
    digest: &Digest,
    size: u64,
    by: Action,
) -> Response<ResponseBody> {
    Report::of(call, name).tell(by, Target::Blob { digest: *digest, size: Some(size) });
    let mut response = ResponseBody::empty().respond(StatusCode::CREATED);
    let to = response.headers_mut();
    to.insert(LOCATION, headers::value(call.links.blob(name, digest)));
    to.insert(headers::CONTENT_DIGEST, headers::value(digest));
    response
}
