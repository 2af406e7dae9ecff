//! What differs between two transcripts, and the file that says why.

use std::collections::BTreeSet;
use std::fmt;

use super::transcript::Transcript;

/// What a field is called that is not there.
const NONE: &str = "(none)";

/// A field that the two have otherwise.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Difference {
    /// Deployment, step, field, theirs, ours.
    parts: [String; 5],
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "  {}", self.parts.join(" | "))
    }
}

/// Which differences are meant, each part with `*` for anything, and why they are.
#[derive(Debug)]
pub(super) struct Explanation {
    #[expect(dead_code, reason = "shown where the explanation is of nothing")]
    why: String,
    parts: [String; 5],
}

impl Explanation {
    pub(super) fn parse(why: &str, row: &str) -> Self {
        let parts: Vec<String> = row.split(" | ").map(|part| part.trim().to_owned()).collect();
        let parts = parts.try_into().expect("deployment, step, field, theirs, ours");
        Self { why: why.to_owned(), parts }
    }

    pub(super) fn explains(&self, difference: &Difference) -> bool {
        self.parts.iter().zip(&difference.parts).all(|(pattern, text)| is_like(pattern, text))
    }
}

/// All of the file: a reason begins at the edge, and the rows that it is for are indented below it.
pub(super) fn explanations() -> Vec<Explanation> {
    let mut why = String::new();
    let mut is_row = false;
    let mut all = Vec::new();
    for line in include_str!("differences.txt").lines() {
        match line.strip_prefix("  ") {
            Some(row) => {
                assert!(!why.is_empty(), "expected a reason before {row:?}");
                all.push(Explanation::parse(&why, row));
                is_row = true;
            }
            None if line.is_empty() || line.starts_with('#') => {}
            None => {
                if is_row {
                    why.clear();
                }
                is_row = false;
                why = format!("{why} {line}").trim().to_owned();
            }
        }
    }
    all
}

pub(super) fn between(
    deployment: &str,
    theirs: &[Transcript],
    ours: &[Transcript],
) -> Vec<Difference> {
    let mut differences = Vec::new();
    for (theirs, ours) in theirs.iter().zip(ours) {
        let names: BTreeSet<&String> = theirs.fields.keys().chain(ours.fields.keys()).collect();
        for name in names {
            let [a, b] = [theirs, ours].map(|it| it.fields.get(name).map_or(NONE, String::as_str));
            if a != b {
                let parts = [deployment, &theirs.step, name, a, b].map(str::to_owned);
                differences.push(Difference { parts });
            }
        }
    }
    differences
}

fn is_like(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut pieces = pieces.peekable();
    if pieces.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            return rest.ends_with(piece);
        }
        let Some(at) = rest.find(piece) else { return false };
        rest = &rest[at + piece.len()..];
    }
    true
}
