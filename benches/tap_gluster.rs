//! Gluster datagrams to files (section 11 of the contract): nothing is lost at 20 000 a second, nor of a
//! burst of 50 000.
//!
//! `cargo bench --bench tap_gluster [-- PART...]` prints one table; `EVENTFS_BENCH_QUICK=1` makes a short
//! run.

mod common;
#[path = "tap_gluster/datagrams.rs"]
mod datagrams;
#[path = "tap_gluster/decode.rs"]
mod decode;

use std::process::ExitCode;

fn main() -> ExitCode {
    common::main(
        "tap_gluster",
        &[
            ("decoding", decode::measure),
            ("steady", datagrams::steady),
            ("bursts", datagrams::bursts),
        ],
    )
}
