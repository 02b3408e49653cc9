//! Waiting for events without polling.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent};
use nix::sys::time::TimeSpec;

/// Pauses before looking again at a queue of which inotify told something: publication follows the
/// close that inotify reports, by microseconds as a rule.
pub(crate) const SECOND_LOOKS: [Duration; 8] = [
    Duration::from_micros(200),
    Duration::from_millis(1),
    Duration::from_millis(4),
    Duration::from_millis(15),
    Duration::from_millis(50),
    Duration::from_millis(150),
    Duration::from_millis(400),
    Duration::from_millis(1_000),
];

/// Pause between looks at the attributes of a directory, from the kernel's cache: inotify does not
/// tell of a removal while the directory is mounted elsewhere.
pub(crate) const IDLE_PAUSE: Duration = Duration::from_secs(1);

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
            | AddWatchFlags::IN_MOVED_FROM
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
        self.wait_on(deadline, None).map(|woken| woken.unwrap_or(Woken::TimedOut))
    }

    /// As [`Arrivals::wait`], but `None` when nobody reads what is written to `output` any more.
    ///
    /// # Errors
    /// What the system says.
    pub fn wait_while_read(
        &self,
        deadline: Option<Instant>,
        output: BorrowedFd<'_>,
    ) -> io::Result<Option<Woken>> {
        self.wait_on(deadline, Some(output))
    }

    fn wait_on(
        &self,
        deadline: Option<Instant>,
        output: Option<BorrowedFd<'_>>,
    ) -> io::Result<Option<Woken>> {
        loop {
            match self.inotify.read_events() {
                Err(Errno::EAGAIN) => {}
                Err(Errno::EINTR) => continue,
                other => return Ok(Some(Woken::Events(other?))),
            }
            let Some(timeout) = timeout(deadline) else { return Ok(Some(Woken::TimedOut)) };
            let mut fds = vec![PollFd::new(self.inotify.as_fd(), PollFlags::POLLIN)];
            // Errors are told without being asked for.
            fds.extend(output.map(|output| PollFd::new(output, PollFlags::empty())));
            match ppoll(&mut fds, timeout, None) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
            let closed = |fd: &PollFd<'_>| {
                fd.revents().is_some_and(|events| events.contains(PollFlags::POLLERR))
            };
            if fds.get(1).is_some_and(closed) {
                return Ok(None);
            }
        }
    }
}

/// What is left until a deadline, `Some(None)` without one; `None` when it has passed.
fn timeout(deadline: Option<Instant>) -> Option<Option<TimeSpec>> {
    let Some(deadline) = deadline else { return Some(None) };
    let left = deadline.saturating_duration_since(Instant::now());
    (!left.is_zero()).then(|| Some(TimeSpec::from_duration(left)))
}

impl AsFd for Arrivals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}
