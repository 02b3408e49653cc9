//! Taking events out of a queue, each by exactly one consumer.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::errno::Errno;
use nix::unistd::{UnlinkatFlags, unlinkat};

use crate::sys::ioctl::exchange;
use crate::wire::{self, BEGIN, Buffer, Event, READ, SCAN, TAKE};

/// An open queue from which events are taken.
///
/// What is taken is hidden from everybody else, and returns to its old place when the consumer is
/// dropped, or its process killed, before it has confirmed.
pub struct Consumer {
    queue: OwnedFd,
    buffer: Box<Buffer>,
}

impl Consumer {
    /// Opens a queue for taking. Needs read permission on it, and what `rm` in it needs.
    ///
    /// # Errors
    /// `ENOTTY` where the directory is no queue of an eventfs; `EACCES`, `EROFS`, `ENOENT` as for
    /// `rm`.
    pub fn open(queue: &Path) -> io::Result<Self> {
        let buffer = Box::new([0; wire::BUFFER_BYTES]);
        let mut consumer = Self { queue: open_directory(queue)?, buffer };
        consumer.ask_permission()?;
        Ok(consumer)
    }

    /// Lets the kernel check what it checks for a removal.
    fn ask_permission(&mut self) -> io::Result<()> {
        self.exchange(BEGIN)?;
        let number = wire::number(&*self.buffer).map_err(malformed)?;
        let name = wire::permit_name(number);
        match unlinkat(self.queue.as_fd(), name.as_str(), UnlinkatFlags::NoRemoveDir) {
            Err(Errno::EALREADY) => Ok(()),
            Err(error) => Err(error.into()),
            Ok(()) => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    fn exchange(&mut self, command: u8) -> io::Result<()> {
        exchange(self.queue.as_fd(), wire::request(command), &mut self.buffer)
    }

    /// Removes the first `confirmed` events of the last batch, puts its rest back, and takes up to
    /// `events_max` of the oldest events; fewer where they do not fit 16 KiB, none in an empty queue.
    ///
    /// # Errors
    /// `EACCES` or `EPERM` if the oldest event may not be read or removed, `ENOENT` when the queue
    /// has ended.
    pub fn take(&mut self, confirmed: usize, events_max: u32) -> io::Result<Vec<Event>> {
        let confirmed = u32::try_from(confirmed).unwrap_or(u32::MAX);
        wire::ask_take(&mut self.buffer, confirmed, events_max);
        self.exchange(TAKE)?;
        wire::batch(&*self.buffer).map_err(malformed)
    }

    /// Reads from a taken event whose content was not in the batch: its number there, the offset.
    /// An empty answer is the end.
    ///
    /// # Errors
    /// `ENOENT` for a number that was not taken.
    pub fn read(&mut self, index: usize, offset: u64) -> io::Result<Vec<u8>> {
        wire::ask_read(&mut self.buffer, u32::try_from(index).unwrap_or(u32::MAX), offset);
        self.exchange(READ)?;
        wire::piece(&*self.buffer).map(<[u8]>::to_vec).map_err(malformed)
    }

}

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
        Ok(Self { queue: open_directory(queue)?, buffer: Box::new([0; wire::BUFFER_BYTES]) })
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

fn open_directory(path: &Path) -> io::Result<OwnedFd> {
    let flags = libc::O_DIRECTORY | libc::O_CLOEXEC;
    Ok(File::options().read(true).custom_flags(flags).open(path)?.into())
}

fn malformed(_: wire::Malformed) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the daemon's answer cannot be read")
}
