//! Programs no one here wrote.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod collecting;
mod distribution;
mod exchange;
mod sessions;
mod skopeo;
