//! Inode numbers and attributes.

use super::slab::Key;

/// What an inode is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Kind {
    /// An event, a staged or an unfinished file.
    File,
    /// A queue, or the root.
    Directory,
    /// `head` or `tail`.
    Link,
}

/// An inode number. Unique for the life of the mount: it packs a slot, the number of times that the
/// slot was used before, and what it is; the root is 1 as FUSE demands.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Ino(pub u64);

/// An inode number taken apart.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Node {
    /// The root directory.
    Root,
    /// An event or another file.
    File(Key),
    /// A queue.
    Queue(Key),
    /// The `head` of a queue.
    Head(Key),
    /// The `tail` of a queue.
    Tail(Key),
    /// The [`super::DOOR`] of a queue.
    Door(Key),
}

impl Ino {
    /// The root directory's number, fixed by FUSE.
    pub const ROOT: Ino = Ino(1);

    /// The node that the number stands for; it may be long gone.
    pub fn node(self) -> Node {
        if self == Self::ROOT {
            return Node::Root;
        }
        let key = Key { slot: (self.0 >> 3) as u32, turn: (self.0 >> 35) as u32 };
        match self.0 & 7 {
            0 => Node::File(key),
            1 => Node::Queue(key),
            2 => Node::Head(key),
            3 => Node::Tail(key),
            _ => Node::Door(key),
        }
    }
}

impl From<Node> for Ino {
    fn from(node: Node) -> Self {
        let (key, kind) = match node {
            Node::Root => return Self::ROOT,
            Node::File(key) => (key, 0),
            Node::Queue(key) => (key, 1),
            Node::Head(key) => (key, 2),
            Node::Tail(key) => (key, 3),
            Node::Door(key) => (key, 4),
        };
        Self(u64::from(key.turn) << 35 | u64::from(key.slot) << 3 | kind)
    }
}

/// Attributes of an inode, as `stat` shows them. Times are nanoseconds since 1970.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Attr {
    /// The number.
    pub ino: Ino,
    /// What it is.
    pub kind: Kind,
    /// Permission bits with set-id and sticky bits, no type.
    pub mode: u16,
    /// Owning user.
    pub uid: u32,
    /// Owning group.
    pub gid: u32,
    /// Bytes.
    pub size: u64,
    /// Links: queues that hold an event; 2 and the queues for a directory.
    pub nlink: u32,
    /// Last access, ns. Reading does not change it.
    pub atime: i64,
    /// Last change of content, ns.
    pub mtime: i64,
    /// Last change of content or attributes, ns.
    pub ctime: i64,
}

/// What `chmod`, `chown`, `truncate` and `utimensat` ask for; `None` leaves a thing as it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct SetAttr {
    /// New permission bits.
    pub mode: Option<u16>,
    /// New user.
    pub uid: Option<u32>,
    /// New group.
    pub gid: Option<u32>,
    /// New size, bytes.
    pub size: Option<u64>,
    /// New access time, ns.
    pub atime: Option<i64>,
    /// New modification time, ns.
    pub mtime: Option<i64>,
    /// New change time, ns; now, where it is not given.
    pub ctime: Option<i64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_nodes_convert_both_ways() {
        for (slot, turn) in [(0, 1), (1, 1), (u32::MAX - 1, 1), (7, (1 << 29) - 1)] {
            let key = Key { slot, turn };
            let links = [Node::Head(key), Node::Tail(key)];
            for node in [Node::File(key), Node::Queue(key), Node::Door(key)].iter().chain(&links) {
                let node = *node;
                assert_eq!(Ino::from(node).node(), node);
                assert_ne!(Ino::from(node), Ino::ROOT);
            }
        }
        assert_eq!(Ino::from(Node::Root).node(), Node::Root);
    }
}
