//! Waiting for the end of processes, for a deadline, and to be woken, all at once.

use std::io;
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::clock;
use super::process::Pidfd;

/// The key of the bell. Nobody else may use it.
const BELL: u64 = 0;

/// Ends of processes taken from the kernel at once.
const BATCH: usize = 256;

/// One thread waits, any may add, delete and wake.
pub struct Poller {
    epoll: Epoll,
    bell: EventFd,
}

impl Poller {
    /// # Errors
    /// When no descriptor is left.
    pub fn new() -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let bell = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        epoll.add(bell.as_fd(), EpollEvent::new(EpollFlags::EPOLLIN, BELL))?;
        Ok(Self { epoll, bell })
    }

    /// Has [`Poller::wait`] return `key`, which is not 0, from the end of the process on.
    ///
    /// # Errors
    /// What the system says: `ENOSPC` when the user watches too much.
    pub fn add(&self, process: &Pidfd, key: u64) -> io::Result<()> {
        Ok(self.epoll.add(process.as_fd(), EpollEvent::new(EpollFlags::EPOLLIN, key))?)
    }

    /// Ends that. Of a process that is not watched nothing is to be ended.
    pub fn delete(&self, process: &Pidfd) {
        let _ = self.epoll.delete(process.as_fd());
    }

    /// Ends the present wait, or the next one.
    pub fn wake(&self) {
        // The counter is full only if the waiting thread has been woken four milliards of times already.
        let _ = self.bell.write(1);
    }

    /// Waits until a process ends, somebody wakes it, or the deadline (boot clock, ns) has passed. Returns the
    /// keys of the ended processes, again and again until they are deleted; nothing may come of it.
    ///
    /// # Errors
    /// None that can be mended.
    pub fn wait(&self, deadline: Option<i64>) -> io::Result<Vec<u64>> {
        let mut events = [EpollEvent::empty(); BATCH];
        let count = match self.epoll.wait(&mut events, timeout(deadline)) {
            Ok(count) => count,
            Err(Errno::EINTR) => 0,
            Err(error) => return Err(error.into()),
        };
        let mut ended = Vec::new();
        for event in &events[..count] {
            match event.data() {
                BELL => drop(self.bell.read()),
                key => ended.push(key),
            }
        }
        Ok(ended)
    }
}

/// Milliseconds to sleep, rounded up so that the deadline has passed afterwards.
fn timeout(deadline: Option<i64>) -> EpollTimeout {
    let Some(at) = deadline else { return EpollTimeout::NONE };
    let left_ns = at.saturating_sub(clock::boot_ns()).max(0).unsigned_abs();
    let ms = left_ns.div_ceil(1_000_000);
    EpollTimeout::try_from(i32::try_from(ms).unwrap_or(i32::MAX)).unwrap_or(EpollTimeout::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::process;
    use super::*;

    #[test]
    fn a_wake_is_not_lost_and_counts_once() {
        let poller = Poller::new().expect("descriptors");
        poller.wake();
        poller.wake();
        assert!(poller.wait(None).expect("epoll").is_empty());
        // Were the bell still ringing, this would end before its time.
        let until = clock::boot_ns() + 20_000_000;
        assert!(poller.wait(Some(until)).expect("epoll").is_empty());
        assert!(clock::boot_ns() >= until);
    }

    #[test]
    fn an_end_is_told_until_it_is_deleted() {
        let poller = Poller::new().expect("descriptors");
        let mut child = std::process::Command::new("true").spawn().expect("true");
        let process = process::pidfd_open(child.id()).expect("pidfd");
        poller.add(&process, 7).expect("epoll");
        assert_eq!(poller.wait(None).expect("epoll"), [7]);
        assert_eq!(poller.wait(None).expect("epoll"), [7]);
        poller.delete(&process);
        assert!(poller.wait(Some(0)).expect("epoll").is_empty());
        child.wait().expect("wait");
    }
}
