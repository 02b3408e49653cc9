//! Open files and directories.

use super::slab::{Key, NIL};

/// An open file.
pub(crate) struct Handle {
    pub(crate) file: Key,
    /// Whether it created the file and so decides the publication of the entry made with it.
    pub(crate) maker: bool,
    pub(crate) reads: bool,
    pub(crate) writes: bool,
}

/// An open directory with the place that reading has reached.
pub(crate) struct DirHandle {
    /// `None` is the root.
    pub(crate) queue: Option<Key>,
    /// Where the last answer began: an entry that stays linked, though perhaps dead, until the
    /// handle moves on.
    pub(crate) pin: u32,
    /// Events that were taken through this handle and not confirmed, oldest first.
    pub(crate) held: Vec<u32>,
}

impl DirHandle {
    pub(crate) fn new(queue: Option<Key>) -> Self {
        Self { queue, pin: NIL, held: Vec::new() }
    }
}

/// How a file is opened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Mode {
    /// For reading.
    pub reads: bool,
    /// For writing.
    pub writes: bool,
    /// Cut to nothing first.
    pub truncates: bool,
}

/// Number of an open file or directory, never given twice.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct HandleId(pub u64);

impl From<Key> for HandleId {
    fn from(key: Key) -> Self {
        Self(u64::from(key.turn) << 32 | u64::from(key.slot))
    }
}

impl HandleId {
    pub(crate) fn key(self) -> Key {
        Key { slot: self.0 as u32, turn: (self.0 >> 32) as u32 }
    }
}
