//! A mount in a schedule: the session that `src/fuse` is outside of it, and clients.

use std::path::PathBuf;
use std::sync::Arc;

use nix::errno::Errno;
use shuttle::sync::mpsc::{Receiver, channel};
use shuttle::thread;

use crate::janitor::{self, MountIdentity, NotifyPolicy, OwnerChoice, Removal, Shared};
use crate::kernel::{Answer, Ask, DEVICE, Notify, Request, Told};
use crate::model::quota::Quotas;
use crate::model::xattr::owner_word;
use crate::model::{
    Attr, Caller, HandleId, Ino, Mode, Now, Outcome, Reason, Settings, Tree, XattrFlags,
};
use crate::world::{Process, World, spawn_daemon};

/// Threads that sleep: the scenario's own, reaper, herald.
const SLEEPERS: usize = 3;

pub struct Mount {
    pub world: Arc<World>,
    pub shared: Arc<Shared>,
}

/// How a mount is to be.
pub struct Options {
    pub policy: NotifyPolicy,
    pub report_popped: bool,
    pub grace_ns: i64,
    pub old_kernel: bool,
}

impl Options {
    pub const VISIBLE: Self =
        Self { policy: NotifyPolicy::Visible, report_popped: true, grace_ns: 0, old_kernel: false };
}

impl Mount {
    pub fn new(options: &Options) -> Self {
        let world = World::begin(SLEEPERS);
        let Options { policy, report_popped, grace_ns, old_kernel } = *options;
        let settings = Settings { report_popped, grace_ns, ..Settings::default() };
        let tree = Tree::new(settings, Quotas::default(), Now::default());
        let shared = Shared::new(tree, policy).expect("threads");
        let (device, requests) = channel();
        world.kernel.mount(device, old_kernel);
        let session = Session { shared: Arc::clone(&shared), world: Arc::clone(&world) };
        spawn_daemon(move || session.run(&requests));
        let identity = MountIdentity { point: PathBuf::from("/mnt"), device: DEVICE };
        janitor::start(&shared, Arc::new(Notify), identity).expect("threads");
        Self { world, shared }
    }

    /// A client that is a process of this number.
    pub fn client(&self, pid: u32) -> Client {
        let world = Arc::clone(&self.world);
        Client { process: world.process(pid).unwrap_or_else(|| world.spawn(pid)), world }
    }

    /// Lets a client work beside the others. No time passes meanwhile.
    pub fn work(&self, work: impl FnOnce() + Send + 'static) -> thread::JoinHandle<()> {
        let busy = self.world.busy();
        thread::spawn(move || {
            work();
            drop(busy);
        })
    }

    pub fn told(&self) -> Vec<Told> {
        self.world.kernel.told().into_iter().map(|(_, told)| told).collect()
    }

    pub fn has_queue(&self, name: &str) -> bool {
        self.shared.with(|tree, _| tree.has_queue(name.as_bytes())).0
    }

    /// How often and when the end of a queue was told.
    pub fn ends(&self, queue: Ino) -> Vec<i64> {
        let is_end = |told: &Told| match told {
            Told::Delete(parent, ino, _) => *parent == Ino::ROOT && *ino == queue,
            Told::DeletedByNotification(ino, _) => *ino == queue,
            _ => false,
        };
        let told = self.world.kernel.told();
        told.into_iter().filter(|(_, told)| is_end(told)).map(|(at, _)| at).collect()
    }

    /// Lets the janitor do all that it has to do at the present time. To be called at the end: it must
    /// stand still then.
    pub fn settle(&self) {
        self.world.quiet();
    }
}

/// A process that makes calls on the mount.
#[derive(Clone)]
pub struct Client {
    world: Arc<World>,
    pub process: Arc<Process>,
}

impl Client {
    fn in_call<R>(&self, call: impl FnOnce() -> R) -> R {
        let _call = self.process.call.lock().expect("nobody panicked with it");
        call()
    }

    fn ask(&self, ask: Ask) -> Answer {
        self.world.kernel.ask(self.process.pid, ask)
    }

    pub fn mkdir(&self, name: &str) -> nix::Result<Ino> {
        let ask = Ask::Mkdir(name.as_bytes().into());
        self.in_call(|| self.world.kernel.locked(Ino::ROOT, || self.ask(ask))).map(Ino)
    }

    pub fn rmdir(&self, name: &str) -> nix::Result<()> {
        let name = name.as_bytes();
        let pid = self.process.pid;
        self.in_call(|| self.world.kernel.remove(pid, Ino::ROOT, name, Ask::Rmdir(name.into())))
    }

    pub fn unlink(&self, queue: Ino, name: &str) -> nix::Result<()> {
        let name = name.as_bytes();
        let pid = self.process.pid;
        self.in_call(|| self.world.kernel.remove(pid, queue, name, Ask::Unlink(queue, name.into())))
    }

    /// Puts an event.
    pub fn put(&self, queue: Ino, name: &str) -> nix::Result<()> {
        let ask = Ask::Create(queue, name.as_bytes().into());
        let kernel = &self.world.kernel;
        let handle = self.in_call(|| kernel.locked(queue, || self.ask(ask)))?;
        kernel.send(Ask::Release(HandleId(handle)));
        Ok(())
    }

    pub fn set(&self, queue: Ino, name: &'static str, value: &'static str) -> nix::Result<()> {
        let ask = Ask::SetXattr(queue, name, value);
        self.in_call(|| self.world.kernel.locked(queue, || self.ask(ask))).map(drop)
    }
}

/// Does what `src/fuse` does: translate, call, answer, and only then let the changes go.
struct Session {
    shared: Arc<Shared>,
    world: Arc<World>,
}

impl Session {
    fn run(&self, requests: &Receiver<Request>) {
        for request in requests {
            self.serve(request);
        }
    }

    fn serve(&self, Request { tid, ask, answer, busy: _busy }: Request) {
        let herald = self.shared.herald().is_herald(tid);
        match &ask {
            Ask::Lookup(parent, name) | Ask::Unlink(parent, name) if herald => {
                let _ = answer.send(self.answer_herald(&ask, *parent, name));
                return;
            }
            Ask::Rmdir(name) if herald => {
                let _ = answer.send(self.answer_herald(&ask, Ino::ROOT, name));
                return;
            }
            Ask::SetAttr(_) => {
                let _ = answer.send(Ok(0));
                return;
            }
            Ask::Mkdir(name) => return self.mkdir(tid, name, &answer),
            Ask::SetXattr(ino, "user.eventfs_owner", value) => {
                let _ = answer.send(self.set_owner(tid, *ino, value).map(|()| 0).map_err(errno));
                return;
            }
            _ => {}
        }
        let root = Caller::ROOT;
        let (done, _after) = self.shared.with(|tree, now| match &ask {
            Ask::Lookup(parent, name) => tree.lookup(*parent, name).map(number),
            Ask::Rmdir(name) => tree.rmdir(Ino::ROOT, name, now).map(|()| 0),
            Ask::Unlink(parent, name) => tree.unlink(*parent, name, now).map(|()| 0),
            Ask::Create(parent, name) => {
                let mode = Mode { reads: false, writes: true, truncates: false };
                let created = tree.create(*parent, name, 0o644, mode, root, now);
                created.map(|(_, handle)| handle.0)
            }
            Ask::Release(handle) => {
                tree.release(*handle, now);
                Ok(0)
            }
            Ask::SetXattr(ino, name, value) => {
                let flags = XattrFlags { create: false, replace: false };
                let set = tree.setxattr(*ino, name.as_bytes(), value.as_bytes(), flags, root, now);
                set.map(|()| 0)
            }
            other => panic!("{other:?} was served above"),
        });
        if let (Ask::Unlink(queue, _), Ok(_)) = (&ask, &done) {
            self.world.kernel.tell(Told::Removed(*queue));
        }
        // Nobody waits for that of RELEASE.
        let _ = answer.send(done.map_err(errno));
    }

    fn answer_herald(&self, ask: &Ask, parent: Ino, name: &[u8]) -> Answer {
        if let Ask::Lookup(..) = ask {
            return match self.shared.look_up_ghost(parent, name) {
                Some(found) => found.map(number).map_err(errno),
                None => self
                    .shared
                    .with(|tree, _| tree.lookup(parent, name))
                    .0
                    .map(number)
                    .map_err(errno),
            };
        }
        match self.shared.remove_ghost(parent, name) {
            Removal::Done => {
                // The kernel drops the name now, and holds the lock without which none is made.
                let lives = self.shared.with(|tree, _| tree.has_queue(name)).0;
                assert!(parent != Ino::ROOT || !lives, "a living queue is shown to be gone");
                Ok(0)
            }
            Removal::Forgotten => Err(Errno::EINTR),
            Removal::Absent => Err(Errno::ENOENT),
        }
    }

    fn mkdir(&self, tid: u32, name: &[u8], answer: &shuttle::sync::mpsc::SyncSender<Answer>) {
        let owners = self.shared.owners();
        let owner = match janitor::owner_by_rule(owners, OwnerChoice::Creator, tid, 0) {
            Ok(owner) => owner,
            Err(reason) => return answer.send(Err(errno(reason))).expect("the caller waits"),
        };
        let (made, _after) = self
            .shared
            .with(|tree, now| tree.mkdir(Ino::ROOT, name, 0o755, Some(owner), Caller::ROOT, now));
        self.shared.settle(owner, made.is_ok());
        answer.send(made.map(number).map_err(errno)).expect("the caller waits");
    }

    fn set_owner(&self, tid: u32, ino: Ino, value: &str) -> Outcome<()> {
        let word = owner_word(value.as_bytes())?;
        let owner = janitor::owner_by_word(self.shared.owners(), word, tid, Caller::ROOT, 0)?;
        let (set, _after) = self.shared.with(|tree, _| tree.set_owner(ino, owner, Caller::ROOT));
        self.shared.settle(owner, set.is_ok());
        set
    }
}

fn number(attr: Attr) -> u64 {
    attr.ino.0
}

fn errno(reason: Reason) -> Errno {
    match reason {
        Reason::NotFound => Errno::ENOENT,
        Reason::NoProcess => Errno::ESRCH,
        Reason::Exists => Errno::EEXIST,
        _ => Errno::EIO,
    }
}
