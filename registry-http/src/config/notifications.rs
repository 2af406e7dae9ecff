//! `notifications`: who is told what was done.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::go_duration::GoDuration;
use super::nearest::nearest;
use super::node::{Node, Value};
use super::problem::Problem;
use super::secret::Secret;
use crate::notifications::{Address, Endpoint, Envelope, Filter, Queues};

const ENDPOINTS: &str = "notifications.endpoints";

/// The keys of an endpoint.
const KEYS: &[&str] = &[
    "name",
    "disabled",
    "url",
    "headers",
    "timeout",
    "threshold",
    "backoff",
    "ignoredmediatypes",
    "ignore",
    // Ours.
    "envelope",
];

/// `notifications`.
#[derive(Clone, Debug, Default)]
pub struct Notifications {
    /// `events.includereferences`.
    pub include_references: bool,
    /// `endpoints`, but for those that are disabled.
    pub endpoints: Vec<Endpoint>,
    /// `queue`. A directory that is not said is `None`: it is chosen by where the data is.
    pub queues: Queues,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Section {
    events: EventsSection,
    endpoints: Option<Vec<EndpointSection>>,
    queue: QueueSection,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct EventsSection {
    includereferences: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct EndpointSection {
    name: Option<String>,
    disabled: Option<bool>,
    url: Option<Secret>,
    headers: Option<BTreeMap<String, Option<Vec<Secret>>>>,
    timeout: Option<GoDuration>,
    threshold: Option<i64>,
    backoff: Option<GoDuration>,
    ignoredmediatypes: Option<Vec<String>>,
    ignore: IgnoreSection,
    envelope: Option<EnvelopeWord>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct IgnoreSection {
    mediatypes: Option<Vec<String>>,
    actions: Option<Vec<String>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct QueueSection {
    directory: Option<PathBuf>,
    maxevents: Option<i64>,
    maxbytes: Option<i64>,
}

/// `v1` or `v2`.
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
struct EnvelopeWord(Envelope);

impl TryFrom<String> for EnvelopeWord {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "v1" => Ok(Self(Envelope::V1)),
            "v2" => Ok(Self(Envelope::V2)),
            _ => Err(format!("expected v1 or v2, found `{text:.80}`")),
        }
    }
}

impl Section {
    pub(super) fn resolve(
        self,
        document: &Node,
        warnings: &mut Vec<Problem>,
    ) -> Result<Notifications, Problem> {
        let nodes = match document.find(ENDPOINTS).map(|entry| &entry.node.value) {
            Some(Value::Sequence(items)) => items.as_slice(),
            _ => &[],
        };
        let mut endpoints = Vec::new();
        let sections = self.endpoints.unwrap_or_default();
        for (at, (section, node)) in sections.into_iter().zip(nodes).enumerate() {
            let key = format!("{ENDPOINTS}[{at}]");
            warn_of_unknown(node, &key, KEYS, warnings);
            if let Some(ignore) = node.entry("ignore") {
                let key = format!("{key}.ignore");
                warn_of_unknown(&ignore.node, &key, &["mediatypes", "actions"], warnings);
            }
            if section.disabled != Some(true) {
                endpoints.push(section.resolve(node, &key)?);
            }
        }
        Ok(Notifications {
            include_references: self.events.includereferences.unwrap_or(false),
            endpoints,
            queues: self.queue.resolve(document)?,
        })
    }
}

/// Warns of the keys of an element of a list that nobody knows.
pub(super) fn warn_of_unknown(
    node: &Node,
    key: &str,
    known: &[&'static str],
    warnings: &mut Vec<Problem>,
) {
    for entry in node.entries().iter().filter(|entry| !known.contains(&entry.key.as_str())) {
        let meant = nearest(&entry.key, known.iter().copied());
        let meant = meant.map(|name| format!("; is `{name}` meant?")).unwrap_or_default();
        let what = format!("passed over: there is no such key{meant}");
        warnings.push(Problem::new(&entry.origin, format!("{key}.{}", entry.key), what));
    }
}

impl EndpointSection {
    fn resolve(self, node: &Node, key: &str) -> Result<Endpoint, Problem> {
        let problem = |name: &str, what: &str| {
            let origin = node.entry(name).map_or(&node.origin, |entry| &entry.node.origin);
            Problem::new(origin, format!("{key}.{name}"), what)
        };
        // It is not shown: it may hold a password, and a path that is one.
        let address = self.url.as_ref().and_then(|url| Address::parse(url.reveal()));
        let Some(address) = address else {
            let what = "expected an address such as https://receiver.example.com/events, found none or another form";
            return Err(problem("url", what));
        };
        let name = self.name.unwrap_or_default();
        let mut endpoint = Endpoint::new(name, address);
        for (name, values) in self.headers.unwrap_or_default() {
            for value in values.unwrap_or_default() {
                let what =
                    "expected a header's name and values that can be sent, found another form";
                endpoint = endpoint
                    .with_header(&name, value.reveal())
                    .ok_or_else(|| problem("headers", what))?;
            }
        }
        // As in Distribution, nothing and none at all are the default.
        let positive = |span: Option<GoDuration>, default: Duration| {
            span.map(|span| span.0).filter(|span| *span > Duration::ZERO).unwrap_or(default)
        };
        let threshold = self.threshold.filter(|number| *number > 0);
        endpoint.threshold = match threshold {
            None => endpoint.threshold,
            Some(number) => u32::try_from(number).unwrap_or(u32::MAX),
        };
        endpoint.timeout = positive(self.timeout, endpoint.timeout);
        endpoint.backoff = positive(self.backoff, endpoint.backoff);
        endpoint.ignore = Filter {
            media_types: [self.ignoredmediatypes, self.ignore.mediatypes]
                .into_iter()
                .flatten()
                .flatten()
                .collect(),
            actions: self.ignore.actions.unwrap_or_default(),
        };
        endpoint.envelope = self.envelope.map_or_else(Envelope::default, |word| word.0);
        Ok(endpoint)
    }
}

impl QueueSection {
    fn resolve(self, document: &Node) -> Result<Queues, Problem> {
        let defaults = Queues::default();
        let positive = |name: &str, number: Option<i64>, default: usize| {
            let Some(number) = number else { return Ok(default) };
            usize::try_from(number).ok().filter(|number| *number > 0).ok_or_else(|| {
                let key = format!("notifications.queue.{name}");
                let entry = document.find(&key).expect("it was read from there");
                Problem::new(&entry.node.origin, key, "expected a number above 0, found another")
            })
        };
        Ok(Queues {
            directory: self.directory.filter(|path| !path.as_os_str().is_empty()),
            events: positive("maxevents", self.maxevents, defaults.events)?,
            bytes: positive("maxbytes", self.maxbytes, defaults.bytes)?,
        })
    }
}
