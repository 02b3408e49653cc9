//! Packets become [`Event`]s.

use super::place::{push_id_prefix, push_name_number, push_name_prefix, push_source};
use super::types::push_kind;
use super::{Payload, Place, V1Packet, event_name};
use crate::event::json::{
    Object, write_base64, write_bytes, write_number, write_signed, write_text,
};
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
    /// `{"meta_id":12,"mirror_group":0,"msn":`
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
            data: format!("{{\"meta_id\":{meta_id},\"mirror_group\":{mirror_group},\"msn\":")
                .into_bytes(),
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
    ///
    /// Written by hand: this is what a burst of events spends its time with.
    #[inline]
    pub fn event(&self, msn: u64, payload: &Payload<'_>, mark: u64, event: &mut Event) {
        let number = self.begin(msn, mark, event);
        event.time = UnixNanos(payload.timestamp_ns);
        push_kind(payload.event, &mut event.kind);
        let data = &mut event.data;
        data.extend_from_slice(&self.data);
        data.extend_from_slice(number.bytes());
        data.extend_from_slice(b",\"version\":2");
        push_type(payload.event, data);
        data.extend_from_slice(b",\"flags\":");
        write_number(payload.flags.into(), data);
        data.extend_from_slice(b",\"num_hardlinks\":");
        write_number(payload.num_hardlinks, data);
        push_strings(payload.strings(), data, &mut event.subject);
        data.extend_from_slice(b",\"user_id\":");
        write_number(payload.user_id.into(), data);
        data.extend_from_slice(b",\"timestamp_ns\":");
        write_signed(payload.timestamp_ns, data);
        data.push(b'}');
    }

    /// An event of BeeGFS 7 that came at `now`, under a number of ours.
    ///
    /// What that version does not tell is null; its time is the time of arrival.
    pub fn v1(&self, msn: u64, packet: &V1Packet<'_>, now: UnixNanos, event: &mut Event) {
        let number = self.begin(msn, 0, event);
        event.time = now;
        let data = &mut event.data;
        data.extend_from_slice(&self.data);
        data.extend_from_slice(number.bytes());
        data.extend_from_slice(b",\"version\":1");
        match packet.event() {
            Some(known) => {
                push_kind(known, &mut event.kind);
                push_type(known, data);
            }
            // Above 12 version 1 has no types: such a number is shown as it came, and as an unknown one.
            None => {
                event.kind.push_str(&format!("beegfs.unknown_{}", packet.number));
                push_unknown(packet.number, data);
            }
        }
        data.extend_from_slice(b",\"flags\":null,\"num_hardlinks\":null");
        push_strings(packet.strings(), data, &mut event.subject);
        data.extend_from_slice(b",\"user_id\":null,\"timestamp_ns\":");
        write_signed(now.0, data);
        data.push(b'}');
    }

    /// A packet that cannot be read, in the place of event `msn` if that much is known of it; then it is
    /// named as that event would be, and has its position, without a mark.
    pub fn unreadable(&self, msn: Option<u64>, unreadable: &Unreadable<'_>, event: &mut Event) {
        match msn {
            Some(msn) => {
                self.begin(msn, 0, event);
            }
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

    /// What all events have that stand somewhere; returns the number.
    #[inline]
    fn begin(&self, msn: u64, mark: u64, event: &mut Event) -> Digits {
        let number = Digits::of(msn);
        event.clear();
        event.name.push_str(&self.name);
        push_name_number(&number, &mut event.name);
        event.id.push_str(&self.id);
        event.id.push_str(number.text());
        event.source.push_str(&self.source);
        let next = msn.saturating_add(1);
        event.position = Some(Position { stream: self.stream, at: msn, next, mark });
        number
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
    let (nanos, count) = (Digits::of(nanos), Digits::of(unreadable.count));
    for part in ["beegfs-unreadable-", nanos.padded(20), "-", count.padded(20)] {
        event.name.push_str(part);
    }
    for part in ["unreadable/", nanos.padded(20), "-", count.padded(20)] {
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
fn push_type(number: u32, data: &mut Vec<u8>) {
    let Some(name) = event_name(number) else { return push_unknown(number, data) };
    data.extend_from_slice(b",\"event\":\"");
    data.extend_from_slice(name.as_bytes());
    data.extend_from_slice(b"\",\"event_number\":");
    write_number(number.into(), data);
}

fn push_unknown(number: u32, data: &mut Vec<u8>) {
    let text = format!(",\"event\":\"unknown_{number}\",\"event_number\":{number}");
    data.extend_from_slice(text.as_bytes());
}

/// The five strings; the path is the subject too, if it is text.
#[inline]
fn push_strings(strings: [&[u8]; 5], data: &mut Vec<u8>, subject: &mut String) {
    let [entry_id, parent_entry_id, path, target_path, target_parent_id] = strings;
    data.extend_from_slice(b",\"entry_id\":");
    write_bytes(entry_id, data);
    data.extend_from_slice(b",\"parent_entry_id\":");
    write_bytes(parent_entry_id, data);
    if let Ok(path) = std::str::from_utf8(path) {
        subject.push_str(path);
        data.extend_from_slice(b",\"path\":");
        write_text(path, data);
    } else {
        data.extend_from_slice(b",\"path_base64\":");
        write_base64(path, data);
    }
    data.extend_from_slice(b",\"target_path\":");
    write_bytes(target_path, data);
    data.extend_from_slice(b",\"target_parent_id\":");
    write_bytes(target_parent_id, data);
}
