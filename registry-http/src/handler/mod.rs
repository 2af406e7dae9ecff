//! From an [`Endpoint`] to its answer.

mod access;
mod base;
mod blobs;
mod catalog;
mod manifests;
mod referrers;
mod report;
mod tags;
#[cfg(feature = "auth")]
mod tokens;
mod uploads;

use http::header::CONNECTION;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, Version};
use registry_store::digest::Digest;
use registry_store::error::Error;
use registry_store::name::RepositoryName;
use registry_store::reference::Reference;
use registry_store::repository::Repository;
use registry_store::store::Store;

use crate::auth::Actor;
use crate::body::{RequestBody, ResponseBody};
#[cfg(feature = "auth")]
use crate::endpoint;
use crate::endpoint::Endpoint;
use crate::error::Failure;
use crate::headers;
use crate::links::Links;
use crate::options::Options;
use crate::refusal::Refusal;

/// What a handler answers.
type Answer = Result<Response<ResponseBody>, Failure>;

/// A request, without its body, and what it is answered from.
struct Call<'r> {
    store: &'r Store,
    options: &'r Options,
    head: &'r Parts,
    links: Links,
    /// Whose it is.
    actor: Actor,
}

impl Call<'_> {
    fn repository(&self, name: &RepositoryName) -> Repository {
        self.store.repository(name)
    }

    fn is_head(&self) -> bool {
        self.head.method == Method::HEAD
    }
}

/// What is there, and found to be `found`, is not what the client wants it to be.
fn precondition_failed(name: &RepositoryName, reference: &Reference, found: &Digest) -> Failure {
    let (name, reference) = (name.clone(), reference.clone());
    Error::PreconditionFailed { name, reference, found: Some(*found) }.into()
}

/// The head of a request, with what those who look at it are told: where tokens are to be had, if it is here.
pub(crate) fn announced(options: &Options, head: Parts) -> Parts {
    #[cfg(feature = "auth")]
    let head = tokens::announced(options, head);
    #[cfg(not(feature = "auth"))]
    let _ = options;
    head
}

/// Answers a request, whatever it is.
pub(crate) async fn answer(
    store: &Store,
    options: &Options,
    head: &Parts,
    mut body: RequestBody,
) -> Response<ResponseBody> {
    let ambiguity = headers::ambiguity(head);
    let mut known = None;
    let answer = match ambiguity {
        Some(found) => Err(Refusal::Ambiguous { found }.into()),
        None => permitted(store, options, head, &mut body, &mut known).await,
    };
    let mut response =
        answer.unwrap_or_else(|failure| failure.into_response(&head.method, &head.uri));
    // For whoever tells of requests.
    if let Some(actor) = known {
        response.extensions_mut().insert(actor);
    }
    response.headers_mut().insert(headers::API_VERSION, headers::REGISTRY_2);
    if head.method == Method::HEAD {
        *response.body_mut() = ResponseBody::empty();
    }
    // In HTTP/2 a body has a stream of its own: nothing behind it waits for its end.
    if head.version < Version::HTTP_2 && (ambiguity.is_some() || !body.drain().await) {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
    }
    if body.is_coming() {
        tokio::spawn(body.discard());
    }
    add(&options.headers, response.headers_mut());
    response
}

/// Adds headers, each with all of its values, where there is none of its name yet.
fn add(more: &HeaderMap, headers: &mut HeaderMap) {
    for name in more.keys() {
        if !headers.contains_key(name) {
            for value in more.get_all(name) {
                headers.append(name, value.clone());
            }
        }
    }
}

/// Order: the head is understood → whoever sent it may do this → it is done. What is refused by the first step
/// depends on the head and the options alone; nothing looks at the storage, or at the body, before the third. Who it is is
/// `known` from then on.
async fn permitted(
    store: &Store,
    options: &Options,
    head: &Parts,
    body: &mut RequestBody,
    known: &mut Option<Actor>,
) -> Answer {
    #[cfg(feature = "auth")]
    if let Some(service) = endpoint::token_service(&head.uri, options) {
        return tokens::answer(service, head, body, known).await;
    }
    let asked = Endpoint::parse(&head.method, &head.uri, options)?;
    let (endpoint, actor) = match &options.authorizer {
        Some(authorizer) => access::authorize(authorizer.as_ref(), head, asked).await?,
        None => (asked, Actor::anonymous()),
    };
    *known = Some(actor.clone());
    let call = Call { store, options, head, links: Links::new(options, head), actor };
    dispatch(&call, endpoint, body).await
}

async fn dispatch(call: &Call<'_>, endpoint: Endpoint, body: &mut RequestBody) -> Answer {
    match endpoint {
        Endpoint::Options { allow } => Ok(base::options(&allow)),
        Endpoint::Root => Ok(base::root()),
        Endpoint::Base => Ok(base::base()),
        Endpoint::Catalog { page } => catalog::list(call, page).await,
        Endpoint::ListTags { name, page } => tags::list(call, &name, page).await,
        Endpoint::ListReferrers { name, query } => referrers::list(call, &name, query).await,
        Endpoint::GetBlob { name, digest } => blobs::get(call, &name, &digest).await,
        Endpoint::DeleteBlob { name, digest } => blobs::delete(call, &name, &digest).await,
        Endpoint::GetManifest { name, reference } => manifests::get(call, &name, &reference).await,
        Endpoint::PutManifest { name, reference, tags } => {
            manifests::put(call, &name, reference, tags, body).await
        }
        Endpoint::DeleteManifest { name, reference } => {
            manifests::delete(call, &name, &reference).await
        }
        Endpoint::StartUpload { name, start } => uploads::start(call, &name, start, body).await,
        Endpoint::UploadStatus(target) => uploads::status(call, target).await,
        Endpoint::AppendUpload(target) => uploads::append(call, target, body).await,
        Endpoint::CommitUpload(target, digest) => {
            uploads::commit(call, target, &digest, body).await
        }
        Endpoint::CancelUpload(target) => uploads::cancel(call, &target).await,
    }
}
