//! What a tap's source has to be able to do; `run.rs` drives it, one turn after the other.

use std::fmt;
use std::os::fd::BorrowedFd;
use std::time::Instant;

use nix::poll::PollFlags;
use serde_json::Value;

use super::sink::Sink;
use crate::event::Position;

/// Where events come from.
///
/// A source is driven by one thread and never blocks: it names the descriptors it waits for, and is given
/// a turn when one of them has something or its time has come.
pub trait Source {
    /// Whether the other side keeps what is not read. If so, a full queue stops the reading and
    /// [`Source::turn`] is not called meanwhile; if not, the sink's backlog takes what comes.
    fn keeps(&self) -> bool;

    /// What to wait for, and until when at most.
    fn wait(&self) -> Wait<'_>;

    /// Reads what is there, without blocking, and offers it to the sink. A bounded piece of work: of what
    /// is left, the next turn follows at once.
    ///
    /// # Errors
    /// What ends the tap with status 1.
    fn turn(&mut self, sink: &mut Sink) -> Result<Flow, Failure>;

    /// The stream and position that a file name of ours stands for; nothing for names of others and for
    /// sources without positions.
    fn locate(&self, name: &str) -> Option<(u64, u64)>;

    /// The queue is gone with what was in it: reads again from the positions in [`Sink::starts`]. False
    /// if the source cannot; then what waits in memory is written to the new queue.
    fn rewind(&mut self, sink: &mut Sink) -> bool;

    /// SIGHUP.
    fn reload(&mut self) {}

    /// SIGTERM: says goodbye where the protocol has one, and takes what the other side still sends, for
    /// at most a second or so.
    fn goodbye(&mut self, _sink: &mut Sink) {}
}

/// What a source waits for.
#[derive(Debug, Default)]
pub struct Wait<'a> {
    /// Descriptors and what should happen on them.
    pub on: Vec<(BorrowedFd<'a>, PollFlags)>,
    /// When to have a turn even so.
    pub until: Option<Instant>,
}

/// What a turn says about the next one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Flow {
    /// Nothing more just now: wait.
    Wait,
    /// There is more: at once again.
    More,
    /// The source has ended: write what is left and end with status 0.
    Ended,
}

/// Where a stream is to be read from.
#[derive(Clone, Debug, PartialEq)]
pub enum Start {
    /// Behind this event, the last one written: the queue still has what was not consumed.
    After(Position),
    /// From the event that stands here, the oldest that nobody had consumed when the queue went.
    At(u64),
}

/// A stream as it was saved.
#[derive(Clone, Debug, PartialEq)]
pub struct Resume {
    /// Its number in positions.
    pub stream: u64,
    /// What the source told with [`Sink::describe`].
    pub context: Value,
    /// Where to go on.
    pub start: Start,
    /// The last event written, also where reading goes on before it: the source had at least that.
    pub written: Option<Position>,
}

/// Why a tap ends with status 1: `what: why`, one line.
#[derive(Debug)]
pub struct Failure(pub String);

impl Failure {
    /// A system error about something.
    pub fn io(what: impl fmt::Display, error: &std::io::Error) -> Self {
        Self(format!("{what}: {}", crate::sys::plain(error)))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where to begin, as asked for with `--from`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum From {
    /// At the saved position, else at the oldest.
    #[default]
    Resume,
    /// At the oldest that the source still has.
    Oldest,
    /// At what comes from now on.
    Newest,
}
