//! Waiting for events without polling.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::time::Instant;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent};

/// A watch on directories, set before one looks, so that nothing is missed in between.
pub struct Arrivals {
    inotify: Inotify,
}

/// How a wait ended.
#[derive(Debug)]
pub enum Woken {
    /// Something happened.
    Events(Vec<InotifyEvent>),
    /// The time is over.
    TimedOut,
}

impl Arrivals {
    /// Starts with no directory.
    ///
    /// # Errors
    /// When the user has too many watches.
    pub fn new() -> io::Result<Self> {
        let flags = InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK;
        Ok(Self { inotify: Inotify::init(flags)? })
    }

    /// Adds a directory.
    ///
    /// # Errors
    /// `ENOENT`, `EACCES`, or when the user has too many watches.
    pub fn add(&self, directory: &Path) -> io::Result<nix::sys::inotify::WatchDescriptor> {
        let flags = AddWatchFlags::IN_CLOSE_WRITE
            | AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_ATTRIB
            | AddWatchFlags::IN_DELETE_SELF
            | AddWatchFlags::IN_MOVE_SELF
            | AddWatchFlags::IN_ONLYDIR;
        Ok(self.inotify.add_watch(directory, flags)?)
    }

    /// Waits until something happens, or the deadline; without one for ever.
    ///
    /// # Errors
    /// What the system says.
    pub fn wait(&self, deadline: Option<Instant>) -> io::Result<Woken> {
        loop {
            match self.inotify.read_events() {
                Err(Errno::EAGAIN) => {}
                Err(Errno::EINTR) => continue,
                other => return Ok(Woken::Events(other?)),
            }
            let timeout = match deadline.map(|at| at.saturating_duration_since(Instant::now())) {
                None => PollTimeout::NONE,
                Some(left) if left.is_zero() => return Ok(Woken::TimedOut),
                // Rounded up, so that the deadline has passed afterwards.
                Some(left) => {
                    let ms = left.as_micros().div_ceil(1_000);
                    PollTimeout::try_from(i32::try_from(ms).unwrap_or(i32::MAX))
                        .unwrap_or(PollTimeout::MAX)
                }
            };
            let mut fds = [PollFd::new(self.inotify.as_fd(), PollFlags::POLLIN)];
            match poll(&mut fds, timeout) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Forgets what has happened so far.
    ///
    /// # Errors
    /// What the system says.
    pub fn drain(&self) -> io::Result<()> {
        loop {
            match self.inotify.read_events() {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl AsFd for Arrivals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}
