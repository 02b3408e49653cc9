//! Any bytes as the original's INI.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| eventfs::config::check::ini(bytes));
