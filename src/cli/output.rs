//! Standard output that knows how much of it was accepted.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::write;

/// Bytes gathered before they are written.
const PENDING_BYTES_MAX: usize = 64 << 10;

pub(super) struct Output {
    pending: Vec<u8>,
    offered: u64,
    accepted: u64,
}

impl Output {
    pub(super) fn new() -> Self {
        Self { pending: Vec::with_capacity(PENDING_BYTES_MAX), offered: 0, accepted: 0 }
    }

    /// Bytes given to [`Output::write`] so far.
    pub(super) fn offered(&self) -> u64 {
        self.offered
    }

    /// Bytes that the system has taken from us so far.
    pub(super) fn accepted(&self) -> u64 {
        self.accepted
    }

    pub(super) fn write(&mut self, data: &[u8]) -> io::Result<()> {
        self.offered += data.len() as u64;
        self.pending.extend_from_slice(data);
        if self.pending.len() >= PENDING_BYTES_MAX { self.flush() } else { Ok(()) }
    }

    /// Writes what is pending. What a failed write has accepted is counted.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        // The lock of the standard library's own buffer, which stays empty.
        let out = io::stdout().lock();
        let mut done = 0;
        let result = loop {
            let rest = self.pending.get(done..).unwrap_or_default();
            if rest.is_empty() {
                break Ok(());
            }
            match write(&out, rest) {
                Ok(count) => done += count,
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => wait_for_room(out.as_fd()),
                Err(error) => break Err(io::Error::from(error)),
            }
        };
        self.accepted += done as u64;
        self.pending.drain(..done);
        result
    }
}

/// Somebody made our output non-blocking. Whatever is wrong shows at the next write.
fn wait_for_room(out: BorrowedFd<'_>) {
    let mut fds = [PollFd::new(out, PollFlags::POLLOUT)];
    let _ = poll(&mut fds, PollTimeout::NONE);
}
