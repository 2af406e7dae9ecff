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
        register(registry, &cache());
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

/// Dashboards that were made for Distribution ask for it.
fn cache() -> IntCounterVec {
    let options = Opts::new(
        "registry_storage_cache_total",
        "Lookups of blobs in a cache: always 0, as none is needed and there is none.",
    );
    let lookups = IntCounterVec::new(options, &["type"])
        .expect("name and labels are of Prometheus's grammar");
    for kind in ["Request", "Hit", "Miss"] {
        lookups.with_label_values(&[kind]);
    }
    lookups
}

/// In the words of Distribution's drivers; the last three are ours, of writing in parts, which Distribution does not time.
/// Nor does it time its `Reader`: an object that is opened counts as `GetContent`, whatever is in it.
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

#[cfg(test)]
mod tests {
    use registry_store::backend::BackendObserver as _;

    use super::*;
    use crate::metrics::Metrics;

    #[test]
    fn what_fails_is_counted_by_its_kind_but_for_what_was_not_there() {
        let metrics = Metrics::new("filesystem");
        for failed in [
            None,
            Some(ErrorKind::NotFound),
            Some(ErrorKind::RangeNotSatisfiable),
            Some(ErrorKind::Full),
            Some(ErrorKind::Full),
            Some(ErrorKind::Denied),
        ] {
            metrics.called(Action::Put, Duration::from_millis(1), failed);
        }
        let text = metrics.text();
        let errors = text.lines().filter(|line| line.starts_with("registry_storage_errors_total{"));
        let labels = "action=\"PutContent\",driver=\"filesystem\"";
        let expected = [
            format!("registry_storage_errors_total{{{labels},kind=\"denied\"}} 1"),
            format!("registry_storage_errors_total{{{labels},kind=\"full\"}} 2"),
        ];
        assert_eq!(errors.collect::<Vec<_>>(), expected);
        let all = format!("registry_storage_action_seconds_count{{{labels}}} 6\n");
        assert!(text.contains(&all), "{text}");
        assert!(text.contains("# TYPE registry_storage_errors_total counter\n"), "{text}");
    }
}
