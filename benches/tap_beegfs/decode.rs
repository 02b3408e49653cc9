//! Decoding alone: packets in memory become lines in memory, on one core.

use std::hint::black_box;
use std::time::Duration;

use eventfs::decode::beegfs::{
    Dropped, Form, Memory, Note, Now, Outlet, Packet, Payload, Place, Renderer, Session, Settings,
    Step, Word, digest,
};
use eventfs::event::{Event, TimeText};

use crate::common::row::{Row, Unit};
use crate::common::timing::Rounds;
use crate::common::{Broken, scale};

/// Lines a second on one core.
const TARGET: f64 = 2e6;

/// Packets of a round: about what a busy server sends in a second.
const PACKETS: u32 = 50_000;

pub(crate) fn measure() -> Result<Vec<Row>, Broken> {
    let packets = packets();
    let bytes = packets.iter().map(Vec::len).sum::<usize>() / packets.len();
    let rounds = scale(200, 10);
    let decoded = Rounds::of(rounds, || decode(&packets))?;
    let lined = Rounds::of(rounds, || lines(&packets))?;
    let in_session = Rounds::of(rounds, || session(&packets))?;
    let under = |rounds: &Rounds| {
        format!(
            "best twentieth of {} rounds of {PACKETS} packets of {bytes} bytes, median {}",
            rounds.count(),
            Unit::Rate.show(rate(rounds.median()))
        )
    };
    let told = |name: &str, rounds: &Rounds| {
        Row::told(name, Unit::Rate.show(rate(rounds.quiet()))).under(under(rounds))
    };
    Ok(vec![
        told("BeeGFS packet to fields, a core", &decoded),
        Row::at_least(
            "BeeGFS packet to CloudEvents line, a core",
            Unit::Rate,
            TARGET,
            rate(lined.quiet()),
        )
        .under(under(&lined)),
        told("BeeGFS packet to CloudEvents line in a session, a core", &in_session),
    ])
}

/// Operations a second, from the time of one round.
fn rate(round: Duration) -> f64 {
    f64::from(PACKETS) / round.as_secs_f64().max(1e-12)
}

/// Events as they are: mostly creates, opens and closes of files with paths of usual length.
fn packets() -> Vec<Vec<u8>> {
    (0..PACKETS).map(packet).collect()
}

fn packet(number: u32) -> Vec<u8> {
    packet_of(FIRST + u64::from(number), number)
}

/// An event under this number.
pub(crate) fn packet_of(msn: u64, number: u32) -> Vec<u8> {
    let entry_id = format!("{:X}-68F1C2D3-C", number + 40);
    let path = format!("/home/ana/projects/run-{}/output-{number:05}.dat", number % 97);
    let payload = Payload {
        num_hardlinks: 1,
        event: [5, 4, 16, 13, 10, 3][number as usize % 6],
        entry_id: entry_id.as_bytes(),
        parent_entry_id: b"1F-68F1C2D0-C",
        path: path.as_bytes(),
        user_id: 1001,
        timestamp_ns: 1_761_998_400_123_456_789 + i64::from(number) * 20_000,
        ..Payload::default()
    };
    let mut bytes = Vec::new();
    payload.encode(&mut bytes);
    Packet::Message { msn, payload: &bytes }.to_bytes()
}

fn decode(packets: &[Vec<u8>]) -> Result<(), Broken> {
    for packet in packets {
        if let Packet::Message { payload, .. } = Packet::decode(packet, Form::Strict)? {
            black_box(Payload::decode(payload, Form::Strict)?);
        }
    }
    Ok(())
}

fn lines(packets: &[Vec<u8>]) -> Result<(), Broken> {
    let renderer = Renderer::new(Place::stream(12, 0), 0);
    let mut event = Event::default();
    let mut times = TimeText::default();
    let mut line = Vec::new();
    for packet in packets {
        if let Packet::Message { msn, payload } = Packet::decode(packet, Form::Strict)? {
            let fields = Payload::decode(payload, Form::Strict)?;
            renderer.event(msn, &fields, digest(payload), &mut event);
            line.clear();
            event.write_line(&mut times, &mut line);
            black_box(&line);
        }
    }
    Ok(())
}

/// The first number of [`packets`].
const FIRST: u64 = 1_000_000;

/// Lines that are written and forgotten.
#[derive(Default)]
struct Lines {
    count: usize,
    times: TimeText,
    line: Vec<u8>,
}

impl Outlet for Lines {
    fn send(&mut self, _packet: &[u8]) {}

    fn event(&mut self, event: &mut Event) {
        self.count += 1;
        self.line.clear();
        event.write_line(&mut self.times, &mut self.line);
        black_box(&self.line);
    }

    fn note(&mut self, _note: &Note) {}

    fn dropped(&mut self, _why: Dropped) {}

    fn describe(&mut self, _stream: u64, _context: serde_json::Value) {}

    fn say(&mut self, _word: &Word) {}
}

fn session(packets: &[Vec<u8>]) -> Result<(), Broken> {
    let mut memory = Memory::new(Settings::default());
    let mut out = Lines::default();
    let now = Now::default();
    let mut session = Session::accept(&memory, 1, now, &mut out);
    let handshake =
        Packet::HandshakeResponse { major: 2, minor: 0, meta_id: 12, mirror_group: 0 }.to_bytes();
    let range = Packet::Range { next: FIRST, oldest: FIRST }.to_bytes();
    for packet in [&handshake, &range].into_iter().chain(packets) {
        if session.on_packet(&mut memory, packet, false, now, &mut out) != Step::Go {
            return Err("the session has ended".into());
        }
    }
    if out.count == packets.len() { Ok(()) } else { Err("events are missing".into()) }
}
