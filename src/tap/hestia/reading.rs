//! Bytes through splitter and decoder into the sink: what files and flowing feeds have in common.

use std::time::{Duration, Instant};

use crate::decode::hestia::{Decoder, Splitter, Stand};
use crate::event::UnixNanos;
use crate::sys::clock;
use crate::tap::sink::Sink;

use super::arrivals::Arrivals;

/// Bytes read at once.
pub(super) const PIECE_BYTES: usize = 64 << 10;

/// Pieces read in one turn.
pub(super) const TURN_PIECES: usize = 16;

/// How long a deletion waits for the other half of a move: both are written in one go.
const MOVE_WAIT: Duration = Duration::from_millis(50);

/// One stream of documents on its way.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) splitter: Splitter,
    pub(super) decoder: Decoder,
    pub(super) stand: Stand,
    /// Offset behind the last document that was taken.
    pub(super) settled: u64,
    /// When a deletion that is held back is let go.
    pub(super) release_at: Option<Instant>,
    /// When documents arrived that come again.
    pub(super) arrivals: Arrivals,
}

impl Reading {
    pub(super) fn new(splitter: Splitter, decoder: Decoder, stand: Stand) -> Self {
        let settled = splitter.end();
        let arrivals = Arrivals::default();
        Self { splitter, decoder, stand, settled, release_at: None, arrivals }
    }

    /// Takes bytes.
    pub(super) fn push(&mut self, bytes: &[u8], sink: &mut Sink) {
        let now = UnixNanos(clock::wall_ns());
        self.splitter.push(bytes);
        while let Some(document) = self.splitter.next() {
            self.settled = document.end;
            let arrived = self.arrivals.take(document.start).unwrap_or(now);
            self.decoder.take(&document, self.stand, arrived, &mut |event| sink.offer(event));
        }
        self.mind();
    }

    /// The input has ended: what it leaves is a document or the broken start of one.
    pub(super) fn finish(&mut self, sink: &mut Sink) {
        let now = UnixNanos(clock::wall_ns());
        if let Some(document) = self.splitter.finish() {
            self.settled = document.end;
            self.decoder.take(&document, self.stand, now, &mut |event| sink.offer(event));
        }
        self.release(sink);
    }

    /// What was held is gone for ever.
    pub(super) fn abandon(&mut self, sink: &mut Sink) {
        let now = UnixNanos(clock::wall_ns());
        if let Some(document) = self.splitter.abandon() {
            self.decoder.take(&document, self.stand, now, &mut |event| sink.offer(event));
        }
        self.release(sink);
    }

    /// Lets go of a deletion that is held back.
    pub(super) fn release(&mut self, sink: &mut Sink) {
        self.decoder.release(&mut |event| sink.offer(event));
        self.release_at = None;
    }

    /// Lets go of it if its time is over.
    pub(super) fn release_late(&mut self, sink: &mut Sink) {
        if self.release_at.is_some_and(|at| at <= Instant::now()) {
            self.release(sink);
        }
    }

    fn mind(&mut self) {
        let until = || Instant::now() + MOVE_WAIT;
        self.release_at = self.decoder.is_holding().then(|| self.release_at.unwrap_or_else(until));
    }
}
