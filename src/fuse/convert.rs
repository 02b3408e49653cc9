//! Types of the model to types of `fuser` and back.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{FileAttr, FileType, INodeNo, OpenAccMode, OpenFlags, Request, TimeOrNow};

use crate::model::{Attr, Caller, Ino, Kind, Mode, Now};

/// How long the kernel may keep what cannot become wrong without our telling it.
pub(super) const LONG: Duration = Duration::from_secs(3_600);

/// For the root: nothing in it can be wrong longer than this, and `stat` of a mountpoint whose
/// daemon was killed tells so, as with other FUSE file systems.
pub(super) const SHORT: Duration = Duration::from_secs(1);

/// Not at all.
pub(super) const NEVER: Duration = Duration::ZERO;

/// Preferred size of reads and writes.
const BLOCK_BYTES: u32 = 4_096;

pub(super) fn caller(request: &Request) -> Caller {
    Caller { uid: request.uid(), gid: request.gid() }
}

pub(super) fn ino(number: INodeNo) -> Ino {
    Ino(number.0)
}

pub(super) fn number(ino: Ino) -> INodeNo {
    INodeNo(ino.0)
}

pub(super) fn file_type(kind: Kind) -> FileType {
    match kind {
        Kind::File => FileType::RegularFile,
        Kind::Directory => FileType::Directory,
        Kind::Link => FileType::Symlink,
    }
}

pub(super) fn attributes(attr: &Attr) -> FileAttr {
    FileAttr {
        ino: number(attr.ino),
        size: attr.size,
        blocks: 0,
        atime: time(attr.atime),
        mtime: time(attr.mtime),
        ctime: time(attr.ctime),
        crtime: UNIX_EPOCH,
        kind: file_type(attr.kind),
        perm: attr.mode,
        nlink: attr.nlink,
        uid: attr.uid,
        gid: attr.gid,
        rdev: 0,
        blksize: BLOCK_BYTES,
        flags: 0,
    }
}

fn time(ns: i64) -> SystemTime {
    let distance = Duration::from_nanos(ns.unsigned_abs());
    if ns < 0 { UNIX_EPOCH - distance } else { UNIX_EPOCH + distance }
}

/// Nanoseconds since 1970, within what 64 bits hold (years 1677 to 2262).
fn nanoseconds(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => {
            i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |distance| -distance)
        }
    }
}

pub(super) fn time_or_now(time: TimeOrNow, now: Now) -> i64 {
    match time {
        TimeOrNow::SpecificTime(time) => nanoseconds(time),
        TimeOrNow::Now => now.wall_ns,
    }
}

/// Permission bits without the type.
pub(super) fn mode_bits(mode: u32) -> u16 {
    (mode & 0o7777) as u16
}

pub(super) fn open_mode(flags: OpenFlags) -> Mode {
    let access = flags.acc_mode();
    Mode {
        reads: access != OpenAccMode::O_WRONLY,
        writes: access != OpenAccMode::O_RDONLY,
        truncates: flags.0 & libc::O_TRUNC != 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_survive_both_ways() {
        for ns in [0, 1, -1, 1_700_000_000_123_456_789, -5_000_000_000, i64::MAX] {
            assert_eq!(nanoseconds(time(ns)), ns);
        }
        assert_eq!(nanoseconds(UNIX_EPOCH + Duration::from_secs(1 << 40)), i64::MAX);
    }
}
