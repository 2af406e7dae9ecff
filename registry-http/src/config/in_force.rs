//! [`InForce`]: a key with the value that counts, and where that comes from; no secret is in it.

use std::fmt;

use super::node::{Entry, Node, Value};
use super::origin::Origin;
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
}

impl fmt::Display for InForce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, value, origin } = self;
        // What is copied into a line stays in it.
        let value = value.replace(char::is_control, " ");
        let space = if value.is_empty() { "" } else { " " };
        match origin {
            Some(origin) => write!(f, "{key}:{space}{value}  # {origin}"),
            None => write!(f, "{key}:{space}{value}  # default"),
        }
    }
}

/// Every key that counts in `document`, in the order of the table.
pub(super) fn list(document: &Node, has_file: bool) -> Vec<InForce> {
    let mut lines = Vec::new();
    for row in shapes::TABLE {
        let Some(key) = chosen(document, row.key) else { continue };
        match document.find(&key).filter(|entry| is_said(row, entry)) {
            Some(entry) => said(row, key, entry, &mut lines),
            None => lines.extend(unsaid(row, key, has_file)),
        }
    }
    lines
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

fn is_said(row: &Described, entry: &Entry) -> bool {
    row.shape == Shape::Choice || !entry.node.is_null()
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
    Some(InForce { key, value: value.to_owned(), origin: None })
}

fn said(row: &Described, key: String, entry: &Entry, lines: &mut Vec<InForce>) {
    let node = &entry.node;
    let mut line = |key: String, value: String, origin: &Origin| {
        lines.push(InForce { key, value, origin: Some(origin.clone()) });
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
        _ => line(key, flow(node), &node.origin),
    }
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
