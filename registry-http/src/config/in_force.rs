//! [`InForce`]: a key with the value that counts, and where that comes from; no secret is in it.

use std::fmt;

use super::Loaded;
use super::configuration::Configuration;
use super::go_duration::GoDuration;
use super::node::{Entry, Node, Value};
use super::origin::Origin;
use super::problem::Problem;
use super::scalar;
use super::shapes::{self, Described, Otherwise, Shape};

const HIDDEN: &str = "(hidden)";

/// Keys of which one at most is chosen, and the one that is if none is.
const CHOICES: &[(&str, &str)] = &[("storage", "filesystem"), ("auth", "none")];

/// The drivers among what `storage` holds.
const DRIVERS: [&str; 4] = ["filesystem", "inmemory", "s3", "s3aws"];

/// A line of what is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InForce {
    /// The key, such as `storage.delete.enabled`; in a list with an index, as in `notifications.endpoints[0].name`.
    pub key: String,
    /// The value as YAML has it, or in words in parentheses. A secret is hidden.
    pub value: String,
    /// Where it was said. `None`: nowhere, and it is the default.
    pub origin: Option<Origin>,
    /// Why what was said does not count, or not as it stands there.
    pub note: Option<String>,
}

impl fmt::Display for InForce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, value, origin, note } = self;
        // What is copied into a line stays in it.
        let value = value.replace(char::is_control, " ");
        let space = if value.is_empty() { "" } else { " " };
        match origin {
            Some(origin) => write!(f, "{key}:{space}{value}  # {origin}")?,
            None => write!(f, "{key}:{space}{value}  # default")?,
        }
        note.as_ref().map_or(Ok(()), |note| write!(f, ", {note}"))
    }
}

/// Every key that counts in a document, in the order of the table, and what is told of those that do not.
pub(super) fn list(loaded: &Loaded) -> Vec<InForce> {
    let document = &loaded.document;
    let mut lines = Vec::new();
    for row in shapes::TABLE {
        let Some(key) = chosen(document, row.key) else { continue };
        match document.find(&key).filter(|entry| is_said(row, entry)) {
            Some(entry) => said(row, key, entry, &loaded.warnings, &mut lines),
            None => lines.extend(unsaid(row, key, loaded.has_file)),
        }
    }
    for line in &mut lines {
        resolve(line, &loaded.configuration);
        let told = loaded.warnings.iter().filter(|warning| warning.key() == line.key);
        // At whatever is passed over it is said.
        line.note = told
            .map(Problem::what)
            .find(|what| what.starts_with("passed over"))
            .or(line.note.take());
    }
    lines
}

/// Puts what holds in the place of a value that does not hold as it was said.
fn resolve(line: &mut InForce, configuration: &Configuration) {
    let name = line.key.rsplit('.').next().unwrap_or_default();
    let number = scalar::integer(&line.value);
    let span = GoDuration::try_from(line.value.trim_matches('"').to_owned());
    let is_none = || span.as_ref().is_ok_and(|span| span.0.is_zero());
    let is_check = line.key.starts_with("health.");
    let is_endpoint = line.key.starts_with("notifications.endpoints");
    let (holds, note) = match (line.key.as_str(), name) {
        ("catalog.maxentries", _) if number.is_some_and(|it| it <= 0) => ("1000", "the default"),
        ("tags.maxtags", _) if number.is_some_and(|it| it <= 0) => ("1000", "the default"),
        (_, "interval" | "timeout") if is_check && is_none() => ("10s", "the default"),
        (_, "threshold") if is_check && number.is_some_and(|it| it < 0) => ("0", "the default"),
        (_, "statuscode") if is_check && number == Some(0) => ("200", "the default"),
        (_, "timeout" | "backoff") if is_endpoint && is_none() => ("1s", "the default"),
        (_, "threshold") if is_endpoint && number.is_some_and(|it| it <= 0) => {
            ("10", "the default")
        }
        ("http.draintimeout", _) if is_none() => ("(as long as requests take)", "the default"),
        ("storage.maintenance.uploadpurging.enabled", _)
            if scalar::boolean(&line.value) == Some(true)
                && !configuration.storage.purging.enabled =>
        {
            ("false", "because dryrun is true")
        }
        ("http.h2c.enabled", _)
            if scalar::boolean(&line.value) == Some(true) && !configuration.http.h2c =>
        {
            ("false", "because http.http2.disabled is true")
        }
        _ => return,
    };
    let instead = line.origin.is_some().then(|| format!("{note} in place of {}", line.value));
    line.note = Some(match note {
        "the default" => instead.unwrap_or_else(|| note.to_owned()),
        note => note.to_owned(),
    });
    line.value = holds.to_owned();
}

/// The key by the name that the document has for its section; none if another is chosen in its place.
fn chosen(document: &Node, key: &str) -> Option<String> {
    let Some((section, usual)) = CHOICES.iter().find(|(section, _)| begins(key, section)) else {
        return Some(key.to_owned());
    };
    let rest = &key[section.len() + 1..];
    let (kind, below) = rest.split_once('.').map_or((rest, None), |(a, b)| (a, Some(b)));
    let is_kind = |name: &str| *section != "storage" || DRIVERS.contains(&name);
    if !is_kind(kind) {
        return Some(key.to_owned());
    }
    let entries = document.entry(section).map_or(&[][..], |entry| entry.node.entries());
    let name = entries.iter().find(|entry| is_kind(&entry.key)).map_or(*usual, |entry| &entry.key);
    // The second name of a driver.
    let means = if name == "s3aws" { "s3" } else { name };
    (means == kind).then(|| match below {
        Some(below) => format!("{section}.{name}.{below}"),
        None => format!("{section}.{name}"),
    })
}

fn begins(key: &str, section: &str) -> bool {
    key.strip_prefix(section).is_some_and(|rest| rest.starts_with('.'))
}

/// An empty string says nothing where it is taken at all, but for a secret: it may have been meant to be one.
fn is_said(row: &Described, entry: &Entry) -> bool {
    let is_empty = entry.node.scalar().is_some_and(|it| it.text.is_empty());
    match row.shape {
        Shape::Choice => true,
        Shape::Secret => !entry.node.is_null(),
        _ => !is_empty && !entry.node.is_null(),
    }
}

fn unsaid(row: &Described, key: String, has_file: bool) -> Option<InForce> {
    let value = match row.otherwise {
        Otherwise::Value(value) | Otherwise::Told(value) => value,
        Otherwise::WithFile(with, without) => {
            if has_file {
                with
            } else {
                without
            }
        }
        Otherwise::Nothing => return None,
    };
    Some(InForce { key, value: value.to_owned(), origin: None, note: None })
}

fn said(
    row: &Described,
    key: String,
    entry: &Entry,
    warnings: &[Problem],
    lines: &mut Vec<InForce>,
) {
    let node = &entry.node;
    let mut line = |key: String, value: String, origin: &Origin| {
        lines.push(InForce { key, value, origin: Some(origin.clone()), note: None });
    };
    match row.shape {
        Shape::Secret if node.is_empty() => line(key, "\"\"".to_owned(), &node.origin),
        Shape::Secret => line(key, HIDDEN.to_owned(), &node.origin),
        Shape::Choice => line(key, String::new(), &entry.origin),
        Shape::Sections(shown) => match &node.value {
            Value::Sequence(items) if !items.is_empty() => {
                for (at, item) in items.iter().enumerate() {
                    for entry in item.entries() {
                        let is_shown = shown.contains(&entry.key.as_str());
                        let value = if is_shown { flow(&entry.node) } else { HIDDEN.to_owned() };
                        line(format!("{key}[{at}].{}", entry.key), value, &entry.node.origin);
                    }
                }
            }
            _ => line(key, "[]".to_owned(), &node.origin),
        },
        Shape::Headers | Shape::Suites => {
            let value = flow(&without_passed_over(node, &key, warnings));
            line(key, value, &node.origin);
        }
        _ => line(key, flow(node), &node.origin),
    }
}

/// Without the entries of a section, or the words of a list, that are told of as passed over.
fn without_passed_over(node: &Node, key: &str, warnings: &[Problem]) -> Node {
    let mut node = node.clone();
    let is_told = |key: &str, begin: &str| {
        warnings.iter().any(|it| it.key() == key && it.what().starts_with(begin))
    };
    match &mut node.value {
        Value::Mapping(entries) => {
            entries.retain(|it| !is_told(&format!("{key}.{}", it.key), "passed over"));
        }
        Value::Sequence(items) => items.retain(|it| {
            !it.scalar().is_some_and(|it| is_told(key, &format!("`{}` is passed over", it.text)))
        }),
        Value::Scalar(_) => {}
    }
    node
}

/// A value on one line.
fn flow(node: &Node) -> String {
    match &node.value {
        // Who it is that a URL lets in is a secret, though none belongs there.
        Value::Scalar(it) if has_password(&it.text) => HIDDEN.to_owned(),
        Value::Scalar(it) if it.plain => it.text.clone(),
        Value::Scalar(it) => format!("{:?}", it.text),
        Value::Sequence(items) => {
            format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", "))
        }
        Value::Mapping(entries) => {
            let entry = |entry: &Entry| format!("{}: {}", entry.key, flow(&entry.node));
            format!("{{{}}}", entries.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
    }
}

fn has_password(text: &str) -> bool {
    text.split_once("://").is_some_and(|(_, behind)| {
        behind.split(['/', '?', '#']).next().is_some_and(|authority| authority.contains('@'))
    })
}
