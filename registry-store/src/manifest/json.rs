//! I-JSON's rule that names in an object are unique, which `serde_json` does not enforce for maps.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::manifest::ManifestError;

/// Reads a whole document and keeps nothing; nesting is bounded by `serde_json` at 128 levels.
pub(super) fn reject_duplicate_names(bytes: &[u8]) -> Result<(), ManifestError> {
    match serde_json::from_slice(bytes) {
        Ok(Checked) => Ok(()),
        Err(error) => Err(classify(&error)),
    }
}

const MARK: &str = "duplicate name: ";

fn classify(error: &serde_json::Error) -> ManifestError {
    let message = error.to_string();
    match message.strip_prefix(MARK) {
        Some(rest) => {
            let name = rest.rsplit_once(" at line ").map_or(rest, |(name, _)| name);
            ManifestError::DuplicateName { name: name.to_owned() }
        }
        None => ManifestError::Json { message },
    }
}

struct Checked;

impl<'de> Deserialize<'de> for Checked {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Check)
    }
}

struct Check;

impl<'de> Visitor<'de> for Check {
    type Value = Checked;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Checked, E> {
        Ok(Checked)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Checked, E> {
        Ok(Checked)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Checked, E> {
        Ok(Checked)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Checked, E> {
        Ok(Checked)
    }

    fn visit_str<E>(self, _: &str) -> Result<Checked, E> {
        Ok(Checked)
    }

    fn visit_unit<E>(self) -> Result<Checked, E> {
        Ok(Checked)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Checked, A::Error> {
        while items.next_element::<Checked>()?.is_some() {}
        Ok(Checked)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Checked, A::Error> {
        let mut seen = HashSet::new();
        while let Some((name, Checked)) = members.next_entry::<String, Checked>()? {
            if let Some(name) = seen.replace(name) {
                return Err(serde::de::Error::custom(format_args!("{MARK}{name}")));
            }
        }
        Ok(Checked)
    }
}
