//! Every state that a crash may leave on a filesystem, and what the store makes of each.
//!
//! The store runs on a filesystem in memory that writes down what every system call does. From that follows what the
//! medium may hold when the power goes after any of them, or when the process is killed there. On each such state a
//! store is opened and compared with a model: what was acknowledged is there and right, nothing half-made is visible,
//! and what was asked for can be asked for again.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod alone;
mod beside;
mod broken;
mod check;
mod disk;
mod explore;
mod killed;
mod record;
mod step;
mod world;
