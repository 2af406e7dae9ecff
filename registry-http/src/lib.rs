//! The Docker v2 / OCI distribution API.

pub mod idle;
pub mod serve;
