//! The kernel log and uevents as a source of events.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::kmsg::{self, Kmsg};
use super::pipeline::{Constants, Missing, Pipeline, Place};
use super::receivers::Receivers;
use super::settings::{From, Settings};
use super::uevents::{self, Uevents};
use crate::decode::storage::{Collector, Config, Form, Uevent, read_record};
use crate::event::{Position, UnixNanos};
use crate::sys::{clock, plain};
use crate::tap::sink::Sink;
use crate::tap::source::{self, Failure, Flow, Resume, Source, Start, Wait};

/// The device of the kernel log.
const KMSG: &str = "/dev/kmsg";

/// Records taken in one turn.
const TURN_RECORDS: usize = 512;

/// How soon to look whether a full queue has room again.
const FULL_LOOK: Duration = Duration::from_millis(20);

/// How often what is held back or lost is looked at.
const TICK: Duration = Duration::from_millis(250);

/// A clock that was set, or time spent suspended, moves the log's clock by more than this.
const CLOCK_STEP_NS: i64 = 1_000_000_000;

/// Streams of files are told from those of boots, which have 32 bits.
const FILE_STREAM: u64 = 1 << 63;

/// The source.
#[derive(Debug)]
pub struct Storage {
    settings: Settings,
    pipeline: Pipeline,
    kmsg: Option<Log>,
    uevents: Option<Uevents>,
    uevents_last: Option<u64>,
    /// The queue was full in the last turn: the log waits.
    full: bool,
    /// The queue is another one: what nobody keeps for us is to come again.
    rewound: bool,
    next_tick: Instant,
    record: Vec<u8>,
    scratch: Vec<u8>,
}

/// The kernel log and how far it is read.
#[derive(Debug)]
struct Log {
    kmsg: Kmsg,
    stream: u64,
    /// Number of the last record.
    last: Option<u64>,
    /// Records before this are known.
    from: Option<u64>,
    /// Wall clock less the log's clock, nanoseconds.
    offset: i64,
    salt: [u8; 16],
    /// Records that were no events, and the last of them.
    passed: (u64, Option<Position>),
    ended: bool,
}

impl Storage {
    /// Opens what can be opened, and goes on where the sink's state says.
    ///
    /// # Errors
    /// One line: the configuration, a receiver, or nothing left to read.
    pub fn open(settings: Settings, sink: &mut Sink) -> Result<Self, Failure> {
        let config = settings.read_config()?;
        let receivers = settings.receivers(&config);
        let bind = settings.bind.or(config.bind);
        let receivers = Receivers::open(&receivers, bind, config.stdout)?;
        let (kmsg, uevents) = open_collectors(&settings, &config)?;
        let boot = boot();
        let log = kmsg.map(|kmsg| Log::new(kmsg, &boot, sink)).transpose()?;
        let constants = Constants {
            hostname: hostname(),
            boot,
            salt: log.as_ref().map_or_else(salt, |log| log.salt),
            pairing: log.is_some() && uevents.is_some(),
            flood: settings.flood_limit(),
            receivers,
        };
        let mut pipeline = Pipeline::new(&settings, &config, constants);
        if config.dump {
            pipeline.dump(sink);
        }
        Ok(Self {
            settings,
            pipeline,
            kmsg: log,
            uevents,
            uevents_last: None,
            full: false,
            rewound: false,
            next_tick: Instant::now() + TICK,
            record: Vec::new(),
            scratch: Vec::new(),
        })
    }

    /// Takes uevents; whether there are more.
    fn take_uevents(&mut self, sink: &mut Sink) -> Result<bool, Failure> {
        let Some(uevents) = &mut self.uevents else { return Ok(false) };
        let keeps = uevents.keeps();
        for _ in 0..TURN_RECORDS {
            if keeps && !sink.ready() {
                return Ok(true);
            }
            match uevents.next(&mut self.record).map_err(|error| Failure::io("uevents", &error))? {
                uevents::Next::Message => {
                    let last = take_uevent(&mut self.pipeline, &self.record, sink);
                    self.uevents_last = last.or(self.uevents_last);
                }
                uevents::Next::Stranger => sink.ignored(1),
                uevents::Next::Overflow => {
                    let first = self.uevents_last.map(|last| last + 1);
                    let reason = "the socket had no room";
                    self.pipeline.gap(
                        &Missing { first, last: None, count: None, reason, collector: "udev" },
                        sink,
                    );
                }
                uevents::Next::Nothing => return Ok(false),
                uevents::Next::End => {
                    self.uevents = None;
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Takes records of the log while the queue has room; whether there are more.
    fn take_records(&mut self, sink: &mut Sink) -> Result<bool, Failure> {
        let Some(log) = self.kmsg.as_mut().filter(|log| !log.ended) else { return Ok(false) };
        let now = Instant::now();
        log.set_clock(sink);
        for _ in 0..TURN_RECORDS {
            if !sink.ready() {
                return Ok(true);
            }
            let next = log.kmsg.next(&mut self.record, now);
            match next.map_err(|error| Failure::io(log.kmsg.path().display(), &error))? {
                kmsg::Next::Record(line) => {
                    log.take(
                        &self.record,
                        line,
                        &self.settings,
                        &mut self.scratch,
                        &mut self.pipeline,
                        sink,
                    );
                }
                kmsg::Next::Nothing => return Ok(false),
                kmsg::Next::End => {
                    log.ended = true;
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// What is due once in a while.
    fn tick(&mut self, sink: &mut Sink) {
        let now = Instant::now();
        if now < self.next_tick {
            return;
        }
        self.next_tick = now + TICK;
        let is_live =
            self.kmsg.as_ref().is_some_and(|log| log.kmsg.is_device()) || self.uevents.is_some();
        if is_live {
            self.pipeline.release(Some(UnixNanos(clock::wall_ns())), sink);
        }
        self.pipeline.tell_lost(sink);
    }

    fn has_ended(&self) -> bool {
        self.uevents.is_none() && self.kmsg.as_ref().is_none_or(|log| log.ended)
    }
}

impl Source for Storage {
    fn keeps(&self) -> bool {
        self.uevents.as_ref().is_none_or(Uevents::keeps)
    }

    fn wait(&self) -> Wait<'_> {
        let now = Instant::now();
        let mut wait =
            Wait { until: self.pipeline.is_holding().then_some(self.next_tick), ..Wait::default() };
        if let Some(uevents) = &self.uevents {
            uevents.wait(&mut wait, now);
        }
        match self.kmsg.as_ref().filter(|log| !log.ended) {
            Some(_) if self.full => {
                wait.until = wait.until.into_iter().chain([now + FULL_LOOK]).min();
            }
            Some(log) => log.kmsg.wait(&mut wait, now),
            None => {}
        }
        wait
    }

    fn turn(&mut self, sink: &mut Sink) -> Result<Flow, Failure> {
        self.pipeline.offer_unkept(std::mem::take(&mut self.rewound), sink);
        let more_uevents = self.take_uevents(sink)?;
        let more_records = self.take_records(sink)?;
        self.full = !sink.ready();
        if let Some(log) = &mut self.kmsg {
            log.pass(sink);
        }
        self.tick(sink);
        if self.has_ended() {
            self.pipeline.release(None, sink);
            self.pipeline.tell_lost(sink);
            return Ok(Flow::Ended);
        }
        let more = more_uevents || (more_records && !self.full);
        Ok(if more { Flow::More } else { Flow::Wait })
    }

    fn locate(&self, name: &str) -> Option<(u64, u64)> {
        let log = self.kmsg.as_ref()?;
        let rest =
            name.strip_prefix("storage-")?.strip_prefix(self.pipeline.boot())?.strip_prefix('-')?;
        let number = rest.get(..20)?.parse().ok()?;
        Some((log.stream, number))
    }

    fn rewind(&mut self, sink: &mut Sink) -> bool {
        let Some(log) = &mut self.kmsg else { return false };
        if !log.kmsg.seek(false) {
            return false;
        }
        log.start(sink.starts());
        self.pipeline.start_over();
        self.rewound = true;
        true
    }

    fn reload(&mut self) {
        match self.settings.read_config() {
            Ok(config) => self.pipeline.configure(&self.settings, &config),
            Err(failure) => log::error!("{failure}: the old configuration stays"),
        }
    }

    fn goodbye(&mut self, sink: &mut Sink) {
        self.pipeline.release(None, sink);
        self.pipeline.tell_lost(sink);
    }
}

/// One message; its number, if it has one.
fn take_uevent(pipeline: &mut Pipeline, message: &[u8], sink: &mut Sink) -> Option<u64> {
    let uevent = match Uevent::read(message) {
        Ok(uevent) => uevent,
        Err(reason) => {
            pipeline.unreadable(message, reason, Collector::Uevent, 0, sink);
            return None;
        }
    };
    let number = uevent.sequence()?;
    let time = UnixNanos(clock::wall_ns());
    let place = Place { number, line: None, time, position: None };
    if !pipeline.uevent(uevent, place, sink) {
        sink.ignored(1);
    }
    Some(number)
}

impl Log {
    fn new(kmsg: Kmsg, boot: &str, sink: &mut Sink) -> Result<Self, Failure> {
        let stream = if kmsg.is_file() {
            file_stream(&kmsg)
        } else {
            u64::from_str_radix(boot, 16).unwrap_or(0)
        };
        let mut log = Self {
            kmsg,
            stream,
            last: None,
            from: None,
            offset: clock::wall_ns() - clock::uptime_ns(),
            salt: salt(),
            passed: (0, None),
            ended: false,
        };
        log.begin(sink)?;
        sink.describe(log.stream, log.context());
        Ok(log)
    }

    /// To where reading starts: as asked for, at the saved position, else where the source begins.
    fn begin(&mut self, sink: &Sink) -> Result<(), Failure> {
        let starts = sink.starts();
        if let Some(own) = starts.iter().find(|resume| resume.stream == self.stream) {
            self.restore(&own.context);
        }
        let newest = match sink.options().from {
            source::From::Oldest => false,
            source::From::Newest => true,
            source::From::Resume => {
                self.start(starts);
                // After a restart of the machine the whole log is new to a tap that ran before.
                self.kmsg.is_device() && starts.is_empty()
            }
        };
        // All that comes out of a pipe is new.
        let seeks = self.kmsg.is_device() || (newest && self.kmsg.is_file());
        if seeks && !self.kmsg.seek(newest) {
            let path = self.kmsg.path().display();
            return Err(Failure(format!("{path}: cannot be read from where it is wanted")));
        }
        Ok(())
    }

    fn start(&mut self, starts: &[Resume]) {
        let own = starts.iter().find(|resume| resume.stream == self.stream);
        self.from = own.map(|resume| match resume.start {
            Start::After(position) => position.next,
            Start::At(number) => number,
        });
        // What is missing before the first one read is missing too, if the log goes back no further.
        self.last =
            self.from.and_then(|from| from.checked_sub(1)).filter(|_| self.kmsg.is_device());
        self.passed = (0, None);
        self.ended = false;
    }

    /// What makes a redelivered event the same event: the salt of its id and the clock of its time.
    fn context(&self) -> Value {
        let salt = format!("{:032x}", u128::from_be_bytes(self.salt));
        json!({ "salt": salt, "clock_offset_ns": self.offset })
    }

    fn restore(&mut self, context: &Value) {
        let salt = context
            .get("salt")
            .and_then(Value::as_str)
            .and_then(|text| u128::from_str_radix(text, 16).ok());
        if let Some(salt) = salt {
            self.salt = salt.to_be_bytes();
        }
        let offset = context.get("clock_offset_ns").and_then(Value::as_i64);
        if let Some(offset) = offset.filter(|saved| (saved - self.offset).abs() < CLOCK_STEP_NS) {
            self.offset = offset;
        }
    }

    /// Follows the wall clock when it was set.
    fn set_clock(&mut self, sink: &mut Sink) {
        let offset = clock::wall_ns() - clock::uptime_ns();
        if (offset - self.offset).abs() >= CLOCK_STEP_NS {
            self.offset = offset;
            sink.describe(self.stream, self.context());
        }
    }

    /// When a record was made. One from the future is from another boot: its time is unknown.
    fn time(&self, micros: Option<u64>) -> UnixNanos {
        let nanos = micros.and_then(|micros| i64::try_from(micros).ok()?.checked_mul(1000));
        match nanos.filter(|nanos| *nanos <= clock::uptime_ns() + CLOCK_STEP_NS) {
            Some(nanos) => UnixNanos(self.offset.saturating_add(nanos)),
            None => UnixNanos(clock::wall_ns()),
        }
    }

    /// One record.
    fn take(
        &mut self,
        raw: &[u8],
        line: u64,
        settings: &Settings,
        scratch: &mut Vec<u8>,
        pipeline: &mut Pipeline,
        sink: &mut Sink,
    ) {
        let record = match read_record(raw, scratch) {
            Ok(record) => record,
            Err(reason) => {
                pipeline.unreadable(raw, reason, Collector::Kmsg, line, sink);
                return;
            }
        };
        let mut place = Place {
            number: line,
            line: Some(line),
            time: self.time(record.micros),
            position: None,
        };
        if record.form == Form::Kmsg {
            let number = record.sequence;
            if self.from.is_some_and(|from| number < from) {
                return;
            }
            self.from = None;
            self.look_for_gap(number, pipeline, sink);
            let position = Position { stream: self.stream, at: number, next: number + 1, mark: 0 };
            place = Place { number, line: None, position: Some(position), ..place };
        }
        let facility = record.facility();
        let is_wanted = facility == 0 || settings.facilities.contains(&facility);
        if is_wanted && pipeline.record(&record, place, sink) {
            self.passed.1 = None;
        } else {
            self.passed = (self.passed.0 + 1, place.position);
        }
    }

    /// Numbers rise by one: where they jump, records were overwritten before they were read.
    fn look_for_gap(&mut self, number: u64, pipeline: &Pipeline, sink: &mut Sink) {
        let expected = self.last.map(|last| last.saturating_add(1));
        self.last = Some(number);
        if let Some(first) = expected.filter(|expected| number > *expected) {
            let count = number - first;
            let reason = "overwritten before they were read";
            let missing = Missing {
                first: Some(first),
                last: Some(number - 1),
                count: Some(count),
                reason,
                collector: "kmsg",
            };
            pipeline.gap(&missing, sink);
            sink.lost(count);
        }
    }

    /// Counts records that are no events.
    fn pass(&mut self, sink: &mut Sink) {
        match std::mem::take(&mut self.passed) {
            (0, _) => {}
            (count, Some(last)) => sink.passed(count, last),
            (count, None) => sink.ignored(count),
        }
    }
}

/// Opens the collectors that are wanted. What cannot be opened is said; without any it is a failure.
fn open_collectors(
    settings: &Settings,
    config: &Config,
) -> Result<(Option<Kmsg>, Option<Uevents>), Failure> {
    let mut faults: Vec<String> = Vec::new();
    let mut note = |what: &str, error: &io::Error| faults.push(format!("{what}: {}", plain(error)));
    let kmsg_path = match &settings.kmsg {
        From::Off => None,
        From::Kernel => config.kmsg.then(|| KMSG.into()),
        From::Path(path) => Some(path.clone()),
    };
    let kmsg = kmsg_path.and_then(|path| {
        Kmsg::open(&path, settings.follow)
            .inspect_err(|error| note(&path.display().to_string(), error))
            .ok()
    });
    let uevents = match &settings.uevent {
        From::Off => None,
        From::Kernel if !config.uevent => None,
        From::Kernel => {
            Uevents::listen(settings.udev).inspect_err(|error| note("uevents", error)).ok()
        }
        From::Path(path) => {
            let opened = Uevents::open(path, settings.follow);
            opened.inspect_err(|error| note(&path.display().to_string(), error)).ok()
        }
    };
    if kmsg.is_none() && uevents.is_none() {
        let why =
            if faults.is_empty() { "no collector is on".to_owned() } else { faults.join("; ") };
        return Err(Failure(why));
    }
    for fault in faults {
        log::warn!("{fault}: going on without");
    }
    Ok((kmsg, uevents))
}

/// A number for a file that is the same as long as it is the same file with the same beginning.
fn file_stream(kmsg: &Kmsg) -> u64 {
    use std::hash::{DefaultHasher, Hasher};
    use std::os::unix::fs::FileExt;
    let mut hasher = DefaultHasher::new();
    if let Ok(metadata) = kmsg.file().metadata() {
        hasher.write_u64(metadata.dev());
        hasher.write_u64(metadata.ino());
    }
    let mut beginning = [0; 256];
    let length = kmsg.file().read_at(&mut beginning, 0).unwrap_or(0);
    let line = beginning.get(..length).unwrap_or_default().split(|&byte| byte == b'\n').next();
    hasher.write(line.unwrap_or_default());
    hasher.finish() | FILE_STREAM
}

/// The first eight digits of the boot's id.
fn boot() -> String {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.get(..8)
        .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
        .unwrap_or("00000000")
        .to_owned()
}

/// The name of this host.
fn hostname() -> String {
    let name = nix::unistd::gethostname().unwrap_or_default();
    let name = name.to_string_lossy().trim_end_matches('\0').to_owned();
    if name.is_empty() { "localhost".to_owned() } else { name }
}

fn salt() -> [u8; 16] {
    *uuid::Uuid::new_v4().as_bytes()
}
