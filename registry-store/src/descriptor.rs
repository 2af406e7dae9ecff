//! [`Descriptor`]: how one piece of content refers to another (OCI image-spec, `descriptor.md`).

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::digest::AnyDigest;
use crate::media_type::MediaType;

/// A reference to content: its type, digest and size, and what its author says of it.
///
/// Fields that are not listed here are not kept: a manifest is stored as the bytes that were pushed, and
/// never written from its descriptors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What the content is.
    #[serde(serialize_with = "as_text", deserialize_with = "from_text")]
    pub media_type: MediaType,
    /// What the content hashes to.
    #[serde(serialize_with = "as_text", deserialize_with = "from_text")]
    pub digest: AnyDigest,
    /// The content's length in bytes.
    pub size: u64,
    /// Where else the content may be fetched from.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub urls: Vec<String>,
    /// The type of an artifact, where the content is a manifest.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "some_as_text",
        deserialize_with = "some_from_text"
    )]
    pub artifact_type: Option<MediaType>,
    /// The author's notes.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "null_as_default"
    )]
    pub annotations: BTreeMap<String, String>,
}

impl Descriptor {
    /// Is it a layer that is fetched from elsewhere, and need not be pushed?
    pub(crate) fn is_elsewhere(&self) -> bool {
        !self.urls.is_empty() && self.media_type.is_nondistributable_layer()
    }
}

pub(crate) fn as_text<T: ToString, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&value.to_string())
}

pub(crate) fn from_text<'de, T, D>(from: D) -> Result<T, D::Error>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
    D: Deserializer<'de>,
{
    let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
    text.parse().map_err(serde::de::Error::custom)
}

pub(crate) fn some_as_text<T: ToString, S: Serializer>(
    value: &Option<T>,
    to: S,
) -> Result<S::Ok, S::Error> {
    value.as_ref().map(ToString::to_string).serialize(to)
}

/// An absent, null or empty text is `None`.
pub(crate) fn some_from_text<'de, T, D>(from: D) -> Result<Option<T>, D::Error>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
    D: Deserializer<'de>,
{
    let text = Option::<std::borrow::Cow<'de, str>>::deserialize(from)?;
    text.filter(|text| !text.is_empty())
        .map(|text| text.parse().map_err(serde::de::Error::custom))
        .transpose()
}

/// Go writes an empty list or map as `null`.
pub(crate) fn null_as_default<'de, T, D>(from: D) -> Result<T, D::Error>
where
    T: Default + Deserialize<'de>,
    D: Deserializer<'de>,
{
    Ok(Option::<T>::deserialize(from)?.unwrap_or_default())
}

/// With `#[serde(default)]`: absent, `null`, or there.
pub(crate) fn there_or_null<'de, T, D>(from: D) -> Result<Option<Option<T>>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Option::deserialize(from).map(Some)
}
