//! The contract of Backend, every clause on every backend.
