//! Reading directories, stably while they change.

use super::place::Chain;
use super::{HEAD, TAIL, Tree};
use crate::model::caller::Now;
use crate::model::error::{Outcome, Reason};
use crate::model::handle::{DirHandle, HandleId};
use crate::model::inode::{Ino, Kind, Node};
use crate::model::slab::{Key, NIL};

/// One line of a listing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Listed<'a> {
    /// Inode number.
    pub ino: Ino,
    /// What it is.
    pub kind: Kind,
    /// Where reading goes on behind it.
    pub offset: u64,
    /// The name.
    pub name: &'a [u8],
}

/// Offsets: 1 to 4 for `.`, `..`, `head` and `tail`; then events by their place number, queues by
/// their creation; then staged files. All fit the positive half of a file offset.
const FIRST_OFFSET: u64 = 4;
const LOOSE_OFFSET: u64 = 1 << 62;

impl Tree {
    /// Opens a directory, or a queue through its door.
    ///
    /// # Errors
    /// `NotFound`, `NotDirectory`.
    pub fn opendir(&mut self, ino: Ino) -> Outcome<HandleId> {
        let queue = match ino.node() {
            Node::Root => None,
            Node::Queue(key) | Node::Door(key) => Some(key),
            _ => return Err(Reason::NotDirectory),
        };
        if let Some(key) = queue {
            self.queues.get_mut(key).ok_or(Reason::NotFound)?.opens += 1;
        }
        Ok(self.dirs.insert(DirHandle::new(queue)).into())
    }

    /// Closes a directory. What was taken through it and not confirmed returns to its place.
    pub fn releasedir(&mut self, id: HandleId, now: Now) {
        let Some(dir) = self.dirs.remove(id.key()) else { return };
        self.put_back(&dir.held, now);
        if dir.pin != NIL {
            self.unpin(dir.pin);
        }
        if let Some(key) = dir.queue {
            self.queue_mut(key).opens -= 1;
            self.bury(key);
        }
    }

    /// Lists what comes behind `offset` until `add` says that it is full (`true`: not taken).
    ///
    /// # Errors
    /// `BadHandle`.
    pub fn readdir(
        &mut self,
        id: HandleId,
        offset: u64,
        add: &mut dyn FnMut(Listed<'_>) -> bool,
    ) -> Outcome<()> {
        let queue = self.dirs.get(id.key()).ok_or(Reason::BadHandle)?.queue;
        let own = queue.map_or(Ino::ROOT, |key| Node::Queue(key).into());
        for (number, name) in [(1, &b"."[..]), (2, &b".."[..])] {
            let ino = if number == 1 { own } else { Ino::ROOT };
            let line = Listed { ino, kind: Kind::Directory, offset: number, name };
            if offset < number && add(line) {
                return Ok(());
            }
        }
        match queue {
            None => self.list_root(offset, add),
            Some(key) if self.queue(key).dead => {}
            Some(key) => self.list_queue(id, key, offset, add),
        }
        Ok(())
    }

    fn list_root(&self, offset: u64, add: &mut dyn FnMut(Listed<'_>) -> bool) {
        let from = offset.saturating_sub(FIRST_OFFSET) + 1;
        for (number, key) in self.queue_order.range(from..) {
            let line = Listed {
                ino: Node::Queue(*key).into(),
                kind: Kind::Directory,
                offset: number + FIRST_OFFSET,
                name: &self.queue(*key).name,
            };
            if add(line) {
                return;
            }
        }
    }

    fn list_queue(
        &mut self,
        id: HandleId,
        key: Key,
        offset: u64,
        add: &mut dyn FnMut(Listed<'_>) -> bool,
    ) {
        let links = [(3, HEAD, Node::Head(key)), (4, TAIL, Node::Tail(key))];
        for (number, name, node) in links {
            let line = Listed { ino: node.into(), kind: Kind::Link, offset: number, name };
            let there = self.link_target(key, name).is_some();
            if there && offset < number && add(line) {
                return;
            }
        }
        let old = self.dirs.get(id.key()).map_or(NIL, |dir| dir.pin);
        let chain = if offset < LOOSE_OFFSET { Chain::Events } else { Chain::Loose };
        let start = self.seek(key, chain, offset, old);
        self.set_pin(id, old, start);
        if chain == Chain::Events {
            if self.list_chain(start, FIRST_OFFSET, add) {
                return;
            }
            let first = self.queue(key).loose.head;
            self.list_chain(first, LOOSE_OFFSET, add);
        } else {
            self.list_chain(start, LOOSE_OFFSET, add);
        }
    }

    /// The first live entry behind `offset`, searched from where the last answer began.
    fn seek(&self, key: Key, chain: Chain, offset: u64, from: u32) -> u32 {
        let base = if chain == Chain::Events { FIRST_OFFSET } else { LOOSE_OFFSET };
        let list = self.list(key.slot, chain);
        let behind = |slot: u32| self.entry(slot).seq() + base > offset;
        if list.head == NIL || behind(list.head) {
            return list.head;
        }
        if !behind(list.tail) {
            return NIL;
        }
        let usable = from != NIL
            && Chain::of(self.entry(from)) == chain
            && self.entry(from).seq() + base <= offset.saturating_add(1);
        let mut at = if usable { from } else { list.head };
        while at != NIL && !(self.entry(at).is_live() && behind(at)) {
            at = self.entry(at).next;
        }
        at
    }

    pub(super) fn set_pin(&mut self, id: HandleId, old: u32, new: u32) {
        if old == new {
            return;
        }
        if new != NIL {
            self.pin(new);
        }
        if old != NIL {
            self.unpin(old);
        }
        if let Some(dir) = self.dirs.get_mut(id.key()) {
            dir.pin = new;
        }
    }

    /// Lists a chain; `true` when the answer is full.
    fn list_chain(&self, from: u32, base: u64, add: &mut dyn FnMut(Listed<'_>) -> bool) -> bool {
        let mut at = from;
        while at != NIL {
            let entry = self.entry(at);
            if entry.is_live() {
                let line = Listed {
                    ino: Node::File(self.file_of(at)).into(),
                    kind: Kind::File,
                    offset: entry.seq() + base,
                    name: entry.name.as_bytes(),
                };
                if add(line) {
                    return true;
                }
            }
            at = entry.next;
        }
        false
    }
}
