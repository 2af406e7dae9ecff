//! What of a configuration has no effect here: told of, or refused where that would be wrong.

use super::keys::{self, Fate, Idle, Known, Place};
use super::mistyped;
use super::node::{Node, Value};
use super::problem::Problem;
use super::scalar;

/// Looks at every key by the table of [`keys`]. All that are refused are one error, so that whoever comes from elsewhere
/// learns of them at once.
pub(super) fn check(root: &Node, warnings: &mut Vec<Problem>) -> Result<(), Problem> {
    let mut found = Found { warnings, refusals: Vec::new() };
    section(root, root, &mut Vec::new(), &mut found);
    Problem::all(found.refusals)
}

struct Found<'w> {
    warnings: &'w mut Vec<Problem>,
    refusals: Vec<Problem>,
}

fn section<'n>(root: &Node, node: &'n Node, path: &mut Vec<&'n str>, found: &mut Found<'_>) {
    if !node.is_null() && !matches!(node.value, Value::Mapping(_)) {
        let what = format!("expected a section, found {}", node.kind());
        found.refusals.push(Problem::new(&node.origin, path.join("."), what));
    }
    for entry in node.entries() {
        path.push(&entry.key);
        match keys::place(path) {
            Place::Section => section(root, &entry.node, path, found),
            Place::Unknown => {
                let problem = |what| Problem::new(&entry.origin, path.join("."), what);
                if mistyped::may_protect(root, path, entry) {
                    found.refusals.push(problem(refused(path)));
                } else {
                    found.warnings.push(problem(unknown(path)));
                }
            }
            Place::Row(row) if is_idle(row, &entry.node, root) => {}
            Place::Row(row) => {
                let problem = |what| Problem::new(&entry.origin, path.join("."), what);
                match row.fate {
                    Fate::InForce => {}
                    Fate::PassedOver(instead) => {
                        found.warnings.push(problem(format!("passed over: {instead}")));
                    }
                    Fate::Refused(missing) => {
                        found.refusals.push(problem(format!("refused, because {missing}")));
                    }
                }
            }
        }
        path.pop();
    }
}

/// Of a key that may have been meant to keep somebody out.
pub(super) fn refused(path: &[&str]) -> String {
    let meant = keys::meant(path).map(|name| format!("; is `{name}` meant?"));
    let meant = meant.unwrap_or_default();
    format!("refused, because there is no such key, and access could be wider than is meant{meant}")
}

/// Of a key that takes nothing from anybody.
pub(super) fn unknown(path: &[&str]) -> String {
    let meant = keys::meant(path).map(|name| format!("; is `{name}` meant?"));
    format!("passed over: there is no such key{}", meant.unwrap_or_default())
}

/// Whether the value asks for nothing that is not so anyway.
fn is_idle(row: &Known, node: &Node, root: &Node) -> bool {
    match row.idle {
        Idle::Never => false,
        Idle::Values(words) => node.is_empty() || words.iter().any(|word| is_word(node, word)),
        Idle::Disabled => match &node.value {
            Value::Sequence(items) => items.iter().all(|item| says(item, "disabled", "true")),
            _ => node.is_empty(),
        },
        Idle::Unvalidated => node.is_empty() || is_validation_off(root),
        Idle::NotEnabled => node.is_empty() || says(node, "enabled", "false"),
    }
}

/// As Distribution 2.8 decides it: the old `enabled` counts before `disabled`.
fn is_validation_off(root: &Node) -> bool {
    let says = |key, word| {
        root.find(&format!("validation.{key}")).is_some_and(|entry| is_word(&entry.node, word))
    };
    says("disabled", "true") && !says("enabled", "true")
}

fn says(section: &Node, key: &str, word: &str) -> bool {
    section.entry(key).is_some_and(|entry| is_word(&entry.node, word))
}

/// Whether a value is this word. `true` and `false` have several spellings, none in quotes.
fn is_word(node: &Node, word: &str) -> bool {
    node.scalar().is_some_and(|it| match scalar::boolean(word) {
        Some(value) => it.plain && scalar::boolean(&it.text) == Some(value),
        None => it.text == word,
    })
}
