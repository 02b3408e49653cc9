//! Which process a queue lives and dies with.

/// A process that owns queues, named by whoever watches processes. Never given twice.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct OwnerId(pub u64);

/// What decides the end of a queue.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fate {
    /// Dies with its owner. An owner that was `named` by attribute has no grace.
    Owned {
        /// The process.
        owner: OwnerId,
        /// Whether it was named after the `mkdir`.
        named: bool,
    },
    /// Has no living owner and ends at this time (boot clock, ns) unless somebody helps it.
    Orphan {
        /// End of the grace.
        until_ns: i64,
    },
    /// Lives until it is removed; may remember an owner for the day it stops being sticky.
    Sticky {
        /// The remembered, living owner.
        last: Option<OwnerId>,
    },
}

impl Fate {
    /// The living process that the queue belongs to or remembers.
    pub fn owner(self) -> Option<OwnerId> {
        match self {
            Self::Owned { owner, .. } => Some(owner),
            Self::Orphan { .. } => None,
            Self::Sticky { last } => last,
        }
    }

    /// Whether the queue carries the sticky mark.
    pub fn is_sticky(self) -> bool {
        matches!(self, Self::Sticky { .. })
    }
}
