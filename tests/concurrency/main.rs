//! What many clients saw, explained by one order of what they did.
//!
//! Clients of two stores, or of two processes, push, mount, tag, delete and read the same few things. Every call is
//! kept with when it was made and answered; then, for each thing, an order of the calls is looked for that explains
//! every answer. Each history has a seed, and is told with it. With `HISTORIES=<number>` in the environment there are
//! so many of each kind, from other seeds each time that `SEED` says another.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "how much was explored is told")]

mod calls;
mod clients;
mod doors;
mod flaws;
mod history;
mod memory;
mod order;
mod processes;
mod stores;
