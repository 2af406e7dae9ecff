//! The Docker v2 / OCI distribution API.

mod idle;
pub mod serve;
