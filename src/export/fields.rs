//! Which fields of `statx` an output stream has: all of its documents the same ones, or none.
//!
//! The real reader keeps its record of them from one document to the next, so what a later document
//! leaves out it takes from an earlier one.

use crate::decode::hestia::{Device, Flags, Statx, Time};

/// Bits of statx(2), and those that robinhood adds for halves of times and devices.
pub(super) const TYPE: u32 = 0x1;
const MODE: u32 = 0x2;
const NLINK: u32 = 0x4;
const UID: u32 = 0x8;
const GID: u32 = 0x10;
pub(super) const ATIME: u32 = 0x20 | 0x1000_0000;
pub(super) const MTIME: u32 = 0x40 | 0x0200_0000;
pub(super) const CTIME: u32 = 0x80 | 0x0400_0000;
const BTIME: u32 = 0x800 | 0x0800_0000;
const INO: u32 = 0x100;
pub(super) const SIZE: u32 = 0x200;
pub(super) const BLOCKS: u32 = 0x400;
const BLKSIZE: u32 = 0x4000_0000;
const ATTRIBUTES: u32 = 0x2000_0000;
const RDEV: u32 = 0x0100_0000 | 0x0080_0000;
const DEV: u32 = 0x0040_0000 | 0x0020_0000;

/// All that stat(2) has.
const BASIC: u32 = 0x57e0_07ff;
/// All that there is, `mnt_id` included, which has no form in YAML.
pub(super) const EVERYTHING: u32 = 0x7fe0_1fff;

/// A set of fields, and of flags among the attributes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Fields {
    mask: u32,
    flags: u32,
}

impl Fields {
    /// The fields that are there.
    pub(super) fn of(statx: &Statx) -> Self {
        let bit = |is_there: bool, bit: u32| if is_there { bit } else { 0 };
        let time = |time: Option<Time>, bits: u32| {
            let time = time.unwrap_or_default();
            bit(time.sec.is_some(), bits & 0xfff) | bit(time.nsec.is_some(), bits & !0xfff)
        };
        let device = |device: Option<Device>, major: u32, minor: u32| {
            let device = device.unwrap_or_default();
            bit(device.major.is_some(), major) | bit(device.minor.is_some(), minor)
        };
        let flags = statx.attributes.unwrap_or_default().known;
        let mask = bit(statx.file_type.is_some(), TYPE)
            | bit(statx.mode.is_some(), MODE)
            | bit(statx.nlink.is_some(), NLINK)
            | bit(statx.uid.is_some(), UID)
            | bit(statx.gid.is_some(), GID)
            | bit(statx.ino.is_some(), INO)
            | bit(statx.size.is_some(), SIZE)
            | bit(statx.blocks.is_some(), BLOCKS)
            | bit(statx.blksize.is_some(), BLKSIZE)
            | bit(flags != 0, ATTRIBUTES)
            | time(statx.atime, ATIME)
            | time(statx.mtime, MTIME)
            | time(statx.ctime, CTIME)
            | time(statx.btime, BTIME)
            | device(statx.rdev, 0x0100_0000, 0x0080_0000)
            | device(statx.dev, 0x0040_0000, 0x0020_0000);
        Self { mask, flags }
    }

    /// Whether there is none.
    pub(super) fn is_empty(self) -> bool {
        self.mask == 0
    }

    /// Whether nothing of stat(2) is missing.
    pub(super) fn is_complete(self) -> bool {
        self.mask & BASIC == BASIC
    }

    fn contains(self, other: Self) -> bool {
        self.mask & other.mask == other.mask && self.flags & other.flags == other.flags
    }

    /// Takes out of `statx` what is not in this set; false if something of the set is missing there.
    pub(super) fn reduce(self, statx: &mut Statx) -> bool {
        if !Self::of(statx).contains(self) {
            return false;
        }
        let keep = |bits: u32| self.mask & bits != 0;
        clear(&mut statx.file_type, keep(TYPE));
        clear(&mut statx.mode, keep(MODE));
        clear(&mut statx.nlink, keep(NLINK));
        clear(&mut statx.uid, keep(UID));
        clear(&mut statx.gid, keep(GID));
        clear(&mut statx.ino, keep(INO));
        clear(&mut statx.size, keep(SIZE));
        clear(&mut statx.blocks, keep(BLOCKS));
        clear(&mut statx.blksize, keep(BLKSIZE));
        clear(&mut statx.atime, keep(ATIME));
        clear(&mut statx.mtime, keep(MTIME));
        clear(&mut statx.ctime, keep(CTIME));
        clear(&mut statx.btime, keep(BTIME));
        clear(&mut statx.rdev, keep(RDEV));
        clear(&mut statx.dev, keep(DEV));
        clear(&mut statx.attributes, keep(ATTRIBUTES));
        if let Some(Flags { known, set }) = &mut statx.attributes {
            *known &= self.flags;
            *set &= self.flags;
        }
        // Half a time that the set does not have.
        Self::of(statx) == self
    }
}

fn clear<T>(field: &mut Option<T>, keep: bool) {
    if !keep {
        *field = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_what_all_of_a_stream_have() {
        let time = Some(Time { sec: Some(1), nsec: Some(2) });
        let device = Some(Device { major: Some(1), minor: Some(2) });
        let mut whole = Statx {
            file_type: Some("file"),
            mode: Some(1),
            nlink: Some(1),
            uid: Some(1),
            gid: Some(1),
            atime: time,
            mtime: time,
            ctime: time,
            btime: None,
            ino: Some(1),
            size: Some(1),
            blocks: Some(1),
            blksize: Some(1),
            attributes: None,
            rdev: device,
            dev: device,
        };
        let basic = Fields::of(&whole);
        assert_eq!(basic.mask, BASIC);
        assert!(basic.is_complete());
        whole.btime = time;
        whole.attributes = Some(Flags { known: 0x14, set: 0x10 });
        let more = Fields::of(&whole);
        assert_eq!(more.mask | 0x1000, EVERYTHING);
        let mut part = whole;
        assert!(basic.reduce(&mut part));
        assert_eq!((part.btime, part.attributes), (None, None));
        assert!(!more.reduce(&mut part));
        whole.atime = Some(Time { sec: Some(1), nsec: None });
        assert!(!Fields::of(&whole).is_complete());
    }
}
