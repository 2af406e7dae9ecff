//! [`MediaType`]: what a manifest or blob is said to be.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

/// A media type without parameters, such as `application/vnd.oci.image.manifest.v1+json`.
///
/// * `type "/" subtype`, each a `restricted-name` of RFC 6838 §4.2: at most 127 characters.
/// * Parameters (`; charset=utf-8`) are cut off when it is parsed: OCI distribution-spec, "Pushing manifests".
/// * Compared as written: registries and clients of this field treat media types as case-sensitive.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MediaType(Arc<str>);

impl MediaType {
    /// OCI image manifest.
    pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    /// OCI image index.
    pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
    /// Docker image manifest, version 2, schema 2.
    pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
    /// Docker manifest list.
    pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
    /// Docker manifest, schema 1, signed: read from old data, never accepted.
    pub const DOCKER_SCHEMA1: &str = "application/vnd.docker.distribution.manifest.v1+prettyjws";

    /// The type as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A manifest of any kind that was ever pushed to a registry of this API.
    pub fn is_manifest(&self) -> bool {
        const UNSIGNED_SCHEMA1: &str = "application/vnd.docker.distribution.manifest.v1+json";
        matches!(
            self.as_str(),
            Self::OCI_MANIFEST
                | Self::OCI_INDEX
                | Self::DOCKER_MANIFEST
                | Self::DOCKER_LIST
                | Self::DOCKER_SCHEMA1
                | UNSIGNED_SCHEMA1
        )
    }

    /// A layer that is fetched from elsewhere and need not be pushed, if its descriptor has `urls`.
    pub fn is_nondistributable_layer(&self) -> bool {
        self.0.starts_with("application/vnd.oci.image.layer.nondistributable.")
            || &*self.0 == "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
    }

    /// One of the constants of this type.
    pub(crate) fn constant(text: &'static str) -> Self {
        Self(text.into())
    }
}

impl FromStr for MediaType {
    type Err = MediaTypeError;

    fn from_str(text: &str) -> Result<Self, MediaTypeError> {
        let essence = text.split(';').next().unwrap_or_default().trim();
        match essence.split_once('/') {
            Some((kind, subtype)) if is_restricted_name(kind) && is_restricted_name(subtype) => {
                Ok(Self(essence.into()))
            }
            _ => Err(MediaTypeError { found: text.chars().take(300).collect() }),
        }
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

impl PartialEq<str> for MediaType {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

/// The text is not a media type.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("expected a media type such as {expected}, found {found:?}", expected = MediaType::OCI_MANIFEST)]
pub struct MediaTypeError {
    /// The text, cut to a length that is fit for a message.
    pub found: String,
}

fn is_restricted_name(text: &str) -> bool {
    let rest = |b: u8| {
        b.is_ascii_alphanumeric()
            || matches!(b, b'!' | b'#' | b'$' | b'&' | b'-' | b'^' | b'_' | b'.' | b'+')
    };
    text.len() <= 127
        && text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric())
        && text.bytes().all(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_type_of_the_grammar_survives_its_text_form(
            text in "[a-zA-Z0-9][a-zA-Z0-9!#$&^_.+-]{0,40}/[a-zA-Z0-9][a-zA-Z0-9!#$&^_.+-]{0,126}"
        ) {
            prop_assert_eq!(text.parse::<MediaType>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn parameters_are_cut_off() {
        let text = "application/json; charset=utf-8";
        assert_eq!(text.parse::<MediaType>().unwrap().as_str(), "application/json");
    }

    #[test]
    fn text_outside_the_grammar_is_refused() {
        for text in ["", "json", "a/", "/b", "a/b/c", "a b/c", ".a/b", "a/b c"] {
            assert!(text.parse::<MediaType>().is_err(), "{text:?}");
        }
    }
}
