//! Gluster datagrams to files (section 11 of the contract): nothing is lost at 20 000 a second, nor of a
//! burst of 50 000.
//!
//! `cargo bench --bench tap_gluster` prints one table; `EVENTFS_BENCH_QUICK=1` makes a short run. The
//! exit status is 0 unless something broke; whether the targets were met is in the table.

mod common;
#[path = "tap_gluster/datagrams.rs"]
mod datagrams;
#[path = "tap_gluster/decode.rs"]
mod decode;

use std::process::ExitCode;

use common::table::{self, Row};
use common::{Broken, is_quick};

fn main() -> ExitCode {
    if !std::env::args().any(|word| word == "--bench") {
        // `cargo test --all-targets` starts benchmarks too.
        println!("nothing measured: cargo bench --bench tap_gluster (it passes --bench)");
        return ExitCode::SUCCESS;
    }
    match report() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("broken: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Measures some rows.
type Part = fn() -> Result<Vec<Row>, Broken>;

/// What is measured, in the order of the table.
const PARTS: [(&str, Part); 3] = [
    ("decoding", decode::measure),
    ("steady rates", datagrams::steady),
    ("bursts", datagrams::bursts),
];

fn report() -> Result<(), Broken> {
    if is_quick() {
        println!("quick run: smaller numbers, less trustworthy");
    }
    let mut rows = Vec::new();
    for (what, measure) in PARTS {
        eprintln!("measuring {what} ...");
        rows.extend(measure()?);
    }
    println!();
    table::print(&rows);
    Ok(())
}
