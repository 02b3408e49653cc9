//! Any bytes as a packet of a metadata server.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| eventfs::decode::beegfs::check::packet(bytes));
