//! Device-mapper: `multipath` and `lvm`. From drivers/md/dm-*.c of Linux 2.6 to 7.3.

use super::{Group, Row, error, info, warn};
use crate::decode::storage::found::System::{Lvm, Multipath};

pub(crate) const GROUPS: &[Group] = &[
    // Current kernels print the map before the path; the device of the event is the path.
    Group {
        system: Multipath,
        subsystem: "dm-multipath",
        head: "device-mapper: multipath: {<dm:pair>: |}",
        rows: &[
            warn("DM_MPATH_PATH_DOWN", "Failing path <dev:pair>."),
            info("DM_MPATH_PATH_UP", "Reinstating path <dev:pair>."),
            error(
                "DM_MPATH_QUEUE_TIMEOUT",
                "queue_if_no_path timeout on <dev:pair>, failing queued IO",
            ),
            error(
                "DM_MPATH_FAILOVER_FAILED",
                "Could not failover {the device: |device. }<detail:text>",
            ),
        ],
    },
    Group {
        system: Lvm,
        subsystem: "dm-thin",
        head: "device-mapper: thin: <dev:pair>: ",
        rows: THIN,
    },
    Group {
        system: Lvm,
        subsystem: "dm-snapshot",
        head: "device-mapper: snapshots: ",
        rows: &[
            error("DM_SNAPSHOT_INVALID", "Invalidating snapshot: <reason:text>."),
            error("DM_SNAPSHOT_OVERFLOW", "Snapshot overflowed: <reason:text>."),
        ],
    },
    Group {
        system: Lvm,
        subsystem: "dm-mirror",
        head: "device-mapper: raid1: ",
        rows: &[
            error("DM_MIRROR_READ_FAILED", "Mirror read failed{ from <dev:pair>|}.…"),
            error("DM_MIRROR_READ_FAILED", "Read failure on mirror device <dev:pair>.…"),
            error(
                "DM_MIRROR_OUT_OF_SYNC",
                "Primary mirror (<dev:pair>) failed while out-of-sync: Reads may fail.",
            ),
            error("DM_MIRROR_FAILED", "All sides of mirror have failed."),
            error("DM_MIRROR_FAILED", "All replicated volumes dead, failing I/O"),
        ],
    },
    Group {
        system: Lvm,
        subsystem: "dm-log",
        head: "device-mapper: dirty region log: <dev:pair>: Failed to ",
        rows: &[
            error("DM_DIRTY_LOG_READ_FAILED", "read header on dirty region log device"),
            error("DM_DIRTY_LOG_WRITE_FAILED", "write header on dirty region log device"),
        ],
    },
    // The device is printed since 5.1.
    Group {
        system: Lvm,
        subsystem: "dm-integrity",
        head: "device-mapper: integrity: {<dev>: |}",
        rows: &[error(
            "DM_INTEGRITY_CHECKSUM_FAILED",
            "Checksum failed {when reading from journal, |}at sector <sector:hex>",
        )],
    },
    Group {
        system: Lvm,
        subsystem: "dm-verity",
        head: "device-mapper: verity: <dev:pair>: ",
        rows: &[
            error("DM_VERITY_CORRUPTION", "<kind=data|metadata> block <block:num> is corrupted"),
            error("DM_VERITY_CORRUPTION", "reached maximum errors"),
        ],
    },
    Group {
        system: Lvm,
        subsystem: "dm-crypt",
        head: "device-mapper: crypt: {<dev>: |}",
        rows: &[error("DM_CRYPT_INTEGRITY_ERROR", "INTEGRITY AEAD ERROR, sector <sector:num>")],
    },
    Group {
        system: Lvm,
        subsystem: "dm-cache",
        head: "device-mapper: cache: <dev:pair>: ",
        rows: &[error("DM_CACHE_READ_ONLY", "switching cache to <mode=read-only|fail> mode")],
    },
    Group {
        system: Lvm,
        subsystem: "dm",
        head: "device-mapper: table: <dev:pair>: ",
        rows: &[warn("DM_TABLE_LOAD_FAILED", "<target>: <reason:text>")],
    },
];

const THIN: &[Row] = &[
    warn("DM_THIN_POOL_LOW_METADATA", "reached low water mark for metadata device: sending event."),
    warn("DM_THIN_POOL_LOW_DATA", "reached low water mark{ for data device:|,} sending event."),
    error(
        "DM_THIN_POOL_OUT_OF_DATA",
        "switching pool to out-of-data-space{ (<policy=queue|error> IO)|} mode",
    ),
    error("DM_THIN_POOL_OUT_OF_DATA", "no free data space available."),
    error("DM_THIN_POOL_OUT_OF_METADATA", "no free metadata space available."),
    error("DM_THIN_POOL_READ_ONLY", "switching pool to read-only mode"),
    error("DM_THIN_POOL_FAILED", "switching pool to {fail|failure} mode"),
    info("DM_THIN_POOL_WRITE_MODE", "switching pool to write mode"),
    info(
        "DM_THIN_POOL_GROWN",
        "growing the <what=data|metadata> device from <old:num> to <new:num> blocks",
    ),
    error("DM_THIN_NEEDS_REPAIR", "unable to switch pool to write mode until repaired."),
    error("DM_THIN_NEEDS_REPAIR", "unable to grow the <what=data|metadata> device until repaired."),
    error("DM_THIN_METADATA_ERROR", "metadata operation '<op:text>' failed: error = <err:int>"),
    error("DM_THIN_METADATA_ERROR", "aborting current metadata transaction"),
    error("DM_THIN_METADATA_ERROR", "failed to abort metadata transaction"),
    error("DM_THIN_METADATA_ERROR", "failed to set 'needs_check' flag in metadata"),
];
