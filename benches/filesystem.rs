//! What the filesystem itself must hold, measured on private mounts (section 11 of the contract).
//!
//! `cargo bench --bench filesystem` prints one table. All times are ratios of what was measured in
//! the same run: a shared machine is never quiet. `EVENTFS_BENCH_QUICK=1` makes a short run. The exit
//! status is 0 unless something broke; whether the targets were met is in the table.

mod common;
#[path = "filesystem/depth.rs"]
mod depth;
#[path = "filesystem/fate.rs"]
mod fate;
#[path = "filesystem/million.rs"]
mod million;
#[path = "filesystem/requests.rs"]
mod requests;
#[path = "filesystem/times.rs"]
mod times;

use std::process::ExitCode;

use common::table::{self, Row};
use common::{Broken, cpu, is_quick};

fn main() -> ExitCode {
    let outcome = match fate::owner_role() {
        Some(role) => fate::be_owner(&role),
        None if std::env::args().any(|word| word == "--bench") => report(),
        None => {
            // `cargo test --all-targets` starts benchmarks too.
            println!("nothing measured: cargo bench --bench filesystem (it passes --bench)");
            Ok(())
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("broken: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Measures some rows.
type Part = fn() -> Result<Vec<Row>, Broken>;

fn report() -> Result<(), Broken> {
    if is_quick() {
        println!("quick run: smaller numbers, less trustworthy");
    }
    let free: [(&str, Part); 2] = [("requests", requests::measure), ("fate", fate::measure)];
    let bound: [(&str, Part); 2] =
        [("times", times::measure), ("memory and depth", million::measure)];
    let mut rows = Vec::new();
    for (what, measure) in free {
        eprintln!("measuring {what} ...");
        rows.extend(measure()?);
    }
    let placed = cpu::stay_on_one();
    for (what, measure) in bound {
        eprintln!("measuring {what} ...");
        rows.extend(measure()?);
    }
    let place = if placed { "on one processor" } else { "WHEREVER the kernel puts them" };
    println!("\nTimes are of client and daemon {place}.");
    println!();
    table::print(&rows);
    Ok(())
}
