//! Taking events: hidden in the hands of a consumer until it confirms or lets go.

use super::Tree;
use super::place::Chain;
use crate::model::caller::Now;
use crate::model::change::{Cause, Change};
use crate::model::error::{Outcome, Reason};
use crate::model::handle::HandleId;
use crate::model::inode::Node;
use crate::model::queue::State;
use crate::model::slab::{Key, NIL};
use crate::model::taker::{READ, Taker, WRITE_AND_SEARCH};

/// How much a consumer takes at once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Want {
    /// Most events.
    pub events_max: u32,
    /// Most bytes of names, contents and [`Want::event_bytes`] for each event. The first event is
    /// taken in any case; its content is left out if it does not fit.
    pub bytes_max: usize,
    /// What an event costs beside its name and content.
    pub event_bytes: usize,
}

/// An event in a consumer's hands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Taken {
    /// Its name.
    pub name: Vec<u8>,
    /// Its place number.
    pub seq: u64,
    /// Time of its publication, nanoseconds since 1970.
    pub time_ns: i64,
    /// Bytes of its content.
    pub size: u64,
    /// The content; `None` if it did not fit and is to be read with [`Tree::read_taken`].
    pub data: Option<Vec<u8>>,
}

impl Tree {
    /// Removes the first `confirmed` events that were taken through a handle of
    /// [`Tree::opendir`], puts the others back, and takes the oldest ones of the queue. Each event
    /// needs what `cat` and `rm` of it need.
    ///
    /// # Errors
    /// `BadHandle`, `NotDirectory` for the root, `NotFound` for a queue that ended, `Denied` or
    /// `NotPermitted` if the very first event may not be taken. What was confirmed is removed in any
    /// case.
    pub fn take(
        &mut self,
        id: HandleId,
        confirmed: usize,
        want: Want,
        taker: &Taker<'_>,
        now: Now,
    ) -> Outcome<Vec<Taken>> {
        let queue = self.dirs.get(id.key()).ok_or(Reason::BadHandle)?.queue;
        let queue = queue.ok_or(Reason::NotDirectory)?;
        self.settle(id, confirmed, now);
        self.live_queue(Node::Queue(queue).into())?;
        let mut taken = Vec::new();
        let mut bytes = 0;
        while taken.len() < want.events_max as usize {
            let slot = self.queue(queue).events.head;
            if slot == NIL {
                break;
            }
            if let Err(reason) = self.may_take(queue, slot, taker) {
                if taken.is_empty() {
                    return Err(reason);
                }
                break;
            }
            let cost = want.event_bytes + self.entry(slot).name.as_bytes().len();
            let size = self.file(self.file_of(slot)).payload.len();
            let whole = cost as u64 + size;
            let fits = bytes as u64 + whole <= want.bytes_max as u64;
            if !fits && !taken.is_empty() {
                break;
            }
            bytes += if fits { whole as usize } else { cost };
            taken.push(self.taken(slot, fits, now));
            self.hold_head(queue);
            if let Some(dir) = self.dirs.get_mut(id.key()) {
                dir.held.push(slot);
            }
            if !fits {
                break;
            }
        }
        Ok(taken)
    }

    pub(super) fn taken(&self, slot: u32, with_data: bool, now: Now) -> Taken {
        let entry = self.entry(slot);
        let payload = &self.file(self.file_of(slot)).payload;
        let age_ns = now.boot_ns.saturating_sub(entry.published as i64);
        Taken {
            name: entry.name.as_bytes().to_vec(),
            seq: entry.seq(),
            time_ns: now.wall_ns.saturating_sub(age_ns),
            size: payload.len(),
            data: with_data.then(|| payload.read(0, payload.len() as usize)),
        }
    }

    /// Reads a taken event by its number in the batch.
    ///
    /// # Errors
    /// `BadHandle`, `NotFound` for a number that was not taken.
    pub fn read_taken(
        &self,
        id: HandleId,
        index: usize,
        offset: u64,
        count: usize,
    ) -> Outcome<Vec<u8>> {
        let dir = self.dirs.get(id.key()).ok_or(Reason::BadHandle)?;
        let slot = *dir.held.get(index).ok_or(Reason::NotFound)?;
        Ok(self.file(self.file_of(slot)).payload.read(offset, count))
    }

    /// Removes the first `confirmed` events of a batch and puts the others back.
    fn settle(&mut self, id: HandleId, confirmed: usize, now: Now) {
        let Some(dir) = self.dirs.get_mut(id.key()) else { return };
        let mut held = std::mem::take(&mut dir.held);
        let rest = held.split_off(confirmed.min(held.len()));
        for slot in held {
            let queue = self.queue_of(slot);
            self.release_hold(queue, slot);
            if !self.queue(queue).dead {
                self.leave_behind(slot);
                if self.settings.report_popped {
                    self.report_gone(slot, Cause::Popped);
                }
            }
            self.remove_entry(slot, now);
            self.bury(queue);
        }
        self.put_back(&rest, now);
    }

    /// Lets go of events: they are in their old places again.
    pub(super) fn put_back(&mut self, held: &[u32], now: Now) {
        let Some(first) = held.first() else { return };
        let queue = self.queue_of(*first);
        for slot in held {
            self.release_hold(queue, *slot);
            if self.queue(queue).dead {
                self.detach(*slot, now);
            } else if self.was_spoiled_meanwhile(*slot) {
                self.report_gone(*slot, Cause::Spoiled);
                self.remove_entry(*slot, now);
            }
        }
        if self.queue(queue).dead {
            self.bury(queue);
        } else {
            self.arm_expiry(queue);
            self.changes.push(Change::Returned { queue: Node::Queue(queue).into() });
        }
    }

    /// Whether a write into a new file was refused and its maker went while a consumer had it.
    fn was_spoiled_meanwhile(&self, slot: u32) -> bool {
        let file = self.file(self.file_of(slot));
        file.made == slot && file.spoiled && !file.fresh
    }

    /// Whether a consumer has the entry in its hands.
    pub(super) fn is_held(&self, slot: u32) -> bool {
        self.entry(slot).state() == State::Held
    }

    /// Hides the oldest event.
    fn hold_head(&mut self, queue: Key) {
        let (head, tail) = {
            let list = self.list(queue.slot, Chain::Events);
            (list.head, list.tail)
        };
        let next = if head == tail { NIL } else { self.next_live(head) };
        let list = self.list_mut(queue.slot, Chain::Events);
        list.head = next;
        if tail == head {
            list.tail = NIL;
        }
        list.len -= 1;
        self.entry_mut(head).set_state(State::Held);
        self.queue_mut(queue).held += 1;
    }

    fn release_hold(&mut self, queue: Key, slot: u32) {
        self.entry_mut(slot).set_state(State::Queued);
        self.queue_mut(queue).held -= 1;
        let seq = self.entry(slot).seq();
        let (head, tail) = {
            let list = self.list(queue.slot, Chain::Events);
            (list.head, list.tail)
        };
        let first = head == NIL || seq < self.entry(head).seq();
        let last = tail == NIL || seq > self.entry(tail).seq();
        let list = self.list_mut(queue.slot, Chain::Events);
        list.len += 1;
        if first {
            list.head = slot;
        }
        if last {
            list.tail = slot;
        }
    }

    /// Whether the taker may read and remove an event.
    fn may_take(&self, queue: Key, slot: u32, taker: &Taker<'_>) -> Outcome<()> {
        let dir = self.queue(queue);
        let file = self.file(self.file_of(slot));
        if !taker.may((dir.mode, dir.uid, dir.gid), WRITE_AND_SEARCH)
            || !taker.may((file.mode, file.uid, file.gid), READ)
        {
            return Err(Reason::Denied);
        }
        let may = taker.may_remove((dir.mode, dir.uid), file.uid);
        if may { Ok(()) } else { Err(Reason::NotPermitted) }
    }
}
