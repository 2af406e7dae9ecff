//! Metrics of calls of the storage.

use std::time::Duration;

use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};
use registry_store::backend::{Action, ErrorKind};

use super::register;

pub(super) struct Storage {
    driver: &'static str,
    durations: HistogramVec,
    errors: IntCounterVec,
}

impl Storage {
    pub(super) fn new(registry: &Registry, driver: &'static str) -> Self {
        // The buckets are the usual ones, as Distribution's.
        let options = HistogramOpts::new(
            "registry_storage_action_seconds",
            "The number of seconds that the storage action takes",
        );
        let durations = HistogramVec::new(options, &["driver", "action"])
            .expect("name and labels are of Prometheus's grammar");
        let options = Opts::new(
            "registry_storage_errors_total",
            "Storage actions that failed, but for what was not there.",
        );
        let errors = IntCounterVec::new(options, &["driver", "action", "kind"])
            .expect("name and labels are of Prometheus's grammar");
        register(registry, &durations);
        register(registry, &errors);
        Self { driver, durations, errors }
    }

    pub(super) fn called(&self, action: Action, took: Duration, failed: Option<ErrorKind>) {
        let action = name(action);
        self.durations.with_label_values(&[self.driver, action]).observe(took.as_secs_f64());
        let expected = [ErrorKind::NotFound, ErrorKind::RangeNotSatisfiable];
        if let Some(kind) = failed.filter(|kind| !expected.contains(kind)) {
            self.errors.with_label_values(&[self.driver, action, kind_name(kind)]).inc();
        }
    }
}

/// In the words of Distribution's drivers; the last three are ours, of writing in parts, which Distribution does not time.
const fn name(action: Action) -> &'static str {
    match action {
        Action::Look => "Stat",
        Action::Read => "GetContent",
        Action::Put => "PutContent",
        Action::Delete => "Delete",
        Action::List => "List",
        Action::Move => "Move",
        Action::Sign => "URLFor",
        Action::Stage => "Writer",
        Action::Append => "Write",
        Action::Persist => "Persist",
    }
}

const fn kind_name(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::NotFound => "not_found",
        ErrorKind::RangeNotSatisfiable => "range",
        ErrorKind::Busy => "busy",
        ErrorKind::Full => "full",
        ErrorKind::Denied => "denied",
        ErrorKind::Foreign => "foreign",
        ErrorKind::Unavailable => "unavailable",
        ErrorKind::Io => "io",
        ErrorKind::Unsupported => "unsupported",
    }
}
