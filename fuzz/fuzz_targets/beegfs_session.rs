//! Any bytes as what happens on the connections of a metadata server.
#![no_main]

libfuzzer_sys::fuzz_target!(|script: &[u8]| eventfs::decode::beegfs::check::session(script));
