//! The Docker v2 / OCI distribution API.
