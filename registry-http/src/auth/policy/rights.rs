//! [`Rights`]: what somebody may do, in the letters that registries use.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// One thing that can be allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Right {
    /// `R`: to pull, and to list tags and referrers.
    Pull,
    /// `W`: to push. Who pushes asks for `R` as well, as with Distribution.
    Push,
    /// `D`: to delete blobs, manifests and tags.
    Delete,
    /// `S`: to search. It opens the catalog, which lists the repositories that are where it is given.
    Search,
    /// `M`: to manage. Nothing asks for it yet; it includes none of the others.
    Manage,
}

/// The letters, in the order in which they are written.
const LETTERS: [(Right, char); 5] = [
    (Right::Pull, 'R'),
    (Right::Push, 'W'),
    (Right::Delete, 'D'),
    (Right::Search, 'S'),
    (Right::Manage, 'M'),
];

/// A set of [`Right`]s, such as `RWD`. The default is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rights(u8);

/// A text is not one of letters for rights.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "expected letters of RWDSM (R pull, W push, D delete, S search, M manage), each once, found `{0:.80}`"
)]
pub struct NoRights(String);

impl Rights {
    /// Whether a right is among them.
    pub const fn has(self, right: Right) -> bool {
        self.0 & bit(right) != 0
    }

    /// These and another one.
    #[must_use]
    pub const fn and(self, right: Right) -> Self {
        Self(self.0 | bit(right))
    }
}

const fn bit(right: Right) -> u8 {
    1 << right as u8
}

impl FromStr for Rights {
    type Err = NoRights;

    fn from_str(text: &str) -> Result<Self, NoRights> {
        let no_rights = || NoRights(text.to_owned());
        let mut rights = Self::default();
        for letter in text.chars() {
            let found = LETTERS.iter().find(|(_, known)| *known == letter);
            let (right, _) = found.ok_or_else(no_rights)?;
            if rights.has(*right) {
                return Err(no_rights());
            }
            rights = rights.and(*right);
        }
        if text.is_empty() { Err(no_rights()) } else { Ok(rights) }
    }
}

impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut mine = LETTERS.iter().filter(|(right, _)| self.has(*right));
        mine.try_for_each(|(_, letter)| write!(f, "{letter}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_rights_in_any_order_and_nothing_else_is() {
        for (text, shown) in [("R", "R"), ("RWDSM", "RWDSM"), ("DWR", "RWD"), ("MS", "SM")] {
            assert_eq!(text.parse::<Rights>().unwrap().to_string(), shown);
        }
        for bad in ["", "r", "RX", "RR", "R W", "R,W", "*", "pull"] {
            let told = bad.parse::<Rights>().unwrap_err().to_string();
            assert!(told.ends_with(&format!("found `{bad}`")), "{told}");
        }
        let both: Rights = "RD".parse().unwrap();
        assert!(both.has(Right::Pull) && both.has(Right::Delete));
        for not in [Right::Push, Right::Search, Right::Manage] {
            assert!(!both.has(not));
        }
    }
}
