//! The contract's queues, attributes and limits, from outside, on real mounts.

#[path = "mount/access.rs"]
mod access;
#[path = "mount/bind.rs"]
mod bind;
#[path = "mount/claim.rs"]
mod claim;
mod common;
#[path = "mount/config.rs"]
mod config;
#[path = "mount/content.rs"]
mod content;
#[path = "mount/ending.rs"]
mod ending;
#[path = "mount/giveback.rs"]
mod giveback;
#[path = "mount/help.rs"]
mod help;
#[path = "mount/links.rs"]
mod links;
#[path = "mount/listing.rs"]
mod listing;
#[path = "mount/multicast.rs"]
mod multicast;
#[path = "mount/names.rs"]
mod names;
#[path = "mount/publish.rs"]
mod publish;
#[path = "mount/queue.rs"]
mod queue;
#[path = "mount/queue_limits.rs"]
mod queue_limits;
#[path = "mount/quota.rs"]
mod quota;
#[path = "mount/reload.rs"]
mod reload;
#[path = "mount/rename.rs"]
mod rename;
#[path = "mount/space.rs"]
mod space;
#[path = "mount/spoiled.rs"]
mod spoiled;
#[path = "mount/staged.rs"]
mod staged;
#[path = "mount/xattr_rules.rs"]
mod xattr_rules;
