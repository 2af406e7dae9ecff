//! The engine, each test on every backend.
