//! Programs no one here wrote.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod broken_sessions;
mod collecting;
mod distribution;
mod exchange;
mod healing;
mod sessions;
mod skopeo;
mod upload;
