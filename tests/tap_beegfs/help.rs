//! A tap as a child process, and what is in its queue.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::{NamedTempFile, TempDir};

use crate::common::{EVENTFS, spawn, wait_until};

/// A directory for sockets, states and plain queues.
pub(crate) struct Site {
    pub(crate) dir: TempDir,
}

impl Site {
    pub(crate) fn new() -> Self {
        Self { dir: TempDir::new().expect("temporary directory") }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.path("socket")
    }

    /// `eventfs tap beegfs` on our socket, with further words.
    pub(crate) fn command(&self, queue: &Path, words: &[&str]) -> Command {
        self.command_on(&self.socket(), queue, words)
    }

    pub(crate) fn command_on(&self, socket: &Path, queue: &Path, words: &[&str]) -> Command {
        let mut command = Command::new(EVENTFS);
        command.args(["tap", "beegfs", "--socket"]).arg(socket);
        command.arg("--queue").arg(queue).args(words);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }

    /// Starts it, and waits until it listens.
    pub(crate) fn tap(&self, queue: &Path, words: &[&str]) -> Tap {
        let log = tempfile::NamedTempFile::new_in(self.dir.path()).expect("log");
        let stderr = log.reopen().expect("log");
        let child = spawn(self.command(queue, words).stderr(stderr));
        let tap = Tap { child, log: Some(log) };
        let socket = self.socket();
        wait_until("the socket", || listens_now(&socket));
        tap
    }
}

/// Whether somebody listens there: connecting would be a connection that is never greeted.
pub(crate) fn listens_now(path: &Path) -> bool {
    let table = fs::read_to_string("/proc/net/unix").unwrap_or_default();
    let name = path.to_str().expect("a test's path is UTF-8");
    // Flag 0x10000: it accepts connections.
    table.lines().any(|line| line.ends_with(name) && line.contains(" 00010000 "))
}

pub(crate) struct Tap {
    pub(crate) child: Child,
    /// Its standard error; nothing where that is a pipe.
    pub(crate) log: Option<NamedTempFile>,
}

/// How a tap ended.
pub(crate) struct Ended {
    pub(crate) stderr: String,
    /// The last line.
    pub(crate) counters: Value,
}

impl Ended {
    pub(crate) fn count(&self, name: &str) -> u64 {
        self.counters[name].as_u64().unwrap_or_else(|| panic!("{name} in {}", self.stderr))
    }

    /// Every record is accounted for.
    pub(crate) fn assert_balance(&self) {
        let parts = ["written", "duplicate", "filtered", "ignored", "lost", "backlog"];
        let sum: u64 = parts.iter().map(|part| self.count(part)).sum();
        assert_eq!(self.count("received"), sum, "{}", self.counters);
    }
}

impl Tap {
    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).expect("kill");
    }

    /// SIGTERM: an orderly end with status 0 and the counters as the last line.
    pub(crate) fn end(mut self) -> Ended {
        self.signal(Signal::SIGTERM);
        let mut stderr = String::new();
        if let Some(mut pipe) = self.child.stderr.take() {
            pipe.read_to_string(&mut stderr).expect("stderr");
        }
        let status = self.child.wait().expect("wait");
        stderr.push_str(&self.said());
        assert!(status.success(), "{status}: {stderr}");
        let last = stderr.lines().last().unwrap_or_default();
        let counters = serde_json::from_str(last).unwrap_or_else(|e| panic!("{e}: {stderr}"));
        let ended = Ended { stderr, counters };
        ended.assert_balance();
        ended
    }

    /// What it has said so far.
    pub(crate) fn said(&self) -> String {
        let read = |log: &NamedTempFile| fs::read_to_string(log.path()).expect("log");
        self.log.as_ref().map(read).unwrap_or_default()
    }

    pub(crate) fn kill9(mut self) {
        self.child.kill().expect("kill");
        self.child.wait().expect("wait");
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        if self.child.try_wait().ok().flatten().is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// The events of a queue by file name; staged files are none.
pub(crate) fn events(queue: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(queue).into_iter().flatten().flatten() {
        let name = entry.file_name().into_string().expect("UTF-8");
        if name == "head" || name == "tail" || name.starts_with('.') {
            continue;
        }
        // One that is consumed meanwhile is none.
        if let Ok(text) = fs::read_to_string(entry.path()) {
            found.insert(name, text);
        }
    }
    found
}

/// All lines of all files as JSON, in the order of the names; what is being written is left out.
pub(crate) fn lines(queue: &Path) -> Vec<Value> {
    let all = events(queue).into_values();
    let all: String = all.filter(|text| text.ends_with('\n')).collect();
    let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
    all.lines().map(parse).collect()
}

/// The event numbers in a queue, of this node, sorted (files of several nodes mix them).
pub(crate) fn numbers(queue: &Path, node: u64) -> Vec<u64> {
    let of_node = |line: &Value| {
        let data = &line["data"];
        (data["meta_id"] == node).then(|| data["msn"].as_u64()).flatten()
    };
    let mut numbers: Vec<u64> = lines(queue).iter().filter_map(of_node).collect();
    numbers.sort_unstable();
    numbers
}

/// Demands just these numbers, each once.
pub(crate) fn assert_numbers(queue: &Path, node: u64, expected: std::ops::Range<u64>) {
    let found = numbers(queue, node);
    let wrong = found.iter().zip(expected.clone()).find(|(found, expected)| **found != *expected);
    assert_eq!((wrong, found.len() as u64), (None, expected.end - expected.start));
}

/// Lines of a type.
pub(crate) fn of_type(queue: &Path, kind: &str) -> Vec<Value> {
    lines(queue).into_iter().filter(|line| line["type"] == kind).collect()
}

pub(crate) fn wait_for_events(queue: &Path, count: usize) {
    wait_until(&format!("{count} events"), || events(queue).len() >= count);
}

/// Name of the file of an event of node 12.
pub(crate) fn file(msn: u64) -> String {
    format!("beegfs-0000000012-{msn:020}.json")
}
