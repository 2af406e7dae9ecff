//! [`Profile`]: which S3 it is that everything is tried on.

use registry_tests::s3::options::{CompletedAgain, ConditionalWrites, Honour, S3Options};

/// Which S3 it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Conditions on writes are heeded, as AWS does.
    Heeds,
    /// They are taken in silence and overwrite, as with Garage.
    Ignores,
    /// They are refused.
    Refuses,
}

impl Profile {
    pub(crate) const ALL: [Self; 3] = [Self::Heeds, Self::Ignores, Self::Refuses];

    pub(crate) fn server(self) -> S3Options {
        let (honour, completed_again) = match self {
            Self::Heeds => (Honour::Honoured, CompletedAgain::Same),
            Self::Ignores => (Honour::Ignored, CompletedAgain::NoSuchUpload),
            Self::Refuses => (Honour::Refused, CompletedAgain::NoSuchUpload),
        };
        let conditional_writes = ConditionalWrites::all(honour);
        // Who asks is not what is tried here, and takes long to check.
        S3Options { credentials: None, conditional_writes, completed_again, ..S3Options::default() }
    }
}
