//! `eventfs tap beegfs` from outside: real sockets, a server that behaves as the real one, real mounts.

mod common;
#[path = "tap_beegfs/daemon.rs"]
mod daemon;
#[path = "tap_beegfs/deliver.rs"]
mod deliver;
#[path = "tap_beegfs/full.rs"]
mod full;
#[path = "tap_beegfs/help.rs"]
mod help;
#[path = "tap_beegfs/killed.rs"]
mod killed;
#[path = "common/metadata_server.rs"]
mod metadata_server;
#[path = "tap_beegfs/refused.rs"]
mod refused;
#[path = "tap_beegfs/servers.rs"]
mod servers;
