//! Programs no one here wrote.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod buildah;
mod distribution;
mod docker;
mod each;
mod look;
mod podman;
mod skopeo;
