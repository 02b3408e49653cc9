//! Compares everything that the tree shows with the reference.

use eventfs::model::{Attr, Change, Ino, Kind, Mode, Reason};

use super::driver::{Before, World};
use super::listing;
use super::ops::NAMES;
use super::reference::{Gone, Id, State, is_reserved};

const READ: Mode = Mode { reads: true, writes: false, truncates: false };

impl World {
    /// Compares all that can be seen.
    pub(crate) fn check(&mut self) {
        self.check_listing(None, Ino::ROOT);
        for queue in 0..self.reference.queues.len() {
            self.check_queue(queue);
        }
        for file in self.reference.files.keys().copied().collect::<Vec<_>>() {
            self.check_file(file);
        }
        self.check_handles();
        let space = self.tree.space();
        assert_eq!(space.bytes_used, self.reference.space_bytes(), "bytes in use");
        assert_eq!(space.events_used, self.reference.entries(), "entries in use");
        assert_eq!(self.tree.getattr(Ino::ROOT).unwrap().nlink, {
            2 + self.reference.live_queues().count() as u32
        });
        if let Some(due) = self.reference.next_due() {
            let deadline = self.tree.next_deadline();
            assert!(deadline.is_some_and(|at| at <= due), "deadline {deadline:?} after {due}");
        }
    }

    fn check_listing(&mut self, queue: Option<Id>, ino: Ino) {
        let lines = listing::all(&mut self.tree, ino);
        let expected = listing::expected(&self.reference, queue);
        let names = |line: &listing::Line| (line.name.clone(), line.kind);
        let got: Vec<_> = lines.iter().map(names).collect();
        let wanted: Vec<_> = expected.iter().map(|line| (line.1.clone(), line.2)).collect();
        assert_eq!(got, wanted, "listing of {queue:?}");
        for (line, wanted) in lines.iter().zip(&expected) {
            assert!(wanted.0.is_none_or(|ino| ino == line.ino), "number of {line:?}");
        }
    }

    fn check_queue(&mut self, id: Id) {
        let ino = self.reference.queues[id].ino;
        if !self.reference.queues[id].is_known() {
            assert_eq!(self.tree.getattr(ino), Err(Reason::NotFound), "a forgotten queue");
            assert_eq!(self.tree.fate(ino), Err(Reason::NotFound));
            return;
        }
        self.check_listing(Some(id), ino);
        let queue = &self.reference.queues[id];
        let attr = self.tree.getattr(ino).unwrap();
        let nlink = if queue.alive { 2 } else { 0 };
        assert_eq!((attr.kind, attr.nlink), (Kind::Directory, nlink));
        assert_eq!((attr.uid, attr.gid, attr.mode), (queue.uid, queue.gid, queue.mode));
        assert_eq!(self.tree.fate(ino), Ok(queue.fate));
        if queue.alive {
            let name = queue.name.clone();
            assert_eq!(self.tree.lookup(Ino::ROOT, &name), Ok(attr), "lookup of a queue");
            self.tree.forget(ino, 1);
            self.check_counters(id, ino);
            self.check_link(id, ino, b"head");
            self.check_link(id, ino, b"tail");
            self.check_names(id, ino);
        } else {
            assert_eq!(self.tree.lookup(ino, b"a"), Err(Reason::NotFound));
            assert_eq!(self.tree.lookup(ino, b"head"), Err(Reason::NotFound));
        }
    }

    fn number(&self, ino: Ino, name: &str) -> u64 {
        let value = self.tree.getxattr(ino, format!("user.eventfs_{name}").as_bytes()).unwrap();
        String::from_utf8(value).unwrap().parse().unwrap()
    }

    fn check_counters(&self, id: Id, ino: Ino) {
        let queue = &self.reference.queues[id];
        let depth = self.number(ino, "depth");
        for (name, wanted) in [
            ("depth", queue.events.len() as u64),
            ("bytes", self.reference.queue_bytes(id)),
            ("published", queue.published),
            ("removed", queue.removed),
            ("dropped", queue.dropped),
            ("expired", queue.expired),
            ("max_events", queue.max_events),
            ("max_bytes", queue.max_bytes),
            ("ttl", queue.ttl_seconds),
        ] {
            assert_eq!(self.number(ino, name), wanted, "{name} of queue {id}");
        }
        let gone: u64 =
            ["removed", "dropped", "expired"].iter().map(|name| self.number(ino, name)).sum();
        assert_eq!(self.number(ino, "published") - gone, depth, "what came, went or stayed");
        let names = self.tree.listxattr(ino).unwrap();
        let sticky = names.iter().any(|name| name == b"user.eventfs_sticky");
        assert_eq!(sticky, queue.fate.is_sticky());
        let own: Vec<_> =
            names.iter().filter(|n| !n.starts_with(b"user.eventfs_")).cloned().collect();
        assert_eq!(own, queue.xattrs.keys().cloned().collect::<Vec<_>>());
        for (name, value) in &queue.xattrs {
            assert_eq!(self.tree.getxattr(ino, name).as_ref(), Ok(value));
        }
    }

    fn check_link(&mut self, id: Id, ino: Ino, name: &[u8]) {
        let queue = &self.reference.queues[id];
        let target = if name == b"head" { queue.events.first() } else { queue.events.last() };
        let found = self.tree.lookup(ino, name);
        let Some(target) = target else {
            assert_eq!(found, Err(Reason::NotFound), "a link of an empty queue");
            return;
        };
        let attr = found.unwrap();
        assert_eq!(self.tree.getattr(attr.ino), Ok(attr));
        assert_eq!(self.tree.readlink(attr.ino).as_ref(), Ok(&target.name));
        assert_eq!((attr.kind, attr.mode), (Kind::Link, 0o777));
        assert_eq!((attr.uid, attr.gid), (queue.uid, queue.gid));
        assert_eq!(attr.size, target.name.len() as u64);
        assert_eq!(attr.mtime, self.reference.files[&target.file].mtime);
    }

    fn check_names(&mut self, id: Id, ino: Ino) {
        let links: Vec<_> = self.reference.queues[id].links().cloned().collect();
        for link in &links {
            let attr = self.tree.lookup(ino, &link.name).unwrap();
            assert_eq!(attr.ino, self.reference.files[&link.file].ino);
        }
        for name in NAMES.iter().filter(|name| !is_reserved(name)) {
            let there = links.iter().any(|link| link.name == *name);
            assert_eq!(self.tree.lookup(ino, name).is_ok(), there, "{name:?}");
        }
        let mut last = 0;
        for link in &links {
            if let State::Queued { seq, .. } = link.state {
                assert!(seq > last, "place numbers rise");
                last = seq;
            }
        }
    }

    fn check_file(&mut self, id: Id) {
        let file = &self.reference.files[&id];
        let attr: Attr = self.tree.getattr(file.ino).unwrap();
        assert_eq!(attr.nlink, self.reference.nlink(id), "links of file {id}");
        assert_eq!(attr.size, file.data.len() as u64, "size of file {id}");
        assert_eq!((attr.kind, attr.mode), (Kind::File, file.mode));
        assert_eq!((attr.uid, attr.gid), (file.uid, file.gid));
        assert_eq!(attr.mtime, file.mtime);
        let handle = self.tree.open(file.ino, READ, self.now).unwrap();
        assert_eq!(self.tree.read(handle, 0, 100).as_ref(), Ok(&file.data));
        self.tree.release(handle, self.now);
        let seq = file.seq.map(|seq| seq.to_string().into_bytes());
        let names = self.tree.listxattr(file.ino).unwrap();
        let wanted = seq.iter().map(|_| b"user.eventfs_seq".to_vec());
        assert_eq!(names, wanted.chain(file.xattrs.keys().cloned()).collect::<Vec<_>>());
        let shown = self.tree.getxattr(file.ino, b"user.eventfs_seq");
        assert_eq!(shown, seq.ok_or(Reason::NoAttribute), "place of file {id}");
        for (name, value) in &file.xattrs {
            assert_eq!(self.tree.getxattr(file.ino, name).as_ref(), Ok(value));
        }
    }

    fn check_handles(&self) {
        for handle in self.reference.handles.values() {
            let data = &self.reference.files[&handle.file].data;
            assert_eq!(self.tree.read(handle.id, 0, 100).as_ref(), Ok(data));
            let rest = data.get(3..).unwrap_or_default();
            assert_eq!(self.tree.read(handle.id, 3, 2), Ok(rest[..rest.len().min(2)].to_vec()));
        }
    }

    /// What the operation told others must be what happened.
    pub(crate) fn check_changes(&self, before: &Before, deadline: Option<i64>) {
        let ended: Vec<Id> = self.reference.ended.clone();
        let mut told: Vec<Id> = Vec::new();
        for change in &self.changes {
            if let Change::QueueEnded { queue, .. } = change {
                told.extend(self.reference.queues.iter().position(|known| known.ino == *queue));
            }
        }
        told.sort_unstable();
        assert_eq!(told, ended, "queues that ended by themselves");
        // What expires in the very moment in which its queue ends may be told of or not.
        let order = |gone: &Gone| (gone.queue, gone.name.clone());
        let mut told = self.told_gone();
        let mut wanted = self.reference.gone.clone();
        told.retain(|gone| !ended.contains(&gone.queue));
        wanted.retain(|gone| !ended.contains(&gone.queue));
        told.sort_by_key(order);
        wanted.sort_by_key(order);
        assert_eq!(told, wanted, "events that vanished");
        for (id, ino, nlink) in &before.nlinks {
            if self.reference.files.contains_key(id) && self.reference.nlink(*id) != *nlink {
                let told = self.changes.contains(&Change::Attributes(*ino));
                assert!(told, "nobody was told of the links of file {id}");
            }
        }
        let earlier = match (deadline, self.tree.next_deadline()) {
            (Some(before), Some(after)) => after < before,
            (None, after) => after.is_some(),
            (Some(_), None) => false,
        };
        assert!(!earlier || self.changes.contains(&Change::Deadline), "a deadline came nearer");
    }
}
