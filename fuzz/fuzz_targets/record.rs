//! `RUSTC_BOOTSTRAP=1 cargo fuzz run --sanitizer none record`
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| registry_fuzz::record::record(data));
