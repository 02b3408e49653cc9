//! One connection of a metadata server, without its socket: packets go in, what is to be sent, delivered
//! and counted comes out.
//!
//! ```text
//!  Parked ──► Greeting ──► Ranging ──► Streaming
//!  (after     (asked for    (asked for   (events)
//!   faults)    handshake)    range)
//!                  └──────► Seven (BeeGFS 7: events at once)
//! ```
//!
//! How to drive it: [`Session::accept`] for each accepted connection; [`Session::on_packet`] for each packet
//! received, [`Session::on_end`] at its end; [`Session::on_timer`] when [`Session::deadline`] has come, after
//! the packets that are there. A packet is done with when the call returns, so a tap may stop between
//! any two packets of a burst and go on later. [`Memory`] is shared by all sessions of a tap.

mod memory;
mod node;
mod outlet;
mod peers;
mod streaming;

use std::time::Duration;

pub use memory::{Memory, Saved, Settings};
pub use node::From;
pub use outlet::{Cause, Dropped, End, Note, Now, Outlet, Step, Word};

use super::{
    CloseReason, Fault, Form, Packet, Renderer, Unreadable, V1Packet, V7_STREAM, VERSION_MAJOR,
    VERSION_MINOR,
};
use crate::event::Event;
use peers::Weight;
use streaming::{Heard, Streaming, deliver_unplaced};

/// How long a server may take to answer. A live one needs less than 60 ms.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// How long a server may go on sending after our goodbye.
const GOODBYE_MAX: Duration = Duration::from_secs(1);

/// One connection.
#[derive(Debug)]
pub struct Session {
    peer: u64,
    phase: Phase,
    deadline: Option<Duration>,
    form: Form,
    is_leaving: bool,
    has_said_ignored: bool,
    /// Filled and handed out for each event; kept for its room.
    event: Event,
}

#[derive(Debug)]
enum Phase {
    Parked,
    Greeting,
    Ranging(Greeted),
    Streaming(Streaming),
    Seven(Renderer),
    Over,
}

/// What the handshake told.
#[derive(Clone, Copy, Debug)]
struct Greeted {
    /// Index in the memory.
    node: usize,
    mirror_group: u16,
    minor: u16,
}

impl Session {
    /// A connection was accepted. `peer` tells one server from another before it has said who it is; its
    /// process id is good for that. A peer that did wrong before is left waiting first.
    pub fn accept(memory: &Memory, peer: u64, now: Now, out: &mut impl Outlet) -> Self {
        let mut session = Self {
            peer,
            phase: Phase::Parked,
            deadline: memory.peers.waits_until(peer, now.steady),
            form: Form::Strict,
            is_leaving: false,
            has_said_ignored: false,
            event: Event::default(),
        };
        if session.deadline.is_none() {
            session.greet(now, out);
        }
        session
    }

    /// Whether packets are to be read. While a peer is left waiting they are not; its hanging up may be
    /// looked for, and told with [`Session::on_end`].
    pub fn wants_packets(&self) -> bool {
        !matches!(self.phase, Phase::Parked | Phase::Over)
    }

    /// When [`Session::on_timer`] is to be called, on the steady clock.
    pub fn deadline(&self) -> Option<Duration> {
        self.deadline
    }

    /// One packet was received. `is_cut`: it was longer than the buffer (`MSG_TRUNC`). An empty one is the
    /// end of the connection.
    #[inline]
    pub fn on_packet(
        &mut self,
        memory: &mut Memory,
        packet: &[u8],
        is_cut: bool,
        now: Now,
        out: &mut impl Outlet,
    ) -> Step {
        if let Phase::Seven(_) = self.phase {
            return self.on_seven(memory, packet, is_cut, now, out);
        }
        let decoded =
            if is_cut { Err(Fault::Truncated) } else { Packet::decode(packet, self.form) };
        let fault = match decoded {
            Ok(Packet::Message { msn, payload }) => match &mut self.phase {
                Phase::Streaming(stream) => {
                    match stream.message(memory, self.form, msn, payload, &mut self.event, out) {
                        Ok(heard) => return self.heard(memory, heard, now),
                        Err(fault) => fault,
                    }
                }
                _ => Fault::OutOfOrder("Send_Message"),
            },
            Ok(packet) => return self.on_control(memory, packet, now, out),
            Err(fault) => fault,
        };
        self.on_fault(memory, packet, fault, now, out)
    }

    /// The connection ended: end of stream, or an error of the socket.
    pub fn on_end(&mut self, memory: &mut Memory, now: Now) -> Step {
        self.close(memory, Cause::Gone, now)
    }

    /// The time of [`Session::deadline`] has come. Nothing happens before.
    pub fn on_timer(&mut self, memory: &mut Memory, now: Now, out: &mut impl Outlet) -> Step {
        if self.deadline.is_none_or(|deadline| deadline > now.steady) {
            return Step::Go;
        }
        if let Phase::Parked = self.phase {
            self.greet(now, out);
            return Step::Go;
        }
        self.close(memory, Cause::Late, now)
    }

    /// Says goodbye. If the connection goes on, the server answers after the events that are under way;
    /// they may be taken or left, and the deadline says until when.
    pub fn goodbye(&mut self, memory: &mut Memory, now: Now, out: &mut impl Outlet) -> Step {
        if !matches!(self.phase, Phase::Ranging(_) | Phase::Streaming(_)) {
            self.is_leaving = true;
            return self.close(memory, Cause::Goodbye, now);
        }
        if !std::mem::replace(&mut self.is_leaving, true) {
            out.send(&Packet::CloseRequest.to_bytes());
            self.deadline = Some(now.steady + GOODBYE_MAX);
        }
        Step::Go
    }

    /// Our request goes out at once; the server sends its answer without waiting for it.
    fn greet(&mut self, now: Now, out: &mut impl Outlet) {
        self.phase = Phase::Greeting;
        self.deadline = Some(now.steady + ANSWER_MAX);
        let request = Packet::HandshakeRequest { major: VERSION_MAJOR, minor: VERSION_MINOR };
        out.send(&request.to_bytes());
    }

    /// An event in its stream.
    #[inline]
    fn heard(&mut self, memory: &mut Memory, heard: Heard, now: Now) -> Step {
        match heard {
            Heard::Known | Heard::New => Step::Go,
            Heard::First => {
                memory.peers.forgive(self.peer);
                Step::Go
            }
            Heard::NewQueue => self.close(memory, Cause::NewQueue, now),
        }
    }

    /// Everything but events.
    fn on_control(
        &mut self,
        memory: &mut Memory,
        packet: Packet<'_>,
        now: Now,
        out: &mut impl Outlet,
    ) -> Step {
        match (packet, &self.phase) {
            (Packet::HandshakeResponse { major, .. }, Phase::Greeting)
                if major != VERSION_MAJOR =>
            {
                return self.close(memory, Cause::Refused { major }, now);
            }
            (Packet::HandshakeResponse { minor, meta_id, mirror_group, .. }, Phase::Greeting) => {
                self.form = Form::of_minor(minor);
                let node = memory.index_of(meta_id);
                self.phase = Phase::Ranging(Greeted { node, mirror_group, minor });
                self.deadline = Some(now.steady + ANSWER_MAX);
                out.send(&Packet::RangeRequest.to_bytes());
            }
            (Packet::Range { next, oldest }, &Phase::Ranging(greeted)) if !self.is_leaving => {
                let stream = Streaming::begin(memory, greeted, (next, oldest), now.steady, out);
                self.phase = Phase::Streaming(stream);
                self.deadline = None;
            }
            (Packet::Close { reason }, _) => return self.close(memory, Cause::Closed(reason), now),
            // What nobody asked for says nothing that is not known.
            _ if self.has_said_ignored => {}
            _ => {
                self.has_said_ignored = true;
                out.say(&Word::Ignored { kind: packet.kind() });
            }
        }
        Step::Go
    }

    /// A packet that cannot be read: unless it came before, it is delivered as it came, and the
    /// connection is made anew.
    fn on_fault(
        &mut self,
        memory: &mut Memory,
        packet: &[u8],
        fault: Fault,
        now: Now,
        out: &mut impl Outlet,
    ) -> Step {
        if fault == Fault::Empty {
            return self.on_end(memory, now);
        }
        let is_first = matches!(self.phase, Phase::Greeting);
        if is_first && V1Packet::matches(packet) && V1Packet::decode(packet).is_ok() {
            self.phase = Phase::Seven(Renderer::new(V7_STREAM, 0));
            self.deadline = None;
            memory.peers.forgive(self.peer);
            out.say(&Word::Seven);
            return self.on_seven(memory, packet, false, now, out);
        }
        let reason = fault.to_string();
        let unreadable = Unreadable { raw: packet, reason: &reason, now: now.unix, count: 0 };
        let event = &mut self.event;
        let heard = match &mut self.phase {
            Phase::Streaming(stream) => stream.unreadable(memory, unreadable, event, out),
            Phase::Ranging(greeted) => {
                deliver_unplaced(memory, Some(*greeted), unreadable, event, out)
            }
            _ => deliver_unplaced(memory, None, unreadable, event, out),
        };
        match heard {
            Heard::Known => return Step::Go,
            Heard::NewQueue => return self.close(memory, Cause::NewQueue, now),
            Heard::First => memory.peers.forgive(self.peer),
            Heard::New => {}
        }
        out.say(&Word::Unreadable(fault));
        self.close(memory, Cause::Broken(fault), now)
    }

    /// A packet of BeeGFS 7. One that cannot be read is delivered as it came, and the connection goes on:
    /// such a server keeps nothing that could be asked for again.
    fn on_seven(
        &mut self,
        memory: &mut Memory,
        packet: &[u8],
        is_cut: bool,
        now: Now,
        out: &mut impl Outlet,
    ) -> Step {
        let Phase::Seven(renderer) = &self.phase else { return Step::Go };
        let decoded = if is_cut { Err(Fault::Truncated) } else { V1Packet::decode(packet) };
        match decoded {
            _ if packet.is_empty() => return self.on_end(memory, now),
            Ok(fields) => {
                if let Some(gap) = memory.sevens.gap(self.peer, &fields) {
                    out.describe(V7_STREAM, memory.sevens.context());
                    out.note(&gap);
                }
                renderer.v1(memory.sevens.number(), &fields, now.unix, &mut self.event);
            }
            Err(fault) => {
                let reason = fault.to_string();
                let unreadable =
                    Unreadable { raw: packet, reason: &reason, now: now.unix, count: 0 };
                let place = Some(memory.sevens.number());
                renderer.unreadable(place, &unreadable, &mut self.event);
                out.say(&Word::Unreadable(fault));
            }
        }
        out.event(&mut self.event);
        Step::Go
    }

    fn close(&mut self, memory: &mut Memory, cause: Cause, now: Now) -> Step {
        let cause = match cause {
            Cause::Gone | Cause::Late | Cause::Closed(CloseReason::Acknowledged)
                if self.is_leaving =>
            {
                Cause::Goodbye
            }
            cause => cause,
        };
        let phase = std::mem::replace(&mut self.phase, Phase::Over);
        self.deadline = None;
        let weight = match (cause.weight(), &phase) {
            (Weight::Soft, Phase::Seven(_)) => Weight::None,
            (Weight::Soft, Phase::Streaming(stream)) => stream.ended(memory, cause, now.steady),
            (weight, _) => weight,
        };
        let wait = memory.peers.ended(self.peer, weight, now.steady);
        Step::Close(End { cause, wait })
    }
}
