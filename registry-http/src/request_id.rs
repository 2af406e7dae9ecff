//! [`RequestId`]: what a request is called, in whatever tells of it.

/// The id of a request, in the request's extensions: whoever gives it one puts it there, and notifications carry it on.
///
/// ```
/// use registry_http::request_id::RequestId;
///
/// let mut request = http::Request::new(());
/// request.extensions_mut().insert(RequestId("5a0b".to_owned()));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(pub String);
