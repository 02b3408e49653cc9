//! One processor for the benchmark and the daemons that it starts.

use nix::sched::{CpuSet, sched_getcpu, sched_setaffinity};
use nix::unistd::Pid;

/// Binds this process, and what it starts from now on, to the processor that it runs on. Where the
/// kernel places client and daemon is otherwise a matter of luck, and in a virtual machine a wake-up
/// on another processor costs several times as much as the request. Returns whether it worked.
pub(crate) fn stay_on_one() -> bool {
    let mut set = CpuSet::new();
    sched_getcpu()
        .and_then(|here| set.set(here))
        .and_then(|()| sched_setaffinity(Pid::from_raw(0), &set))
        .is_ok()
}
