//! The file calls that are measured, on names relative to an open directory.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, RenameFlags, open, openat, readlinkat, renameat2};
use nix::sys::stat::{Mode, fstatat, mkdirat};
use nix::unistd::{UnlinkatFlags, linkat, read, unlinkat, write};

/// What an event holds: 200 bytes.
pub(crate) const CONTENT: [u8; 200] = [b'x'; 200];

/// Names of events are 13 bytes long.
pub(crate) const NAME_BYTES: usize = 13;

/// The name of event number so and so.
pub(crate) fn name(number: u32) -> [u8; NAME_BYTES] {
    let mut name = *b"ev-0000000000";
    let mut rest = number;
    for digit in name[3..].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    name
}

/// A directory to work in.
pub(crate) struct Dir(OwnedFd);

impl Dir {
    pub(crate) fn open(path: &Path) -> nix::Result<Self> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        openat(AT_FDCWD, path, flags, Mode::empty()).map(Self)
    }

    /// Puts one event: open, write, close.
    pub(crate) fn put(&self, number: u32) -> nix::Result<()> {
        self.put_at(&name(number))
    }

    /// The same under any name.
    pub(crate) fn put_at(&self, name: &[u8]) -> nix::Result<()> {
        let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_WRONLY | OFlag::O_CLOEXEC;
        let file = openat(&self.0, name, flags, Mode::from_bits_truncate(0o600))?;
        write(&file, &CONTENT).map(drop)
    }

    /// Reads a file and removes its name: open, read, close, unlink.
    pub(crate) fn take(&self, name: &[u8]) -> nix::Result<()> {
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
        let file = openat(&self.0, name, flags, Mode::empty())?;
        let mut content = [0; 4_096];
        let count = read(&file, &mut content)?;
        drop(file);
        assert_eq!(count, CONTENT.len(), "an event has its whole content");
        self.unlink(name)
    }

    pub(crate) fn unlink(&self, name: &[u8]) -> nix::Result<()> {
        unlinkat(&self.0, name, UnlinkatFlags::NoRemoveDir)
    }

    pub(crate) fn readlink(&self, name: &[u8]) -> nix::Result<()> {
        readlinkat(&self.0, name).map(drop)
    }

    pub(crate) fn link(&self, from: &[u8], to: &Dir, name: &[u8]) -> nix::Result<()> {
        linkat(&self.0, from, &to.0, name, AtFlags::empty())
    }

    pub(crate) fn rename(&self, from: &[u8], to: &Dir, name: &[u8]) -> nix::Result<()> {
        renameat2(&self.0, from, &to.0, name, RenameFlags::empty())
    }

    /// Makes a directory and removes it.
    pub(crate) fn mkdir_rmdir(&self, name: &[u8]) -> nix::Result<()> {
        mkdirat(&self.0, name, Mode::S_IRWXU)?;
        unlinkat(&self.0, name, UnlinkatFlags::RemoveDir)
    }
}

/// Something whose attributes nobody may cache: each look costs exactly one round trip.
pub(crate) struct RoundTrip(OwnedFd);

impl RoundTrip {
    /// Takes the `head` link of a queue that holds an event.
    pub(crate) fn of(queue: &Path) -> nix::Result<Self> {
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        open(&queue.join("head"), flags, Mode::empty()).map(Self)
    }

    pub(crate) fn go(&self) -> nix::Result<()> {
        fstatat(self.0.as_fd(), "", AtFlags::AT_EMPTY_PATH).map(drop)
    }
}
