#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| eventfs::export::property::output_is_read_back(bytes));
