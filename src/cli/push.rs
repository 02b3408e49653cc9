//! `eventfs push`: one event from standard input.

use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;

use super::args::PushArgs;
use super::exit::{Failed, Status};
use crate::client;

pub(super) fn run(args: &PushArgs) -> Result<Status, Failed> {
    let name = args.name.as_deref();
    if let Some(name) = name
        && (name.is_empty() || name.as_bytes().contains(&b'/') || name == "." || name == "..")
    {
        return Err(Failed::usage(format!("{}: not a file name", name.display())));
    }
    if !args.queue.is_dir() {
        std::fs::read_dir(&args.queue)
            .map_err(|error| Failed::io(args.queue.display(), &error))?;
    }
    let pushed = client::push(&args.queue, name, &mut io::stdin().lock());
    let name = pushed.map_err(|error| {
        let what = name.map_or(args.queue.clone(), |name| args.queue.join(name));
        Failed::io(what.display(), &error)
    })?;
    let mut line = name.as_bytes().to_vec();
    line.push(b'\n');
    // The event is there whether or not anybody wants to know its name.
    let _ = io::stdout().write_all(&line);
    Ok(Status::Done)
}
