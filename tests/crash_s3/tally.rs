//! [`Tally`]: how much was tried, and what was found.

use std::fmt;

/// How much was tried, and what was found.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Operations, or pairs of them, each on one kind of server.
    pub(crate) enumerations: usize,
    /// Requests at which something happened to them, of whatever kind.
    pub(crate) requests: usize,
    /// Times that something happened.
    pub(crate) cases: usize,
    /// What was seen in the bucket and compared with the model.
    pub(crate) states: usize,
    /// What was seen that may not be, or what was answered.
    pub(crate) losses: Vec<String>,
}

impl Tally {
    pub(crate) fn add(&mut self, other: Self) {
        self.enumerations += other.enumerations;
        self.requests += other.requests;
        self.cases += other.cases;
        self.states += other.states;
        self.losses.extend(other.losses);
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { requests, cases, states, losses, .. } = self;
        let losses = losses.len();
        write!(f, "{requests} requests, {cases} cases, {states} states, {losses} losses")
    }
}
