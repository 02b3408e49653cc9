//! Looking at what was published since, without taking it.

use super::place::Chain;
use super::{Taken, Tree, Want};
use crate::model::caller::Now;
use crate::model::error::{Outcome, Reason};
use crate::model::handle::HandleId;
use crate::model::inode::Node;
use crate::model::queue::State;
use crate::model::slab::{Key, NIL};
use crate::model::taker::{READ, SEARCH, Taker};

impl Tree {
    /// Tells the events of an open queue whose place number is above `since`, oldest first, and the
    /// number of the newest event ever published. Removes nothing, and shows what consumers hold: it
    /// was published and may come back. The content of an event that does not fit or may not be read
    /// is left out.
    ///
    /// # Errors
    /// `BadHandle`, `NotDirectory` for the root, `NotFound` for a queue that ended.
    pub fn scan(
        &mut self,
        id: HandleId,
        since: u64,
        want: Want,
        taker: &Taker<'_>,
        now: Now,
    ) -> Outcome<(u64, Vec<Taken>)> {
        let dir = self.dirs.get(id.key()).ok_or(Reason::BadHandle)?;
        let (key, old) = (dir.queue.ok_or(Reason::NotDirectory)?, dir.pin);
        self.live_queue(Node::Queue(key).into())?;
        let queue = self.queue(key);
        let newest = queue.events.next_seq - 1;
        let searches = taker.may((queue.mode, queue.uid, queue.gid), SEARCH);
        let mut slot = self.first_behind(key, since, old);
        let (mut seen, mut bytes, mut last) = (Vec::new(), 0, old);
        while slot != NIL && seen.len() < want.events_max as usize {
            let file = self.file(self.file_of(slot));
            let readable = searches && taker.may((file.mode, file.uid, file.gid), READ);
            let cost = want.event_bytes + self.entry(slot).name.as_bytes().len();
            let room = want.bytes_max.saturating_sub(bytes + cost) as u64;
            let whole = readable && file.payload.len() <= room;
            let full = bytes + cost > want.bytes_max || readable && !whole;
            if full && !seen.is_empty() {
                break;
            }
            bytes += cost + if whole { file.payload.len() as usize } else { 0 };
            seen.push(self.taken(slot, whole, now));
            last = slot;
            slot = self.next_published(slot);
        }
        self.set_pin(id, old, last);
        Ok((newest, seen))
    }

    /// The first event with a number above `since`, sought from where the last answer ended, or
    /// from the newest one back.
    fn first_behind(&self, queue: Key, since: u64, from: u32) -> u32 {
        let usable = from != NIL
            && Chain::of(self.entry(from)) == Chain::Events
            && self.entry(from).seq() <= since;
        if usable {
            let mut at = self.next_published(from);
            while at != NIL && self.entry(at).seq() <= since {
                at = self.next_published(at);
            }
            return at;
        }
        let mut found = NIL;
        let mut at = self.list(queue.slot, Chain::Events).last;
        while at != NIL && self.entry(at).seq() > since {
            if self.is_published(at) {
                found = at;
            }
            at = self.entry(at).prev;
        }
        found
    }

    fn is_published(&self, slot: u32) -> bool {
        matches!(self.entry(slot).state(), State::Queued | State::Held)
    }

    fn next_published(&self, slot: u32) -> u32 {
        let mut at = self.entry(slot).next;
        while at != NIL && !self.is_published(at) {
            at = self.entry(at).next;
        }
        at
    }
}
