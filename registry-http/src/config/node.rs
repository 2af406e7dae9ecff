//! [`Node`]: a configuration as it was written, each part with where it comes from.

use std::fmt;

use super::origin::Origin;
use super::scalar;

/// A value and where it comes from. Its `Debug` shows no content: there may be secrets in it.
#[derive(Clone)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) origin: Origin,
}

/// What a node is.
#[derive(Clone)]
pub(super) enum Value {
    Scalar(Scalar),
    Sequence(Vec<Node>),
    /// No two have one key.
    Mapping(Vec<Entry>),
}

/// A single value. What it means depends on who asks: see [`scalar`].
#[derive(Clone)]
pub(super) struct Scalar {
    pub(super) text: String,
    /// Without quotes, so that it may be more than a string.
    pub(super) plain: bool,
}

/// A key and its value. The key has an origin of its own: what a variable adds to a section of the file comes from
/// the variable.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) origin: Origin,
    pub(super) node: Node,
    /// At the top of a file: an alias elsewhere stands for it, or for a part of it.
    pub(super) is_repeated: bool,
}

impl Entry {
    pub(super) fn new(key: String, origin: Origin, node: Node) -> Self {
        Self { key, origin, node, is_repeated: false }
    }
}

impl Node {
    /// Nothing.
    pub(super) fn null(origin: Origin) -> Self {
        Self { value: Value::Scalar(Scalar { text: String::new(), plain: true }), origin }
    }

    pub(super) fn is_null(&self) -> bool {
        self.scalar().is_some_and(|it| it.plain && scalar::is_null(&it.text))
    }

    /// Nothing, or a string, a list or a section with nothing in it.
    pub(super) fn is_empty(&self) -> bool {
        match &self.value {
            Value::Scalar(it) => it.text.is_empty() || self.is_null(),
            Value::Sequence(items) => items.is_empty(),
            Value::Mapping(entries) => entries.is_empty(),
        }
    }

    pub(super) fn scalar(&self) -> Option<&Scalar> {
        match &self.value {
            Value::Scalar(scalar) => Some(scalar),
            Value::Sequence(_) | Value::Mapping(_) => None,
        }
    }

    pub(super) fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Mapping(entries) => entries,
            Value::Scalar(_) | Value::Sequence(_) => &[],
        }
    }

    pub(super) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    /// The entry at a path such as `storage.delete.enabled`.
    pub(super) fn find(&self, path: &str) -> Option<&Entry> {
        let (first, rest) = path.split_once('.').map_or((path, None), |(a, b)| (a, Some(b)));
        let entry = self.entry(first)?;
        rest.map_or(Some(entry), |rest| entry.node.find(rest))
    }

    /// What kind of thing it is, without its content.
    pub(super) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Scalar(_) if self.is_null() => "nothing",
            Value::Scalar(_) => "a single value",
            Value::Sequence(_) => "a list",
            Value::Mapping(_) => "a section",
        }
    }

    /// What was found where a value of some form is expected. Not for what may be a secret.
    pub(super) fn shown(&self) -> String {
        match self.scalar() {
            Some(it) if it.plain && !self.is_null() => format!("`{:.80}`", it.text),
            Some(it) if !it.plain => format!("the string \"{:.80}\"", it.text),
            _ => self.kind().to_owned(),
        }
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Node({} of {})", self.kind(), self.origin)
    }
}
