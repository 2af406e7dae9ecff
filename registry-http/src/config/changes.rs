//! Which keys say something else in another configuration: the names alone, as what they say may be secret.

use super::keys::{self, Fate, Known};
use super::node::{Entry, Node, Value};
use super::scalar;
use super::shapes::{self, Shape};

/// The keys in force that say something else in `now` than in `before`, in the order of their table.
pub(super) fn between(before: &Node, now: &Node) -> Vec<String> {
    let is_in_force = |row: &&Known| row.fate == Fate::InForce;
    let changed = keys::all().iter().filter(is_in_force).filter_map(|row| {
        let ((old, old_name), (new, new_name)) = (find(before, row.key), find(now, row.key));
        let is_same = match (old, new) {
            (Some(old), Some(new)) => is_same(&old.node, &new.node),
            (None, None) => true,
            _ => false,
        };
        (!is_same).then(|| if new.is_some() { new_name } else { old_name })
    });
    changed.collect()
}

/// What says something at a key, and the name by which it does.
fn find<'n>(document: &'n Node, key: &str) -> (Option<&'n Entry>, String) {
    let is_choice = shapes::TABLE.iter().any(|row| row.key == key && row.shape == Shape::Choice);
    let find = |key: &str| document.find(key).filter(|it| is_choice || !it.node.is_null());
    match keys::second_name(key).and_then(|second| Some((find(&second)?, second))) {
        Some((entry, name)) => (Some(entry), name),
        None => (find(key), key.to_owned()),
    }
}

/// Whether both say the same, wherever it stands and whatever the order of the keys of a section.
fn is_same(one: &Node, other: &Node) -> bool {
    if one.is_empty() || other.is_empty() {
        return one.is_empty() && other.is_empty();
    }
    match (&one.value, &other.value) {
        (Value::Scalar(a), Value::Scalar(b)) => {
            let plain = |text: &str| scalar::boolean(text);
            let is_word = a.plain && b.plain && plain(&a.text).is_some();
            a.text == b.text || (is_word && plain(&a.text) == plain(&b.text))
        }
        (Value::Sequence(a), Value::Sequence(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(a, b))
        }
        (Value::Mapping(a), Value::Mapping(b)) => {
            let is_there = |entry: &Entry| {
                other.entry(&entry.key).is_some_and(|there| is_same(&entry.node, &there.node))
            };
            a.len() == b.len() && a.iter().all(is_there)
        }
        _ => false,
    }
}
