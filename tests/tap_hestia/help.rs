//! A tap as a child process, its feed, and what is in its queue.
#![allow(unreachable_pub, reason = "used by the modules beside it")]

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

use crate::common::{EVENTFS, spawn, wait_until};

/// A directory with a feed, a state and a plain queue.
pub struct Site {
    pub dir: TempDir,
    pub queue: PathBuf,
}

impl Site {
    pub fn new() -> Self {
        let dir = TempDir::new().expect("temporary directory");
        let queue = dir.path().join("queue");
        Self { dir, queue }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn feed(&self) -> PathBuf {
        self.path("feed.yaml")
    }

    /// Appends to the feed in one write, as Hestia does.
    pub fn append(&self, text: &str) {
        append(&self.feed(), text);
    }

    pub fn inode(&self) -> u64 {
        fs::metadata(self.feed()).expect("feed").ino()
    }

    /// `eventfs tap hestia` with these words, and `--feed`, `--queue` unless they are among them.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(EVENTFS);
        command.args(["tap", "hestia"]).args(words);
        if !words.iter().any(|word| word.starts_with("--feed")) {
            command.arg("--feed").arg(self.feed());
        }
        if !words.contains(&"--queue") {
            command.arg("--queue").arg(&self.queue);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }

    /// Starts a tap that goes on.
    pub fn tap(&self, words: &[&str]) -> Tap {
        let log = self.path("log");
        let stderr = File::create(&log).expect("log");
        Tap { child: spawn(self.command(words).stderr(stderr)), log }
    }

    /// Runs a tap with `--once` to its end.
    pub fn once(&self, words: &[&str]) -> Ended {
        let output = spawn(self.command(words).arg("--once")).wait_with_output().expect("tap");
        ended(&output)
    }

    /// The events in the queue in the order of the names.
    pub fn lines(&self) -> Vec<Value> {
        lines(&self.queue)
    }

    /// Waits until so many events are there, and gives them.
    pub fn wait_for(&self, count: usize) -> Vec<Value> {
        wait_until(&format!("{count} events"), || names(&self.queue).len() >= count);
        let lines = self.lines();
        assert_eq!(lines.len(), count, "{lines:#?}");
        lines
    }
}

/// Long enough for a tap that does something wrong to have done it.
pub fn settle() {
    std::thread::sleep(std::time::Duration::from_millis(300));
}

pub fn append(path: &Path, text: &str) {
    let file = OpenOptions::new().append(true).create(true).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).expect("append");
}

/// A deletion of an object that nobody knows, with so many letters at least.
pub fn document(number: usize) -> String {
    format!("---\n!remove\nid: \"object-{number:06}\"\ntime: {}\n...\n", number + 1)
}

/// The number of such a document.
pub fn number(event: &Value) -> Option<usize> {
    event["data"]["id"].as_str()?.strip_prefix("object-")?.parse().ok()
}

pub struct Tap {
    pub child: Child,
    log: PathBuf,
}

/// How a tap ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stderr: String,
    /// The last line.
    pub counters: Value,
}

fn ended(output: &Output) -> Ended {
    let stderr = String::from_utf8(output.stderr.clone()).expect("UTF-8");
    report(output.status.code(), stderr)
}

fn report(code: Option<i32>, stderr: String) -> Ended {
    let counters = stderr.lines().last().and_then(|line| serde_json::from_str(line).ok());
    Ended { code, counters: counters.unwrap_or(Value::Null), stderr }
}

impl Ended {
    pub fn count(&self, name: &str) -> u64 {
        self.counters[name].as_u64().unwrap_or_else(|| panic!("{name} in {}", self.stderr))
    }

    /// It ended well and every record is accounted for.
    pub fn assert_well(&self) {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        let parts = ["written", "duplicate", "filtered", "ignored", "lost", "backlog"];
        let sum: u64 = parts.iter().map(|part| self.count(part)).sum();
        assert_eq!(self.count("received"), sum, "{}", self.counters);
    }
}

impl Tap {
    /// SIGTERM: an orderly end with status 0 and the counters as the last line.
    pub fn end(mut self) -> Ended {
        kill(Pid::from_raw(self.child.id() as i32), Signal::SIGTERM).expect("kill");
        self.wait()
    }

    /// Waits for its own end.
    pub fn wait(&mut self) -> Ended {
        let status = self.child.wait().expect("wait");
        let ended = report(status.code(), fs::read_to_string(&self.log).expect("log"));
        ended.assert_well();
        ended
    }

    pub fn kill9(mut self) {
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

/// Names of events, sorted.
pub fn names(queue: &Path) -> Vec<String> {
    let entries = fs::read_dir(queue).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.file_name().into_string().expect("UTF-8")).collect();
    names.retain(|name| name != "head" && name != "tail" && !name.starts_with('.'));
    names.sort();
    names
}

/// All lines of all files in the order of the names; what is written just now is left out.
pub fn lines(queue: &Path) -> Vec<Value> {
    let mut lines = Vec::new();
    for name in names(queue) {
        let mut text = String::new();
        let file = File::open(queue.join(name));
        if file.and_then(|mut file| file.read_to_string(&mut text)).is_err() {
            continue;
        }
        let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        lines.extend(whole.map(|line| serde_json::from_str::<Value>(line).expect("JSON")));
    }
    lines
}

pub const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/hestia/");

pub fn sample(name: &str) -> String {
    fs::read_to_string(format!("{DATA}{name}")).expect(name)
}
