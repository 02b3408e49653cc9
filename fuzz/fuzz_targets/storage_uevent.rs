#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| eventfs::decode::storage::check::uevent(bytes));
