//! Taps that the configuration names: started when the mount serves, watched, started again, ended with it.
//!
//! Each is a child process with a thread of ours that waits for its end, or for a word about it.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Gid, Pid, Uid, User};
use parking_lot::Mutex;

use crate::config::TapTable;
use crate::sys::{child, process};

/// First and longest wait before a tap that ended is started again.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// A tap that ran so long has recovered from whatever ended it before.
const STEADY: Duration = Duration::from_secs(60);

/// How long a tap may take to end when it is asked to.
const END_WITHIN: Duration = Duration::from_secs(5);

/// How often an end is looked for that nothing tells.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Longest line of a tap that is logged whole.
const LINE_BYTES_MAX: u64 = 4_096;

/// What a tap's thread is told, one byte each.
const WORD_END: u8 = b'E';
const WORD_RELOAD: u8 = b'R';

/// The taps of one mount.
#[derive(Debug)]
pub(super) struct Taps {
    point: PathBuf,
    running: Mutex<Running>,
}

#[derive(Debug, Default)]
struct Running {
    taps: HashMap<String, Tap>,
    /// The mount is ending: nothing starts any more.
    ended: bool,
}

#[derive(Debug)]
struct Tap {
    table: TapTable,
    words: std::fs::File,
    thread: JoinHandle<()>,
}

impl Taps {
    pub(super) fn new(point: &Path) -> Self {
        Self { point: point.to_owned(), running: Mutex::default() }
    }

    /// Runs just these: new ones are started, changed ones started anew, others ended; what stays as it
    /// is reads its own files again.
    pub(super) fn apply(&self, tables: &[TapTable]) {
        let mut running = self.running.lock();
        if running.ended {
            return;
        }
        let same = |tap: &Tap| tables.iter().any(|table| same_tap(table, &tap.table));
        let (stay, go): (HashMap<_, _>, HashMap<_, _>) =
            running.taps.drain().partition(|(_, tap)| same(tap));
        end_all(go.into_values());
        running.taps = stay;
        for table in tables {
            match running.taps.get_mut(&table.name) {
                // It may just have ended.
                Some(tap) => drop(tap.words.write_all(&[WORD_RELOAD])),
                None => self.start(table, &mut running),
            }
        }
    }

    /// Ends all taps; returns when they have ended.
    pub(super) fn stop(&self) {
        let mut running = self.running.lock();
        running.ended = true;
        end_all(std::mem::take(&mut running.taps).into_values());
    }

    fn start(&self, table: &TapTable, running: &mut Running) {
        let keeper = Keeper { table: table.clone(), point: self.point.clone() };
        let started = nix::unistd::pipe().map_err(io::Error::from).and_then(|(reader, writer)| {
            let thread = std::thread::Builder::new()
                .name(format!("tap-{}", table.name))
                .spawn(move || keeper.keep(&reader.into()))?;
            Ok(Tap { table: table.clone(), words: writer.into(), thread })
        });
        match started {
            Ok(tap) => drop(running.taps.insert(table.name.clone(), tap)),
            Err(error) => log::error!("tap {}: {error}", table.name),
        }
    }
}

/// Whether two tables ask for the same, wherever they stand in the file.
fn same_tap(one: &TapTable, other: &TapTable) -> bool {
    let arguments = |table: &TapTable| table.arguments(str::to_owned);
    let runs_as = |table: &TapTable| (table.user, table.group);
    one.name == other.name && arguments(one) == arguments(other) && runs_as(one) == runs_as(other)
}

/// All are told before the first is waited for.
fn end_all(taps: impl Iterator<Item = Tap>) {
    let mut told: Vec<Tap> = taps.collect();
    for tap in &mut told {
        // One that has ended does not listen.
        let _ = tap.words.write_all(&[WORD_END]);
    }
    for tap in told {
        if tap.thread.join().is_err() {
            log::error!("tap {}: its thread panicked", tap.table.name);
        }
    }
}

/// Keeps one tap running.
struct Keeper {
    table: TapTable,
    point: PathBuf,
}

/// Why a wait was over.
enum Woken {
    Told(u8),
    ChildEnded,
    TimeOut,
}

impl Keeper {
    fn keep(&self, words: &std::fs::File) {
        let name = &self.table.name;
        let mut wait = BACK_OFF.0;
        loop {
            let started = Instant::now();
            match self.spawn() {
                Err(error) => log::error!("tap {name}: {error}"),
                Ok(child) => {
                    if self.attend(child, words) {
                        return;
                    }
                }
            }
            if started.elapsed() > STEADY {
                wait = BACK_OFF.0;
            }
            log::info!("tap {name}: starts again in {} s", wait.as_secs_f32());
            if self.pause(wait, words) {
                return;
            }
            wait = (wait * 2).min(BACK_OFF.1);
        }
    }

    /// Waits before the next start; true when told to end.
    fn pause(&self, wait: Duration, words: &std::fs::File) -> bool {
        let until = Instant::now() + wait;
        loop {
            match wait_for(words, None, until.saturating_duration_since(Instant::now())) {
                Woken::Told(WORD_RELOAD) => {}
                Woken::Told(_) => return true,
                Woken::ChildEnded | Woken::TimeOut => return false,
            }
        }
    }

    fn spawn(&self) -> io::Result<Child> {
        let point = &self.point;
        let place = |queue: &str| point.join(queue).to_string_lossy().into_owned();
        // The program as it was started, also after its file was replaced.
        let mut command = Command::new("/proc/self/exe");
        command.arg0("eventfs").args(self.table.arguments(place));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        // They are not what a service manager waits for.
        command.env_remove("NOTIFY_SOCKET");
        if let Some(gid) = self.group()? {
            command.gid(gid);
        }
        if let Some(uid) = self.table.user {
            command.uid(uid);
        }
        child::end_with_parent(&mut command).spawn()
    }

    /// The group to run as: with another user, never the daemon's own by default.
    fn group(&self) -> io::Result<Option<u32>> {
        match (self.table.group, self.table.user) {
            (Some(group), _) => Ok(Some(group)),
            (None, None) => Ok(None),
            (None, Some(user)) => {
                let known = User::from_uid(Uid::from_raw(user))?;
                Ok(Some(known.map_or(Gid::from_raw(user), |user| user.gid).as_raw()))
            }
        }
    }

    /// Until the child has ended; true when it was told to.
    fn attend(&self, mut child: Child, words: &std::fs::File) -> bool {
        let name = &self.table.name;
        let log = child.stderr.take().map(|stderr| {
            let name = name.clone();
            std::thread::spawn(move || log_lines(&name, stderr))
        });
        let asked = self.watch(&mut child, words);
        if asked {
            end(&mut child);
        }
        match child.wait() {
            Ok(status) if asked => log::info!("tap {name}: ended: {status}"),
            Ok(status) => log::warn!("tap {name}: ended by itself: {status}"),
            Err(error) => log::error!("tap {name}: {error}"),
        }
        if let Some(log) = log {
            // It ends with the last holder of the pipe, and that was the child.
            let _ = log.join();
        }
        asked
    }

    /// Until the child has ended, or is to end.
    fn watch(&self, child: &mut Child, words: &std::fs::File) -> bool {
        // Without a descriptor left, looking now and then has to do.
        let pidfd = process::pidfd_open(child.id()).ok();
        let wait = if pidfd.is_some() { Duration::MAX } else { LOOK_EVERY };
        loop {
            match wait_for(words, pidfd.as_ref().map(AsFd::as_fd), wait) {
                Woken::Told(WORD_RELOAD) => signal(child, Signal::SIGHUP),
                Woken::Told(_) => return true,
                Woken::ChildEnded => return false,
                Woken::TimeOut if matches!(child.try_wait(), Ok(None)) => {}
                Woken::TimeOut => return false,
            }
        }
    }
}

/// SIGTERM, and SIGKILL if that does not help.
fn end(child: &mut Child) {
    signal(child, Signal::SIGTERM);
    let until = Instant::now() + END_WITHIN;
    while Instant::now() < until {
        if !matches!(child.try_wait(), Ok(None)) {
            return;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    log::warn!("process {} does not end: killed", child.id());
    signal(child, Signal::SIGKILL);
}

/// To a child that was not waited for yet, so that the number is its own.
fn signal(child: &Child, signal: Signal) {
    if let Ok(pid) = i32::try_from(child.id()) {
        // A zombie does not mind.
        let _ = kill(Pid::from_raw(pid), signal);
    }
}

fn wait_for(words: &std::fs::File, child: Option<BorrowedFd<'_>>, wait: Duration) -> Woken {
    let mut fds = vec![PollFd::new(words.as_fd(), PollFlags::POLLIN)];
    fds.extend(child.map(|child| PollFd::new(child, PollFlags::POLLIN)));
    let timeout = PollTimeout::try_from(wait).unwrap_or(PollTimeout::NONE);
    // An interrupted wait is a short one.
    let _ = poll(&mut fds, timeout);
    let mut ready = fds.iter().map(|fd| fd.any().unwrap_or(false));
    if ready.next() == Some(true) {
        let mut word = [WORD_END];
        let mut words = words;
        // Nobody left to tell anything: the end.
        let _ = words.read(&mut word);
        return Woken::Told(word[0]);
    }
    if ready.next() == Some(true) { Woken::ChildEnded } else { Woken::TimeOut }
}

/// What a tap says becomes lines of the daemon's own log.
fn log_lines(name: &str, stderr: impl Read) {
    let mut reader = BufReader::new(stderr);
    let mut line = Vec::new();
    loop {
        line.clear();
        match reader.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {
                let text = String::from_utf8_lossy(&line);
                let text = text.trim_end();
                log::info!("tap {name}: {}", text.strip_prefix("eventfs: ").unwrap_or(text));
            }
        }
    }
}
