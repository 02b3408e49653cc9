//! Taking events out of a queue, each by exactly one consumer.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::AT_FDCWD;
use nix::unistd::{UnlinkatFlags, unlinkat};

use crate::sys::ioctl::exchange;
use crate::wire::{self, BEGIN, Buffer, DOOR, Event, READ, TAKE};

/// An open queue from which events are taken.
///
/// What is taken is hidden from everybody else, and returns to its old place when the consumer is
/// dropped, or its process killed, before it has confirmed.
pub struct Consumer {
    door: OwnedFd,
    buffer: Box<Buffer>,
}

impl Consumer {
    /// Opens a queue for taking. Needs what `rm` in it needs: write and search permission.
    ///
    /// # Errors
    /// `ENOTTY` where the directory is no queue of an eventfs; `EACCES`, `EROFS`, `ENOENT` as for
    /// `rm`.
    pub fn open(queue: &Path) -> io::Result<Self> {
        let door = open_door(queue)?;
        let mut consumer = Self { door, buffer: Box::new([0; wire::BUFFER_BYTES]) };
        consumer.ask_permission(queue)?;
        Ok(consumer)
    }

    /// Lets the kernel check what it checks for a removal.
    fn ask_permission(&mut self, queue: &Path) -> io::Result<()> {
        self.exchange(BEGIN)?;
        let number = wire::number(&*self.buffer).map_err(malformed)?;
        let permit = queue.join(wire::permit_name(number));
        match unlinkat(AT_FDCWD, &permit, UnlinkatFlags::NoRemoveDir) {
            Err(Errno::EALREADY) => Ok(()),
            Err(error) => Err(error.into()),
            Ok(()) => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    fn exchange(&mut self, command: u8) -> io::Result<()> {
        exchange(self.door.as_fd(), wire::request(command), &mut self.buffer)
    }

    /// Removes the first `confirmed` events of the last batch, puts its rest back, and takes up to
    /// `events_max` of the oldest events; fewer where they do not fit 16 KiB, none in an empty queue.
    ///
    /// # Errors
    /// `EACCES` or `EPERM` if the oldest event may not be read or removed, `ENOENT` when the queue
    /// has ended. What was confirmed is removed all the same.
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

    /// Fetches the content of a taken event, its number in the batch, if it did not fit there.
    ///
    /// # Errors
    /// As [`Consumer::read`].
    pub fn load(&mut self, index: usize, event: &mut Event) -> io::Result<()> {
        if event.data.is_some() {
            return Ok(());
        }
        let mut data = Vec::new();
        loop {
            let piece = self.read(index, data.len() as u64)?;
            if piece.is_empty() {
                break;
            }
            data.extend_from_slice(&piece);
        }
        event.data = Some(data);
        Ok(())
    }
}

fn open_door(queue: &Path) -> io::Result<OwnedFd> {
    // In a directory of another file system it may be anything.
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC;
    let door = queue.join(OsStr::from_bytes(DOOR));
    match File::options().read(true).custom_flags(flags).open(door) {
        Ok(door) => Ok(door.into()),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) && is_directory(queue)? => {
            Err(io::Error::from_raw_os_error(libc::ENOTTY))
        }
        Err(error) => Err(error),
    }
}

/// Whether a directory is there that nobody removed.
fn is_directory(path: &Path) -> io::Result<bool> {
    fs::metadata(path).map(|metadata| metadata.is_dir() && metadata.nlink() > 0)
}

pub(super) fn malformed(_: wire::Malformed) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the daemon's answer cannot be read")
}
