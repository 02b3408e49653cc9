//! Making queues, files and links.

use super::space::{FILE_ROOM, QUEUE_ROOM, entry_room};
use super::{Tree, check_length, is_reserved_name, is_staged_name};
use crate::model::caller::{Caller, Now};
use crate::model::change::Change;
use crate::model::error::{Outcome, Reason};
use crate::model::handle::{Handle, HandleId, Mode};
use crate::model::inode::{Attr, Ino, Node};
use crate::model::limits::LINKS_MAX;
use crate::model::owner::{Fate, OwnerId};
use crate::model::payload::Payload;
use crate::model::queue::{File, List, Overflow, Queue, State, Xattrs};
use crate::model::quota::Charge;
use crate::model::slab::{Key, NIL};

/// Set-group-id bit.
const SETGID: u16 = 0o2000;

impl Tree {
    /// Makes a queue that belongs to `owner`, or a sticky one without.
    ///
    /// # Errors
    /// `NotPermitted` inside a queue, `Exists`, `NameTooLong`, `NoSpace`, `OverQuota`.
    pub fn mkdir(
        &mut self,
        parent: Ino,
        name: &[u8],
        mode: u16,
        owner: Option<OwnerId>,
        caller: Caller,
        now: Now,
    ) -> Outcome<Attr> {
        self.check_mkdir(parent, name, caller)?;
        let inherits = self.root.mode & SETGID != 0;
        let gid = if inherits { self.root.gid } else { caller.gid };
        let fate = match owner {
            Some(owner) => Fate::Owned { owner, named: false },
            None => Fate::Sticky { last: None },
        };
        let number = self.next_queue_number;
        self.next_queue_number += 1;
        let key = self.queues.insert(Queue {
            name: name.into(),
            number,
            mode: if inherits { mode | SETGID } else { mode },
            uid: caller.uid,
            gid,
            atime: now.wall_ns,
            mtime: now.wall_ns,
            ctime: now.wall_ns,
            born_ns: now.boot_ns,
            fate,
            dead: false,
            lookups: 1,
            opens: 0,
            events: List::default(),
            held: 0,
            loose: List::default(),
            bytes: 0,
            published: 0,
            removed: 0,
            dropped: 0,
            expired: 0,
            max_events: 0,
            max_bytes: 0,
            overflow: Overflow::Reject,
            ttl_seconds: 0,
            expiry_at: None,
            xattrs: Xattrs::new(),
        });
        self.queue_names.insert(name.into(), key);
        self.queue_order.insert(number, key);
        self.space.queues += 1;
        self.space.bytes += QUEUE_ROOM;
        self.ledger.add(caller.uid, gid, Charge::DIR);
        self.own(key, owner);
        self.touch_root(now);
        Ok(self.queue_attr(key))
    }

    fn check_mkdir(&self, parent: Ino, name: &[u8], caller: Caller) -> Outcome<()> {
        match parent.node() {
            Node::Root => {}
            Node::Queue(_) => {
                self.live_queue(parent)?;
                return Err(Reason::NotPermitted);
            }
            _ => return Err(Reason::NotDirectory),
        }
        check_length(name)?;
        if self.queue_names.contains_key(name) {
            return Err(Reason::Exists);
        }
        if self.settings.queues_max.is_some_and(|max| self.space.queues >= max) {
            return Err(Reason::NoSpace);
        }
        self.check_space(QUEUE_ROOM, 0)?;
        let gid = if self.root.mode & SETGID != 0 { self.root.gid } else { caller.gid };
        let free = caller.is_root() || self.ledger.admits(caller.uid, gid, Charge::DIR);
        if free { Ok(()) } else { Err(Reason::OverQuota) }
    }

    pub(super) fn touch_root(&mut self, now: Now) {
        self.root.mtime = now.wall_ns;
        self.root.ctime = now.wall_ns;
    }

    /// Creates a file and opens it. It becomes an event when the returned handle is released.
    ///
    /// # Errors
    /// `NotPermitted` in the root and for `head` and `tail`, `Exists`, `NameTooLong`, `NoSpace`,
    /// `OverQuota`, `NotFound` in a queue that ended.
    pub fn create(
        &mut self,
        parent: Ino,
        name: &[u8],
        mode: u16,
        how: Mode,
        caller: Caller,
        now: Now,
    ) -> Outcome<(Attr, HandleId)> {
        let state = match (is_staged_name(name), self.settings.publish_at_create) {
            (true, _) => State::Staged,
            (false, true) => State::Queued,
            (false, false) => State::Unfinished,
        };
        let (file, slot) = self.new_file(parent, name, mode, state, caller, now)?;
        let handle = Handle { file, maker: true, reads: how.reads, writes: how.writes };
        let id = HandleId::from(self.handles.insert(handle));
        let this = self.file_mut(file);
        this.opens = 1;
        this.fresh = true;
        this.made = slot;
        Ok((self.file_attr(file), id))
    }

    /// Makes a regular file that is an event at once (staged under a dot name).
    ///
    /// # Errors
    /// As [`Tree::create`].
    pub fn mknod(
        &mut self,
        parent: Ino,
        name: &[u8],
        mode: u16,
        caller: Caller,
        now: Now,
    ) -> Outcome<Attr> {
        let state = if is_staged_name(name) { State::Staged } else { State::Queued };
        let (file, _) = self.new_file(parent, name, mode, state, caller, now)?;
        Ok(self.file_attr(file))
    }

    fn new_file(
        &mut self,
        parent: Ino,
        name: &[u8],
        mode: u16,
        state: State,
        caller: Caller,
        now: Now,
    ) -> Outcome<(Key, u32)> {
        let queue = self.check_new_name(parent, name)?;
        let gid = match self.queue(queue) {
            queue if queue.mode & SETGID != 0 => queue.gid,
            _ => caller.gid,
        };
        let charge = Charge { files: 1, ..Charge::default() };
        self.check_space(FILE_ROOM + entry_room(name), 1)?;
        if !caller.is_root() && !self.ledger.admits(caller.uid, gid, charge) {
            return Err(Reason::OverQuota);
        }
        self.check_entry_fits(queue, 0, state != State::Staged, caller)?;
        let file = self.files.insert(File {
            payload: Payload::empty(),
            extra: None,
            mtime: now.wall_ns,
            uid: caller.uid,
            gid,
            opens: 0,
            nlink: 0,
            entry: NIL,
            made: NIL,
            mode,
            spoiled: false,
            fresh: false,
        });
        self.ledger.add(caller.uid, gid, charge);
        self.space.bytes += FILE_ROOM;
        let slot = self.attach(queue, file, name, state, now);
        Ok((file, slot))
    }

    /// The live queue in which a new name may be made.
    pub(super) fn check_new_name(&self, parent: Ino, name: &[u8]) -> Outcome<Key> {
        let queue = self.live_queue(parent)?;
        check_length(name)?;
        if is_reserved_name(name) {
            return Err(Reason::NotPermitted);
        }
        if self.find_any(queue, name).is_some() { Err(Reason::Exists) } else { Ok(queue) }
    }

    /// Whether one more entry fits the queue: `max_files_per_dir` of its user and group, and for
    /// what will be an event the queue's own `max_events`. `replaced` entries go at the same time.
    pub(super) fn check_entry_fits(
        &self,
        key: Key,
        replaced: u64,
        is_event: bool,
        caller: Caller,
    ) -> Outcome<()> {
        let queue = self.queue(key);
        let per_dir = self.ledger.files_per_dir(queue.uid, queue.gid);
        if !caller.is_root() && queue.entries() - replaced >= per_dir {
            return Err(Reason::OverQuota);
        }
        if is_event { self.check_event_fits(key, replaced) } else { Ok(()) }
    }

    /// Whether one more event fits `max_events`, or an old one gives way. What consumers hold does
    /// not.
    pub(super) fn check_event_fits(&self, key: Key, replaced_events: u64) -> Outcome<()> {
        let queue = self.queue(key);
        let staying = match queue.overflow {
            Overflow::Reject => (queue.events.len + queue.held).saturating_sub(replaced_events),
            Overflow::DropOldest => queue.held,
        };
        let full = queue.max_events > 0 && staying >= queue.max_events;
        if full { Err(Reason::OverQuota) } else { Ok(()) }
    }

    /// Links a file into a queue: multicast. The new entry is an event at once (staged under a dot
    /// name).
    ///
    /// # Errors
    /// `NotPermitted` for links to anything but files and for `head` and `tail`, `NotFound`,
    /// `Exists`, `NameTooLong`, `TooManyLinks`, `NoSpace`, `OverQuota`; `Again`: call again.
    pub fn link_file(
        &mut self,
        ino: Ino,
        parent: Ino,
        name: &[u8],
        caller: Caller,
        now: Now,
    ) -> Outcome<Attr> {
        let Node::File(file) = ino.node() else { return Err(Reason::NotPermitted) };
        let queue = self.check_new_name(parent, name)?;
        let nlink = self.files.get(file).ok_or(Reason::NotFound)?.nlink;
        match nlink {
            0 => return Err(Reason::NotFound),
            LINKS_MAX.. => return Err(Reason::TooManyLinks),
            _ => {}
        }
        let state = if is_staged_name(name) { State::Staged } else { State::Queued };
        self.check_space(entry_room(name), 1)?;
        self.check_entry_fits(queue, 0, state == State::Queued, caller)?;
        let bytes = self.file(file).bytes();
        self.make_room_for_bytes(queue, bytes, bytes, Some(file), now)?;
        self.attach(queue, file, name, state, now);
        self.file_mut(file).extra().ctime = now.wall_ns;
        self.changes.push(Change::Attributes(ino));
        Ok(self.file_attr(file))
    }
}
