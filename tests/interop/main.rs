//! Programs no one here wrote, and a disk that only root can make.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod distribution;
mod full_disk;
mod skopeo;
