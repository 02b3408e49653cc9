//! How far the source's streams are written, and how far the written is consumed.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::notes::{Note, Notes};
use super::options::Options;
use super::place::Place;
use super::queue::{Queue, Refusal, is_link_name};
use super::source::{Failure, Resume};
use super::state::{Keeper, Stream, Streams, starts};
use crate::event::{Event, Position};

/// Positions are saved this often: what was delivered after the last time comes again after a crash.
const SAVE_EVERY: Duration = Duration::from_millis(800);

/// Looking for what is not consumed, and saving it, each take at most one part in this many of the time.
const COST_PART: u32 = 20;

/// However long saving takes, it is done again after this.
const SAVE_PAUSE_MAX: Duration = Duration::from_secs(10);

/// Queues up to this depth are listed whole where their oldest events do not say it all, to see whether
/// consumers have others in hand. In deeper ones what was not consumed before counts as not consumed still.
const COUNTED_MAX: u64 = 50_000;

/// The stream and position that a file name stands for.
pub(super) type Locate<'a> = dyn Fn(&str) -> Option<(u64, u64)> + 'a;

/// How long something took, this time and the time before.
///
/// The shorter counts: a disk that stalls once for seconds is no reason to save nothing for minutes.
#[derive(Clone, Copy, Debug, Default)]
struct Cost {
    now: Duration,
    before: Duration,
}

impl Cost {
    fn add(&mut self, took: Duration) {
        *self = Self { now: took, before: self.now };
    }

    /// How long to wait with the next.
    fn pause(self) -> Duration {
        self.now.min(self.before) * COST_PART
    }
}

#[derive(Debug)]
pub(super) struct Progress {
    keeper: Keeper,
    /// As far as it is written now.
    streams: Streams,
    /// As it was when the queue was looked at last, and saved.
    settled: Streams,
    /// The first event taken of every stream of which none is settled as written: should the queue go, or
    /// we end, the source is still where it was before us.
    first: BTreeMap<u64, u64>,
    /// A stream of which [`Progress::take`] needs to know nothing more.
    taken: Option<u64>,
    notes: Notes,
    /// Those that were in files are lost with their queue.
    notes_lost: bool,
    /// Reached, but something before it is on its way to another place.
    held: Vec<Position>,
    starts: Vec<Resume>,
    /// Token of every queue that is written to: the next mount may give the same numbers to another one.
    tokens: Vec<String>,
    due: Option<Instant>,
    last: Option<Instant>,
    looking: Cost,
    saving: Cost,
    /// Something is not saved.
    dirty: bool,
    failing: bool,
}

impl Progress {
    /// Reads what was saved.
    ///
    /// # Errors
    /// A state that cannot be read.
    pub(super) fn load(options: &Options, places: &[Place]) -> Result<Self, Failure> {
        let keeper = Keeper::new(options.source, &options.name, options.state.clone());
        let (streams, notes, alive) = keeper.load(&queues(places))?;
        let never_written = streams.iter().filter(|(_, stream)| stream.written.is_none());
        let first =
            never_written.filter_map(|(number, s)| Some((*number, s.unconsumed?))).collect();
        let mut progress = Self {
            keeper,
            starts: starts(&streams, alive),
            first,
            taken: None,
            notes: Notes::new(notes),
            notes_lost: !alive,
            settled: streams.clone(),
            streams,
            held: Vec::new(),
            tokens: Vec::new(),
            // What was consumed while there was no tap.
            due: Some(Instant::now()),
            last: None,
            looking: Cost::default(),
            saving: Cost::default(),
            dirty: false,
            failing: false,
        };
        progress.know(&queues(places));
        progress.notes.go_back(&progress.starts, alive);
        if !alive {
            // What was in the queue comes again, and counts as consumed by nobody until then.
            progress.go_back_to_starts();
        }
        Ok(progress)
    }

    pub(super) fn starts(&self) -> &[Resume] {
        &self.starts
    }

    pub(super) fn describe(&mut self, stream: u64, context: Value) {
        // A position that is saved before the next look is worth nothing without it.
        let settled = self.settled.entry(stream).or_default();
        if settled.written.is_none() {
            settled.context.clone_from(&context);
        }
        let stream = self.streams.entry(stream).or_default();
        if stream.context != context {
            stream.context = context;
            self.wake();
        }
    }

    /// An event at this position is in our hands. True for the first of a stream: [`Progress::begin`]
    /// before it is written.
    #[inline]
    #[must_use]
    pub(super) fn take(&mut self, position: Position) -> bool {
        if self.taken == Some(position.stream) {
            return false;
        }
        self.taken = Some(position.stream);
        let settled = self.settled.get(&position.stream);
        if settled.is_some_and(|settled| settled.written.is_some()) {
            return false;
        }
        let Entry::Vacant(entry) = self.first.entry(position.stream) else { return false };
        entry.insert(position.at);
        self.streams.entry(position.stream).or_default();
        self.dirty = true;
        self.due = Some(Instant::now());
        true
    }

    /// Saves that a stream has begun: without that, a tap that was killed would not know that it missed
    /// something.
    pub(super) fn begin(&mut self, places: &[Place]) {
        let queues = queues(places);
        // If one is gone that will be noticed by the writing, and what we have in memory counts.
        if self.are_ours(&queues) {
            self.write(&queues);
        }
    }

    /// A note is on its way.
    pub(super) fn note(&mut self, note: &Event, position: Option<Position>) {
        self.notes.add(note, position);
    }

    /// A note, by its name, is in this file.
    pub(super) fn noted(&mut self, name: &str, file: &str) {
        self.notes.written(name, file);
        self.wake();
    }

    /// Notes that went with their queue; with `pending` those too that were on their way.
    pub(super) fn notes_to_tell(&mut self, pending: bool) -> Vec<Note> {
        let lost = std::mem::take(&mut self.notes_lost);
        self.notes.pick(lost, pending)
    }

    /// Lines with these positions are in their queue. `alone`: nothing earlier is on its way elsewhere.
    pub(super) fn reach(&mut self, positions: Vec<Position>, alone: bool) {
        self.held.extend(positions);
        if alone {
            self.all_clear();
        }
    }

    /// Nothing is on its way.
    pub(super) fn all_clear(&mut self) {
        let held = std::mem::take(&mut self.held);
        self.advance(held);
    }

    /// These positions are done with.
    pub(super) fn advance(&mut self, positions: impl IntoIterator<Item = Position>) {
        let (mut any, mut new) = (false, false);
        for position in positions {
            // Where it was not taken before, its first line is written already.
            let _ = self.take(position);
            let stream = self.streams.entry(position.stream).or_default();
            new |= stream.written.is_none();
            stream.written = Some(position);
            any = true;
        }
        if any {
            self.wake();
        }
        if new {
            self.due = Some(Instant::now());
        }
    }

    fn wake(&mut self) {
        self.dirty = true;
        if self.due.is_none() {
            let now = Instant::now();
            self.due = Some(self.last.map_or(now, |last| (last + SAVE_EVERY).max(now)));
        }
    }

    /// When to save next.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Looks what is not consumed, and saves.
    ///
    /// # Errors
    /// When a queue is gone; nothing changes then.
    pub(super) fn settle(&mut self, places: &[Place], locate: &Locate<'_>) -> Result<(), Refusal> {
        let begun = Instant::now();
        let queues = queues(places);
        if !self.are_ours(&queues) {
            return Err(Refusal::Gone);
        }
        let unconsumed =
            |streams: &Streams| streams.values().map(|s| s.unconsumed).collect::<Vec<_>>();
        let before = unconsumed(&self.streams);
        let streams = self.streams.clone();
        if self.look(&queues, locate).is_err() {
            // Nothing is known of what is consumed: what was saved stays, until it can be looked at.
            self.due = Some(Instant::now() + SAVE_EVERY);
            return Ok(());
        }
        if !self.are_ours(&queues) {
            // It ended while it was listed, and an ended queue is empty.
            self.streams = streams;
            return Err(Refusal::Gone);
        }
        let looked = Instant::now();
        self.looking.add(looked - begun);
        if self.dirty || self.failing || before != unconsumed(&self.streams) {
            self.save(&queues);
        }
        self.saving.add(looked.elapsed());
        self.last = Some(Instant::now());
        let outstanding = self.streams.values().any(|stream| stream.unconsumed.is_some())
            || !self.notes.is_empty();
        let wait =
            self.looking.pause().max(self.saving.pause().min(SAVE_PAUSE_MAX)).max(SAVE_EVERY);
        self.due = (outstanding || self.failing).then(|| Instant::now() + wait);
        Ok(())
    }

    fn save(&mut self, queues: &[&Queue]) {
        self.dirty = false;
        // For a queue that goes while we live, memory will do.
        self.settled = self.streams.clone();
        let settled = &self.settled;
        let is_written =
            |number: &u64| settled.get(number).is_some_and(|s: &Stream| s.written.is_some());
        self.first.retain(|number, _| !is_written(number));
        self.write(queues);
    }

    /// Saves what is settled.
    fn write(&mut self, queues: &[&Queue]) {
        match self.keeper.save(queues, &self.with_first(), &self.notes) {
            Ok(()) => {
                if self.failing {
                    log::info!("positions are saved again");
                }
                self.failing = false;
            }
            Err(failure) => {
                if !self.failing {
                    log::error!("{failure}: positions are not saved");
                }
                self.failing = true;
            }
        }
    }

    /// What is settled, and where streams begin of which nothing is.
    fn with_first(&self) -> Streams {
        let mut streams = self.settled.clone();
        for (number, at) in &self.first {
            let stream = streams.entry(*number).or_default();
            if stream.written.is_none() {
                stream.unconsumed = Some(*at);
            }
        }
        streams
    }

    /// Whether all queues are there, and those that they were.
    fn are_ours(&self, queues: &[&Queue]) -> bool {
        let is_ours = |(queue, token): (&&Queue, &String)| {
            queue.is_there() && self.keeper.present_token(queue) == *token
        };
        queues.iter().zip(&self.tokens).all(is_ours)
    }

    /// The queues are these from now on.
    pub(super) fn know(&mut self, queues: &[&Queue]) {
        self.tokens = queues.iter().map(|queue| self.keeper.token(queue)).collect();
    }

    /// The oldest event of every stream that is still in a queue.
    ///
    /// # Errors
    /// When a queue cannot be listed; nothing changes then.
    fn look(&mut self, queues: &[&Queue], locate: &Locate<'_>) -> std::io::Result<()> {
        let mut oldest: BTreeMap<u64, u64> = BTreeMap::new();
        let (mut is_held, mut is_cut) = (false, false);
        let mut without = self.notes.files();
        for queue in queues {
            let mut wanted = self.outstanding();
            let mut see = |name: &str| {
                without.remove(name);
                if let Some((stream, at)) = locate(name) {
                    let known = oldest.entry(stream).or_insert(at);
                    *known = at.min(*known);
                    wanted.retain(|number| *number != stream);
                }
                wanted.is_empty()
            };
            // In a queue the first that is met is the oldest; elsewhere there is no order.
            if let Some((names, is_all)) = queue.oldest() {
                let mut all_seen = false;
                names.iter().for_each(|name| all_seen = see(name));
                is_cut |= !is_all;
                if is_all || all_seen {
                    continue;
                }
            }
            let (depth, mut visible) = (queue.depth(), 0);
            queue.names(|name| {
                if is_link_name(name) {
                    return true;
                }
                visible += u64::from(!name.starts_with('.'));
                !(see(name) && queue.is_ordered() && depth > COUNTED_MAX)
            })?;
            is_held |= depth > visible;
        }
        if !is_cut && !is_held && self.notes.consumed(&without) {
            self.dirty = true;
        }
        for (number, stream) in &mut self.streams {
            let written = stream.written.map(|position| position.at);
            let seen =
                oldest.get(number).copied().filter(|at| written.is_some_and(|last| *at <= last));
            // What a consumer has in hand is not listed and not consumed: nothing before it is known.
            let settled = self.settled.get(number);
            let first = self.first.get(number).copied();
            let before = || {
                let next = settled.and_then(|settled| settled.written).map(|p| p.next);
                settled.and_then(|settled| settled.unconsumed).or(next).or(first)
            };
            let known = if is_held { before() } else { None };
            let known = known.filter(|at| written.is_some_and(|last| *at <= last));
            stream.unconsumed = [seen, known].into_iter().flatten().min();
        }
        Ok(())
    }

    /// Streams of which something may be in a queue.
    fn outstanding(&self) -> Vec<u64> {
        let moved = |(number, stream): &(&u64, &Stream)| {
            let settled = self.settled.get(number);
            stream.unconsumed.is_some()
                || settled.and_then(|settled| settled.written) != stream.written
        };
        self.streams.iter().filter(moved).map(|(number, _)| *number).collect()
    }

    /// The queue is gone: the streams stand where it was looked at last.
    pub(super) fn go_back(&mut self, places: &[Place]) {
        self.know(&queues(places));
        self.held.clear();
        self.starts = starts(&self.with_first(), false);
        self.streams = self.settled.clone();
        self.taken = None;
        self.notes.go_back(&self.starts, false);
        self.notes_lost = true;
        self.go_back_to_starts();
    }

    fn go_back_to_starts(&mut self) {
        for stream in self.streams.values_mut() {
            if let (Some(at), Some(written)) = (stream.unconsumed, &mut stream.written) {
                // What is saved from here on must not be ahead of what comes again.
                *written = Position { at: at.saturating_sub(1), next: at, mark: 0, ..*written };
                stream.unconsumed = None;
            }
        }
        self.settled = self.streams.clone();
    }
}

fn queues(places: &[Place]) -> Vec<&Queue> {
    places.iter().flat_map(|place| &place.queues).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_long_time_is_no_reason_to_pause_two_are() {
        let seconds = Duration::from_secs;
        let mut cost = Cost::default();
        cost.add(seconds(5));
        assert_eq!(cost.pause(), Duration::ZERO);
        cost.add(seconds(4));
        assert_eq!(cost.pause(), seconds(80));
        cost.add(Duration::from_millis(1));
        assert_eq!(cost.pause(), Duration::from_millis(20));
        cost.add(seconds(5));
        assert_eq!(cost.pause(), Duration::from_millis(20));
    }
}
