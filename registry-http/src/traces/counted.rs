//! [`Counts`]: what became of spans; and wrappers of a queue and of what sends, which count.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanExporter, SpanProcessor};
use tracing::{info, warn};

/// How many spans there were. What has ended, and was neither sent nor failed, waits in the queue or was dropped as that was
/// full.
#[derive(Debug, Default)]
pub struct Counts {
    ended: AtomicU64,
    sent: AtomicU64,
    failed: AtomicU64,
}

impl Counts {
    /// Those that have ended and are to be sent.
    pub fn ended(&self) -> u64 {
        self.ended.load(Ordering::Relaxed)
    }

    /// Those that the collector has taken.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Those that could not be sent, and are gone.
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }
}

/// Counts what ends.
#[derive(Debug)]
pub(super) struct CountedProcessor<P> {
    inner: P,
    counts: Arc<Counts>,
}

impl<P> CountedProcessor<P> {
    pub(super) const fn new(inner: P, counts: Arc<Counts>) -> Self {
        Self { inner, counts }
    }
}

impl<P: SpanProcessor> SpanProcessor for CountedProcessor<P> {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.inner.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() {
            self.counts.ended.fetch_add(1, Ordering::Relaxed);
        }
        self.inner.on_end(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

/// Counts what is sent and what is not, and says so when the one becomes the other.
#[derive(Debug)]
pub(super) struct CountedExporter<E> {
    inner: E,
    counts: Arc<Counts>,
    is_failing: AtomicBool,
}

impl<E> CountedExporter<E> {
    pub(super) const fn new(inner: E, counts: Arc<Counts>) -> Self {
        Self { inner, counts, is_failing: AtomicBool::new(false) }
    }
}

impl<E: SpanExporter> SpanExporter for CountedExporter<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        let outcome = self.inner.export(batch).await;
        let was_failing = self.is_failing.swap(outcome.is_err(), Ordering::Relaxed);
        match &outcome {
            Ok(()) => {
                self.counts.sent.fetch_add(spans, Ordering::Relaxed);
                if was_failing {
                    info!("the collector takes traces again");
                }
            }
            Err(error) => {
                self.counts.failed.fetch_add(spans, Ordering::Relaxed);
                if !was_failing {
                    warn!("the collector takes no traces, and they are dropped: {error}");
                }
            }
        }
        outcome
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}
