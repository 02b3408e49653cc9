//! `eventfs watch`: print events as they are published.

use std::io::{self, BufWriter, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use super::args::WatchArgs;
use super::exit::{Failed, Status};
use super::line::{EventLine, text_or_base64};
use crate::client::{Seen, Watch};

pub(super) fn run(args: &WatchArgs) -> Result<Status, Failed> {
    let watch = Watch::new(&args.queues);
    let mut watch = watch.map_err(|(path, error)| Failed::io(path.display(), &error))?;
    let stdout = io::stdout();
    let mut out = BufWriter::new(stdout.lock());
    let failed = |error| Failed::io("watch", &error);
    while let Some(batch) = watch.wait(stdout.as_fd()).map_err(failed)? {
        match tell_all(&mut out, batch, args.json) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(Status::Done),
            Err(error) => return Err(Failed::io("standard output", &error)),
            Ok(()) => {}
        }
    }
    Ok(Status::Done)
}

fn tell_all(out: &mut impl Write, batch: Vec<(PathBuf, Seen)>, json: bool) -> io::Result<()> {
    for (queue, seen) in batch {
        match seen {
            Seen::Ended => eprintln!("eventfs: {}: the queue has ended", queue.display()),
            seen if json => tell_json(out, &queue, seen)?,
            seen => tell(out, &queue, seen)?,
        }
    }
    out.flush()
}

/// For people, in the manner of `tail`: a heading with the name, then the content.
fn tell(out: &mut impl Write, queue: &Path, seen: Seen) -> io::Result<()> {
    let heading = |name: &[u8]| format!("==> {}/{} <==", queue.display(), name.escape_ascii());
    match seen {
        Seen::Event(event) => {
            let data = event.data.as_deref();
            let note = if data.is_none() { " permission denied" } else { "" };
            writeln!(out, "{}{note}", heading(&event.name))?;
            let data = data.unwrap_or_default();
            out.write_all(data)?;
            if data.last().is_some_and(|last| *last != b'\n') { writeln!(out) } else { Ok(()) }
        }
        Seen::Gone { name } => writeln!(out, "{} gone", heading(&name)),
        Seen::More { count } => writeln!(out, "==> {} <== {count} more gone", queue.display()),
        Seen::Ended => Ok(()),
    }
}

fn tell_json(out: &mut impl Write, queue: &Path, seen: Seen) -> io::Result<()> {
    let mut line = match seen {
        Seen::Event(event) => {
            let denied = event.data.is_none();
            let plain = event.seq == 0;
            let mut line = EventLine::from(&event);
            if plain {
                line.seq = None;
            }
            if denied {
                line.data = None;
            }
            line
        }
        Seen::Gone { name } => {
            let (name, name_base64) = text_or_base64(&name);
            EventLine { name, name_base64, gone: true, ..EventLine::default() }
        }
        Seen::More { count } => {
            EventLine { count: Some(count), gone: true, ..EventLine::default() }
        }
        Seen::Ended => return Ok(()),
    };
    line.queue = Some(queue.display().to_string());
    out.write_all(&line.to_json())
}
