//! The endpoints that say what is here: `/`, `/v2/`, and OPTIONS of any path.

use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};

use crate::body::ResponseBody;
use crate::headers;
use crate::refusal::Allow;

/// `GET /`: the process answers. Load balancers and Harbor ask this without credentials.
pub(super) fn root() -> Response<ResponseBody> {
    let mut response = ResponseBody::empty().respond(StatusCode::OK);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// `GET /v2/`: this is a registry (end-1).
pub(super) fn base() -> Response<ResponseBody> {
    let mut response = ResponseBody::full("{}").respond(StatusCode::OK);
    response.headers_mut().insert(CONTENT_TYPE, headers::JSON);
    response
}

/// OPTIONS: which methods a path knows. GitLab finds out so whether tags can be deleted.
pub(super) fn options(allow: &Allow) -> Response<ResponseBody> {
    let mut response = ResponseBody::empty().respond(StatusCode::OK);
    response.headers_mut().insert(ALLOW, headers::value(allow));
    response
}
