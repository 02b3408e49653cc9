//! A tree with short words for what the named tests do to it.

use eventfs::model::quota::{Quota, Quotas};
use eventfs::model::{
    Attr, Caller, Cause, Change, HandleId, Ino, Mode, Now, Outcome, OwnerId, Powers, SetAttr,
    Settings, Taken, Taker, Tree, Want, XattrFlags,
};

use super::listing;

pub(crate) const ROOT: Caller = Caller::ROOT;
pub(crate) const USER: Caller = Caller { uid: 7, gid: 70 };

/// All that a consumer asks for, where a test names no number.
pub(crate) const WANT: Want = Want { events_max: 100, bytes_max: 16 << 10, event_bytes: 32 };

const READ_WRITE: Mode = Mode { reads: true, writes: true, truncates: false };

pub(crate) struct Bench {
    pub(crate) tree: Tree,
    pub(crate) now: Now,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(Settings::default(), Quotas::default())
    }

    pub(crate) fn with(settings: Settings, quotas: Quotas) -> Self {
        let now = Now { wall_ns: 1_000, boot_ns: 1_000 };
        Self { tree: Tree::new(settings, quotas, now), now }
    }

    /// With this quota for every user.
    pub(crate) fn limited(quota: Quota) -> Self {
        Self::with(Settings::default(), Quotas { default: quota, ..Quotas::default() })
    }

    /// A sticky queue of the user.
    pub(crate) fn queue(&mut self, name: &str) -> Ino {
        self.mkdir(name, None).unwrap().ino
    }

    pub(crate) fn mkdir(&mut self, name: &str, owner: Option<OwnerId>) -> Outcome<Attr> {
        self.tree.mkdir(Ino::ROOT, name.as_bytes(), 0o755, owner, USER, self.now)
    }

    pub(crate) fn create(&mut self, queue: Ino, name: &str) -> Outcome<(Ino, HandleId)> {
        self.create_by(queue, name, USER)
    }

    pub(crate) fn create_by(
        &mut self,
        queue: Ino,
        name: &str,
        who: Caller,
    ) -> Outcome<(Ino, HandleId)> {
        let made = self.tree.create(queue, name.as_bytes(), 0o644, READ_WRITE, who, self.now);
        made.map(|(attr, handle)| (attr.ino, handle))
    }

    pub(crate) fn write(&mut self, handle: HandleId, offset: u64, data: &[u8]) -> Outcome<()> {
        self.tree.write(handle, offset, data, USER, self.now)
    }

    pub(crate) fn close(&mut self, handle: HandleId) {
        self.tree.release(handle, self.now);
    }

    /// One event, written and closed.
    pub(crate) fn put(&mut self, queue: Ino, name: &str, data: &str) -> Ino {
        let (ino, handle) = self.create(queue, name).unwrap();
        self.write(handle, 0, data.as_bytes()).unwrap();
        self.close(handle);
        ino
    }

    pub(crate) fn open(&mut self, ino: Ino) -> HandleId {
        self.tree.open(ino, READ_WRITE, self.now).unwrap()
    }

    pub(crate) fn link(&mut self, file: Ino, queue: Ino, name: &str) -> Outcome<()> {
        self.tree.link_file(file, queue, name.as_bytes(), USER, self.now).map(drop)
    }

    pub(crate) fn unlink(&mut self, queue: Ino, name: &str) -> Outcome<()> {
        self.tree.unlink(queue, name.as_bytes(), self.now)
    }

    pub(crate) fn rename(&mut self, from: (Ino, &str), to: (Ino, &str)) -> Outcome<()> {
        let (from, to) = ((from.0, from.1.as_bytes()), (to.0, to.1.as_bytes()));
        self.tree.rename(from, to, false, USER, self.now)
    }

    pub(crate) fn chown(&mut self, ino: Ino, uid: u32, gid: u32) -> Outcome<()> {
        let set = SetAttr { uid: Some(uid), gid: Some(gid), ..SetAttr::default() };
        self.tree.setattr(ino, set, ROOT, self.now).map(drop)
    }

    /// Sets `user.eventfs_NAME`.
    pub(crate) fn set(&mut self, ino: Ino, name: &str, value: &str) -> Outcome<()> {
        self.xattr(ino, &format!("user.eventfs_{name}"), value)
    }

    pub(crate) fn xattr(&mut self, ino: Ino, name: &str, value: &str) -> Outcome<()> {
        let flags = XattrFlags::default();
        self.tree.setxattr(ino, name.as_bytes(), value.as_bytes(), flags, USER, self.now)
    }

    pub(crate) fn unset(&mut self, ino: Ino, name: &str) -> Outcome<()> {
        let name = format!("user.eventfs_{name}");
        self.tree.removexattr(ino, name.as_bytes(), USER, self.now)
    }

    /// Reads `user.eventfs_NAME`.
    pub(crate) fn get(&self, ino: Ino, name: &str) -> Option<String> {
        let value = self.tree.getxattr(ino, format!("user.eventfs_{name}").as_bytes()).ok()?;
        Some(String::from_utf8(value).unwrap())
    }

    pub(crate) fn number(&self, ino: Ino, name: &str) -> u64 {
        self.get(ino, name).unwrap().parse().unwrap()
    }

    /// Published, removed, dropped, expired.
    pub(crate) fn counters(&self, queue: Ino) -> [u64; 4] {
        ["published", "removed", "dropped", "expired"].map(|name| self.number(queue, name))
    }

    /// What `head` or `tail` points to.
    pub(crate) fn points(&mut self, queue: Ino, link: &str) -> Option<String> {
        let link = self.tree.lookup(queue, link.as_bytes()).ok()?;
        Some(String::from_utf8(self.tree.readlink(link.ino).unwrap()).unwrap())
    }

    /// The listing without `.`, `..`, `head` and `tail`, in one line.
    pub(crate) fn list(&mut self, ino: Ino) -> String {
        let lines = listing::all(&mut self.tree, ino);
        let names = lines.iter().filter(|line| line.offset > 4);
        names.map(|line| String::from_utf8_lossy(&line.name)).collect::<Vec<_>>().join(" ")
    }

    pub(crate) fn text(&mut self, ino: Ino) -> String {
        let handle = self.open(ino);
        let data = self.tree.read(handle, 0, 1 << 20).unwrap();
        self.close(handle);
        String::from_utf8(data).unwrap()
    }

    pub(crate) fn nlink(&self, ino: Ino) -> u32 {
        self.tree.getattr(ino).unwrap().nlink
    }

    /// Time goes on, and what is due is done.
    pub(crate) fn pass(&mut self, ns: i64) {
        self.now.wall_ns += ns;
        self.now.boot_ns += ns;
        while self.tree.next_deadline().is_some_and(|at| at <= self.now.boot_ns) {
            self.tree.tick(self.now);
        }
    }

    pub(crate) fn die(&mut self, owner: OwnerId) {
        while self.tree.owner_died(owner, self.now) {}
    }

    /// The events that nobody unlinked by name, and why they went; forgets other changes.
    pub(crate) fn gone(&mut self) -> Vec<(String, Cause)> {
        let name = |change| match change {
            Change::Gone { name, cause, .. } => {
                Some((String::from_utf8(name.into_vec()).unwrap(), cause))
            }
            _ => None,
        };
        self.tree.take_changes().into_iter().filter_map(name).collect()
    }
}

impl Bench {
    /// A consumer of a queue.
    pub(crate) fn consumer(&mut self, queue: Ino) -> HandleId {
        self.tree.opendir(queue).unwrap()
    }

    pub(crate) fn take_by(
        &mut self,
        id: HandleId,
        confirmed: usize,
        events_max: u32,
        who: Caller,
    ) -> Outcome<Vec<Taken>> {
        let want = Want { events_max, ..WANT };
        self.tree.take(id, confirmed, want, &Taker::new(who, &Powers::default), self.now)
    }

    /// Confirms and takes; the names in one line.
    pub(crate) fn take(&mut self, id: HandleId, confirmed: usize, events_max: u32) -> String {
        let taken = self.take_by(id, confirmed, events_max, USER).unwrap();
        let names = taken.into_iter().map(|event| String::from_utf8(event.name).unwrap());
        names.collect::<Vec<_>>().join(" ")
    }

    pub(crate) fn close_consumer(&mut self, id: HandleId) {
        self.tree.releasedir(id, self.now);
    }

    /// Removes what is there, and says whether nothing at all is left.
    pub(crate) fn is_clear_without(&mut self, queue: Ino, name: &str) -> bool {
        for entry in self.list(queue).split(' ').filter(|entry| !entry.is_empty()) {
            self.unlink(queue, entry).unwrap();
        }
        self.tree.rmdir(Ino::ROOT, name.as_bytes(), self.now).unwrap();
        self.tree.forget(queue, 99);
        self.tree.is_clear()
    }
}
