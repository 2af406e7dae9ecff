//! `cargo +nightly fuzz run endpoint`
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| registry_fuzz::endpoint::endpoint(data));
