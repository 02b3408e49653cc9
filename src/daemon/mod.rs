//! Birth and death of a mount: from options to a serving daemon, readiness, signals, the end.

mod log;
mod mountpoint;
mod serve;
mod settings;
mod signals;

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::PathBuf;

pub use settings::{Plan, plan};

use crate::sys::background::{self, Side};
use crate::sys::plain;

/// What the command line asks for.
#[derive(Clone, Debug)]
pub struct Request {
    /// Shown as the source of the mount.
    pub source: OsString,
    /// Where.
    pub point: PathBuf,
    /// Stay in the foreground.
    pub foreground: bool,
    /// Log every request.
    pub debug: bool,
    /// `-o` lists in their order.
    pub options: Vec<String>,
    /// `-c`: this file must exist.
    pub config: Option<PathBuf>,
}

/// Why there is no mount.
#[derive(Debug)]
pub enum Failure {
    /// The command line is wrong.
    Usage(String),
    /// Something else is.
    Failed(String),
}

impl Failure {
    /// `what: why` of a system error, without its number.
    pub(crate) fn of(what: impl fmt::Display, error: &io::Error) -> Self {
        Self::Failed(format!("{what}: {}", plain(error)))
    }
}

/// Mounts and serves. In the foreground it returns when the mount is gone; else it returns when the
/// mount answers, while a child process goes on.
///
/// # Errors
/// What is wrong, in one line; then nothing is mounted.
pub fn run(request: &Request) -> Result<(), Failure> {
    let plan = plan(request)?;
    let point = mountpoint::prepare(&request.point)?;
    if request.foreground {
        log::to_stderr(request.debug);
        return serve::run(request, &plan, &point, serve::announce_to_manager);
    }
    match background::split().map_err(|error| Failure::of("fork", &error))? {
        Side::Parent(waiting) => {
            if !waiting.wait() {
                // The child has said why.
                std::process::exit(1);
            }
            mountpoint::answers(&point)
        }
        Side::Child(report) => {
            log::to_syslog();
            let ready = || report.ready().map_err(|error| Failure::of("/dev/null", &error));
            serve::run(request, &plan, &point, ready)
        }
    }
}
