//! `mdraid`. From drivers/md/md.c, raid0.c, raid1.c, raid10.c and raid5.c of Linux 2.6 to 7.3.
//!
//! LVM's raid volumes use the same code and call themselves `mdX`.

use super::{Group, Row, error, info, warn};
use crate::decode::storage::found::System::Mdraid;

pub(crate) const GROUPS: &[Group] = &[
    // No level stands there for raid4, 5 and 6.
    Group {
        system: Mdraid,
        subsystem: "md",
        head: "md/raid{<level:num>|}:<dev>: ",
        rows: PERSONALITY,
    },
    Group { system: Mdraid, subsystem: "md", head: "md: ", rows: ARRAY },
    Group {
        system: Mdraid,
        subsystem: "md",
        head: "<dev:md*>: mismatch ",
        rows: &[warn("MD_MISMATCH", "sector in range <range:word>")],
    },
];

const PERSONALITY: &[Row] = &[
    // raid1 and raid10 say two lines in one record.
    error(
        "MD_DISK_FAILURE",
        "Disk failure on <member>, disabling device.\
         {\nmd/raid{<_:num>|}:<_>: Operation continuing on <remaining:num> devices.|}",
    ),
    warn("MD_ARRAY_DEGRADED", "Operation continuing on <remaining:num> devices."),
    Row { less: Some(("active", "total")), ..warn("MD_ARRAY_DEGRADED", ACTIVE) },
    info("MD_ARRAY_ACTIVE", ACTIVE),
    error("MD_ARRAY_FAILED", "Cannot continue operation (<failed:num>/<total:num> failed)."),
    error("MD_ARRAY_FAILED", "not enough operational devices (<failed:num>/<total:num> failed)"),
    error("MD_ARRAY_FAILED", "not enough operational mirrors."),
    warn(
        "MD_READ_ERROR_CORRECTED",
        "read error corrected (<sectors:num> sectors at <sector:num> on <member>)",
    ),
    error(
        "MD_READ_ERROR",
        "read error {not correctable|NOT corrected!!|on replacement device} \
         (sector <sector:num> on <member>){.|}",
    ),
    error("MD_READ_ERROR", "<member>: unrecoverable I/O read error for block <sector:num>"),
    warn("MD_READ_RETRY", "<member>: rescheduling sector <sector:num>"),
    warn("MD_READ_RETRY", "redirecting sector <sector:num> to other mirror: <member>"),
    warn("MD_READ_RETRY", "{<member>: |}redirecting sector <sector:num> to …"),
    error("MD_TOO_MANY_READ_ERRORS", "Too many read errors, failing device <member>."),
    error("MD_TOO_MANY_READ_ERRORS", "<member>: Raid device exceeded read_error threshold…"),
    error("MD_TOO_MANY_READ_ERRORS", "<member>: Failing raid device"),
    error("MD_TOO_MANY_READ_ERRORS", "<member>: failing drive"),
    error("MD_DIRTY_DEGRADED", "{starting|cannot start} dirty degraded array…"),
    warn("MD_NOT_CLEAN", "not clean -- starting background reconstruction"),
];

const ACTIVE: &str = "{raid level <rl:num> |}active with <active:num> out of <total:num> \
                      {mirrors|devices}{, algorithm <algorithm:num>|}";

// Up to 6.10 the words are recovery, data-check and requested-resync.
const ARRAY: &[Row] = &[
    info("MD_REBUILD_STARTED", "<action=recovery|recover> of RAID array <dev>"),
    info("MD_RESYNC_STARTED", "<action=resync> of RAID array <dev>"),
    info("MD_CHECK_STARTED", "<action=data-check|check> of RAID array <dev>"),
    info("MD_REPAIR_STARTED", "<action=requested-resync|repair> of RAID array <dev>"),
    info("MD_RESHAPE_STARTED", "<action=reshape> of RAID array <dev>"),
    info("MD_REBUILD_FINISHED", "<dev>: <action=recovery|recover> done."),
    info("MD_RESYNC_FINISHED", "<dev>: <action=resync> done."),
    info("MD_CHECK_FINISHED", "<dev>: <action=data-check|check> done."),
    info("MD_REPAIR_FINISHED", "<dev>: <action=requested-resync|repair> done."),
    info("MD_RESHAPE_FINISHED", "<dev>: <action=reshape> done."),
    warn("MD_REBUILD_INTERRUPTED", "<dev>: <action=recovery|recover> interrupted."),
    warn("MD_RESYNC_INTERRUPTED", "<dev>: <action=resync> interrupted."),
    warn("MD_CHECK_INTERRUPTED", "<dev>: <action=data-check|check> interrupted."),
    warn("MD_REPAIR_INTERRUPTED", "<dev>: <action=requested-resync|repair> interrupted."),
    warn("MD_RESHAPE_INTERRUPTED", "<dev>: <action=reshape> interrupted."),
    info("MD_ARRAY_STOPPED", "<dev> stopped."),
    error("MD_SUPERBLOCK_WRITE_ERROR", "super_written gets error=<err:int>…"),
    warn("MD_MEMBER_KICKED", "kicking non-fresh <dev> from array!"),
];
