//! Content: open, read, write, resize, close.

use super::Tree;
use crate::model::caller::{Caller, Now};
use crate::model::change::Cause;
use crate::model::error::{Outcome, Reason};
use crate::model::handle::{Handle, HandleId, Mode};
use crate::model::inode::{Ino, Kind, Node};
use crate::model::limits::SWEEP_ENTRIES_MAX;
use crate::model::queue::{Overflow, State};
use crate::model::quota::Charge;
use crate::model::slab::{Key, NIL};

impl Tree {
    /// Opens a file.
    ///
    /// # Errors
    /// `NotFound` for what is gone, `IsDirectory`, `Invalid` for a link.
    pub fn open(&mut self, ino: Ino, how: Mode, now: Now) -> Outcome<HandleId> {
        let key = match ino.node() {
            Node::File(key) => key,
            Node::Root | Node::Queue(_) => return Err(Reason::IsDirectory),
            Node::Head(_) | Node::Tail(_) => return Err(Reason::Invalid),
            Node::Door(_) => return Err(Reason::NotPermitted),
        };
        self.files.get(key).ok_or(Reason::NotFound)?;
        if how.truncates {
            self.resize(key, 0, Caller::ROOT, now)?;
        }
        self.file_mut(key).opens += 1;
        let handle = Handle { file: key, maker: false, reads: how.reads, writes: how.writes };
        Ok(self.handles.insert(handle).into())
    }

    fn handle(&self, id: HandleId) -> Outcome<&Handle> {
        self.handles.get(id.key()).ok_or(Reason::BadHandle)
    }

    /// Reads up to `count` bytes from `offset`; fewer at the end.
    ///
    /// # Errors
    /// `BadHandle`.
    pub fn read(&self, id: HandleId, offset: u64, count: usize) -> Outcome<Vec<u8>> {
        let handle = self.handle(id)?;
        Ok(self.file(handle.file).payload.read(offset, count))
    }

    /// Writes all of `data` at `offset`.
    ///
    /// # Errors
    /// `TooBig`, `NoSpace`, `OverQuota`: nothing was written, and a new file is spoiled: it will not
    /// become an event. `Again`: call again. `BadHandle`.
    pub fn write(
        &mut self,
        id: HandleId,
        offset: u64,
        data: &[u8],
        caller: Caller,
        now: Now,
    ) -> Outcome<()> {
        let handle = self.handle(id)?;
        let (key, writes) = (handle.file, handle.writes);
        if !writes {
            return Err(Reason::BadHandle);
        }
        if data.is_empty() {
            return Ok(());
        }
        let end = offset.checked_add(data.len() as u64).ok_or(Reason::TooBig);
        let grown = end.and_then(|end| self.charge_size(key, end, caller, now));
        self.spoil_on_refusal(key, grown)?;
        let file = self.file_mut(key);
        file.payload.write(offset, data);
        file.touch(now.wall_ns);
        Ok(())
    }

    /// A new file that could not take what was written must not become an event.
    fn spoil_on_refusal(&mut self, key: Key, outcome: Outcome<()>) -> Outcome<()> {
        if let Err(Reason::TooBig | Reason::NoSpace | Reason::OverQuota) = outcome {
            let file = self.file_mut(key);
            file.spoiled = file.fresh;
        }
        outcome
    }

    /// Charges what a file that is to reach `end` bytes grows by.
    fn charge_size(&mut self, key: Key, end: u64, caller: Caller, now: Now) -> Outcome<()> {
        let file = self.file(key);
        let len = file.payload.len();
        if end <= len {
            return Ok(());
        }
        if end > self.settings.event_bytes_max {
            return Err(Reason::TooBig);
        }
        self.charge_bytes(key, end - len, end - len, caller, now)
    }

    /// Charges bytes of a file to its user, its group, its queues and (`room`) the mount.
    pub(super) fn charge_bytes(
        &mut self,
        key: Key,
        bytes: u64,
        room: u64,
        caller: Caller,
        now: Now,
    ) -> Outcome<()> {
        self.check_space(room, 0)?;
        let (uid, gid) = (self.file(key).uid, self.file(key).gid);
        if !caller.is_root() && !self.ledger.admits(uid, gid, Charge::bytes(bytes)) {
            return Err(Reason::OverQuota);
        }
        let total = self.file(key).bytes() + bytes;
        let mut queues = self.queues_of(key);
        queues.sort_unstable();
        for links in queues.chunk_by(|one, other| one == other) {
            let times = links.len() as u64;
            self.make_room_for_bytes(links[0], bytes * times, total * times, Some(key), now)?;
        }
        self.ledger.add(uid, gid, Charge::bytes(bytes));
        self.space.bytes += room;
        for queue in queues {
            self.queue_mut(queue).bytes += bytes;
        }
        Ok(())
    }

    /// Gives bytes of a file back.
    pub(super) fn release_bytes(&mut self, key: Key, bytes: u64, room: u64) {
        let (uid, gid) = (self.file(key).uid, self.file(key).gid);
        self.ledger.release(uid, gid, Charge::bytes(bytes));
        self.give_back(room);
        for queue in self.queues_of(key) {
            self.queue_mut(queue).bytes -= bytes;
        }
    }

    /// The queues that hold a file, once for each of its entries there. At most
    /// [`crate::model::limits::LINKS_MAX`].
    fn queues_of(&self, key: Key) -> Vec<Key> {
        let file = self.file(key);
        match file.nlink {
            0 => Vec::new(),
            1 => vec![self.queue_of(file.entry)],
            _ => {
                let links = file.extra.as_ref().map(|extra| extra.links.iter());
                links.into_iter().flatten().map(|slot| self.queue_of(*slot)).collect()
            }
        }
    }

    /// Checks `more` bytes against the queue's `max_bytes`, dropping the oldest events where it is
    /// told to. `whole` is what the file in question will hold in the end; it is not dropped itself.
    pub(super) fn make_room_for_bytes(
        &mut self,
        key: Key,
        more: u64,
        whole: u64,
        keep: Option<Key>,
        now: Now,
    ) -> Outcome<()> {
        for _ in 0..SWEEP_ENTRIES_MAX {
            let queue = self.queue(key);
            if more == 0 || queue.max_bytes == 0 || queue.bytes + more <= queue.max_bytes {
                return Ok(());
            }
            let oldest = queue.events.head;
            let hopeless = queue.overflow == Overflow::Reject || whole > queue.max_bytes;
            if hopeless || oldest == NIL || Some(self.file_of(oldest)) == keep {
                return Err(Reason::OverQuota);
            }
            self.remove_oldest(key, oldest, Cause::Dropped, now);
        }
        Err(Reason::Again)
    }

    /// Sets the size of a file; what it grows by reads as zeros.
    ///
    /// # Errors
    /// As [`Tree::write`].
    pub(super) fn resize(&mut self, key: Key, len: u64, caller: Caller, now: Now) -> Outcome<()> {
        let old = self.file(key).payload.len();
        let charged = self.charge_size(key, len, caller, now);
        self.spoil_on_refusal(key, charged)?;
        if len < old {
            self.release_bytes(key, old - len, old - len);
        }
        let file = self.file_mut(key);
        let cut = file.payload.resize(len);
        file.touch(now.wall_ns);
        self.trash.extend(cut);
        Ok(())
    }

    /// `fallocate` without flags: the file reaches at least `end` bytes.
    ///
    /// # Errors
    /// As [`Tree::write`].
    pub fn allocate(&mut self, id: HandleId, end: u64, caller: Caller, now: Now) -> Outcome<()> {
        let handle = self.handle(id)?;
        let (key, writes) = (handle.file, handle.writes);
        if !writes {
            return Err(Reason::BadHandle);
        }
        if end <= self.file(key).payload.len() {
            return Ok(());
        }
        self.resize(key, end, caller, now)
    }

    /// Closes a file for the last time. A file made by this handle becomes an event now, or is
    /// removed if a write into it was refused.
    pub fn release(&mut self, id: HandleId, now: Now) {
        let Some(handle) = self.handles.remove(id.key()) else { return };
        let key = handle.file;
        self.file_mut(key).opens -= 1;
        if handle.maker {
            self.finish(key, now);
        }
        if self.files.get(key).is_some() {
            self.free_if_unused(key);
        }
    }

    /// Decides what becomes of the entry that was made with a file whose making handle was closed.
    fn finish(&mut self, key: Key, now: Now) {
        let file = self.file_mut(key);
        file.fresh = false;
        let (made, spoiled) = (file.made, file.spoiled);
        if made == NIL || spoiled && self.is_held(made) {
            // Of a held one it is decided when the consumer lets go.
            return;
        }
        let file = self.file_mut(key);
        (file.made, file.spoiled) = (NIL, false);
        if spoiled {
            self.report_gone(made, Cause::Spoiled);
            self.remove_entry(made, now);
        } else if self.entry(made).state() == State::Unfinished {
            self.publish(made, now);
        }
    }

    /// Whether a handle is open for reading.
    pub fn reads(&self, id: HandleId) -> bool {
        self.handle(id).is_ok_and(|handle| handle.reads)
    }

    /// What an inode number stands for, if it still does.
    pub fn kind(&self, ino: Ino) -> Outcome<Kind> {
        self.getattr(ino).map(|attr| attr.kind)
    }
}
