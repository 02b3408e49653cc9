//! `fs`: file systems. From fs/ext4, fs/ext2, fs/jbd2, fs/xfs, fs/iomap, fs/btrfs, fs/f2fs and fs/fat of
//! Linux 2.6 to 7.3, and the ZFS module.

use super::{Group, Row, error, info, warn};
use crate::decode::storage::found::System::Fs;

pub(crate) const GROUPS: &[Group] = &[
    Group {
        system: Fs,
        subsystem: "ext4",
        head: "EXT{4|3<subsystem:=ext3>|2<subsystem:=ext2>}-fs (<dev>): ",
        rows: EXT,
    },
    Group {
        system: Fs,
        subsystem: "ext4",
        head: "EXT{4|3<subsystem:=ext3>|2<subsystem:=ext2>}-fs error (device <dev>)",
        rows: &[
            error("FS_ERROR", ": <function:word>:<line:num>: <detail:text>"),
            error("FS_ERROR", " in <function:word>:<line:num>: <detail:text>"),
            error("FS_ERROR", "{:| in} <function:word>: <detail:text>"),
        ],
    },
    Group {
        system: Fs,
        subsystem: "ext4",
        head: "EXT{4|3<subsystem:=ext3>|2<subsystem:=ext2>}-fs warning (device <dev>): ",
        rows: &[
            error(
                "FS_IO_ERROR",
                "<function=ext4_end_bio>:<line:num>: I/O error <err:int> writing to inode <inode:num>…",
            ),
            error("FS_IO_ERROR", "<function=ext4_end_bio>:<line:num>: I/O error…"),
            warn(
                "FS_NEEDS_CHECK",
                "<function=ext4_clear_journal_err>:<line:num>: \
                 {Filesystem error recorded from previous mount|Marked fs in need of filesystem check}…",
            ),
            warn("FS_WARNING", "<function:word>:<line:num>: <detail:text>"),
            warn("FS_WARNING", "<function:word>: <detail:text>"),
        ],
    },
    Group {
        system: Fs,
        subsystem: "jbd2",
        head: "JBD2: ",
        rows: &[
            error(
                "FS_IO_ERROR",
                "Detected IO errors {<err:int> |}while flushing file data on <dev:journal>",
            ),
            error("FS_IO_ERROR", "I/O error when updating journal superblock for <dev:journal>."),
            error(
                "FS_IO_ERROR",
                "Error <err:int> detected when updating journal superblock for <dev:journal>.",
            ),
        ],
    },
    Group {
        system: Fs,
        subsystem: "jbd2",
        head: "Aborting journal ",
        rows: &[error("FS_JOURNAL_ABORTED", "on device <dev:journal>.")],
    },
    Group {
        system: Fs,
        subsystem: "ext4",
        head: "Kernel panic - not syncing: EXT{4|3<subsystem:=ext3>|2<subsystem:=ext2>}-fs (device <dev>): ",
        rows: &[error("FS_PANIC", "panic forced after error…")],
    },
    Group { system: Fs, subsystem: "xfs", head: "XFS (<dev>): ", rows: XFS },
    // Up to 5.4 XFS said so itself.
    Group {
        system: Fs,
        subsystem: "iomap",
        head: "<dev>: writeback error ",
        rows: &[error(
            "FS_IO_ERROR",
            "on inode <inode:num>, offset <offset:num>, sector <sector:num>",
        )],
    },
    // The letters of the state stand there since 5.19, once errors are recorded.
    Group {
        system: Fs,
        subsystem: "btrfs",
        head: "BTRFS{:|} <_> (device <dev>{ state <state>|})",
        rows: BTRFS,
    },
    Group {
        system: Fs,
        subsystem: "btrfs",
        head: "BTRFS: Transaction ",
        rows: &[error("FS_ERROR", "aborted (error <err:int>)")],
    },
    Group {
        system: Fs,
        subsystem: "f2fs",
        head: "F2FS-fs (<dev>): ",
        rows: &[info("FS_MOUNTED", "Mounted with checkpoint version = <checkpoint:word>")],
    },
    Group {
        system: Fs,
        subsystem: "fat",
        head: "FAT-fs (<dev>): ",
        rows: &[
            error("FS_ERROR", "error, <detail:text>"),
            error("FS_REMOUNT_READ_ONLY", "Filesystem has been set read-only"),
            warn("FS_NEEDS_CHECK", "Volume was not properly unmounted…"),
        ],
    },
    Group {
        system: Fs,
        subsystem: "zfs",
        head: "WARNING: Pool '<dev:text>' has encountered an uncorrectable I/O failure ",
        rows: &[error("FS_POOL_SUSPENDED", "and has been suspended.…")],
    },
];

const EXT: &[Row] = &[
    // The options went with 6.0, the UUID came with 6.2, the mode with 6.3.
    info(
        "FS_MOUNTED",
        "mounted filesystem {<uuid:uuid> {r/w <mode:=rw>|ro <mode:=ro>|}|}\
         {with <data_mode=journalled|ordered|writeback> data mode|without journal<data_mode:=no_journal>}…",
    ),
    info("FS_REMOUNTED", "re-mounted{ <uuid:uuid>{ r/w<mode:=rw>| ro<mode:=ro>|}|}.…"),
    info("FS_UNMOUNTED", "unmounting filesystem{ <uuid:uuid>|}."),
    error("FS_REMOUNT_READ_ONLY", "Remounting filesystem read-only"),
    error("FS_IO_ERROR", "I/O error while writing superblock"),
    error("FS_IO_ERROR", "previous I/O error to superblock detected"),
    error("FS_SHUTDOWN", "shut down requested (<mode:num>)"),
    info("FS_RECOVERY_DONE", "recovery complete"),
    warn(
        "FS_NEEDS_CHECK",
        "warning: {mounting fs with errors|mounting unchecked fs|maximal mount count reached|\
         checktime reached}…",
    ),
    error("FS_MOUNT_FAILED", "VFS: Can't find {an |}ext{4|3|2} filesystem…"),
    error("FS_MOUNT_FAILED", "couldn't mount …"),
    error("FS_MOUNT_FAILED", "error loading journal"),
    error("FS_MOUNT_FAILED", "no journal found"),
    error("FS_MOUNT_FAILED", "unable to read superblock"),
    error("FS_MOUNT_FAILED", "bad geometry…"),
    error("FS_MOUNT_FAILED", "group descriptors corrupted!"),
    warn("FS_ERROR_COUNT", "error count since last fsck: <count:num>"),
    error("FS_ERROR", "error: <function:word>: <detail:text>"),
];

const XFS: &[Row] = &[
    info("FS_MOUNTED", "Ending clean mount"),
    info("FS_UNMOUNTED", "Unmounting Filesystem{ <uuid:uuid>|}"),
    warn("FS_RECOVERY_STARTED", "Starting recovery (logdev: <logdev:word>)"),
    info("FS_RECOVERY_DONE", "Ending recovery (logdev: <logdev:word>)"),
    error("FS_IO_ERROR", "metadata I/O error{:| in} …"),
    error("FS_IO_ERROR", "log I/O error <err:int>"),
    error("FS_IO_ERROR", "writeback error on sector <sector:num>"),
    error("FS_IO_ERROR", "Failing async write on buffer block <sector:hex>…"),
    error("FS_SHUTDOWN", "Filesystem has been shut down due to <reason:text>."),
    error("FS_SHUTDOWN", "User initiated shutdown received{.|}"),
    error("FS_SHUTDOWN", "xfs_do_force_shutdown(…"),
    error("FS_SHUTDOWN", "<reason:text>Shutting down filesystem{.|}"),
    error("FS_SHUTDOWN", "<reason:text>shutting down filesystem{.|}"),
    error("FS_SHUTDOWN", "{S|s}hutting down filesystem{.|}"),
    error("FS_CORRUPTION", "Metadata <what=CRC error|corruption> detected at …"),
    error("FS_CORRUPTION", "Internal error …"),
    error("FS_CORRUPTION", "Corruption detected…"),
];

const BTRFS: &[Row] = &[
    info("FS_MOUNTED", ": first mount of filesystem <uuid:uuid>"),
    info("FS_UNMOUNTED", ": last unmount of filesystem <uuid:uuid>"),
    error("FS_REMOUNT_READ_ONLY", ": forced readonly"),
    error("FS_ERROR", " in <function:word>:<line:num>: errno=<err:int> <detail:text>"),
    error("FS_ERROR", ": Transaction aborted (error <err:int>)"),
    error(
        "FS_IO_ERROR",
        ": lost {super block|page} write due to {IO|I/O} error on <bdev:word>{ (<err:int>)|}",
    ),
    error("FS_IO_ERROR", ": <count:num> errors while writing supers"),
    error("FS_CORRUPTION", ": parent transid verify failed on …"),
    error("FS_CORRUPTION", ": corrupt {leaf|node}…"),
    error("FS_CORRUPTION", ": {read|write} time tree block corruption detected…"),
    error("FS_CSUM_ERROR", ": csum failed …"),
    error("FS_CSUM_ERROR", ": {checksum|csum} error at logical …"),
    error("FS_CSUM_ERROR", ": checksum verify failed on …"),
    error("FS_CSUM_ERROR", ": unable to fixup …"),
    error(
        "FS_DEVICE_STATS",
        ": bdev <bdev:word> errs: wr <wr:num>, rd <rd:num>, flush <flush:num>, \
         corrupt <corrupt:num>, gen <gen:num>",
    ),
    error("FS_DEVICE_MISSING", ": devid <devid:num> uuid <dev_uuid:uuid> is missing…"),
    warn("FS_READ_ERROR_CORRECTED", ": read error corrected: …"),
    warn("FS_READ_ERROR_CORRECTED", ": fixed up error at logical …"),
    info("FS_SCRUB_STARTED", ": scrub: started on devid <devid:num>"),
    info(
        "FS_SCRUB_FINISHED",
        ": scrub: {finished|not finished} on devid <devid:num> with status: <status:int>",
    ),
    error("FS_MOUNT_FAILED", ": open_ctree failed…"),
];
