//! The span of a request: what is told meanwhile belongs to it, in logs by the request's id.
//!
//! For those who collect traces it has fields under OpenTelemetry's names too. Of the address it has the path alone, and of
//! the headers none: nothing in it says who somebody is.

use http::{Method, Request};
use tracing::field::Empty;
use tracing::level_filters::LevelFilter;
use tracing::{Level, Span, error_span};

use crate::endpoint;
use crate::peer::OverTls;
use crate::request_id::RequestId;
use crate::route::Route;

/// Where it is from, for those who collect traces.
pub(crate) const TARGET: &str = "registry_http::request_span";

/// It begins. If the client says that it is part of a trace (W3C's `traceparent`), it is.
pub(crate) fn begin<B>(request: &Request<B>, route: Option<Route>, id: &RequestId) -> Span {
    // Whoever collects traces takes all levels. To ask by `span_enabled!` would leave the filters of layers with its answer
    // for whatever is told next.
    if LevelFilter::current() < Level::TRACE {
        // In lines of JSON it is `http.request.id`, as in those of the access log.
        return error_span!(target: TARGET, "http.request", id = %id.0);
    }
    let method = method(request.method());
    let template = route.map(endpoint::template);
    let is_over_tls = request.extensions().get::<OverTls>().is_some();
    let span = error_span!(
        target: TARGET,
        "http.request",
        id = %id.0,
        otel.name = %format_args!("{method} {}", template.unwrap_or_default()).to_string().trim_end(),
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = method,
        http.request.body.size = Empty,
        http.response.status_code = Empty,
        http.response.body.size = Empty,
        http.route = template,
        url.path = beginning(request.uri().path()),
        url.scheme = if is_over_tls { "https" } else { "http" },
        error.type = Empty,
    );
    #[cfg(feature = "otel")]
    crate::trace_context::go_on(&span, request.headers());
    span
}

/// The answer was handed over as far as it goes. `status` is `None` if the client left before there was one.
pub(crate) fn end(span: &Span, status: Option<u16>, received: u64, sent: u64) {
    // Without traces there are no such fields, and nothing is kept.
    span.record("http.request.body.size", signed(received));
    span.record("http.response.body.size", signed(sent));
    match status {
        Some(status) => {
            span.record("http.response.status_code", i64::from(status));
            if status >= 500 {
                span.record("error.type", status.to_string());
                span.record("otel.status_code", "ERROR");
            }
        }
        None => {
            span.record("error.type", "client_left");
        }
    }
}

/// As much of a path as is kept: what waits for a collector is bounded by the number of spans.
fn beginning(path: &str) -> &str {
    &path[..path.floor_char_boundary(1024)]
}

/// The number that a collector takes for one.
fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// Of few, whatever clients send.
fn method(method: &Method) -> &str {
    const KNOWN: [Method; 7] = [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
        Method::OPTIONS,
    ];
    if KNOWN.contains(method) { method.as_str() } else { "_OTHER" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_path_the_beginning_is_kept() {
        assert_eq!(beginning("/v2/"), "/v2/");
        assert_eq!(beginning(&"a".repeat(65_000)).len(), 1024);
        assert_eq!(beginning(&"ä".repeat(1023)[..]).len(), 1024);
        assert_eq!(beginning(&format!("a{}", "ä".repeat(1023))).len(), 1023);
    }
}
