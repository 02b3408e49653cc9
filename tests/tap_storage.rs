//! `eventfs tap storage` from outside: recorded logs and uevents, receivers, and the kernel itself.

mod common;
#[path = "tap_storage/configured.rs"]
mod configured;
#[path = "tap_storage/files.rs"]
mod files;
#[path = "tap_storage/flow.rs"]
mod flow;
#[path = "tap_storage/help.rs"]
mod help;
#[path = "tap_storage/kernel.rs"]
mod kernel;
#[path = "tap_storage/receivers.rs"]
mod receivers;
