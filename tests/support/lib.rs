//! What several test suites share.
#![expect(clippy::missing_panics_doc, reason = "a test's helper fails by a panic")]

pub mod documents;
pub mod server;
pub mod world;
