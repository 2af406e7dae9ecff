//! Figures that other parts of the registry keep.

#[cfg(feature = "notifications")]
use std::collections::HashMap;
#[cfg(feature = "notifications")]
use std::sync::Arc;

use registry_store::store::Store;

use super::figures::Kind;
use super::{Figures, Source};
#[cfg(feature = "notifications")]
use crate::notifications::Notifications;

/// Which version it is: `registry_build_info`.
pub fn of_build() -> Source {
    Box::new(|figures: &mut Figures| {
        let name = "registry_build_info";
        figures.metric(name, Kind::Gauge, "The version of the registry; always 1.");
        figures.sample(name, &[("version", env!("CARGO_PKG_VERSION"))], 1);
    })
}

/// What the store has found damaged since it was opened: `registry_damage_total{found}`, and what became of it.
pub fn of_damage(store: Store) -> Source {
    Box::new(move |figures: &mut Figures| {
        let report = store.damage();
        let name = "registry_damage_total";
        figures.metric(name, Kind::Counter, "Damaged objects, each time one is met.");
        figures.sample(name, &[("found", "link")], report.links);
        figures.sample(name, &[("found", "blob")], report.blobs);
        let name = "registry_damage_quarantined_total";
        let help = "Damaged blobs that were put out of sight.";
        figures.single(name, Kind::Counter, help, report.put_aside);
        let name = "registry_damage_healed_total";
        let help = "Damaged objects that a push has replaced.";
        figures.single(name, Kind::Counter, help, report.healed);
    })
}

/// How the telling of endpoints goes: `registry_notifications_…`, as of Distribution, and
/// `registry_notifications_dropped_total`.
#[cfg(feature = "notifications")]
pub fn of_notifications(notifications: Arc<Notifications>) -> Source {
    Box::new(move |figures: &mut Figures| {
        let mut all = notifications.stats();
        tell_apart(all.iter_mut().map(|it| &mut it.endpoint));
        let name = "registry_notifications_events_total";
        figures.metric(name, Kind::Counter, "The number of total events");
        for it in &all {
            for (kind, count) in [
                ("Events", it.events),
                ("Successes", it.successes),
                ("Failures", it.failures),
                ("Errors", it.errors),
            ] {
                figures.sample(name, &[("type", kind), ("endpoint", &it.endpoint)], count);
            }
        }
        let name = "registry_notifications_pending_total";
        figures.metric(name, Kind::Gauge, "The gauge of pending events in queue");
        for it in &all {
            figures.sample(name, &[("endpoint", &it.endpoint)], it.pending);
        }
        let name = "registry_notifications_status_total";
        figures.metric(name, Kind::Counter, "The number of status code");
        for it in &all {
            for (status, count) in &it.statuses {
                let code = code(*status);
                figures.sample(name, &[("code", &code), ("endpoint", &it.endpoint)], count);
            }
        }
        let name = "registry_notifications_dropped_total";
        figures.metric(name, Kind::Counter, "Events given up, as the queue was full.");
        for it in &all {
            figures.sample(name, &[("endpoint", &it.endpoint)], it.dropped);
        }
    })
}

/// Endpoints of one name are told of by a number too: a sample that comes twice is none.
#[cfg(feature = "notifications")]
fn tell_apart<'n>(names: impl Iterator<Item = &'n mut String>) {
    let mut known: HashMap<String, usize> = HashMap::new();
    for name in names {
        let count = known.entry(name.clone()).and_modify(|count| *count += 1).or_insert(1);
        if *count > 1 {
            *name = format!("{name} #{count}");
        }
    }
}

/// A status as Distribution's label has it: `200 OK`.
#[cfg(feature = "notifications")]
fn code(status: u16) -> String {
    let known = http::StatusCode::from_u16(status).ok();
    let reason = known.and_then(|status| status.canonical_reason()).unwrap_or_default();
    format!("{status} {reason}").trim_end().to_owned()
}

#[cfg(all(test, feature = "notifications"))]
mod tests {
    use super::*;

    #[test]
    fn what_has_one_name_is_told_apart_by_a_number() {
        let mut names = ["one", "two", "one", "", "one", ""].map(str::to_owned);
        tell_apart(names.iter_mut());
        assert_eq!(names, ["one", "two", "one #2", "", "one #3", " #2"]);
    }
}
