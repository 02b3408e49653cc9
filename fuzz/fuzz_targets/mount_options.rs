//! Any bytes as a list of mount options.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| eventfs::config::check::options(bytes));
