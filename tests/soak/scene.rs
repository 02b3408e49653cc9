//! What lives of taps have in common: a tap, the consumer of its queue and the daemon, started again
//! whenever they have ended, and killed at random.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::common::EVENTFS;
use crate::daemon::{BOUND, Daemon, End, wait_for};
use crate::rng::Rng;
use crate::seen::{Said, Seen};
use crate::slot::{Places, clean};
use crate::tally::Tally;

/// Pause between two looks of the driver.
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// One tick in so many kills the tap, the consumer, the daemon; or ends the tap in order.
const TAP_EVERY: u64 = 60;
const STOP_EVERY: u64 = 240;
const POP_EVERY: u64 = 40;
const DAEMON_EVERY: u64 = 180;

/// Who is killed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Victim {
    Tap,
    /// The tap by SIGTERM.
    TapInOrder,
    Consumer,
    Daemon,
}

/// A tap's source, and what a life with it needs.
pub(crate) struct Plan {
    /// The word for `eventfs tap`.
    pub(crate) source: &'static str,
    /// Further words.
    pub(crate) words: Vec<OsString>,
    /// Reads an event.
    pub(crate) read: fn(&Value) -> Said,
}

/// Processes and what they have left.
pub(crate) struct Scene<'a> {
    pub(crate) places: &'a Places,
    plan: Plan,
    batch: u64,
    daemon: Option<Daemon>,
    tap: Option<Child>,
    pop: Option<Child>,
    pub(crate) rng: Rng,
    pub(crate) seen: Seen,
    pub(crate) tally: &'a mut Tally,
}

impl<'a> Scene<'a> {
    pub(crate) fn new(places: &'a Places, mut rng: Rng, plan: Plan, tally: &'a mut Tally) -> Self {
        clean(&places.work);
        let batch = if rng.once_in(2) { 1 } else { 50 };
        let seen = Seen::new(plan.source, plan.read);
        let (daemon, tap, pop) = (None, None, None);
        Self { places, plan, batch, daemon, tap, pop, rng, seen, tally }
    }

    /// Starts what is not running.
    pub(crate) fn keep_up(&mut self) -> Result<(), String> {
        self.keep_up_tap()?;
        if ended(&mut self.pop) {
            self.read();
            self.pop = Some(self.start_pop()?);
        }
        Ok(())
    }

    /// The same without the consumer.
    pub(crate) fn keep_up_tap(&mut self) -> Result<(), String> {
        if self.daemon.is_none() {
            let log = self.places.work.with_extension("log");
            let arguments = ["-o", "size=256m"];
            self.daemon = Some(Daemon::start(&self.places.point, &log, &arguments)?);
        }
        self.daemon.as_mut().map_or(Ok(()), Daemon::check)?;
        if ended(&mut self.tap) {
            self.tap = Some(self.start_tap()?);
        }
        Ok(())
    }

    fn start_tap(&mut self) -> Result<Child, String> {
        let mut command = Command::new(EVENTFS);
        command.args(["tap", self.plan.source, "--sticky"]).args(&self.plan.words);
        command.arg("--queue").arg(self.queue());
        command.arg("--state").arg(self.state());
        command.args(["--batch", &self.batch.to_string()]);
        start(&mut command, None, &self.errors())
    }

    fn start_pop(&self) -> Result<Child, String> {
        let mut command = Command::new(EVENTFS);
        command.args(["pop", "--all", "--json", "--wait=0.2"]).arg(self.queue());
        start(&mut command, Some(&self.output()), &self.places.work.join("pop-errors"))
    }

    fn queue(&self) -> PathBuf {
        self.places.point.join("tap")
    }

    fn state(&self) -> PathBuf {
        self.places.work.join("state")
    }

    /// Whether a tap has saved a position.
    pub(crate) fn has_begun(&self) -> bool {
        self.state().exists()
    }

    fn output(&self) -> PathBuf {
        self.places.work.join("pop-output")
    }

    fn errors(&self) -> PathBuf {
        self.places.work.join("tap-errors")
    }

    /// What the taps wrote to standard error.
    fn error_text(&self) -> String {
        fs::read_to_string(self.errors()).unwrap_or_default()
    }

    /// What the last consumer printed.
    fn read(&mut self) {
        let output = self.take_output();
        self.seen.take(&output);
    }

    fn take_output(&self) -> Vec<u8> {
        let output = fs::read(self.output()).unwrap_or_default();
        let _ = fs::remove_file(self.output());
        output
    }

    /// What the tap shows at its queue; nothing while there is neither.
    pub(crate) fn counters(&self) -> Value {
        let name = format!("user.tap.{}", self.plan.source);
        let text = xattr::get(self.queue(), name).ok().flatten().unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Who is to be killed in this tick.
    pub(crate) fn victims(&mut self) -> Vec<Victim> {
        let chances = [
            (Victim::Tap, TAP_EVERY),
            (Victim::TapInOrder, STOP_EVERY),
            (Victim::Consumer, POP_EVERY),
            (Victim::Daemon, DAEMON_EVERY),
        ];
        let drawn = chances.into_iter().filter(|(_, every)| self.rng.once_in(*every));
        drawn.map(|(victim, _)| victim).collect()
    }

    pub(crate) fn kill(&mut self, victim: Victim) {
        match victim {
            Victim::Tap => {
                end(&mut self.tap);
                self.tally.tap.taps_killed += 1;
            }
            Victim::TapInOrder => {
                self.stop_tap("in the storm");
            }
            Victim::Consumer => {
                end(&mut self.pop);
                let output = self.take_output();
                return self.seen.take_of_killed(&output);
            }
            Victim::Daemon => {
                let Some(daemon) = self.daemon.take() else { return };
                daemon.kill();
                self.tally.tap.daemons_killed += 1;
            }
        }
        self.seen.kills.push(Instant::now());
    }

    /// Everything runs until nothing is missing any more.
    pub(crate) fn settle(
        &mut self,
        when: &str,
        missing: impl Fn(&Seen) -> Vec<u64>,
    ) -> Result<(), String> {
        let start = Instant::now();
        let mut left = missing(&self.seen);
        while !left.is_empty() && start.elapsed() < BOUND {
            self.keep_up()?;
            std::thread::sleep(TICK);
            left = missing(&self.seen);
        }
        if let Some(first) = left.first() {
            let errors = self.error_text();
            self.seen.find(format!(
                "{when} {} are neither delivered nor told, the first is {first}, --batch {}: {}",
                left.len(),
                self.batch,
                errors.trim(),
            ));
        }
        Ok(())
    }

    /// The consumer takes what is there, ends by itself, and is not started again.
    pub(crate) fn rest(&mut self) {
        if !wait_for(|| ended(&mut self.pop)) {
            self.seen.find("a consumer does not end");
            end(&mut self.pop);
        }
        self.read();
    }

    /// SIGTERM; the counters that it leaves, which must add up.
    pub(crate) fn stop_tap(&mut self, when: &str) -> Value {
        let Some(mut tap) = self.tap.take() else { return Value::Null };
        // Before it takes signals, it ends as any other process does.
        wait_for(|| takes_signals(tap.id()) || !matches!(tap.try_wait(), Ok(None)));
        let _ = kill(Pid::from_raw(tap.id().cast_signed()), Signal::SIGTERM);
        let mut status = None;
        if !wait_for(|| {
            status = tap.try_wait().ok().flatten();
            status.is_some()
        }) {
            let _ = tap.kill();
            let _ = tap.wait();
        }
        let text = self.error_text();
        let last = text.lines().last().unwrap_or_default();
        let counters: Value = serde_json::from_str(last).unwrap_or_default();
        let count = |name: &str| counters[name].as_u64().unwrap_or(u64::MAX / 16);
        let parts = ["written", "duplicate", "filtered", "ignored", "lost", "backlog"];
        if !status.is_some_and(|status| status.success())
            || count("received") != parts.into_iter().map(count).sum::<u64>()
        {
            self.seen.find(format!("{when} the tap ended with {status:?}: {}", text.trim()));
        }
        counters
    }

    /// Everybody ends in order, and the whole is added up. `sent` numbers were put in.
    pub(crate) fn end(mut self, sent: u64) {
        end(&mut self.tap);
        self.rest();
        let mut findings = std::mem::take(&mut self.seen.findings);
        if let Some(daemon) = self.daemon.take() {
            findings.extend(daemon.end(End::Terminate));
        }
        self.tally.findings.extend(findings);
        let (delivered, repeats) = self.seen.counts();
        self.tally.tap.sent += sent;
        self.tally.tap.delivered += delivered;
        self.tally.tap.repeats += repeats;
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

/// Whether SIGTERM waits in this process until it is asked for.
fn takes_signals(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let blocked = status.lines().find_map(|line| line.strip_prefix("SigBlk:"));
    let blocked = blocked.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok());
    blocked.is_some_and(|bits| bits & 1 << (Signal::SIGTERM as u32 - 1) != 0)
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
