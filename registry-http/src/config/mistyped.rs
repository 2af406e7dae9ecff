//! Whether a name that is not known was meant to keep somebody out, so that to pass it over would let him in.
//!
//! Files and surroundings are full of names that are only near one of ours, and Distribution passes them over. So what is near
//! is refused where nothing stands at the name that may be meant, and, if that could not be meant otherwise, where what it
//! says is what would stand there.

use super::keys;
use super::node::{Entry, Node};
use super::scalar;

/// Whether it is so of an unknown key of the document.
pub(super) fn may_protect(root: &Node, path: &[&str], entry: &Entry) -> bool {
    if entry.is_repeated || path.last().is_some_and(|name| is_set_aside(name)) {
        return false;
    }
    match path {
        [name] => section(name).is_some_and(|meant| {
            // `access` is ours: no file of Distribution's can mean it.
            let is_missing = meant != "access" && is_missing(root, meant);
            is_missing || would_protect(root, meant, &entry.node)
        }),
        [section, ..] => *section == "access",
        [] => false,
    }
}

/// Whether a section says what would protect, at the name that was meant, where nothing does yet.
pub(super) fn would_protect(root: &Node, meant: &str, section: &Node) -> bool {
    let holds = |kind: &Entry| {
        let is_key = |it: &Entry| keys::is_in_force(&[meant, &kind.key, &it.key]);
        kind.node.entries().iter().any(is_key)
    };
    let mut entries = section.entries().iter();
    match meant {
        "access" => is_missing(root, meant) && entries.any(|it| is_of_access(&it.key, &it.node)),
        "auth" => {
            let is_kind = |it: &Entry| ["htpasswd", "silly", "token"].contains(&it.key.as_str());
            is_missing(root, meant)
                && entries.any(|it| is_kind(it) && (it.node.is_null() || holds(it)))
        }
        _ => is_missing(root, "http.tls") && entries.any(|it| it.key == "tls" && holds(it)),
    }
}

/// Whether a key below `access` is one of ours, or is spelt like one and says what that would say.
pub(super) fn is_of_access(name: &str, node: &Node) -> bool {
    match keys::meant(&["access", name]) {
        None => false,
        Some(meant) if meant == name || meant == "anonymous" => true,
        Some("certificates") => node.scalar().is_some_and(|it| scalar::boolean(&it.text).is_some()),
        Some(_) => node.scalar().is_none(),
    }
}

/// The section that a name at the top is spelt like, if that keeps somebody out.
pub(super) fn section(name: &str) -> Option<&'static str> {
    keys::meant(&[name]).filter(|meant| ["access", "auth", "http"].contains(meant))
}

fn is_missing(root: &Node, key: &str) -> bool {
    root.find(key).is_none_or(|entry| entry.node.is_empty())
}

/// Whether a name is such as is given to what is not to be read: for anchors, and to leave something out.
fn is_set_aside(name: &str) -> bool {
    name.starts_with(['.', '_']) || name.to_lowercase().starts_with("x-")
}
