//! `block`: the block layer, buffers and nbd. From block/blk-core.c, blk-mq.c, genhd.c, fs/buffer.c,
//! fs/fs-writeback.c and drivers/block/nbd.c of Linux 3.x to 7.3.

use super::{Group, Row, error, info, warn};
use crate::decode::storage::found::System::Block;

pub(crate) const GROUPS: &[Group] = &[
    // The lead changed with 3.18, 4.14, 5.3 and 5.16.
    Group {
        system: Block,
        subsystem: "block",
        head: "{blk_update_request: |print_req_error: |end_request: |}",
        rows: STATUS,
    },
    Group {
        system: Block,
        subsystem: "block",
        head: "Buffer I/O error on {dev|device} <dev>",
        rows: &[error("BLOCK_BUFFER_IO_ERROR", ", logical block <block:num>{, <kind:text>|}")],
    },
    Group {
        system: Block,
        subsystem: "block",
        head: "Trying to write to ",
        rows: &[warn(
            "BLOCK_WRITE_TO_READONLY",
            "read-only block-device <dev>{ (partno <partno:num>)|}",
        )],
    },
    Group {
        system: Block,
        subsystem: "block",
        head: "VFS: ",
        rows: &[error(
            "BLOCK_WRITEBACK_ERROR",
            "Dirty inode writeback failed for block device <dev> (err=<err:int>).",
        )],
    },
    Group {
        system: Block,
        subsystem: "nbd",
        head: "block <dev:nbd*>: ",
        rows: &[
            error("NBD_TIMEOUT", "Connection timed out…"),
            error("NBD_CONNECTION_FAILED", "Receive control failed (result <result:int>)"),
            error("NBD_CONNECTION_FAILED", "Dead connection, failed to find a fallback"),
            error("NBD_CONNECTION_FAILED", "Other side returned error (<result:int>)"),
        ],
    },
    // Units: sectors since 5.11, bytes before.
    Group {
        system: Block,
        subsystem: "block",
        head: "<dev>: detected capacity change ",
        rows: &[info("BLOCK_CAPACITY_CHANGED", "from <old:num> to <new:num>")],
    },
    // One record of two lines; the thread's name since 5.13.
    Group {
        system: Block,
        subsystem: "block",
        head: "<comm:comm>: attempt to access beyond end of device\n",
        rows: BEYOND_END,
    },
    Group {
        system: Block,
        subsystem: "block",
        head: "attempt to access beyond end of device\n",
        rows: BEYOND_END,
    },
];

const BEYOND_END: &[Row] = &[warn(
    "BLOCK_ACCESS_BEYOND_END",
    "<dev>: rw=<rw:num>, {sector=<sector:num>, nr_sectors = <nr_sectors:num>|want=<want:num>,} \
     limit=<limit:num>",
)];

/// The names are `blk_errors` of block/blk-core.c. What follows the sector came piece by piece: flags
/// with 4.20, the operation with 5.3.
macro_rules! status {
    ($words:literal) => {
        concat!(
            "<status=",
            $words,
            "> error, dev {<dev>|?}, sector <sector:num>{ op <op:word>|}{ flags <flags:hex>|}…"
        )
    };
}

const STATUS: &[Row] = &[
    error(
        "BLOCK_IO_ERROR",
        status!(
            "I/O|kernel resource|device resource|nonblocking retry|dm internal retry|\
             open zones exceeded|active zones exceeded|duration limit exceeded|invalid"
        ),
    ),
    error("BLOCK_MEDIUM_ERROR", status!("critical medium")),
    error("BLOCK_TARGET_ERROR", status!("critical target")),
    error("BLOCK_NO_SPACE", status!("critical space allocation")),
    error("BLOCK_TIMEOUT", status!("timeout")),
    error("BLOCK_TRANSPORT_ERROR", status!("recoverable transport")),
    error("BLOCK_PROTECTION_ERROR", status!("protection")),
    error("BLOCK_DEVICE_OFFLINE", status!("device offline")),
    warn("BLOCK_RESERVATION_CONFLICT", status!("critical nexus|reservation conflict")),
    info("BLOCK_NOT_SUPPORTED", status!("operation not supported")),
];
