//! Waking up when a file grows or its name is given to another.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::Path;
use std::time::Duration;

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};

/// How often a file is looked at: file systems of the network tell inotify nothing of what others do.
const POLL_EVERY: Duration = Duration::from_secs(1);

/// The same where inotify is not to be had.
const POLL_ALONE_EVERY: Duration = Duration::from_millis(100);

/// Listens to a directory and to a file.
#[derive(Debug)]
pub(super) struct Watch {
    inotify: Option<Inotify>,
    directory: bool,
    file: Option<WatchDescriptor>,
}

impl Watch {
    pub(super) fn new() -> Self {
        let flags = InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK;
        Self { inotify: Inotify::init(flags).ok(), directory: false, file: None }
    }

    /// Listens to the directory of a path for names that come and go.
    pub(super) fn follow_name(&mut self, path: &Path) {
        if self.directory {
            return;
        }
        let parent = path.parent().filter(|parent| *parent != Path::new(""));
        let flags = AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_MOVED_FROM
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_ONLYDIR;
        if let Some(inotify) = &self.inotify {
            let directory = parent.unwrap_or(Path::new("."));
            self.directory = inotify.add_watch(directory, flags).is_ok();
        }
    }

    /// Listens to this file and to no other.
    pub(super) fn follow_file(&mut self, file: BorrowedFd<'_>) {
        let Some(inotify) = &self.inotify else { return };
        if let Some(before) = self.file.take() {
            // The kernel may have taken it away with the file.
            let _ = inotify.rm_watch(before);
        }
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        let flags = AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_ATTRIB;
        self.file = inotify.add_watch(path.as_str(), flags).ok();
    }

    /// Forgets what was told: everything is looked at anyway.
    pub(super) fn drain(&self) {
        if let Some(inotify) = &self.inotify {
            while inotify.read_events().is_ok_and(|events| !events.is_empty()) {}
        }
    }

    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.inotify.as_ref().map(|inotify| inotify.as_fd())
    }

    /// When to look without being told.
    pub(super) fn pause(&self) -> Duration {
        if self.directory && self.file.is_some() { POLL_EVERY } else { POLL_ALONE_EVERY }
    }
}
