//! `eventfs pop`: print the oldest events and remove them.

use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use super::args::{PopArgs, Wait};
use super::exit::{Failed, Status};
use super::line::EventLine;
use crate::client::{Arrivals, Consumer, Woken};
use crate::wire::Event;

/// Pauses before asking again after a wake-up that brought nothing: publication follows the close
/// that inotify reports by microseconds.
const SECOND_LOOKS: [Duration; 5] = [
    Duration::from_micros(200),
    Duration::from_millis(1),
    Duration::from_millis(4),
    Duration::from_millis(15),
    Duration::from_millis(50),
];

pub(super) fn run(args: &PopArgs) -> Result<Status, Failed> {
    let arrivals = match args.wait {
        Some(_) => Some(watch(&args.queue)?),
        None => None,
    };
    let mut pop = Pop { args, out: Output::new(), left: wanted(args), confirmed: 0 };
    let mut printed = pop.drain()?;
    if let Some(arrivals) = &arrivals {
        let deadline = match args.wait {
            Some(Wait::For(wait)) => Some(Instant::now() + wait),
            _ => None,
        };
        // The queue is not kept open meanwhile: that would hide its removal from inotify.
        while printed == 0 {
            match arrivals.wait(deadline).map_err(|error| Failed::io("inotify", &error))? {
                Woken::TimedOut => break,
                Woken::Events(_) => printed = pop.drain_after_wake()?,
            }
        }
    }
    Ok(if printed > 0 { Status::Done } else { Status::Nothing })
}

fn wanted(args: &PopArgs) -> u64 {
    if args.all { u64::MAX } else { args.count }
}

fn watch(queue: &Path) -> Result<Arrivals, Failed> {
    let arrivals = Arrivals::new().map_err(|error| Failed::io("inotify", &error))?;
    arrivals.add(queue).map_err(|error| Failed::io(queue.display(), &error))?;
    Ok(arrivals)
}

fn refusal(queue: &Path, error: &io::Error) -> Failed {
    match error.raw_os_error() {
        Some(libc::ENOTTY | libc::EINVAL) => {
            Failed::new(format!("{}: not a queue of an eventfs mount", queue.display()))
        }
        _ => Failed::io(queue.display(), error),
    }
}

struct Pop<'a> {
    args: &'a PopArgs,
    out: Output,
    left: u64,
    /// Events of the last batch that the output has accepted.
    confirmed: usize,
}

impl Pop<'_> {
    /// Prints what is there, up to what is wanted. Returns how many.
    fn drain(&mut self) -> Result<u64, Failed> {
        let queue = &self.args.queue;
        let mut consumer = Consumer::open(queue).map_err(|error| refusal(queue, &error))?;
        let mut printed = 0;
        while self.left > 0 {
            let most = u32::try_from(self.left).unwrap_or(u32::MAX);
            let batch = self.take(&mut consumer, most)?;
            if batch.is_empty() {
                break;
            }
            let count = batch.len() as u64;
            self.print(&mut consumer, batch)?;
            self.left -= count;
            printed += count;
        }
        if self.confirmed > 0 {
            self.take(&mut consumer, 0)?;
        }
        Ok(printed)
    }

    fn drain_after_wake(&mut self) -> Result<u64, Failed> {
        for pause in SECOND_LOOKS {
            let printed = self.drain()?;
            if printed > 0 {
                return Ok(printed);
            }
            std::thread::sleep(pause);
        }
        self.drain()
    }

    fn take(&mut self, consumer: &mut Consumer, most: u32) -> Result<Vec<Event>, Failed> {
        let confirmed = std::mem::take(&mut self.confirmed);
        let taken = consumer.take(confirmed, most);
        taken.map_err(|error| refusal(&self.args.queue, &error))
    }

    /// Prints a batch; on failure confirms exactly what was accepted whole.
    fn print(&mut self, consumer: &mut Consumer, batch: Vec<Event>) -> Result<(), Failed> {
        let mut ends = Vec::with_capacity(batch.len());
        let mut result = Ok(());
        for (index, mut event) in batch.into_iter().enumerate() {
            result = if event.data.is_some() || self.args.json {
                load(consumer, index, &mut event).and_then(|()| self.add(event))
            } else {
                self.stream(consumer, index)
            };
            if result.is_err() {
                break;
            }
            ends.push(self.out.offered);
        }
        result = result.and_then(|()| self.out.flush());
        self.confirmed = ends.iter().filter(|end| **end <= self.out.accepted).count();
        if let Err(error) = result {
            self.take(consumer, 0)?;
            return Err(Failed::io("standard output", &error));
        }
        Ok(())
    }

    fn add(&mut self, event: Event) -> io::Result<()> {
        if self.args.json {
            let mut line = serde_json::to_vec(&EventLine::from(&event))?;
            line.push(b'\n');
            self.out.write(&line)
        } else {
            self.out.write(event.data.as_deref().unwrap_or_default())
        }
    }

    /// Prints a large event piece by piece.
    fn stream(&mut self, consumer: &mut Consumer, index: usize) -> io::Result<()> {
        let mut offset = 0;
        loop {
            let piece = consumer.read(index, offset)?;
            if piece.is_empty() {
                return Ok(());
            }
            offset += piece.len() as u64;
            self.out.write(&piece)?;
        }
    }
}

/// Fetches the content that did not fit the batch.
fn load(consumer: &mut Consumer, index: usize, event: &mut Event) -> io::Result<()> {
    if event.data.is_some() {
        return Ok(());
    }
    let mut data = Vec::new();
    loop {
        let piece = consumer.read(index, data.len() as u64)?;
        if piece.is_empty() {
            break;
        }
        data.extend_from_slice(&piece);
    }
    event.data = Some(data);
    Ok(())
}

/// Standard output that knows how much of it was accepted.
struct Output {
    pending: Vec<u8>,
    offered: u64,
    accepted: u64,
}

/// Bytes gathered before they are written.
const PENDING_BYTES_MAX: usize = 64 << 10;

impl Output {
    fn new() -> Self {
        Self { pending: Vec::with_capacity(PENDING_BYTES_MAX), offered: 0, accepted: 0 }
    }

    fn write(&mut self, data: &[u8]) -> io::Result<()> {
        self.offered += data.len() as u64;
        self.pending.extend_from_slice(data);
        if self.pending.len() >= PENDING_BYTES_MAX { self.flush() } else { Ok(()) }
    }

    /// Writes what is pending. What a failed write has accepted is counted.
    fn flush(&mut self) -> io::Result<()> {
        let mut done = 0;
        let mut out = io::stdout().lock();
        let result = loop {
            match self.pending.get(done..) {
                None | Some([]) => break Ok(()),
                Some(rest) => match nix::unistd::write(&out, rest) {
                    Ok(count) => done += count,
                    Err(nix::errno::Errno::EINTR) => {}
                    Err(error) => break Err(io::Error::from(error)),
                },
            }
        };
        self.accepted += done as u64;
        self.pending.drain(..done);
        result.and_then(|()| out.flush())
    }
}
