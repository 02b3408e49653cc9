//! A tap as a child process, and what is in its queue.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

use crate::common::{EVENTFS, spawn, wait_until};

/// A directory for logs, states and plain queues.
pub(crate) struct Site {
    dir: TempDir,
}

/// How a tap ended.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stderr: String,
    pub(crate) stdout: String,
    /// The last line of standard error, or null.
    pub(crate) counters: Value,
}

impl Ended {
    pub(crate) fn count(&self, name: &str) -> u64 {
        self.counters[name].as_u64().unwrap_or_else(|| panic!("{name} in {}", self.stderr))
    }

    fn new(code: Option<i32>, stdout: String, stderr: String) -> Self {
        let last = stderr.lines().last().unwrap_or_default();
        let counters: Value = serde_json::from_str(last).unwrap_or_default();
        let ended = Self { code, stderr, stdout, counters };
        if !ended.counters.is_null() {
            let parts = ["written", "duplicate", "filtered", "ignored", "lost", "backlog"];
            let sum: u64 = parts.iter().map(|part| ended.count(part)).sum();
            assert_eq!(ended.count("received"), sum, "{}", ended.counters);
        }
        ended
    }
}

impl Site {
    pub(crate) fn new() -> Self {
        Self { dir: TempDir::new().expect("temporary directory") }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn queue(&self) -> PathBuf {
        self.path("queue")
    }

    /// Writes a file and returns its path.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).expect("write");
        path
    }

    /// `eventfs tap storage` into our queue, with further words.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        self.command_into(&self.queue(), words)
    }

    fn command_into(&self, queue: &Path, words: &[&str]) -> Command {
        let mut command = Command::new(EVENTFS);
        command.args(["tap", "storage", "--queue"]).arg(queue).args(words);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs a tap to its end.
    pub(crate) fn run(&self, words: &[&str]) -> Ended {
        let child = spawn(&mut self.command(words));
        end(child)
    }

    /// Reads a log to its end, and demands that all was well.
    pub(crate) fn read(&self, log: &Path, words: &[&str]) -> Ended {
        let kmsg = format!("--kmsg={}", log.display());
        let ended = self.run(&[&[kmsg.as_str()], words].concat());
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        ended
    }

    /// Starts a tap that goes on until it is ended; it has said nothing yet, but serves.
    pub(crate) fn start(&self, words: &[&str]) -> Tap {
        let ready = self.path("ready");
        let _ = fs::remove_file(&ready);
        let socket = std::os::unix::net::UnixDatagram::bind(&ready).expect("socket");
        socket.set_read_timeout(Some(crate::common::BOUND)).expect("time-out");
        let child = spawn(self.command(words).env("NOTIFY_SOCKET", &ready));
        let tap = Tap(Some(child));
        let mut said = [0; 64];
        let length = socket.recv(&mut said).expect("READY=1");
        assert!(said[..length].starts_with(b"READY=1"));
        tap
    }

    /// Starts a tap into another queue.
    pub(crate) fn start_into(&self, queue: &Path, words: &[&str]) -> Tap {
        Tap(Some(spawn(&mut self.command_into(queue, words))))
    }

    /// The events in our queue, oldest name first.
    pub(crate) fn events(&self) -> Vec<(String, Value)> {
        events(&self.queue())
    }

    /// Waits until the queue has so many events of a type.
    pub(crate) fn wait_for(&self, kind: &str, count: usize) -> Vec<Value> {
        let find = || {
            let all = self.events().into_iter().map(|(_, event)| event);
            all.filter(|event| event["type"] == kind).collect::<Vec<_>>()
        };
        wait_until(kind, || find().len() >= count);
        find()
    }
}

/// The events of a queue.
pub(crate) fn events(queue: &Path) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(queue).into_iter().flatten().flatten() {
        let name = entry.file_name().into_string().expect("UTF-8");
        let is_event = name != "head" && name != "tail" && !name.starts_with('.');
        // One that is consumed meanwhile is none.
        if let Ok(text) = fs::read_to_string(entry.path())
            && is_event
            // On a mount a file is listed from its creation on, though no event yet.
            && !text.is_empty()
        {
            assert!(text.ends_with('\n') && text.matches('\n').count() == 1, "{name}: {text}");
            found.push((name, serde_json::from_str(&text).expect("JSON")));
        }
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

/// A running tap; ended with its value.
pub(crate) struct Tap(Option<Child>);

impl Tap {
    pub(crate) fn signal(&self, signal: Signal) {
        let child = self.0.as_ref().expect("a running tap");
        kill(Pid::from_raw(child.id() as i32), signal).expect("kill");
    }

    /// SIGTERM: an orderly end with status 0.
    pub(crate) fn end(mut self) -> Ended {
        self.signal(Signal::SIGTERM);
        let ended = self.wait();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        ended
    }

    /// Waits until it ends by itself.
    pub(crate) fn wait(&mut self) -> Ended {
        end(self.0.take().expect("a running tap"))
    }

    pub(crate) fn kill9(mut self) {
        let mut child = self.0.take().expect("a running tap");
        child.kill().expect("kill");
        child.wait().expect("wait");
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn end(child: Child) -> Ended {
    let output = child.wait_with_output().expect("wait");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Ended::new(output.status.code(), text(output.stdout), text(output.stderr))
}

/// A file of the samples.
pub(crate) fn data(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/storage").join(name)
}

/// The values of a file with one a line.
pub(crate) fn samples(name: &str) -> Vec<Value> {
    let text = fs::read_to_string(data(name)).expect("samples");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// The records of sample lines as one log.
pub(crate) fn log_of(samples: &[Value]) -> String {
    samples
        .iter()
        .map(|sample| format!("{}\n", sample["record"].as_str().expect("record")))
        .collect()
}

/// The first eight digits of this boot's id.
pub(crate) fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("boot id")[..8].to_owned()
}

/// Records of the kernel with these texts, numbered from 1, a thousandth of a second apart.
pub(crate) fn records(texts: &[&str]) -> String {
    let record = |(number, text): (usize, &&str)| {
        format!("4,{},{},-;{text}\n", number + 1, 1000 * (number + 1))
    };
    texts.iter().enumerate().map(record).collect()
}
