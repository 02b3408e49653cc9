//! Processors and the time that is spent on them.

use std::time::Duration;

use nix::sched::{CpuSet, sched_getcpu, sched_setaffinity};
use nix::sys::resource::{UsageWho, getrusage};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;

/// Binds this process, and what it starts from now on, to the processor that it runs on. Where the
/// kernel places client and daemon is otherwise a matter of luck, and in a virtual machine a wake-up
/// on another processor costs several times as much as the request.
pub(crate) fn stay_on_one() -> nix::Result<()> {
    let mut set = CpuSet::new();
    set.set(sched_getcpu()?)?;
    sched_setaffinity(Pid::from_raw(0), &set)
}

/// What this process has had of the processors: others may have the rest.
pub(crate) fn time_of_process() -> nix::Result<Duration> {
    clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).map(Duration::from)
}

/// The same of this thread.
pub(crate) fn time_of_thread() -> nix::Result<Duration> {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map(Duration::from)
}

/// Processor time of the child processes that have ended and were waited for.
pub(crate) fn time_of_children() -> nix::Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let micros = [usage.user_time(), usage.system_time()]
        .map(|time| time.tv_sec().unsigned_abs() * 1_000_000 + time.tv_usec().unsigned_abs());
    Ok(Duration::from_micros(micros.iter().sum()))
}
