//! A tap without sockets: one connection at a time, and a heap of all that comes out.

use std::time::Duration;

use eventfs::decode::beegfs::{
    CloseReason, Dropped, End, Memory, Note, Now, Outlet, Packet, Saved, Session, Settings, Step,
    Word, digest,
};
use eventfs::event::{Event, UnixNanos};
use serde_json::Value;

use crate::metadata_server::{Identity, created};

/// Everything that came out.
#[derive(Default)]
pub(super) struct Heap {
    pub(super) sent: Vec<Vec<u8>>,
    pub(super) events: Vec<Event>,
    pub(super) notes: Vec<Note>,
    pub(super) dropped: Vec<Dropped>,
    pub(super) contexts: Vec<(u64, Value)>,
    pub(super) words: Vec<String>,
}

impl Outlet for Heap {
    fn send(&mut self, packet: &[u8]) {
        self.sent.push(packet.to_vec());
    }

    fn event(&mut self, event: &mut Event) {
        self.events.push(event.clone());
    }

    fn note(&mut self, note: &Note) {
        self.notes.push(note.clone());
    }

    fn dropped(&mut self, why: Dropped) {
        self.dropped.push(why);
    }

    fn describe(&mut self, stream: u64, context: Value) {
        self.contexts.push((stream, context));
    }

    fn say(&mut self, word: &Word) {
        self.words.push(word.to_string());
    }
}

impl Heap {
    pub(super) fn msns(&self) -> Vec<u64> {
        self.events.iter().map(|event| event.position.map_or(u64::MAX, |place| place.at)).collect()
    }

    /// The numbers that streams were asked from.
    pub(super) fn starts(&self) -> Vec<u64> {
        let packets = self.sent.iter().filter(|packet| packet[0] == 7);
        packets.map(|packet| u64::from_le_bytes(packet[8..].try_into().expect("8"))).collect()
    }
}

/// A tap with one connection at a time.
pub(super) struct Tap {
    pub(super) memory: Memory,
    pub(super) session: Session,
    pub(super) now: Now,
    pub(super) out: Heap,
}

impl Tap {
    pub(super) fn new(settings: Settings, saved: &[Saved]) -> Self {
        let mut memory = Memory::new(settings);
        assert_eq!(memory.restore(saved), []);
        let mut out = Heap::default();
        let now = Now { steady: Duration::ZERO, unix: UnixNanos(1_000) };
        let session = Session::accept(&memory, 42, now, &mut out);
        Self { memory, session, now, out }
    }

    pub(super) fn fresh() -> Self {
        Self::new(Settings::default(), &[])
    }

    /// Goes on behind event `msn` of node 12.
    pub(super) fn after(msn: u64) -> Self {
        let mark = digest(&created(msn));
        Self::new(Settings::default(), &[Saved::After { stream: 12, msn, mark }])
    }

    pub(super) fn hear(&mut self, packet: &[u8]) -> Step {
        self.session.on_packet(&mut self.memory, packet, false, self.now, &mut self.out)
    }

    pub(super) fn goes_on(&mut self, packet: &[u8]) {
        assert_eq!(self.hear(packet), Step::Go);
    }

    pub(super) fn closes(&mut self, packet: &[u8]) -> End {
        let Step::Close(end) = self.hear(packet) else { panic!("it goes on") };
        end
    }

    /// Handshake and range of a node, up to the request for the stream.
    pub(super) fn open(&mut self, next: u64, oldest: u64) {
        self.goes_on(&Identity::node(12).handshake());
        self.goes_on(&Packet::Range { next, oldest }.to_bytes());
    }

    pub(super) fn event(&mut self, msn: u64) {
        self.goes_on(&message(msn));
    }

    pub(super) fn end(&mut self) -> End {
        let Step::Close(end) = self.session.on_end(&mut self.memory, self.now) else {
            panic!("an end that is none")
        };
        end
    }

    pub(super) fn crash(&mut self) -> End {
        self.closes(&Packet::Close { reason: CloseReason::StreamCrashed }.to_bytes())
    }

    pub(super) fn reconnect(&mut self) {
        self.now.steady += Duration::from_millis(50);
        self.session = Session::accept(&self.memory, 42, self.now, &mut self.out);
    }

    /// The time of the deadline comes.
    pub(super) fn wait(&mut self) -> Step {
        self.now.steady = self.session.deadline().expect("a deadline");
        self.session.on_timer(&mut self.memory, self.now, &mut self.out)
    }
}

pub(super) fn message(msn: u64) -> Vec<u8> {
    Packet::Message { msn, payload: &created(msn) }.to_bytes()
}

pub(super) fn gap(note: &Note) -> (u64, u64) {
    match *note {
        Note::Gap { meta_id: 12, first: Some(first), last: Some(last), count, .. } => {
            assert_eq!(count, Some(last - first + 1));
            (first, last)
        }
        ref other => panic!("{other:?}"),
    }
}
