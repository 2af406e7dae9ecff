//! What each operation costs in requests to S3, beside what Distribution needs for the same.
//!
//! The table is in ARCHITECTURE.md, "Requests to S3". Each row is asserted here, through HTTP, on a server of ours that
//! counts; Distribution's figures were measured with 2.8.2 (Debian) in front of Garage and moto, without its cache,
//! as a replica has it that did not see the earlier requests, and those of its 3.x listings follow from how it lists.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bench;
mod listings;
mod pulls;
mod pushes;
