//! `eventfs pop`: print the oldest events and remove them.

use std::io;
use std::path::Path;
use std::time::Instant;

use super::args::{PopArgs, Wait};
use super::exit::{Failed, Status};
use super::line::EventLine;
use super::output::Output;
use super::waiting::Waiting;
use crate::client::Consumer;
use crate::wire::Event;

pub(super) fn run(args: &PopArgs) -> Result<Status, Failed> {
    let deadline = match args.wait {
        Some(Wait::For(wait)) => Some(Instant::now() + wait),
        Some(Wait::Forever) | None => None,
    };
    // Before the first look, so that nothing is missed in between.
    let waiting = match args.wait {
        Some(_) => Some(Waiting::on(&args.queue)?),
        None => None,
    };
    let left = if args.all { u64::MAX } else { args.count };
    let mut pop = Pop { args, out: Output::new(), left, confirmed: 0 };
    // The queue is not kept open while we wait: that would hide its removal from inotify.
    let mut printed = pop.drain()?;
    if let Some(mut waiting) = waiting {
        while printed == 0 && waiting.wait(deadline)? {
            printed = pop.drain()?;
        }
    }
    Ok(if printed > 0 { Status::Done } else { Status::Nothing })
}

fn refusal(queue: &Path, error: &io::Error) -> Failed {
    match error.raw_os_error() {
        Some(libc::ENOTTY) => {
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

/// What went wrong while a batch was printed.
enum Trouble {
    Queue(io::Error),
    Output(io::Error),
}

impl Pop<'_> {
    /// Prints what is there, up to what is wanted. Returns how many.
    fn drain(&mut self) -> Result<u64, Failed> {
        let queue = &self.args.queue;
        let mut consumer = Consumer::open(queue).map_err(|error| refusal(queue, &error))?;
        let mut printed = 0;
        while self.left > 0 {
            let most = u32::try_from(self.left).unwrap_or(u32::MAX);
            let batch = match self.take(&mut consumer, most) {
                Ok(batch) => batch,
                // The queue ended when it had given us something.
                Err(error) if printed > 0 && error.raw_os_error() == Some(libc::ENOENT) => break,
                Err(error) => return Err(refusal(queue, &error)),
            };
            if batch.is_empty() {
                break;
            }
            let count = batch.len() as u64;
            if let Err(trouble) = self.print(&mut consumer, batch) {
                self.confirm(&mut consumer);
                return Err(match trouble {
                    Trouble::Queue(error) => refusal(queue, &error),
                    Trouble::Output(error) => Failed::io("standard output", &error),
                });
            }
            self.left -= count;
            printed += count;
        }
        self.confirm(&mut consumer);
        Ok(printed)
    }

    /// Confirms and takes no more. That may also be refused after it was done, and a queue that has
    /// ended needs none.
    fn confirm(&mut self, consumer: &mut Consumer) {
        if self.confirmed > 0 {
            let _ = self.take(consumer, 0);
        }
    }

    fn take(&mut self, consumer: &mut Consumer, most: u32) -> io::Result<Vec<Event>> {
        consumer.take(std::mem::take(&mut self.confirmed), most)
    }

    /// Prints a batch; `confirmed` is how many were accepted whole.
    fn print(&mut self, consumer: &mut Consumer, batch: Vec<Event>) -> Result<(), Trouble> {
        let mut ends = Vec::with_capacity(batch.len());
        let mut result = Ok(());
        for (index, event) in batch.into_iter().enumerate() {
            result = self.print_one(consumer, index, event);
            if result.is_err() {
                break;
            }
            ends.push(self.out.offered());
        }
        let result = result.and_then(|()| self.out.flush().map_err(Trouble::Output));
        let accepted = self.out.accepted();
        self.confirmed = ends.iter().filter(|end| **end <= accepted).count();
        result
    }

    fn print_one(
        &mut self,
        consumer: &mut Consumer,
        index: usize,
        mut event: Event,
    ) -> Result<(), Trouble> {
        if let (None, false) = (&event.data, self.args.json) {
            return self.stream(consumer, index);
        }
        consumer.load(index, &mut event).map_err(Trouble::Queue)?;
        let written = if self.args.json {
            self.out.write(&EventLine::from(&event).to_json())
        } else {
            self.out.write(event.data.as_deref().unwrap_or_default())
        };
        written.map_err(Trouble::Output)
    }

    /// Prints a large event piece by piece.
    fn stream(&mut self, consumer: &mut Consumer, index: usize) -> Result<(), Trouble> {
        let mut offset = 0;
        loop {
            let piece = consumer.read(index, offset).map_err(Trouble::Queue)?;
            if piece.is_empty() {
                return Ok(());
            }
            offset += piece.len() as u64;
            self.out.write(&piece).map_err(Trouble::Output)?;
        }
    }
}
