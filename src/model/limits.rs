//! Constants of the model, with units in their names.

/// Longest file name, bytes (`NAME_MAX` of Linux).
pub const NAME_BYTES_MAX: usize = 255;

/// Prefix of the extended attributes that eventfs itself gives a meaning.
pub const CONTROL_PREFIX: &[u8] = b"user.eventfs_";

/// Longest extended attribute value, bytes (`XATTR_SIZE_MAX` of Linux).
pub const XATTR_VALUE_BYTES_MAX: usize = 65_536;

/// Room for the names of all extended attributes of one file, bytes
/// (`XATTR_LIST_MAX` of Linux, less what eventfs itself lists).
pub const XATTR_NAMES_BYTES_MAX: usize = 65_536 - 1_024;

/// Links that one event may have, as on ext4: bounds the work of a write that changes its size.
pub const LINKS_MAX: u32 = 65_000;

/// What an event costs beside its bytes, in `size=` (slot, entry, hash slot, allocator).
pub const EVENT_OVERHEAD_BYTES: u64 = 144;

/// What one more link of an event costs, in `size=`.
pub const LINK_OVERHEAD_BYTES: u64 = 128;

/// What a queue costs beside its events, in `size=`.
pub const QUEUE_OVERHEAD_BYTES: u64 = 1_024;

/// What an extended attribute costs beside its name and value, in `size=`.
pub const XATTR_OVERHEAD_BYTES: u64 = 64;

/// Most entries that one hold of the tree's lock removes on the filesystem's own account.
pub const SWEEP_ENTRIES_MAX: usize = 1_024;

/// Giving memory back to the system is worth a call when the bytes in use have fallen since the last
/// one by this part of what is left ...
pub const TRIM_PART: u64 = 8;

/// ... but by no less than this, bytes. What is freed and not given back can hold twelve times as
/// much: an event of 350 bytes may be all that is left on a page.
pub const TRIM_BYTES_MIN: u64 = 512 << 10;

/// ... and never needs to fall by more than this, bytes.
pub const TRIM_BYTES_MAX: u64 = 8 << 20;

/// Most remnants of events that are remembered until the kernel is told of them, some 40 bytes each.
/// What is beyond stays in the kernel until memory is short there.
pub const REMNANTS_MAX: usize = 256 << 10;

/// Nanoseconds in a second.
pub const SECOND_NS: i64 = 1_000_000_000;
