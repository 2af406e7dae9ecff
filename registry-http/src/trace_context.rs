//! W3C's trace context: the trace that a request is part of, as its client says.

use http::{HeaderMap, HeaderName};
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry_http::HeaderExtractor;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// How long a value may be, in bytes, to be kept: as much of `tracestate` as everybody has to pass on (W3C, 3.3.1.5).
const LONGEST: usize = 512;

/// Makes a span that has just begun part of the trace that `headers` name, if they do.
pub(crate) fn go_on(span: &Span, headers: &HeaderMap) {
    if span.is_disabled() || !headers.contains_key("traceparent") {
        return;
    }
    let mut said = HeaderMap::new();
    for name in ["traceparent", "tracestate"] {
        let value = headers.get(name).filter(|value| value.len() <= LONGEST);
        said.extend(value.map(|value| (HeaderName::from_static(name), value.clone())));
    }
    let context = TraceContextPropagator::new().extract(&HeaderExtractor(&said));
    if context.span().span_context().is_valid() {
        // It fails where spans are not collected, and then there is nothing to be part of.
        let _ = span.set_parent(context);
    }
}
