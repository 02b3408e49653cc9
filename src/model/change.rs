//! What an operation altered beyond its answer: for caches, for inotify, for the process watcher.

use super::inode::Ino;
use super::owner::OwnerId;

/// Why an event left its queue without its real name being unlinked by the caller.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Cause {
    /// Popped through `head` or `tail`.
    Popped,
    /// Pushed out by a newer one (`drop-oldest`).
    Dropped,
    /// Older than the queue's `ttl`.
    Expired,
    /// Never became an event: a write into it was refused.
    Spoiled,
}

/// Something that others should hear of. The model only records; the janitor acts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Change {
    /// Attributes that the kernel may have cached are out of date.
    Attributes(Ino),
    /// A name that the kernel may have cached is out of date.
    Entry {
        /// The queue.
        parent: Ino,
        /// What had the name.
        ino: Ino,
        /// The name in it.
        name: Box<[u8]>,
    },
    /// An event is gone that nobody unlinked by its own name.
    Gone {
        /// The queue that it was in.
        queue: Ino,
        /// The event.
        ino: Ino,
        /// Its name.
        name: Box<[u8]>,
        /// Why.
        cause: Cause,
    },
    /// A queue ended with its owner.
    QueueEnded {
        /// The queue, now a removed directory.
        queue: Ino,
        /// The name that it had.
        name: Box<[u8]>,
    },
    /// One queue fewer belongs to this process.
    OwnerReleased(OwnerId),
    /// Events that a consumer had taken are back: others may wait for them.
    Returned {
        /// The queue.
        queue: Ino,
    },
    /// The next deadline came nearer.
    Deadline,
    /// Much memory was freed.
    Drained,
    /// The kernel keeps something of events that are gone: see [`super::Remnant`]. Said once, until
    /// they are taken.
    Remnants,
}
