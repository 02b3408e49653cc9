//! Owners, deadlines, and the end of queues.

use super::{Deadline, Tree};
use crate::model::caller::Now;
use crate::model::change::{Cause, Change};
use crate::model::error::{Outcome, Reason};
use crate::model::inode::{Ino, Node};
use crate::model::limits::{SECOND_NS, SWEEP_ENTRIES_MAX};
use crate::model::owner::{Fate, OwnerId};
use crate::model::slab::{Key, NIL};

impl Tree {
    /// Notes that a queue belongs to an owner.
    pub(super) fn own(&mut self, key: Key, owner: Option<OwnerId>) {
        if let Some(owner) = owner {
            self.owned.insert((owner, key));
        }
    }

    /// Takes a queue from its owner.
    fn disown(&mut self, key: Key) {
        if let Some(owner) = self.queue(key).fate.owner() {
            self.owned.remove(&(owner, key));
            self.changes.push(Change::OwnerReleased(owner));
        }
    }

    pub(super) fn give_to(&mut self, key: Key, owner: OwnerId) {
        self.disown(key);
        self.own(key, Some(owner));
        let fate = match self.queue(key).fate {
            Fate::Sticky { .. } => Fate::Sticky { last: Some(owner) },
            Fate::Owned { .. } | Fate::Orphan { .. } => Fate::Owned { owner, named: true },
        };
        self.set_fate(key, fate);
    }

    fn set_fate(&mut self, key: Key, fate: Fate) {
        let old = std::mem::replace(&mut self.queue_mut(key).fate, fate);
        if let Fate::Orphan { until_ns } = old {
            self.deadlines.remove(&(until_ns, Deadline::Grace, key));
        }
    }

    pub(super) fn make_sticky(&mut self, key: Key) {
        let last = self.queue(key).fate.owner();
        self.set_fate(key, Fate::Sticky { last });
    }

    pub(super) fn end_sticky(&mut self, key: Key, now: Now) {
        match self.queue(key).fate.owner() {
            Some(owner) => self.queue_mut(key).fate = Fate::Owned { owner, named: true },
            None => self.orphan(key, now.boot_ns.saturating_add(self.settings.grace_ns)),
        }
    }

    fn orphan(&mut self, key: Key, until_ns: i64) {
        self.queue_mut(key).fate = Fate::Orphan { until_ns };
        self.set_deadline(until_ns, Deadline::Grace, key);
    }

    /// What decides the end of a queue.
    ///
    /// # Errors
    /// `NotFound`, `NoAttribute` for anything but a queue.
    pub fn fate(&self, ino: Ino) -> Outcome<Fate> {
        let Node::Queue(key) = ino.node() else { return Err(Reason::NoAttribute) };
        self.queues.get(key).map(|queue| queue.fate).ok_or(Reason::NotFound)
    }

    /// A process has ended: its queues end with it. One that it made less than the grace ago stands
    /// until that is over; a sticky one forgets it. Does at most [`SWEEP_ENTRIES_MAX`] queues; `true`
    /// asks to be called again.
    pub fn owner_died(&mut self, owner: OwnerId, now: Now) -> bool {
        let first = Key { slot: 0, turn: 0 };
        let last = Key { slot: u32::MAX, turn: u32::MAX };
        let owned = self.owned.range((owner, first)..=(owner, last)).map(|(_, key)| *key);
        let queues: Vec<Key> = owned.take(SWEEP_ENTRIES_MAX).collect();
        let more = queues.len() == SWEEP_ENTRIES_MAX;
        for key in queues {
            let queue = self.queue(key);
            let grace_ends = queue.born_ns.saturating_add(self.settings.grace_ns);
            match queue.fate {
                Fate::Owned { named: false, .. } if now.boot_ns < grace_ends => {
                    self.disown(key);
                    self.orphan(key, grace_ends);
                }
                Fate::Sticky { .. } => {
                    self.disown(key);
                    self.queue_mut(key).fate = Fate::Sticky { last: None };
                }
                _ => self.end_and_tell(key, now),
            }
        }
        self.sweep(now);
        more
    }

    /// The next moment (boot clock, ns) at which [`Tree::tick`] has something to do.
    pub fn next_deadline(&self) -> Option<i64> {
        if !self.dying.is_empty() {
            return Some(i64::MIN);
        }
        self.deadlines.first().map(|(at, _, _)| *at)
    }

    /// Does what is due, at most [`SWEEP_ENTRIES_MAX`] entries of it: ends graces, expires events,
    /// sweeps the remains of dead queues.
    pub fn tick(&mut self, now: Now) {
        for _ in 0..SWEEP_ENTRIES_MAX {
            let Some((at, deadline, key)) = self.deadlines.first().copied() else { break };
            if at > now.boot_ns {
                break;
            }
            self.deadlines.pop_first();
            if self.queues.get(key).is_none_or(|queue| queue.dead) {
                continue;
            }
            match deadline {
                Deadline::Grace => self.end_if_still_orphan(key, at, now),
                Deadline::Expiry => {
                    self.expire(key, now);
                    break;
                }
            }
        }
        self.sweep(now);
    }

    fn end_if_still_orphan(&mut self, key: Key, at: i64, now: Now) {
        if self.queue(key).fate == (Fate::Orphan { until_ns: at }) {
            self.end_and_tell(key, now);
        }
    }

    fn set_deadline(&mut self, at: i64, deadline: Deadline, key: Key) {
        let first = self.deadlines.first().is_none_or(|(first, _, _)| at < *first);
        self.deadlines.insert((at, deadline, key));
        if first {
            self.changes.push(Change::Deadline);
        }
    }

    /// Sees to it that the oldest event of a queue with a `ttl` expires in time.
    pub(super) fn arm_expiry(&mut self, key: Key) {
        let Some(due) = self.expiry_of_oldest(key) else { return };
        // A deadline that turns out early is harmless. One that stands is never too late unless the
        // `ttl` was shortened, because the oldest event is the first to expire.
        match self.queue(key).expiry_at {
            Some(at) if at <= due => return,
            Some(at) => drop(self.deadlines.remove(&(at, Deadline::Expiry, key))),
            None => {}
        }
        self.queue_mut(key).expiry_at = Some(due);
        self.set_deadline(due, Deadline::Expiry, key);
    }

    fn expiry_of_oldest(&self, key: Key) -> Option<i64> {
        let queue = self.queue(key);
        if queue.ttl_seconds == 0 || queue.events.head == NIL {
            return None;
        }
        let ttl_ns = i64::try_from(queue.ttl_seconds).unwrap_or(i64::MAX).saturating_mul(SECOND_NS);
        Some((self.entry(queue.events.head).published as i64).saturating_add(ttl_ns))
    }

    fn expire(&mut self, key: Key, now: Now) {
        self.queue_mut(key).expiry_at = None;
        for _ in 0..SWEEP_ENTRIES_MAX {
            match self.expiry_of_oldest(key) {
                Some(due) if due <= now.boot_ns => {
                    let oldest = self.queue(key).events.head;
                    self.remove_oldest(key, oldest, Cause::Expired, now);
                }
                _ => break,
            }
        }
        self.arm_expiry(key);
    }

    fn end_and_tell(&mut self, key: Key, now: Now) {
        let name = self.queue(key).name.clone();
        self.end_queue(key, now);
        self.changes.push(Change::QueueEnded { queue: Node::Queue(key).into(), name });
    }

    /// Ends a queue: its name is free at once, what it holds is swept in steps.
    pub(super) fn end_queue(&mut self, key: Key, now: Now) {
        self.disown(key);
        self.set_fate(key, Fate::Sticky { last: None });
        if let Some(at) = self.queue_mut(key).expiry_at.take() {
            self.deadlines.remove(&(at, Deadline::Expiry, key));
        }
        let queue = self.queue_mut(key);
        queue.dead = true;
        queue.ctime = now.wall_ns;
        let (number, uid, gid) = (queue.number, queue.uid, queue.gid);
        let xattrs = std::mem::take(&mut queue.xattrs);
        let bytes: u64 = xattrs.values().map(|value| value.len() as u64).sum();
        let room: u64 = xattrs.iter().map(|(n, v)| super::space::xattr_room(n, v)).sum();
        queue.bytes -= bytes;
        let name = queue.name.clone();
        self.queue_names.remove(&name);
        self.queue_order.remove(&number);
        self.ledger.release(uid, gid, crate::model::quota::Charge { dirs: 1, files: 0, bytes });
        self.space.queues -= 1;
        self.give_back(super::space::QUEUE_ROOM + room);
        self.touch_root(now);
        if self.queue(key).entries() > 0 {
            self.dying.push_back(key);
        }
        self.bury(key);
    }

    /// Sweeps entries of dead queues, a bounded number of them.
    fn sweep(&mut self, now: Now) {
        let mut left = SWEEP_ENTRIES_MAX;
        while let Some(key) = self.dying.front().copied() {
            let Some(queue) = self.queues.get(key) else {
                self.dying.pop_front();
                continue;
            };
            let slot = match (queue.events.head, queue.loose.head) {
                (NIL, NIL) => {
                    self.dying.pop_front();
                    self.bury(key);
                    continue;
                }
                (NIL, loose) => loose,
                (event, _) => event,
            };
            if left == 0 {
                self.changes.push(Change::Deadline);
                return;
            }
            left -= 1;
            self.forget_if_open(slot);
            self.detach(slot, now);
        }
    }

    /// Forgets a dead queue that neither the kernel, nor a reader, nor an entry knows any more.
    pub(super) fn bury(&mut self, key: Key) {
        let Some(queue) = self.queues.get(key) else { return };
        let needed = !queue.dead
            || queue.lookups > 0
            || queue.opens > 0
            || queue.events.first != NIL
            || queue.loose.first != NIL;
        if !needed {
            self.queues.remove(key);
        }
    }
}
