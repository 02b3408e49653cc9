//! BeeGFS packets to CloudEvents lines and files (section 11 of the contract).
//!
//! `cargo bench --bench tap_beegfs [-- PART...]` prints one table; `EVENTFS_BENCH_QUICK=1` makes a short
//! run.

mod common;
#[path = "tap_beegfs/decode.rs"]
mod decode;
#[path = "tap_beegfs/end_to_end.rs"]
mod end_to_end;
#[path = "tap_beegfs/server.rs"]
mod server;

use std::process::ExitCode;

fn main() -> ExitCode {
    common::main(
        "tap_beegfs",
        &[
            ("decoding", decode::measure),
            ("batches", end_to_end::batches),
            ("single-files", end_to_end::single_files),
        ],
    )
}
