//! The program `registry`, as a user starts it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod access;
mod authenticating;
mod configuring;
mod describing;
mod draining;
mod failures;
mod garbage_collect;
mod listening;
mod logging_nowhere;
mod notifying;
mod operating;
mod referrers;
mod reloading;
mod s3;
mod scale;
mod scrub;
mod secrets;
mod sockets;
mod starting;
mod tls;
#[cfg(feature = "otel")]
mod traces;
