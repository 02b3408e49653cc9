//! Any bytes as a quota file.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| eventfs::config::check::quota_file(bytes));
