//! Real file calls on our own mount, so that inotify tells the truth.
//!
//! The mountpoint is opened for each batch and closed again: a descriptor that is kept would make
//! `umount` fail. Nothing here ever steps over into another file system.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::herald::{Ghost, Herald, KernelNotify};
use super::shared::Shared;
use crate::model::{Change, Ino};
use crate::sys::mounts;

/// Which mount is ours.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MountIdentity {
    /// Where it was mounted first.
    pub point: PathBuf,
    /// Its `st_dev`.
    pub device: u64,
}

impl MountIdentity {
    /// Opens the root of our mount, wherever it can still be reached.
    fn open(&self) -> Option<OwnedFd> {
        self.open_at(&self.point).or_else(|| {
            let mounts = mounts::list().ok()?;
            let ours = |m: &mounts::MountEntry| m.device == self.device && m.root == Path::new("/");
            mounts.into_iter().filter(ours).find_map(|mount| self.open_at(&mount.point))
        })
    }

    fn open_at(&self, point: &Path) -> Option<OwnedFd> {
        let how = OpenHow::new().flags(path_only()).resolve(ResolveFlag::RESOLVE_NO_MAGICLINKS);
        let fd = openat2(AT_FDCWD, point, how).ok()?;
        (status(&fd).ok()?.dev() == self.device).then_some(fd)
    }
}

fn path_only() -> OFlag {
    OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC
}

fn status(fd: &OwnedFd) -> io::Result<std::fs::Metadata> {
    File::from(fd.try_clone()?).metadata()
}

/// Opens a queue without leaving our file system.
fn open_queue(root: &OwnedFd, name: &[u8]) -> nix::Result<OwnedFd> {
    let resolve = ResolveFlag::RESOLVE_NO_XDEV | ResolveFlag::RESOLVE_NO_SYMLINKS;
    let how = OpenHow::new().flags(path_only()).resolve(resolve | ResolveFlag::RESOLVE_BENEATH);
    openat2(root, OsStr::from_bytes(name), how)
}

/// Raises ATTRIB on an open directory. The handler changes nothing for us.
fn touch(queue: &OwnedFd) -> nix::Result<()> {
    // Not "self": this thread's descriptors are its own.
    let path = format!("/proc/thread-self/fd/{}", queue.as_raw_fd());
    let now = TimeSpec::UTIME_NOW;
    utimensat(AT_FDCWD, path.as_str(), &now, &now, UtimensatFlags::FollowSymlink)
}

/// How often and how soon the end of a queue is shown again that something is mounted on.
const BUSY_TRIES: u32 = 5;
const BUSY_PAUSE: Duration = Duration::from_millis(5);

/// Where the herald acts.
pub(super) struct Stage<'a> {
    herald: &'a Herald,
    shared: &'a Shared,
    notify: &'a dyn KernelNotify,
    identity: &'a MountIdentity,
}

impl<'a> Stage<'a> {
    pub(super) fn new(
        herald: &'a Herald,
        shared: &'a Shared,
        notify: &'a dyn KernelNotify,
        identity: &'a MountIdentity,
    ) -> Self {
        Self { herald, shared, notify, identity }
    }

    /// Corrects the kernel's caches. Errors mean that the kernel does not know the thing any more.
    pub(super) fn correct(&self, change: &Change) {
        let outcome = match change {
            Change::Attributes(ino) => self.notify.inval_inode(*ino),
            Change::Entry { parent, name } => self.notify.inval_entry(*parent, name),
            _ => Ok(()),
        };
        if let Err(error) = outcome {
            log::debug!("cache notification: {error}");
        }
    }

    /// Shows the end of a queue: ATTRIB on itself, DELETE on the root, DELETE_SELF when nothing
    /// holds it.
    pub(super) fn show_end(&self, queue: Ino, name: &[u8]) {
        let ghost = Ghost { parent: Ino::ROOT, name: name.into(), ino: queue };
        self.herald.set_ghost(Some(ghost));
        let shown = self.try_end(name);
        self.herald.set_ghost(None);
        if let Err(error) = shown {
            log::debug!("end of a queue not shown: {error}");
            self.end_silently(queue, name);
        } else {
            self.correct(&Change::Attributes(queue));
        }
    }

    fn try_end(&self, name: &[u8]) -> nix::Result<()> {
        let root = self.identity.open().ok_or(Errno::ENODEV)?;
        let mut tries = 0;
        loop {
            if let Ok(queue) = open_queue(&root, name) {
                touch(&queue)?;
            }
            let name = OsStr::from_bytes(name);
            match unlinkat(root.as_fd(), name, UnlinkatFlags::RemoveDir) {
                // Something is mounted on it: dropping the name detaches that.
                Err(Errno::EBUSY) if tries < BUSY_TRIES => {
                    let stale = Change::Entry { parent: Ino::ROOT, name: name.as_bytes().into() };
                    self.correct(&stale);
                    std::thread::sleep(BUSY_PAUSE);
                    tries += 1;
                }
                other => return other,
            }
        }
    }

    /// Makes the kernel forget a queue without any word to inotify.
    pub(super) fn end_silently(&self, queue: Ino, name: &[u8]) {
        if self.notify.delete(Ino::ROOT, queue, name).is_err() {
            self.correct(&Change::Entry { parent: Ino::ROOT, name: name.into() });
        }
        self.correct(&Change::Attributes(queue));
        self.correct(&Change::Attributes(Ino::ROOT));
    }

    /// Shows DELETE for events that vanished.
    pub(super) fn show_gone(&mut self, ghosts: Vec<Ghost>) {
        let root = self.identity.open();
        let mut open: Option<(Ino, OwnedFd)> = None;
        for ghost in ghosts {
            let parent = ghost.parent;
            if open.as_ref().is_none_or(|(ino, _)| *ino != parent) {
                open = root.as_ref().and_then(|root| self.open_by_ino(root, parent));
            }
            let Some((_, queue)) = &open else {
                self.correct(&Change::Attributes(parent));
                continue;
            };
            let name = ghost.name.clone();
            self.herald.set_ghost(Some(ghost));
            let name = OsStr::from_bytes(&name);
            if let Err(error) = unlinkat(queue.as_fd(), name, UnlinkatFlags::NoRemoveDir) {
                log::debug!("removal of an event not shown: {error}");
                self.correct(&Change::Attributes(parent));
            }
            self.herald.set_ghost(None);
        }
    }

    /// Opens a live queue by its number: the name may belong to another one by now.
    fn open_by_ino(&self, root: &OwnedFd, ino: Ino) -> Option<(Ino, OwnedFd)> {
        let name = self.shared.with(|tree, _| tree.queue_name(ino)).0?;
        let queue = open_queue(root, &name).ok()?;
        (status(&queue).ok()?.ino() == ino.0).then_some((ino, queue))
    }

    /// Shows one ATTRIB for each queue in which more vanished than can be told.
    pub(super) fn show_folded(&self, queues: &[Ino]) {
        let Some(root) = self.identity.open() else { return };
        for ino in queues {
            if let Some((_, queue)) = self.open_by_ino(&root, *ino) {
                // The queue may have ended meanwhile; then that is shown.
                let _ = touch(&queue);
            }
            self.correct(&Change::Attributes(*ino));
        }
    }
}
