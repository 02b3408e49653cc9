//! From what a record says to events in the queue: pairs, floods, look-ups, receivers.

use std::time::Instant;

use serde_json::Value;

use super::lookup::Lookup;
use super::receivers::Receivers;
use super::settings::{Settings, Wanted};
use crate::decode::storage::{
    Collector, Config, Device, Flood, Found, Held, Identity, Maps, Pairs, Parsers, Record, System,
    Uevent, UserRules, Writer, find_uevent,
};
use crate::event::{Class, Event, Position, UnixNanos, json::Object};
use crate::sys::clock;
use crate::tap::sink::Sink;

/// The place of a summary among the events of one record; 2 is a map without paths.
const SUMMARY_PART: u32 = 3;

/// Bytes of a record that an unreadable event shows.
const RAW_MAX: usize = 65_536;

/// Uevents remembered while the queue takes none.
const UNKEPT_MAX: usize = 10_000;

/// What a record is called, and where it stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) number: u64,
    /// The line of a record without a number of its own.
    pub(super) line: Option<u64>,
    pub(super) time: UnixNanos,
    pub(super) position: Option<Position>,
}

/// Everything between the collectors and the sink.
pub(super) struct Pipeline {
    parsers: Parsers,
    systems: Vec<System>,
    synthetic: bool,
    wanted: Wanted,
    pub(super) lookup: Lookup,
    /// Only with two collectors there is something to pair.
    pairs: Option<Pairs>,
    maps: Maps,
    flood: Flood,
    flood_limit: u32,
    writer: Writer,
    receivers: Receivers,
    boot: String,
    source: String,
    /// When the tap began; in the names of lines.
    start: u64,
    /// Whether the kernel log comes as lines.
    as_lines: bool,
    found: Found,
    event: Event,
    /// What nobody keeps for us, offered while it could not be written.
    unkept: Vec<Event>,
    own_notes: u64,
}

impl std::fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pipeline").field("boot", &self.boot).finish_non_exhaustive()
    }
}

/// What does not change while a tap runs.
pub(super) struct Constants {
    pub(super) hostname: String,
    pub(super) boot: String,
    pub(super) salt: [u8; 16],
    pub(super) pairing: bool,
    pub(super) flood: u32,
    pub(super) receivers: Receivers,
}

impl Pipeline {
    pub(super) fn new(settings: &Settings, config: &Config, constants: Constants) -> Self {
        let mut pipeline = Self {
            parsers: Parsers::default(),
            systems: Vec::new(),
            synthetic: false,
            wanted: settings.wanted.clone(),
            lookup: Lookup::new(settings.sysfs.as_deref(), settings.dev.as_deref()),
            pairs: constants.pairing.then(Pairs::default),
            maps: Maps::default(),
            flood: Flood::new(constants.flood),
            flood_limit: constants.flood,
            writer: Writer::new(&constants.hostname, settings.flat, constants.salt),
            receivers: constants.receivers,
            source: format!("/storage/{}", constants.hostname),
            boot: constants.boot,
            start: u64::try_from(clock::wall_ns()).unwrap_or(0),
            as_lines: false,
            found: Found::default(),
            event: Event::default(),
            unkept: Vec::new(),
            own_notes: 0,
        };
        pipeline.configure(settings, config);
        for port in pipeline.lookup.usb_storage() {
            pipeline.parsers.remember_usb(&port);
        }
        // So that a disk that goes is known by its id.
        pipeline.lookup.all();
        pipeline
    }

    /// Takes a configuration, the first or a new one.
    pub(super) fn configure(&mut self, settings: &Settings, config: &Config) {
        let (user, faults) = UserRules::compile(&config.rules);
        for fault in config.warnings.iter().chain(&faults) {
            log::warn!("{}: {fault}", settings.config_name());
        }
        self.parsers.replace(&config.systems, user, settings.raw || config.raw);
        self.systems.clone_from(&config.systems);
        self.synthetic = config.synthetic;
    }

    /// Forgets what was told, since it will be told again.
    pub(super) fn start_over(&mut self) {
        self.pairs = self.pairs.is_some().then(Pairs::default);
        self.maps = Maps::default();
        self.flood = Flood::new(self.flood_limit);
    }

    /// The boot in names.
    pub(super) fn boot(&self) -> &str {
        &self.boot
    }

    /// One event for each block device.
    pub(super) fn dump(&mut self, sink: &mut Sink) {
        for (number, name) in (0u64..).zip(self.lookup.all()) {
            let mut found = Found::default();
            found.event_type.push_str("PERIPETY_BLK_INFO");
            found.subsystem.push_str("block");
            found.device.push_str(&name);
            found.msg.extend_from_slice(format!("found block device {name}").as_bytes());
            found.raw_msg.clone_from(&found.msg);
            let device = self.lookup.device(&found, Instant::now());
            let time = UnixNanos(clock::wall_ns());
            let identity = (Identity::Arrival(self.start, number), 1);
            self.writer.write(&found, &device, identity, time, &mut self.event);
            self.deliver(&found, &device, None, sink);
        }
    }

    /// A record of the kernel log. False if it is no event.
    pub(super) fn record(&mut self, record: &Record<'_>, place: Place, sink: &mut Sink) -> bool {
        self.as_lines = place.line.is_some();
        if record.text.starts_with(b"scsi host") && record.text.ends_with(b": uas") {
            // That driver does not name its port.
            for port in self.lookup.usb_storage() {
                self.parsers.remember_usb(&port);
            }
        }
        let mut found = std::mem::take(&mut self.found);
        let is_event = self.parsers.read(record, &mut found) && !self.is_told(&found);
        if is_event {
            self.tell(&found, place, sink);
        } else {
            self.follow_only(&found, place, sink);
        }
        self.found = found;
        is_event
    }

    /// A uevent. False if it is no event.
    pub(super) fn uevent(&mut self, uevent: Uevent<'_>, place: Place, sink: &mut Sink) -> bool {
        let mut found = std::mem::take(&mut self.found);
        let is_event = find_uevent(uevent, &self.systems, self.synthetic, &mut found);
        let is_new = is_event && !self.is_told(&found);
        if is_event && found.event_type == "BLOCK_DEVICE_ADDED" {
            self.lookup.forget(&found.device);
        }
        if is_new {
            self.tell(&found, place, sink);
        } else if is_event {
            self.follow_only(&found, place, sink);
        }
        if is_event && found.event_type == "BLOCK_DEVICE_REMOVED" {
            self.lookup.forget(&found.device);
        }
        self.found = found;
        is_new
    }

    /// Whether the other collector told the same already.
    fn is_told(&mut self, found: &Found) -> bool {
        let now = UnixNanos(clock::wall_ns());
        self.pairs.as_mut().is_some_and(|pairs| pairs.is_second(found, now))
    }

    /// An event, what it completes, and what was held back before it.
    fn tell(&mut self, found: &Found, place: Place, sink: &mut Sink) {
        let device = self.lookup.device(found, Instant::now());
        let (passes, held) = self.flood.admit(found, place.number, place.time);
        if let Some(held) = held {
            self.summarise(&held, sink);
        }
        let all_down = self.all_down(found, &device);
        if passes {
            let identity = identity(&self.boot, self.start, found.collector, place);
            self.writer.write(found, &device, (identity, 1), place.time, &mut self.event);
            // Only the last event of a record takes the position with it.
            let position = place.position.filter(|_| all_down.is_none());
            self.deliver(found, &device, position, sink);
        } else {
            sink.filtered(1);
        }
        if let Some(found) = all_down {
            self.second(&found, place, sink);
        }
    }

    /// The second half of a pair may still say that no path is left.
    fn follow_only(&mut self, found: &Found, place: Place, sink: &mut Sink) {
        if !found.event_type.starts_with("DM_MPATH_PATH_") {
            return;
        }
        let device = self.lookup.device(found, Instant::now());
        if let Some(found) = self.all_down(found, &device) {
            self.second(&found, place, sink);
        }
    }

    fn second(&mut self, found: &Found, place: Place, sink: &mut Sink) {
        let device = self.lookup.device(found, Instant::now());
        let identity = identity(&self.boot, self.start, found.collector, place);
        self.writer.write(found, &device, (identity, 2), place.time, &mut self.event);
        self.deliver(found, &device, place.position, sink);
    }

    /// The event of a map whose last path is gone with this one.
    fn all_down(&mut self, found: &Found, device: &Device) -> Option<Found> {
        let number = found.fields.text("dm").unwrap_or_default();
        let name = found.fields.text("map").or(device.get("map")).unwrap_or(number);
        let Self { maps, lookup, .. } = self;
        let key = if number.is_empty() { name } else { number };
        if !maps.follow(found, key, || lookup.paths(number)) {
            return None;
        }
        Some(Maps::all_down(found, name, lookup.paths(number)))
    }

    fn summarise(&mut self, held: &Held, sink: &mut Sink) {
        let found = held.summary();
        let device = self.lookup.device(&found, Instant::now());
        let line = self.as_lines.then_some(held.last);
        let place = Place { number: held.last, line, time: held.time, position: None };
        let identity = identity(&self.boot, self.start, found.collector, place);
        self.writer.write(&found, &device, (identity, SUMMARY_PART), held.time, &mut self.event);
        self.event.class = Class::Note;
        self.deliver(&found, &device, None, sink);
    }

    /// What was held back long enough, or with `None` all of it.
    pub(super) fn release(&mut self, now: Option<UnixNanos>, sink: &mut Sink) {
        for held in self.flood.over(now) {
            self.summarise(&held, sink);
        }
    }

    /// Whether something is held back.
    pub(super) fn is_holding(&self) -> bool {
        self.flood.is_holding()
    }

    /// The event that is written, to everybody who wants it.
    fn deliver(
        &mut self,
        found: &Found,
        device: &Device,
        position: Option<Position>,
        sink: &mut Sink,
    ) {
        self.receivers.send(&self.event.data);
        if !self.wanted.takes(found, device) {
            if self.event.class == Class::Record {
                sink.filtered(1);
            }
            self.event.clear();
            return;
        }
        self.event.position = position;
        if found.collector == Collector::Uevent && !sink.ready() && self.unkept.len() < UNKEPT_MAX {
            self.unkept.push(self.event.clone());
        }
        sink.offer(&mut self.event);
    }

    /// Once the queue takes events again nothing is to be remembered; after it was made anew, what was in
    /// memory for the old one comes again.
    pub(super) fn offer_unkept(&mut self, rewound: bool, sink: &mut Sink) {
        if rewound {
            for mut event in std::mem::take(&mut self.unkept) {
                sink.offer(&mut event);
            }
        } else if sink.ready() {
            self.unkept.clear();
        }
    }

    /// A record that could not be read.
    pub(super) fn unreadable(
        &mut self,
        raw: &[u8],
        reason: &str,
        of: Collector,
        line: u64,
        sink: &mut Sink,
    ) {
        let event = &mut self.event;
        event.clear();
        match of {
            Collector::Kmsg => Identity::Line(self.start, line).write(1, event),
            Collector::Uevent => {
                self.own_notes += 1;
                let now = u64::try_from(clock::wall_ns()).unwrap_or(0);
                Identity::Arrival(now, self.own_notes).write(1, event);
            }
        }
        event.source.push_str(&self.source);
        event.kind.push_str("storage.unreadable");
        event.class = Class::Unreadable;
        event.time = UnixNanos(clock::wall_ns());
        let mut object = Object::begin(&mut event.data);
        object.text("reason", reason);
        object.base64("raw_base64", raw.get(..RAW_MAX).unwrap_or(raw));
        object.raw_text("collector", if of == Collector::Kmsg { "kmsg" } else { "udev" });
        object.number("position", line);
        object.end();
        sink.offer(event);
    }

    /// Records that are missing.
    pub(super) fn gap(&self, missing: &Missing, sink: &mut Sink) {
        sink.note("gap", &self.source, |fields| {
            let mut put = |name: &str, value: Option<u64>| match value {
                Some(value) => fields.number(name, value),
                None => fields.null(name),
            };
            put("first", missing.first);
            put("last", missing.last);
            put("count", missing.count);
            fields.text("reason", missing.reason);
            fields.text("collector", missing.collector);
            fields.text("boot", &self.boot);
        });
    }

    /// What did not reach the receivers.
    pub(super) fn tell_lost(&mut self, sink: &mut Sink) {
        for (receiver, lost) in self.receivers.take_lost() {
            sink.note("gap", &self.source, |fields| {
                fields.value("first", &Value::Null);
                fields.value("last", &Value::Null);
                fields.number("count", lost.count);
                fields.text("reason", &lost.reason);
                fields.text("receiver", &receiver);
            });
        }
    }
}

/// Records that are missing, as far as it is known which.
#[derive(Debug)]
pub(super) struct Missing {
    pub(super) first: Option<u64>,
    pub(super) last: Option<u64>,
    pub(super) count: Option<u64>,
    pub(super) reason: &'static str,
    pub(super) collector: &'static str,
}

fn identity(boot: &str, start: u64, collector: Collector, place: Place) -> Identity<'_> {
    match (collector, place.line) {
        (Collector::Uevent, _) => Identity::Uevent(boot, place.number),
        (Collector::Kmsg, Some(line)) => Identity::Line(start, line),
        (Collector::Kmsg, None) => Identity::Record(boot, place.number),
    }
}
