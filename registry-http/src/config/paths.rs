//! Values that are the paths of files: what belongs into a file is not to stand in their place.

use super::node::{Node, Value};
use super::problem::Problem;
use super::shapes::{self, Shape};

/// Refuses the content of a file where its path belongs. It is not shown: it may be a key.
pub(super) fn check(document: &Node) -> Result<(), Problem> {
    for row in shapes::TABLE {
        let Some(entry) = document.find(row.key) else { continue };
        match (row.shape, &entry.node.value) {
            (Shape::Path(_) | Shape::Listening, _) => one(&entry.node, row.key)?,
            (Shape::Paths, Value::Sequence(items)) => {
                items.iter().try_for_each(|item| one(item, row.key))?;
            }
            (Shape::Sections(_), Value::Sequence(items)) if row.key == "health.file" => {
                for (at, entry) in items.iter().map(|item| item.entry("file")).enumerate() {
                    let key = format!("{}[{at}].file", row.key);
                    entry.map_or(Ok(()), |entry| one(&entry.node, &key))?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn one(node: &Node, key: &str) -> Result<(), Problem> {
    match node.scalar() {
        Some(scalar) if is_content(&scalar.text) => {
            let what = "expected the path of a file, found its content";
            Err(Problem::new(&node.origin, key, what))
        }
        _ => Ok(()),
    }
}

/// PEM, several lines, a line of htpasswd, an object of JSON.
fn is_content(text: &str) -> bool {
    const HASHES: [&str; 5] = ["$2a$", "$2b$", "$2y$", "$apr1$", "{SHA}"];
    text.contains("-----BEGIN")
        || text.contains(char::is_control)
        || text.trim_start().starts_with('{')
        || HASHES.iter().any(|hash| text.contains(hash))
}
