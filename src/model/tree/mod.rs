//! The tree: root, queues, files, entries; one method per file operation.

mod attr;
mod fate;
mod hold;
mod io;
mod list;
mod make;
mod place;
mod remnants;
mod remove;
mod rename;
mod scan;
mod space;
mod xattrs;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use super::caller::Now;
use super::change::Change;
use super::error::{Outcome, Reason};
use super::handle::{DirHandle, Handle};
use super::inode::{Ino, Node};
use super::limits::NAME_BYTES_MAX;
use super::names::NameTable;
use super::owner::OwnerId;
use super::payload::Payload;
use super::queue::{Entry, File, Queue};
use super::quota::{Ledger, Quotas};
use super::slab::{Key, Keyed, NIL, Slab};

pub use hold::{Taken, Want};
pub use list::Listed;
pub use remnants::Remnant;
pub use space::Space;
pub use xattrs::XattrFlags;

/// The settings of a mount that the model knows of.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Bytes of event data, attributes and bookkeeping (`size=`).
    pub size_bytes: u64,
    /// Entries over all queues (`nr_events=`); `None` is unlimited.
    pub events_max: Option<u64>,
    /// Queues (`nr_queues=`); `None` is unlimited.
    pub queues_max: Option<u64>,
    /// Largest event, bytes (`max_event=`).
    pub event_bytes_max: u64,
    /// Grace of a queue without a living owner, nanoseconds (`grace=`).
    pub grace_ns: i64,
    /// Whether a file is an event from its creation on (`publish=create`).
    pub publish_at_create: bool,
    /// Whether to report the real names of events popped through a link (`notify=full`).
    pub report_popped: bool,
    /// Permission bits of the root directory.
    pub root_mode: u16,
    /// Owner of the root directory.
    pub root_uid: u32,
    /// Group of the root directory.
    pub root_gid: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            size_bytes: u64::MAX / 4,
            events_max: None,
            queues_max: None,
            event_bytes_max: 64 << 20,
            grace_ns: super::limits::SECOND_NS,
            publish_at_create: false,
            report_popped: false,
            root_mode: 0o755,
            root_uid: 0,
            root_gid: 0,
        }
    }
}

struct Root {
    mode: u16,
    uid: u32,
    gid: u32,
    atime: i64,
    mtime: i64,
    ctime: i64,
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Deadline {
    /// The grace of an ownerless queue ends.
    Grace,
    /// The oldest event of a queue with a `ttl` may be due.
    Expiry,
}

/// The tree of queues behind every file operation.
pub struct Tree {
    settings: Settings,
    ledger: Ledger,
    root: Root,
    queues: Keyed<Queue>,
    queue_names: HashMap<Box<[u8]>, Key>,
    queue_order: BTreeMap<u64, Key>,
    next_queue_number: u64,
    files: Keyed<File>,
    entries: Slab<Entry>,
    names: NameTable,
    handles: Keyed<Handle>,
    dirs: Keyed<DirHandle>,
    /// Directory handles that stand on an entry.
    pins: HashMap<u32, u32>,
    owned: BTreeSet<(OwnerId, Key)>,
    deadlines: BTreeSet<(i64, Deadline, Key)>,
    /// Dead queues whose entries are still to be swept.
    dying: VecDeque<Key>,
    space: space::Used,
    changes: Vec<Change>,
    trash: Vec<Payload>,
    remnants: remnants::Remnants,
    /// The most bytes in use since memory was last reported free.
    high_bytes: u64,
}

impl Tree {
    /// An empty tree.
    pub fn new(settings: Settings, quotas: Quotas, now: Now) -> Self {
        let root = Root {
            mode: settings.root_mode,
            uid: settings.root_uid,
            gid: settings.root_gid,
            atime: now.wall_ns,
            mtime: now.wall_ns,
            ctime: now.wall_ns,
        };
        Self {
            settings,
            ledger: Ledger::new(quotas),
            root,
            queues: Keyed::default(),
            queue_names: HashMap::new(),
            queue_order: BTreeMap::new(),
            next_queue_number: 1,
            files: Keyed::default(),
            entries: Slab::default(),
            names: NameTable::default(),
            handles: Keyed::default(),
            dirs: Keyed::default(),
            pins: HashMap::new(),
            owned: BTreeSet::new(),
            deadlines: BTreeSet::new(),
            dying: VecDeque::new(),
            space: space::Used::default(),
            changes: Vec::new(),
            trash: Vec::new(),
            remnants: remnants::Remnants::default(),
            high_bytes: 0,
        }
    }

    /// Replaces the quotas; what is charged stays charged.
    pub fn set_quotas(&mut self, quotas: Quotas) {
        self.ledger.quotas = quotas;
    }

    /// Replaces the settings, except those of the root directory, which is changed by `chmod` and
    /// `chown`. What is over a new limit stays.
    pub fn set_settings(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// Takes what the operations since the last call altered.
    pub fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// Takes contents that are to be freed where no lock is held.
    pub fn take_trash(&mut self) -> Vec<Payload> {
        std::mem::take(&mut self.trash)
    }

    /// Whether nothing at all is left: no queue, file, handle or charge. For tests.
    pub fn is_clear(&self) -> bool {
        self.queues.len() == 0
            && self.files.len() == 0
            && self.entries.len() == 0
            && self.handles.len() == 0
            && self.dirs.len() == 0
            && self.pins.is_empty()
            && self.owned.is_empty()
            && self.deadlines.is_empty()
            && self.ledger.is_clear()
            && self.space.is_clear()
    }

    /// The live queue that an inode number stands for.
    fn live_queue(&self, ino: Ino) -> Outcome<Key> {
        match ino.node() {
            Node::Queue(key) => match self.queues.get(key) {
                Some(queue) if !queue.dead => Ok(key),
                _ => Err(Reason::NotFound),
            },
            Node::Root => Err(Reason::NotPermitted),
            _ => Err(Reason::NotDirectory),
        }
    }

    fn queue(&self, key: Key) -> &Queue {
        self.queues.get(key).expect("the key of a queue was checked by the caller")
    }

    fn queue_mut(&mut self, key: Key) -> &mut Queue {
        self.queues.get_mut(key).expect("the key of a queue was checked by the caller")
    }

    fn entry(&self, entry: u32) -> &Entry {
        self.entries.get(entry).expect("an entry that is linked or named exists")
    }

    fn entry_mut(&mut self, entry: u32) -> &mut Entry {
        self.entries.get_mut(entry).expect("an entry that is linked or named exists")
    }

    fn file_of(&self, entry: u32) -> Key {
        self.files.key_of(self.entry(entry).file).expect("a live entry has a file")
    }

    fn queue_of(&self, entry: u32) -> Key {
        self.queues.key_of(self.entry(entry).queue).expect("an entry has a queue")
    }

    fn file(&self, key: Key) -> &File {
        self.files.get(key).expect("the key of a file was checked by the caller")
    }

    fn file_mut(&mut self, key: Key) -> &mut File {
        self.files.get_mut(key).expect("the key of a file was checked by the caller")
    }

    /// The entry of a name that is not `head` or `tail`, unless a consumer holds it.
    fn find(&self, queue: Key, name: &[u8]) -> Option<u32> {
        self.find_any(queue, name).filter(|slot| self.entry(*slot).is_live())
    }

    /// The entry of a name, held or not.
    fn find_any(&self, queue: Key, name: &[u8]) -> Option<u32> {
        let hash = self.names.hash(queue.slot, name);
        self.names.find(hash, |slot| {
            let entry = self.entry(*slot);
            entry.queue == queue.slot && entry.name.as_bytes() == name
        })
    }

    /// What `head` and `tail` point to; `None` in an empty queue.
    fn link_target(&self, queue: Key, name: &[u8]) -> Option<u32> {
        let events = &self.queue(queue).events;
        let entry = if name == HEAD { events.head } else { events.tail };
        (entry != NIL).then_some(entry)
    }
}

/// The reserved names of a queue.
pub(crate) const HEAD: &[u8] = b"head";
/// See [`HEAD`].
pub(crate) const TAIL: &[u8] = b"tail";

/// Name of the door of a queue: a file that is never listed, and that whoever may search the queue
/// can open to take events. Reserved.
pub const DOOR: &[u8] = b".eventfs-door";

fn is_link_name(name: &[u8]) -> bool {
    name == HEAD || name == TAIL
}

/// Whether nobody may make, rename or remove such a name in a queue.
fn is_reserved_name(name: &[u8]) -> bool {
    is_link_name(name) || name == DOOR
}

fn is_staged_name(name: &[u8]) -> bool {
    name.first() == Some(&b'.')
}

fn check_length(name: &[u8]) -> Outcome<()> {
    if name.len() > NAME_BYTES_MAX { Err(Reason::NameTooLong) } else { Ok(()) }
}
