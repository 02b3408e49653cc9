//! Does every operation twice, in the tree and in the reference, and compares what they answer.

use std::collections::HashSet;

use eventfs::model::quota::Quotas;
use eventfs::model::{
    Caller, Change, HandleId, Ino, Mode, Now, Outcome, OwnerId, SetAttr, Settings, Tree, XattrFlags,
};

use super::listing::Reading;
use super::ops::{NAMES, On, Op, QUEUE_NAMES, Setting, Way, XATTR_NAMES};
use super::reference::{Gone, Id, Reference};

/// Who acts: root, two users of one group, and one of another.
const CALLERS: [Caller; 4] = [
    Caller::ROOT,
    Caller { uid: 1, gid: 10 },
    Caller { uid: 2, gid: 10 },
    Caller { uid: 1, gid: 20 },
];

const GROUPS: [u32; 2] = [10, 20];

pub(crate) struct World {
    pub(crate) tree: Tree,
    pub(crate) reference: Reference,
    pub(crate) now: Now,
    pub(crate) dirs: Vec<Reading>,
    pub(crate) changes: Vec<Change>,
    quotas: [Quotas; 3],
    owners: [OwnerId; 3],
    next_owner: u64,
    inos: HashSet<Ino>,
    handle_ids: HashSet<HandleId>,
    fill: u8,
}

fn who(number: u8) -> Caller {
    CALLERS[usize::from(number) % CALLERS.len()]
}

fn pick<T: Clone>(list: &[T], number: u8) -> Option<T> {
    list.get(usize::from(number) % list.len().max(1)).cloned()
}

fn name(number: u8) -> &'static [u8] {
    NAMES[usize::from(number) % NAMES.len()]
}

pub(crate) fn control_name(what: Setting) -> &'static [u8] {
    match what {
        Setting::Sticky => b"user.eventfs_sticky",
        Setting::MaxEvents => b"user.eventfs_max_events",
        Setting::MaxBytes => b"user.eventfs_max_bytes",
        Setting::Overflow => b"user.eventfs_overflow",
        Setting::Ttl => b"user.eventfs_ttl",
        Setting::Depth => b"user.eventfs_depth",
        Setting::Unknown => b"user.eventfs_colour",
    }
}

#[track_caller]
fn same<T>(tree: &Outcome<T>, reference: &Outcome<Id>) {
    let (tree, reference) = (tree.as_ref().map(|_| ()), reference.as_ref().map(|_| ()));
    assert_eq!(tree, reference, "tree and reference answer differently");
}

#[track_caller]
fn same_unit<T>(tree: &Outcome<T>, reference: &Outcome<()>) {
    same(tree, &reference.map(|()| 0));
}

impl World {
    pub(crate) fn new(settings: Settings, quotas: [Quotas; 3]) -> Self {
        let now = Now { wall_ns: 1_000_000_000_000, boot_ns: 5_000_000_000 };
        Self {
            tree: Tree::new(settings.clone(), quotas[1].clone(), now),
            reference: Reference::new(settings, quotas[1].clone()),
            now,
            dirs: Vec::new(),
            changes: Vec::new(),
            quotas,
            owners: [OwnerId(1), OwnerId(2), OwnerId(3)],
            next_owner: 4,
            inos: HashSet::from([Ino::ROOT]),
            handle_ids: HashSet::new(),
            fill: 0,
        }
    }

    /// A queue: a living one, or rarely a dead one that is not forgotten yet.
    fn queue(&self, number: u8) -> Option<Id> {
        let queues = &self.reference.queues;
        let choose = |alive: bool| -> Vec<Id> {
            (0..queues.len())
                .filter(|q| queues[*q].is_known() && queues[*q].alive == alive)
                .collect()
        };
        let (living, dead) = (choose(true), choose(false));
        let from_dead = number >= 240 || living.is_empty();
        pick(if from_dead && !dead.is_empty() { &dead } else { &living }, number)
    }

    fn queue_ino(&self, queue: Id) -> Ino {
        self.reference.queues[queue].ino
    }

    fn file(&self, number: u8) -> Option<Id> {
        pick(&self.reference.files.keys().copied().collect::<Vec<_>>(), number)
    }

    fn file_ino(&self, file: Id) -> Ino {
        self.reference.files[&file].ino
    }

    fn handle(&self, number: u8) -> Option<Id> {
        pick(&self.reference.handles.keys().copied().collect::<Vec<_>>(), number)
    }

    fn entry(&self, queue: Id, number: u8) -> Option<Vec<u8>> {
        let names: Vec<_> =
            self.reference.queues[queue].links().map(|link| link.name.clone()).collect();
        pick(&names, number)
    }

    fn new_ino(&mut self, ino: Ino) -> Ino {
        assert!(self.inos.insert(ino), "{ino:?} was given twice");
        ino
    }

    fn new_handle(&mut self, id: HandleId) -> HandleId {
        assert!(self.handle_ids.insert(id), "{id:?} was given twice");
        id
    }

    /// Does one operation; one that has no operand does nothing.
    pub(crate) fn step(&mut self, op: &Op) {
        let Op::Put { queue, name, len, who } = *op else { return self.one_step(op) };
        let before = self.reference.handles.len();
        self.one_step(&Op::Create { queue, name, who });
        if self.reference.handles.len() > before {
            // The newest handle is the last one.
            let handle = before.try_into().expect("few handles");
            self.one_step(&Op::Write { handle, offset: 0, len, who });
            self.one_step(&Op::Release { handle });
        }
    }

    fn one_step(&mut self, op: &Op) {
        self.now.wall_ns += 1_000;
        self.now.boot_ns += 1_000;
        let before = self.before();
        let (deadline, nothing) = (self.tree.next_deadline(), self.apply(op).is_none());
        self.changes = self.tree.take_changes();
        self.tree.take_trash();
        self.check_changes(&before, deadline);
        for dir in &mut self.dirs {
            dir.note_changes(&self.reference);
        }
        if !nothing {
            self.check();
        }
    }

    fn apply(&mut self, op: &Op) -> Option<()> {
        match *op {
            Op::Mkdir { .. } | Op::Create { .. } | Op::Mknod { .. } | Op::Link { .. } => {
                self.make(op)
            }
            Op::Open { .. } | Op::Write { .. } | Op::Allocate { .. } | Op::Release { .. } => {
                self.content(op)
            }
            Op::Rmdir { .. }
            | Op::RenameQueue { .. }
            | Op::Unlink { .. }
            | Op::Rename { .. }
            | Op::SetAttr { .. }
            | Op::ChownQueue { .. } => self.change(op),
            Op::Opendir { .. }
            | Op::Readdir { .. }
            | Op::Rewind { .. }
            | Op::Seek { .. }
            | Op::Releasedir { .. } => self.read(op),
            Op::Control { .. }
            | Op::Reset { .. }
            | Op::SetOwner { .. }
            | Op::SetUser { .. }
            | Op::RemoveUser { .. } => self.settle(op),
            Op::OwnerDied { .. } | Op::Pass { .. } | Op::Forget { .. } | Op::Quotas { .. } => {
                self.happen(op)
            }
            Op::Put { .. } => unreachable!("it is taken apart before"),
        }
    }

    fn make(&mut self, op: &Op) -> Option<()> {
        let now = self.now;
        match *op {
            Op::Mkdir { name, setgid, owner, who: number } => {
                let name = QUEUE_NAMES[usize::from(name) % QUEUE_NAMES.len()];
                let (mode, who) = (if setgid { 0o2755 } else { 0o755 }, who(number));
                let owner = owner.map(|owner| self.owners[usize::from(owner) % 3]);
                let made = self.tree.mkdir(Ino::ROOT, name, mode, owner, who, now);
                let reference = self.reference.mkdir(name, mode, owner, who, now);
                same(&made, &reference);
                if let (Ok(attr), Ok(id)) = (made, reference) {
                    self.reference.queues[id].ino = self.new_ino(attr.ino);
                }
            }
            Op::Create { queue, name: number, who: caller } => {
                let (queue, name, who) = (self.queue(queue)?, name(number), who(caller));
                let how = Mode { reads: false, writes: true, truncates: false };
                let made = self.tree.create(self.queue_ino(queue), name, 0o600, how, who, now);
                let reference = self.reference.create(queue, name, 0o600, who, now);
                same(&made, &reference.map(|(file, _)| file));
                if let (Ok((attr, handle)), Ok((file, id))) = (made, reference) {
                    self.reference.files.get_mut(&file)?.ino = self.new_ino(attr.ino);
                    self.reference.handles.get_mut(&id)?.id = self.new_handle(handle);
                }
            }
            Op::Mknod { queue, name: number, who: caller } => {
                let (queue, name, who) = (self.queue(queue)?, name(number), who(caller));
                let made = self.tree.mknod(self.queue_ino(queue), name, 0o644, who, now);
                let reference = self.reference.mknod(queue, name, 0o644, who, now);
                same(&made, &reference);
                if let (Ok(attr), Ok(file)) = (made, reference) {
                    self.reference.files.get_mut(&file)?.ino = self.new_ino(attr.ino);
                }
            }
            Op::Link { file, queue, name: number, who: caller } => {
                let (file, queue) = (self.file(file)?, self.queue(queue)?);
                let (ino, into) = (self.file_ino(file), self.queue_ino(queue));
                let (name, who) = (name(number), who(caller));
                let made = self.tree.link_file(ino, into, name, who, now);
                same_unit(&made, &self.reference.link_file(file, queue, name, who, now));
            }
            _ => unreachable!("{op:?} makes nothing"),
        }
        Some(())
    }

    fn content(&mut self, op: &Op) -> Option<()> {
        let now = self.now;
        match *op {
            Op::Open { file, truncates, writes } => {
                let file = self.file(file)?;
                let how = Mode { reads: true, writes, truncates };
                let opened = self.tree.open(self.file_ino(file), how, now);
                let reference = self.reference.open(file, truncates, writes, now);
                same(&opened, &reference);
                if let (Ok(handle), Ok(id)) = (opened, reference) {
                    self.reference.handles.get_mut(&id)?.id = self.new_handle(handle);
                }
            }
            Op::Write { handle, offset, len, who: number } => {
                let (id, who) = (self.handle(handle)?, who(number));
                self.fill = self.fill % 200 + 1;
                let (data, offset) = (vec![self.fill; usize::from(len)], u64::from(offset));
                let handle = self.reference.handles[&id].id;
                let wrote = self.tree.write(handle, offset, &data, who, now);
                same_unit(&wrote, &self.reference.write(id, offset, &data, who, now));
            }
            Op::Allocate { handle, end, who: number } => {
                let (id, who, end) = (self.handle(handle)?, who(number), u64::from(end));
                let handle = self.reference.handles[&id].id;
                let done = self.tree.allocate(handle, end, who, now);
                same_unit(&done, &self.reference.allocate(id, end, who, now));
            }
            Op::Release { handle } => {
                let id = self.handle(handle)?;
                self.tree.release(self.reference.handles[&id].id, now);
                self.reference.release(id, now);
            }
            _ => unreachable!("{op:?} has to do with no handle"),
        }
        Some(())
    }

    fn change(&mut self, op: &Op) -> Option<()> {
        let now = self.now;
        match *op {
            Op::Rmdir { queue } => {
                let name = self.reference.queues[self.queue(queue)?].name.clone();
                let done = self.tree.rmdir(Ino::ROOT, &name, now);
                same_unit(&done, &self.reference.rmdir(&name));
            }
            Op::RenameQueue { queue, name, no_replace } => {
                let from = self.reference.queues[self.queue(queue)?].name.clone();
                let to = QUEUE_NAMES[usize::from(name) % QUEUE_NAMES.len()];
                let (source, target) = ((Ino::ROOT, &from[..]), (Ino::ROOT, to));
                let done = self.tree.rename(source, target, no_replace, Caller::ROOT, now);
                same_unit(&done, &self.reference.rename_queue(&from, to, no_replace));
            }
            Op::Unlink { queue, way } => {
                let queue = self.queue(queue)?;
                let name = match way {
                    Way::Head => b"head".to_vec(),
                    Way::Tail => b"tail".to_vec(),
                    Way::Entry(number) => self.entry(queue, number)?,
                    Way::Name(number) => name(number).to_vec(),
                };
                let done = self.tree.unlink(self.queue_ino(queue), &name, now);
                same_unit(&done, &self.reference.unlink(queue, &name));
            }
            Op::Rename { queue, entry, to, name: number, no_replace, who: caller } => {
                let (from, to) = (self.queue(queue)?, self.queue(to)?);
                let (old, new) = (self.entry(from, entry)?, name(number));
                let (source, target) = (self.queue_ino(from), self.queue_ino(to));
                let who = who(caller);
                let done = self.tree.rename((source, &old), (target, new), no_replace, who, now);
                let reference =
                    self.reference.rename((from, &old), (to, new), no_replace, who, now);
                same_unit(&done, &reference);
            }
            Op::SetAttr { file, size, uid, gid, who: number } => {
                let (file, who) = (self.file(file)?, who(number));
                let set = SetAttr {
                    size: size.map(u64::from),
                    uid: uid.map(u32::from),
                    gid: gid.map(|gid| GROUPS[usize::from(gid) % 2]),
                    ..SetAttr::default()
                };
                let done = self.tree.setattr(self.file_ino(file), set, who, now);
                same_unit(&done, &self.reference.set_file_attr(file, set, who, now));
            }
            Op::ChownQueue { queue, uid, gid } => {
                let (queue, uid, gid) =
                    (self.queue(queue)?, uid.into(), GROUPS[usize::from(gid) % 2]);
                let set = SetAttr { uid: Some(uid), gid: Some(gid), ..SetAttr::default() };
                let done = self.tree.setattr(self.queue_ino(queue), set, Caller::ROOT, now);
                same_unit(&done, &self.reference.chown_queue(queue, uid, gid));
            }
            _ => unreachable!("{op:?} changes nothing"),
        }
        Some(())
    }

    fn settle(&mut self, op: &Op) -> Option<()> {
        let now = self.now;
        match *op {
            Op::Control { queue, what, value, who: number } => {
                let (queue, who) = (self.queue(queue)?, who(number));
                let text = match what {
                    Setting::Overflow if value.is_multiple_of(2) => "reject".to_owned(),
                    Setting::Overflow => "drop-oldest".to_owned(),
                    Setting::Ttl => (value % 4).to_string(),
                    _ => value.to_string(),
                };
                let value = if what == Setting::Ttl { value % 4 } else { value };
                let (ino, flags) = (self.queue_ino(queue), XattrFlags::default());
                let name = control_name(what);
                let done = self.tree.setxattr(ino, name, text.as_bytes(), flags, who, now);
                same_unit(&done, &self.reference.set_control(queue, what, value, who));
            }
            Op::Reset { queue, what, who: number } => {
                let (queue, who) = (self.queue(queue)?, who(number));
                let name = control_name(what);
                let done = self.tree.removexattr(self.queue_ino(queue), name, who, now);
                same_unit(&done, &self.reference.reset_control(queue, what, who, now));
            }
            Op::SetOwner { queue, owner, who: number } => {
                let (queue, who) = (self.queue(queue)?, who(number));
                let owner = self.owners[usize::from(owner) % 3];
                let done = self.tree.set_owner(self.queue_ino(queue), owner, who);
                same_unit(&done, &self.reference.set_owner(queue, owner, who));
            }
            Op::SetUser { on, name, len, flags, who: number } => {
                let flags = XattrFlags { create: flags == 4, replace: flags == 5 };
                self.fill = self.fill % 200 + 1;
                let value = vec![self.fill; usize::from(len)];
                self.set_user(on, XATTR_NAMES[usize::from(name) % 3], &value, flags, who(number))?;
            }
            Op::RemoveUser { on, name } => {
                self.remove_user(on, XATTR_NAMES[usize::from(name) % 3])?;
            }
            _ => unreachable!("{op:?} sets nothing"),
        }
        Some(())
    }

    fn happen(&mut self, op: &Op) -> Option<()> {
        match *op {
            Op::OwnerDied { owner } => {
                let place = usize::from(owner) % 3;
                let owner = std::mem::replace(&mut self.owners[place], OwnerId(self.next_owner));
                self.next_owner += 1;
                while self.tree.owner_died(owner, self.now) {}
                self.reference.owner_died(owner, self.now);
            }
            Op::Pass { ms } => self.pass(i64::from(ms) * 1_000_000),
            Op::Forget { queue } => {
                let queue = self.queue(queue)?;
                self.tree.forget(self.queue_ino(queue), 1);
                let lookups = &mut self.reference.queues[queue].lookups;
                *lookups = lookups.saturating_sub(1);
            }
            Op::Quotas { which } => {
                let quotas = self.quotas[usize::from(which) % 3].clone();
                self.tree.set_quotas(quotas.clone());
                self.reference.quotas = quotas;
            }
            _ => unreachable!("{op:?} does not happen by itself"),
        }
        Some(())
    }

    fn pass(&mut self, ns: i64) {
        self.now.wall_ns += ns;
        self.now.boot_ns += ns;
        let mut rounds = 0;
        while self.tree.next_deadline().is_some_and(|at| at <= self.now.boot_ns) {
            self.tree.tick(self.now);
            rounds += 1;
            assert!(rounds < 1_000, "the deadline stays due");
        }
        self.reference.tick(self.now);
    }
}

/// What the changes of an operation are checked against.
pub(crate) struct Before {
    pub(crate) nlinks: Vec<(Id, Ino, u32)>,
}

impl World {
    fn before(&mut self) -> Before {
        self.reference.gone.clear();
        self.reference.ended.clear();
        let files = self.reference.files.iter();
        Before { nlinks: files.map(|(id, f)| (*id, f.ino, self.reference.nlink(*id))).collect() }
    }

    /// Removes everything and demands that nothing stays behind.
    pub(crate) fn finish(mut self) {
        self.step(&Op::Quotas { which: 0 });
        while !self.reference.handles.is_empty() {
            self.step(&Op::Release { handle: 0 });
        }
        while !self.dirs.is_empty() {
            self.step(&Op::Releasedir { dir: 0 });
        }
        for queue in 0..self.reference.queues.len() {
            let ino = self.queue_ino(queue);
            while let Some(name) = self.entry(queue, 0) {
                self.tree.unlink(ino, &name, self.now).unwrap();
                self.reference.unlink(queue, &name).unwrap();
            }
            if self.reference.queues[queue].alive {
                let name = self.reference.queues[queue].name.clone();
                self.tree.rmdir(Ino::ROOT, &name, self.now).unwrap();
                self.reference.rmdir(&name).unwrap();
            }
            self.tree.forget(ino, u64::MAX);
            self.reference.queues[queue].lookups = 0;
        }
        self.check();
        assert!(self.tree.is_clear(), "something is left of nothing");
    }

    /// The vanished events that the tree told of, as the reference writes them.
    pub(crate) fn told_gone(&self) -> Vec<Gone> {
        let queue_of = |ino: Ino| self.reference.queues.iter().position(|q| q.ino == ino).unwrap();
        let mut told: Vec<Gone> = Vec::new();
        for change in &self.changes {
            if let Change::Gone { queue, ino, name, cause } = change {
                let (queue, name) = (queue_of(*queue), name.to_vec());
                told.push(Gone { queue, file: *ino, name, cause: *cause });
            }
        }
        told
    }

    fn set_user(
        &mut self,
        on: On,
        name: &[u8],
        value: &[u8],
        flags: XattrFlags,
        who: Caller,
    ) -> Option<()> {
        let now = self.now;
        match on {
            On::Queue(number) => {
                let queue = self.queue(number)?;
                let done = self.tree.setxattr(self.queue_ino(queue), name, value, flags, who, now);
                let reference = self.reference.set_queue_xattr(queue, (name, value), flags, who);
                same_unit(&done, &reference);
            }
            On::File(number) => {
                let file = self.file(number)?;
                let done = self.tree.setxattr(self.file_ino(file), name, value, flags, who, now);
                let reference = self.reference.set_file_xattr(file, (name, value), flags, who);
                same_unit(&done, &reference);
            }
        }
        Some(())
    }

    fn remove_user(&mut self, on: On, name: &[u8]) -> Option<()> {
        let (ino, gone) = match on {
            On::Queue(number) => {
                let queue = self.queue(number)?;
                (self.queue_ino(queue), self.reference.queues[queue].xattrs.remove(name))
            }
            On::File(number) => {
                let file = self.file(number)?;
                let xattrs = &mut self.reference.files.get_mut(&file)?.xattrs;
                let gone = xattrs.remove(name);
                (self.file_ino(file), gone)
            }
        };
        let done = self.tree.removexattr(ino, name, Caller::ROOT, self.now);
        assert_eq!(done.is_ok(), gone.is_some(), "removexattr");
        Some(())
    }

    fn read(&mut self, op: &Op) -> Option<()> {
        let index = |number: u8| usize::from(number) % self.dirs.len().max(1);
        match *op {
            Op::Opendir { queue: Some(number) } => {
                let queue = self.queue(number)?;
                let id = self.tree.opendir(self.queue_ino(queue)).unwrap();
                self.reference.queues[queue].opens += 1;
                self.dirs.push(Reading::new(id, Some(queue), &self.reference));
            }
            Op::Opendir { queue: None } => {
                let id = self.tree.opendir(Ino::ROOT).unwrap();
                self.dirs.push(Reading::new(id, None, &self.reference));
            }
            Op::Readdir { dir, want, eaten } => {
                let at = index(dir);
                self.dirs.get_mut(at)?.read(&mut self.tree, &self.reference, want, eaten);
            }
            Op::Rewind { dir } => {
                let at = index(dir);
                self.dirs.get_mut(at)?.rewind(&self.reference);
            }
            Op::Seek { dir, to } => {
                let at = index(dir);
                self.dirs.get_mut(at)?.seek(to);
            }
            Op::Releasedir { dir } => {
                let at = index(dir);
                self.dirs.get(at)?;
                let dir = self.dirs.swap_remove(at);
                self.tree.releasedir(dir.id, self.now);
                if let Some(queue) = dir.queue {
                    self.reference.queues[queue].opens -= 1;
                }
            }
            _ => unreachable!("{op:?} reads no directory"),
        }
        Some(())
    }
}

/// Plays a scene to its end.
pub(crate) fn play(settings: Settings, quotas: [Quotas; 3], ops: &[Op]) {
    let mut world = World::new(settings, quotas);
    // Two queues to begin with, so that little is lost on a scene that makes none.
    world.step(&Op::Mkdir { name: 0, setgid: false, owner: Some(0), who: 1 });
    world.step(&Op::Mkdir { name: 1, setgid: false, owner: None, who: 0 });
    for op in ops {
        world.step(op);
    }
    world.finish();
}
