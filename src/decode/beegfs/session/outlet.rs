//! What comes out of a session.

use std::fmt;
use std::time::Duration;

use serde_json::Value;

use super::super::place::{Place, push_source};
use super::super::{CloseReason, Fault};
use super::peers::Weight;
use crate::event::json::Object;
use crate::event::{Class, Event, Position, UnixNanos};

/// Where a session puts what comes out of it. All calls are made in the order of the stream.
pub trait Outlet {
    /// One whole packet for the server. What cannot be sent need not be told: the end of the connection
    /// follows.
    fn send(&mut self, packet: &[u8]);

    /// An event, also one of class `Unreadable`. Whoever takes it answers for it: the session will not
    /// ask for it again.
    fn event(&mut self, event: &mut Event);

    /// A gap or a reset, to be delivered before the event that follows.
    fn note(&mut self, note: &Note);

    /// An event was left out.
    fn dropped(&mut self, why: Dropped);

    /// What is to be saved with the positions of a stream and given back in [`super::Saved`].
    fn describe(&mut self, stream: u64, context: Value);

    /// For the log.
    fn say(&mut self, word: &Word);
}

/// Why an event was left out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Dropped {
    /// It was delivered before and came again.
    Duplicate,
    /// It was delivered before and was asked for again on purpose, to see whether the queue is still the
    /// one that we know.
    Overlap,
    /// The secondary of a mirror pair told it, and the operator does not want that.
    Secondary,
}

/// Something that the tap itself has to say, as an event of its own.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Note {
    /// Events are missing.
    Gap {
        /// The node.
        meta_id: u32,
        /// How many resets of this node there were: numbers count anew after each.
        resets: u32,
        /// Number of the first that is missing.
        first: Option<u64>,
        /// Number of the last that is missing.
        last: Option<u64>,
        /// How many.
        count: Option<u64>,
        /// Why, in words.
        reason: &'static str,
    },
    /// The queue of a server is not the one that it was: numbers count from 0 again.
    Reset {
        /// The node.
        meta_id: u32,
        /// Number of the last event of the old queue that was delivered; nothing where none was.
        old: Option<u64>,
        /// Oldest number that the new queue names.
        new: u64,
        /// How many resets of this node there were, this one included: the number in names.
        resets: u32,
        /// How it was noticed, in words.
        reason: &'static str,
    },
}

impl Note {
    /// These numbers, both included, are missing.
    pub(super) fn gap(
        (meta_id, resets): (u32, u32),
        first: u64,
        last: u64,
        reason: &'static str,
    ) -> Self {
        let count = (last - first).checked_add(1);
        Self::Gap { meta_id, resets, first: Some(first), last: Some(last), count, reason }
    }

    /// CloudEvents type.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Gap { .. } => "beegfs.gap",
            Self::Reset { .. } => "beegfs.reset",
        }
    }

    /// Fills in an event all but name, id and time, which belong to the moment of delivery. Its position
    /// is there if the session says the same again when it is asked to go on there.
    pub fn fill(&self, event: &mut Event) {
        event.clear();
        event.class = Class::Note;
        // Node 0 is a BeeGFS 7, which cannot be asked.
        if let Self::Gap { meta_id: meta_id @ 1.., resets, first: Some(first), .. } = *self {
            let stream = Place::stream(meta_id, resets);
            event.position = Some(Position { stream, at: first, next: first, mark: 0 });
        }
        event.kind.push_str(self.kind());
        let (Self::Gap { meta_id, .. } | Self::Reset { meta_id, .. }) = self;
        push_source(*meta_id, &mut event.source);
        let mut data = Object::begin(&mut event.data);
        let mut number = |name, value| match value {
            Some(value) => data.number(name, value),
            None => data.null(name),
        };
        match self {
            Self::Gap { first, last, count, .. } => {
                number("first", *first);
                number("last", *last);
                number("count", *count);
            }
            Self::Reset { old, new, .. } => {
                number("old", *old);
                number("new", Some(*new));
            }
        }
        let (Self::Gap { reason, .. } | Self::Reset { reason, .. }) = self;
        data.text("reason", reason);
        data.number("meta_id", (*meta_id).into());
        if let Self::Reset { resets, .. } = self {
            data.number("resets", (*resets).into());
        }
        data.end();
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = |number: Option<u64>| number.map_or("?".to_owned(), |number| number.to_string());
        match *self {
            Self::Gap { meta_id, first, last, count, reason, .. } => {
                let (first, last, count) = (told(first), told(last), told(count));
                write!(f, "node {meta_id}: {count} events missing ({first} to {last}): {reason}")
            }
            Self::Reset { meta_id, old, new, reason, .. } => {
                let old = told(old);
                write!(f, "node {meta_id}: a new queue, from event {new} (was at {old}): {reason}")
            }
        }
    }
}

/// Something for the log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Word {
    /// A packet of unknown type, or one that means nothing at its moment, is ignored; said once a
    /// connection.
    Ignored {
        /// The type.
        kind: u8,
    },
    /// A BeeGFS 7 server.
    Seven,
    /// A stream begins.
    Started {
        /// The node.
        meta_id: u32,
        /// Its protocol.
        minor: u16,
        /// First number asked for.
        start: u64,
        /// Oldest number that the server names.
        oldest: u64,
        /// Number that its next event will get.
        next: u64,
    },
    /// A packet cannot be read and is delivered as it came.
    Unreadable(Fault),
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ignored { kind } => {
                write!(f, "a packet of type {kind} means nothing here and is ignored")
            }
            Self::Seven => f.write_str("a BeeGFS 7 server"),
            Self::Started { meta_id, minor, start, oldest, next } => write!(
                f,
                "node {meta_id}, protocol 2.{minor}: from event {start} (has {oldest} to before {next})"
            ),
            Self::Unreadable(fault) => write!(f, "unreadable packet: {fault}"),
        }
    }
}

/// What a session says after each thing that it is told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum Step {
    /// The connection goes on.
    Go,
    /// The connection is over: close it and forget the session.
    Close(End),
}

/// Why a connection is over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct End {
    /// Why.
    pub cause: Cause,
    /// For how long the next connection of this peer will be left waiting before it is answered. Zero
    /// unless something is wrong: servers connect again within 50 ms.
    pub wait: Duration,
}

/// See [`End`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Cause {
    /// A packet that cannot be read; it was delivered as it came.
    Broken(Fault),
    /// The server closed in order.
    Closed(CloseReason),
    /// We said goodbye.
    Goodbye,
    /// The other end is gone.
    Gone,
    /// No answer in time.
    Late,
    /// The queue turned out to be another one; the next connection reads it from its beginning.
    NewQueue,
    /// A protocol that we do not speak.
    Refused {
        /// Its major number.
        major: u16,
    },
}

impl Cause {
    /// How bad it is, as far as the cause alone tells.
    pub(super) fn weight(self) -> Weight {
        match self {
            Self::Goodbye => Weight::None,
            Self::Closed(CloseReason::Acknowledged | CloseReason::StreamCrashed)
            | Self::Gone
            | Self::NewQueue => Weight::Soft,
            Self::Broken(_) | Self::Closed(_) | Self::Late | Self::Refused { .. } => Weight::Hard,
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.cause {
            Cause::Broken(fault) => write!(f, "closed after a broken packet: {fault}")?,
            Cause::Closed(CloseReason::StreamCrashed) => {
                f.write_str("the server's stream crashed")?
            }
            Cause::Closed(reason) => write!(f, "the server closed, reason {}", reason.byte())?,
            Cause::Goodbye => f.write_str("closed")?,
            Cause::Gone => f.write_str("the server is gone")?,
            Cause::Late => f.write_str("no answer in time")?,
            Cause::NewQueue => f.write_str("closed to read the new queue from its beginning")?,
            Cause::Refused { major } => write!(f, "refused: protocol {major} is not 2")?,
        }
        if !self.wait.is_zero() {
            write!(f, "; the next connection waits {} s", self.wait.as_secs())?;
        }
        Ok(())
    }
}

/// The time, as an argument.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Now {
    /// On a clock that only goes forward, from any beginning.
    pub steady: Duration,
    /// Of the day.
    pub unix: UnixNanos,
}
