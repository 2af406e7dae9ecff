//! What is fuzzed: functions that take any bytes and panic if a promise does not hold.
//!
//! libFuzzer runs them through `fuzz_targets/`; `cargo test` runs them over the corpora, and over inputs made
//! from those, in `tests/fuzz`.

pub mod digest;
pub mod endpoint;
pub mod manifest;
pub mod name;
pub mod reference;

/// A function that is fuzzed.
pub type Target = fn(&[u8]);

/// Every function, by the name of its corpus.
pub const TARGETS: [(&str, Target); 5] = [
    ("digest", digest::digest),
    ("endpoint", endpoint::endpoint),
    ("manifest", manifest::manifest),
    ("name", name::name),
    ("reference", reference::reference),
];
