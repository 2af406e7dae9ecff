//! What several test suites share.

pub mod backends;
pub mod documents;
pub mod polls;
pub mod world;
