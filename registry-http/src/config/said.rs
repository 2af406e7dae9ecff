//! What says something in a configuration: [`said`], a text; [`there`], a key by being there.

use serde::{Deserialize, Deserializer};

/// A section that chooses: that its key is there does it, though nothing stands behind it.
pub(super) fn there<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    section: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(section).map(Some)
}

/// An empty string says nothing, as in Distribution.
pub(super) fn said(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}
