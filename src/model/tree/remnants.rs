//! What the kernel keeps of events that went without its knowledge.
//!
//! Whoever unlinks an event by its own name makes the kernel forget it. One that goes through `head`
//! or `tail`, by a consumer, or on the filesystem's own account leaves a name and an inode in the
//! kernel's memory, about 1.1 KB, until memory is short. The tree remembers those, so that the
//! kernel can be told where nobody waits for it.

use super::Tree;
use crate::model::change::Change;
use crate::model::inode::{Ino, Node};
use crate::model::limits::REMNANTS_MAX;
use crate::model::names::Name;

/// A name and an inode that are gone and that the kernel may still keep.
pub struct Remnant {
    /// The queue that the event was in.
    pub queue: Ino,
    /// The event.
    pub ino: Ino,
    name: Name,
}

impl Remnant {
    /// The event's name.
    pub fn name(&self) -> &[u8] {
        self.name.as_bytes()
    }
}

/// The remnants that the kernel was not told of yet.
#[derive(Default)]
pub(super) struct Remnants {
    list: Vec<Remnant>,
    /// All that there ever were.
    count: u64,
}

impl Tree {
    /// How many remnants there are now, and how many there have been since the mount: a number that
    /// stands still while nothing is popped.
    pub fn remnants(&self) -> (usize, u64) {
        (self.remnants.list.len(), self.remnants.count)
    }

    /// Takes all remnants.
    pub fn take_remnants(&mut self) -> Vec<Remnant> {
        std::mem::take(&mut self.remnants.list)
    }

    /// Whether the name of a remnant belongs to nothing today: a new event may have it.
    pub fn is_gone(&self, remnant: &Remnant) -> bool {
        self.live_queue(remnant.queue).is_ok_and(|key| self.find(key, remnant.name()).is_none())
    }

    /// Remembers an entry that is removed without its name being unlinked. The kernel forgets the
    /// name of an open one at once: kept beyond the last close, it would hold the queue.
    pub(super) fn leave_behind(&mut self, slot: u32) {
        let key = self.file_of(slot);
        if self.file(key).opens > 0 {
            return self.forget_if_open(slot);
        }
        if self.remnants.list.len() >= REMNANTS_MAX {
            return;
        }
        if self.remnants.list.is_empty() {
            self.changes.push(Change::Remnants);
        }
        let queue = Node::Queue(self.queue_of(slot)).into();
        let name = Name::new(self.entry(slot).name.as_bytes());
        self.remnants.list.push(Remnant { queue, ino: Node::File(key).into(), name });
        self.remnants.count += 1;
    }
}
