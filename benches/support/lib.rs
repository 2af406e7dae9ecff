//! What several benches share: content, costs, rounds and tables.
//!
//! Figures of one run are compared with each other, never with those of another run or machine: other load
//! moves all of them by a factor. So what is measured always stands beside what the machine itself can do, and
//! the candidates of a table take turns in every round.

pub mod content;
pub mod cost;
pub mod rounds;
pub mod settings;
pub mod table;
