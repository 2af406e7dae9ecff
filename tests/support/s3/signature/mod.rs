//! Signatures, version 4: who made a request, and that nobody changed it.
//!
//! `canonical` has what both sides compute, `verify` the side of S3, and [`signer`] that of a client, for tests of
//! this S3 itself. The examples that AWS publishes are tests of the first two.

mod canonical;
pub mod signer;
mod verify;

pub(super) use verify::{Identity, verify};
