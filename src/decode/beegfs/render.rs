//! Packets become [`Event`]s.

use super::place::{push_id_prefix, push_name_number, push_name_prefix, push_source};
use super::types::push_kind;
use super::{FORMAT, Payload, Place, V1Packet, event_name};
use crate::event::json::Object;
use crate::event::{Class, Digits, Event, Position, UnixNanos};

/// Most raw bytes of a packet that an `unreadable` event holds.
const RAW_BYTES_MAX: usize = 65_536;

/// Renders the events of one stream; holds what they have in common.
#[derive(Clone, Debug)]
pub struct Renderer {
    stream: u64,
    name: String,
    id: String,
    source: String,
    /// `{"meta_id":12,"mirror_group":0`
    data: Vec<u8>,
}

/// A packet that cannot be read.
#[derive(Clone, Copy, Debug)]
pub struct Unreadable<'a> {
    /// What came of it.
    pub raw: &'a [u8],
    /// What is wrong.
    pub reason: &'a str,
    /// When it came.
    pub now: UnixNanos,
    /// How many of them came before: makes a name where no number is known.
    pub count: u64,
}

impl Renderer {
    /// For the events of this stream (see [`Place`]) from a node in this mirror group.
    pub fn new(stream: u64, mirror_group: u16) -> Self {
        let meta_id = Place::meta_id(stream);
        let mut new = Self {
            stream,
            name: String::new(),
            id: String::new(),
            source: String::new(),
            data: format!("{{\"meta_id\":{meta_id},\"mirror_group\":{mirror_group}").into_bytes(),
        };
        push_name_prefix(stream, &mut new.name);
        push_id_prefix(stream, &mut new.id);
        push_source(meta_id, &mut new.source);
        new
    }

    /// The stream that this is for.
    pub fn stream(&self) -> u64 {
        self.stream
    }

    /// An event of protocol 2. `mark` is the [`super::digest`] of its payload.
    #[inline]
    pub fn event(&self, msn: u64, payload: &Payload<'_>, mark: u64, event: &mut Event) {
        self.begin(msn, mark, event);
        event.time = UnixNanos(payload.timestamp_ns);
        push_kind(payload.event, &mut event.kind);
        let mut data = Object::continued(&mut event.data, &self.data);
        data.number("msn", msn);
        data.number("version", FORMAT.into());
        push_type(payload.event, &mut data);
        data.number("flags", payload.flags.into());
        data.number("num_hardlinks", payload.num_hardlinks);
        push_strings(payload.strings(), &mut data, &mut event.subject);
        data.number("user_id", payload.user_id.into());
        data.signed("timestamp_ns", payload.timestamp_ns);
        data.end();
    }

    /// An event of BeeGFS 7 that came at `now`, under a number of ours.
    ///
    /// What that version does not tell is null; its time is the time of arrival.
    pub fn v1(&self, msn: u64, packet: &V1Packet<'_>, now: UnixNanos, event: &mut Event) {
        self.begin(msn, 0, event);
        event.time = now;
        // Above 12 version 1 has no types: such a number is shown as it came, and as an unknown one.
        let number = packet.event();
        match number {
            Some(number) => push_kind(number, &mut event.kind),
            None => event.kind.push_str(&format!("beegfs.unknown_{}", packet.number)),
        }
        let mut data = Object::continued(&mut event.data, &self.data);
        data.number("msn", msn);
        data.number("version", 1);
        match number {
            Some(number) => push_type(number, &mut data),
            None => {
                data.text("event", &format!("unknown_{}", packet.number));
                data.number("event_number", packet.number.into());
            }
        }
        data.null("flags");
        data.null("num_hardlinks");
        push_strings(packet.strings(), &mut data, &mut event.subject);
        data.null("user_id");
        data.signed("timestamp_ns", now.0);
        data.end();
    }

    /// A packet that cannot be read, in the place of event `msn` if that much is known of it; then it is
    /// named as that event would be, and has its position, without a mark.
    pub fn unreadable(&self, msn: Option<u64>, unreadable: &Unreadable<'_>, event: &mut Event) {
        match msn {
            Some(msn) => self.begin(msn, 0, event),
            None => begin_unplaced(unreadable, event),
        }
        event.source.clear();
        event.source.push_str(&self.source);
        fill_unreadable(unreadable, event, |data| {
            data.number("meta_id", Place::meta_id(self.stream).into());
            match msn {
                Some(msn) => data.number("msn", msn),
                None => data.null("msn"),
            }
        });
    }

    /// What all events have that stand somewhere.
    #[inline]
    fn begin(&self, msn: u64, mark: u64, event: &mut Event) {
        event.clear();
        event.name.push_str(&self.name);
        push_name_number(msn, &mut event.name);
        event.id.push_str(&self.id);
        event.id.push_str(Digits::of(msn).text());
        event.source.push_str(&self.source);
        let next = msn.saturating_add(1);
        event.position = Some(Position { stream: self.stream, at: msn, next, mark });
    }
}

impl Unreadable<'_> {
    /// As an event, where not even the node is known.
    pub fn render(&self, event: &mut Event) {
        begin_unplaced(self, event);
        event.source.push_str("/beegfs/meta/unknown");
        fill_unreadable(self, event, |data| {
            data.null("meta_id");
            data.null("msn");
        });
    }
}

/// Named by arrival: nothing better is known.
fn begin_unplaced(unreadable: &Unreadable<'_>, event: &mut Event) {
    event.clear();
    let nanos = unreadable.now.0.max(0).unsigned_abs();
    let (nanos, count) = (Digits::padded(nanos, 20), Digits::padded(unreadable.count, 20));
    for part in ["beegfs-unreadable-", nanos.text(), "-", count.text()] {
        event.name.push_str(part);
    }
    for part in ["unreadable/", nanos.text(), "-", count.text()] {
        event.id.push_str(part);
    }
}

fn fill_unreadable(
    unreadable: &Unreadable<'_>,
    event: &mut Event,
    place: impl FnOnce(&mut Object<'_>),
) {
    event.class = Class::Unreadable;
    event.time = unreadable.now;
    event.kind.push_str("beegfs.unreadable");
    let raw = unreadable.raw.get(..RAW_BYTES_MAX).unwrap_or(unreadable.raw);
    let mut data = Object::begin(&mut event.data);
    data.text("reason", unreadable.reason);
    data.base64("raw_base64", raw);
    place(&mut data);
    data.end();
}

#[inline]
fn push_type(number: u32, data: &mut Object<'_>) {
    match event_name(number) {
        Some(name) => data.raw_text("event", name),
        None => data.raw_text("event", &format!("unknown_{number}")),
    }
    data.number("event_number", number.into());
}

/// The five strings; the path is the subject too, if it is text.
#[inline]
fn push_strings(strings: [&[u8]; 5], data: &mut Object<'_>, subject: &mut String) {
    let [entry_id, parent_entry_id, path, target_path, target_parent_id] = strings;
    data.bytes("entry_id", entry_id);
    data.bytes("parent_entry_id", parent_entry_id);
    match std::str::from_utf8(path) {
        Ok(path) => {
            subject.push_str(path);
            data.text("path", path);
        }
        Err(_) => data.base64("path_base64", path),
    }
    data.bytes("target_path", target_path);
    data.bytes("target_parent_id", target_parent_id);
}
