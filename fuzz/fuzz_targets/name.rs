//! `RUSTC_BOOTSTRAP=1 cargo fuzz run --sanitizer none name`
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| registry_fuzz::name::name(data));
