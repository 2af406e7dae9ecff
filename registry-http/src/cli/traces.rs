//! Traces, as OpenTelemetry's variables ask for them. Without the feature `otel` there are none.

#[cfg(not(feature = "otel"))]
use std::{env, time::Duration};

use registry_http::metrics::Source;
#[cfg(feature = "otel")]
use registry_http::metrics::{Figures, Kind};
#[cfg(feature = "otel")]
pub(super) use registry_http::traces::Traces;
#[cfg(not(feature = "otel"))]
use tokio::runtime::Handle;

/// There are none.
#[cfg(not(feature = "otel"))]
#[derive(Clone, Debug)]
pub(super) enum Traces {}

#[cfg(not(feature = "otel"))]
impl Traces {
    /// None; an error if they are asked for.
    pub(super) fn by_environment(_: Handle) -> Result<Option<Self>, String> {
        const EXPORTER: &str = "OTEL_TRACES_EXPORTER";
        match env::var(EXPORTER).as_deref() {
            Err(_) | Ok("" | "none") => Ok(None),
            Ok(_) => {
                Err(format!("{EXPORTER}: expected a program that was built with `--features otel`"))
            }
        }
    }

    pub(super) fn finish(&self, _: Duration) {
        match *self {}
    }
}

/// What became of spans, for metrics.
#[cfg(feature = "otel")]
pub(super) fn figures(traces: &Traces) -> Source {
    let counts = traces.counts().clone();
    Box::new(move |figures: &mut Figures| {
        let name = "registry_trace_spans_total";
        let help = "Spans that ended; that the collector took; that could not be sent. The rest waits, or was dropped.";
        figures.metric(name, Kind::Counter, help);
        let all = [("ended", counts.ended()), ("sent", counts.sent()), ("failed", counts.failed())];
        for (outcome, count) in all {
            figures.sample(name, &[("outcome", outcome)], count);
        }
    })
}

#[cfg(not(feature = "otel"))]
pub(super) fn figures(traces: &Traces) -> Source {
    match *traces {}
}
