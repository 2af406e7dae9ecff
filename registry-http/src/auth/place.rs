//! [`Place`]: which repositories something is about, such as a rule.

use std::fmt;
use std::str::FromStr;

use registry_store::name::RepositoryName;
use thiserror::Error;

/// Repositories by their names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// `**`: all of them.
    Everywhere,
    /// `a/b/**`: those whose names begin with `a/b/`. `a/b` itself is none of them.
    Below(RepositoryName),
    /// `a/b`: this one.
    At(RepositoryName),
}

/// A text says of no repositories which.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "expected the name of a repository, one with /** behind it for all that are below, or ** for all, found `{0:.80}`"
)]
pub struct NoPlace(String);

impl Place {
    /// Whether a repository is there.
    pub fn has(&self, name: &RepositoryName) -> bool {
        match self {
            Self::Everywhere => true,
            Self::At(one) => one == name,
            Self::Below(prefix) => name
                .as_str()
                .strip_prefix(prefix.as_str())
                .is_some_and(|rest| rest.starts_with('/')),
        }
    }
}

impl FromStr for Place {
    type Err = NoPlace;

    fn from_str(text: &str) -> Result<Self, NoPlace> {
        let name = |text: &str| text.parse::<RepositoryName>().ok();
        let place = match text.strip_suffix("/**") {
            _ if text == "**" => Some(Self::Everywhere),
            Some(prefix) => name(prefix).map(Self::Below),
            None => name(text).map(Self::At),
        };
        place.ok_or_else(|| NoPlace(text.to_owned()))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everywhere => f.write_str("**"),
            Self::Below(prefix) => write!(f, "{prefix}/**"),
            Self::At(name) => name.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_name_all_below_one_or_everywhere() {
        for (place, inside, outside) in [
            ("**", &["a", "a/b", "z"][..], &[][..]),
            ("a/b", &["a/b"], &["a", "a/b/c", "a/bc", "b"]),
            ("a/**", &["a/b", "a/b/c"], &["a", "ab", "ab/c", "b/a"]),
            ("a/b/**", &["a/b/c"], &["a/b", "a/bc", "a/bc/d", "a/c"]),
        ] {
            let parsed: Place = place.parse().unwrap();
            assert_eq!(parsed.to_string(), place);
            for (names, expected) in [(inside, true), (outside, false)] {
                for name in names {
                    assert_eq!(parsed.has(&name.parse().unwrap()), expected, "{place} {name}");
                }
            }
        }
    }

    #[test]
    fn what_could_be_meant_in_several_ways_is_no_place() {
        for bad in
            ["", "*", "a/*", "a*", "a**", "/**", "a//**", "a/", "/a", "A/**", "**/a", "a/**/b"]
        {
            let told = bad.parse::<Place>().unwrap_err().to_string();
            assert!(told.ends_with(&format!("found `{bad}`")), "{told}");
        }
    }
}
