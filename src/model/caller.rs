//! Who is asking, and when.

/// The process behind a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Caller {
    /// User id that file access is checked against.
    pub uid: u32,
    /// Group id that new files get.
    pub gid: u32,
}

impl Caller {
    /// The superuser, whom quotas do not limit.
    pub const ROOT: Caller = Caller { uid: 0, gid: 0 };

    /// Whether the caller is the superuser.
    pub fn is_root(self) -> bool {
        self.uid == 0
    }
}

/// The time of an operation; the model never asks a clock.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Now {
    /// Nanoseconds since 1970, for the times that `stat` shows.
    pub wall_ns: i64,
    /// Nanoseconds since boot, suspend included, for ages and deadlines.
    pub boot_ns: i64,
}
