//! The thread that tells the kernel's caches and inotify what changed beside requests.

use std::collections::{HashSet, VecDeque};
use std::io;
use std::time::Duration;

use super::remnants::Collector;
use super::shared::{NotifyPolicy, Shared};
use super::sync::{self, AtomicU32, Condvar, Mutex, MutexGuard, Ordering};
use super::visible::{MountIdentity, Stage};
use crate::model::{Change, Ino};
use crate::sys::{background, process};

/// Vanished events that wait to be shown one by one; beyond, each queue gets one ATTRIB.
const GONE_MAX: usize = 8_192;

/// Vanished events shown before queue ends are looked at again.
const BATCH: usize = 128;

/// How long the end of the process waits for what the herald is doing. It waits for nobody but our
/// own session, so that is never reached unless something hangs anyway.
const REST_WAIT: Duration = Duration::from_secs(2);

/// The kernel's caches, as the FUSE edge can reach them.
pub trait KernelNotify: Send + Sync {
    /// Forget the attributes of an inode.
    ///
    /// # Errors
    /// What the kernel says.
    fn inval_inode(&self, ino: Ino) -> io::Result<()>;

    /// Forget a name. Waits for whoever holds the directory's lock: for what no file call can do.
    ///
    /// # Errors
    /// What the kernel says.
    fn inval_entry(&self, parent: Ino, name: &[u8]) -> io::Result<()>;

    /// A name is gone for good. Waits like [`KernelNotify::inval_entry`].
    ///
    /// # Errors
    /// What the kernel says: `ENOTEMPTY` while names below it are in use.
    fn delete(&self, parent: Ino, child: Ino, name: &[u8]) -> io::Result<()>;

    /// Forget files that nobody uses, with all their names.
    ///
    /// # Errors
    /// `Unsupported` by kernels before 6.18; what else the kernel says.
    fn prune(&self, inos: &[Ino]) -> io::Result<()>;
}

/// What is about to be removed once more, for inotify's sake, from the directory `parent`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Ghost {
    pub(super) parent: Ino,
    pub(super) name: Box<[u8]>,
    /// The inode that is meant, whatever has the name now.
    pub(super) ino: Ino,
    /// Whether the removal is to succeed, so that inotify tells of it. Else it is answered with EINTR:
    /// then the kernel forgets the name and says nothing.
    pub(super) told: bool,
}

#[derive(Default)]
struct Inbox {
    /// Caches to correct.
    stale: VecDeque<Change>,
    stale_inodes: HashSet<Ino>,
    ended: VecDeque<(Ino, Box<[u8]>)>,
    gone: VecDeque<Ghost>,
    folded: HashSet<Ino>,
    /// The tree has remnants for the kernel to forget.
    remnants: bool,
}

/// The herald's inbox and what it is about.
pub struct Herald {
    policy: NotifyPolicy,
    inbox: Mutex<Inbox>,
    bell: Condvar,
    thread: AtomicU32,
    ghost: Mutex<Option<Ghost>>,
    /// Held while the herald acts.
    acting: Mutex<()>,
}

/// Work taken from the inbox.
pub(super) enum Work {
    Stale(Change),
    Ended(Ino, Box<[u8]>),
    Gone(Vec<Ghost>),
    Folded(Vec<Ino>),
    Remnants,
}

impl Herald {
    pub(super) fn new(policy: NotifyPolicy) -> Self {
        Self {
            policy,
            inbox: Mutex::default(),
            bell: Condvar::new(),
            thread: AtomicU32::new(0),
            ghost: Mutex::new(None),
            acting: Mutex::new(()),
        }
    }

    /// Lets the herald finish what it is doing and begin nothing more while the answer is kept. To
    /// be called before the process ends: a file call of the herald that the session thread, being
    /// gone, never answers cannot be killed and would keep the process half alive for ever.
    pub fn rest(&self) -> Option<MutexGuard<'_, ()>> {
        self.acting.try_lock_for(REST_WAIT)
    }

    /// Whether a request comes from the herald itself: such a request changes nothing.
    pub fn is_herald(&self, tid: u32) -> bool {
        tid != 0 && tid == self.thread.load(Ordering::Relaxed)
    }

    /// What the herald is removing at the moment.
    pub(super) fn ghost(&self) -> Option<Ghost> {
        self.ghost.lock().clone()
    }

    pub(super) fn set_ghost(&self, ghost: Option<Ghost>) {
        *self.ghost.lock() = ghost;
    }

    pub(super) fn announce(&self, change: Change) {
        let mut inbox = self.inbox.lock();
        match change {
            Change::Attributes(ino) => inbox.add_stale_inode(ino),
            Change::QueueEnded { queue, name } => inbox.ended.push_back((queue, name)),
            Change::Gone { queue, .. } if self.policy == NotifyPolicy::Silent => {
                inbox.add_stale_inode(queue);
            }
            Change::Gone { queue, ino, name, .. } => {
                if inbox.gone.len() < GONE_MAX {
                    inbox.gone.push_back(Ghost { parent: queue, name, ino, told: true });
                } else {
                    inbox.folded.insert(queue);
                }
            }
            Change::Returned { queue } => {
                inbox.folded.insert(queue);
            }
            Change::Remnants => inbox.remnants = true,
            other => inbox.stale.push_back(other),
        }
        self.bell.notify_one();
    }

    /// Waits for work. What the kernel keeps is looked after between the corrections, which somebody
    /// may notice, and what inotify is told, which may go on for long.
    fn next(&self, collector: &mut Collector) -> Work {
        let mut inbox = self.inbox.lock();
        loop {
            let now = sync::now();
            if std::mem::take(&mut inbox.remnants) {
                collector.begin(now);
            }
            if let Some(work) = inbox.take_urgent() {
                return work;
            }
            if collector.due().is_some_and(|at| at <= now) {
                return Work::Remnants;
            }
            if let Some(work) = inbox.take() {
                return work;
            }
            match collector.due() {
                Some(at) => drop(self.bell.wait_until(&mut inbox, at)),
                None => self.bell.wait(&mut inbox),
            }
        }
    }

    /// Runs until the process ends.
    pub(super) fn run(&self, shared: &Shared, notify: &dyn KernelNotify, identity: &MountIdentity) {
        if let Err(error) = background::leave_descriptors() {
            log::debug!("a kill may leave this process hanging: {error}");
        }
        self.thread.store(process::thread_id(), Ordering::Relaxed);
        let stage = Stage::new(self, shared, notify, identity);
        let mut collector = Collector::default();
        loop {
            let work = self.next(&mut collector);
            let _acting = self.acting.lock();
            match work {
                Work::Stale(change) => stage.correct(change),
                Work::Ended(queue, name) if self.policy == NotifyPolicy::Silent => {
                    stage.end_silently(queue, &name);
                }
                Work::Ended(queue, name) => stage.show_end(queue, &name),
                Work::Gone(ghosts) => stage.remove(ghosts),
                Work::Folded(queues) => stage.show_folded(&queues),
                Work::Remnants => {
                    let forget = |ghosts| stage.remove(ghosts);
                    collector.step(shared, notify, forget, sync::now());
                }
            }
        }
    }
}

impl Inbox {
    fn add_stale_inode(&mut self, ino: Ino) {
        if self.stale_inodes.insert(ino) {
            self.stale.push_back(Change::Attributes(ino));
        }
    }

    fn take_urgent(&mut self) -> Option<Work> {
        if let Some((queue, name)) = self.ended.pop_front() {
            return Some(Work::Ended(queue, name));
        }
        if let Some(change) = self.stale.pop_front() {
            if let Change::Attributes(ino) = &change {
                self.stale_inodes.remove(ino);
            }
            return Some(Work::Stale(change));
        }
        None
    }

    fn take(&mut self) -> Option<Work> {
        if !self.gone.is_empty() {
            let count = self.gone.len().min(BATCH);
            return Some(Work::Gone(self.gone.drain(..count).collect()));
        }
        if self.folded.is_empty() {
            return None;
        }
        Some(Work::Folded(self.folded.drain().collect()))
    }
}
