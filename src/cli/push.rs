//! `eventfs push`: one event from standard input.

use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;

use super::args::PushArgs;
use super::exit::{Failed, Status};
use crate::client;

pub(super) fn run(args: &PushArgs) -> Result<Status, Failed> {
    let name = args.name.as_deref();
    if let Some(name) = name {
        check(name)?;
    }
    // Before the input is read, which may take long.
    if !args.queue.is_dir() {
        std::fs::read_dir(&args.queue).map_err(|error| Failed::io(args.queue.display(), &error))?;
    }
    let mut input = Input { inner: io::stdin().lock(), failed: false };
    let pushed = client::push(&args.queue, name, &mut input);
    let name = pushed.map_err(|error| match name {
        _ if input.failed => Failed::io("standard input", &error),
        Some(name) => Failed::io(args.queue.join(name).display(), &error),
        None => Failed::io(args.queue.display(), &error),
    })?;
    let mut line = name.as_bytes().to_vec();
    line.push(b'\n');
    // The event is there whether or not anybody wants to know its name.
    let _ = io::stdout().write_all(&line);
    Ok(Status::Done)
}

fn check(name: &OsStr) -> Result<(), Failed> {
    let why = match name.as_bytes() {
        b"" => "an event needs a name",
        [b'.', ..] => "a name with a leading dot is no event",
        bytes if bytes.contains(&b'/') => "not a file name",
        _ => return Ok(()),
    };
    Err(Failed::usage(format!("{}: {why}", name.display())))
}

/// Standard input that remembers whether an error was its own.
struct Input<R> {
    inner: R,
    failed: bool,
}

impl<R: Read> Read for Input<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let result = self.inner.read(buffer);
        let interrupted = |error: &io::Error| error.kind() == io::ErrorKind::Interrupted;
        self.failed = result.as_ref().is_err_and(|error| !interrupted(error));
        result
    }
}
