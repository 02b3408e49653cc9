//! Looking up names, and attributes.

use super::{DOOR, HEAD, TAIL, Tree, check_length, is_link_name};
use crate::model::caller::{Caller, Now};
use crate::model::change::Change;
use crate::model::error::{Outcome, Reason};
use crate::model::inode::{Attr, Ino, Kind, Node, SetAttr};
use crate::model::quota::Charge;
use crate::model::slab::Key;

impl Tree {
    /// Finds a name. The kernel remembers a queue that it is told of until [`Tree::forget`].
    ///
    /// # Errors
    /// `NotFound`, `NameTooLong`, `NotDirectory`.
    pub fn lookup(&mut self, parent: Ino, name: &[u8]) -> Outcome<Attr> {
        check_length(name)?;
        if parent == Ino::ROOT {
            let key = self.queue_names.get(name).copied().ok_or(Reason::NotFound)?;
            self.queue_mut(key).lookups += 1;
            return Ok(self.queue_attr(key));
        }
        let queue = self.live_queue(parent)?;
        if is_link_name(name) {
            return self.link_attr(queue, name);
        }
        if name == DOOR {
            return Ok(self.door_attr(queue));
        }
        let slot = self.find(queue, name).ok_or(Reason::NotFound)?;
        Ok(self.file_attr(self.file_of(slot)))
    }

    /// Counts that the kernel was told of a queue once more, though by no lookup.
    ///
    /// # Errors
    /// `NotFound` when the queue is forgotten.
    pub fn remember(&mut self, ino: Ino) -> Outcome<Attr> {
        let Node::Queue(key) = ino.node() else { return Err(Reason::NotFound) };
        self.queues.get_mut(key).ok_or(Reason::NotFound)?.lookups += 1;
        Ok(self.queue_attr(key))
    }

    /// The name of a live queue.
    pub fn queue_name(&self, ino: Ino) -> Option<Box<[u8]>> {
        self.live_queue(ino).ok().map(|key| self.queue(key).name.clone())
    }

    /// Whether a queue has this name now.
    pub fn has_queue(&self, name: &[u8]) -> bool {
        self.queue_names.contains_key(name)
    }

    /// The kernel drops `count` of its references.
    pub fn forget(&mut self, ino: Ino, count: u64) {
        if let Node::Queue(key) = ino.node()
            && let Some(queue) = self.queues.get_mut(key)
        {
            queue.lookups = queue.lookups.saturating_sub(count);
            self.bury(key);
        }
    }

    /// Attributes by number.
    ///
    /// # Errors
    /// `NotFound` for what is gone and for the links of an empty queue.
    pub fn getattr(&self, ino: Ino) -> Outcome<Attr> {
        match ino.node() {
            Node::Root => Ok(self.root_attr()),
            Node::File(key) => {
                self.files.get(key).map(|_| self.file_attr(key)).ok_or(Reason::NotFound)
            }
            Node::Queue(key) => {
                self.queues.get(key).map(|_| self.queue_attr(key)).ok_or(Reason::NotFound)
            }
            Node::Head(key) => self.link_attr(self.check_live(key)?, HEAD),
            Node::Tail(key) => self.link_attr(self.check_live(key)?, TAIL),
            Node::Door(key) => Ok(self.door_attr(self.check_live(key)?)),
        }
    }

    fn check_live(&self, key: Key) -> Outcome<Key> {
        self.live_queue(Node::Queue(key).into())
    }

    /// The name that `head` or `tail` points to.
    ///
    /// # Errors
    /// `NotFound` in an empty or ended queue, `Invalid` for anything but a link.
    pub fn readlink(&self, ino: Ino) -> Outcome<Vec<u8>> {
        let (key, name) = match ino.node() {
            Node::Head(key) => (key, HEAD),
            Node::Tail(key) => (key, TAIL),
            _ => return Err(Reason::Invalid),
        };
        let slot = self.link_target(self.check_live(key)?, name).ok_or(Reason::NotFound)?;
        Ok(self.entry(slot).name.as_bytes().to_vec())
    }

    fn root_attr(&self) -> Attr {
        Attr {
            ino: Ino::ROOT,
            kind: Kind::Directory,
            mode: self.root.mode,
            uid: self.root.uid,
            gid: self.root.gid,
            size: 0,
            nlink: 2 + u32::try_from(self.space.queues).unwrap_or(u32::MAX - 2),
            atime: self.root.atime,
            mtime: self.root.mtime,
            ctime: self.root.ctime,
        }
    }

    pub(super) fn queue_attr(&self, key: Key) -> Attr {
        let queue = self.queue(key);
        Attr {
            ino: Node::Queue(key).into(),
            kind: Kind::Directory,
            mode: queue.mode,
            uid: queue.uid,
            gid: queue.gid,
            size: 0,
            nlink: if queue.dead { 0 } else { 2 },
            atime: queue.atime,
            mtime: queue.mtime,
            ctime: queue.ctime,
        }
    }

    pub(super) fn file_attr(&self, key: Key) -> Attr {
        let file = self.file(key);
        Attr {
            ino: Node::File(key).into(),
            kind: Kind::File,
            mode: file.mode,
            uid: file.uid,
            gid: file.gid,
            size: file.payload.len(),
            nlink: file.nlink,
            atime: file.atime(),
            mtime: file.mtime,
            ctime: file.ctime(),
        }
    }

    /// `head` and `tail` carry the queue's user and group, whatever they point to: the kernel decides
    /// removal in a sticky directory by the link's user.
    fn link_attr(&self, key: Key, name: &[u8]) -> Outcome<Attr> {
        let slot = self.link_target(key, name).ok_or(Reason::NotFound)?;
        let target = self.file_attr(self.file_of(slot));
        let queue = self.queue(key);
        let node = if name == HEAD { Node::Head(key) } else { Node::Tail(key) };
        Ok(Attr {
            ino: node.into(),
            kind: Kind::Link,
            mode: 0o777,
            uid: queue.uid,
            gid: queue.gid,
            size: self.entry(slot).name.as_bytes().len() as u64,
            nlink: 1,
            ..target
        })
    }

    /// Everybody who may search the queue may open the door. What goes through it is checked there.
    fn door_attr(&self, key: Key) -> Attr {
        let ino = Node::Door(key).into();
        Attr { ino, kind: Kind::File, mode: 0o444, size: 0, nlink: 1, ..self.queue_attr(key) }
    }

    /// Changes attributes. The kernel has checked who may.
    ///
    /// # Errors
    /// `NotFound`, `OverQuota` where a new owner's limits leave no room, those of a write for a new
    /// size, `IsDirectory` for the size of a directory, `NotSupported` for a link.
    pub fn setattr(&mut self, ino: Ino, set: SetAttr, caller: Caller, now: Now) -> Outcome<Attr> {
        match ino.node() {
            Node::File(key) => self.set_file_attr(key, set, caller, now)?,
            Node::Head(_) | Node::Tail(_) => return Err(Reason::NotSupported),
            Node::Door(_) => return Err(Reason::NotPermitted),
            _ if set.size.is_some() => return Err(Reason::IsDirectory),
            Node::Root => self.set_root_attr(set, now),
            Node::Queue(key) => self.set_queue_attr(key, set, now)?,
        }
        self.getattr(ino)
    }

    fn set_root_attr(&mut self, set: SetAttr, now: Now) {
        let root = &mut self.root;
        root.mode = set.mode.unwrap_or(root.mode);
        root.uid = set.uid.unwrap_or(root.uid);
        root.gid = set.gid.unwrap_or(root.gid);
        root.atime = set.atime.unwrap_or(root.atime);
        root.mtime = set.mtime.unwrap_or(root.mtime);
        root.ctime = set.ctime.unwrap_or(now.wall_ns);
    }

    fn set_queue_attr(&mut self, key: Key, set: SetAttr, now: Now) -> Outcome<()> {
        let queue = self.queues.get(key).ok_or(Reason::NotFound)?;
        let (uid, gid) = (set.uid.unwrap_or(queue.uid), set.gid.unwrap_or(queue.gid));
        let owner_changes = (uid, gid) != (queue.uid, queue.gid);
        if owner_changes && !queue.dead {
            self.move_dir_charge(key, uid, gid)?;
        }
        let queue = self.queue_mut(key);
        queue.uid = uid;
        queue.gid = gid;
        queue.mode = set.mode.unwrap_or(queue.mode);
        queue.atime = set.atime.unwrap_or(queue.atime);
        queue.mtime = set.mtime.unwrap_or(queue.mtime);
        queue.ctime = set.ctime.unwrap_or(now.wall_ns);
        if owner_changes {
            // The kernel checks removals in a sticky directory by the cached user of the links.
            let parent = Ino::from(Node::Queue(key));
            for (link, name) in [(Node::Head(key), HEAD), (Node::Tail(key), TAIL)] {
                let change = Change::Entry { parent, ino: link.into(), name: name.into() };
                self.changes.push(change);
            }
        }
        Ok(())
    }

    fn move_dir_charge(&mut self, key: Key, uid: u32, gid: u32) -> Outcome<()> {
        let queue = self.queue(key);
        let (old_uid, old_gid, entries) = (queue.uid, queue.gid, queue.entries());
        let bytes = queue.xattrs.values().map(|value| value.len() as u64).sum();
        let charge = Charge { bytes, ..Charge::DIR };
        let fits = (uid == old_uid || self.ledger.admits_user(uid, charge))
            && (gid == old_gid || self.ledger.admits_group(gid, charge))
            && entries <= self.ledger.files_per_dir(uid, gid);
        if !fits {
            return Err(Reason::OverQuota);
        }
        self.ledger.release(old_uid, old_gid, charge);
        self.ledger.add(uid, gid, charge);
        Ok(())
    }

    fn set_file_attr(&mut self, key: Key, set: SetAttr, caller: Caller, now: Now) -> Outcome<()> {
        let file = self.files.get(key).ok_or(Reason::NotFound)?;
        let (uid, gid) = (set.uid.unwrap_or(file.uid), set.gid.unwrap_or(file.gid));
        if (uid, gid) != (file.uid, file.gid) {
            self.move_file_charge(key, uid, gid)?;
        }
        if let Some(len) = set.size {
            self.resize(key, len, caller, now)?;
        }
        let file = self.file_mut(key);
        file.mode = set.mode.unwrap_or(file.mode);
        let extra = file.extra();
        extra.ctime = set.ctime.unwrap_or(now.wall_ns);
        extra.atime = set.atime.unwrap_or(extra.atime);
        file.mtime = set.mtime.unwrap_or(file.mtime);
        Ok(())
    }

    fn move_file_charge(&mut self, key: Key, uid: u32, gid: u32) -> Outcome<()> {
        let file = self.file(key);
        let (old_uid, old_gid) = (file.uid, file.gid);
        let charge = Charge { files: 1, bytes: file.bytes(), dirs: 0 };
        let fits = (uid == old_uid || self.ledger.admits_user(uid, charge))
            && (gid == old_gid || self.ledger.admits_group(gid, charge));
        if !fits {
            return Err(Reason::OverQuota);
        }
        self.ledger.release(old_uid, old_gid, charge);
        self.ledger.add(uid, gid, charge);
        let file = self.file_mut(key);
        file.uid = uid;
        file.gid = gid;
        Ok(())
    }
}
