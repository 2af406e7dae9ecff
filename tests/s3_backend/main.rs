//! What a bucket, the way to it and other replicas do to the engine.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod faults;
mod fixture;
mod outages;
#[path = "../store/scenarios.rs"]
mod scenarios;
