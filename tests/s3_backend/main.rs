//! What a bucket, the way to it and other replicas do to the engine.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod attributes;
mod expiry;
mod faults;
mod fixture;
mod memory;
mod outages;
mod probing;
mod reading;
mod scenarios;
mod sessions;
mod staging;
mod tagging;
mod uploads;
