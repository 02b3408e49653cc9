//! The thread that waits for the end of owners and for deadlines.

use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::sys::epoll::{EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::shared::Shared;
use crate::model::OwnerId;
use crate::sys::clock;

/// The epoll number of the alarm; owners count from 1.
const ALARM: u64 = 0;

/// Ends of processes taken from the kernel at once.
const BATCH: usize = 256;

/// Wakes the reaper.
pub(super) struct Alarm {
    bell: EventFd,
}

impl Alarm {
    pub(super) fn new() -> std::io::Result<Self> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        Ok(Self { bell: EventFd::from_flags(flags)? })
    }

    /// A deadline came nearer.
    pub(super) fn ring(&self) {
        // The counter is full only if the reaper has been asked four milliards of times already.
        let _ = self.bell.write(1);
    }
}

/// Runs until the process ends.
pub(super) fn run(shared: &Shared) {
    let epoll = shared.owners.epoll();
    let event = EpollEvent::new(EpollFlags::EPOLLIN, ALARM);
    if let Err(error) = epoll.add(shared.alarm.bell.as_fd(), event) {
        log::error!("queues will outlive their owners: epoll: {error}");
        return;
    }
    let mut events = [EpollEvent::empty(); BATCH];
    loop {
        let next = shared.with(|tree, _| tree.next_deadline()).0;
        let timeout = timeout_ms(next);
        let count = match epoll.wait(&mut events, timeout) {
            Ok(count) => count,
            Err(Errno::EINTR) => 0,
            Err(error) => {
                log::error!("queues will outlive their owners: epoll: {error}");
                return;
            }
        };
        for event in &events[..count] {
            match event.data() {
                ALARM => drop(shared.alarm.bell.read()),
                owner => bury(shared, OwnerId(owner)),
            }
        }
        if next.is_some_and(|at| at <= clock::boot_ns()) {
            drop(shared.with(|tree, now| tree.tick(now)).1);
        }
    }
}

fn bury(shared: &Shared, owner: OwnerId) {
    shared.owners.mark_ended(owner);
    shared.owner_died(owner);
}

/// Milliseconds to sleep, rounded up so that the deadline has passed afterwards.
fn timeout_ms(deadline: Option<i64>) -> EpollTimeout {
    let Some(at) = deadline else { return EpollTimeout::NONE };
    let left_ns = at.saturating_sub(clock::boot_ns()).max(0).unsigned_abs();
    let ms = left_ns.div_ceil(1_000_000);
    EpollTimeout::try_from(i32::try_from(ms).unwrap_or(i32::MAX)).unwrap_or(EpollTimeout::MAX)
}
