//! [`Skopeo`]: the program that copies images between registries and directories.

use std::ops::Deref;

use crate::peers::containers::Containers;

/// skopeo, with nothing kept from before.
#[derive(Debug)]
pub struct Skopeo(Containers);

impl Skopeo {
    /// With a home of its own.
    #[expect(clippy::new_without_default, reason = "it makes a directory")]
    pub fn new() -> Self {
        Self(Containers::new("skopeo", &[]))
    }
}

impl Deref for Skopeo {
    type Target = Containers;

    fn deref(&self) -> &Containers {
        &self.0
    }
}
