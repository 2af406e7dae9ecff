//! The program `registry`, as a user starts it.
