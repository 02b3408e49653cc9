//! One directory that a tap fills: a queue, or any other.
//!
//! The directory is open only while the tap works: an idle tap must not keep a mount busy. Every time it
//! is opened it must be the one that was found at the start; another one under its name is a stranger.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, RenameFlags, openat, renameat2};
use nix::sys::stat::Mode;
use nix::unistd::{AccessFlags, UnlinkatFlags, faccessat, linkat, unlinkat};
use xattr::FileExt as _;

use super::source::Failure;

/// Why something did not get into the directory.
#[derive(Debug)]
pub(super) enum Refusal {
    /// No room just now.
    Full(io::Error),
    /// Larger than the file system takes.
    TooLarge,
    /// The directory, or the whole file system, is gone.
    Gone,
    /// The name is taken.
    Taken,
    /// Anything else.
    Other(io::Error),
}

impl std::convert::From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::ENOSPC | libc::EDQUOT) => Self::Full(error),
            Some(libc::EFBIG) => Self::TooLarge,
            Some(libc::ENOENT | libc::ESTALE | libc::ENOTCONN | libc::ENODEV | libc::ENOTDIR) => {
                Self::Gone
            }
            Some(libc::EEXIST) => Self::Taken,
            _ => Self::Other(error),
        }
    }
}

impl std::convert::From<Errno> for Refusal {
    fn from(error: Errno) -> Self {
        io::Error::from(error).into()
    }
}

/// How a queue that is absent is made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Making {
    /// It outlives the tap.
    pub(super) sticky: bool,
    /// One of another user will do.
    pub(super) shared: bool,
}

#[derive(Debug)]
pub(super) struct Queue {
    pub(super) path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
    /// Whether it is a queue of an eventfs, and so has to be again when it is made anew.
    is_queue: bool,
    open: Option<OwnedFd>,
}

impl Queue {
    /// Finds the directory, or makes it.
    ///
    /// # Errors
    /// One line about the path: it cannot be made, is another user's, or may not be written.
    pub(super) fn prepare(path: &Path, making: Making) -> Result<Self, Failure> {
        let fail = |error: io::Error| Failure::io(path.display(), &error);
        let made = match DirBuilder::new().mode(0o777).create(path) {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
            Err(error) => return Err(fail(error)),
        };
        let is_queue = matches!(xattr::get(path, "user.eventfs_depth"), Ok(Some(_)));
        if made && is_queue {
            settle(path, making).map_err(|error| {
                // It is ours and empty; without its settings nobody should find it.
                let _ = fs::remove_dir(path);
                fail(error)
            })?;
        }
        let metadata = fs::metadata(path).map_err(fail)?;
        if !metadata.is_dir() {
            return Err(fail(io::Error::from_raw_os_error(libc::ENOTDIR)));
        }
        let own = nix::unistd::geteuid().as_raw();
        if metadata.uid() != own && !making.shared {
            let what = path.display();
            return Err(Failure(format!(
                "{what}: belongs to user {}, not to {own}; see --shared",
                metadata.uid()
            )));
        }
        let here = nix::fcntl::AT_FDCWD;
        let access = AccessFlags::W_OK | AccessFlags::X_OK;
        faccessat(here, path, access, AtFlags::AT_EACCESS).map_err(|error| fail(error.into()))?;
        let identity = (metadata.dev(), metadata.ino());
        Ok(Self { path: path.to_owned(), identity, is_queue, open: None })
    }

    /// Finds or makes it again after it was gone. Where a queue was, only a queue will do: while the
    /// file system is not mounted, its mountpoint must stay empty.
    ///
    /// # Errors
    /// As long as it cannot be.
    pub(super) fn prepare_again(&mut self, making: Making) -> Result<(), Failure> {
        self.close();
        if self.is_queue && !parent_may_hold_queues(&self.path) {
            return Err(Failure(format!("{}: no eventfs is mounted there", self.path.display())));
        }
        let again = Self::prepare(&self.path, making)?;
        if self.is_queue && !again.is_queue {
            // Unmounted in this moment: only what was just made goes, and only if empty.
            let _ = fs::remove_dir(&self.path);
            return Err(Failure(format!("{}: no eventfs is mounted there", self.path.display())));
        }
        *self = again;
        Ok(())
    }

    /// The directory, opened if it is not.
    pub(super) fn open(&mut self) -> Result<&OwnedFd, Refusal> {
        if self.open.is_none() {
            let flags = libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC;
            // The access mode is ignored with O_PATH, but std wants one.
            let file = File::options().read(true).custom_flags(flags).open(&self.path)?;
            let metadata = file.metadata()?;
            if (metadata.dev(), metadata.ino()) != self.identity {
                return Err(Refusal::Gone);
            }
            self.open = Some(file.into());
        }
        self.open.as_ref().ok_or(Refusal::Gone)
    }

    /// Lets go of it.
    pub(super) fn close(&mut self) {
        self.open = None;
    }

    /// Whether it is still there, under its name.
    pub(super) fn is_there(&self) -> bool {
        fs::metadata(&self.path).is_ok_and(|metadata| {
            (metadata.dev(), metadata.ino()) == self.identity && metadata.nlink() > 0
        })
    }

    /// Device and inode.
    pub(super) fn identity(&self) -> (u64, u64) {
        self.identity
    }

    /// Makes a file with this content. A refused one leaves nothing behind.
    pub(super) fn create(
        &mut self,
        name: &str,
        content: &[u8],
        attributes: &[(&str, &str)],
    ) -> Result<(), Refusal> {
        // A queue shows a file when it is closed; elsewhere it is made under a dot name, so that nobody
        // meets half of it there either.
        let staged = (!self.is_queue).then(|| format!(".{name}"));
        let directory = self.open()?;
        let made = staged.as_deref().unwrap_or(name);
        let how = if staged.is_some() { OFlag::O_TRUNC } else { OFlag::O_EXCL };
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let mode = Mode::from_bits_truncate(0o666);
        let fd = openat(directory.as_fd(), made, flags | how, mode)?;
        let written = write_and_close(fd, content, attributes).and_then(|()| {
            staged.as_ref().map_or(Ok(()), |staged| publish(directory, staged, name))
        });
        if written.is_err() {
            // On an eventfs it goes with its last close anyway.
            let _ = unlinkat(directory.as_fd(), made, UnlinkatFlags::NoRemoveDir);
        }
        written.map_err(Refusal::from)
    }

    /// Gives an event of this directory to another one too.
    pub(super) fn link(&mut self, name: &str, to: &mut Queue, new: &str) -> Result<(), Refusal> {
        let from = self.open()?;
        let to = to.open()?;
        linkat(from.as_fd(), name, to.as_fd(), new, AtFlags::empty())?;
        Ok(())
    }

    /// Up to `bytes_max` bytes of a file; nothing if it is no regular file or not ours to read.
    pub(super) fn read(&mut self, name: &str, bytes_max: u64) -> Result<Option<Vec<u8>>, Refusal> {
        let directory = self.open()?;
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
        let file = match openat(directory.as_fd(), name, flags, Mode::empty()) {
            Ok(fd) => File::from(fd),
            Err(Errno::EACCES | Errno::ELOOP | Errno::EPERM | Errno::ENXIO) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        if !file.metadata()?.is_file() {
            return Ok(None);
        }
        let mut content = Vec::new();
        file.take(bytes_max).read_to_end(&mut content)?;
        Ok(Some(content))
    }

    /// Appends to a file.
    pub(super) fn append(&mut self, name: &str, rest: &[u8]) -> Result<(), Refusal> {
        let directory = self.open()?;
        let flags = OFlag::O_WRONLY | OFlag::O_APPEND | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let fd = openat(directory.as_fd(), name, flags, Mode::empty())?;
        File::from(fd).write_all(rest)?;
        Ok(())
    }

    /// An extended attribute of the directory.
    pub(super) fn attribute(&self, name: &str) -> Option<Vec<u8>> {
        xattr::get(&self.path, name).ok().flatten()
    }

    /// Sets one, padded with blanks to whole `room`s: so a queue that is full takes a new value too.
    pub(super) fn set_attribute(&self, name: &str, value: &str, room: usize) -> io::Result<()> {
        let length = value.len().next_multiple_of(room.max(1));
        xattr::set(&self.path, name, format!("{value:length$}").as_bytes())
    }

    /// Calls `see` with the names in the directory, in its own order, until that says stop.
    pub(super) fn names(&self, mut see: impl FnMut(&str) -> bool) -> io::Result<()> {
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            let name = entry.file_name();
            if let Ok(name) = std::str::from_utf8(name.as_bytes())
                && !see(name)
            {
                break;
            }
        }
        Ok(())
    }

    /// How many events a queue has, with those that consumers have in hand (`eventfs pop`) and no listing
    /// shows: they come back if their consumer dies, and are gone if the daemon does. 0 for other directories.
    pub(super) fn depth(&self) -> u64 {
        let text = self.attribute("user.eventfs_depth").unwrap_or_default();
        std::str::from_utf8(&text).ok().and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    /// The oldest names of a queue, those among them that consumers have in hand (`eventfs pop`), and
    /// whether that is all of them. Nothing for other directories.
    pub(super) fn oldest(&self) -> Option<(Vec<String>, bool)> {
        let text = self.attribute("user.eventfs_oldest").filter(|_| self.is_queue)?;
        let is_all = !text.ends_with(b"//");
        let names = text.split(|byte| *byte == b'/').filter(|name| !name.is_empty());
        // A name that is no UTF-8 is none of ours.
        let names = names.filter_map(|name| String::from_utf8(name.to_vec()).ok());
        Some((names.collect(), is_all))
    }

    /// Whether its listing shows the oldest first.
    pub(super) fn is_ordered(&self) -> bool {
        self.is_queue
    }
}

fn write_and_close(fd: OwnedFd, content: &[u8], attributes: &[(&str, &str)]) -> io::Result<()> {
    let mut file = File::from(fd);
    file.write_all(content)?;
    for (name, value) in attributes {
        file.set_xattr(name, value.as_bytes())?;
    }
    Ok(nix::unistd::close(OwnedFd::from(file))?)
}

/// Gives a staged file its name, if that is free.
fn publish(directory: &OwnedFd, staged: &str, name: &str) -> io::Result<()> {
    let here = directory.as_fd();
    match renameat2(here, staged, here, name, RenameFlags::RENAME_NOREPLACE) {
        // A file system without that flag.
        Err(Errno::EINVAL) => {
            linkat(here, staged, here, name, AtFlags::empty())?;
            Ok(unlinkat(here, staged, UnlinkatFlags::NoRemoveDir)?)
        }
        other => Ok(other?),
    }
}

/// Gives a queue that was just made its owner.
fn settle(path: &Path, making: Making) -> io::Result<()> {
    if making.sticky {
        return xattr::set(path, "user.eventfs_sticky", b"1");
    }
    // Whatever the mount's `owner=` says: the queue is the tap's.
    xattr::set(path, "user.eventfs_owner", std::process::id().to_string().as_bytes())
}

/// Whether the directory above answers and is on a FUSE file system.
fn parent_may_hold_queues(path: &Path) -> bool {
    let parent = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    nix::sys::statfs::statfs(parent)
        .is_ok_and(|fs| fs.filesystem_type() == nix::sys::statfs::FUSE_SUPER_MAGIC)
}

/// Whether a name in a queue is its own and no event's.
pub(super) fn is_link_name(name: &str) -> bool {
    OsStr::new(name) == "head" || OsStr::new(name) == "tail"
}
