//! A listener against a metadata server that plays every trick, at random and without sockets: whatever
//! happens, each event is delivered once, or a note says that it is missing and it was not to be had.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use eventfs::decode::beegfs::{
    Dropped, Memory, Note, Now, Outlet, Payload, Place, Saved, Session, Settings, Step, Word,
    check, message_number,
};
use eventfs::event::{Class, Event, Position};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;

use crate::metadata_server::{Dialogue, Identity, Ring, Stored};

#[derive(Clone, Debug)]
enum Op {
    /// So many events.
    Push(u8),
    /// An event that never comes, one at which the stream crashes, one that cannot be decoded.
    LeaveOut,
    Unreadable,
    Spoil,
    /// The ring overwrites so many of its oldest.
    Discard(u8),
    /// So many packets arrive.
    Deliver(u8),
    /// The connection drops.
    Kill,
    /// The next event is damaged on its way, behind its number.
    Cut(u8),
    /// These bytes come as a packet.
    Junk(Vec<u8>),
    /// The tap ends and goes on behind one of its last events, or at it.
    Restart {
        back: u8,
        is_behind: bool,
    },
    /// The queue is deleted and made anew, with so many events.
    Recreate(u8),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (1..20_u8).prop_map(Op::Push),
        1 => Just(Op::LeaveOut),
        1 => Just(Op::Unreadable),
        1 => Just(Op::Spoil),
        1 => (1..30_u8).prop_map(Op::Discard),
        6 => (1..60_u8).prop_map(Op::Deliver),
        1 => Just(Op::Kill),
        1 => (16..90_u8).prop_map(Op::Cut),
        1 => junk().prop_map(Op::Junk),
        1 => (0..8_u8, any::<bool>()).prop_map(|(back, is_behind)| Op::Restart { back, is_behind }),
        1 => (0..40_u8).prop_map(Op::Recreate),
    ]
}

/// What is no event, or one without its number.
fn junk() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), 1..30),
        (0..255_u8, vec(any::<u8>(), 0..8)).prop_map(|(kind, body)| {
            let mut packet = vec![kind];
            packet.extend_from_slice(b"events\0");
            packet.extend_from_slice(&body);
            packet
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, max_shrink_iters: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_or_doubled_in_silence(
        caution in 0..12_u64,
        ops in vec(op(), 1..60),
    ) {
        let mut world = World::new(caution);
        for op in ops {
            world.play(op);
        }
        world.settle();
        world.check();
    }
}

/// What came out of the tap so far.
#[derive(Default)]
struct Found {
    sent: VecDeque<Vec<u8>>,
    /// By stream and number: the path, or nothing for what could not be read.
    events: BTreeMap<(u64, u64), Option<String>>,
    order: Vec<Position>,
    gaps: Vec<(u64, u64)>,
    resets: u32,
    /// Numbers of broken packets that were delivered without a place.
    unplaced: BTreeSet<u64>,
    accepted: usize,
    is_last_good: bool,
}

impl Outlet for Found {
    fn send(&mut self, packet: &[u8]) {
        self.sent.push_back(packet.to_vec());
    }

    fn event(&mut self, event: &mut Event) {
        check::is_one_line(event);
        let data: Value = serde_json::from_slice(&event.data).expect("JSON");
        let path = (event.class == Class::Record).then(|| data["path"].as_str().expect("path"));
        let Some(position) = event.position else {
            let raw = STANDARD.decode(data["raw_base64"].as_str().expect("raw")).expect("base64");
            self.unplaced.extend(message_number(&raw));
            return;
        };
        let path = path.map(str::to_owned);
        let known = self.events.insert((position.stream, position.at), path.clone());
        let is_same = known.flatten().zip(path.clone()).is_none_or(|(known, path)| known == path);
        assert!(is_same, "two events under one name");
        self.is_last_good = path.is_some();
        self.order.push(position);
        self.accepted += 1;
    }

    fn note(&mut self, note: &Note) {
        match *note {
            Note::Gap { first: Some(first), last: Some(last), .. } => self.gaps.push((first, last)),
            Note::Reset { resets, .. } => self.resets = resets,
            ref other => panic!("{other:?}"),
        }
    }

    fn dropped(&mut self, _why: Dropped) {}

    fn describe(&mut self, _stream: u64, _context: Value) {
        panic!("BeeGFS 7");
    }

    fn say(&mut self, _word: &Word) {}
}

struct World {
    ring: Ring,
    /// Which life of the queue this is, and the number that its reading began with.
    life: u32,
    base: Option<u64>,
    memory: Memory,
    session: Session,
    dialogue: Dialogue,
    /// Packets on their way to the tap.
    wire: VecDeque<Vec<u8>>,
    cut: Option<u8>,
    now: Now,
    found: Found,
    /// Gaps of the current life.
    missing: BTreeSet<u64>,
    may_be_retold: BTreeSet<u64>,
    /// The tap has just had an event, and so can tell another queue from this one.
    is_calm: bool,
    kills: u32,
}

fn path(life: u32, msn: u64) -> String {
    format!("/{life}/{msn}")
}

fn payload(life: u32, msn: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    let path = path(life, msn);
    Payload { event: 5, path: path.as_bytes(), ..Payload::default() }.encode(&mut bytes);
    bytes
}

impl World {
    fn new(caution: u64) -> Self {
        let memory = Memory::new(Settings::default());
        let (now, mut found) = (Now::default(), Found::default());
        let session = Session::accept(&memory, 1, now, &mut found);
        let mut world = Self {
            ring: Ring::with_caution(caution),
            life: 0,
            base: None,
            memory,
            session,
            dialogue: Dialogue::default(),
            wire: VecDeque::from([Identity::node(12).handshake()]),
            cut: None,
            now,
            found,
            missing: BTreeSet::new(),
            may_be_retold: BTreeSet::new(),
            is_calm: false,
            kills: 0,
        };
        world.exchange();
        world
    }

    fn play(&mut self, op: Op) {
        match op {
            Op::Push(count) => self.push(count),
            Op::LeaveOut => self.store(Stored::LeftOut),
            Op::Unreadable => self.store(Stored::Unreadable),
            Op::Spoil => {
                let mut spoiled = payload(self.life, self.ring.next());
                spoiled[0] = 3;
                self.store(Stored::Event(spoiled));
            }
            Op::Discard(count) => {
                self.ring.discard_before(self.ring.first() + u64::from(count));
                self.is_calm = false;
            }
            Op::Deliver(count) => (0..count).for_each(|_| self.deliver()),
            Op::Kill => self.kill(),
            Op::Cut(length) => self.cut = Some(length),
            Op::Junk(bytes) => self.wire.push_back(bytes),
            Op::Restart { back, is_behind } => self.restart(back, is_behind),
            Op::Recreate(count) => self.recreate(count),
        }
    }

    fn push(&mut self, count: u8) {
        for _ in 0..count {
            self.ring.push(payload(self.life, self.ring.next()));
        }
    }

    fn store(&mut self, stored: Stored) {
        self.ring.store(stored);
    }

    /// One packet arrives, if there is one.
    fn deliver(&mut self) {
        if self.wire.is_empty() {
            let mut said = self.dialogue.speak(&self.ring, 3);
            if let Some(first) = said.first_mut()
                && first[0] == 8
                && let Some(length) = self.cut.take()
            {
                first.truncate(usize::from(length).clamp(1, first.len() - 1));
            }
            self.wire.extend(said);
        }
        let before = self.found.accepted;
        let step = match self.wire.pop_front() {
            Some(packet) => {
                let (memory, found) = (&mut self.memory, &mut self.found);
                self.session.on_packet(memory, &packet, false, self.now, found)
            }
            None if self.dialogue.is_over() => self.session.on_end(&mut self.memory, self.now),
            None => return,
        };
        if self.found.accepted > before {
            (self.is_calm, self.kills) = (self.found.is_last_good, 0);
        }
        self.take_gaps();
        match step {
            Step::Go => self.exchange(),
            Step::Close(_) => self.reconnect(),
        }
    }

    /// What the tap has sent reaches the server, and its answers are on their way.
    fn exchange(&mut self) {
        while let Some(packet) = self.found.sent.pop_front() {
            if packet[0] == 7 && self.base.is_none() {
                self.base = Some(u64::from_le_bytes(packet[8..16].try_into().expect("8")));
            }
            self.wire.extend(self.dialogue.hear(&packet, &self.ring));
        }
        assert_eq!(self.dialogue.offences, Vec::<String>::new());
    }

    /// A gap is true only if what it names cannot be had, or might vanish at any moment.
    fn take_gaps(&mut self) {
        for (first, last) in std::mem::take(&mut self.found.gaps) {
            for msn in first..=last {
                let is_there = matches!(self.ring.get(msn), Some(Stored::Event(_)));
                let is_known = self.found.unplaced.contains(&msn);
                assert!(!is_there || is_known || msn < self.ring.oldest(), "{msn} is there");
                let is_news = self.missing.insert(msn) || self.may_be_retold.remove(&msn);
                assert!(is_news, "{msn} is told to be missing twice");
            }
        }
    }

    fn reconnect(&mut self) {
        self.is_calm = false;
        self.now.steady += Duration::from_millis(50);
        self.dialogue = Dialogue::default();
        self.wire.clear();
        self.found.sent.clear();
        self.session = Session::accept(&self.memory, 1, self.now, &mut self.found);
        if !self.session.wants_packets() {
            self.now.steady = self.session.deadline().expect("a deadline");
            let step = self.session.on_timer(&mut self.memory, self.now, &mut self.found);
            assert_eq!(step, Step::Go);
        }
        self.wire.push_back(Identity::node(12).handshake());
        self.exchange();
    }

    /// A server that dies again and again before it could send anything may cost an event, as a stream
    /// that crashes in silence does; this one does so at most twice.
    fn kill(&mut self) {
        if self.kills < 2 {
            self.kills += 1;
            // Whatever the session thinks of it, the connection is over.
            let _ = self.session.on_end(&mut self.memory, self.now);
            self.reconnect();
        }
    }

    fn restart(&mut self, back: u8, is_behind: bool) {
        let lives: Vec<Position> = self.found.order.clone();
        let Some(last) = lives.last() else { return };
        let of_this = lives.iter().rev().filter(|position| position.stream == last.stream);
        let Some(&Position { stream, at, mark, .. }) = of_this.clone().nth(usize::from(back))
        else {
            return;
        };
        if Place::resets(stream) != self.life {
            return;
        }
        let saved = match is_behind {
            true => Saved::After { stream, msn: at, mark },
            false => Saved::At { stream, msn: at },
        };
        self.memory = Memory::new(Settings::default());
        assert_eq!(self.memory.restore(&[saved]), []);
        // What was told behind that place is told again.
        self.may_be_retold.extend(self.missing.iter().filter(|&&msn| msn >= at));
        self.reconnect();
    }

    fn recreate(&mut self, count: u8) {
        if !self.is_calm
            || Place::resets(self.found.order.last().expect("calm").stream) != self.life
        {
            return;
        }
        self.ring.recreate();
        self.life += 1;
        self.push(count);
        self.cut = None;
        self.missing.clear();
        self.may_be_retold.clear();
        self.found.unplaced.clear();
        self.base = Some(0);
        self.reconnect();
        for _ in 0..100 {
            self.deliver();
        }
        assert_eq!(self.found.resets, self.life, "the new queue is not noticed");
    }

    fn is_idle(&self) -> bool {
        self.wire.is_empty() && self.dialogue.position() == Some(self.ring.next())
    }

    /// Until everything has come, a last event included, which shows what is missing before it.
    fn settle(&mut self) {
        self.cut = None;
        self.push(1);
        for _ in 0..20_000 {
            if self.is_idle() {
                return;
            }
            self.deliver();
        }
        panic!("it never comes to rest");
    }

    fn check(&self) {
        let stream = Place::stream(12, self.life);
        let base = self.base.unwrap_or(0);
        for msn in base..self.ring.next() {
            let event = self.found.events.get(&(stream, msn));
            let is_told = self.missing.contains(&msn) || self.found.unplaced.contains(&msn);
            assert!(event.is_some() || is_told, "{msn} is lost in silence");
            if let Some(Stored::LeftOut | Stored::Unreadable) = self.ring.get(msn) {
                assert!(event.is_none(), "{msn} cannot have come");
            }
        }
        for ((stream, msn), found) in &self.found.events {
            let expected = path(Place::resets(*stream), *msn);
            assert!(found.as_ref().is_none_or(|found| *found == expected), "{found:?}");
        }
    }
}
