//! [`Precondition`]: what must hold of a manifest or tag for a write to be done.

use crate::digest::Digest;

/// What must hold of a manifest or tag for a write to be done: `If-Match` and `If-None-Match` of RFC 9110 §13.1.
///
/// The default asks for nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Precondition {
    /// It is there, and is one of these.
    pub is: Option<Content>,
    /// It is not there, or is none of these.
    pub is_not: Option<Content>,
}

/// Content that a precondition names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Whatever is there.
    Any,
    /// One of these; of none, nothing.
    OneOf(Vec<Digest>),
}

impl Precondition {
    /// There is no such thing yet.
    pub const fn absent() -> Self {
        Self { is: None, is_not: Some(Content::Any) }
    }

    /// It is this, still.
    pub fn unchanged(digest: &Digest) -> Self {
        Self { is: Some(Content::OneOf(vec![*digest])), is_not: None }
    }

    /// Does it ask for nothing?
    pub const fn is_empty(&self) -> bool {
        self.is.is_none() && self.is_not.is_none()
    }

    /// Does it hold where this is found; `None` is nothing?
    pub fn holds(&self, found: Option<&Digest>) -> bool {
        let names = |content: &Content| found.is_some_and(|found| content.names(found));
        self.is.as_ref().is_none_or(names) && !self.is_not.as_ref().is_some_and(names)
    }
}

impl Content {
    /// Does it name this?
    pub fn names(&self, digest: &Digest) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(digests) => digests.contains(digest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_must_be_there_and_what_is_excluded_must_not() {
        let (old, new) = (Digest::sha256(b"old"), Digest::sha256(b"new"));
        let one_of = |digests: &[Digest]| Some(Content::OneOf(digests.to_vec()));
        let check = |is, is_not, holds: [bool; 3]| {
            let precondition = Precondition { is, is_not };
            let found = [None, Some(&old), Some(&new)].map(|found| precondition.holds(found));
            assert_eq!(found, holds, "{precondition:?} of nothing, old, new");
        };
        check(None, None, [true, true, true]);
        check(Some(Content::Any), None, [false, true, true]);
        check(one_of(&[old]), None, [false, true, false]);
        check(one_of(&[old, new]), None, [false, true, true]);
        check(one_of(&[]), None, [false, false, false]);
        check(None, Some(Content::Any), [true, false, false]);
        check(None, one_of(&[old]), [true, false, true]);
        check(None, one_of(&[]), [true, true, true]);
        check(Some(Content::Any), one_of(&[old]), [false, false, true]);
        check(Some(Content::Any), Some(Content::Any), [false, false, false]);
    }
}
