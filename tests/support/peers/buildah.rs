//! [`Buildah`]: the program that builds images, and pushes and pulls them.

use std::ops::Deref;

use crate::peers::containers::Containers;

/// buildah, with nothing kept from before.
#[derive(Debug)]
pub struct Buildah(Containers);

impl Buildah {
    /// With a home of its own.
    #[expect(clippy::new_without_default, reason = "it makes a directory")]
    pub fn new() -> Self {
        Self(Containers::new("buildah", &[]))
    }
}

impl Deref for Buildah {
    type Target = Containers;

    fn deref(&self) -> &Containers {
        &self.0
    }
}
