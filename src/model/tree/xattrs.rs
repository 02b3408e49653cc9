//! Extended attributes of queues and events.

use super::Tree;
use super::space::xattr_room;
use crate::model::caller::{Caller, Now};
use crate::model::error::{Outcome, Reason};
use crate::model::inode::{Ino, Node};
use crate::model::limits::{NAME_BYTES_MAX, XATTR_NAMES_BYTES_MAX, XATTR_VALUE_BYTES_MAX};
use crate::model::owner::OwnerId;
use crate::model::queue::{Overflow, Queue, State, Xattrs};
use crate::model::quota::Charge;
use crate::model::slab::{Key, NIL};
use crate::model::xattr::{CONTROLS, Control, Counter, Meaning, SEQ, meaning, number, overflow};

/// What `setxattr` demands of the attribute's existence.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct XattrFlags {
    /// It must not exist yet.
    pub create: bool,
    /// It must exist.
    pub replace: bool,
}

impl XattrFlags {
    fn check(self, exists: bool) -> Outcome<()> {
        match (exists, self) {
            (true, Self { create: true, .. }) => Err(Reason::Exists),
            (false, Self { replace: true, .. }) => Err(Reason::NoAttribute),
            _ => Ok(()),
        }
    }
}

impl Tree {
    /// The value of an attribute. That of `user.eventfs_owner` depends on who reads it: the caller of
    /// this function asks [`Tree::fate`] instead.
    ///
    /// # Errors
    /// `NoAttribute`, `NotFound`.
    pub fn getxattr(&self, ino: Ino, name: &[u8]) -> Outcome<Vec<u8>> {
        match ino.node() {
            Node::File(key) => self.file_xattr(key, name),
            Node::Queue(key) => self.queue_xattr(key, name),
            _ => Err(Reason::NoAttribute),
        }
    }

    fn file_xattr(&self, key: Key, name: &[u8]) -> Outcome<Vec<u8>> {
        let file = self.files.get(key).ok_or(Reason::NotFound)?;
        if name == SEQ {
            return self.seq_of(key).map(decimal).ok_or(Reason::NoAttribute);
        }
        let value = file.extra.as_ref().and_then(|extra| extra.xattrs.get(name));
        value.map(|value| value.to_vec()).ok_or(Reason::NoAttribute)
    }

    /// The place that a file was given at its last publication.
    fn seq_of(&self, key: Key) -> Option<u64> {
        let file = self.file(key);
        let remembered = file.extra.as_ref().and_then(|extra| extra.last_seq);
        if file.nlink == 1 && remembered.is_none() {
            return self.seq_of_event(file.entry);
        }
        remembered
    }

    fn queue_xattr(&self, key: Key, name: &[u8]) -> Outcome<Vec<u8>> {
        let queue = self.queues.get(key).ok_or(Reason::NotFound)?;
        match meaning(name) {
            Meaning::Control(Control::Oldest) => Ok(self.oldest_names(queue)),
            Meaning::Control(control) => queue.control(control).ok_or(Reason::NoAttribute),
            _ => queue.xattrs.get(name).map(|v| v.to_vec()).ok_or(Reason::NoAttribute),
        }
    }

    /// As many of the oldest names as an attribute takes.
    fn oldest_names(&self, queue: &Queue) -> Vec<u8> {
        let mut names = Vec::new();
        let mut at = queue.events.first;
        while at != NIL {
            let entry = self.entry(at);
            if entry.is_live() || entry.state() == State::Held {
                let name = entry.name.as_bytes();
                if names.len() + name.len() + 2 > XATTR_VALUE_BYTES_MAX {
                    names.push(b'/');
                    break;
                }
                names.extend_from_slice(name);
                names.push(b'/');
            }
            at = entry.next;
        }
        names
    }

    /// The names of all attributes of an inode.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn listxattr(&self, ino: Ino) -> Outcome<Vec<Vec<u8>>> {
        match ino.node() {
            Node::File(key) => {
                let file = self.files.get(key).ok_or(Reason::NotFound)?;
                let seq = self.seq_of(key).map(|_| SEQ.to_vec());
                let own = file.extra.iter().flat_map(|extra| extra.xattrs.keys());
                Ok(seq.into_iter().chain(own.map(|name| name.to_vec())).collect())
            }
            Node::Queue(key) => {
                let queue = self.queues.get(key).ok_or(Reason::NotFound)?;
                let known = CONTROLS.iter().filter(|(_, control)| queue.has(*control));
                let own = queue.xattrs.keys().map(|name| name.to_vec());
                Ok(known.map(|(name, _)| name.to_vec()).chain(own).collect())
            }
            _ => Ok(Vec::new()),
        }
    }

    /// Whether the caller may change the control attributes of a queue.
    ///
    /// # Errors
    /// `NotPermitted` unless root or the queue's user; `NotFound`; `Invalid` for anything else than
    /// a queue.
    pub fn may_control(&self, ino: Ino, caller: Caller) -> Outcome<Key> {
        let Node::Queue(key) = ino.node() else { return Err(Reason::Invalid) };
        let queue = self.queues.get(key).ok_or(Reason::NotFound)?;
        if !caller.is_root() && caller.uid != queue.uid {
            return Err(Reason::NotPermitted);
        }
        if queue.dead { Err(Reason::NotFound) } else { Ok(key) }
    }

    /// Names the owner of a queue: `user.eventfs_owner`.
    ///
    /// # Errors
    /// As [`Tree::may_control`].
    pub fn set_owner(&mut self, ino: Ino, owner: OwnerId, caller: Caller) -> Outcome<()> {
        let key = self.may_control(ino, caller)?;
        self.give_to(key, owner);
        Ok(())
    }

    /// Sets an attribute other than `user.eventfs_owner`.
    ///
    /// # Errors
    /// `NotPermitted`, `Invalid`, `NotSupported`, `Exists` and `NoAttribute` by the flags, `NoSpace`,
    /// `OverQuota`, `NameTooLong`, `TooBig`, `NotFound`; `Again`: call again.
    pub fn setxattr(
        &mut self,
        ino: Ino,
        name: &[u8],
        value: &[u8],
        flags: XattrFlags,
        caller: Caller,
        now: Now,
    ) -> Outcome<()> {
        match (meaning(name), ino.node()) {
            (Meaning::Foreign, _) => Err(Reason::NotSupported),
            (Meaning::Control(control), Node::Queue(_)) => {
                let key = self.may_control(ino, caller)?;
                flags.check(self.queue(key).has(control))?;
                self.set_control(key, control, value, now)
            }
            (Meaning::Seq, Node::File(_)) => Err(Reason::NotPermitted),
            (Meaning::User, Node::File(key)) => {
                self.files.get(key).ok_or(Reason::NotFound)?;
                check_size(name, value)?;
                self.set_file_xattr(key, name, value, flags, caller, now)
            }
            (Meaning::User, Node::Queue(key)) => {
                self.live_queue(ino)?;
                check_size(name, value)?;
                self.set_queue_xattr(key, name, value, flags, caller, now)
            }
            (Meaning::User, _) => Err(Reason::NotSupported),
            (_, Node::Queue(_)) => self.may_control(ino, caller).and(Err(Reason::Invalid)),
            (_, _) => Err(Reason::Invalid),
        }
    }

    fn set_control(&mut self, key: Key, control: Control, value: &[u8], now: Now) -> Outcome<()> {
        match control {
            Control::Sticky => self.make_sticky(key),
            Control::Owner => return Err(Reason::Invalid),
            Control::MaxEvents => self.queue_mut(key).max_events = number(value)?,
            Control::MaxBytes => self.queue_mut(key).max_bytes = number(value)?,
            Control::Overflow => self.queue_mut(key).overflow = overflow(value)?,
            Control::Ttl => {
                self.queue_mut(key).ttl_seconds = number(value)?;
                self.arm_expiry(key);
            }
            Control::Counter(_) | Control::Oldest => return Err(Reason::NotPermitted),
        }
        self.queue_mut(key).ctime = now.wall_ns;
        Ok(())
    }

    /// Removes an attribute. A setting goes back to its default.
    ///
    /// # Errors
    /// `NoAttribute`, `NotPermitted`, `Invalid`, `NotSupported`, `NotFound`.
    pub fn removexattr(&mut self, ino: Ino, name: &[u8], caller: Caller, now: Now) -> Outcome<()> {
        match (meaning(name), ino.node()) {
            (Meaning::Foreign, _) => Err(Reason::NotSupported),
            (Meaning::Control(control), Node::Queue(_)) => {
                let key = self.may_control(ino, caller)?;
                if !self.queue(key).has(control) {
                    return Err(Reason::NoAttribute);
                }
                self.reset_control(key, control, now)
            }
            (Meaning::Seq, Node::File(_)) => Err(Reason::NotPermitted),
            (Meaning::User, Node::File(key)) => self.remove_file_xattr(key, name, now),
            (Meaning::User, Node::Queue(key)) => self.remove_queue_xattr(key, name, now),
            _ => Err(Reason::NoAttribute),
        }
    }

    fn reset_control(&mut self, key: Key, control: Control, now: Now) -> Outcome<()> {
        match control {
            Control::Sticky => self.end_sticky(key, now),
            Control::Owner | Control::Counter(_) | Control::Oldest => {
                return Err(Reason::NotPermitted);
            }
            Control::MaxEvents => self.queue_mut(key).max_events = 0,
            Control::MaxBytes => self.queue_mut(key).max_bytes = 0,
            Control::Overflow => self.queue_mut(key).overflow = Overflow::Reject,
            Control::Ttl => self.queue_mut(key).ttl_seconds = 0,
        }
        self.queue_mut(key).ctime = now.wall_ns;
        Ok(())
    }

    fn set_file_xattr(
        &mut self,
        key: Key,
        name: &[u8],
        value: &[u8],
        flags: XattrFlags,
        caller: Caller,
        now: Now,
    ) -> Outcome<()> {
        let none = Xattrs::new();
        let xattrs = self.file(key).extra.as_ref().map_or(&none, |extra| &extra.xattrs);
        let old = check_xattr(xattrs, name, flags)?;
        let (old_bytes, old_room) = measure(name, old);
        let (bytes, room) = measure(name, Some(value));
        self.charge_bytes(
            key,
            bytes.saturating_sub(old_bytes),
            room.saturating_sub(old_room),
            caller,
            now,
        )?;
        self.release_bytes(key, old_bytes.saturating_sub(bytes), old_room.saturating_sub(room));
        let extra = self.file_mut(key).extra();
        extra.xattrs.insert(name.into(), value.into());
        extra.ctime = now.wall_ns;
        Ok(())
    }

    fn remove_file_xattr(&mut self, key: Key, name: &[u8], now: Now) -> Outcome<()> {
        self.files.get(key).ok_or(Reason::NotFound)?;
        let extra = self.file(key).extra.as_ref().ok_or(Reason::NoAttribute)?;
        let old = extra.xattrs.get(name).ok_or(Reason::NoAttribute)?;
        let (bytes, room) = measure(name, Some(old));
        self.release_bytes(key, bytes, room);
        let extra = self.file_mut(key).extra();
        extra.xattrs.remove(name);
        extra.ctime = now.wall_ns;
        Ok(())
    }

    fn set_queue_xattr(
        &mut self,
        key: Key,
        name: &[u8],
        value: &[u8],
        flags: XattrFlags,
        caller: Caller,
        now: Now,
    ) -> Outcome<()> {
        let old = check_xattr(&self.queue(key).xattrs, name, flags)?;
        let (old_bytes, old_room) = measure(name, old);
        let (bytes, room) = measure(name, Some(value));
        let (uid, gid) = (self.queue(key).uid, self.queue(key).gid);
        let more = Charge::bytes(bytes.saturating_sub(old_bytes));
        self.check_space(room.saturating_sub(old_room), 0)?;
        if !caller.is_root() && !self.ledger.admits(uid, gid, more) {
            return Err(Reason::OverQuota);
        }
        self.make_room_for_bytes(key, more.bytes, bytes, None, now)?;
        self.ledger.add(uid, gid, Charge::bytes(bytes));
        self.ledger.release(uid, gid, Charge::bytes(old_bytes));
        self.space.bytes += room;
        self.give_back(old_room);
        let queue = self.queue_mut(key);
        queue.bytes = queue.bytes + bytes - old_bytes;
        queue.xattrs.insert(name.into(), value.into());
        queue.ctime = now.wall_ns;
        Ok(())
    }

    fn remove_queue_xattr(&mut self, key: Key, name: &[u8], now: Now) -> Outcome<()> {
        let queue = self.queues.get(key).ok_or(Reason::NotFound)?;
        let old = queue.xattrs.get(name).ok_or(Reason::NoAttribute)?;
        let (bytes, room) = measure(name, Some(old));
        let (uid, gid) = (queue.uid, queue.gid);
        self.ledger.release(uid, gid, Charge::bytes(bytes));
        self.give_back(room);
        let queue = self.queue_mut(key);
        queue.bytes -= bytes;
        queue.xattrs.remove(name);
        queue.ctime = now.wall_ns;
        Ok(())
    }
}

impl Queue {
    /// The value of a control attribute; `None` where it has none now. The owner's depends on the
    /// reader and is not told here.
    fn control(&self, control: Control) -> Option<Vec<u8>> {
        match control {
            Control::Sticky => self.fate.is_sticky().then(|| b"1".to_vec()),
            Control::Owner | Control::Oldest => None,
            Control::MaxEvents => Some(decimal(self.max_events)),
            Control::MaxBytes => Some(decimal(self.max_bytes)),
            Control::Overflow => Some(match self.overflow {
                Overflow::Reject => b"reject".to_vec(),
                Overflow::DropOldest => b"drop-oldest".to_vec(),
            }),
            Control::Ttl => Some(decimal(self.ttl_seconds)),
            Control::Counter(counter) => Some(decimal(match counter {
                Counter::Depth => self.events.len + self.held,
                Counter::Bytes => self.bytes,
                Counter::Published => self.published,
                Counter::Removed => self.removed,
                Counter::Dropped => self.dropped,
                Counter::Expired => self.expired,
            })),
        }
    }

    /// Whether a control attribute exists now.
    fn has(&self, control: Control) -> bool {
        match control {
            Control::Sticky => self.fate.is_sticky(),
            Control::Owner => !self.fate.is_sticky() || self.fate.owner().is_some(),
            _ => true,
        }
    }
}

fn decimal(number: u64) -> Vec<u8> {
    number.to_string().into_bytes()
}

fn check_size(name: &[u8], value: &[u8]) -> Outcome<()> {
    match (name.len() > NAME_BYTES_MAX, value.len() > XATTR_VALUE_BYTES_MAX) {
        (true, _) => Err(Reason::NameTooLong),
        (_, true) => Err(Reason::TooBig),
        _ => Ok(()),
    }
}

fn check_xattr<'a>(
    xattrs: &'a Xattrs,
    name: &[u8],
    flags: XattrFlags,
) -> Outcome<Option<&'a [u8]>> {
    let old = xattrs.get(name).map(|value| &**value);
    flags.check(old.is_some())?;
    let names: usize = xattrs.keys().map(|name| name.len() + 1).sum();
    if old.is_none() && names + name.len() + 1 > XATTR_NAMES_BYTES_MAX {
        return Err(Reason::NoSpace);
    }
    Ok(old)
}

/// Bytes and room of an attribute, nothing for none.
fn measure(name: &[u8], value: Option<&[u8]>) -> (u64, u64) {
    value.map_or((0, 0), |value| (value.len() as u64, xattr_room(name, value)))
}
