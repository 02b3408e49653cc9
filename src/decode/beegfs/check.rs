//! Properties that hold for any bytes at all: what the fuzz targets and the random tests call.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::{
    Dropped, Form, From, MAGIC, Memory, Note, Now, Outlet, Packet, Payload, Place, Renderer,
    Session, Settings, Step, V1Packet, V7_STREAM, Word, message_number,
};
use crate::event::{Class, Event, TimeText, UnixNanos};

/// What decodes is the same when it is written and decoded again, and renders as one line of JSON.
///
/// # Panics
/// If it does not hold.
pub fn packet(bytes: &[u8]) {
    for form in [Form::Strict, Form::Lenient] {
        if let Ok(packet) = Packet::decode(bytes, form) {
            packet_goes_round(bytes, packet, form);
        }
    }
    if let Ok(packet) = V1Packet::decode(bytes) {
        let mut again = Vec::new();
        packet.encode(&mut again);
        assert!(bytes.starts_with(&again), "what follows is padding");
        let mut event = Event::default();
        Renderer::new(V7_STREAM, 0).v1(1, &packet, UnixNanos(0), &mut event);
        is_one_line(&event);
    }
}

fn packet_goes_round(bytes: &[u8], packet: Packet<'_>, form: Form) {
    let again = packet.to_bytes();
    assert_eq!(Packet::decode(&again, Form::Strict), Ok(packet));
    if form == Form::Strict && !matches!(packet, Packet::Unknown { .. }) {
        assert_eq!(again, bytes);
    }
    let Packet::Message { msn, payload } = packet else { return };
    assert_eq!(message_number(bytes), Some(msn));
    let Ok(fields) = Payload::decode(payload, form) else { return };
    let mut again = Vec::new();
    fields.encode(&mut again);
    assert!(payload.starts_with(&again), "what follows came later");
    let mut event = Event::default();
    Renderer::new(Place::stream(1, 0), 0).event(msn, &fields, 1, &mut event);
    is_one_line(&event);
}

/// The CloudEvents line is valid JSON without a line break inside.
///
/// # Panics
/// If it is not.
pub fn is_one_line(event: &Event) {
    let mut line = Vec::new();
    event.write_line(&mut TimeText::default(), &mut line);
    assert_eq!(line.iter().filter(|&&byte| byte == b'\n').count(), 1);
    let value: Value = serde_json::from_slice(&line).expect("JSON");
    assert!(value["data"].is_object());
}

/// Feeds a session what the bytes say, with an eye on [`Ledger`].
///
/// The first byte chooses the settings; then each step is one byte of length, and so many bytes: a packet,
/// whose first byte below 11 stands for the header of that type, and 11 for none. Lengths above 250 are
/// other happenings.
///
/// # Panics
/// If an event is lost, doubled or out of order without a word.
pub fn session(script: &[u8]) {
    let Some((&choice, mut rest)) = script.split_first() else { return };
    let from = [From::Resume, From::Oldest, From::Newest][usize::from(choice % 3)];
    let mut memory = Memory::new(Settings { from, skip_secondary: false });
    let mut ledger = Ledger::default();
    let mut now = Now::default();
    let mut session = Session::accept(&memory, 1, now, &mut ledger);
    while let Some((&length, after)) = rest.split_first() {
        now.steady += Duration::from_millis(u64::from(length));
        let taken;
        (taken, rest) = match length {
            251.. => (&[][..], after),
            _ => after.split_at(usize::from(length).min(after.len())),
        };
        let step = match length {
            251 => session.on_end(&mut memory, now),
            252 => session.goodbye(&mut memory, now, &mut ledger),
            253.. => {
                now.steady = session.deadline().unwrap_or(now.steady).max(now.steady);
                session.on_timer(&mut memory, now, &mut ledger)
            }
            _ if !session.wants_packets() => Step::Go,
            _ => {
                let packet = scripted(taken);
                session.on_packet(&mut memory, &packet, length == 250, now, &mut ledger)
            }
        };
        if let Step::Close(_) = step {
            session = Session::accept(&memory, 1, now, &mut ledger);
        }
    }
}

/// A packet of a script.
fn scripted(bytes: &[u8]) -> Vec<u8> {
    match bytes.split_first() {
        Some((&kind, body)) if kind < 11 => {
            let mut packet = vec![kind];
            packet.extend_from_slice(&MAGIC);
            packet.extend_from_slice(body);
            packet
        }
        Some((11, body)) => body.to_vec(),
        _ => bytes.to_vec(),
    }
}

/// Whatever comes out of sessions has to tile: in each stream every number is an event or in a gap, once.
#[derive(Debug, Default)]
pub struct Ledger {
    /// By stream: the number that has to come next.
    next: BTreeMap<u64, u64>,
    /// The place that was told last, if what came there cannot be read: it may come whole after that.
    broken: Option<(u64, u64)>,
    /// By node: resets told.
    resets: BTreeMap<u32, u32>,
}

impl Ledger {
    /// Streams and the numbers that follow what was told of them.
    pub fn next(&self) -> &BTreeMap<u64, u64> {
        &self.next
    }

    /// Numbers may begin anywhere from here on, as after a restart from a saved state.
    pub fn forget(&mut self) {
        self.next.clear();
    }

    fn tell(&mut self, stream: u64, first: u64, last: u64) {
        let next = self.next.entry(stream).or_insert(first);
        assert!(*next == first || *next == u64::MAX, "{first} follows {next}");
        assert!(first <= last);
        *next = last.saturating_add(1);
    }
}

impl Outlet for Ledger {
    fn send(&mut self, packet: &[u8]) {
        let packet = Packet::decode(packet, Form::Strict).expect("what we send can be read");
        assert!(packet.kind() % 2 == 1, "what we send is a listener's");
    }

    fn event(&mut self, event: &mut Event) {
        is_one_line(event);
        if let Some(position) = event.position {
            let place = Place::of_name(&event.name).expect("a place");
            assert_eq!((place.stream, place.msn), (position.stream, position.at));
            let place = (position.stream, position.at);
            let is_whole_now = self.broken.take() == Some(place) && event.class == Class::Record;
            if !is_whole_now {
                self.tell(position.stream, position.at, position.at);
            }
            self.broken = (event.class == Class::Unreadable).then_some(place);
        } else {
            assert_eq!(event.class, Class::Unreadable);
        }
    }

    fn note(&mut self, note: &Note) {
        let mut event = Event::default();
        note.fill(&mut event);
        is_one_line(&event);
        match *note {
            Note::Gap { meta_id, first: Some(first), last: Some(last), .. } => {
                let resets = self.resets.get(&meta_id).copied().unwrap_or_default();
                self.tell(Place::stream(meta_id, resets), first, last);
            }
            Note::Gap { .. } => {}
            Note::Reset { meta_id, resets, .. } => {
                let before = self.resets.insert(meta_id, resets).unwrap_or_default();
                assert!(resets > before, "{resets} after {before}");
                self.next.insert(Place::stream(meta_id, resets), 0);
            }
        }
    }

    fn dropped(&mut self, _why: Dropped) {}

    fn describe(&mut self, stream: u64, context: Value) {
        assert_eq!(stream, V7_STREAM);
        Memory::default().restore_context(stream, &context);
    }

    fn say(&mut self, word: &Word) {
        assert!(!word.to_string().is_empty());
    }
}
