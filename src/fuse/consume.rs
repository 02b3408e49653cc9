//! Consumers: the ioctls on the door of a queue, and those that look (see [`crate::wire`]).

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use parking_lot::Mutex;

use crate::janitor::Shared;
use crate::model::{
    Attr, Caller, HandleId, Ino, Kind, Node, Outcome, Powers, Reason, Taken, Taker, Want,
};
use crate::sys::process::{self, MAY_OWN_ALL, MAY_READ_ALL, MAY_WRITE_ALL};
use crate::wire;

/// Most events in one batch: bounds what a killed consumer may print again.
const BATCH_EVENTS_MAX: u32 = 1_024;

/// An open door that asked to consume.
struct Session {
    queue: Ino,
    uid: u32,
    number: u64,
    permitted: bool,
}

/// The open doors that asked to consume.
#[derive(Default)]
pub(super) struct Consumers {
    sessions: Mutex<HashMap<u64, Session>>,
    seed: RandomState,
}

/// An ioctl and who made it.
pub(super) struct Question<'a> {
    /// The door, or the open directory.
    pub(super) number: Ino,
    pub(super) handle: HandleId,
    pub(super) caller: Caller,
    /// The thread that asks, if its number means something to us.
    pub(super) thread: Option<u32>,
    pub(super) command: u32,
    pub(super) data: &'a [u8],
}

impl Consumers {
    /// Forgets a door that was closed.
    pub(super) fn close(&self, handle: HandleId) {
        self.sessions.lock().remove(&handle.0);
    }

    /// Whether a name is the permit of a consumer that waits for it: then the attributes under which
    /// the kernel may check its removal.
    pub(super) fn permit(&self, queue: Ino, name: &[u8], caller: Caller) -> Option<Attr> {
        if !name.starts_with(wire::PERMIT_PREFIX.as_bytes()) {
            return None;
        }
        let sessions = self.sessions.lock();
        let session = sessions.values().find(|session| session.waits_for(queue, name, caller))?;
        // No file has such a number: the keys of files begin with turn 1. It differs among sessions,
        // because the kernel keeps one user for each number.
        let ino = Ino((session.number & 0xffff_ffff | 1) << 3);
        // The caller's own, as the sticky bit is checked later for every event.
        let (kind, uid, gid) = (Kind::File, caller.uid, caller.gid);
        let (atime, mtime, ctime) = (0, 0, 0);
        Some(Attr { ino, kind, mode: 0, uid, gid, size: 0, nlink: 1, atime, mtime, ctime })
    }

    /// The kernel let the caller remove the permit: the consumer may go on.
    pub(super) fn grant(&self, queue: Ino, name: &[u8], caller: Caller) -> bool {
        if !name.starts_with(wire::PERMIT_PREFIX.as_bytes()) {
            return false;
        }
        let mut sessions = self.sessions.lock();
        let session = sessions.values_mut().find(|session| session.waits_for(queue, name, caller));
        session.map(|session| session.permitted = true).is_some()
    }

    /// Answers an ioctl. `None` for one that is not ours.
    pub(super) fn ioctl(
        &self,
        shared: &Shared,
        question: &Question<'_>,
    ) -> Option<Outcome<Vec<u8>>> {
        let is = |number: u8| u64::from(question.command) == wire::request(number);
        match question.number.node() {
            // The right to list was checked when the directory was opened.
            Node::Queue(_) if is(wire::SCAN) => Some(scan(shared, question)),
            Node::Door(queue) if is(wire::BEGIN) => {
                let number = self.begin(Node::Queue(queue).into(), question);
                Some(Ok(number.to_le_bytes().to_vec()))
            }
            Node::Door(_) if is(wire::TAKE) => {
                Some(self.check(question).and_then(|()| take(shared, question)))
            }
            Node::Door(_) if is(wire::READ) => {
                Some(self.check(question).and_then(|()| read(shared, question)))
            }
            _ => None,
        }
    }

    fn check(&self, question: &Question<'_>) -> Outcome<()> {
        let sessions = self.sessions.lock();
        let permitted = sessions.get(&question.handle.0).is_some_and(|session| session.permitted);
        if permitted { Ok(()) } else { Err(Reason::NotPermitted) }
    }

    fn begin(&self, queue: Ino, question: &Question<'_>) -> u64 {
        let number = self.seed.hash_one(question.handle.0);
        let session = Session { queue, uid: question.caller.uid, number, permitted: false };
        self.sessions.lock().insert(question.handle.0, session);
        number
    }
}

impl Session {
    fn waits_for(&self, queue: Ino, name: &[u8], caller: Caller) -> bool {
        self.queue == queue
            && self.uid == caller.uid
            && wire::permit_name(self.number).as_bytes() == name
    }
}

/// What the system grants the one who asks. Of one that we cannot see: what its user has as a rule.
fn powers(question: &Question<'_>) -> Powers {
    let known = question.thread.and_then(|thread| process::powers(thread).ok());
    let (groups, capabilities) = known.unwrap_or((Vec::new(), u64::MAX));
    let has = |bits: u64| capabilities & bits != 0;
    Powers {
        groups,
        reads_all: has(MAY_READ_ALL),
        writes_all: has(MAY_WRITE_ALL),
        owns_all: has(MAY_OWN_ALL),
    }
}

/// One batch of at most so many events.
fn want(events_max: u32) -> Want {
    Want {
        events_max: events_max.min(BATCH_EVENTS_MAX),
        bytes_max: wire::BATCH_BYTES,
        event_bytes: wire::EVENT_BYTES,
    }
}

fn scan(shared: &Shared, question: &Question<'_>) -> Outcome<Vec<u8>> {
    let (since, events_max) = wire::scan_asked(question.data).map_err(|_| Reason::Invalid)?;
    let ask = || powers(question);
    let taker = Taker::new(question.caller, &ask);
    let (scanned, _after) =
        shared.with(|tree, now| tree.scan(question.handle, since, want(events_max), &taker, now));
    let (newest, events) = scanned?;
    let events: Vec<wire::Event> = events.into_iter().map(event).collect();
    Ok(wire::answer_scan(newest, &events))
}

fn take(shared: &Shared, question: &Question<'_>) -> Outcome<Vec<u8>> {
    let (confirmed, events_max) = wire::take_asked(question.data).map_err(|_| Reason::Invalid)?;
    let ask = || powers(question);
    let taker = Taker::new(question.caller, &ask);
    let (taken, _after) = shared.with(|tree, now| {
        tree.take(question.handle, confirmed as usize, want(events_max), &taker, now)
    });
    let events: Vec<wire::Event> = taken?.into_iter().map(event).collect();
    Ok(wire::answer_take(&events))
}

fn event(taken: Taken) -> wire::Event {
    let Taken { name, seq, time_ns, size, data } = taken;
    wire::Event { name, seq, time_ns, size, data }
}

fn read(shared: &Shared, question: &Question<'_>) -> Outcome<Vec<u8>> {
    let (index, offset) = wire::read_asked(question.data).map_err(|_| Reason::Invalid)?;
    let (piece, _after) = shared.with(|tree, _| {
        tree.read_taken(question.handle, index as usize, offset, wire::BATCH_BYTES)
    });
    Ok(wire::answer_read(&piece?))
}
