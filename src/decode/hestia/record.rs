//! What documents say, once they are read.

use super::walk::Unknown;

/// A value among attributes.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// No value: what takes an attribute away.
    Null,
    /// `!!bool`.
    Bool(bool),
    /// `!!binary`.
    Binary(Vec<u8>),
    /// `!uint32`.
    Uint32(u32),
    /// `!uint64`.
    Uint64(u64),
    /// `!int32`.
    Int32(i32),
    /// `!int64`.
    Int64(i64),
    /// `!double`: the newest writer knows it, and no reader but this.
    Double(f64),
    /// Text.
    Text(String),
    /// `!regex`: a pattern that nobody has compiled, and its flags.
    Regex(String, u32),
    /// A sequence.
    Seq(Vec<Value>),
    /// A mapping, in its order; keys may repeat.
    Map(Vec<(String, Value)>),
}

/// Attributes in their order; keys may repeat.
pub type Pairs = Vec<(String, Value)>;

/// The six tags of librobinhood.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Kind {
    /// An inode is made or changed.
    Upsert,
    /// An inode and all its names are gone.
    Delete,
    /// A name points to an inode now.
    Link,
    /// A name is gone.
    Unlink,
    /// Attributes of one name change.
    NsXattr,
    /// Attributes of an inode change.
    InodeXattr,
}

impl Kind {
    /// Every kind with its root tag, without the `!`.
    pub const ALL: [(Self, &'static str); 6] = [
        (Self::Upsert, "upsert"),
        (Self::Delete, "delete"),
        (Self::Link, "link"),
        (Self::Unlink, "unlink"),
        (Self::NsXattr, "ns_xattr"),
        (Self::InodeXattr, "inode_xattr"),
    ];

    /// The root tag without its `!`.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(kind, _)| *kind == self).map_or("", |(_, name)| name)
    }

    /// Whether a document of this kind names a place in a directory.
    pub fn has_place(self) -> bool {
        matches!(self, Self::Link | Self::Unlink | Self::NsXattr)
    }

    /// Whether attributes mean something in it.
    pub fn has_xattrs(self) -> bool {
        matches!(self, Self::Upsert | Self::Link | Self::NsXattr | Self::InodeXattr)
    }
}

/// One librobinhood event.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Its root tag.
    pub kind: Kind,
    /// The inode's id, which means something to the writer only.
    pub id: Vec<u8>,
    /// Id of the directory; of the kinds that have one.
    pub parent: Option<Vec<u8>>,
    /// Name in that directory.
    pub name: Option<String>,
    /// Text of a symbolic link.
    pub symlink: Option<String>,
    /// What stat would say.
    pub statx: Option<Statx>,
    /// Attributes.
    pub xattrs: Pairs,
}

impl Record {
    /// An event without anything but its id.
    pub fn new(kind: Kind, id: impl Into<Vec<u8>>) -> Self {
        Self {
            kind,
            id: id.into(),
            parent: None,
            name: None,
            symlink: None,
            statx: None,
            xattrs: Vec::new(),
        }
    }
}

/// Kinds of inodes, in the words of the documents.
pub const FILE_TYPES: [&str; 7] =
    ["blockdev", "chardev", "directory", "fifo", "file", "link", "socket"];

/// Flags of an inode with their bits in `stx_attributes`.
pub const FLAGS: [(&str, u32); 9] = [
    ("compressed", 0x4),
    ("immutable", 0x10),
    ("append", 0x20),
    ("nodump", 0x40),
    ("encrypted", 0x800),
    ("automount", 0x1000),
    ("mount-root", 0x2000),
    ("verity", 0x10_0000),
    ("dax", 0x20_0000),
];

/// Flags that are known, and those of them that are set; by the bits of [`FLAGS`].
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Flags {
    /// Known.
    pub known: u32,
    /// Set; a part of `known`.
    pub set: u32,
}

/// Seconds and nanoseconds, each of which may be unknown.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Time {
    /// Seconds since 1970.
    pub sec: Option<i64>,
    /// Nanoseconds; nobody checks that they are below 1 000 000 000.
    pub nsec: Option<u32>,
}

/// The numbers of a device, each of which may be unknown.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Device {
    /// Major number.
    pub major: Option<u32>,
    /// Minor number.
    pub minor: Option<u32>,
}

/// What stat would say, as far as it is known.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Statx {
    /// One of [`FILE_TYPES`].
    pub file_type: Option<&'static str>,
    /// Permission bits; up to 16 bits.
    pub mode: Option<u16>,
    /// Names.
    pub nlink: Option<u32>,
    /// Owner.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
    /// Last access.
    pub atime: Option<Time>,
    /// Last change of the data.
    pub mtime: Option<Time>,
    /// Last change of anything.
    pub ctime: Option<Time>,
    /// Birth.
    pub btime: Option<Time>,
    /// Inode number.
    pub ino: Option<u64>,
    /// Bytes.
    pub size: Option<u64>,
    /// Blocks of 512 bytes.
    pub blocks: Option<u64>,
    /// Preferred size of input and output, bytes.
    pub blksize: Option<u32>,
    /// Flags.
    pub attributes: Option<Flags>,
    /// The device that the inode is.
    pub rdev: Option<Device>,
    /// The device that the inode lies on.
    pub dev: Option<Device>,
}

/// The tags of Hestia's own feed.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ObjectKind {
    /// An object was made.
    Create,
    /// Its data or metadata changed.
    Update,
    /// It was read.
    Read,
    /// It is gone.
    Remove,
}

impl ObjectKind {
    /// Every kind with its root tag, without the `!`.
    pub const ALL: [(Self, &'static str); 4] = [
        (Self::Create, "create"),
        (Self::Update, "update"),
        (Self::Read, "read"),
        (Self::Remove, "remove"),
    ];

    /// The root tag without its `!`.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(kind, _)| *kind == self).map_or("", |(_, name)| name)
    }
}

/// One event of Hestia's own feed.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectRecord {
    /// Its root tag.
    pub kind: ObjectKind,
    /// The object's name.
    pub id: String,
    /// When it happened, nanoseconds since 1970 (the feed has microseconds). An interim form had none.
    pub time: Option<i64>,
    /// Last change of the data, nanoseconds.
    pub mtime: Option<i64>,
    /// Last change of anything, nanoseconds.
    pub ctime: Option<i64>,
    /// Bytes: the largest offset plus length of all extents.
    pub size: Option<u64>,
    /// What users said about it, in order; a key stands once.
    pub user_metadata: Option<Vec<(String, String)>>,
    /// Where its data lies.
    pub tiers: Option<Vec<Tier>>,
}

/// What an object has on one tier.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Tier {
    /// Number of the tier.
    pub index: u64,
    /// Offset and length of each piece, bytes.
    pub extents: Vec<(u64, u64)>,
}

/// What a document says.
#[derive(Clone, Debug, PartialEq)]
#[allow(
    clippy::large_enum_variant,
    reason = "one lives at a time, and nearly all are the large one"
)]
pub enum Content {
    /// In the form of librobinhood, Hestia's first feed included.
    Inode(Record),
    /// In the form of Hestia's feed today.
    Object(ObjectRecord),
}

/// A document that was read, with what in it nobody knows: `path.of.key` and its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Parsed {
    /// What it says.
    pub content: Content,
    /// What it also has, in order.
    pub unknown: Vec<Unknown>,
}
