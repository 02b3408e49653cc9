//! Watching a directory for subdirectories that go.

use std::collections::VecDeque;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

/// Names removed from a watched directory.
pub(crate) struct Deletions {
    inotify: Inotify,
    ready: VecDeque<Vec<u8>>,
}

impl Deletions {
    /// Begins to watch for removed subdirectories.
    pub(crate) fn of_directories_in(path: &Path) -> nix::Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
        inotify.add_watch(path, AddWatchFlags::IN_DELETE)?;
        Ok(Self { inotify, ready: VecDeque::new() })
    }

    /// The next removed directory's name; `None` when none goes within the time.
    pub(crate) fn next(&mut self, bound: Duration) -> nix::Result<Option<Vec<u8>>> {
        let end = Instant::now() + bound;
        loop {
            if let Some(name) = self.ready.pop_front() {
                return Ok(Some(name));
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            poll(&mut [PollFd::new(self.inotify.as_fd(), PollFlags::POLLIN)], timeout)?;
            self.take_ready()?;
        }
    }

    fn take_ready(&mut self) -> nix::Result<()> {
        let events = match self.inotify.read_events() {
            Err(Errno::EAGAIN) => return Ok(()),
            other => other?,
        };
        let wanted = AddWatchFlags::IN_DELETE | AddWatchFlags::IN_ISDIR;
        let removed = events.into_iter().filter(|event| event.mask.contains(wanted));
        self.ready.extend(removed.filter_map(|event| Some(event.name?.as_bytes().to_vec())));
        Ok(())
    }
}
