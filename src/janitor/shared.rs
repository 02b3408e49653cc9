//! The tree behind its lock, and where its changes go.

use std::sync::Arc;

use super::courier::Courier;
use super::herald::{Herald, KernelNotify};
use super::owners::Owners;
use super::reaper;
use super::sync::{Mutex, thread};
use super::trimmer::Trimmer;
use super::visible::MountIdentity;
use crate::model::{Change, Now, OwnerId, Payload, Tree};
use crate::sys::clock;

/// What inotify is told of changes that nobody made by a file call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NotifyPolicy {
    /// Everything, through file calls on our own mount.
    Visible,
    /// Nothing; only the kernel's caches are kept right.
    Silent,
}

/// The tree and everybody who hears of its changes. One for each mount.
pub struct Shared {
    tree: Mutex<Tree>,
    pub(super) owners: Owners,
    pub(super) herald: Herald,
    trimmer: Trimmer,
}

/// What is left to do when the lock is free and the caller has its answer. Dropping it does it.
pub struct After<'a> {
    shared: &'a Shared,
    changes: Vec<Change>,
    _trash: Vec<Payload>,
}

impl Drop for After<'_> {
    fn drop(&mut self) {
        for change in self.changes.drain(..) {
            self.shared.dispatch(change);
        }
    }
}

/// The present.
fn now() -> Now {
    Now { wall_ns: clock::wall_ns(), boot_ns: clock::boot_ns() }
}

impl Shared {
    /// Puts a tree behind its lock.
    ///
    /// # Errors
    /// When no descriptor is left for epoll, or no thread can be started.
    pub fn new(tree: Tree, policy: NotifyPolicy) -> std::io::Result<Arc<Self>> {
        Ok(Arc::new(Self {
            tree: Mutex::new(tree),
            owners: Owners::new()?,
            herald: Herald::new(policy),
            trimmer: Trimmer::start()?,
        }))
    }

    /// Performs an operation under the lock. Answer the caller before [`After`] is dropped.
    pub fn with<R>(&self, operation: impl FnOnce(&mut Tree, Now) -> R) -> (R, After<'_>) {
        let now = now();
        let mut tree = self.tree.lock();
        let result = operation(&mut tree, now);
        let (changes, trash) = (tree.take_changes(), tree.take_trash());
        drop(tree);
        (result, After { shared: self, changes, _trash: trash })
    }

    fn dispatch(&self, change: Change) {
        match change {
            Change::OwnerReleased(owner) => self.owners.release(owner),
            Change::Deadline => self.owners.poller().wake(),
            Change::Drained => self.trimmer.ask(),
            Change::Attributes(_)
            | Change::Entry { .. }
            | Change::Gone { .. }
            | Change::Returned { .. }
            | Change::QueueEnded { .. }
            | Change::Remnants => self.herald.announce(change),
        }
    }

    /// The processes that own queues.
    pub fn owners(&self) -> &Owners {
        &self.owners
    }

    /// What the thread that makes file calls on our own mount is about, for requests from it.
    pub fn herald(&self) -> &Herald {
        &self.herald
    }

    /// Ends the hold on an owner: begins to watch it if a queue was given to it just now, else lets it go.
    pub fn settle(&self, owner: OwnerId, given: bool) {
        if !given {
            self.owners.release(owner);
        } else if self.owners.arm(owner) {
            self.owner_died(owner);
        }
    }

    /// Ends what belongs to a process that has ended.
    pub(super) fn owner_died(&self, owner: OwnerId) {
        while self.with(|tree, now| tree.owner_died(owner, now)).0 {}
    }
}

/// Starts the janitor's threads. They run until the process ends.
///
/// # Errors
/// When no thread can be started.
pub fn start(
    shared: &Arc<Shared>,
    notify: Arc<dyn KernelNotify>,
    identity: MountIdentity,
) -> std::io::Result<()> {
    let for_reaper = Arc::clone(shared);
    thread::Builder::new().name("reaper".into()).spawn(move || reaper::run(&for_reaper))?;
    let courier = Courier::start(notify)?;
    let shared = Arc::clone(shared);
    thread::Builder::new()
        .name("herald".into())
        .spawn(move || shared.herald.run(&shared, &courier, &identity))?;
    Ok(())
}
