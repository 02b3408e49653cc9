//! Birth and death of a mount: from options to a serving daemon, readiness, signals, the end.

mod log;
mod mountpoint;
mod serve;
mod settings;
mod signals;
mod taps;

use std::cell::Cell;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

pub use settings::{Plan, plan};

/// Messages of this process go to standard error, as those of a mount in the foreground do.
pub fn log_to_stderr() {
    log::to_stderr(false);
}

use crate::config::TapTable;
use crate::sys::background::{self, Report, Side};
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
    /// Says whether the command line can do what a `[tap.NAME]` asks for.
    pub check_tap: TapCheck,
}

/// Whether a tap's table makes a good command line; else the key to blame, and why.
pub type TapCheck = fn(&TapTable) -> Result<(), (String, String)>;

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
        Side::Parent(waiting) => match waiting.wait() {
            Ok(()) => mountpoint::answers(&point),
            Err(why) if why.is_empty() => {
                Err(Failure::Failed(format!("{}: the daemon died", request.point.display())))
            }
            Err(why) => Err(Failure::Failed(why)),
        },
        Side::Child(report) => serve_in_background(request, &plan, &point, report),
    }
}

/// What the daemon does: up to its word to the parent a failure is the parent's to tell, then it is
/// for the system log.
fn serve_in_background(
    request: &Request,
    plan: &Plan,
    point: &Path,
    report: Report,
) -> Result<(), Failure> {
    log::to_syslog();
    let report = Cell::new(Some(report));
    let ready = || {
        let told = report.take().map(|mut report| report.ready());
        told.unwrap_or(Ok(())).map_err(|error| Failure::of("the parent process", &error))
    };
    let outcome = serve::run(request, plan, point, ready);
    if let Err(Failure::Usage(why) | Failure::Failed(why)) = &outcome {
        match report.take() {
            Some(report) => report.failed(why),
            None => ::log::error!("{why}"),
        }
    }
    outcome
}
