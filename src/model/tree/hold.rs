//! Taking events: hidden in the hands of a consumer until it confirms or lets go.

use super::Tree;
use super::place::Chain;
use crate::model::caller::{Caller, Now};
use crate::model::change::Change;
use crate::model::error::{Outcome, Reason};
use crate::model::handle::HandleId;
use crate::model::inode::Node;
use crate::model::queue::State;
use crate::model::slab::{Key, NIL};

/// Sticky bit of a directory: only the owner of a file, of the directory, and root remove.
const STICKY_BIT: u16 = 0o1000;

const READ: u16 = 4;
const WRITE_AND_SEARCH: u16 = 3;

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
    /// Removes the first `confirmed` events that were taken through a directory handle, puts the
    /// others back, and takes the oldest ones of the queue. Each event needs what `cat` and `rm` of
    /// it need; `groups` tells the caller's supplementary groups when they matter.
    ///
    /// # Errors
    /// `BadHandle`, `NotDirectory` for the root, `NotFound` for a queue that ended, `Denied` or
    /// `NotPermitted` if the very first event may not be taken.
    pub fn take(
        &mut self,
        id: HandleId,
        confirmed: usize,
        want: Want,
        caller: Caller,
        groups: &dyn Fn() -> Vec<u32>,
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
            if let Err(reason) = self.may_take(queue, slot, caller, groups) {
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
            self.hold(queue, slot);
            if let Some(dir) = self.dirs.get_mut(id.key()) {
                dir.held.push(slot);
            }
            if !fits {
                break;
            }
        }
        Ok(taken)
    }

    /// Tells the events of an open queue whose place number is above `since`, oldest first, and the
    /// number of the newest event ever published. Removes nothing. The content of an event that does
    /// not fit or may not be read is left out.
    ///
    /// # Errors
    /// `BadHandle`, `NotDirectory` for the root, `NotFound` for a queue that ended.
    pub fn scan(
        &mut self,
        id: HandleId,
        since: u64,
        want: Want,
        caller: Caller,
        groups: &dyn Fn() -> Vec<u32>,
        now: Now,
    ) -> Outcome<(u64, Vec<Taken>)> {
        let dir = self.dirs.get(id.key()).ok_or(Reason::BadHandle)?;
        let (queue, old) = (dir.queue.ok_or(Reason::NotDirectory)?, dir.pin);
        self.live_queue(Node::Queue(queue).into())?;
        let newest = self.queue(queue).events.next_seq - 1;
        let mut slot = self.first_behind(queue, since, old);
        let (mut seen, mut bytes, mut last) = (Vec::new(), 0, old);
        while slot != NIL && seen.len() < want.events_max as usize {
            let cost = want.event_bytes + self.entry(slot).name.as_bytes().len();
            let file = self.file(self.file_of(slot));
            let readable = may(caller, groups, (file.mode, file.uid, file.gid), READ);
            let size = if readable { file.payload.len() } else { u64::MAX >> 1 };
            let whole = (bytes + cost) as u64 + size <= want.bytes_max as u64;
            if !whole && !seen.is_empty() {
                break;
            }
            bytes += cost + if whole { size as usize } else { 0 };
            seen.push(self.taken(slot, whole, now));
            last = slot;
            slot = self.next_live(slot);
        }
        self.set_pin(id, old, last);
        Ok((newest, seen))
    }

    /// The first event with a number above `since`, sought from where the last answer ended, or
    /// from the newest one back.
    fn first_behind(&self, queue: Key, since: u64, from: u32) -> u32 {
        let list = self.list(queue.slot, Chain::Events);
        if list.tail == NIL || self.entry(list.tail).seq() <= since {
            return NIL;
        }
        let usable = from != NIL
            && Chain::of(self.entry(from)) == Chain::Events
            && self.entry(from).seq() <= since;
        if usable {
            let mut at = self.next_live(from);
            while at != NIL && self.entry(at).seq() <= since {
                at = self.next_live(at);
            }
            return at;
        }
        let mut at = list.tail;
        loop {
            let before = self.prev_live(at);
            if before == NIL || self.entry(before).seq() <= since {
                return at;
            }
            at = before;
        }
    }

    fn taken(&self, slot: u32, with_data: bool, now: Now) -> Taken {
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
    pub fn read_taken(&self, id: HandleId, index: usize, offset: u64, count: usize) -> Outcome<Vec<u8>> {
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
            }
        }
        if self.queue(queue).dead {
            self.bury(queue);
        } else {
            self.arm_expiry(queue);
            self.changes.push(Change::Returned { queue: Node::Queue(queue).into() });
        }
    }

    fn hold(&mut self, queue: Key, slot: u32) {
        let (next, prev) = (self.next_live(slot), self.prev_live(slot));
        let list = self.list_mut(queue.slot, Chain::Events);
        if list.head == slot {
            list.head = next;
        }
        if list.tail == slot {
            list.tail = prev;
        }
        list.len -= 1;
        self.entry_mut(slot).set_state(State::Held);
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

    /// Whether the caller may read and remove an event.
    fn may_take(
        &self,
        queue: Key,
        slot: u32,
        caller: Caller,
        groups: &dyn Fn() -> Vec<u32>,
    ) -> Outcome<()> {
        if caller.is_root() {
            return Ok(());
        }
        let dir = self.queue(queue);
        let file = self.file(self.file_of(slot));
        if !may(caller, groups, (dir.mode, dir.uid, dir.gid), WRITE_AND_SEARCH)
            || !may(caller, groups, (file.mode, file.uid, file.gid), READ)
        {
            return Err(Reason::Denied);
        }
        let owns = caller.uid == dir.uid || caller.uid == file.uid;
        if dir.mode & STICKY_BIT != 0 && !owns { Err(Reason::NotPermitted) } else { Ok(()) }
    }
}

/// Whether the permission bits of something with this mode, user and group give the caller all that
/// is wanted.
fn may(
    caller: Caller,
    groups: &dyn Fn() -> Vec<u32>,
    (mode, uid, gid): (u16, u32, u32),
    wanted: u16,
) -> bool {
    let in_group = || caller.gid == gid || groups().contains(&gid);
    let bits = match () {
        () if caller.is_root() => WRITE_AND_SEARCH | READ,
        () if caller.uid == uid => mode >> 6,
        // The groups matter only where group and others differ.
        () if (mode >> 3 ^ mode) & wanted == 0 => mode,
        () if in_group() => mode >> 3,
        () => mode,
    };
    bits & wanted == wanted
}
