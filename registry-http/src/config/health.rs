//! `health`: what is looked at while the registry serves.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use serde::Deserialize;

use super::go_duration::GoDuration;
use super::node::{Node, Value};
use super::notifications::warn_of_unknown;
use super::problem::Problem;
use super::secret::Secret;

/// `health`. All of it is off by default.
#[derive(Clone, Debug, Default)]
pub struct Health {
    /// `storagedriver`, if it is enabled.
    pub storage: Option<Rhythm>,
    /// `file`: each fails while there is such a file.
    pub files: Vec<(PathBuf, Rhythm)>,
    /// `http`: each fails while a server does not answer as it should.
    pub http: Vec<HttpCheck>,
    /// `tcp`: each fails while nobody listens at a host and port.
    pub tcp: Vec<(String, Rhythm)>,
}

/// How often something is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rhythm {
    /// `interval`. Default: 10 seconds.
    pub interval: Duration,
    /// `timeout`. Default: 10 seconds; Distribution's is none, by which what hangs never fails.
    pub timeout: Duration,
    /// `threshold`. Default: 0, and the first failure counts.
    pub threshold: u32,
}

/// An element of `health.http`.
#[derive(Clone)]
pub struct HttpCheck {
    /// `uri`. It may hold a password.
    pub uri: Uri,
    /// `headers`. They may hold passwords.
    pub headers: HeaderMap,
    /// `statuscode`. Default: 200.
    pub status: u16,
    /// How often.
    pub rhythm: Rhythm,
}

impl std::fmt::Debug for HttpCheck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpCheck").field("rhythm", &self.rhythm).finish_non_exhaustive()
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Section {
    storagedriver: StorageSection,
    file: Option<Vec<CheckSection>>,
    http: Option<Vec<CheckSection>>,
    tcp: Option<Vec<CheckSection>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct StorageSection {
    enabled: Option<bool>,
    interval: Option<GoDuration>,
    threshold: Option<i64>,
}

/// An element of any of the lists.
#[derive(Default, Deserialize)]
#[serde(default)]
struct CheckSection {
    file: Option<PathBuf>,
    uri: Option<Secret>,
    addr: Option<String>,
    headers: Option<BTreeMap<String, Option<Vec<Secret>>>>,
    statuscode: Option<i64>,
    timeout: Option<GoDuration>,
    interval: Option<GoDuration>,
    threshold: Option<i64>,
}

impl Section {
    pub(super) fn resolve(
        self,
        document: &Node,
        warnings: &mut Vec<Problem>,
    ) -> Result<Health, Problem> {
        let StorageSection { enabled, interval, threshold } = self.storagedriver;
        let storage = (enabled == Some(true)).then(|| rhythm(interval, None, threshold));
        let mut health = Health { storage, ..Health::default() };
        let known: [&[&'static str]; 3] = [
            &["file", "interval"],
            &["headers", "interval", "statuscode", "threshold", "timeout", "uri"],
            &["addr", "interval", "threshold", "timeout"],
        ];
        let lists = [("file", self.file), ("http", self.http), ("tcp", self.tcp)];
        for ((name, sections), known) in lists.into_iter().zip(known) {
            let list = format!("health.{name}");
            let nodes = match document.find(&list).map(|entry| &entry.node.value) {
                Some(Value::Sequence(items)) => items.as_slice(),
                _ => &[],
            };
            for (at, (section, node)) in
                sections.unwrap_or_default().into_iter().zip(nodes).enumerate()
            {
                let key = format!("{list}[{at}]");
                warn_of_unknown(node, &key, known, warnings);
                section.add_to(&mut health, name, node, &key)?;
            }
        }
        Ok(health)
    }
}

impl CheckSection {
    fn add_to(
        self,
        health: &mut Health,
        list: &str,
        node: &Node,
        key: &str,
    ) -> Result<(), Problem> {
        let problem = |name: &str, what: &str| {
            let origin = node.entry(name).map_or(&node.origin, |entry| &entry.node.origin);
            Problem::new(origin, format!("{key}.{name}"), what)
        };
        let rhythm = rhythm(self.interval, self.timeout, self.threshold);
        match list {
            "file" => {
                let path = self.file.filter(|path| !path.as_os_str().is_empty());
                let path = path.ok_or_else(|| problem("file", "expected a path, found none"))?;
                health.files.push((path, rhythm));
            }
            "tcp" => {
                let what = "expected a host and a port, such as redis:6379, found another form";
                let good = |text: &String| {
                    let port = text.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
                    matches!(port, Some(Ok(_)))
                };
                let address = self.addr.filter(good).ok_or_else(|| problem("addr", what))?;
                health.tcp.push((address, rhythm));
            }
            _ => {
                // It is not shown: it may hold a password.
                let what = "expected an address such as http://server.example.com/, found none or another form";
                let uri = self.uri.as_ref().and_then(|uri| uri.reveal().parse::<Uri>().ok());
                let uri = uri.filter(|uri| {
                    matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some()
                });
                let uri = uri.ok_or_else(|| problem("uri", what))?;
                let headers = headers(self.headers).ok_or_else(|| {
                    let what =
                        "expected a header's name and values that can be sent, found another form";
                    problem("headers", what)
                })?;
                let status = self.statuscode.filter(|status| *status != 0).unwrap_or(200);
                let status = u16::try_from(status).ok().filter(|it| (100..1000).contains(it));
                let what = "expected a status of three digits, found another number";
                let status = status.ok_or_else(|| problem("statuscode", what))?;
                health.http.push(HttpCheck { uri, headers, status, rhythm });
            }
        }
        Ok(())
    }
}

fn headers(configured: Option<BTreeMap<String, Option<Vec<Secret>>>>) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, values) in configured.unwrap_or_default() {
        for value in values.unwrap_or_default() {
            let mut value = HeaderValue::try_from(value.reveal()).ok()?;
            value.set_sensitive(true);
            headers.append(HeaderName::try_from(&name).ok()?, value);
        }
    }
    Some(headers)
}

/// As in Distribution, nothing and none at all are the default.
fn rhythm(
    interval: Option<GoDuration>,
    timeout: Option<GoDuration>,
    threshold: Option<i64>,
) -> Rhythm {
    let usual = Duration::from_secs(10);
    let positive = |span: Option<GoDuration>| {
        span.map(|span| span.0).filter(|span| *span > Duration::ZERO).unwrap_or(usual)
    };
    let threshold = threshold.unwrap_or(0).max(0);
    Rhythm {
        interval: positive(interval),
        timeout: positive(timeout),
        threshold: u32::try_from(threshold).unwrap_or(u32::MAX),
    }
}
