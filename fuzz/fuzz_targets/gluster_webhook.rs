#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| eventfs::decode::gluster::property::webhook_becomes_one_event(bytes));
