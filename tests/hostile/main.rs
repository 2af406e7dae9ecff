//! Clients that mean harm, over a real socket: each is answered as it should be, or not at all; nothing comes of what
//! it sent, and everybody else is served meanwhile and afterwards.
//!
//! What takes hours is tried where the clock can be stopped, in `registry-http/src/serve.rs`.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod chunks;
mod crowds;
mod heads;
mod http2;
mod pipelining;
mod registry;
mod slowness;
mod smuggling;
mod traversal;
mod uploads;
