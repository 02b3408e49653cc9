//! `eventfs tap hestia` from outside: real files, pipes, sockets and mounts.

mod common;
#[path = "tap_hestia/file.rs"]
mod file;
#[path = "tap_hestia/flow.rs"]
mod flow;
#[path = "tap_hestia/help.rs"]
mod help;
#[path = "tap_hestia/killed.rs"]
mod killed;
#[path = "tap_hestia/options.rs"]
mod options;
#[path = "tap_hestia/resume.rs"]
mod resume;
