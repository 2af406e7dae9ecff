//! [`UploadId`]: the name of an upload session.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;
use uuid::Uuid;

/// An upload session's name: a UUID in its lower-case, hyphenated form, as Distribution makes and purges.
///
/// It is unguessable (122 random bits when made here): who knows it may write to the session.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UploadId(Uuid);

impl UploadId {
    /// A version 4 UUID of these random bytes.
    pub fn from_random(bytes: [u8; 16]) -> Self {
        Self(uuid::Builder::from_random_bytes(bytes).into_uuid())
    }
}

impl FromStr for UploadId {
    type Err = UploadIdError;

    fn from_str(text: &str) -> Result<Self, UploadIdError> {
        let id = text.parse::<Uuid>().map_err(|_| UploadIdError)?;
        // One text per id: other spellings would name other directories.
        if id.hyphenated().to_string() == text { Ok(Self(id)) } else { Err(UploadIdError) }
    }
}

impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl fmt::Debug for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not an upload session's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("expected an upload id: a UUID in lower case with hyphens")]
pub struct UploadIdError;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_id_survives_its_text_form(bytes: [u8; 16]) {
            let id = UploadId::from_random(bytes);
            prop_assert_eq!(id.to_string().parse(), Ok(id));
        }
    }

    #[test]
    fn only_the_one_spelling_parses() {
        let id = UploadId::from_random([0xab; 16]).to_string();
        for text in [
            id.to_uppercase(),
            id.replace('-', ""),
            format!("{{{id}}}"),
            format!("urn:uuid:{id}"),
            String::new(),
        ] {
            assert_eq!(text.parse::<UploadId>(), Err(UploadIdError), "{text}");
        }
    }

    #[test]
    fn ids_of_version_7_parse_too() {
        assert!("019244d0-7c4e-7e43-8b1e-2f3c0a1b2c3d".parse::<UploadId>().is_ok());
    }
}
