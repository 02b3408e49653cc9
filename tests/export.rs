//! `eventfs export robinhood`: what it writes, as other readers of YAML see it.

#[path = "export/beegfs.rs"]
mod beegfs;
#[path = "export/command.rs"]
mod command;
mod common;
#[path = "export/follow.rs"]
mod follow;
#[path = "export/objects.rs"]
mod objects;
#[path = "export/records.rs"]
mod records;
#[path = "export/round.rs"]
mod round;
#[path = "export/tree.rs"]
mod tree;
