//! Any bytes as operations on the tree of queues, each compared with a slow, obvious reference.
#![no_main]

#[path = "../../tests/model/play/mod.rs"]
mod play;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| play::bytes::operations(bytes));
