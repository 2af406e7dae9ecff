//! Manifests: GET, HEAD, PUT, DELETE (end-3, end-7a, end-7b, end-9).

use http::header::{CONTENT_TYPE, ETAG, LOCATION};
use http::{Response, StatusCode};
use registry_store::digest::{Algorithm, Digest};
use registry_store::error::Error;
use registry_store::manifest::{MAX_MANIFEST_SIZE, Manifest, ManifestError};
use registry_store::name::RepositoryName;
use registry_store::reference::{Reference, Tag};

use super::report::Report;
use super::{Answer, Call, precondition_failed};
use crate::body::{RequestBody, ResponseBody};
use crate::error::Failure;
use crate::events::{Action, Target};
use crate::headers;

/// The manifest as it was pushed, whatever types the client accepts, or 304 if the client has it, or 412 if it wants
/// another: in the order of RFC 9110 §13.2.2.
pub(super) async fn get(call: &Call<'_>, name: &RepositoryName, reference: &Reference) -> Answer {
    let found = call.repository(name).manifests().get(reference).await?;
    let asked = headers::precondition(&call.head.headers);
    if asked.is.is_some_and(|wanted| !wanted.names(&found.digest)) {
        return Err(precondition_failed(name, reference, &found.digest));
    }
    let mut response = if asked.is_not.is_some_and(|known| known.names(&found.digest)) {
        ResponseBody::empty().respond(StatusCode::NOT_MODIFIED)
    } else {
        let pulled = Target::Manifest {
            digest: found.digest,
            size: Some(found.bytes.len() as u64),
            media_type: Some(found.media_type.clone()),
            tag: match reference {
                Reference::Tag(tag) => Some(tag.clone()),
                Reference::Digest(_) => None,
            },
        };
        Report::of(call, name).tell(Action::Pull, pulled);
        let mut response = ResponseBody::full(found.bytes).respond(StatusCode::OK);
        let media_type = headers::value(&found.media_type);
        response.headers_mut().insert(CONTENT_TYPE, media_type);
        response
    };
    let to = response.headers_mut();
    to.insert(ETAG, headers::etag(&found.digest));
    to.insert(headers::CONTENT_DIGEST, headers::value(found.digest));
    Ok(response)
}

/// Stores a manifest, by tag (then its digest is of sha256) or by digest with any number of tags.
///
/// Preconditions are about what the path names: the tag, or the manifest of this digest, whatever tags it is given.
pub(super) async fn put(
    call: &Call<'_>,
    name: &RepositoryName,
    reference: Reference,
    tags: Vec<Tag>,
    body: &mut RequestBody,
) -> Answer {
    let manifest = read(call, body).await?;
    let (digest, all) = match &reference {
        Reference::Tag(tag) => (manifest.digest(Algorithm::Sha256), vec![tag.clone()]),
        Reference::Digest(expected) => {
            let found = manifest.digest(expected.algorithm());
            if found != *expected {
                return Err(Error::DigestMismatch { expected: *expected, found }.into());
            }
            (found, tags.clone())
        }
    };
    let manifests = call.repository(name).manifests();
    let precondition = headers::precondition(&call.head.headers);
    manifests.put_if(&manifest, &digest, &all, &reference, &precondition).await?;
    let report = Report::of(call, name);
    for tag in each_or_none(all) {
        let pushed = Target::Manifest {
            digest,
            size: Some(manifest.bytes().len() as u64),
            media_type: Some(manifest.media_type().clone()),
            tag,
        };
        report.tell(Action::Push, pushed);
    }
    Ok(created(call, name, &manifest, &digest, &tags))
}

/// Takes a tag away, or a manifest with every tag on it.
pub(super) async fn delete(
    call: &Call<'_>,
    name: &RepositoryName,
    reference: &Reference,
) -> Answer {
    let repository = call.repository(name);
    let precondition = headers::precondition(&call.head.headers);
    match reference {
        Reference::Tag(tag) => {
            repository.tags().delete_if(tag, &precondition).await?;
            Report::of(call, name).tell(Action::Delete, Target::Tag(tag.clone()));
        }
        // A manifest is what its digest says for as long as it is there, so no lock is needed to compare.
        Reference::Digest(digest) if !precondition.holds(Some(digest)) => {
            repository.manifests().get(reference).await?;
            return Err(precondition_failed(name, reference, digest));
        }
        Reference::Digest(digest) => {
            let of_tags = Report::of(call, name);
            let removed = move |tag| of_tags.tell(Action::Delete, Target::Tag(tag));
            repository.manifests().delete_telling(digest, removed).await?;
            let gone =
                Target::Manifest { digest: *digest, size: None, media_type: None, tag: None };
            Report::of(call, name).tell(Action::Delete, gone);
        }
    }
    Ok(ResponseBody::empty().respond(StatusCode::ACCEPTED))
}

fn each_or_none(tags: Vec<Tag>) -> Vec<Option<Tag>> {
    if tags.is_empty() { vec![None] } else { tags.into_iter().map(Some).collect() }
}

async fn read(call: &Call<'_>, body: &mut RequestBody) -> Result<Manifest, Failure> {
    let sent = &call.head.headers;
    let content_type = headers::content_type(sent)?;
    let declared = headers::content_length(sent).unwrap_or_default();
    if declared > MAX_MANIFEST_SIZE as u64 {
        let found = usize::try_from(declared).unwrap_or(usize::MAX);
        return Err(too_large(found));
    }
    let bytes = body.read(MAX_MANIFEST_SIZE).await.map_err(Error::Body)?;
    let manifest = Manifest::parse(content_type.as_ref(), bytes).map_err(Error::ManifestInvalid)?;
    Ok(manifest)
}

fn too_large(found: usize) -> Failure {
    Error::ManifestInvalid(ManifestError::TooLarge { found }).into()
}

fn created(
    call: &Call<'_>,
    name: &RepositoryName,
    manifest: &Manifest,
    digest: &Digest,
    tags: &[Tag],
) -> Response<ResponseBody> {
    let mut response = ResponseBody::empty().respond(StatusCode::CREATED);
    let to = response.headers_mut();
    to.insert(LOCATION, headers::value(call.links.manifest(name, digest)));
    to.insert(headers::CONTENT_DIGEST, headers::value(digest));
    // A client that is not told so keeps the list itself, under a tag: no referrers are recorded for a subject
    // whose digest is of an algorithm that is not known here.
    if let Some(subject) = manifest.subject().and_then(|subject| subject.digest.known()) {
        to.insert(headers::OCI_SUBJECT, headers::value(subject));
    }
    for tag in tags {
        to.append(headers::OCI_TAG, headers::value(tag));
    }
    response
}
