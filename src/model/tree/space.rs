//! What the mount as a whole holds against `size=`, `nr_events=` and `nr_queues=`.

use super::Tree;
use crate::model::change::Change;
use crate::model::error::{Outcome, Reason};
use crate::model::limits::{
    EVENT_OVERHEAD_BYTES, LINK_OVERHEAD_BYTES, QUEUE_OVERHEAD_BYTES, TRIM_BYTES_MAX,
    TRIM_BYTES_MIN, TRIM_PART, XATTR_OVERHEAD_BYTES,
};

#[derive(Default)]
pub(super) struct Used {
    /// Data, attributes and bookkeeping.
    pub(super) bytes: u64,
    /// Entries of any kind.
    pub(super) events: u64,
    /// Live queues.
    pub(super) queues: u64,
}

impl Used {
    pub(super) fn is_clear(&self) -> bool {
        self.bytes == 0 && self.events == 0 && self.queues == 0
    }
}

/// What `statfs` tells.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Space {
    /// `size=`, bytes.
    pub bytes_total: u64,
    /// Bytes in use.
    pub bytes_used: u64,
    /// Entries that fit: `nr_events=`, or an estimate from the free bytes.
    pub events_total: u64,
    /// Entries in use.
    pub events_used: u64,
}

/// What an entry with this name holds.
pub(super) fn entry_room(name: &[u8]) -> u64 {
    LINK_OVERHEAD_BYTES + name.len() as u64
}

/// What a file holds beside its bytes.
pub(super) const FILE_ROOM: u64 = EVENT_OVERHEAD_BYTES - LINK_OVERHEAD_BYTES;

/// What a queue holds beside its entries.
pub(super) const QUEUE_ROOM: u64 = QUEUE_OVERHEAD_BYTES;

/// What an attribute holds.
pub(super) fn xattr_room(name: &[u8], value: &[u8]) -> u64 {
    XATTR_OVERHEAD_BYTES + name.len() as u64 + value.len() as u64
}

impl Tree {
    /// What `statfs` tells.
    pub fn space(&self) -> Space {
        let free = self.settings.size_bytes.saturating_sub(self.space.bytes);
        let estimate = self.space.events + free / EVENT_OVERHEAD_BYTES;
        Space {
            bytes_total: self.settings.size_bytes,
            bytes_used: self.space.bytes,
            events_total: self.settings.events_max.unwrap_or(estimate),
            events_used: self.space.events,
        }
    }

    /// Whether so many more bytes and entries fit the mount.
    pub(super) fn check_space(&self, bytes: u64, events: u64) -> Outcome<()> {
        let full = bytes > 0 && self.space.bytes.saturating_add(bytes) > self.settings.size_bytes;
        let many = events > 0
            && self.settings.events_max.is_some_and(|max| self.space.events + events > max);
        if full || many { Err(Reason::NoSpace) } else { Ok(()) }
    }

    pub(super) fn give_back(&mut self, bytes: u64) {
        // Between two calls it only rises, so its highest is seen here.
        self.high_bytes = self.high_bytes.max(self.space.bytes);
        self.space.bytes -= bytes;
        let worth_a_trim = (self.space.bytes / TRIM_PART).clamp(TRIM_BYTES_MIN, TRIM_BYTES_MAX);
        if self.high_bytes - self.space.bytes >= worth_a_trim {
            self.high_bytes = self.space.bytes;
            self.changes.push(Change::Drained);
        }
    }
}
