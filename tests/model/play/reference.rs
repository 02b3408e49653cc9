//! What the tree should be, kept in the plainest way: vectors, and every sum taken anew.

use std::collections::BTreeMap;

use eventfs::model::limits::{
    EVENT_OVERHEAD_BYTES, LINK_OVERHEAD_BYTES, NAME_BYTES_MAX, QUEUE_OVERHEAD_BYTES,
    XATTR_OVERHEAD_BYTES,
};
use eventfs::model::quota::{Quota, Quotas};
use eventfs::model::{
    Caller, Cause, Fate, HandleId, Ino, Now, Outcome, Overflow, OwnerId, Reason, Settings,
};

/// Number of a queue, file, link or handle in the reference.
pub(crate) type Id = usize;

/// Extended attributes of the user.
pub(crate) type Xattrs = BTreeMap<Vec<u8>, Vec<u8>>;

/// What a link is at the moment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum State {
    Queued { seq: u64, at_ns: i64 },
    Staged,
    Unfinished,
}

impl State {
    pub(crate) fn is_queued(self) -> bool {
        matches!(self, Self::Queued { .. })
    }
}

/// One name in a queue.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) id: Id,
    pub(crate) name: Vec<u8>,
    pub(crate) file: Id,
    pub(crate) state: State,
}

pub(crate) struct Queue {
    pub(crate) ino: Ino,
    pub(crate) name: Vec<u8>,
    pub(crate) mode: u16,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) alive: bool,
    pub(crate) lookups: u64,
    pub(crate) opens: u64,
    pub(crate) born_ns: i64,
    pub(crate) fate: Fate,
    /// In order of publication.
    pub(crate) events: Vec<Link>,
    /// Staged and unfinished ones.
    pub(crate) loose: Vec<Link>,
    pub(crate) next_seq: u64,
    pub(crate) published: u64,
    pub(crate) removed: u64,
    pub(crate) dropped: u64,
    pub(crate) expired: u64,
    pub(crate) max_events: u64,
    pub(crate) max_bytes: u64,
    pub(crate) overflow: Overflow,
    pub(crate) ttl_seconds: u64,
    pub(crate) xattrs: Xattrs,
}

impl Queue {
    pub(crate) fn links(&self) -> impl Iterator<Item = &Link> {
        self.events.iter().chain(&self.loose)
    }

    pub(crate) fn find(&self, name: &[u8]) -> Option<&Link> {
        self.links().find(|link| link.name == name)
    }

    /// Whether the tree may still answer for its inode number.
    pub(crate) fn is_known(&self) -> bool {
        self.alive || self.lookups > 0 || self.opens > 0
    }
}

pub(crate) struct File {
    pub(crate) ino: Ino,
    pub(crate) data: Vec<u8>,
    pub(crate) mode: u16,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mtime: i64,
    pub(crate) opens: u64,
    pub(crate) spoiled: bool,
    pub(crate) fresh: bool,
    /// The link that the creating handle made.
    pub(crate) made: Option<Id>,
    /// Place at the last publication.
    pub(crate) seq: Option<u64>,
    pub(crate) xattrs: Xattrs,
}

impl File {
    pub(crate) fn bytes(&self) -> u64 {
        self.data.len() as u64 + value_bytes(&self.xattrs)
    }
}

pub(crate) struct Handle {
    pub(crate) id: HandleId,
    pub(crate) file: Id,
    pub(crate) maker: bool,
    pub(crate) writes: bool,
}

/// An event that the filesystem itself removed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Gone {
    pub(crate) queue: Id,
    pub(crate) file: Ino,
    pub(crate) name: Vec<u8>,
    pub(crate) cause: Cause,
}

#[derive(Clone, Copy, Default)]
pub(crate) struct Usage {
    pub(crate) dirs: u64,
    pub(crate) files: u64,
    pub(crate) bytes: u64,
}

pub(crate) struct Reference {
    pub(crate) settings: Settings,
    pub(crate) quotas: Quotas,
    /// Never removed from: the index is the queue's number.
    pub(crate) queues: Vec<Queue>,
    pub(crate) files: BTreeMap<Id, File>,
    pub(crate) handles: BTreeMap<Id, Handle>,
    pub(crate) gone: Vec<Gone>,
    pub(crate) ended: Vec<Id>,
    next_id: Id,
}

pub(crate) fn value_bytes(xattrs: &Xattrs) -> u64 {
    xattrs.values().map(|value| value.len() as u64).sum()
}

pub(crate) fn xattr_room(name: &[u8], value: &[u8]) -> u64 {
    XATTR_OVERHEAD_BYTES + (name.len() + value.len()) as u64
}

fn xattrs_room(xattrs: &Xattrs) -> u64 {
    xattrs.iter().map(|(name, value)| xattr_room(name, value)).sum()
}

pub(crate) fn link_room(name: &[u8]) -> u64 {
    LINK_OVERHEAD_BYTES + name.len() as u64
}

const FILE_ROOM: u64 = EVENT_OVERHEAD_BYTES - LINK_OVERHEAD_BYTES;

pub(crate) fn is_staged(name: &[u8]) -> bool {
    name.starts_with(b".")
}

pub(crate) fn is_reserved(name: &[u8]) -> bool {
    name == b"head" || name == b"tail"
}

impl Reference {
    pub(crate) fn new(settings: Settings, quotas: Quotas) -> Self {
        Self {
            settings,
            quotas,
            queues: Vec::new(),
            files: BTreeMap::new(),
            handles: BTreeMap::new(),
            gone: Vec::new(),
            ended: Vec::new(),
            next_id: 0,
        }
    }

    pub(crate) fn new_id(&mut self) -> Id {
        self.next_id += 1;
        self.next_id
    }

    pub(crate) fn live_queues(&self) -> impl Iterator<Item = &Queue> {
        self.queues.iter().filter(|queue| queue.alive)
    }

    pub(crate) fn queue_of_name(&self, name: &[u8]) -> Option<Id> {
        self.queues.iter().position(|queue| queue.alive && queue.name == name)
    }

    pub(crate) fn nlink(&self, file: Id) -> u32 {
        let links = self.queues.iter().flat_map(Queue::links);
        links.filter(|link| link.file == file).count() as u32
    }

    /// Bytes of all links of a queue and of its own attributes.
    pub(crate) fn queue_bytes(&self, queue: Id) -> u64 {
        let queue = &self.queues[queue];
        let links: u64 = queue.links().map(|link| self.files[&link.file].bytes()).sum();
        links + value_bytes(&queue.xattrs)
    }

    pub(crate) fn space_bytes(&self) -> u64 {
        let queues: u64 =
            self.live_queues().map(|q| QUEUE_OVERHEAD_BYTES + xattrs_room(&q.xattrs)).sum();
        let links: u64 =
            self.live_queues().flat_map(Queue::links).map(|l| link_room(&l.name)).sum();
        let file = |f: &File| FILE_ROOM + f.data.len() as u64 + xattrs_room(&f.xattrs);
        queues + links + self.files.values().map(file).sum::<u64>()
    }

    pub(crate) fn entries(&self) -> u64 {
        self.live_queues().flat_map(Queue::links).count() as u64
    }

    fn used(&self, queue_is: impl Fn(&Queue) -> bool, file_is: impl Fn(&File) -> bool) -> Usage {
        let mut used = Usage::default();
        for queue in self.live_queues().filter(|queue| queue_is(queue)) {
            used.dirs += 1;
            used.bytes += value_bytes(&queue.xattrs);
        }
        for file in self.files.values().filter(|file| file_is(file)) {
            used.files += 1;
            used.bytes += file.bytes();
        }
        used
    }

    pub(crate) fn admits_user(&self, uid: u32, more: Usage) -> bool {
        let quota = self.quotas.users.get(&uid).copied().unwrap_or(self.quotas.default);
        fits(self.used(|queue| queue.uid == uid, |file| file.uid == uid), more, quota)
    }

    pub(crate) fn admits_group(&self, gid: u32, more: Usage) -> bool {
        let quota = self.quotas.groups.get(&gid).copied().unwrap_or_default();
        fits(self.used(|queue| queue.gid == gid, |file| file.gid == gid), more, quota)
    }

    pub(crate) fn check_quota(&self, uid: u32, gid: u32, more: Usage, who: Caller) -> Outcome<()> {
        let fits = self.admits_user(uid, more) && self.admits_group(gid, more);
        if fits || who.uid == 0 { Ok(()) } else { Err(Reason::OverQuota) }
    }

    pub(crate) fn per_dir(&self, uid: u32, gid: u32) -> u64 {
        let user = self.quotas.users.get(&uid).copied().unwrap_or(self.quotas.default);
        let group = self.quotas.groups.get(&gid).copied().unwrap_or_default();
        let limits = [user.max_files_per_dir, group.max_files_per_dir];
        limits.into_iter().flatten().min().unwrap_or(u64::MAX)
    }

    pub(crate) fn check_space(&self, bytes: u64, entries: u64) -> Outcome<()> {
        let full = bytes > 0 && self.space_bytes() + bytes > self.settings.size_bytes;
        let many = self.settings.events_max.is_some_and(|max| self.entries() + entries > max);
        if full || (entries > 0 && many) { Err(Reason::NoSpace) } else { Ok(()) }
    }

    pub(crate) fn mkdir(
        &mut self,
        name: &[u8],
        mode: u16,
        owner: Option<OwnerId>,
        who: Caller,
        now: Now,
    ) -> Outcome<Id> {
        check_length(name)?;
        if self.queue_of_name(name).is_some() {
            return Err(Reason::Exists);
        }
        if self.settings.queues_max.is_some_and(|max| self.live_queues().count() as u64 >= max) {
            return Err(Reason::NoSpace);
        }
        self.check_space(QUEUE_OVERHEAD_BYTES, 0)?;
        self.check_quota(who.uid, who.gid, Usage { dirs: 1, ..Usage::default() }, who)?;
        self.queues.push(Queue {
            ino: Ino::ROOT,
            name: name.to_vec(),
            mode,
            uid: who.uid,
            gid: who.gid,
            alive: true,
            lookups: 1,
            opens: 0,
            born_ns: now.boot_ns,
            fate: owner
                .map_or(Fate::Sticky { last: None }, |owner| Fate::Owned { owner, named: false }),
            events: Vec::new(),
            loose: Vec::new(),
            next_seq: 1,
            published: 0,
            removed: 0,
            dropped: 0,
            expired: 0,
            max_events: 0,
            max_bytes: 0,
            overflow: Overflow::Reject,
            ttl_seconds: 0,
            xattrs: Xattrs::new(),
        });
        Ok(self.queues.len() - 1)
    }

    pub(crate) fn rmdir(&mut self, name: &[u8]) -> Outcome<()> {
        let queue = self.queue_of_name(name).ok_or(Reason::NotFound)?;
        if self.queues[queue].links().count() > 0 {
            return Err(Reason::NotEmpty);
        }
        self.end_queue(queue);
        Ok(())
    }

    pub(crate) fn rename_queue(&mut self, from: &[u8], to: &[u8], no_replace: bool) -> Outcome<()> {
        check_length(to)?;
        let queue = self.queue_of_name(from).ok_or(Reason::NotFound)?;
        if let Some(other) = self.queue_of_name(to) {
            if no_replace {
                return Err(Reason::Exists);
            }
            if other == queue {
                return Ok(());
            }
            if self.queues[other].links().count() > 0 {
                return Err(Reason::NotEmpty);
            }
            self.end_queue(other);
        }
        self.queues[queue].name = to.to_vec();
        Ok(())
    }

    pub(crate) fn end_queue(&mut self, queue: Id) {
        let queue = &mut self.queues[queue];
        queue.alive = false;
        queue.events.clear();
        queue.loose.clear();
        queue.xattrs.clear();
        queue.fate = Fate::Sticky { last: None };
        self.forget_unused();
    }

    /// Removes the files that nothing refers to.
    pub(crate) fn forget_unused(&mut self) {
        let unused: Vec<Id> = self
            .files
            .iter()
            .filter(|(id, file)| file.opens == 0 && self.nlink(**id) == 0)
            .map(|(id, _)| *id)
            .collect();
        for id in unused {
            self.files.remove(&id);
        }
    }
}

fn fits(used: Usage, more: Usage, quota: Quota) -> bool {
    let within = |used: u64, more: u64, max: Option<u64>| {
        more == 0 || used + more <= max.unwrap_or(u64::MAX)
    };
    within(used.dirs, more.dirs, quota.max_dirs)
        && within(used.files, more.files, quota.max_files)
        && within(used.bytes, more.bytes, quota.max_bytes)
}

pub(crate) fn check_length(name: &[u8]) -> Outcome<()> {
    if name.len() > NAME_BYTES_MAX { Err(Reason::NameTooLong) } else { Ok(()) }
}
