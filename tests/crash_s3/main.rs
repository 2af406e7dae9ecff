//! What was acknowledged survives whatever happens to any request to S3, to who sent it, and beside it.
//!
//! Something goes wrong with one request of an operation, for each of its requests and each thing that can; and another
//! replica comes between any two. What a fresh store on the bucket shows then is compared with [a model](model) of what
//! was acknowledged. By default that is tried at some requests of each operation, at others with each thing;
//! `CRASH_S3=full` tries all of it at every request, with every rival, on every kind of server, which takes many
//! minutes unless it is optimized.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod broken;
mod bucket;
mod case;
mod contents;
mod model;
mod operations;
mod pairs;
mod profile;
mod seen;
mod single;
mod suite;
mod tally;
