//! The thread that waits for the end of owners and for deadlines.

use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::epoll::{EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::shared::Shared;
use crate::model::OwnerId;
use crate::sys::{clock, memory};

/// The epoll number of the alarm; owners count from 1.
const ALARM: u64 = 0;

/// Ends of processes taken from the kernel at once.
const BATCH: usize = 256;

/// At least this long between two returns of memory to the system.
const TRIM_PAUSE: Duration = Duration::from_millis(500);

/// Wakes the reaper.
pub(super) struct Alarm {
    bell: EventFd,
    trim: AtomicBool,
}

impl Alarm {
    pub(super) fn new() -> std::io::Result<Self> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        Ok(Self { bell: EventFd::from_flags(flags)?, trim: AtomicBool::new(false) })
    }

    /// A deadline came nearer.
    pub(super) fn ring(&self) {
        // The counter is full only if the reaper has been asked four milliards of times already.
        let _ = self.bell.write(1);
    }

    pub(super) fn ask_for_trim(&self) {
        if !self.trim.swap(true, Ordering::Relaxed) {
            self.ring();
        }
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
    let mut trimmed = Instant::now();
    let mut events = [EpollEvent::empty(); BATCH];
    loop {
        let next = shared.with(|tree, _| tree.next_deadline()).0;
        let timeout = timeout_ms(next, shared.alarm.trim.load(Ordering::Relaxed), trimmed);
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
        trim_if_asked(shared, &mut trimmed);
    }
}

fn bury(shared: &Shared, owner: OwnerId) {
    shared.owners.mark_ended(owner);
    shared.owner_died(owner);
}

fn trim_if_asked(shared: &Shared, trimmed: &mut Instant) {
    if trimmed.elapsed() >= TRIM_PAUSE && shared.alarm.trim.swap(false, Ordering::Relaxed) {
        memory::trim();
        *trimmed = Instant::now();
    }
}

/// Milliseconds to sleep, rounded up so that the deadline has passed afterwards.
fn timeout_ms(deadline: Option<i64>, trim: bool, trimmed: Instant) -> EpollTimeout {
    let until_deadline = deadline.map(|at| {
        let left_ns = at.saturating_sub(clock::boot_ns()).max(0);
        Duration::from_nanos(left_ns.unsigned_abs())
    });
    let until_trim = trim.then(|| TRIM_PAUSE.saturating_sub(trimmed.elapsed()));
    let Some(wait) = until_deadline.into_iter().chain(until_trim).min() else {
        return EpollTimeout::NONE;
    };
    let ms = wait.as_nanos().div_ceil(1_000_000);
    EpollTimeout::try_from(i32::try_from(ms).unwrap_or(i32::MAX)).unwrap_or(EpollTimeout::MAX)
}
