//! What the benchmarks share: their frame, private mounts, taps, file calls, timing, rows.
#![allow(dead_code, reason = "every benchmark uses its own part")]

pub(crate) mod calls;
pub(crate) mod cpu;
pub(crate) mod inotify;
pub(crate) mod mount;
pub(crate) mod results;
pub(crate) mod row;
pub(crate) mod tap;
pub(crate) mod timing;

use std::process::ExitCode;

use results::Results;
use row::Row;

/// The program, built by cargo with the same profile as the benchmark.
pub(crate) const EVENTFS: &str = env!("CARGO_BIN_EXE_eventfs");

/// What breaks a benchmark: shown, and the exit status is 1.
pub(crate) type Broken = Box<dyn std::error::Error>;

/// A word, and what measures the rows that belong to it.
pub(crate) type Part = (&'static str, fn() -> Result<Vec<Row>, Broken>);

/// Set to 1: smaller numbers, a run of some seconds.
const QUICK_VARIABLE: &str = "EVENTFS_BENCH_QUICK";

/// Whether a short run with smaller numbers is wanted.
pub(crate) fn is_quick() -> bool {
    std::env::var_os(QUICK_VARIABLE).is_some_and(|value| !value.is_empty() && value != "0")
}

/// The first number in a full run, the second in a quick one.
pub(crate) fn scale(full: u32, quick: u32) -> u32 {
    if is_quick() { quick } else { full }
}

/// A benchmark: measures its parts, or those that the command line names, and prints their rows. The
/// rows of a whole run are kept for `make bench`. A missed target is in the table; the exit status
/// tells only whether something broke.
pub(crate) fn main(bench: &str, parts: &[Part]) -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if !words.iter().any(|word| word == "--bench") {
        // `cargo test --all-targets` starts benchmarks too.
        println!("nothing measured: cargo bench --bench {bench} (it passes --bench)");
        return ExitCode::SUCCESS;
    }
    let wanted: Vec<&str> =
        words.iter().map(String::as_str).filter(|word| !word.starts_with('-')).collect();
    if let Some(word) = wanted.iter().find(|word| parts.iter().all(|(name, _)| name != *word)) {
        let names: Vec<&str> = parts.iter().map(|(name, _)| *name).collect();
        eprintln!("{word}: no part of {bench}, which has: {}", names.join(", "));
        return ExitCode::from(2);
    }
    let mut results = Results::begin(bench);
    for (name, measure) in parts {
        if !wanted.is_empty() && !wanted.contains(name) {
            continue;
        }
        eprintln!("{bench}: measuring {name} ...");
        match measure() {
            Ok(rows) => results.rows.extend(rows),
            Err(error) => {
                eprintln!("broken: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    println!();
    row::print(&results.rows);
    if wanted.is_empty()
        && let Err(error) = results.keep()
    {
        eprintln!("broken: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
