//! Entries and their places: into a queue, out of it, from staged to published and back.

use super::Tree;
use super::space::{FILE_ROOM, entry_room, xattr_room};
use crate::model::caller::Now;
use crate::model::change::{Cause, Change};
use crate::model::inode::{Ino, Node};
use crate::model::limits::SWEEP_ENTRIES_MAX;
use crate::model::names::Name;
use crate::model::queue::{Entry, List, Overflow, State};
use crate::model::quota::Charge;
use crate::model::slab::{Key, NIL};

/// Which chain of a queue an entry stands in.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum Chain {
    Events,
    Loose,
}

impl Chain {
    pub(super) fn of(entry: &Entry) -> Self {
        match entry.state() {
            State::Queued => Self::Events,
            State::Staged | State::Unfinished => Self::Loose,
            State::Held => Self::Events,
            State::Dead if entry.published == 1 => Self::Events,
            State::Dead => Self::Loose,
        }
    }
}

impl Tree {
    pub(super) fn list(&self, queue: u32, chain: Chain) -> &List {
        let queue = self.queues.at(queue).expect("a chain belongs to a queue");
        if chain == Chain::Events { &queue.events } else { &queue.loose }
    }

    pub(super) fn list_mut(&mut self, queue: u32, chain: Chain) -> &mut List {
        let queue = self.queues.at_mut(queue).expect("a chain belongs to a queue");
        if chain == Chain::Events { &mut queue.events } else { &mut queue.loose }
    }

    /// Links an entry at the end of the chain that its state asks for and gives it a number.
    fn link(&mut self, entry: u32) {
        let queue = self.entry(entry).queue;
        let chain = Chain::of(self.entry(entry));
        let list = self.list_mut(queue, chain);
        let (last, seq) = (list.last, list.next_seq);
        list.next_seq += 1;
        list.last = entry;
        list.tail = entry;
        list.len += 1;
        if last == NIL {
            list.first = entry;
        }
        if list.head == NIL {
            list.head = entry;
        }
        if last != NIL {
            self.entry_mut(last).next = entry;
        }
        let this = self.entry_mut(entry);
        this.prev = last;
        this.next = NIL;
        this.set_seq(seq);
    }

    /// Takes an entry out of the live ones of its chain; if somebody's reading stands on it, a dead
    /// one stays linked in its place. Returns whether the slot is free of links.
    fn unlink_place(&mut self, entry: u32) -> bool {
        let queue = self.entry(entry).queue;
        let chain = Chain::of(self.entry(entry));
        let (head, tail) = (self.list(queue, chain).head, self.list(queue, chain).tail);
        if head == entry && tail == entry {
            // The only one: no search among what consumers hold.
            let list = self.list_mut(queue, chain);
            (list.head, list.tail) = (NIL, NIL);
        } else if head == entry {
            let next = self.next_live(entry);
            self.list_mut(queue, chain).head = next;
        } else if tail == entry {
            let prev = self.prev_live(entry);
            self.list_mut(queue, chain).tail = prev;
        }
        self.list_mut(queue, chain).len -= 1;
        if self.entry(entry).is_pinned() {
            let this = self.entry_mut(entry);
            this.set_state(State::Dead);
            this.published = u64::from(chain == Chain::Events);
            return false;
        }
        self.unchain(entry, chain);
        true
    }

    fn unchain(&mut self, entry: u32, chain: Chain) {
        let (queue, prev, next) = {
            let this = self.entry(entry);
            (this.queue, this.prev, this.next)
        };
        match prev {
            NIL => self.list_mut(queue, chain).first = next,
            prev => self.entry_mut(prev).next = next,
        }
        match next {
            NIL => self.list_mut(queue, chain).last = prev,
            next => self.entry_mut(next).prev = prev,
        }
    }

    /// The next live entry of the chain, or [`NIL`].
    pub(super) fn next_live(&self, entry: u32) -> u32 {
        let mut at = self.entry(entry).next;
        while at != NIL && !self.entry(at).is_live() {
            at = self.entry(at).next;
        }
        at
    }

    pub(super) fn prev_live(&self, entry: u32) -> u32 {
        let mut at = self.entry(entry).prev;
        while at != NIL && !self.entry(at).is_live() {
            at = self.entry(at).prev;
        }
        at
    }

    /// Lets a directory handle stand on an entry, live or dead.
    pub(super) fn pin(&mut self, entry: u32) {
        *self.pins.entry(entry).or_insert(0) += 1;
        self.entry_mut(entry).set_pinned(true);
    }

    /// Lets it go on; a dead entry that nobody stands on any more is freed.
    pub(super) fn unpin(&mut self, entry: u32) {
        let Some(count) = self.pins.get_mut(&entry) else { return };
        *count -= 1;
        if *count > 0 {
            return;
        }
        self.pins.remove(&entry);
        self.entry_mut(entry).set_pinned(false);
        if self.entry(entry).state() == State::Dead {
            let queue = self.queue_of(entry);
            let chain = Chain::of(self.entry(entry));
            self.unchain(entry, chain);
            self.entries.remove(entry);
            self.bury(queue);
        }
    }

    fn name_insert(&mut self, entry: u32) {
        let this = self.entry(entry);
        let hash = self.names.hash(this.queue, this.name.as_bytes());
        let (entries, seed) = (&self.entries, self.names.seed());
        self.names.insert(hash, entry, |slot| seed.of(entries, *slot));
    }

    fn name_remove(&mut self, entry: u32) {
        let this = self.entry(entry);
        let hash = self.names.hash(this.queue, this.name.as_bytes());
        let (entries, seed) = (&self.entries, self.names.seed());
        self.names.remove(hash, entry, |slot| seed.of(entries, *slot));
    }

    /// Gives an entry another name in its place.
    pub(super) fn set_entry_name(&mut self, slot: u32, name: &[u8]) {
        self.name_remove(slot);
        self.entry_mut(slot).name = Name::new(name);
        self.name_insert(slot);
    }

    /// Makes an entry for a file and gives it its place. Limits were checked before.
    pub(super) fn attach(
        &mut self,
        queue: Key,
        file: Key,
        name: &[u8],
        state: State,
        now: Now,
    ) -> u32 {
        let mut entry = Entry::new(queue.slot, file.slot, name);
        entry.set_state(if state == State::Queued { State::Staged } else { state });
        let slot = self.entries.insert(entry);
        self.link(slot);
        self.name_insert(slot);
        self.space.events += 1;
        self.space.bytes += entry_room(name);
        let bytes = self.file(file).bytes();
        self.queue_mut(queue).bytes += bytes;
        self.add_link(file, slot);
        self.touch_queue(queue, now);
        if state == State::Queued { self.publish(slot, now) } else { slot }
    }

    fn add_link(&mut self, file: Key, slot: u32) {
        let old = self.file(file).entry;
        let seq = (self.file(file).nlink == 1).then(|| self.seq_of_event(old)).flatten();
        let this = self.file_mut(file);
        this.nlink += 1;
        match this.nlink {
            1 => this.entry = slot,
            2 => {
                let extra = this.extra();
                extra.links.extend([old, slot]);
                extra.last_seq = extra.last_seq.or(seq);
            }
            _ => {
                this.extra().links.insert(slot);
            }
        }
    }

    /// The place number of an entry that is an event.
    pub(super) fn seq_of_event(&self, slot: u32) -> Option<u64> {
        let entry = self.entry(slot);
        matches!(entry.state(), State::Queued | State::Held).then(|| entry.seq())
    }

    fn drop_link(&mut self, file: Key, slot: u32) {
        let seq = self.seq_of_event(slot);
        self.hand_over(file, slot, NIL);
        let this = self.file_mut(file);
        this.nlink -= 1;
        if this.nlink == 0 {
            this.entry = NIL;
            if this.opens > 0 && this.extra.as_ref().is_none_or(|extra| extra.last_seq.is_none()) {
                this.extra().last_seq = seq;
            }
            return;
        }
        let links = &mut this.extra().links;
        links.remove(&slot);
        if let (1, Some(only)) = (links.len(), links.first().copied()) {
            links.clear();
            this.entry = only;
        }
    }

    pub(super) fn touch_queue(&mut self, queue: Key, now: Now) {
        let queue = self.queue_mut(queue);
        queue.mtime = now.wall_ns;
        queue.ctime = now.wall_ns;
    }

    /// Removes an entry for good, and its file with the last entry and handle.
    pub(super) fn detach(&mut self, slot: u32, now: Now) {
        let (queue, file) = (self.queue_of(slot), self.file_of(slot));
        self.name_remove(slot);
        self.drop_link(file, slot);
        let room = entry_room(self.entry(slot).name.as_bytes());
        if self.unlink_place(slot) {
            self.entries.remove(slot);
        }
        let bytes = self.file(file).bytes();
        self.queue_mut(queue).bytes -= bytes;
        self.space.events -= 1;
        self.give_back(room);
        self.touch_queue(queue, now);
        if self.file(file).opens > 0 || self.file(file).nlink > 0 {
            self.file_mut(file).extra().ctime = now.wall_ns;
            self.changes.push(Change::Attributes(Node::File(file).into()));
        }
        self.free_if_unused(file);
    }

    /// Has the kernel forget the name of an open file before that is removed without the kernel's
    /// knowledge: a name kept beyond the last close would hold the queue.
    pub(super) fn forget_if_open(&mut self, slot: u32) {
        let file = self.file_of(slot);
        if self.file(file).opens > 0 {
            let parent = Node::Queue(self.queue_of(slot)).into();
            let name = self.entry(slot).name.as_bytes().into();
            self.changes.push(Change::Entry { parent, ino: Node::File(file).into(), name });
        }
    }

    /// Frees a file that nothing refers to.
    pub(super) fn free_if_unused(&mut self, key: Key) {
        let file = self.file(key);
        if file.nlink > 0 || file.opens > 0 {
            return;
        }
        let attributes: u64 = file
            .extra
            .as_ref()
            .map_or(0, |extra| extra.xattrs.iter().map(|(n, v)| xattr_room(n, v)).sum());
        let room = FILE_ROOM + file.payload.len() + attributes;
        let charge = Charge { files: 1, bytes: file.bytes(), dirs: 0 };
        let (uid, gid) = (file.uid, file.gid);
        self.ledger.release(uid, gid, charge);
        self.give_back(room);
        if let Some(file) = self.files.remove(key)
            && file.payload.is_large()
        {
            self.trash.push(file.payload);
        }
    }

    /// Gives an entry a place in the other chain. Its slot changes where a reading stands on it.
    fn relist(&mut self, slot: u32, state: State) -> u32 {
        if !self.entry(slot).is_pinned() {
            self.unlink_place(slot);
            self.entry_mut(slot).set_state(state);
            self.link(slot);
            return slot;
        }
        let old = self.entry(slot);
        let mut copy = Entry::new(old.queue, old.file, old.name.as_bytes());
        copy.set_state(state);
        let file = self.file_of(slot);
        let new = self.entries.insert(copy);
        self.name_remove(slot);
        self.unlink_place(slot);
        self.link(new);
        self.name_insert(new);
        let this = self.file_mut(file);
        if this.nlink == 1 {
            this.entry = new;
        } else {
            let links = &mut this.extra().links;
            links.remove(&slot);
            links.insert(new);
        }
        self.hand_over(file, slot, new);
        new
    }

    /// Notes where the entry that was made with a file is now.
    pub(super) fn hand_over(&mut self, file: Key, old: u32, new: u32) {
        let this = self.file_mut(file);
        if this.made == old {
            this.made = new;
        }
    }

    /// Makes a staged or unfinished entry an event at the tail. Returns its slot.
    pub(super) fn publish(&mut self, slot: u32, now: Now) -> u32 {
        let queue = self.queue_of(slot);
        self.make_room_for_one(queue, now);
        let slot = self.relist(slot, State::Queued);
        self.entry_mut(slot).published = now.boot_ns as u64;
        self.queue_mut(queue).published += 1;
        let (file, seq) = (self.file_of(slot), self.entry(slot).seq());
        let this = self.file_mut(file);
        if this.nlink > 1 || this.extra.as_ref().is_some_and(|extra| extra.last_seq.is_some()) {
            this.extra().last_seq = Some(seq);
        }
        self.arm_expiry(queue);
        slot
    }

    /// Takes an event back to the staged files.
    pub(super) fn withdraw(&mut self, slot: u32) -> u32 {
        let queue = self.queue_of(slot);
        self.queue_mut(queue).removed += 1;
        let slot = self.relist(slot, State::Staged);
        self.entry_mut(slot).published = 0;
        let file = self.file_of(slot);
        if let (1, Some(extra)) = (self.file(file).nlink, &mut self.file_mut(file).extra) {
            extra.last_seq = None;
        }
        slot
    }

    fn make_room_for_one(&mut self, key: Key, now: Now) {
        for _ in 0..SWEEP_ENTRIES_MAX {
            let queue = self.queue(key);
            let full = queue.max_events > 0 && queue.events.len + queue.held >= queue.max_events;
            if !full || queue.overflow != Overflow::DropOldest || queue.events.head == NIL {
                return;
            }
            let oldest = queue.events.head;
            self.remove_oldest(key, oldest, Cause::Dropped, now);
        }
    }

    /// Removes an event on the filesystem's own account and says so.
    pub(super) fn remove_oldest(&mut self, key: Key, slot: u32, cause: Cause, now: Now) {
        let queue = self.queue_mut(key);
        match cause {
            Cause::Dropped => queue.dropped += 1,
            Cause::Expired => queue.expired += 1,
            Cause::Popped | Cause::Spoiled => queue.removed += 1,
        }
        self.leave_behind(slot);
        self.report_gone(slot, cause);
        self.detach(slot, now);
    }

    /// Records that an event goes whose name nobody unlinks.
    pub(super) fn report_gone(&mut self, slot: u32, cause: Cause) {
        let queue = Ino::from(Node::Queue(self.queue_of(slot)));
        let ino = Ino::from(Node::File(self.file_of(slot)));
        let name = self.entry(slot).name.as_bytes().into();
        self.changes.push(Change::Gone { queue, ino, name, cause });
    }
}
