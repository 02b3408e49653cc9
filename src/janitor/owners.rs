//! The processes that own queues: one descriptor a process, shared among its queues.

use std::collections::HashMap;
use std::io;
use std::os::fd::AsRawFd;

use super::sync::Mutex;
use crate::model::{OwnerId, Reason};
use crate::sys::background;
use crate::sys::poller::Poller;
use crate::sys::process::{self, Pidfd};

/// Which process owns a queue made by plain `mkdir`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OwnerChoice {
    /// The process that called.
    Creator,
    /// Its parent.
    Parent,
    /// The leader of its session.
    Session,
}

/// Descriptors that owners leave for everything else: telling of ends, reading the configuration
/// again, unmounting.
const RESERVED: u64 = 16;

struct Watched {
    pid: u32,
    pidfd: Pidfd,
    queues: u32,
    armed: bool,
    ended: bool,
}

#[derive(Default)]
struct Register {
    by_pid: HashMap<u32, OwnerId>,
    by_id: HashMap<OwnerId, Watched>,
    last: u64,
}

/// All processes that own queues.
pub struct Owners {
    register: Mutex<Register>,
    poller: Poller,
}

impl Owners {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { register: Mutex::default(), poller: Poller::new()? })
    }

    /// Tells their ends, each under the number of its owner.
    pub(super) fn poller(&self) -> &Poller {
        &self.poller
    }

    /// Takes hold of a process for one more queue; `id` may be one of its threads. The process must
    /// not be able to vanish during the call, or the caller checks afterwards.
    ///
    /// # Errors
    /// `NoProcess`, `NoDescriptor`.
    pub fn acquire(&self, id: u32) -> Result<OwnerId, Reason> {
        let mut register = self.register.lock();
        if let Some(owner) = register.living(id) {
            return Ok(owner);
        }
        let (pid, pidfd) = match hold(id) {
            Ok(pidfd) => (id, pidfd),
            Err(error) => match error.raw_os_error() {
                Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM) => {
                    return Err(Reason::NoDescriptor);
                }
                // A thread that does not lead its process: take the process.
                _ => {
                    let pid = process::info(id).map_err(|_| Reason::NoProcess)?.pid;
                    if let Some(owner) = register.living(pid) {
                        return Ok(owner);
                    }
                    (pid, hold(pid).map_err(reason)?)
                }
            },
        };
        Ok(register.add(pid, pidfd))
    }

    /// Begins to watch; `true` if the process had been seen to end before.
    pub(super) fn arm(&self, owner: OwnerId) -> bool {
        let mut register = self.register.lock();
        let Some(watched) = register.by_id.get_mut(&owner) else { return false };
        if !watched.armed && !watched.ended {
            watched.armed = self.poller.add(&watched.pidfd, owner.0).is_ok();
            if !watched.armed {
                log::error!("process {} cannot be watched; its queues end now", watched.pid);
                return true;
            }
        }
        watched.ended
    }

    /// The process behind a readable descriptor has ended: nobody may join it any more.
    pub(super) fn mark_ended(&self, owner: OwnerId) {
        let mut register = self.register.lock();
        let Some(watched) = register.by_id.get_mut(&owner) else { return };
        watched.ended = true;
        self.poller.delete(&watched.pidfd);
        let pid = watched.pid;
        register.forget_number(pid, owner);
    }

    /// One queue fewer belongs to this process; with the last one it is forgotten.
    pub(super) fn release(&self, owner: OwnerId) {
        let mut register = self.register.lock();
        let Some(watched) = register.by_id.get_mut(&owner) else { return };
        watched.queues -= 1;
        if watched.queues > 0 {
            return;
        }
        if let Some(watched) = register.by_id.remove(&owner) {
            register.forget_number(watched.pid, owner);
        }
    }

    /// The process number of an owner, in our own namespace.
    pub fn pid(&self, owner: OwnerId) -> Option<u32> {
        let register = self.register.lock();
        register.by_id.get(&owner).filter(|watched| !watched.ended).map(|watched| watched.pid)
    }

    /// Whether an owner has ended, perhaps not noticed by the reaper yet.
    pub(super) fn has_ended(&self, owner: OwnerId) -> bool {
        let register = self.register.lock();
        register.by_id.get(&owner).is_none_or(|watched| watched.ended || watched.pidfd.has_ended())
    }
}

impl Register {
    /// Takes hold of a process that is known and lives. A dead one of that number is a stranger.
    fn living(&mut self, pid: u32) -> Option<OwnerId> {
        let owner = *self.by_pid.get(&pid)?;
        let watched = self.by_id.get_mut(&owner)?;
        if watched.ended || watched.pidfd.has_ended() {
            return None;
        }
        watched.queues += 1;
        Some(owner)
    }

    /// The number means this process no more, if it does not mean another one already.
    fn forget_number(&mut self, pid: u32, owner: OwnerId) {
        if self.by_pid.get(&pid) == Some(&owner) {
            self.by_pid.remove(&pid);
        }
    }

    fn add(&mut self, pid: u32, pidfd: Pidfd) -> OwnerId {
        self.last += 1;
        let owner = OwnerId(self.last);
        self.by_pid.insert(pid, owner);
        let watched = Watched { pid, pidfd, queues: 1, armed: false, ended: false };
        self.by_id.insert(owner, watched);
        owner
    }
}

/// Opens a process, but never with the last descriptors.
fn hold(id: u32) -> io::Result<Pidfd> {
    let pidfd = process::pidfd_open(id)?;
    let number = u64::try_from(pidfd.as_raw_fd()).unwrap_or(u64::MAX);
    if number.saturating_add(RESERVED) >= background::descriptor_limit() {
        return Err(io::Error::from_raw_os_error(libc::EMFILE));
    }
    Ok(pidfd)
}

fn reason(error: io::Error) -> Reason {
    match error.raw_os_error() {
        Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM) => Reason::NoDescriptor,
        _ => Reason::NoProcess,
    }
}
