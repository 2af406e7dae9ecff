//! What a failure looks like to a client: the only place with error codes and their statuses.
//!
//! The form is that of the OCI distribution-spec, "Error Codes". Codes of client faults are from its table and no
//! others, as it asks: Distribution's `TAG_INVALID`, `RANGE_INVALID` and `PAGINATION_NUMBER_INVALID` are not sent,
//! and no client is known to need them. Faults of the storage are `UNKNOWN` or `UNAVAILABLE`, as Distribution's.

use bytes::Bytes;
use http::header::{
    ALLOW, CONTENT_RANGE, CONTENT_TYPE, LOCATION, RANGE, RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::{HeaderName, HeaderValue, Method, Response, StatusCode, Uri};
use registry_store::backend::{self, ErrorKind};
use registry_store::error::{BodyError, Error};
use registry_store::manifest::{MAX_MANIFEST_SIZE, ManifestError};
use serde_json::{Value, json};

#[cfg(feature = "auth")]
use crate::auth::basic;
#[cfg(feature = "auth")]
use crate::auth::htpasswd::HtpasswdError;
#[cfg(feature = "auth")]
use crate::auth::issuer::NoToken;
use crate::auth::{Access, Denial};
use crate::body::{BodyFault, ResponseBody};
use crate::headers;
use crate::range;
use crate::refusal::Refusal;

/// How long a client is asked to wait when what it needs is busy or cannot be reached, in seconds.
const RETRY_SECONDS: u64 = 5;

/// A request that failed, and how it can go on.
#[derive(Debug)]
pub(crate) struct Failure {
    cause: Box<Cause>,
    /// Where the client of an upload session can go on, and how many bytes of it are stored.
    session: Option<(String, u64)>,
}

#[derive(Debug)]
enum Cause {
    Refused(Refusal),
    /// Why, and for what it was asked.
    Denied(Denial, Vec<Access>),
    Store(Error),
    /// What people are shown who are asked for a password, and why there is no token.
    #[cfg(feature = "auth")]
    NoToken(String, NoToken),
}

impl<R: Into<Refusal>> From<R> for Failure {
    fn from(refusal: R) -> Self {
        Self { cause: Box::new(Cause::Refused(refusal.into())), session: None }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { cause: Box::new(Cause::Store(error)), session: None }
    }
}

impl Failure {
    /// A request that needs this may not go on.
    pub(crate) fn of_denial(denial: Denial, needed: Vec<Access>) -> Self {
        Self { cause: Box::new(Cause::Denied(denial, needed)), session: None }
    }

    /// There is no token of the service called so.
    #[cfg(feature = "auth")]
    pub(crate) fn of_token_service(name: &str, why: NoToken) -> Self {
        Self { cause: Box::new(Cause::NoToken(name.to_owned(), why)), session: None }
    }

    /// Tells the client of an upload session where it can go on, and how much of it is stored.
    #[must_use]
    pub(crate) fn with_session(mut self, location: String, stored: u64) -> Self {
        self.session = Some((location, stored));
        self
    }

    /// The answer. What a client must not see of it is told to the log, with what was asked for.
    pub(crate) fn into_response(self, method: &Method, uri: &Uri) -> Response<ResponseBody> {
        let wire = match &*self.cause {
            Cause::Refused(refusal) => of_refusal(refusal),
            Cause::Denied(denial, needed) => of_denial(denial, needed),
            Cause::Store(error) => of_store(error),
            #[cfg(feature = "auth")]
            Cause::NoToken(name, why) => of_no_token(name, why),
        };
        match &*self.cause {
            #[cfg(feature = "auth")]
            Cause::Denied(Denial::Unavailable { reason }, _)
            | Cause::NoToken(_, NoToken::Unavailable(reason))
                if is_busy(reason) =>
            {
                // It is told of where it is found out, and not for each of them.
                tracing::debug!(%method, path = uri.path(), %reason, "told to come again");
            }
            Cause::Denied(Denial::Unavailable { reason }, _) => {
                tracing::error!(%method, path = uri.path(), %reason, "the authorizer failed");
            }
            Cause::Denied(denial, _) => {
                tracing::debug!(%method, path = uri.path(), %denial, "refused");
            }
            Cause::Store(Error::Storage(error)) => {
                tracing::error!(%method, path = uri.path(), %error, "storage failed");
            }
            Cause::Store(Error::Body(error)) => {
                // What nginx and Distribution log as 499.
                tracing::info!(%method, path = uri.path(), %error, "the request's body broke off");
            }
            Cause::Store(error) => {
                tracing::debug!(%method, path = uri.path(), %error, "refused");
            }
            #[cfg(feature = "auth")]
            Cause::NoToken(_, NoToken::Unavailable(reason)) => {
                tracing::error!(path = uri.path(), %reason, "the token service failed");
            }
            #[cfg(feature = "auth")]
            Cause::NoToken(..) => tracing::debug!(%method, path = uri.path(), "no token is given"),
            Cause::Refused(refusal) => {
                tracing::debug!(%method, path = uri.path(), %refusal, "refused");
            }
        }
        let mut response = wire.into_response();
        if let Some((location, stored)) = self.session {
            response.headers_mut().insert(LOCATION, headers::value(&location));
            response.headers_mut().insert(RANGE, headers::value(range::stored(stored)));
        }
        response
    }
}

/// What every request is answered with while a [health check](crate::health) fails, in Distribution's words.
pub(crate) fn unhealthy() -> Response<ResponseBody> {
    Wire::new(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", "service unavailable")
        .about(json!("health check failed: please see /debug/health"))
        .with(RETRY_AFTER, &RETRY_SECONDS)
        .into_response()
}

/// How a request to operators' own servers fails, which is not of the registry's API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plain {
    /// The request is not understood: 400.
    Bad,
    /// It does not say who it is: 401.
    Unknown,
    /// There is no such thing: 404.
    NotFound,
    /// It is not for this method: 405.
    Method,
    /// As things are it cannot be: 409.
    Conflict,
    /// Something does not work: 503.
    Unavailable,
}

/// An answer to operators, as text or as another media type.
pub(crate) fn plain(
    failure: Plain,
    media_type: HeaderValue,
    text: impl Into<Bytes>,
) -> Response<ResponseBody> {
    let mut response = ResponseBody::full(text).respond(match failure {
        Plain::Bad => StatusCode::BAD_REQUEST,
        Plain::Unknown => StatusCode::UNAUTHORIZED,
        Plain::NotFound => StatusCode::NOT_FOUND,
        Plain::Method => StatusCode::METHOD_NOT_ALLOWED,
        Plain::Conflict => StatusCode::CONFLICT,
        Plain::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
    });
    response.headers_mut().insert(CONTENT_TYPE, media_type);
    response
}

/// An error as it is sent.
struct Wire {
    status: StatusCode,
    code: &'static str,
    message: String,
    /// One entry of `errors` each; none is one entry without a detail.
    details: Vec<Value>,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// The `error` of OAuth 2.0 (RFC 6749 §5.2), beside what clients of images read.
    oauth: Option<&'static str>,
}

impl Wire {
    fn new(status: StatusCode, code: &'static str, message: &(impl ToString + ?Sized)) -> Self {
        Self {
            status,
            code,
            message: message.to_string(),
            details: Vec::new(),
            headers: Vec::new(),
            oauth: None,
        }
    }

    fn about(mut self, detail: Value) -> Self {
        self.details.push(detail);
        self
    }

    fn with(mut self, name: HeaderName, value: &(impl ToString + ?Sized)) -> Self {
        self.headers.push((name, headers::value(value.to_string())));
        self
    }

    fn into_response(self) -> Response<ResponseBody> {
        let Self { code, message, .. } = &self;
        let errors = if self.details.is_empty() {
            vec![json!({ "code": code, "message": message })]
        } else {
            let entry =
                |detail: &Value| json!({ "code": code, "message": message, "detail": detail });
            self.details.iter().map(entry).collect()
        };
        let mut body = json!({ "errors": errors });
        if let Some(oauth) = self.oauth {
            body["error"] = oauth.into();
        }
        let mut response = ResponseBody::full(body.to_string()).respond(self.status);
        let to = response.headers_mut();
        to.insert(CONTENT_TYPE, headers::JSON);
        for (name, value) in self.headers {
            to.append(name, value);
        }
        response
    }
}

fn of_refusal(refusal: &Refusal) -> Wire {
    let (status, code) = match refusal {
        Refusal::NoSuchEndpoint => (StatusCode::NOT_FOUND, "UNSUPPORTED"),
        Refusal::Method { allow } | Refusal::Disabled { allow } => {
            return Wire::new(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", refusal)
                .with(ALLOW, allow);
        }
        Refusal::Name(_) => (StatusCode::BAD_REQUEST, "NAME_INVALID"),
        Refusal::Digest(_) | Refusal::DigestMissing => (StatusCode::BAD_REQUEST, "DIGEST_INVALID"),
        Refusal::Tag(_) | Refusal::MediaType(_) => (StatusCode::BAD_REQUEST, "MANIFEST_INVALID"),
        Refusal::NoSuchReference(_) => (StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN"),
        Refusal::UploadId(_) => (StatusCode::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN"),
        Refusal::UploadAddress | Refusal::ContentRange { .. } => {
            (StatusCode::BAD_REQUEST, "BLOB_UPLOAD_INVALID")
        }
        // As Distribution answers, so that its clients begin anew.
        Refusal::UploadState => (StatusCode::NOT_FOUND, "BLOB_UPLOAD_INVALID"),
        Refusal::Ambiguous { .. } | Refusal::PageNumber { .. } => {
            (StatusCode::BAD_REQUEST, "UNSUPPORTED")
        }
        Refusal::TooManyTags { .. } => (StatusCode::URI_TOO_LONG, "UNSUPPORTED"),
        Refusal::ContentRangeBackwards { .. } => {
            (StatusCode::RANGE_NOT_SATISFIABLE, "BLOB_UPLOAD_INVALID")
        }
        Refusal::ContentLength { .. } => (StatusCode::BAD_REQUEST, "SIZE_INVALID"),
    };
    Wire::new(status, code, refusal)
}

/// With what the request needs, as Distribution has it: docker takes a denial without a detail for one that is worth to be
/// tried again, for most of a minute. It depends on the request alone.
fn of_denial(denial: &Denial, needed: &[Access]) -> Wire {
    let wire = |status, code| Wire::new(status, code, denial);
    match denial {
        Denial::Unauthorized { challenges } => {
            let wire = wire(StatusCode::UNAUTHORIZED, "UNAUTHORIZED");
            let mut wire = wire.about(accesses(needed));
            wire.headers = challenges.iter().map(|one| (WWW_AUTHENTICATE, one.clone())).collect();
            wire
        }
        Denial::Denied => wire(StatusCode::FORBIDDEN, "DENIED").about(accesses(needed)),
        Denial::TooManyRequests { retry_after } => {
            let seconds =
                retry_after.as_secs().saturating_add(u64::from(retry_after.subsec_nanos() > 0));
            wire(StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS").with(RETRY_AFTER, &seconds)
        }
        Denial::Unavailable { .. } => {
            wire(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE").with(RETRY_AFTER, &RETRY_SECONDS)
        }
    }
}

/// Is it nothing but that too many ask at once?
#[cfg(feature = "auth")]
fn is_busy(reason: &BodyError) -> bool {
    matches!(reason.downcast_ref(), Some(HtpasswdError::Busy))
}

/// As Distribution's Go structures come out in JSON; nothing is `null` there.
fn accesses(needed: &[Access]) -> Value {
    let one = |kind, name: &str, action: &str| json!({ "Type": kind, "Class": "", "Name": name, "Action": action });
    let each = needed.iter().map(|access| match access {
        Access::Repository { name, action } => {
            one("repository", name.as_str(), &action.to_string())
        }
        Access::Catalog => one("registry", "catalog", "*"),
    });
    if needed.is_empty() { Value::Null } else { each.collect() }
}

/// RFC 6749 lets 401 be answered to a bad password, and clients of images take nothing else for one.
#[cfg(feature = "auth")]
fn of_no_token(name: &str, why: &NoToken) -> Wire {
    let bad = |message: &str, oauth| {
        let wire = Wire::new(StatusCode::BAD_REQUEST, "UNSUPPORTED", message);
        Wire { oauth: Some(oauth), ..wire }
    };
    match why {
        NoToken::Credentials => {
            let message =
                "expected a name and its password, or a token in place of them, that are good";
            let mut wire = Wire::new(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", message);
            wire.headers.extend(basic::challenge(name).ok().map(|it| (WWW_AUTHENTICATE, it)));
            Wire { oauth: Some("invalid_grant"), ..wire }
        }
        NoToken::GrantType => {
            bad("expected grant_type password or refresh_token", "unsupported_grant_type")
        }
        NoToken::Request(expected) => bad(&format!("expected {expected}"), "invalid_request"),
        NoToken::Unavailable(_) => Wire::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "UNAVAILABLE",
            "no token can be made now; try again",
        )
        .with(RETRY_AFTER, &RETRY_SECONDS),
    }
}

fn of_store(error: &Error) -> Wire {
    match error {
        Error::NameUnknown { name } => Wire::new(StatusCode::NOT_FOUND, "NAME_UNKNOWN", error)
            .about(json!({ "name": name.as_str() })),
        Error::BlobUnknown { digest, .. } => {
            Wire::new(StatusCode::NOT_FOUND, "BLOB_UNKNOWN", error).about(json!(digest.to_string()))
        }
        Error::ManifestUnknown { reference, .. } => {
            Wire::new(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN", error)
                .about(json!({ "reference": reference.to_string() }))
        }
        // The table has no code for it. This one finds no fault with what was sent, which is sound.
        Error::PreconditionFailed { reference, .. } => {
            Wire::new(StatusCode::PRECONDITION_FAILED, "DENIED", error)
                .about(json!({ "reference": reference.to_string() }))
        }
        Error::UploadUnknown { .. } => {
            Wire::new(StatusCode::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN", error)
        }
        Error::UploadOffset { .. } => {
            Wire::new(StatusCode::RANGE_NOT_SATISFIABLE, "BLOB_UPLOAD_INVALID", error)
        }
        // The session is sound and belongs to the newer request; the client of this one has most likely gone.
        Error::UploadSuperseded { .. } => {
            Wire::new(StatusCode::CONFLICT, "BLOB_UPLOAD_INVALID", error)
        }
        Error::DigestMismatch { .. } => Wire::new(StatusCode::BAD_REQUEST, "DIGEST_INVALID", error),
        Error::RangeNotSatisfiable { size, .. } => {
            Wire::new(StatusCode::RANGE_NOT_SATISFIABLE, "SIZE_INVALID", error)
                .with(CONTENT_RANGE, &range::unsatisfied(*size))
        }
        Error::ManifestInvalid(reason) => of_manifest(reason),
        Error::ManifestBlobUnknown { name, missing } => {
            // Said once for each of what may be many, so it names none of them.
            let message =
                format!("the manifest refers to content that is not in repository {name}");
            let mut wire = Wire::new(StatusCode::BAD_REQUEST, "MANIFEST_BLOB_UNKNOWN", &message);
            wire.details = missing.iter().map(|digest| json!(digest.to_string())).collect();
            wire
        }
        Error::Body(reason) => of_body(reason),
        Error::Storage(error) => of_storage(error),
    }
}

fn of_manifest(error: &ManifestError) -> Wire {
    let status = match error {
        ManifestError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        ManifestError::Json { .. }
        | ManifestError::DuplicateName { .. }
        | ManifestError::SchemaVersion { .. }
        | ManifestError::MediaTypeMismatch { .. }
        | ManifestError::UnsupportedMediaType { .. }
        | ManifestError::Field { .. }
        | ManifestError::DescriptorSize { .. } => StatusCode::BAD_REQUEST,
    };
    let wire = Wire::new(status, "MANIFEST_INVALID", error);
    match error {
        ManifestError::TooLarge { .. } => wire.about(json!({ "limit": MAX_MANIFEST_SIZE })),
        _ => wire,
    }
}

/// The specification has no code for a body that breaks off; that its length is wrong is true of each.
fn of_body(error: &BodyError) -> Wire {
    let status = match error.downcast_ref::<BodyFault>() {
        Some(BodyFault::Idle { .. }) => StatusCode::REQUEST_TIMEOUT,
        #[cfg(feature = "auth")]
        Some(BodyFault::Late { .. }) => StatusCode::REQUEST_TIMEOUT,
        Some(BodyFault::Short { .. } | BodyFault::Long { .. } | BodyFault::Broken(_)) | None => {
            StatusCode::BAD_REQUEST
        }
    };
    Wire::new(status, "SIZE_INVALID", error)
}

/// What is wrong with the storage is for the log: a message may name its places.
fn of_storage(error: &backend::Error) -> Wire {
    let unavailable = |message| {
        Wire::new(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", message)
            .with(RETRY_AFTER, &RETRY_SECONDS)
    };
    match error.kind() {
        ErrorKind::Full => {
            Wire::new(StatusCode::INSUFFICIENT_STORAGE, "UNKNOWN", "the storage is full")
        }
        ErrorKind::Busy => unavailable("another process is at work on this; try again"),
        ErrorKind::Unavailable => unavailable("the storage cannot be reached now; try again"),
        ErrorKind::NotFound
        | ErrorKind::RangeNotSatisfiable
        | ErrorKind::Denied
        | ErrorKind::Foreign
        | ErrorKind::Io
        | ErrorKind::Unsupported => {
            Wire::new(StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN", "the storage failed")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Action;
    use http_body_util::BodyExt;
    use registry_store::backend::Tip;
    use registry_store::digest::Digest;
    use registry_store::upload_status::UploadStatus;
    use std::time::{Duration, UNIX_EPOCH};

    async fn told(failure: impl Into<Failure>) -> (Response<()>, Value) {
        let uri = Uri::from_static("/v2/a/manifests/b");
        let response = failure.into().into_response(&Method::PUT, &uri);
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        assert_eq!(head.headers[CONTENT_TYPE], "application/json");
        (Response::from_parts(head, ()), serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn every_missing_blob_has_an_entry() {
        let missing = vec![Digest::sha256(b"a"), Digest::sha256(b"b")];
        let name = "r".parse().unwrap();
        let (head, body) =
            told(Error::ManifestBlobUnknown { name, missing: missing.clone() }).await;
        assert_eq!(head.status(), 400);
        let errors = body["errors"].as_array().unwrap();
        assert_eq!(errors.len(), 2);
        for (entry, digest) in errors.iter().zip(missing) {
            assert_eq!(entry["code"], "MANIFEST_BLOB_UNKNOWN");
            assert_eq!(entry["detail"], digest.to_string());
        }
    }

    #[tokio::test]
    async fn a_session_at_another_offset_says_where_it_is() {
        let id = "6b3c9a93-af5d-473f-a4ff-9710022185cd".parse().unwrap();
        let tip = Tip { offset: 10, token: None };
        let status = UploadStatus { id, tip, started_at: UNIX_EPOCH };
        let error = Error::UploadOffset { status, found: 5 };
        let failure = Failure::from(error).with_session("/v2/x".to_owned(), 10);
        let (head, body) = told(failure).await;
        assert_eq!(head.status(), 416);
        assert_eq!(head.headers()[RANGE], "0-9");
        assert_eq!(head.headers()[LOCATION], "/v2/x");
        assert_eq!(body["errors"][0]["code"], "BLOB_UPLOAD_INVALID");
    }

    #[tokio::test]
    async fn what_is_wrong_with_the_storage_is_not_told_to_clients() {
        for (kind, status, retry) in [
            (ErrorKind::Full, 507, false),
            (ErrorKind::Busy, 503, true),
            (ErrorKind::Unavailable, 503, true),
            (ErrorKind::Io, 500, false),
            (ErrorKind::Denied, 500, false),
            (ErrorKind::Foreign, 500, false),
        ] {
            let error = backend::Error::new(kind, "read").because("the secret place");
            let (head, body) = told(Error::Storage(error)).await;
            assert_eq!(head.status(), status, "{kind:?}");
            assert_eq!(head.headers().contains_key(RETRY_AFTER), retry, "{kind:?}");
            assert!(!body.to_string().contains("secret"), "{body}");
        }
    }

    fn denied(denial: Denial) -> Failure {
        Failure::of_denial(denial, Vec::new())
    }

    #[tokio::test]
    async fn a_denial_names_what_the_request_needs_as_distribution_does() {
        let to = |name: &str, action| Access::Repository { name: name.parse().unwrap(), action };
        let needed =
            vec![to("other/z", Action::Pull), to("other/z", Action::Push), Access::Catalog];
        let detail = json!([
            {"Type": "repository", "Class": "", "Name": "other/z", "Action": "pull"},
            {"Type": "repository", "Class": "", "Name": "other/z", "Action": "push"},
            {"Type": "registry", "Class": "", "Name": "catalog", "Action": "*"},
        ]);
        for (needed, detail) in [(needed, detail), (Vec::new(), Value::Null)] {
            for denial in [Denial::Denied, Denial::Unauthorized { challenges: Vec::new() }] {
                let (_, body) = told(Failure::of_denial(denial, needed.clone())).await;
                let errors = body["errors"].as_array().unwrap();
                assert_eq!(errors.len(), 1);
                assert_eq!(errors[0].get("detail"), Some(&detail));
            }
        }
    }

    #[tokio::test]
    async fn a_denial_says_whose_fault_it_is_and_when_to_come_back() {
        let challenges =
            vec![HeaderValue::from_static("Bearer x"), HeaderValue::from_static("Basic y")];
        let (head, body) =
            told(denied(Denial::Unauthorized { challenges: challenges.clone() })).await;
        assert_eq!(
            (head.status().as_u16(), &body["errors"][0]["code"]),
            (401, &json!("UNAUTHORIZED"))
        );
        assert_eq!(
            head.headers().get_all(WWW_AUTHENTICATE).iter().collect::<Vec<_>>(),
            challenges.iter().collect::<Vec<_>>()
        );
        let (head, body) = told(denied(Denial::Denied)).await;
        assert_eq!((head.status().as_u16(), &body["errors"][0]["code"]), (403, &json!("DENIED")));
        for (milliseconds, seconds) in
            [(0, "0"), (1, "1"), (2000, "2"), (2001, "3"), (u64::MAX, "18446744073709552")]
        {
            let retry_after = Duration::from_millis(milliseconds);
            let (head, body) = told(denied(Denial::TooManyRequests { retry_after })).await;
            assert_eq!(
                (head.status().as_u16(), &body["errors"][0]["code"]),
                (429, &json!("TOOMANYREQUESTS"))
            );
            assert_eq!(head.headers()[RETRY_AFTER], seconds);
        }
        let retry_after = Duration::MAX;
        let (head, _) = told(denied(Denial::TooManyRequests { retry_after })).await;
        assert_eq!(head.headers()[RETRY_AFTER], u64::MAX.to_string());
        let (head, body) =
            told(denied(Denial::Unavailable { reason: "the secret place".into() })).await;
        assert_eq!(
            (head.status().as_u16(), &body["errors"][0]["code"]),
            (503, &json!("UNAVAILABLE"))
        );
        assert!(head.headers().contains_key(RETRY_AFTER));
        assert!(!body.to_string().contains("secret"), "{body}");
    }

    #[tokio::test]
    async fn a_body_that_fails_is_the_client_s_fault() {
        let told_of = async |fault: BodyFault| told(Error::Body(fault.into())).await.0.status();
        let waited = Duration::from_secs(60);
        assert_eq!(told_of(BodyFault::Idle { waited }).await, 408);
        #[cfg(feature = "auth")]
        assert_eq!(told_of(BodyFault::Late { within: waited }).await, 408);
        assert_eq!(told_of(BodyFault::Long { expected: 1 }).await, 400);
        assert_eq!(told_of(BodyFault::Broken("cut".into())).await, 400);
    }

    #[tokio::test]
    async fn a_manifest_that_is_too_large_has_a_status_of_its_own() {
        let (head, body) = told(Error::from(ManifestError::TooLarge { found: 5 })).await;
        assert_eq!(head.status(), 413);
        assert_eq!(body["errors"][0]["code"], "MANIFEST_INVALID");
    }
}
