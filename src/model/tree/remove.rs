//! Removing names.

use super::{DOOR, Tree, is_link_name};
use crate::model::caller::Now;
use crate::model::change::Cause;
use crate::model::error::{Outcome, Reason};
use crate::model::inode::{Ino, Node};
use crate::model::queue::State;
use crate::model::slab::Key;

impl Tree {
    /// Removes a name of a queue; `head` and `tail` remove what they point to.
    ///
    /// # Errors
    /// `NotFound`, `IsDirectory` in the root.
    pub fn unlink(&mut self, parent: Ino, name: &[u8], now: Now) -> Outcome<()> {
        if parent == Ino::ROOT {
            let known = self.queue_names.contains_key(name);
            return Err(if known { Reason::IsDirectory } else { Reason::NotFound });
        }
        let queue = self.live_queue(parent)?;
        if name == DOOR {
            return Err(Reason::NotPermitted);
        }
        let by_link = is_link_name(name);
        let slot = if by_link { self.link_target(queue, name) } else { self.find(queue, name) };
        let slot = slot.ok_or(Reason::NotFound)?;
        if by_link {
            self.leave_behind(slot);
            if self.settings.report_popped {
                self.report_gone(slot, Cause::Popped);
            }
        }
        self.remove_entry(slot, now);
        Ok(())
    }

    /// Removes an entry by somebody's order and counts it.
    pub(super) fn remove_entry(&mut self, slot: u32, now: Now) {
        let queue = self.queue_of(slot);
        if self.entry(slot).state() == State::Queued {
            self.queue_mut(queue).removed += 1;
        }
        self.detach(slot, now);
    }

    /// Removes an empty queue.
    ///
    /// # Errors
    /// `NotEmpty` (staged files count), `NotFound`, `NotDirectory` inside a queue.
    pub fn rmdir(&mut self, parent: Ino, name: &[u8], now: Now) -> Outcome<()> {
        let key = self.child_queue(parent, name)?;
        if self.queue(key).entries() > 0 {
            return Err(Reason::NotEmpty);
        }
        self.end_queue(key, now);
        Ok(())
    }

    fn child_queue(&self, parent: Ino, name: &[u8]) -> Outcome<Key> {
        match parent.node() {
            Node::Root => self.queue_names.get(name).copied().ok_or(Reason::NotFound),
            _ => {
                let queue = self.live_queue(parent)?;
                let known = super::is_reserved_name(name) || self.find(queue, name).is_some();
                Err(if known { Reason::NotDirectory } else { Reason::NotFound })
            }
        }
    }
}
