//! The kernel's side of a mount: the locks of directories, which are held until we answer, the notifications,
//! which wait for the same locks, and what it tells inotify.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use nix::errno::Errno;
use shuttle::sync::mpsc::{Sender, SyncSender, sync_channel};

use crate::janitor::KernelNotify;
use crate::model::{HandleId, Ino};
use crate::rules;
use crate::world::{Busy, Sleeper, Woken, World, step};

/// The number of the herald's thread in requests.
pub const HERALD: u32 = 1;

/// `st_dev` of the mount.
pub const DEVICE: u64 = 77;

type Name = Box<[u8]>;

/// What the kernel asks.
#[derive(Clone, Debug)]
pub enum Ask {
    Lookup(Ino, Name),
    Mkdir(Name),
    Rmdir(Name),
    Unlink(Ino, Name),
    Create(Ino, Name),
    Release(HandleId),
    SetAttr(Ino),
    SetXattr(Ino, &'static str, &'static str),
}

pub struct Request {
    pub tid: u32,
    pub ask: Ask,
    pub answer: SyncSender<Answer>,
    /// No time passes before it is served.
    pub busy: Busy,
}

/// The number of an inode or a handle, 0 where there is none.
pub type Answer = Result<u64, Errno>;

/// What was done by the janitor's hand, and what the herald is to tell of.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Told {
    /// DELETE of the name of this inode.
    Delete(Ino, Ino, Name),
    /// The name was forgotten in silence.
    Forgotten(Ino, Name),
    /// ATTRIB.
    Attrib(Ino),
    InvalInode(Ino),
    InvalEntry(Ino, Name),
    DeletedByNotification(Ino, Name),
    Pruned(Box<[Ino]>),
    /// Not told: the session removed an event from this queue.
    Removed(Ino),
}

/// All of it for one schedule.
#[derive(Default)]
pub struct Kernel(Mutex<State>);

#[derive(Default)]
struct State {
    device: Option<Sender<Request>>,
    /// The process that serves has ended or is about to: nobody would answer the herald.
    ending: bool,
    /// The herald waits for an answer.
    herald_waits: bool,
    locks: BTreeMap<u64, Arc<shuttle::sync::Mutex<()>>>,
    told: Vec<(i64, Told)>,
    /// A kernel before 6.18.
    old: bool,
    polling: Option<Arc<Sleeper>>,
}

impl Kernel {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("nobody panicked with it")
    }

    pub fn mount(&self, device: Sender<Request>, old: bool) {
        let mut state = self.state();
        (state.device, state.old) = (Some(device), old);
    }

    /// What the process that serves does last.
    pub fn end_of_process(&self) {
        let mut state = self.state();
        assert!(!state.herald_waits, "the herald waits for an answer that never comes");
        state.ending = true;
    }

    pub fn polls(&self, sleeper: Option<Arc<Sleeper>>) {
        self.state().polling = sleeper;
    }

    pub fn wake_pollers(&self) {
        let polling = self.state().polling.clone();
        if let Some(sleeper) = polling {
            sleeper.wake(Woken::Called);
        }
    }

    /// Sends a request and waits for its answer.
    pub fn ask(&self, tid: u32, ask: Ask) -> Answer {
        rules::holds_none("makes a call");
        let (answer, answered) = sync_channel(1);
        let device = self.state().device.clone().ok_or(Errno::ENOTCONN)?;
        if tid == HERALD {
            let mut state = self.state();
            assert!(!state.ending, "the herald begins {ask:?} while the process ends");
            state.herald_waits = true;
        }
        let busy = World::current().busy();
        device.send(Request { tid, ask, answer, busy }).map_err(|_| Errno::ENOTCONN)?;
        let answer = answered.recv().unwrap_or(Err(Errno::ENOTCONN));
        if tid == HERALD {
            self.state().herald_waits = false;
        }
        answer
    }

    /// Sends a request whose answer nobody waits for.
    pub fn send(&self, ask: Ask) {
        let device = self.state().device.clone();
        let (answer, _) = sync_channel(1);
        if let Some(device) = device {
            let busy = World::current().busy();
            device.send(Request { tid: 0, ask, answer, busy }).expect("the session serves");
        }
    }

    /// Does something with a directory's lock held.
    pub fn locked<R>(&self, directory: Ino, act: impl FnOnce() -> R) -> R {
        rules::holds_none("waits for a directory");
        let lock = Arc::clone(self.state().locks.entry(directory.0).or_default());
        let _held = lock.lock().expect("nobody panicked with it");
        act()
    }

    pub fn tell(&self, told: Told) {
        let world = World::current();
        self.state().told.push((world.now_ns(), told));
        world.changed();
    }

    /// All so far, each with its time.
    pub fn told(&self) -> Vec<(i64, Told)> {
        self.state().told.clone()
    }

    /// A name is removed by file call.
    pub fn remove(&self, tid: u32, directory: Ino, name: &[u8], remove: Ask) -> nix::Result<()> {
        self.locked(directory, || {
            let ino = Ino(self.ask(tid, Ask::Lookup(directory, name.into()))?);
            let removed = self.ask(tid, remove);
            if tid == HERALD {
                match removed {
                    Ok(_) => self.tell(Told::Delete(directory, ino, name.into())),
                    Err(Errno::EINTR) => self.tell(Told::Forgotten(directory, name.into())),
                    Err(_) => {}
                }
            }
            removed.map(drop)
        })
    }
}

/// Notifications, which go to the kernel of the schedule.
pub struct Notify;

impl KernelNotify for Notify {
    fn inval_inode(&self, ino: Ino) -> io::Result<()> {
        step();
        World::current().kernel.tell(Told::InvalInode(ino));
        Ok(())
    }

    fn inval_entry(&self, parent: Ino, name: &[u8]) -> io::Result<()> {
        let world = World::current();
        world.kernel.locked(parent, || world.kernel.tell(Told::InvalEntry(parent, name.into())));
        Ok(())
    }

    fn delete(&self, parent: Ino, child: Ino, name: &[u8]) -> io::Result<()> {
        let world = World::current();
        let told = Told::DeletedByNotification(child, name.into());
        world.kernel.locked(parent, || world.kernel.tell(told));
        Ok(())
    }

    fn prune(&self, inos: &[Ino]) -> io::Result<()> {
        step();
        let world = World::current();
        if world.kernel.state().old {
            return Err(io::ErrorKind::Unsupported.into());
        }
        world.kernel.tell(Told::Pruned(inos.into()));
        Ok(())
    }
}
