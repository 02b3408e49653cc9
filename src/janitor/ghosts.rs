//! Answers to the herald's own requests: they show it what it removes once more, and change nothing.

use super::herald::Ghost;
use super::shared::Shared;
use crate::model::{Attr, Ino, Kind, Node, Outcome};

/// The answer to a removal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Removal {
    /// It is done, so that inotify tells of it.
    Done,
    /// Refused in a way that makes the kernel forget the name in silence.
    Forgotten,
    /// There is no such name: it is not what was meant.
    Absent,
}

impl Shared {
    fn ghost(&self, parent: Ino, name: &[u8]) -> Option<Ghost> {
        self.herald().ghost().filter(|ghost| ghost.parent == parent && *ghost.name == *name)
    }

    /// What the herald, which asks, is about to remove under this name.
    pub fn look_up_ghost(&self, parent: Ino, name: &[u8]) -> Option<Outcome<Attr>> {
        let ghost = self.ghost(parent, name)?.ino;
        let (found, _after) = self.with(|tree, _| {
            if parent == Ino::ROOT {
                return tree.remember(ghost);
            }
            let known = tree.getattr(ghost);
            if !matches!(ghost.node(), Node::File(_)) {
                return known;
            }
            // A file that lives on elsewhere or is still open keeps its true attributes.
            Ok(known.unwrap_or(Attr {
                ino: ghost,
                kind: Kind::File,
                mode: 0o600,
                uid: 0,
                gid: 0,
                size: 0,
                nlink: 1,
                atime: 0,
                mtime: 0,
                ctime: 0,
            }))
        });
        Some(found)
    }

    /// The answer to the herald's removal of a name.
    pub fn remove_ghost(&self, parent: Ino, name: &[u8]) -> Removal {
        // A new queue may have the name by now.
        let taken = parent == Ino::ROOT && self.with(|tree, _| tree.has_queue(name)).0;
        match self.ghost(parent, name) {
            Some(ghost) if !taken && ghost.told => Removal::Done,
            Some(_) if !taken => Removal::Forgotten,
            _ => Removal::Absent,
        }
    }
}
