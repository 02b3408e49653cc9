//! `eventfs watch`: print events as they are published.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use super::args::WatchArgs;
use super::exit::{Failed, Status};
use super::line::{EventLine, text_or_base64};
use crate::client::{Seen, Watch};

pub(super) fn run(args: &WatchArgs) -> Result<Status, Failed> {
    let watch = Watch::new(&args.queues);
    let mut watch = watch.map_err(|(path, error)| Failed::io(path.display(), &error))?;
    let mut out = BufWriter::new(io::stdout().lock());
    while let Some(batch) = watch.next().map_err(|error| Failed::io("watch", &error))? {
        let mut written = Ok(());
        for (queue, seen) in batch {
            if seen == Seen::Ended {
                eprintln!("eventfs: {}: the queue has ended", queue.display());
                continue;
            }
            let told = if args.json { tell_json(&mut out, &queue, seen) } else { tell(&mut out, &queue, seen) };
            written = written.and(told);
        }
        match written.and_then(|()| out.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(Status::Done),
            Err(error) => return Err(Failed::io("standard output", &error)),
            Ok(()) => {}
        }
    }
    Ok(Status::Done)
}

/// For people, in the manner of `tail`: a heading with the name, then the content.
fn tell(out: &mut impl Write, queue: &Path, seen: Seen) -> io::Result<()> {
    let heading = |name: &[u8]| {
        format!("==> {}/{} <==", queue.display(), name.escape_ascii())
    };
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
    serde_json::to_writer(&mut *out, &line)?;
    out.write_all(b"\n")
}
