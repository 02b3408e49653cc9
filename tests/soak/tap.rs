//! A tap's life: a metadata server that goes on sending, a tap, a consumer and a daemon that are killed
//! at random, a ring that is overwritten while nobody listens. Afterwards each number was delivered or
//! is told to be missing, and the counters say so too.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::common::EVENTFS;
use crate::daemon::{Daemon, End, wait_for};
use crate::metadata_server::{Identity, MetadataServer};
use crate::rng::Rng;
use crate::slot::{Places, clean};
use crate::tally::Tally;

/// Pause between two looks of the driver.
const TICK: Duration = Duration::from_millis(10);

/// Most events that the server gets in a tick.
const BURST_MAX: u64 = 20;

/// One tick in so many kills the tap, the consumer, the daemon.
const TAP_EVERY: u64 = 60;
const POP_EVERY: u64 = 40;
const DAEMON_EVERY: u64 = 250;

/// What comes again was seen so shortly before a kill, or after it: positions are saved each second, and
/// a machine under full load may be late with that and with telling us what it saw.
const REPEAT_BOUND: Duration = Duration::from_secs(4);

/// Events overwritten and kept of the last hole.
const HOLE: u64 = 60;
const KEPT: u64 = 40;

/// What came out of the queue.
#[derive(Default)]
struct Seen {
    /// How often each number was delivered.
    times: Vec<u32>,
    /// When each number was seen last.
    last: Vec<Option<Instant>>,
    /// When a tap or a daemon was killed.
    kills: Vec<Instant>,
    /// Spans that are told to be missing, both ends included.
    gaps: Vec<(u64, u64)>,
    /// Behind the newest number.
    end: u64,
    findings: Vec<String>,
}

impl Seen {
    /// Takes what `eventfs pop --json` printed.
    fn read(&mut self, output: &[u8]) {
        for line in output.split_inclusive(|byte| *byte == b'\n') {
            // A killed pop may leave half a line, and a killed tap half a file: it comes again whole.
            let Ok(object) = serde_json::from_slice::<Value>(line) else { continue };
            for event in object["data"].as_str().unwrap_or_default().split_inclusive('\n') {
                match serde_json::from_str::<Value>(event) {
                    Ok(event) => self.event(&event),
                    Err(_) if !event.ends_with('\n') => {}
                    Err(error) => self.findings.push(format!("tap: {error}: {event:.80}")),
                }
            }
        }
    }

    fn event(&mut self, event: &Value) {
        let data = &event["data"];
        match event["type"].as_str() {
            Some("beegfs.create") => self.delivered(data["msn"].as_u64().unwrap_or(u64::MAX)),
            Some("beegfs.gap") => {
                let (first, last) = (data["first"].as_u64(), data["last"].as_u64());
                self.gaps.extend(first.zip(last));
            }
            kind => self.findings.push(format!("tap: an event of type {kind:?}: {data}")),
        }
    }

    fn delivered(&mut self, msn: u64) {
        let Ok(place) = usize::try_from(msn) else { return };
        if place > 1 << 28 {
            return self.findings.push(format!("tap: number {msn}"));
        }
        if self.times.len() <= place {
            self.times.resize(place + 1, 0);
            self.last.resize(place + 1, None);
        }
        let last = self.last[place].replace(Instant::now());
        if let Some(last) = last.filter(|last| !self.is_near_a_kill(*last)) {
            self.findings.push(format!("tap: {msn} came again, {:?} after it", last.elapsed()));
        }
        if self.times[place] == 0 && msn < self.end {
            self.findings.push(format!("tap: {msn} came first after {}", self.end - 1));
        }
        self.times[place] += 1;
        self.end = self.end.max(msn + 1);
    }

    fn is_near_a_kill(&self, time: Instant) -> bool {
        let near = |kill: &Instant| {
            kill.saturating_duration_since(time) < REPEAT_BOUND
                && time.saturating_duration_since(*kill) < REPEAT_BOUND
        };
        self.kills.iter().rev().any(near)
    }

    /// Numbers below `next` that were neither delivered nor told.
    fn missing(&self, next: u64) -> Vec<u64> {
        let is_told =
            |msn: u64| self.gaps.iter().any(|(first, last)| (*first..=*last).contains(&msn));
        let times = |msn: u64| self.times.get(msn as usize).copied().unwrap_or_default();
        (0..next).filter(|msn| times(*msn) == 0 && !is_told(*msn)).collect()
    }
}

/// Processes and what they have left.
struct Scene<'a> {
    places: &'a Places,
    server: MetadataServer,
    socket: PathBuf,
    daemon: Option<Daemon>,
    tap: Option<Child>,
    pop: Option<Child>,
    batch: u64,
    rng: Rng,
    seen: Seen,
    tally: &'a mut Tally,
}

/// Runs a life of taps.
pub(crate) fn run(
    places: &Places,
    seed: u64,
    length: Duration,
    tally: &mut Tally,
) -> Result<(), String> {
    clean(&places.work);
    let socket = places.work.join("socket");
    let server = MetadataServer::start(&socket, Identity::node(7));
    let mut rng = Rng::new(seed);
    let batch = if rng.once_in(2) { 1 } else { 50 };
    let (daemon, tap, pop, seen) = (None, None, None, Seen::default());
    let mut scene = Scene { places, server, socket, daemon, tap, pop, batch, rng, seen, tally };
    scene.storm(length)?;
    scene.settle("after the storm")?;
    scene.hole()?;
    scene.end();
    Ok(())
}

impl Scene<'_> {
    fn storm(&mut self, length: Duration) -> Result<(), String> {
        let end = Instant::now() + length;
        while Instant::now() < end {
            let count = self.rng.below(BURST_MAX);
            self.server.burst(count);
            self.keep_up()?;
            self.kill_some();
            std::thread::sleep(TICK);
        }
        Ok(())
    }

    /// Starts what is not running.
    fn keep_up(&mut self) -> Result<(), String> {
        if self.daemon.is_none() {
            let log = self.places.work.with_extension("log");
            let arguments = ["-o", "size=256m"];
            self.daemon = Some(Daemon::start(&self.places.point, &log, &arguments)?);
        }
        self.daemon.as_mut().map_or(Ok(()), Daemon::check)?;
        if ended(&mut self.tap) {
            self.tap = Some(self.start_tap()?);
        }
        if ended(&mut self.pop) {
            self.read();
            self.pop = Some(self.start_pop()?);
        }
        Ok(())
    }

    fn start_tap(&mut self) -> Result<Child, String> {
        let mut command = Command::new(EVENTFS);
        command.args(["tap", "beegfs", "--sticky", "--socket"]).arg(&self.socket);
        command.arg("--queue").arg(self.places.point.join("tap"));
        command.arg("--state").arg(self.state());
        command.args(["--batch", &self.batch.to_string()]);
        start(&mut command, None, &self.places.work.join("tap-errors"))
    }

    fn start_pop(&self) -> Result<Child, String> {
        let mut command = Command::new(EVENTFS);
        command.args(["pop", "--all", "--json", "--wait=0.2"]);
        command.arg(self.places.point.join("tap"));
        let (output, errors) = (self.output(), self.places.work.join("pop-errors"));
        start(&mut command, Some(&output), &errors)
    }

    fn state(&self) -> PathBuf {
        self.places.work.join("state")
    }

    fn output(&self) -> PathBuf {
        self.places.work.join("pop-output")
    }

    /// What the last consumer printed.
    fn read(&mut self) {
        let output = fs::read(self.output()).unwrap_or_default();
        self.seen.read(&output);
        let _ = fs::remove_file(self.output());
    }

    fn kill_some(&mut self) {
        if self.rng.once_in(TAP_EVERY) {
            end(&mut self.tap);
            self.tally.tap.taps_killed += 1;
            self.seen.kills.push(Instant::now());
            // A tap that never began knows of nothing that it could miss.
            if self.rng.once_in(3) && self.state().exists() {
                self.overwrite();
            }
        }
        if self.rng.once_in(POP_EVERY) {
            end(&mut self.pop);
        }
        if self.rng.once_in(DAEMON_EVERY)
            && let Some(daemon) = self.daemon.take()
        {
            daemon.kill();
            self.tally.tap.daemons_killed += 1;
            self.seen.kills.push(Instant::now());
        }
    }

    /// The ring goes on while nobody listens.
    fn overwrite(&mut self) {
        let count = self.rng.below(200);
        self.server.burst(count);
        let keep = self.rng.below(300);
        self.tally.tap.overwritten += self.server.ring(|ring| {
            let first = ring.first();
            ring.discard_before(ring.next().saturating_sub(keep));
            ring.first() - first
        });
    }

    /// Everything runs until nothing is missing any more.
    fn settle(&mut self, when: &str) -> Result<(), String> {
        let next = self.server.ring(|ring| ring.next());
        let start = Instant::now();
        let mut missing = self.seen.missing(next);
        while !missing.is_empty() && start.elapsed() < crate::daemon::BOUND {
            self.keep_up()?;
            std::thread::sleep(TICK);
            missing = self.seen.missing(next);
        }
        if let Some(first) = missing.first() {
            let errors = fs::read_to_string(self.places.work.join("tap-errors"));
            self.seen.findings.push(format!(
                "tap: {when} {} of {next} are neither delivered nor told, the first is {first}: {}",
                missing.len(),
                errors.unwrap_or_default().trim(),
            ));
        }
        Ok(())
    }

    /// A hole of known size: the tap ends in order, the ring goes on, the tap comes back.
    fn hole(&mut self) -> Result<(), String> {
        // When this one is there, so is everything before it, and nothing of old is on its way again.
        self.server.burst(1);
        self.settle("before the hole")?;
        self.stop_tap("before the hole");
        let first = self.server.burst(HOLE + KEPT);
        self.server.ring(|ring| ring.discard_before(first + HOLE));
        let known = self.seen.gaps.len();
        self.settle("after the hole")?;
        let told: Vec<_> = self.seen.gaps.iter().skip(known).copied().collect();
        if told != [(first, first + HOLE - 1)] {
            let hole = (first, first + HOLE - 1);
            self.seen.findings.push(format!("tap: the hole {hole:?} is told as {told:?}"));
        }
        let counters = self.stop_tap("after the hole");
        if counters["lost"] != HOLE || counters["notes"] != 1 || counters["written"] != KEPT {
            self.seen.findings.push(format!("tap: a hole of {HOLE} is counted {counters}"));
        }
        Ok(())
    }

    /// SIGTERM; the counters that it leaves, which must add up.
    fn stop_tap(&mut self, when: &str) -> Value {
        let Some(mut tap) = self.tap.take() else { return Value::Null };
        let _ = kill(Pid::from_raw(tap.id().cast_signed()), Signal::SIGTERM);
        let mut status = None;
        wait_for(|| {
            status = tap.try_wait().ok().flatten();
            status.is_some()
        });
        let text = fs::read_to_string(self.places.work.join("tap-errors")).unwrap_or_default();
        let last = text.lines().last().unwrap_or_default();
        let counters: Value = serde_json::from_str(last).unwrap_or_default();
        let count = |name: &str| counters[name].as_u64().unwrap_or(u64::MAX / 16);
        let parts = ["written", "duplicate", "filtered", "ignored", "lost", "backlog"];
        if !status.is_some_and(|status| status.success())
            || count("received") != parts.into_iter().map(count).sum::<u64>()
        {
            self.seen
                .findings
                .push(format!("tap: {when} it ended with {status:?}: {}", text.trim()));
        }
        counters
    }

    /// Everybody ends in order, and the whole is added up.
    fn end(mut self) {
        end(&mut self.tap);
        wait_for(|| ended(&mut self.pop));
        end(&mut self.pop);
        self.read();
        let mut findings = std::mem::take(&mut self.seen.findings);
        findings.extend(self.server.offences().into_iter().map(|what| format!("tap: it {what}")));
        if let Some(daemon) = self.daemon.take() {
            findings.extend(daemon.end(End::Terminate));
        }
        self.tally.findings.extend(findings);
        let delivered = self.seen.times.iter().filter(|times| **times > 0).count() as u64;
        let all = self.seen.times.iter().map(|times| u64::from(*times)).sum::<u64>();
        self.tally.tap.sent += self.server.ring(|ring| ring.next());
        self.tally.tap.overwritten += HOLE;
        self.tally.tap.delivered += delivered;
        self.tally.tap.repeats += all - delivered;
    }
}

impl Drop for Scene<'_> {
    fn drop(&mut self) {
        end(&mut self.tap);
        end(&mut self.pop);
    }
}

fn start(command: &mut Command, output: Option<&Path>, errors: &Path) -> Result<Child, String> {
    let file = |path: &Path| File::create(path).map_err(|error| error.to_string());
    let errors = File::options().append(true).create(true).open(errors);
    command.stdin(Stdio::null()).stderr(errors.map_err(|error| error.to_string())?);
    command.stdout(output.map(file).transpose()?.map_or(Stdio::null(), Stdio::from));
    command.spawn().map_err(|error| format!("{command:?}: {error}"))
}

/// Whether there is no such process any more; it has been waited for.
fn ended(child: &mut Option<Child>) -> bool {
    if child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None))) {
        return false;
    }
    *child = None;
    true
}

fn end(child: &mut Option<Child>) {
    if let Some(mut child) = child.take() {
        let _ = child.kill();
        let _ = child.wait();
    }
}
