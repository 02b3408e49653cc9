//! What the filesystem itself must hold, on private mounts (section 11 of the contract).
//!
//! `cargo bench --bench filesystem [-- PART...]` prints one table. Times are ratios of what was measured
//! in the same run: a shared machine is never quiet. `EVENTFS_BENCH_QUICK=1` makes a short run.

mod common;
#[path = "filesystem/depth.rs"]
mod depth;
#[path = "filesystem/fate.rs"]
mod fate;
#[path = "filesystem/million.rs"]
mod million;
#[path = "filesystem/queues.rs"]
mod queues;
#[path = "filesystem/requests.rs"]
mod requests;
#[path = "filesystem/times.rs"]
mod times;

use std::process::ExitCode;

fn main() -> ExitCode {
    if let Some(role) = fate::owner_role() {
        return fate::be_owner(&role);
    }
    common::main(
        "filesystem",
        &[
            ("requests", requests::measure),
            ("fate", fate::measure),
            // From here on, client and daemon share one processor.
            ("times", times::measure),
            ("queues", queues::measure),
            ("million", million::measure),
        ],
    )
}
