//! Any bytes as what consumers and the daemon say to each other.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| eventfs::wire::check::any(bytes));
