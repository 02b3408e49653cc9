//! Documents become events.

use super::json::{self, Where};
use super::meaning::{Meaning, Memory, Op};
use super::names::{Origin, write_id, write_name};
use super::record::{Content, Kind, Parsed, Value};
use super::split::{Document, RAW_BYTES_MAX, State};
use super::walk::Limits;
use crate::event::json::Object;
use crate::event::{Class, Event, Position, UnixNanos};

/// Which stream documents come from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Stand {
    /// What its offsets count from.
    pub origin: Origin,
    /// Its number in positions.
    pub stream: u64,
}

/// A document that was read, and where it stood.
#[derive(Debug)]
struct Read {
    parsed: Parsed,
    meaning: Meaning,
    spot: Spot,
    raw: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Spot {
    stand: Stand,
    start: u64,
    end: u64,
    mark: u64,
    arrived: UnixNanos,
}

/// Turns the documents of one feed, in their order, into events.
///
/// It remembers what the inference of Hestia's operations needs, bounded: the last state of 100 000
/// objects, and one deletion. That one is held back until the next document or [`Decoder::release`]:
/// a move is written as a deletion and an upsert in one go, and both are to say so.
#[derive(Debug)]
pub struct Decoder {
    feed: String,
    limits: Limits,
    keep_raw: bool,
    memory: Memory,
    held: Option<Read>,
    /// Object and tier of the deletion that was the last document.
    deleted: Option<(Vec<u8>, Option<u64>)>,
    event: Event,
}

impl Decoder {
    /// For the feed of this name. `keep_raw`: events get the documents' own bytes too.
    pub fn new(feed: &str, limits: Limits, keep_raw: bool) -> Self {
        Self {
            feed: feed.to_owned(),
            limits,
            keep_raw,
            memory: Memory::new(),
            held: None,
            deleted: None,
            event: Event::default(),
        }
    }

    /// Whether a deletion is held back.
    pub fn is_holding(&self) -> bool {
        self.held.is_some()
    }

    /// Takes the next document. `out` gets the events that are complete, none, one or two.
    pub fn take(
        &mut self,
        document: &Document<'_>,
        stand: Stand,
        arrived: UnixNanos,
        out: &mut dyn FnMut(&mut Event),
    ) {
        let Document { start, end, mark, bytes, state } = *document;
        let spot = Spot { stand, start, end, mark, arrived };
        let parsed = match state {
            State::Whole => super::read(bytes, self.limits),
            State::TooLong => Err("the document is too long".to_owned()),
            State::Truncated => Err("truncated document".to_owned()),
        };
        match parsed {
            Ok(parsed) => self.understand(parsed, spot, bytes, out),
            Err(reason) => {
                self.release(out);
                self.deleted = None;
                self.unreadable(&reason, spot, bytes, out);
            }
        }
    }

    /// Delivers what is held back: nothing followed in time.
    pub fn release(&mut self, out: &mut dyn FnMut(&mut Event)) {
        if let Some(held) = self.held.take() {
            self.deliver(held, out);
        }
    }

    fn understand(
        &mut self,
        parsed: Parsed,
        spot: Spot,
        bytes: &[u8],
        out: &mut dyn FnMut(&mut Event),
    ) {
        let mut meaning = self.memory.understand(&parsed.content);
        let deleted = self.deleted.take();
        if let Some((_, tier)) = deleted.filter(|(object, _)| *object == meaning.object) {
            self.connect(tier, &mut meaning);
        }
        self.release(out);
        let raw = if self.keep_raw { bytes.to_vec() } else { Vec::new() };
        let read = Read { parsed, meaning, spot, raw };
        if is_deletion(&read) {
            self.deleted = Some((read.meaning.object.clone(), read.meaning.tier));
            self.held = Some(read);
        } else {
            self.deliver(read, out);
        }
    }

    /// The document follows a deletion of the same object on `tier`.
    fn connect(&mut self, tier: Option<u64>, meaning: &mut Meaning) {
        let other = tier.is_some() && meaning.tier.is_some() && tier != meaning.tier;
        let op = match meaning.op {
            Some(Op::Put) if other => Op::Move,
            Some(Op::Remove) if other => Op::RemoveAll,
            _ => return,
        };
        if op == Op::Move {
            meaning.source_tier = tier;
        }
        meaning.op = Some(op);
        if let Some(held) = &mut self.held {
            held.meaning.op = Some(op);
        }
    }

    fn deliver(&mut self, read: Read, out: &mut dyn FnMut(&mut Event)) {
        let Read { parsed, meaning, spot, raw } = read;
        self.begin(spot);
        let event = &mut self.event;
        event.kind.push_str("hestia.");
        match &parsed.content {
            Content::Inode(record) => event.kind.push_str(record.kind.name()),
            Content::Object(record) => {
                event.kind.push_str(record.kind.name());
                event.time = UnixNanos(record.time.unwrap_or(spot.arrived.0));
            }
        }
        event.subject.push_str(subject(&parsed.content, &meaning));
        let arrived = spot.arrived.0;
        let place = spot.place();
        json::write(&parsed.content, &parsed.unknown, &meaning, arrived, place, &mut event.data);
        event.raw = raw;
        out(event);
    }

    fn unreadable(
        &mut self,
        reason: &str,
        spot: Spot,
        bytes: &[u8],
        out: &mut dyn FnMut(&mut Event),
    ) {
        self.begin(spot);
        let event = &mut self.event;
        event.kind.push_str("hestia.unreadable");
        event.class = Class::Unreadable;
        let mut object = Object::begin(&mut event.data);
        object.raw_text("source", "hestia");
        object.raw_text("kind", "unreadable");
        object.text("reason", reason);
        json::write_where(&mut object, spot.place());
        object.base64("raw_base64", bytes.get(..RAW_BYTES_MAX).unwrap_or(bytes));
        object.end();
        out(event);
    }

    /// What all events have.
    fn begin(&mut self, spot: Spot) {
        let event = &mut self.event;
        event.clear();
        write_name(spot.stand.origin, spot.start, &mut event.name);
        write_id(spot.stand.origin, spot.start, &mut event.id);
        event.source.push_str("/hestia/");
        event.source.push_str(&self.feed);
        event.time = spot.arrived;
        // What came through a pipe cannot be asked for again.
        let is_file = matches!(spot.stand.origin, Origin::File { .. });
        event.position = is_file.then_some(Position {
            stream: spot.stand.stream,
            at: spot.start,
            next: spot.end,
            mark: spot.mark,
        });
    }
}

impl Spot {
    fn place(&self) -> Where {
        let inode = match self.stand.origin {
            Origin::File { inode, .. } => Some(inode),
            Origin::Stream { .. } => None,
        };
        Where { inode, offset: self.start, length: self.end.saturating_sub(self.start) }
    }
}

/// Whether this may be the first half of a move.
fn is_deletion(read: &Read) -> bool {
    let Content::Inode(record) = &read.parsed.content else { return false };
    record.kind == Kind::Delete && read.meaning.tier.is_some()
}

/// The object's name, the path that a link tells, or the name.
fn subject<'a>(content: &'a Content, meaning: &'a Meaning) -> &'a str {
    if meaning.hestia {
        return std::str::from_utf8(&meaning.object).unwrap_or_default();
    }
    let Content::Inode(record) = content else { return "" };
    let path = record.xattrs.iter().find(|(key, _)| key == "path").map(|(_, value)| value);
    match path {
        Some(Value::Text(path)) => path,
        Some(Value::Map(pairs)) => match pairs.first() {
            Some((op, Value::Text(path))) if op == "set" => path,
            _ => record.name.as_deref().unwrap_or_default(),
        },
        _ => record.name.as_deref().unwrap_or_default(),
    }
}
