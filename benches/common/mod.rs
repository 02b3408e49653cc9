//! What the benchmarks share: private mounts, file calls, timing, the table.
#![allow(dead_code, reason = "every benchmark uses its own part")]

pub(crate) mod calls;
pub(crate) mod cpu;
pub(crate) mod inotify;
pub(crate) mod mount;
pub(crate) mod table;
pub(crate) mod timing;

/// What breaks a benchmark: shown, and the exit status is 1.
pub(crate) type Broken = Box<dyn std::error::Error>;

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
