//! Events as they come.

use std::time::Duration;

use super::super::payload::FLAG_SECONDARY;
use super::super::{
    CloseReason, Fault, Form, Packet, Payload, Renderer, Unreadable, digest, message_number,
};
use super::Greeted;
use super::memory::Memory;
use super::node::{Begin, Node, Weighed};
use super::outlet::{Cause, Dropped, Outlet, Word};
use super::peers::Weight;
use crate::event::Event;

/// A stream that stood for so long was a good one, events or not.
const GOOD_STREAM_MIN: Duration = Duration::from_secs(10);

/// How far ahead of what is expected the number of a broken packet can be believed: events are left out
/// one by one.
const BROKEN_AHEAD_MAX: u64 = 1024;

/// What an event was to us.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Heard {
    /// The first new one of this connection.
    First,
    /// A new one.
    New,
    /// Nothing new.
    Known,
    /// It shows that the queue is another one.
    NewQueue,
}

/// A connection whose server sends events.
#[derive(Debug)]
pub(super) struct Streaming {
    /// Index in the memory.
    node: usize,
    renderer: Renderer,
    /// Up to where the server had events when the stream began, not included.
    next: u64,
    oldest: u64,
    since: Duration,
    /// Number and digest that the next event has to have.
    overlap: Option<(u64, u64)>,
    /// Whether anything new came.
    has_progress: bool,
}

impl Streaming {
    /// The server has told what it has: asks for events. Not to be followed by another request for the
    /// range, which would move the server's reader.
    pub(super) fn begin(
        memory: &mut Memory,
        greeted: Greeted,
        (next, oldest): (u64, u64),
        now: Duration,
        out: &mut impl Outlet,
    ) -> Self {
        let from = memory.settings.from;
        let node = memory.node(greeted.node);
        let Begin { start, is_overlap, reset, gap } = node.begin(next, oldest, from);
        for note in reset.iter().chain(&gap) {
            out.note(note);
        }
        let (meta_id, minor) = (node.meta_id, greeted.minor);
        out.say(&Word::Started { meta_id, minor, start, oldest, next });
        out.send(&Packet::StreamStart { start }.to_bytes());
        Self {
            node: greeted.node,
            renderer: Renderer::new(node.stream(), greeted.mirror_group),
            next,
            oldest,
            since: now,
            overlap: node.last().filter(|_| is_overlap),
            has_progress: false,
        }
    }

    /// An event.
    #[inline]
    pub(super) fn message(
        &mut self,
        memory: &mut Memory,
        form: Form,
        msn: u64,
        payload: &[u8],
        event: &mut Event,
        out: &mut impl Outlet,
    ) -> Result<Heard, Fault> {
        let skip_secondary = memory.settings.skip_secondary;
        let node = memory.node(self.node);
        if node.stream() != self.renderer.stream() {
            // Another connection of the same node has noticed it.
            return Ok(Heard::NewQueue);
        }
        let mark = digest(payload);
        if let Some(last) = self.overlap.take()
            && node.last() == Some(last)
        {
            if last == (msn, mark) {
                out.dropped(Dropped::Overlap);
                return Ok(Heard::Known);
            }
            if !node.is_doubtful {
                out.note(&node.is_another_queue(self.oldest));
                return Ok(Heard::NewQueue);
            }
            if last.0 == msn && Payload::decode(payload, form).is_err() {
                // Once more was enough.
                node.pass(msn);
                out.dropped(Dropped::Overlap);
                return Ok(Heard::Known);
            }
            if last.0 == msn {
                // It was damaged on its way and is whole now.
                node.take_back(msn);
            }
        }
        let hole = match node.weigh(msn) {
            Weighed::Duplicate => {
                out.dropped(Dropped::Duplicate);
                return Ok(Heard::Known);
            }
            Weighed::New => None,
            Weighed::Hole(note) => Some(note),
        };
        let fields = Payload::decode(payload, form)?;
        if let Some(note) = hole {
            out.note(&note);
        }
        node.accept(msn, mark);
        if skip_secondary && fields.flags & FLAG_SECONDARY != 0 {
            out.dropped(Dropped::Secondary);
        } else {
            self.renderer.event(msn, &fields, mark, event);
            out.event(event);
        }
        Ok(self.progress())
    }

    /// A packet that cannot be read. With the number that is waited for it is delivered in that place, and
    /// asked for once more: the same bytes are passed over then, and an event that was only damaged on its
    /// way is delivered too. Any other number may be damaged like the rest and is believed only when the
    /// same packet comes a second time, from the server's queue.
    pub(super) fn unreadable(
        &mut self,
        memory: &mut Memory,
        unreadable: Unreadable<'_>,
        event: &mut Event,
        out: &mut impl Outlet,
    ) -> Heard {
        let node = memory.node(self.node);
        if node.stream() != self.renderer.stream() {
            return Heard::NewQueue;
        }
        let mark = digest(unreadable.raw);
        let msn = message_number(unreadable.raw);
        let overlap = self.overlap.take().filter(|&last| node.last() == Some(last));
        if let Some((last, _)) = overlap.filter(|_| node.is_doubtful) {
            // Once more was enough.
            node.pass(last);
            if msn == Some(last) {
                out.dropped(Dropped::Overlap);
                return Heard::Known;
            }
        }
        if overlap.is_none() && msn == Some(node.expected()) {
            let place = node.expected();
            node.accept_unreadable(place, mark);
            // Saved without a mark: a tap that is started anew does not look for these bytes again.
            self.renderer.unreadable(Some(place), &unreadable, event);
            out.event(event);
            self.has_progress = true;
            return Heard::First;
        }
        let heard = deliver_junk(memory, (&self.renderer, self.node), unreadable, event, out);
        if heard == Heard::Known {
            self.pass_over(memory.node(self.node), msn, out);
        }
        heard
    }

    /// The stream goes on behind a packet that came and was delivered before.
    fn pass_over(&mut self, node: &mut Node, msn: Option<u64>, out: &mut impl Outlet) {
        let Some(msn) = msn else { return };
        if let Weighed::Hole(note) = node.weigh(msn)
            && msn - node.expected() <= BROKEN_AHEAD_MAX
        {
            out.note(&note);
            node.pass(msn);
            self.has_progress = true;
        }
    }

    /// The server is gone or has closed; returns how bad that is.
    pub(super) fn ended(&self, memory: &mut Memory, cause: Cause, now: Duration) -> Weight {
        let node = memory.node(self.node);
        let is_good = self.has_progress || now.saturating_sub(self.since) >= GOOD_STREAM_MIN;
        if cause != Cause::NewQueue && !self.has_progress && node.stream() == self.renderer.stream()
        {
            let is_told = cause == Cause::Closed(CloseReason::StreamCrashed);
            node.ended_early(self.next, is_told);
        }
        if is_good { Weight::None } else { Weight::Soft }
    }

    #[inline]
    fn progress(&mut self) -> Heard {
        if std::mem::replace(&mut self.has_progress, true) { Heard::New } else { Heard::First }
    }
}

/// A packet that cannot be read and belongs to no stream yet.
pub(super) fn deliver_unplaced(
    memory: &mut Memory,
    greeted: Option<Greeted>,
    unreadable: Unreadable<'_>,
    event: &mut Event,
    out: &mut impl Outlet,
) -> Heard {
    if let Some(greeted) = greeted {
        let renderer = Renderer::new(memory.node(greeted.node).stream(), greeted.mirror_group);
        return deliver_junk(memory, (&renderer, greeted.node), unreadable, event, out);
    }
    let count = memory.count_unplaced();
    Unreadable { count, ..unreadable }.render(event);
    out.event(event);
    Heard::New
}

/// A packet from a known node that cannot be read and has no place. The same one a second time is passed
/// over (`Heard::Known`): packets keep their bounds, and what was to come instead of it shows as a gap.
fn deliver_junk(
    memory: &mut Memory,
    (renderer, node): (&Renderer, usize),
    unreadable: Unreadable<'_>,
    event: &mut Event,
    out: &mut impl Outlet,
) -> Heard {
    let mark = digest(unreadable.raw);
    if memory.node(node).broken.replace(mark) == Some(mark) {
        out.dropped(Dropped::Duplicate);
        return Heard::Known;
    }
    let count = memory.count_unplaced();
    renderer.unreadable(None, &Unreadable { count, ..unreadable }, event);
    out.event(event);
    Heard::New
}
