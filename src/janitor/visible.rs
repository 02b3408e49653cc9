//! Real file calls on our own mount, so that inotify tells the truth.
//!
//! The mountpoint is opened for each batch and closed again: a descriptor that is kept would make
//! `umount` fail. Nothing here ever steps over into another file system.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;

use super::herald::{Ghost, Herald, KernelNotify};
use super::shared::Shared;
use super::sync::thread;
use crate::model::{Change, Ino};
use crate::sys::dir::Dir;
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
    fn open(&self) -> Option<Dir> {
        self.open_at(&self.point).or_else(|| {
            let mounts = mounts::list().ok()?;
            let ours = |m: &mounts::MountEntry| m.device == self.device && m.root == Path::new("/");
            mounts.into_iter().filter(ours).find_map(|mount| self.open_at(&mount.point))
        })
    }

    fn open_at(&self, point: &Path) -> Option<Dir> {
        let dir = Dir::open(point).ok()?;
        (dir.identity().ok()?.device == self.device).then_some(dir)
    }
}

/// How often and how soon the end of a queue is shown again that something is mounted on.
const BUSY_TRIES: u32 = 5;
const BUSY_PAUSE: Duration = Duration::from_millis(5);

/// A notification that fails is of something that the kernel does not know any more.
fn note(outcome: io::Result<()>) {
    if let Err(error) = outcome {
        log::debug!("cache notification: {error}");
    }
}

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

    /// Corrects the kernel's caches.
    pub(super) fn correct(&self, change: Change) {
        match change {
            Change::Attributes(ino) => self.refresh(ino),
            Change::Entry { parent, ino, name } => {
                self.remove(vec![Ghost { parent, name, ino, told: false }]);
            }
            _ => {}
        }
    }

    /// Has the kernel ask anew for attributes.
    fn refresh(&self, ino: Ino) {
        note(self.notify.inval_inode(ino));
    }

    /// Shows the end of a queue: ATTRIB on itself, DELETE on the root, DELETE_SELF when nothing
    /// holds it.
    pub(super) fn show_end(&self, queue: Ino, name: &[u8]) {
        match self.try_end(queue, name, true) {
            Ok(()) => self.refresh(queue),
            Err(error) => {
                log::debug!("end of a queue not shown: {error}");
                self.end_by_notification(queue, name);
            }
        }
    }

    /// Makes the kernel forget a queue without any word to inotify.
    pub(super) fn end_silently(&self, queue: Ino, name: &[u8]) {
        // Before the name goes it must know that the queue has no links left.
        self.refresh(queue);
        if let Err(error) = self.try_end(queue, name, false) {
            log::debug!("end of a queue by notification: {error}");
            self.end_by_notification(queue, name);
        }
        self.refresh(Ino::ROOT);
    }

    fn try_end(&self, queue: Ino, name: &[u8], told: bool) -> nix::Result<()> {
        let ghost = Ghost { parent: Ino::ROOT, name: name.into(), ino: queue, told };
        self.herald.set_ghost(Some(ghost));
        let ended = self.try_rmdir(name, told);
        self.herald.set_ghost(None);
        ended
    }

    fn try_rmdir(&self, name: &[u8], told: bool) -> nix::Result<()> {
        let root = self.identity.open().ok_or(Errno::ENODEV)?;
        let mut tries = 0;
        loop {
            match root.open_in(name) {
                Ok(queue) if told => queue.touch()?,
                // The kernel asks for its links.
                Ok(queue) => drop(queue.identity()),
                Err(_) => {}
            }
            match root.rmdir(name) {
                // Something is mounted on it: dropping the name detaches that.
                Err(Errno::EBUSY) if tries < BUSY_TRIES => {
                    note(self.notify.inval_entry(Ino::ROOT, name));
                    thread::sleep(BUSY_PAUSE);
                    tries += 1;
                }
                Err(Errno::EINTR) if !told => return Ok(()),
                other => return other,
            }
        }
    }

    /// Makes the kernel forget a queue where no file call can.
    fn end_by_notification(&self, queue: Ino, name: &[u8]) {
        if self.notify.delete(Ino::ROOT, queue, name).is_err() {
            note(self.notify.inval_entry(Ino::ROOT, name));
        }
        self.refresh(queue);
        self.refresh(Ino::ROOT);
    }

    /// Removes events once more, so that inotify tells of it, or so that the kernel forgets them.
    pub(super) fn remove(&self, ghosts: Vec<Ghost>) {
        let root = self.identity.open();
        let mut open: Option<(Ino, Dir)> = None;
        for ghost in ghosts {
            let parent = ghost.parent;
            if open.as_ref().is_none_or(|(ino, _)| *ino != parent) {
                open = root.as_ref().and_then(|root| self.open_by_ino(root, parent));
            }
            let removed = match &open {
                Some((_, queue)) => self.remove_in(queue, &ghost),
                None => Err(Errno::ENODEV),
            };
            match removed {
                Ok(()) => {}
                Err(error) if ghost.told => {
                    log::debug!("removal of an event not shown: {error}");
                    self.refresh(parent);
                }
                Err(_) => note(self.notify.inval_entry(parent, &ghost.name)),
            }
        }
    }

    fn remove_in(&self, queue: &Dir, ghost: &Ghost) -> nix::Result<()> {
        self.herald.set_ghost(Some(ghost.clone()));
        let removed = queue.unlink(&ghost.name);
        self.herald.set_ghost(None);
        match removed {
            Err(Errno::EINTR) if !ghost.told => Ok(()),
            // The kernel knows no such name: there was nothing to forget.
            Err(Errno::ENOENT) if !ghost.told => Ok(()),
            other => other,
        }
    }

    /// Opens a live queue by its number: the name may belong to another one by now.
    fn open_by_ino(&self, root: &Dir, ino: Ino) -> Option<(Ino, Dir)> {
        let name = self.shared.with(|tree, _| tree.queue_name(ino)).0?;
        let queue = root.open_in(&name).ok()?;
        (queue.identity().ok()?.ino == ino.0).then_some((ino, queue))
    }

    /// Shows one ATTRIB for each queue in which more vanished than can be told.
    pub(super) fn show_folded(&self, queues: &[Ino]) {
        let Some(root) = self.identity.open() else { return };
        for ino in queues {
            if let Some((_, queue)) = self.open_by_ino(&root, *ino) {
                // The queue may have ended meanwhile; then that is shown.
                let _ = queue.touch();
            }
            self.refresh(*ino);
        }
    }
}
