//! Where events go: filtered, turned into lines, gathered, written, counted, and never lost silently.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::batch::BATCH_BYTES_MAX;
use super::counters::Counters;
use super::options::{Form, Options};
use super::place::{Place, Tally};
use super::progress::Progress;
use super::queue::{Making, Queue, Refusal};
use super::rules::Verdict;
use super::source::{Failure, Resume};
use crate::event::json::Object;
use crate::event::{Class, Event, Position, TimeText, UnixNanos, plain_name};
use crate::sys::clock;

/// First and longest wait before a full queue is tried again, and the longest while somebody consumes.
const FULL_WAIT: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(100));
const MOVING_WAIT: Duration = Duration::from_millis(16);

/// A queue that had room so lately is one that somebody consumes.
const MOVING: Duration = Duration::from_secs(2);

/// The same for a queue that is gone.
const GONE_WAIT: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

/// How often a full queue is told of.
const SAY_EVERY: Duration = Duration::from_secs(60);

/// How often counters are shown, at most.
const COUNTERS_EVERY: Duration = Duration::from_millis(500);

/// Room that the counters take at once in the queue's attribute.
const COUNTERS_ROOM: usize = 256;

/// Why nothing is written just now.
#[derive(Debug)]
struct Stall {
    gone: bool,
    retry: Instant,
    wait: Duration,
    /// When something could be written last.
    moved: Instant,
}

/// Records that are lost and not yet told.
#[derive(Debug)]
struct Missing {
    first: Value,
    last: Value,
    count: u64,
    source: String,
    reason: &'static str,
}

/// Where a tap's events go.
#[derive(Debug)]
pub struct Sink {
    options: Options,
    places: Vec<Place>,
    progress: Progress,
    counters: Counters,
    backlog: VecDeque<Event>,
    backlog_bytes: usize,
    /// Events in it that are no notes.
    backlog_records: u64,
    /// The source stops by itself.
    is_bounded: bool,
    stall: Option<Stall>,
    /// The stall that is being tried to end.
    tried: Option<Stall>,
    said: Option<Instant>,
    missing: Option<Missing>,
    notes: u64,
    times: TimeText,
    shown: (Counters, Option<Instant>),
}

impl Sink {
    /// Finds or makes the queues and reads where the tap stood.
    ///
    /// # Errors
    /// A queue that cannot be made or written, a state that cannot be read.
    pub fn open(options: Options) -> Result<Self, Failure> {
        let making = Making { sticky: options.sticky, shared: options.shared };
        let open = |paths: &Vec<std::path::PathBuf>| {
            let queues: Result<Vec<Queue>, Failure> =
                paths.iter().map(|path| Queue::prepare(path, making)).collect();
            queues.map(Place::new)
        };
        let places = options.places.iter().map(open).collect::<Result<Vec<Place>, Failure>>()?;
        let progress = Progress::load(&options, &places)?;
        let mut sink = Self {
            options,
            places,
            progress,
            counters: Counters::default(),
            backlog: VecDeque::new(),
            backlog_bytes: 0,
            backlog_records: 0,
            is_bounded: false,
            stall: None,
            tried: None,
            said: None,
            missing: None,
            notes: 0,
            times: TimeText::default(),
            shown: (Counters::default(), None),
        };
        sink.show_counters(Instant::now());
        sink.tell_again(true);
        Ok(sink)
    }

    /// How it delivers.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Where the streams are to be read from.
    pub fn starts(&self) -> &[Resume] {
        self.progress.starts()
    }

    /// What the source wants to know of a stream when it is resumed; saved with its positions.
    pub fn describe(&mut self, stream: u64, context: Value) {
        self.progress.describe(stream, context);
    }

    /// Whether an event that is offered now goes its way at once. A source whose other side keeps what
    /// is not read stops reading while this is false.
    pub fn ready(&self) -> bool {
        self.stall.is_none() && self.backlog.is_empty()
    }

    /// Whether an event of so many bytes that is offered now is kept, at once or in the backlog; for
    /// sources that can say no to the other side.
    pub fn has_room(&self, bytes: usize) -> bool {
        let bytes = bytes + size_of::<Event>();
        self.ready()
            || (self.backlog.len() < self.options.backlog_events
                && self.backlog_bytes + bytes <= self.options.backlog_bytes)
    }

    /// Takes an event: it is counted, filtered, and written or kept. The event is emptied.
    ///
    /// A note without a name gets one, and without a time the present one.
    pub fn offer(&mut self, event: &mut Event) {
        match event.class {
            Class::Note => self.name_note(event),
            Class::Unreadable => {
                self.counters.received += 1;
                self.counters.unreadable += 1;
            }
            Class::Record => self.counters.received += 1,
        }
        if event.position.is_some_and(|position| self.progress.take(position)) {
            self.progress.begin(&self.places);
        }
        let verdict = self.options.rules.decide(&event.kind, event.class);
        if event.class == Class::Note && !matches!(verdict, Verdict::Drop) {
            let position = event.position.take();
            self.progress.note(event, position);
        }
        match verdict {
            Verdict::Drop => self.drop_filtered(event),
            Verdict::Place(place) if self.ready() => self.append(place, event),
            Verdict::Place(_) => self.keep(event),
        }
    }

    /// Says something of the tap's own: `kind` is the last word of the type (`gap`, `reset`), `source`
    /// the CloudEvents source, `fill` writes the fields.
    pub fn note(&mut self, kind: &str, source: &str, fill: impl FnOnce(&mut Object<'_>)) {
        let mut event = Event { class: Class::Note, source: source.to_owned(), ..Event::default() };
        event.kind = format!("{}.{kind}", self.options.source);
        let mut object = Object::begin(&mut event.data);
        fill(&mut object);
        object.end();
        self.offer(&mut event);
    }

    /// Records that are no events.
    pub fn ignored(&mut self, count: u64) {
        self.counters.received += count;
        self.counters.ignored += count;
    }

    /// Records that are no events, up to this position: the tap goes on behind it, if nothing before it
    /// is still on its way.
    pub fn passed(&mut self, count: u64, last: Position) {
        self.ignored(count);
        if self.is_clear() {
            self.progress.advance([last]);
        }
    }

    /// Records that were not wanted for a reason of the source's own.
    pub fn filtered(&mut self, count: u64) {
        self.counters.received += count;
        self.counters.filtered += count;
    }

    /// Records that came again and were known by the source itself.
    pub fn duplicate(&mut self, count: u64) {
        self.counters.received += count;
        self.counters.duplicate += count;
    }

    /// Records that were lost before they came here; the source tells the gap.
    pub fn lost(&mut self, count: u64) {
        self.counters.received = self.counters.received.saturating_add(count);
        self.counters.lost = self.counters.lost.saturating_add(count);
    }

    /// What was done so far.
    pub fn counters(&self) -> Counters {
        let waiting: u64 = self.places.iter().map(Place::waiting).sum();
        Counters { backlog: self.backlog_records + waiting, ..self.counters }
    }

    /// The files in the first queue, for a source that answers from them; `see` gets a name and says
    /// whether to go on.
    ///
    /// # Errors
    /// What the system says.
    pub fn names(&self, see: impl FnMut(&str) -> bool) -> std::io::Result<()> {
        match self.places.first().and_then(|place| place.queues.first()) {
            Some(queue) => queue.names(see),
            None => Ok(()),
        }
    }

    fn name_note(&mut self, event: &mut Event) {
        if event.time == UnixNanos(0) {
            event.time = UnixNanos(clock::wall_ns());
        }
        if event.name.is_empty() {
            let source = self.options.source;
            let word = event.kind.rsplit('.').next().unwrap_or_default();
            let identity = format!("{word}-{:020}-{}", event.time.0, self.notes);
            event.name = format!("{source}-{identity}");
            event.id = identity;
            self.notes += 1;
        }
    }

    fn drop_filtered(&mut self, event: &mut Event) {
        match event.class {
            Class::Note => self.progress.noted(&event.name, ""),
            _ => self.counters.filtered += 1,
        }
        // Only where nothing before it is still on its way.
        if self.is_clear()
            && let Some(position) = event.position.filter(|_| event.class != Class::Note)
        {
            self.progress.advance([position]);
        }
        event.clear();
    }

    fn is_clear(&self) -> bool {
        self.ready() && self.places.iter().all(|place| place.batch.is_empty())
    }

    /// Keeps an event in memory, within bounds.
    fn keep(&mut self, event: &mut Event) {
        let bytes = size(event);
        let room = self.backlog.len() < self.options.backlog_events
            && self.backlog_bytes + bytes <= self.options.backlog_bytes;
        // A note is small, rare, and tells a loss; a source that is not read while the queue is full
        // brings what it had in hand and no more.
        if !room && !self.is_bounded && event.class != Class::Note {
            self.lose(event, "backlog full");
            return;
        }
        self.backlog_bytes += bytes;
        self.backlog_records += u64::from(event.class != Class::Note);
        self.backlog.push_back(std::mem::take(event));
    }

    fn lose(&mut self, event: &mut Event, reason: &'static str) {
        self.counters.lost += 1;
        let identity = match event.position {
            Some(position) => Value::from(position.at),
            None => Value::from(std::mem::take(&mut event.id)),
        };
        match &mut self.missing {
            Some(missing) => {
                missing.last = identity;
                missing.count += 1;
            }
            None => {
                let source = std::mem::take(&mut event.source);
                let (first, last) = (identity.clone(), identity);
                self.missing = Some(Missing { first, last, count: 1, source, reason });
            }
        }
        event.clear();
    }

    /// The event's line into the batch of its place.
    fn append(&mut self, number: usize, event: &mut Event) {
        let Some(place) = self.places.get_mut(number) else { return };
        let batch = &mut place.batch;
        match self.options.form {
            Form::CloudEvents => event.write_line(&mut self.times, &mut batch.bytes),
            Form::Raw if !event.raw.is_empty() => batch.bytes.extend_from_slice(&event.raw),
            Form::Bare | Form::Raw => event.write_bare(&mut batch.bytes),
        }
        batch.end_line(&plain_name(&event.name), event.class, event.position);
        if self.options.xattrs {
            batch.describe(attributes(event, &mut self.times));
        }
        event.clear();
        let full = batch.lines.len() >= self.options.batch || batch.bytes.len() >= BATCH_BYTES_MAX;
        if full {
            self.flush_place(number);
        }
    }

    fn flush_place(&mut self, number: usize) {
        let Some(place) = self.places.get_mut(number) else { return };
        let mut tally = Tally::default();
        let flushed = place.flush(self.options.batch, &mut tally);
        self.counters.written += tally.written;
        self.counters.duplicate += tally.duplicate;
        self.counters.notes += tally.notes;
        for _ in 0..tally.too_large {
            let mut event = Event { source: self.options.source.to_owned(), ..Event::default() };
            self.lose(&mut event, "larger than the file system takes");
        }
        let others = self.places.iter().enumerate();
        let alone = others.filter(|(n, _)| *n != number).all(|(_, place)| place.batch.is_empty());
        self.progress.reach(tally.positions, alone);
        for (name, file) in &tally.noted {
            self.progress.noted(name, file);
        }
        match flushed {
            Ok(()) => {}
            Err(refusal) => self.stall(number, &refusal),
        }
    }

    /// Nothing goes on until what failed succeeds.
    fn stall(&mut self, number: usize, refusal: &Refusal) {
        let now = Instant::now();
        let gone = matches!(refusal, Refusal::Gone);
        let (first, longest) = if gone { GONE_WAIT } else { FULL_WAIT };
        let tried = self.tried.as_ref().filter(|tried| tried.gone == gone);
        let moved = tried.map_or(now, |tried| tried.moved);
        let longest = if gone || moved.elapsed() > MOVING { longest } else { MOVING_WAIT };
        let wait = tried.map_or(first, |tried| (tried.wait * 2).min(longest));
        let is_news = tried.is_none() && self.said.is_none_or(|said| said.elapsed() > SAY_EVERY);
        if gone && tried.is_none() || is_news {
            self.say(number, refusal);
            self.said = Some(now);
        }
        self.stall = Some(Stall { gone, retry: now + wait, wait, moved });
    }

    fn say(&self, number: usize, refusal: &Refusal) {
        let path = self.places.get(number).and_then(|place| place.queues.first());
        let path = path.map(|queue| queue.path.display().to_string()).unwrap_or_default();
        match refusal {
            Refusal::Full(error) => {
                log::warn!("{path}: full ({}): waiting for room", crate::sys::plain(error));
            }
            Refusal::Gone => log::warn!("{path}: gone: to be made anew"),
            Refusal::Taken | Refusal::TooLarge => log::warn!("{path}: {refusal:?}"),
            Refusal::Other(error) => {
                log::warn!("{path}: {}: trying again", crate::sys::plain(error));
            }
        }
    }

    /// Writes what is gathered.
    pub(super) fn flush(&mut self) {
        for number in 0..self.places.len() {
            if self.stall.is_some() {
                return;
            }
            self.flush_place(number);
        }
        if self.stall.is_none() {
            self.progress.all_clear();
        }
    }

    /// Lets go of the directories until there is something to write.
    pub(super) fn rest(&mut self) {
        self.places.iter_mut().for_each(Place::rest);
    }

    /// When there is something to do without a word from the source.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let retry = self.stall.as_ref().map(|stall| stall.retry);
        let counters = (self.shown.0 != self.counters())
            .then(|| self.shown.1.map_or_else(Instant::now, |at| at + COUNTERS_EVERY));
        [retry, self.progress.due(), counters].into_iter().flatten().min()
    }

    /// What the time asks for: another try, positions, counters.
    ///
    /// True when the queue had gone and is there again: the source is to be rewound.
    pub(super) fn tick(&mut self, now: Instant, locate: &super::progress::Locate<'_>) -> bool {
        let mut again = false;
        if self.stall.as_ref().is_some_and(|stall| stall.retry <= now) {
            again = self.retry();
        }
        if !again && self.stall.is_none() {
            self.drain();
        }
        let due = self.progress.due().is_some_and(|due| due <= now);
        if due && !again && !self.is_gone() {
            self.settle(locate);
        }
        if self.shown.0 != self.counters()
            && self.shown.1.is_none_or(|at| at + COUNTERS_EVERY <= now)
        {
            self.show_counters(now);
        }
        again
    }

    /// Looks what is consumed, and saves; a queue that is gone is noticed here too.
    fn settle(&mut self, locate: &super::progress::Locate<'_>) {
        if let Err(Refusal::Gone) = self.progress.settle(&self.places, locate) {
            self.stall(0, &Refusal::Gone);
        }
    }

    fn is_gone(&self) -> bool {
        self.stall.as_ref().is_some_and(|stall| stall.gone)
    }

    /// One more try of what failed; true when a queue that was gone is there again.
    fn retry(&mut self) -> bool {
        let was_gone = self.is_gone();
        self.tried = self.stall.take();
        if was_gone && !self.make_again() {
            self.stall(0, &Refusal::Gone);
        } else if !was_gone {
            let before = self.counters().backlog;
            self.drain();
            let moved = before != self.counters().backlog;
            if let Some(stall) = self.stall.as_mut().filter(|_| moved) {
                stall.moved = Instant::now();
                stall.wait = FULL_WAIT.0;
                stall.retry = stall.moved + stall.wait;
            }
        }
        self.tried = None;
        was_gone && self.stall.is_none()
    }

    /// Whether all queues are there, the missing ones made anew.
    fn make_again(&mut self) -> bool {
        let making = Making { sticky: self.options.sticky, shared: self.options.shared };
        self.places.iter_mut().for_each(Place::start_over);
        let mut queues = self.places.iter_mut().flat_map(|place| &mut place.queues);
        queues.all(|queue| queue.is_there() || queue.prepare_again(making).is_ok())
    }

    /// What waits in memory, and then the loss of what did not fit there.
    fn drain(&mut self) {
        if self.tried.is_some() || !self.backlog.is_empty() {
            self.flush();
        }
        while self.stall.is_none() {
            let Some(mut event) = self.backlog.pop_front() else { break };
            self.backlog_bytes -= size(&event);
            self.backlog_records -= u64::from(event.class != Class::Note);
            match self.options.rules.decide(&event.kind, event.class) {
                Verdict::Place(place) => self.append(place, &mut event),
                Verdict::Drop => self.drop_filtered(&mut event),
            }
        }
        if self.stall.is_none()
            && let Some(missing) = self.missing.take()
        {
            self.note("gap", &missing.source, |fields| {
                fields.value("first", &missing.first);
                fields.value("last", &missing.last);
                fields.number("count", missing.count);
                fields.text("reason", missing.reason);
            });
            self.flush();
        }
    }

    /// Tells whether the source stops while [`Sink::ready`] is false.
    pub(super) fn set_bounded(&mut self, is_bounded: bool) {
        self.is_bounded = is_bounded;
    }

    /// Whether something is in memory and in no queue.
    pub(super) fn has_waiting(&self) -> bool {
        !self.is_clear() || self.missing.is_some()
    }

    /// Goes back to where the queue's end left the source; what is in memory comes again.
    pub(super) fn rewind(&mut self) {
        self.counters.received -= self.counters().backlog;
        self.forget();
    }

    /// What was told and went with the queue unconsumed is told again; `all`: what was on its way too.
    pub(super) fn tell_again(&mut self, all: bool) {
        for mut note in self.progress.notes_to_tell(all) {
            note.event.position = note.position;
            self.offer(&mut note.event);
        }
    }

    fn forget(&mut self) {
        self.places.iter_mut().for_each(Place::forget);
        self.backlog.clear();
        (self.backlog_bytes, self.backlog_records) = (0, 0);
    }

    /// For the source that is about to be rewound: [`Sink::starts`] says from where.
    pub(super) fn prepare_rewind(&mut self) {
        self.progress.go_back(&self.places);
    }

    /// What is left in memory at the end is lost, and counted so.
    pub(super) fn give_up(&mut self) {
        let left = self.counters().backlog;
        self.counters.lost += left;
        self.forget();
    }

    /// Saves positions and counters for good.
    pub(super) fn finish(&mut self, locate: &super::progress::Locate<'_>) {
        if !self.is_gone() {
            self.settle(locate);
        }
        self.show_counters(Instant::now());
    }

    /// Counters where `eventfs status` looks for them.
    fn show_counters(&mut self, now: Instant) {
        let counters = self.counters();
        let name = format!("user.tap.{}", self.options.name);
        let queues = self.places.iter().flat_map(|place| &place.queues);
        for queue in queues {
            // A queue without room or a directory without attributes shows none.
            let _ = queue.set_attribute(&name, &counters.to_json(), COUNTERS_ROOM);
        }
        self.shown = (counters, Some(now));
    }
}

/// Bytes that an event takes in memory, about.
fn size(event: &Event) -> usize {
    let texts = [&event.name, &event.id, &event.source, &event.kind, &event.subject];
    let bytes = texts.iter().map(|text| text.len()).sum::<usize>();
    bytes + event.data.len() + event.raw.len() + size_of::<Event>()
}

/// What `--xattrs` sets.
fn attributes(event: &Event, times: &mut TimeText) -> Vec<(&'static str, String)> {
    vec![
        ("user.ce.type", event.kind.clone()),
        ("user.ce.id", event.id.clone()),
        ("user.ce.source", event.source.clone()),
        ("user.ce.time", times.text(event.time).to_owned()),
    ]
}
