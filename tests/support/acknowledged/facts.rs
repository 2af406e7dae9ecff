//! [`Fact`]: what is known of whether something is there.

/// What is known of whether something is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// It was acknowledged, or read.
    There,
    /// Its deletion was acknowledged.
    Gone,
    /// A request about it was not answered, or not yet.
    Either,
}

impl Fact {
    /// What is known once a request is sent that would make it.
    pub(crate) fn being_made(self) -> Self {
        if self == Self::There { Self::There } else { Self::Either }
    }

    /// Whether it may be seen so.
    pub(crate) fn allows(self, seen: bool) -> bool {
        self == Self::Either || (self == Self::There) == seen
    }
}
