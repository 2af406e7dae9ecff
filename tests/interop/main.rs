//! Programs no one here wrote.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod distribution;
mod referrers;
mod skopeo;
