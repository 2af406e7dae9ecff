//! Scheme and host of this registry, as who asks sees them.

use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, header};

use crate::forwarded;
use crate::host::is_host;
use crate::peer::OverTls;

/// Scheme and host as the request itself says.
pub(crate) fn asked(head: &Parts) -> Option<String> {
    let over_tls = head.extensions.get::<OverTls>().map(|OverTls| "https");
    let scheme = over_tls.or_else(|| head.uri.scheme_str());
    let host = head.uri.authority().map(Authority::as_str);
    let host = host.or_else(|| first_element(&head.headers, header::HOST.as_str()))?;
    address(scheme, host)
}

/// Of a host that is none, or more than one, no address is made.
fn address(scheme: Option<&str>, host: &str) -> Option<String> {
    let is_secure = scheme.is_some_and(is_https);
    let scheme = if is_secure { "https" } else { "http" };
    is_host(host).then(|| format!("{scheme}://{host}"))
}

fn is_https(scheme: &str) -> bool {
    scheme.eq_ignore_ascii_case("https")
}

/// Scheme and host as the client, or the proxy that speaks for it, sees them. What can be neither does not count: the next
/// that says one does.
pub(crate) fn origin(head: &Parts) -> Option<String> {
    let forwarded = head.headers.get(header::FORWARDED).and_then(|value| value.to_str().ok());
    let parameter = |name| forwarded::parameter(forwarded?, name);
    let (host, proto) = (parameter("host"), parameter("proto"));
    let hosts = [
        host.as_deref(),
        first_element(&head.headers, "x-forwarded-host"),
        head.uri.authority().map(Authority::as_str),
        first_element(&head.headers, header::HOST.as_str()),
    ];
    let schemes = [
        proto.as_deref(),
        first_element(&head.headers, "x-forwarded-proto"),
        head.extensions.get::<OverTls>().map(|OverTls| "https"),
        head.uri.scheme_str(),
    ];
    let is_scheme = |scheme: &&str| is_https(scheme) || scheme.eq_ignore_ascii_case("http");
    let scheme = schemes.into_iter().flatten().find(is_scheme);
    address(scheme, hosts.into_iter().flatten().find(|host| is_host(host))?)
}

/// The first element of a header that is a list.
fn first_element<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let value = headers.get(name)?.to_str().ok()?;
    let first = value.split(',').next()?.trim();
    (!first.is_empty()).then_some(first)
}
