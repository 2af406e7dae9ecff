//! `log`: what is logged, and how it looks.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::node::Node;
use super::origin::Origin;
use super::problem::Problem;

/// `log`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Log {
    /// `level`. `None`: not said.
    pub level: Option<LogLevel>,
    /// `formatter`.
    pub formatter: Formatter,
    /// `fields`: what every line has.
    pub fields: Map<String, Value>,
    /// Requests are logged, on standard output: unless `accesslog.disabled`, as in Distribution; without a file, only if
    /// that says `false`.
    pub access_log: bool,
}

/// `log.level`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum LogLevel {
    /// Faults.
    Error,
    /// And what ought to be looked at.
    Warn,
    /// And what happens.
    Info,
    /// And how.
    Debug,
}

/// `log.formatter`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Formatter {
    /// Lines for people.
    #[default]
    Text,
    /// An object of JSON a line: `time`, `level`, `msg` and fields.
    Json,
    /// The same under the names of Logstash: `@timestamp`, `@version`, `level`, `message`.
    Logstash,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Section {
    level: Option<LogLevel>,
    formatter: Option<Formatter>,
    fields: Option<BTreeMap<String, Option<String>>>,
    accesslog: AccessLogSection,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct AccessLogSection {
    disabled: Option<bool>,
}

impl Section {
    /// `old` is the key that `log.level` had before.
    pub(super) fn resolve(
        self,
        old: Option<LogLevel>,
        document: &Node,
        file: Option<&Origin>,
        warnings: &mut Vec<Problem>,
    ) -> Log {
        if let (Some(_), Some(_), Some(entry)) = (self.level, old, document.entry("loglevel")) {
            let what = "passed over: log.level counts";
            warnings.push(Problem::new(&entry.origin, "loglevel", what));
        }
        let fields = self.fields.unwrap_or_default().into_iter();
        Log {
            level: self.level.or(old),
            formatter: self.formatter.unwrap_or_default(),
            fields: fields.map(|(name, value)| (name, value.into())).collect(),
            access_log: !self.accesslog.disabled.unwrap_or(file.is_none()),
        }
    }
}

impl LogLevel {
    /// In the words of the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }
}

impl TryFrom<String> for LogLevel {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.to_lowercase().as_str() {
            "error" => Ok(Self::Error),
            "warn" => Ok(Self::Warn),
            "info" => Ok(Self::Info),
            "debug" => Ok(Self::Debug),
            _ => Err(format!("expected error, warn, info or debug, found `{text:.80}`")),
        }
    }
}

impl TryFrom<String> for Formatter {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "text" | "" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            "logstash" => Ok(Self::Logstash),
            _ => Err(format!("expected text, json or logstash, found `{text:.80}`")),
        }
    }
}
