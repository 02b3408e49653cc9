//! Operations. Operands are numbers that are taken modulo what exists, so that every sequence means
//! something.

/// Names of events; the last ones are rarely chosen.
pub(crate) const NAMES: [&[u8]; 12] = [
    b"a",
    b"b",
    b"c",
    b"d",
    b"e",
    b"f",
    b"g",
    b"a-name-that-is-too-long-to-be-kept-inline",
    b".s",
    b".t",
    b"head",
    b"tail",
];

/// Names of queues: `head` is a name like any other there.
pub(crate) const QUEUE_NAMES: [&[u8]; 4] = [b"q", b"r", b"s", b"head"];

/// Names of attributes of the user.
pub(crate) const XATTR_NAMES: [&[u8]; 3] = [b"user.x", b"user.yy", b"user.ce.type"];

/// A control attribute of a queue, or something that only looks like one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Setting {
    Sticky,
    MaxEvents,
    MaxBytes,
    Overflow,
    Ttl,
    Depth,
    Unknown,
}

/// How something is unlinked.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Way {
    Head,
    Tail,
    Entry(u8),
    Name(u8),
}

#[derive(Clone, Debug)]
pub(crate) enum Op {
    Mkdir {
        name: u8,
        setgid: bool,
        owner: Option<u8>,
        who: u8,
    },
    Rmdir {
        queue: u8,
    },
    RenameQueue {
        queue: u8,
        name: u8,
        no_replace: bool,
    },
    Create {
        queue: u8,
        name: u8,
        who: u8,
    },
    Mknod {
        queue: u8,
        name: u8,
        who: u8,
    },
    Open {
        file: u8,
        truncates: bool,
        writes: bool,
    },
    /// Create, write and close at once.
    Put {
        queue: u8,
        name: u8,
        len: u8,
        who: u8,
    },
    Write {
        handle: u8,
        offset: u8,
        len: u8,
        who: u8,
    },
    Allocate {
        handle: u8,
        end: u8,
        who: u8,
    },
    Release {
        handle: u8,
    },
    Link {
        file: u8,
        queue: u8,
        name: u8,
        who: u8,
    },
    Unlink {
        queue: u8,
        way: Way,
    },
    Rename {
        queue: u8,
        entry: u8,
        to: u8,
        name: u8,
        no_replace: bool,
        who: u8,
    },
    SetAttr {
        file: u8,
        size: Option<u8>,
        uid: Option<u8>,
        gid: Option<u8>,
        who: u8,
    },
    ChownQueue {
        queue: u8,
        uid: u8,
        gid: u8,
    },
    Control {
        queue: u8,
        what: Setting,
        value: u8,
        who: u8,
    },
    Reset {
        queue: u8,
        what: Setting,
        who: u8,
    },
    SetOwner {
        queue: u8,
        owner: u8,
        who: u8,
    },
    SetUser {
        on: On,
        name: u8,
        len: u8,
        flags: u8,
        who: u8,
    },
    RemoveUser {
        on: On,
        name: u8,
    },
    OwnerDied {
        owner: u8,
    },
    Pass {
        ms: u16,
    },
    Opendir {
        queue: Option<u8>,
    },
    Readdir {
        dir: u8,
        want: u8,
        eaten: u8,
    },
    Rewind {
        dir: u8,
    },
    Seek {
        dir: u8,
        to: u8,
    },
    Releasedir {
        dir: u8,
    },
    Forget {
        queue: u8,
    },
    Quotas {
        which: u8,
    },
}

/// What carries an attribute of the user.
#[derive(Clone, Copy, Debug)]
pub(crate) enum On {
    Queue(u8),
    File(u8),
}
