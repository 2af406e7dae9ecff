//! What is fuzzed: functions that take any bytes and panic if a promise does not hold.
//!
//! libFuzzer runs them through `fuzz_targets/`; `cargo test` runs them over the corpora, and over inputs made
//! from those, in `tests/fuzz`.

pub mod digest;
mod documents;
pub mod endpoint;
mod faulty;
mod input;
pub mod manifest;
pub mod name;
pub mod operations;
pub mod range;
pub mod record;
pub mod reference;
pub mod requests;

/// A function that is fuzzed.
pub type Target = fn(&[u8]);

/// Every function, by the name of its corpus.
pub const TARGETS: [(&str, Target); 9] = [
    ("digest", digest::digest),
    ("endpoint", endpoint::endpoint),
    ("manifest", manifest::manifest),
    ("name", name::name),
    ("operations", operations::operations),
    ("range", range::range),
    ("record", record::record),
    ("reference", reference::reference),
    ("requests", requests::requests),
];
