//! [`Podman`]: the program that makes, pushes and pulls images without a daemon.

use std::ops::Deref;

use crate::peers::containers::Containers;

/// podman, with nothing kept from before.
#[derive(Debug)]
pub struct Podman(Containers);

impl Podman {
    /// With a home of its own.
    #[expect(clippy::new_without_default, reason = "it makes a directory")]
    pub fn new() -> Self {
        Self(Containers::new("podman", &[]))
    }
}

impl Deref for Podman {
    type Target = Containers;

    fn deref(&self) -> &Containers {
        &self.0
    }
}
