//! Any bytes as a TOML configuration.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| eventfs::config::check::toml(bytes));
