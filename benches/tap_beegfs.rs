//! BeeGFS packets to CloudEvents lines (section 11 of the contract).
//!
//! `cargo bench --bench tap_beegfs` prints one table; `EVENTFS_BENCH_QUICK=1` makes a short run. The
//! rates of a shared machine swing, so the quiet rounds count. The exit status is 0 unless something
//! broke; whether the targets were met is in the table.

mod common;
#[path = "tap_beegfs/decode.rs"]
mod decode;
#[path = "tap_beegfs/end_to_end.rs"]
mod end_to_end;

use std::process::ExitCode;

use common::table::{self, Row};
use common::{Broken, is_quick};

fn main() -> ExitCode {
    if !std::env::args().any(|word| word == "--bench") {
        // `cargo test --all-targets` starts benchmarks too.
        println!("nothing measured: cargo bench --bench tap_beegfs (it passes --bench)");
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
    ("batches", end_to_end::batches),
    ("single files", end_to_end::single_files),
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
