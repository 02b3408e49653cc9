//! `eventfs export robinhood`: queued events as librobinhood YAML.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::{Args, Subcommand, ValueEnum};
use nix::sys::signal::Signal;

use super::exit::{Failed, Status};
use super::mounted;
use super::output::Output;
use super::waiting::Waiting;
use crate::client::Consumer;
use crate::decode::hestia::Recent;
use crate::export::{Exporter, Handles, LINE_BYTES_MAX, Settings};
use crate::sys::background::flag_at;
use crate::sys::handle::handle_of;

/// Entries of BeeGFS whose handles are remembered.
const HANDLES_MAX: usize = 1_000_000;

/// A signal ends a wait for events after this time at the latest.
const SIGNAL_LOOK: Duration = Duration::from_millis(500);

/// What a file gives is written in pieces of about this size.
const GATHERED_BYTES: usize = 64 << 10;

/// Most events taken from a queue at once.
const BATCH_EVENTS: u32 = 1_000;

/// `eventfs export FORM`.
#[derive(Args, Debug)]
pub(super) struct ExportArgs {
    #[command(subcommand)]
    form: Form,
}

#[derive(Debug, Subcommand)]
enum Form {
    /// YAML that rbh-fsevents takes from standard input
    Robinhood(RobinhoodArgs),
}

#[derive(Args, Debug)]
struct RobinhoodArgs {
    /// What ids are made of
    #[arg(long, value_enum, default_value_t = IdsArg::Opaque)]
    ids: IdsArg,
    /// Where the file system is mounted, for --ids handle
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Ask robinhood to look up what changed (rbh-fsevents --enrich); needs --ids handle
    #[arg(long)]
    enrich: bool,
    /// Keep the number of entries of directories
    #[arg(long)]
    nb_children: bool,
    /// Plain values among attributes, for robinhood before 1.5.0
    #[arg(long)]
    rbh_plain: bool,
    /// Take the events out of the queue, each when the output has accepted it, and wait for more
    #[arg(long)]
    follow: bool,
    /// Queue or any other directory, or a file of events; standard input if absent
    #[arg(value_name = "QUEUE|FILE")]
    source: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum IdsArg {
    /// The source's own names: for a database that only eventfs feeds
    Opaque,
    /// File handles, as rbh-sync makes them
    Handle,
}

/// Writes the events; the last line on standard error says how many there were.
pub(super) fn run(args: &ExportArgs) -> Result<Status, Failed> {
    let Form::Robinhood(args) = &args.form;
    let mut export = Export { exporter: exporter(args)?, out: Output::new(), text: String::new() };
    let outcome = match &args.source {
        Some(queue) if args.follow => export.follow(queue),
        None if args.follow => return Err(Failed::usage("--follow: a queue is needed")),
        Some(path) if path.is_dir() => export.directory(path),
        Some(path) => export.file(path),
        None => export.lines(&mut io::stdin().lock(), "standard input", 0),
    };
    // A struct of numbers always has a JSON form.
    let counts = serde_json::to_string(&export.exporter.counts()).unwrap_or_default();
    if let Err(failed) = outcome {
        // One that did not even begin says why, and no more.
        if export.exporter.counts().events == 0 {
            return Err(failed);
        }
        eprintln!("eventfs: {failed}");
        eprintln!("{counts}");
        return Ok(Status::Failure);
    }
    eprintln!("{counts}");
    Ok(Status::Done)
}

fn exporter(args: &RobinhoodArgs) -> Result<Exporter, Failed> {
    let settings =
        Settings { plain: args.rbh_plain, enrich: args.enrich, nb_children: args.nb_children };
    let handles: Option<Box<dyn Handles>> = match (args.ids, &args.root) {
        (IdsArg::Opaque, _) if args.enrich => {
            return Err(Failed::usage("--enrich needs --ids handle"));
        }
        (IdsArg::Opaque, _) => None,
        (IdsArg::Handle, None) => return Err(Failed::usage("--ids handle needs --root")),
        (IdsArg::Handle, Some(root)) => {
            handle_of(root).map_err(|error| Failed::io(root.display(), &error))?;
            Some(Box::new(MountedHandles { root: root.clone(), known: Recent::new(HANDLES_MAX) }))
        }
    };
    Ok(Exporter::new(settings, handles))
}

struct Export {
    exporter: Exporter,
    out: Output,
    text: String,
}

impl Export {
    /// One event, or several lines of them, in one write.
    fn offer(&mut self, content: &[u8]) {
        for line in content.split(|byte| *byte == b'\n') {
            self.exporter.line(line, &mut self.text);
        }
    }

    fn write(&mut self) -> io::Result<()> {
        let text = std::mem::take(&mut self.text);
        self.out.write(text.as_bytes()).and_then(|()| self.out.flush())
    }

    /// Every line; what they give is written as soon as it has more than `gather` bytes.
    fn lines(&mut self, input: &mut dyn BufRead, name: &str, gather: usize) -> Result<(), Failed> {
        let fail = |error: io::Error| Failed::io("standard output", &error);
        let mut line = Vec::new();
        while read_line(input, &mut line).map_err(|error| Failed::io(name, &error))? {
            self.offer(&line);
            if self.text.len() > gather {
                self.write().map_err(fail)?;
            }
        }
        self.write().map_err(fail)
    }

    fn file(&mut self, path: &Path) -> Result<(), Failed> {
        let fail = |error: io::Error| Failed::io(path.display(), &error);
        let file = File::open(path).map_err(fail)?;
        // Of a pipe each line goes on at once.
        let gather = if file.metadata().map_err(fail)?.is_file() { GATHERED_BYTES } else { 0 };
        self.lines(&mut BufReader::new(file), &path.display().to_string(), gather)
    }

    /// Every event that is there now, oldest first; nothing is removed.
    fn directory(&mut self, path: &Path) -> Result<(), Failed> {
        let fail = |error: io::Error| Failed::io(path.display(), &error);
        let entries = fs::read_dir(path).map_err(fail)?;
        let names = entries.map(|entry| entry.map(|entry| entry.file_name()));
        if mounted::is_eventfs(path).map_err(fail)? {
            for name in names {
                self.event(path, &name.map_err(fail)?)?;
            }
            return Ok(());
        }
        // Elsewhere there is no order but that of the names.
        let mut names = names.collect::<io::Result<Vec<_>>>().map_err(fail)?;
        names.sort();
        names.iter().try_for_each(|name| self.event(path, name))
    }

    fn event(&mut self, directory: &Path, name: &OsStr) -> Result<(), Failed> {
        let path = directory.join(name);
        let is_event = fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_file());
        if !is_event || name.as_bytes().starts_with(b".") {
            return Ok(());
        }
        match File::open(&path) {
            Ok(file) => {
                let name = path.display().to_string();
                self.lines(&mut BufReader::new(file), &name, GATHERED_BYTES)
            }
            // Consumed meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(Failed::io(path.display(), &error)),
        }
    }

    /// Takes what comes until the queue ends, or a signal says that this is enough.
    fn follow(&mut self, queue: &Path) -> Result<(), Failed> {
        let enough = flag_at(&[Signal::SIGTERM, Signal::SIGINT])
            .map_err(|error| Failed::io("signals", &error))?;
        let mut waiting = Waiting::on(queue)?;
        let mut look = Ok(true);
        while let Ok(there_may_be_some) = look {
            match there_may_be_some.then(|| self.drain(queue, enough)) {
                None | Some(Ok(())) => {}
                Some(Err(Trouble::Ended)) => break,
                Some(Err(Trouble::Failed(failed))) => return Err(failed),
            }
            if enough.load(Ordering::Relaxed) {
                return Ok(());
            }
            look = waiting.wait(Some(Instant::now() + SIGNAL_LOOK));
        }
        eprintln!("eventfs: {}: the queue has ended", queue.display());
        Ok(())
    }

    /// Takes what is there, until it is enough. A batch is confirmed when the output has all of it.
    fn drain(&mut self, queue: &Path, enough: &AtomicBool) -> Result<(), Trouble> {
        // Not kept open while we wait: that would hide the queue's removal from inotify.
        let mut consumer = Consumer::open(queue).map_err(|error| trouble(queue, &error))?;
        let mut confirmed = 0;
        loop {
            let batch = consumer.take(confirmed, BATCH_EVENTS);
            let batch = batch.map_err(|error| trouble(queue, &error))?;
            if batch.is_empty() {
                return Ok(());
            }
            confirmed = batch.len();
            for (index, mut event) in batch.into_iter().enumerate() {
                if enough.load(Ordering::Relaxed) {
                    let given = consumer.take(index, 0);
                    return given.map(drop).map_err(|error| trouble(queue, &error));
                }
                consumer.load(index, &mut event).map_err(|error| trouble(queue, &error))?;
                self.offer(event.data.as_deref().unwrap_or_default());
                if let Err(error) = self.write() {
                    // The queue may have gone; what was accepted is not to come again.
                    let _ = consumer.take(index, 0);
                    return Err(Trouble::Failed(Failed::io("standard output", &error)));
                }
            }
        }
    }
}

/// The next line; of one that is longer than the exporter reads, what shows that. False at the end.
fn read_line(input: &mut dyn BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    input.take(LINE_BYTES_MAX as u64 + 1).read_until(b'\n', line)?;
    if line.len() > LINE_BYTES_MAX && line.last() != Some(&b'\n') {
        input.skip_until(b'\n')?;
    }
    Ok(!line.is_empty())
}

enum Trouble {
    Ended,
    Failed(Failed),
}

fn trouble(queue: &Path, error: &io::Error) -> Trouble {
    match error.raw_os_error() {
        Some(libc::ENOENT) => Trouble::Ended,
        Some(libc::ENOTTY) => {
            let line = format!("{}: not a queue of an eventfs mount", queue.display());
            Trouble::Failed(Failed::new(line))
        }
        _ => Trouble::Failed(Failed::io(queue.display(), error)),
    }
}

/// Handles looked up below a mountpoint.
struct MountedHandles {
    root: PathBuf,
    known: Recent<Vec<u8>, Vec<u8>>,
}

/// The number that robinhood gives to file systems of the POSIX family.
const POSIX_BACKEND: i16 = 1;

impl Handles for MountedHandles {
    fn id(&mut self, entry: &[u8], path: Option<&[u8]>) -> Option<Vec<u8>> {
        if let Some(known) = self.known.get(entry) {
            return Some(known.clone());
        }
        let below = path?.strip_prefix(b"/")?;
        let (kind, bytes) = handle_of(&self.root.join(OsStr::from_bytes(below))).ok()?;
        let id = [&POSIX_BACKEND.to_le_bytes()[..], &kind.to_le_bytes(), &bytes].concat();
        self.known.put(entry.to_vec(), id.clone());
        Some(id)
    }

    fn forget(&mut self, entry: &[u8]) {
        self.known.remove(entry);
    }
}
