//! Clocks.

use nix::time::{ClockId, clock_gettime};

fn nanoseconds(clock: ClockId) -> i64 {
    // Linux has had both clocks for fifteen years: no error is possible.
    clock_gettime(clock).map_or(0, |t| t.tv_sec() * 1_000_000_000 + t.tv_nsec())
}

/// Nanoseconds since 1970.
pub fn wall_ns() -> i64 {
    nanoseconds(ClockId::CLOCK_REALTIME)
}

/// Nanoseconds since boot, suspend included: never set back.
pub fn boot_ns() -> i64 {
    nanoseconds(ClockId::CLOCK_BOOTTIME)
}

/// Nanoseconds since boot without time spent suspended: the clock of the kernel log.
pub fn uptime_ns() -> i64 {
    nanoseconds(ClockId::CLOCK_MONOTONIC)
}
