//! NVMe, local and over fabrics: system `block`, with native multipath under `multipath`. From
//! drivers/nvme/host (pci.c, core.c, fabrics.c, tcp.c, rdma.c, multipath.c) of Linux 4.x to 7.3.

use super::{Group, Row, error, info, warn};
use crate::decode::storage::found::System::{Block, Multipath};

pub(crate) const GROUPS: &[Group] = &[
    // `I/O 12`, with the operation since 6.0, as `tag 12 (01a3) opcode 0x2` since 6.6.
    Group {
        system: Block,
        subsystem: "nvme",
        head: "nvme <dev:nvme*>: I/O {tag <tag:num> (<cid:hex>) |<tag:num> |}{type <type:num> |}\
               {opcode <opcode:hex> |}{(<opname:text>) |}QID <qid:num> timeout, ",
        rows: &[
            warn("NVME_IO_TIMEOUT", "aborting…"),
            error("NVME_TIMEOUT_RESET", "reset controller…"),
            error("NVME_TIMEOUT_DISABLE", "disable controller…"),
            warn("NVME_COMPLETION_POLLED", "completion polled…"),
        ],
    },
    Group { system: Block, subsystem: "nvme", head: "nvme <dev:nvme*>: ", rows: CONTROLLER },
    // The status of a failed command, since 5.18.
    Group {
        system: Block,
        subsystem: "nvme",
        head: "<dev:nvme*>: ",
        rows: &[
            error(
                "NVME_IO_ERROR",
                "<op:text>(<opcode:hex>) @ LBA <lba:num>, <blocks:num> blocks, \
                 <status:text> (sct <sct:hex> / sc <sc:hex>){ <flags:text>|}",
            ),
            warn(
                "NVME_ADMIN_ERROR",
                "<op:text>(<opcode:hex>), <status:text> (sct <sct:hex> / sc <sc:hex>){ <flags:text>|}",
            ),
        ],
    },
    Group {
        system: Multipath,
        subsystem: "nvme",
        head: "block <dev:nvme*>: ",
        rows: &[
            error("NVME_MPATH_NO_PATH", "no usable path - <action=requeuing> I/O"),
            error("NVME_MPATH_NO_PATH", "no available path - <action=failing> I/O"),
        ],
    },
];

const CONTROLLER: &[Row] = &[
    info("NVME_ABORT_STATUS", "Abort status: <status:hex>…"),
    error("NVME_CONTROLLER_DOWN", "controller is down; will reset: CSTS=<csts:hex>…"),
    warn("NVME_CONTROLLER_RESET", "resetting controller{ due to AER|}"),
    warn("NVME_CONTROLLER_RESET", "frozen state error detected, reset controller"),
    warn("NVME_CONTROLLER_RESET", "Fw activation timeout, reset controller"),
    warn("NVME_CONTROLLER_RESET", "ANATT timeout, resetting controller."),
    warn("NVME_CONTROLLER_RESET", "starting error recovery"),
    error("NVME_CONTROLLER_REMOVED", "Removing after probe failure status: <status:int>"),
    error("NVME_CONTROLLER_REMOVED", "Disabling device after reset failure: <status:int>"),
    error("NVME_CONTROLLER_REMOVED", "failure state error detected, request disconnect"),
    error(
        "NVME_NOT_READY",
        "Device not ready; aborting <what=initialisation|reset>{, CSTS=<csts:hex>|}",
    ),
    error("NVME_KEEP_ALIVE_FAILED", "failed nvme_keep_alive_end_io error=<status:int>"),
    error("NVME_KEEP_ALIVE_FAILED", "keep-alive failed: <status:int>"),
    warn("NVME_RECONNECTING", "Reconnecting in <delay:num> seconds..."),
    info(
        "NVME_RECONNECTED",
        "Successfully reconnected ({attempt <attempt:num>/<_:int>|<attempt:num> attempt{s|}})",
    ),
];
