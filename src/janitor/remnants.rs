//! Giving back what the kernel keeps of events that went without its knowledge: about 1.1 KB each.
//!
//! It is done when nothing has been popped for a moment, because it costs a drain a sixth of its speed;
//! or when there are very many.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use super::herald::{Ghost, KernelNotify};
use super::shared::Shared;
use crate::model::{Ino, Remnant};

/// How long nothing must have been popped.
pub(super) const PAUSE: Duration = Duration::from_millis(250);

/// So many are not left for later: some 72 MB in the kernel.
pub(super) const MANY: usize = 64 << 10;

/// Told to the kernel in one notification.
pub(super) const BATCH: usize = 256;

/// Told to a kernel that wants to hear of each by name, and that may wait for a directory's lock
/// each time, before other work is looked at.
const BATCH_BY_NAME: usize = 32;

/// What the herald knows of remnants.
#[derive(Default)]
pub(super) struct Collector {
    /// When to look again.
    next: Option<Instant>,
    /// How many there had been at the last look.
    seen: u64,
    /// Taken from the tree, still to be told.
    taken: VecDeque<Remnant>,
    /// Whether the kernel is too old to forget inodes by number.
    by_name: bool,
}

impl Collector {
    /// There are remnants.
    pub(super) fn begin(&mut self, now: Instant) {
        self.next.get_or_insert(now + PAUSE);
    }

    /// When [`Collector::step`] is to be called; `None` if there is nothing to do.
    pub(super) fn due(&self) -> Option<Instant> {
        self.next
    }

    /// Looks for remnants whose time has come, and tells the kernel of one batch of them.
    /// `forget` takes what is to be told name by name.
    pub(super) fn step(
        &mut self,
        shared: &Shared,
        notify: &dyn KernelNotify,
        forget: impl FnOnce(Vec<Ghost>),
        now: Instant,
    ) {
        if self.taken.is_empty() {
            self.look(shared, now);
        }
        if self.taken.is_empty() {
            return;
        }
        if let Err(error) = self.tell(shared, notify, forget) {
            log::debug!("the kernel keeps {} names: {error}", self.taken.len());
            self.taken.clear();
        }
        // Another look at the end: more may have come meanwhile.
        self.next = Some(if self.taken.is_empty() { now + PAUSE } else { now });
    }

    fn look(&mut self, shared: &Shared, now: Instant) {
        let (seen, next) = (self.seen, now + PAUSE);
        let ((taken, count, left), _after) = shared.with(|tree, _| {
            let (len, count) = tree.remnants();
            let take = count == seen || len >= MANY;
            let taken = if take { tree.take_remnants() } else { Vec::new() };
            (taken, count, len > 0 && !take)
        });
        self.seen = count;
        self.taken = taken.into();
        self.next = left.then_some(next);
    }

    fn tell(
        &mut self,
        shared: &Shared,
        notify: &dyn KernelNotify,
        forget: impl FnOnce(Vec<Ghost>),
    ) -> io::Result<()> {
        if !self.by_name {
            let inos: Vec<Ino> = self.taken.iter().take(BATCH).map(|r| r.ino).collect();
            match notify.prune(&inos) {
                Ok(()) => {
                    self.taken.drain(..inos.len());
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::Unsupported => self.by_name = true,
                Err(error) => return Err(error),
            }
        }
        let count = self.taken.len().min(BATCH_BY_NAME);
        let gone = |remnant: &Remnant| shared.with(|tree, _| tree.is_gone(remnant)).0;
        forget(self.taken.drain(..count).filter(gone).map(ghost).collect());
        Ok(())
    }
}

/// Its name is to be forgotten, and inotify told nothing.
fn ghost(remnant: Remnant) -> Ghost {
    let name = remnant.name().into();
    Ghost { parent: remnant.queue, name, ino: remnant.ino, told: false }
}
