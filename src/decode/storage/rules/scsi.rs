//! `scsi`: disks, ATA links and USB storage. From drivers/scsi (sd.c, scsi_error.c, scsi_lib.c,
//! scsi_logging.c, constants.c), drivers/ata/libata-*.c and drivers/usb/storage of Linux 4.0 to 7.3.

use super::{Group, Row, error, info, warn};
use crate::decode::storage::found::System::Scsi;

pub(crate) const GROUPS: &[Group] = &[
    // sd_printk, scmd_printk and sdev_printk: driver, host:channel:target:lun, then the disk and the tag
    // where there are any. Up to 3.17 two blanks stood behind the disk.
    Group {
        system: Scsi,
        subsystem: "scsi",
        head: "{sd|scsi|sr|st|ses|ch|osst} <scsi_id:hctl>: {[<dev>] { |}|}{tag#<tag:num> |}",
        rows: DISK,
    },
    Group {
        system: Scsi,
        subsystem: "usb",
        head: "scsi <dev:host*>: ",
        rows: &[warn("USB_UAS_RESET", "uas_eh_device_reset_handler <phase=start|success|FAILED>…")],
    },
    Group { system: Scsi, subsystem: "ata", head: "<dev:ata>: ", rows: ATA },
    Group {
        system: Scsi,
        subsystem: "usb",
        head: "usb-storage <dev:word>: ",
        rows: &[info("USB_STORAGE_DETECTED", "USB Mass Storage device detected")],
    },
    // Only for what was known as storage before: see `parse.rs`.
    Group {
        system: Scsi,
        subsystem: "usb",
        head: "usb <dev:word>: ",
        rows: &[warn(
            "USB_STORAGE_DISCONNECT",
            "USB disconnect, device number <device_number:num>",
        )],
    },
];

const DISK: &[Row] = &[
    error(
        "SCSI_MEDIUM_ERROR",
        "Sense Key : <sense_key=Medium Error> [<is_deferred=current|deferred>]…",
    ),
    error(
        "SCSI_HARDWARE_ERROR",
        "Sense Key : <sense_key=Hardware Error> [<is_deferred=current|deferred>]…",
    ),
    info(
        "SCSI_SENSE_KEY",
        "Sense Key : <sense_key=No Sense|Recovered Error|Illegal Request|Unit Attention|Completed> \
         [<is_deferred=current|deferred>]…",
    ),
    warn("SCSI_SENSE_KEY", "Sense Key : <sense_key:text> [<is_deferred=current|deferred>]…"),
    info("SCSI_ADDITIONAL_SENSE_CODE", "Add. Sense: <asc:text>"),
    // A kernel without the names of constants (CONFIG_SCSI_CONSTANTS) prints FAILED as its number.
    warn(
        "SCSI_COMMAND_FAILED",
        "{FAILED|UNKNOWN(0x2003)} Result: hostbyte=<hostbyte:word> driverbyte=<driverbyte>\
         { cmd_age=<cmd_age:num>s|}",
    ),
    warn(
        "SCSI_SYNC_CACHE_FAILED",
        "Synchronize Cache({10|16}) failed: Result: hostbyte=<hostbyte:word> driverbyte=<driverbyte>…",
    ),
    // The spelling of the type is the historical one.
    error(
        "SCSI_MEDIUM_ACCESS_TIMEOUT_OFFLINEING_DISK",
        "Medium access timeout failure. Offlining disk!",
    ),
    warn(
        "SCSI_UNALIGNED_PARTIAL_COMPLETION",
        "Unaligned partial completion (resid=<resid:num>, sector_sz=<sector_sz:num>)",
    ),
    info("SCSI_SPINNING_UP_DISK", "Spinning up disk…"),
    info("SCSI_DISK_ATTACHED", "Attached SCSI {removable <removable:=true>|}disk"),
    error("SCSI_DEVICE_OFFLINED", "Device offlined - not ready after error recovery"),
    error("SCSI_REJECTING_IO", "rejecting I/O to <state=offline|dead> device"),
    warn("SCSI_RESERVATION_CONFLICT", "reservation conflict"),
    warn("SCSI_DEVICE_RESET", "Power-on or device reset occurred"),
    info("SCSI_CAPACITY_CHANGED", "Capacity data has changed"),
    warn(
        "SCSI_THIN_SOFT_THRESHOLD",
        "Warning! Received an indication that the LUN reached a thin provisioning soft threshold.",
    ),
    warn(
        "SCSI_LUN_MAP_CHANGED",
        "{Warning! Received an indication that the |}LUN assignments on this target have changed…",
    ),
    warn(
        "SCSI_OPERATING_PARAMETERS_CHANGED",
        "{Warning! Received an indication that the |}operating parameters on this target have changed…",
    ),
    warn("SCSI_INQUIRY_CHANGED", "Inquiry data has changed"),
    info("SCSI_MODE_PARAMETERS_CHANGED", "{Mode parameters|Parameters} changed"),
    warn("SCSI_ALUA_STATE_CHANGED", "Asymmetric access state changed"),
    error("SCSI_COMMAND_TIMEOUT", "timing out command, waited <waited:num>s"),
    warn(
        "USB_UAS_ABORT",
        "uas_eh_abort_handler <subsystem:=usb><result:int> uas-tag <uas_tag:num> inflight:…",
    ),
];

const ATA: &[Row] = &[
    error(
        "ATA_EXCEPTION",
        "exception Emask <emask:hex> SAct <sact:hex> SErr <serr:hex> action <action:hex>\
         { frozen<frozen:=true>|}…",
    ),
    error("ATA_COMMAND_FAILED", "failed command: <command:text>"),
    error("ATA_DEVICE_ERROR", "error: \\{ <flags:text> \\}"),
    warn("ATA_LINK_RESET", "<kind=hard|soft> resetting link…"),
    error("ATA_DEVICE_DISABLED", "{disable device|disabled}"),
    info("ATA_LINK_DOWN", "SATA link down (SStatus <sstatus:word> SControl <scontrol:word>)"),
];
