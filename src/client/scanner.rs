//! Looking into a queue without taking anything.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use super::consumer::malformed;
use crate::sys::ioctl::exchange;
use crate::wire::{self, Buffer, Event, SCAN};

/// An open queue that is looked at; nothing is taken.
pub struct Scanner {
    queue: OwnedFd,
    buffer: Box<Buffer>,
}

impl Scanner {
    /// Opens a queue for looking. Needs read permission on it.
    ///
    /// # Errors
    /// What `ls` would meet.
    pub fn open(queue: &Path) -> io::Result<Self> {
        let flags = libc::O_DIRECTORY | libc::O_CLOEXEC;
        let queue = File::options().read(true).custom_flags(flags).open(queue)?.into();
        Ok(Self { queue, buffer: Box::new([0; wire::BUFFER_BYTES]) })
    }

    /// The number of the newest event ever published, and the next events with a number above
    /// `since`, as many as fit 16 KiB. An event's content is left out where it does not fit or may
    /// not be read.
    ///
    /// # Errors
    /// `ENOTTY` where the directory is no queue of an eventfs, `ENOENT` when the queue has ended.
    pub fn scan(&mut self, since: u64) -> io::Result<(u64, Vec<Event>)> {
        wire::ask_scan(&mut self.buffer, since, u32::MAX);
        exchange(self.queue.as_fd(), wire::request(SCAN), &mut self.buffer)?;
        wire::scanned(&*self.buffer).map_err(malformed)
    }

    /// Device and inode of the directory.
    ///
    /// # Errors
    /// What the system says.
    pub fn identity(&self) -> io::Result<(u64, u64)> {
        let metadata = File::from(self.queue.try_clone()?).metadata()?;
        Ok((metadata.dev(), metadata.ino()))
    }

    /// Whether the directory was removed or its queue has ended.
    ///
    /// # Errors
    /// What the system says.
    pub fn has_ended(&self) -> io::Result<bool> {
        Ok(File::from(self.queue.try_clone()?).metadata()?.nlink() == 0)
    }

    /// The open directory.
    pub fn directory(&self) -> BorrowedFd<'_> {
        self.queue.as_fd()
    }
}
