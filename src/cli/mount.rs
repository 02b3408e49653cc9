//! `eventfs [SOURCE] MOUNTPOINT`: mounting.

use std::ffi::OsString;
use std::path::PathBuf;

use super::args::MountArgs;
use super::exit::{Failed, Status};
use crate::daemon::{self, Failure, Request};

/// Shown as the source where none is given.
const DEFAULT_SOURCE: &str = "eventfs";

pub(super) fn run(args: MountArgs) -> Result<Status, Failed> {
    let mut words = args.words;
    let point = words.pop().map(PathBuf::from).unwrap_or_default();
    let source = words.pop().unwrap_or_else(|| OsString::from(DEFAULT_SOURCE));
    // The daemon leaves this directory and reads the file again later.
    let config = match args.config {
        Some(path) => {
            Some(std::path::absolute(&path).map_err(|error| Failed::io(path.display(), &error))?)
        }
        None => None,
    };
    let request = Request {
        source,
        point,
        foreground: args.foreground || args.debug,
        debug: args.debug,
        options: args.options,
        config,
        check_tap: super::tap::check,
    };
    match daemon::run(&request) {
        Ok(()) => Ok(Status::Done),
        Err(Failure::Usage(line)) => Err(Failed::usage(line)),
        Err(Failure::Failed(line)) => Err(Failed::new(line)),
    }
}
