//! Expiry of what was begun and never finished.

/// What was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PurgeReport {
    /// Upload sessions.
    pub uploads: u64,
    /// Other things that were never finished.
    pub litter: u64,
}
