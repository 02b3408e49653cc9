//! The event types of Gluster 3.10 to 11.1, as they are: names by number, attributes, categories.
//!
//! The numbers are the order of the table; new types are appended at the end. What the names of the
//! attributes are is part of how a message is read, because values are not escaped.

use Category::{Cluster, Local, User};

/// Who notices an event, and so how often it is told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Category {
    /// A command: told once, by the node on which it was given.
    User,
    /// Of one node's own resources, told by that node.
    Local,
    /// Of the cluster: told by every node and process that notices.
    Cluster,
}

impl Category {
    /// All of them.
    pub const ALL: [Self; 3] = [User, Local, Cluster];

    /// `user`, `local` or `cluster`.
    pub fn name(self) -> &'static str {
        match self {
            User => "user",
            Local => "local",
            Cluster => "cluster",
        }
    }
}

/// One type of event.
#[derive(Debug)]
pub struct EventType {
    /// Without the `EVENT_` of Gluster's source: `VOLUME_SET`.
    pub name: &'static str,
    /// Who notices it.
    pub category: Category,
    /// Attributes since release 10, blank-separated, as spelled on the wire; `#` stands for digits.
    pub attributes: &'static str,
    /// What some of them were called before release 10.
    pub old_attributes: &'static str,
}

impl EventType {
    /// Whether this type is known to have an attribute of this name.
    pub fn has(&self, attribute: &str) -> bool {
        let mut words = self.attributes.split(' ').chain(self.old_attributes.split(' '));
        words.any(|word| match word.strip_suffix('#') {
            _ if attribute.is_empty() => false,
            None => word == attribute,
            Some(stem) => attribute.strip_prefix(stem).is_some_and(is_index),
        })
    }
}

/// The index of `child-0` and its like; a replica has few.
fn is_index(text: &str) -> bool {
    (1..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Which release's numbers a sender uses; the wire does not say.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Numbers {
    /// 3.10 and everything since.
    #[default]
    Current,
    /// 3.9.0, which has BRICKS_START_FAILED as 78: everything from there on is one higher.
    V3_9_0,
}

/// Where 3.9.0 has a type that no other release has.
const SHIFTED_FROM: u64 = 78;

/// That type.
static BRICKS_START_FAILED: EventType = row("BRICKS_START_FAILED", Local, "volume");

/// The type of a number; nothing for numbers that are not assigned.
pub fn by_number(number: u64, numbers: Numbers) -> Option<&'static EventType> {
    let number = match numbers {
        Numbers::V3_9_0 if number == SHIFTED_FROM => return Some(&BRICKS_START_FAILED),
        Numbers::V3_9_0 if number > SHIFTED_FROM => number - 1,
        _ => number,
    };
    TYPES.get(usize::try_from(number).ok()?)
}

/// The type of a name such as `VOLUME_SET`, in any case.
pub fn by_name(name: &str) -> Option<&'static EventType> {
    TYPES
        .iter()
        .chain([&BRICKS_START_FAILED])
        .find(|event_type| event_type.name.eq_ignore_ascii_case(name))
}

const fn row(name: &'static str, category: Category, attributes: &'static str) -> EventType {
    renamed(name, category, attributes, "")
}

const fn renamed(
    name: &'static str,
    category: Category,
    attributes: &'static str,
    old_attributes: &'static str,
) -> EventType {
    EventType { name, category, attributes, old_attributes }
}

/// All types; a type's number is its place.
pub static TYPES: [EventType; 142] = [
    row("PEER_ATTACH", User, "host"),
    row("PEER_DETACH", User, "host"),
    row("VOLUME_CREATE", User, "name bricks"),
    row("VOLUME_START", User, "name force"),
    row("VOLUME_STOP", User, "name force"),
    row("VOLUME_DELETE", User, "name"),
    row("VOLUME_SET", User, "name options"),
    row("VOLUME_RESET", User, "name option"),
    row("BRICK_RESET_START", User, "Volume source-brick"),
    row("BRICK_RESET_COMMIT", User, "Volume source-brick destination-brick"),
    row("BRICK_REPLACE", User, "Volume source-brick destination-brick"),
    renamed(
        "GEOREP_CREATE",
        User,
        "force push_pem no_verify ssh_port primary secondary",
        "master slave",
    ),
    renamed("GEOREP_START", User, "force primary secondary", "master slave"),
    renamed("GEOREP_STOP", User, "force primary secondary", "master slave"),
    renamed("GEOREP_PAUSE", User, "force primary secondary", "master slave"),
    renamed("GEOREP_RESUME", User, "force primary secondary", "master slave"),
    renamed("GEOREP_DELETE", User, "reset_sync_time primary secondary", "master slave"),
    renamed("GEOREP_CONFIG_SET", User, "option value primary secondary", "master slave"),
    renamed("GEOREP_CONFIG_RESET", User, "option primary secondary", "master slave"),
    row("BITROT_ENABLE", User, ""),
    row("BITROT_DISABLE", User, ""),
    row("BITROT_SCRUB_THROTTLE", User, "name value"),
    row("BITROT_SCRUB_FREQ", User, "name value"),
    row("BITROT_SCRUB_OPTION", User, "name value"),
    row("BITROT_SCRUB_ONDEMAND", User, ""),
    row("QUOTA_ENABLE", User, "volume"),
    row("QUOTA_DISABLE", User, "volume"),
    row("QUOTA_SET_USAGE_LIMIT", User, "volume path limit"),
    row("QUOTA_SET_OBJECTS_LIMIT", User, "volume path limit"),
    row("QUOTA_REMOVE_USAGE_LIMIT", User, "volume path"),
    row("QUOTA_REMOVE_OBJECTS_LIMIT", User, "volume path"),
    row("QUOTA_ALERT_TIME", User, "volume time"),
    row("QUOTA_SOFT_TIMEOUT", User, "volume soft-timeout"),
    row("QUOTA_HARD_TIMEOUT", User, "volume hard-timeout"),
    row("QUOTA_DEFAULT_SOFT_LIMIT", User, "volume default-soft-limit"),
    row("SNAPSHOT_CREATED", User, "snapshot_name volume_name snapshot_uuid"),
    row("SNAPSHOT_CREATE_FAILED", User, "snapshot_name volume_name error"),
    row("SNAPSHOT_ACTIVATED", User, "snapshot_name snapshot_uuid"),
    row("SNAPSHOT_ACTIVATE_FAILED", User, "snapshot_name error"),
    row("SNAPSHOT_DEACTIVATED", User, "snapshot_name snapshot_uuid"),
    row("SNAPSHOT_DEACTIVATE_FAILED", User, "snapshot_name error"),
    row("SNAPSHOT_SOFT_LIMIT_REACHED", Cluster, "volume_name volume_id"),
    row("SNAPSHOT_HARD_LIMIT_REACHED", Cluster, "volume_name volume_id"),
    row("SNAPSHOT_RESTORED", User, "snapshot_name snapshot_uuid volume_name"),
    row("SNAPSHOT_RESTORE_FAILED", User, "snapshot_name error"),
    row("SNAPSHOT_DELETED", User, "snapshot_name snapshot_uuid"),
    row("SNAPSHOT_DELETE_FAILED", User, "snapshot_name error snapshot_uuid"),
    row("SNAPSHOT_CLONED", User, "snapshot_name clone_name clone_uuid"),
    row("SNAPSHOT_CLONE_FAILED", User, "snapshot_name clone_name error"),
    row(
        "SNAPSHOT_CONFIG_UPDATED",
        User,
        "config_type hard_limit soft_limit auto-delete snap-activate",
    ),
    row("SNAPSHOT_CONFIG_UPDATE_FAILED", User, "error"),
    row("SNAPSHOT_SCHEDULER_INITIALISED", User, "status"),
    row("SNAPSHOT_SCHEDULER_INIT_FAILED", User, "error"),
    row("SNAPSHOT_SCHEDULER_ENABLED", User, "status"),
    row("SNAPSHOT_SCHEDULER_ENABLE_FAILED", User, "error"),
    row("SNAPSHOT_SCHEDULER_DISABLED", User, "status"),
    row("SNAPSHOT_SCHEDULER_DISABLE_FAILED", User, "error"),
    row("SNAPSHOT_SCHEDULER_SCHEDULE_ADDED", User, "status"),
    row("SNAPSHOT_SCHEDULER_SCHEDULE_ADD_FAILED", User, "status error"),
    row("SNAPSHOT_SCHEDULER_SCHEDULE_EDITED", User, "status"),
    row("SNAPSHOT_SCHEDULER_SCHEDULE_EDIT_FAILED", User, "status error"),
    row("SNAPSHOT_SCHEDULER_SCHEDULE_DELETED", User, "status"),
    row("SNAPSHOT_SCHEDULER_SCHEDULE_DELETE_FAILED", User, "status error"),
    row("SVC_MANAGER_FAILED", Local, "volume svc_name"),
    row("SVC_RECONFIGURE_FAILED", Local, "svc_name"),
    row("SVC_CONNECTED", Local, "volume svc_name"),
    row("SVC_DISCONNECTED", Local, "volume svc_name"),
    row("PEER_STORE_FAILURE", Local, "peer"),
    row("PEER_RPC_CREATE_FAILED", Local, "peer"),
    row("PEER_REJECT", Local, "peer"),
    row("PEER_CONNECT", Cluster, "host uuid"),
    row("PEER_DISCONNECT", Cluster, "peer uuid state"),
    row("PEER_NOT_FOUND", Local, "peer uuid"),
    row("UNKNOWN_PEER", Local, "peer"),
    row("BRICK_START_FAILED", Local, "peer volume brick"),
    row("BRICK_STOP_FAILED", Local, "peer volume brick"),
    row("BRICK_DISCONNECTED", Local, "peer volume brick"),
    row("BRICK_CONNECTED", Local, "peer volume brick"),
    row("BRICKPATH_RESOLVE_FAILED", Local, "peer volume brick"),
    row("NOTIFY_UNKNOWN_OP", Local, "op"),
    row("QUORUM_LOST", Cluster, "volume"),
    row("QUORUM_REGAINED", Cluster, "volume"),
    row("REBALANCE_START_FAILED", Local, "volume"),
    row("REBALANCE_STATUS_UPDATE_FAILED", Local, "volume"),
    row("IMPORT_QUOTA_CONF_FAILED", Local, "volume"),
    row("IMPORT_VOLUME_FAILED", Local, "volume"),
    row("IMPORT_BRICK_FAILED", Local, "peer brick ta-brick"),
    row("COMPARE_FRIEND_VOLUME_FAILED", Local, "volume"),
    row("NFS_GANESHA_EXPORT_FAILED", Local, ""),
    row("EC_MIN_BRICKS_NOT_UP", Cluster, "subvol"),
    row("EC_MIN_BRICKS_UP", Cluster, "subvol"),
    renamed(
        "GEOREP_FAULTY",
        Local,
        "primary_volume primary_node primary_node_id secondary_host secondary_volume \
         current_secondary_host brick_path",
        "master_volume master_node master_node_id slave_host slave_volume \
         current_slave_host",
    ),
    renamed(
        "GEOREP_CHECKPOINT_COMPLETED",
        Local,
        "primary_volume primary_node primary_node_id secondary_host secondary_volume \
         brick_path checkpoint_time checkpoint_completion_time",
        "master_volume master_node master_node_id slave_host slave_volume",
    ),
    renamed(
        "GEOREP_ACTIVE",
        Local,
        "primary_volume primary_node primary_node_id secondary_host secondary_volume \
         brick_path",
        "master_volume master_node master_node_id slave_host slave_volume",
    ),
    renamed(
        "GEOREP_PASSIVE",
        Local,
        "primary_volume primary_node primary_node_id secondary_host secondary_volume \
         brick_path",
        "master_volume master_node master_node_id slave_host slave_volume",
    ),
    row("QUOTA_CROSSED_SOFT_LIMIT", Local, "Usage volume path"),
    row("BITROT_BAD_FILE", Local, "gfid path brick"),
    row(
        "CLIENT_CONNECT",
        Local,
        "client_uid client_identifier server_identifier brick_path subdir_mount",
    ),
    row("CLIENT_AUTH_REJECT", Local, "client_uid client_identifier server_identifier brick_path"),
    row("CLIENT_DISCONNECT", Local, "client_uid client_identifier server_identifier brick_path"),
    row("POSIX_SAME_GFID", Local, "gfid path newpath brick"),
    row("POSIX_ALREADY_PART_OF_VOLUME", Local, "volume-id brick"),
    row("POSIX_BRICK_NOT_IN_VOLUME", Local, "brick"),
    row("POSIX_BRICK_VERIFICATION_FAILED", Local, "brick"),
    row("POSIX_ACL_NOT_SUPPORTED", Local, "brick"),
    row("POSIX_HEALTH_CHECK_FAILED", Local, "op path error brick"),
    row("AFR_QUORUM_MET", Cluster, "client-pid subvol"),
    row("AFR_QUORUM_FAIL", Cluster, "client-pid subvol"),
    row("AFR_SUBVOL_UP", Cluster, "client-pid subvol"),
    row("AFR_SUBVOLS_DOWN", Cluster, "client-pid subvol"),
    row(
        "AFR_SPLIT_BRAIN",
        Cluster,
        "client-pid subvol type file gfid count child-# type-# gfid-# ia_type-#",
    ),
    row("TIER_ATTACH", User, "vol"),
    row("TIER_ATTACH_FORCE", User, "vol"),
    row("TIER_DETACH_START", User, "vol"),
    row("TIER_DETACH_STOP", User, "vol"),
    row("TIER_DETACH_COMMIT", User, "vol"),
    row("TIER_DETACH_FORCE", User, "vol"),
    row("TIER_PAUSE", User, "vol"),
    row("TIER_RESUME", User, "vol"),
    row("TIER_WATERMARK_HI", Cluster, "vol"),
    row("TIER_WATERMARK_DROPPED_TO_MID", Cluster, "vol"),
    row("TIER_WATERMARK_RAISED_TO_MID", Cluster, "vol"),
    row("TIER_WATERMARK_DROPPED_TO_LOW", Cluster, "vol"),
    row("VOLUME_ADD_BRICK", User, "volume bricks"),
    row("VOLUME_ADD_BRICK_FAILED", User, "volume"),
    row("VOLUME_REMOVE_BRICK_START", User, "volume bricks"),
    row("VOLUME_REMOVE_BRICK_START_FAILED", User, "volume"),
    row("VOLUME_REMOVE_BRICK_COMMIT", User, "volume bricks"),
    row("VOLUME_REMOVE_BRICK_COMMIT_FAILED", User, "volume"),
    row("VOLUME_REMOVE_BRICK_STOP", User, "volume bricks"),
    row("VOLUME_REMOVE_BRICK_STOP_FAILED", User, "volume"),
    row("VOLUME_REMOVE_BRICK_FORCE", User, "volume bricks"),
    row("VOLUME_REMOVE_BRICK_FORCE_FAILED", User, "volume"),
    row("VOLUME_REMOVE_BRICK_FAILED", User, "volume"),
    row("VOLUME_REBALANCE_START", User, "volume"),
    row("VOLUME_REBALANCE_STOP", User, "volume"),
    row("VOLUME_REBALANCE_FAILED", Cluster, "volume"),
    row("VOLUME_REBALANCE_COMPLETE", Cluster, "volume"),
    row("TIER_START", User, "vol"),
    row("TIER_START_FORCE", User, "vol"),
    row("DHT_DISK_USAGE", Cluster, "volume subvol usage"),
    row("DHT_INODES_USAGE", Cluster, "volume subvol usage"),
];
