//! A queue: its ordered events, its staged and unfinished files, its settings and counters.

use std::collections::BTreeMap;

use super::names::Name;
use super::owner::Fate;
use super::payload::Payload;
use super::slab::NIL;

/// What a queue does with an event for which its own limits leave no room.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Overflow {
    /// Refuse it.
    #[default]
    Reject,
    /// Drop the oldest events instead.
    DropOldest,
}

/// What an entry is at the moment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum State {
    /// An event with its place in the queue.
    Queued,
    /// A name with a leading dot.
    Staged,
    /// Its creator still has it open.
    Unfinished,
    /// Removed, but somebody's directory reading stands on it.
    Dead,
    /// An event in the hands of a consumer that has not confirmed it: hidden, in its old place.
    Held,
}

/// One name in a queue.
pub(crate) struct Entry {
    pub(crate) prev: u32,
    pub(crate) next: u32,
    pub(crate) queue: u32,
    pub(crate) file: u32,
    /// Place number, pin bit, state: see the methods.
    place: u64,
    /// Time of publication (boot clock, ns); of a dead entry 1 where it stands among the events.
    pub(crate) published: u64,
    pub(crate) name: Name,
}

const STATE_BITS: u64 = 0b0111;
const PIN_BIT: u64 = 0b1000;
const SEQ_SHIFT: u32 = 4;

impl Entry {
    pub(crate) fn new(queue: u32, file: u32, name: &[u8]) -> Self {
        let name = Name::new(name);
        Self { prev: NIL, next: NIL, queue, file, place: 0, published: 0, name }
    }

    pub(crate) fn state(&self) -> State {
        match self.place & STATE_BITS {
            0 => State::Queued,
            1 => State::Staged,
            2 => State::Unfinished,
            3 => State::Dead,
            _ => State::Held,
        }
    }

    pub(crate) fn set_state(&mut self, state: State) {
        let bits = match state {
            State::Queued => 0,
            State::Staged => 1,
            State::Unfinished => 2,
            State::Dead => 3,
            State::Held => 4,
        };
        self.place = self.place & !STATE_BITS | bits;
    }

    /// Number of the place in its list: of an event `user.eventfs_seq`.
    pub(crate) fn seq(&self) -> u64 {
        self.place >> SEQ_SHIFT
    }

    pub(crate) fn set_seq(&mut self, seq: u64) {
        self.place = seq << SEQ_SHIFT | self.place & (PIN_BIT | STATE_BITS);
    }

    pub(crate) fn is_pinned(&self) -> bool {
        self.place & PIN_BIT != 0
    }

    pub(crate) fn set_pinned(&mut self, pinned: bool) {
        self.place = if pinned { self.place | PIN_BIT } else { self.place & !PIN_BIT };
    }

    pub(crate) fn is_live(&self) -> bool {
        !matches!(self.state(), State::Dead | State::Held)
    }
}

/// A chain of entries. Dead ones may stand between; `head` and `tail` are live.
#[derive(Debug)]
pub(crate) struct List {
    pub(crate) first: u32,
    pub(crate) last: u32,
    pub(crate) head: u32,
    pub(crate) tail: u32,
    /// Live entries.
    pub(crate) len: u64,
    pub(crate) next_seq: u64,
}

impl Default for List {
    fn default() -> Self {
        Self { first: NIL, last: NIL, head: NIL, tail: NIL, len: 0, next_seq: 1 }
    }
}

/// Extended attributes by name.
pub(crate) type Xattrs = BTreeMap<Box<[u8]>, Box<[u8]>>;

/// A queue.
pub(crate) struct Queue {
    pub(crate) name: Box<[u8]>,
    /// Order of creation.
    pub(crate) number: u64,
    pub(crate) mode: u16,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) atime: i64,
    pub(crate) mtime: i64,
    pub(crate) ctime: i64,
    /// Time of the mkdir, boot clock, ns.
    pub(crate) born_ns: i64,
    pub(crate) fate: Fate,
    /// Ended or removed; kept while the kernel or a reader knows it.
    pub(crate) dead: bool,
    pub(crate) lookups: u64,
    pub(crate) opens: u32,
    pub(crate) events: List,
    /// Events that consumers hold; linked among the events, but not counted there.
    pub(crate) held: u64,
    pub(crate) loose: List,
    pub(crate) bytes: u64,
    pub(crate) published: u64,
    pub(crate) removed: u64,
    pub(crate) dropped: u64,
    pub(crate) expired: u64,
    pub(crate) max_events: u64,
    pub(crate) max_bytes: u64,
    pub(crate) overflow: Overflow,
    pub(crate) ttl_seconds: u64,
    /// The deadline that stands for the expiry of the oldest event, boot clock, ns.
    pub(crate) expiry_at: Option<i64>,
    pub(crate) xattrs: Xattrs,
}

impl Queue {
    /// Entries of any kind.
    pub(crate) fn entries(&self) -> u64 {
        self.events.len + self.loose.len + self.held
    }
}

/// What few events have: times of their own, attributes, more than one link, a remembered place.
#[derive(Default)]
pub(crate) struct Extra {
    pub(crate) atime: i64,
    pub(crate) ctime: i64,
    pub(crate) xattrs: Xattrs,
    /// Every entry of the file, where there is more than one.
    pub(crate) links: std::collections::BTreeSet<u32>,
    pub(crate) last_seq: Option<u64>,
}

/// A file: the bytes and attributes behind one or more entries.
pub(crate) struct File {
    pub(crate) payload: Payload,
    pub(crate) extra: Option<Box<Extra>>,
    /// Access and change times too, where there is no `extra`.
    pub(crate) mtime: i64,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) opens: u32,
    pub(crate) nlink: u32,
    /// The entry of a file with one link.
    pub(crate) entry: u32,
    /// The entry that was made with the file, wherever it moved, while its handle is open.
    pub(crate) made: u32,
    pub(crate) mode: u16,
    /// A write into the new file was refused: it must not become an event.
    pub(crate) spoiled: bool,
    /// The handle that created it is still open.
    pub(crate) fresh: bool,
}

impl File {
    /// Bytes that quotas count: content and attribute values.
    pub(crate) fn bytes(&self) -> u64 {
        let values = |extra: &Extra| extra.xattrs.values().map(|v| v.len() as u64).sum::<u64>();
        self.payload.len() + self.extra.as_deref().map_or(0, values)
    }

    pub(crate) fn atime(&self) -> i64 {
        self.extra.as_ref().map_or(self.mtime, |extra| extra.atime)
    }

    pub(crate) fn ctime(&self) -> i64 {
        self.extra.as_ref().map_or(self.mtime, |extra| extra.ctime)
    }

    /// The rarely needed part, made when it is first needed.
    pub(crate) fn extra(&mut self) -> &mut Extra {
        let mtime = self.mtime;
        self.extra.get_or_insert_with(|| {
            Box::new(Extra { atime: mtime, ctime: mtime, ..Extra::default() })
        })
    }

    /// Notes a change of content.
    pub(crate) fn touch(&mut self, wall_ns: i64) {
        self.mtime = wall_ns;
        if let Some(extra) = &mut self.extra {
            extra.ctime = wall_ns;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_stays_small() {
        // 350 bytes of resident memory for 200 bytes and a short name are promised.
        assert!(size_of::<Entry>() <= 64, "entry {}", size_of::<Entry>());
        assert!(size_of::<File>() <= 64, "file {}", size_of::<File>());
    }

    #[test]
    fn place_keeps_number_state_and_pin_apart() {
        let mut entry = Entry::new(0, 0, b"x");
        entry.set_seq(77);
        entry.set_pinned(true);
        for state in [State::Dead, State::Held, State::Staged, State::Unfinished, State::Queued] {
            entry.set_state(state);
            assert_eq!((entry.state(), entry.seq(), entry.is_pinned()), (state, 77, true));
        }
        entry.set_pinned(false);
        entry.set_seq(78);
        assert_eq!((entry.state(), entry.seq(), entry.is_pinned()), (State::Queued, 78, false));
    }
}
