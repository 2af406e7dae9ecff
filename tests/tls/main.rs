//! TLS over a real socket: versions, certificates of clients, renewal, and what is no TLS.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod clients;
mod keys;
mod protocols;
mod renewing;
mod served;
