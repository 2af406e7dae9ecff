//! Whether every reader of a document reads the same in it, which `serde` does not see to.
//!
//! Go's readers, Distribution's among them, take a field for theirs in whatever case it is written, of two the last.
//! They take no list for an object, as derived readers here would, and no size that an `int64` does not hold. A manifest
//! that they cannot read breaks more than its own pulls: it ends Distribution's collector. So such a one is refused.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use crate::manifest::ManifestError;

/// Reads a whole document and keeps nothing; nesting is bounded by `serde_json` at 128 levels.
///
/// * Names in an object are unique: I-JSON (RFC 7493 §2.3), which image-spec asks for.
/// * A field that is known is spelled as image-spec has it, and of its kind.
pub(super) fn reject_what_reads_differently(bytes: &[u8]) -> Result<(), ManifestError> {
    let mut document = serde_json::Deserializer::from_slice(bytes);
    let read = Shape::Manifest.deserialize(&mut document).and_then(|()| document.end());
    read.map_err(|error| classify(&error))
}

const TWICE: &str = "duplicate name: ";
const RULE: &str = "rule: ";

fn classify(error: &serde_json::Error) -> ManifestError {
    let message = error.to_string();
    let behind = |mark| {
        let rest: &str = message.strip_prefix(mark)?;
        Some(rest.rsplit_once(" at line ").map_or(rest, |(told, _)| told).to_owned())
    };
    match (behind(TWICE), behind(RULE)) {
        (Some(name), _) => ManifestError::DuplicateName { name },
        (None, Some(message)) => ManifestError::Field { message },
        (None, None) => ManifestError::Json { message },
    }
}

/// What stands, or has to stand, in a place of a document. `null` may stand wherever something may be absent.
#[derive(Clone, Copy)]
enum Shape {
    Anything,
    Manifest,
    Descriptor,
    Descriptors,
    Platform,
    Text,
    Texts,
    Base64,
    Size,
}

type Fields = &'static [(&'static str, Shape)];

impl Shape {
    /// What it has to be, for a message.
    const fn name(self) -> &'static str {
        match self {
            Self::Anything => "JSON",
            Self::Manifest => "a JSON object as the manifest",
            Self::Descriptor => "a JSON object as a descriptor",
            Self::Descriptors => "a list of descriptors",
            Self::Platform => "a JSON object as a platform",
            Self::Text => "text",
            Self::Texts => "a list of texts",
            Self::Base64 => "base64",
            Self::Size => "a size from 0 to 9223372036854775807",
        }
    }

    /// The fields of image-spec's `manifest.md`, `image-index.md` and `descriptor.md`, and of Docker's types.
    const fn fields(self) -> Option<Fields> {
        use Shape::{
            Anything, Base64, Descriptor, Descriptors, Manifest, Platform, Size, Text, Texts,
        };
        match self {
            Anything => Some(&[]),
            Manifest => Some(&[
                ("schemaVersion", Anything),
                ("mediaType", Text),
                ("artifactType", Text),
                ("config", Descriptor),
                ("layers", Descriptors),
                ("manifests", Descriptors),
                ("subject", Descriptor),
                ("annotations", Anything),
            ]),
            Descriptor => Some(&[
                ("mediaType", Text),
                ("digest", Text),
                ("size", Size),
                ("urls", Texts),
                ("annotations", Anything),
                ("data", Base64),
                ("artifactType", Text),
                ("platform", Platform),
            ]),
            Platform => Some(&[
                ("architecture", Text),
                ("os", Text),
                ("os.version", Text),
                ("os.features", Texts),
                ("variant", Text),
                ("features", Texts),
            ]),
            Descriptors | Text | Texts | Base64 | Size => None,
        }
    }

    /// What its elements have to be, if it may be a list.
    const fn element(self) -> Option<Self> {
        match self {
            Self::Anything => Some(Self::Anything),
            Self::Descriptors => Some(Self::Descriptor),
            Self::Texts => Some(Self::Text),
            _ => None,
        }
    }

    /// Is this fine if `may_be`?
    fn allow<E: serde::de::Error>(self, may_be: bool, found: impl fmt::Display) -> Result<(), E> {
        if may_be || matches!(self, Self::Anything) {
            return Ok(());
        }
        Err(E::custom(format_args!("{RULE}expected {}, found {found}", self.name())))
    }
}

impl<'de> DeserializeSeed<'de> for Shape {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Shape {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }

    fn visit_bool<E: serde::de::Error>(self, found: bool) -> Result<(), E> {
        self.allow(false, found)
    }

    fn visit_i64<E: serde::de::Error>(self, found: i64) -> Result<(), E> {
        self.allow(matches!(self, Self::Size) && found >= 0, found)
    }

    fn visit_u64<E: serde::de::Error>(self, found: u64) -> Result<(), E> {
        self.allow(matches!(self, Self::Size) && i64::try_from(found).is_ok(), found)
    }

    fn visit_f64<E: serde::de::Error>(self, found: f64) -> Result<(), E> {
        self.allow(false, found)
    }

    fn visit_str<E: serde::de::Error>(self, found: &str) -> Result<(), E> {
        match self {
            Self::Base64 => self.allow(is_base64(found), "other text"),
            _ => self.allow(matches!(self, Self::Text), "text"),
        }
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        self.allow(!matches!(self, Self::Manifest), "null")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let Some(element) = self.element() else { return self.allow(false, "a list") };
        while items.next_element_seed(element)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let Some(fields) = self.fields() else { return self.allow(false, "a JSON object") };
        let mut seen = HashSet::new();
        while let Some(name) = members.next_key::<String>()? {
            let shape = match fields.iter().find(|(field, _)| is_read_as(&name, field)) {
                Some((field, shape)) if *field == name => *shape,
                Some((field, _)) => {
                    let rule = format_args!("{RULE}expected the field {field}, found {name:?}");
                    return Err(A::Error::custom(rule));
                }
                None => Self::Anything,
            };
            members.next_value_seed(shape)?;
            if let Some(name) = seen.replace(name) {
                return Err(A::Error::custom(format_args!("{TWICE}{name}")));
            }
        }
        Ok(())
    }
}

/// RFC 4648 §4, padded; ends of lines in it are passed over, as Go does.
fn is_base64(text: &str) -> bool {
    let bytes: Vec<u8> = text.bytes().filter(|b| !matches!(b, b'\r' | b'\n')).collect();
    let end = bytes.iter().position(|&b| b == b'=').unwrap_or(bytes.len());
    let (digits, padding) = bytes.split_at(end);
    let is_digit = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/');
    bytes.len().is_multiple_of(4)
        && padding.len() <= 2
        && padding.iter().all(|&b| b == b'=')
        && digits.iter().all(is_digit)
}

/// Do Go's readers take a member of this name for the field? They fold cases as Unicode does, by which the long s and
/// the sign for Kelvin are letters of ASCII.
fn is_read_as(name: &str, field: &str) -> bool {
    let folded = name.chars().map(|c| match c {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        c => c.to_ascii_lowercase(),
    });
    folded.eq(field.chars().map(|c| c.to_ascii_lowercase()))
}
