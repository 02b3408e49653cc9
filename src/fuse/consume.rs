//! Consumers: the ioctls on an open queue directory (see [`crate::wire`]).

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use parking_lot::Mutex;

use crate::janitor::Shared;
use crate::model::{Attr, Caller, HandleId, Ino, Kind, Outcome, Reason, Taken, Want};
use crate::sys::process;
use crate::wire;

/// Most events in one batch: bounds what a killed consumer may print again.
const BATCH_EVENTS_MAX: u32 = 1_024;

/// An open directory that asked to consume.
struct Session {
    queue: Ino,
    uid: u32,
    number: u64,
    permitted: bool,
}

/// The open directories that asked to consume.
#[derive(Default)]
pub(super) struct Consumers {
    sessions: Mutex<HashMap<u64, Session>>,
    seed: RandomState,
}

impl Consumers {
    /// Forgets a directory that was closed.
    pub(super) fn close(&self, handle: HandleId) {
        self.sessions.lock().remove(&handle.0);
    }

    /// Whether a name is the permit of a consumer that waits for it: then the attributes under which
    /// the kernel may check its removal.
    pub(super) fn permit(&self, queue: Ino, name: &[u8], caller: Caller) -> Option<Attr> {
        if !name.starts_with(b".eventfs-permit-") {
            return None;
        }
        let sessions = self.sessions.lock();
        let asked = |session: &&Session| {
            session.queue == queue
                && session.uid == caller.uid
                && wire::permit_name(session.number).as_bytes() == name
        };
        let session = sessions.values().find(asked)?;
        // A file number that no file ever has; the caller's own, as the sticky bit is checked later
        // for every event.
        let ino = Ino(session.number << 2 & 0x3_ffff_fffc | 4);
        let (uid, gid) = (caller.uid, caller.gid);
        let attr = Attr {
            ino,
            kind: Kind::File,
            mode: 0,
            uid,
            gid,
            size: 0,
            nlink: 1,
            atime: 0,
            mtime: 0,
            ctime: 0,
        };
        Some(attr)
    }

    /// The kernel let the caller remove the permit: the consumer may go on.
    pub(super) fn grant(&self, queue: Ino, name: &[u8], caller: Caller) -> bool {
        let mut sessions = self.sessions.lock();
        let session = sessions.values_mut().find(|session| {
            session.queue == queue
                && session.uid == caller.uid
                && wire::permit_name(session.number).as_bytes() == name
        });
        session.map(|session| session.permitted = true).is_some()
    }

    /// Answers an ioctl. `None` for one that is not ours.
    pub(super) fn ioctl(
        &self,
        shared: &Shared,
        (queue, handle, caller, tid): (Ino, HandleId, Caller, u32),
        command: u32,
        question: &[u8],
    ) -> Option<Outcome<Vec<u8>>> {
        let is = |number: u8| u64::from(command) == wire::request(number);
        if is(wire::BEGIN) {
            return Some(Ok(self.begin(queue, handle, caller).to_le_bytes().to_vec()));
        }
        if is(wire::SCAN) {
            return Some(scan(shared, handle, caller, tid, question));
        }
        if !is(wire::TAKE) && !is(wire::READ) {
            return None;
        }
        if !self.sessions.lock().get(&handle.0).is_some_and(|session| session.permitted) {
            return Some(Err(Reason::NotPermitted));
        }
        Some(if is(wire::TAKE) {
            take(shared, handle, caller, tid, question)
        } else {
            read(shared, handle, question)
        })
    }

    fn begin(&self, queue: Ino, handle: HandleId, caller: Caller) -> u64 {
        let number = self.seed.hash_one(handle.0);
        let session = Session { queue, uid: caller.uid, number, permitted: false };
        self.sessions.lock().insert(handle.0, session);
        number
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

fn scan(
    shared: &Shared,
    handle: HandleId,
    caller: Caller,
    tid: u32,
    question: &[u8],
) -> Outcome<Vec<u8>> {
    let (since, events_max) = wire::scan_asked(question).map_err(|_| Reason::Invalid)?;
    let groups = || process::groups(tid).unwrap_or_default();
    let (scanned, _after) = shared
        .with(|tree, now| tree.scan(handle, since, want(events_max), caller, &groups, now));
    let (newest, events) = scanned?;
    let events: Vec<wire::Event> = events.into_iter().map(event).collect();
    Ok(wire::answer_scan(newest, &events))
}

fn take(
    shared: &Shared,
    handle: HandleId,
    caller: Caller,
    tid: u32,
    question: &[u8],
) -> Outcome<Vec<u8>> {
    let (confirmed, events_max) = wire::take_asked(question).map_err(|_| Reason::Invalid)?;
    let want = want(events_max);
    let groups = || process::groups(tid).unwrap_or_default();
    let (taken, _after) = shared.with(|tree, now| {
        tree.take(handle, confirmed as usize, want, caller, &groups, now)
    });
    let events: Vec<wire::Event> = taken?.into_iter().map(event).collect();
    Ok(wire::answer_take(&events))
}

fn event(taken: Taken) -> wire::Event {
    let Taken { name, seq, time_ns, size, data } = taken;
    wire::Event { name, seq, time_ns, size, data }
}

fn read(shared: &Shared, handle: HandleId, question: &[u8]) -> Outcome<Vec<u8>> {
    let (index, offset) = wire::read_asked(question).map_err(|_| Reason::Invalid)?;
    let (piece, _after) = shared
        .with(|tree, _| tree.read_taken(handle, index as usize, offset, wire::BATCH_BYTES));
    Ok(wire::answer_read(&piece?))
}
