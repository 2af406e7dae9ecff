//! The program `registry`, as a user starts it.

mod draining;
mod failures;
mod listening;
mod starting;
