//! What several test suites share.

pub mod backends;
pub mod polls;
