#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| eventfs::decode::hestia::property::pieces_make_no_difference(bytes));
