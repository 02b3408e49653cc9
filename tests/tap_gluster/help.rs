//! A tap that runs, and the other ends of its connections.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::common::{EVENTFS, spawn, wait_until};

/// A directory with everything of one test in it.
pub(super) struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    pub(super) fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("temporary directory") }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(super) fn file(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        fs::write(&path, text).expect("write");
        path.to_str().expect("text").to_owned()
    }

    /// The word for a tap that takes what [`Place::send`] sends.
    pub(super) fn socket(&self) -> String {
        format!("--socket={}", self.path("s").display())
    }

    /// Sends a message to the UNIX socket, where datagrams keep their order: UDP does not promise it, and
    /// on a busy machine not even the loopback device keeps it.
    pub(super) fn send(&self, message: impl AsRef<[u8]>) {
        let socket = UnixDatagram::unbound().expect("socket");
        socket.send_to(message.as_ref(), self.path("s")).expect("send");
    }

    /// A tap into the directory `q`, ready, with its state of webhooks in `hooks`.
    pub(super) fn tap(&self, args: &[&str]) -> Tap {
        Tap::start(self.command("q", args))
    }

    /// The command of a tap.
    pub(super) fn command(&self, queue: &str, args: &[&str]) -> Command {
        let mut command = Command::new(EVENTFS);
        command.args(["tap", "gluster", "--queue"]).arg(self.path(queue)).args(args);
        command.env("EVENTFS_WEBHOOK_DIR", self.path("hooks")).env_remove("EVENTFS_LOG");
        command.arg("--glusterd").arg(self.path("glusterd"));
        command
    }

    /// Runs a command such as `webhook add URL`.
    pub(super) fn run(&self, words: &str) -> Output {
        let mut command = Command::new(EVENTFS);
        command.args(words.split(' ')).env("EVENTFS_WEBHOOK_DIR", self.path("hooks"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        spawn(&mut command).wait_with_output().expect("output")
    }

    pub(super) fn run_ok(&self, words: &str) -> String {
        let output = self.run(words);
        assert!(output.status.success(), "{words}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }

    /// Events in `q` by the order of their names; those of notes are last.
    pub(super) fn events(&self) -> Vec<Value> {
        events(&self.path("q"))
    }

    pub(super) fn wait_for(&self, count: usize) -> Vec<Value> {
        wait_until(&format!("{count} events"), || self.events().len() >= count);
        self.events()
    }
}

/// Every line of every file in a directory by the order of their names.
pub(super) fn events(dir: &Path) -> Vec<Value> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut names: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    names.sort();
    let mut events = Vec::new();
    for name in names {
        // Not there any more, or not whole yet.
        let text = fs::read_to_string(name).unwrap_or_default();
        events.extend(text.lines().filter_map(|line| serde_json::from_str(line).ok()));
    }
    events
}

/// A running tap.
pub(super) struct Tap {
    child: Child,
    stderr: Arc<Mutex<String>>,
    reading: Option<thread::JoinHandle<()>>,
}

impl Tap {
    /// Starts it and waits until it says that it serves.
    pub(super) fn start(mut command: Command) -> Self {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("notify");
        let notify = UnixDatagram::bind(&path).expect("bind");
        std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .expect("chmod");
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o777))
            .expect("chmod");
        notify.set_read_timeout(Some(Duration::from_millis(50))).expect("timeout");
        command.env("NOTIFY_SOCKET", &path).stdin(Stdio::null()).stderr(Stdio::piped());
        let mut child = spawn(&mut command);
        let stderr = Arc::new(Mutex::new(String::new()));
        let mut pipe = BufReader::new(child.stderr.take().expect("stderr"));
        let text = Arc::clone(&stderr);
        let reading = thread::spawn(move || {
            let mut line = String::new();
            while pipe.read_line(&mut line).is_ok_and(|length| length > 0) {
                text.lock().expect("lock").push_str(&std::mem::take(&mut line));
            }
        });
        let mut tap = Self { child, stderr, reading: Some(reading) };
        wait_until("READY=1", || {
            if let Some(status) = tap.child.try_wait().expect("wait") {
                panic!("the tap ended with {status}: {}", tap.stderr());
            }
            notify.recv(&mut [0; 100]).is_ok()
        });
        tap
    }

    pub(super) fn stderr(&self) -> String {
        self.stderr.lock().expect("lock").clone()
    }

    pub(super) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).expect("kill");
    }

    /// The counters as they are now, from SIGUSR1.
    pub(super) fn counters(&self) -> Value {
        let lines = || self.stderr().lines().filter(|line| line.starts_with('{')).count();
        let before = lines();
        self.signal(Signal::SIGUSR1);
        wait_until("counters", || lines() > before);
        let text = self.stderr();
        let line = text.lines().rfind(|line| line.starts_with('{')).expect("a line");
        serde_json::from_str(line).expect("JSON")
    }

    /// Ends it with SIGTERM; demands status 0 and counters that add up, and returns those.
    pub(super) fn end(mut self) -> Value {
        self.signal(Signal::SIGTERM);
        let status = self.wait();
        assert!(status.success(), "{status}: {}", self.stderr());
        let text = self.stderr();
        let counters: Value =
            serde_json::from_str(text.lines().last().expect("a last line")).expect("counters");
        let number = |name: &str| counters[name].as_u64().expect("a number");
        let parts = ["written", "duplicate", "filtered", "ignored", "lost", "backlog"];
        assert_eq!(number("received"), parts.iter().map(|name| number(name)).sum::<u64>());
        counters
    }

    pub(super) fn kill9(mut self) {
        self.child.kill().expect("kill");
        self.wait();
    }

    fn wait(&mut self) -> std::process::ExitStatus {
        let mut status = None;
        wait_until("the end of the tap", || {
            status = self.child.try_wait().expect("wait");
            status.is_some()
        });
        self.reading.take().map(thread::JoinHandle::join);
        status.expect("a status")
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that was free just now, for TCP and UDP on every address.
pub(super) fn free_port() -> u16 {
    for _ in 0..100 {
        let tcp = TcpListener::bind("127.0.0.1:0").expect("bind");
        let port = tcp.local_addr().expect("address").port();
        if UdpSocket::bind(("0.0.0.0", port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free");
}

pub(super) fn samples(file: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/gluster").join(file);
    let text = fs::read_to_string(path).expect("samples");
    text.lines().map(|line| serde_json::from_str(line).expect("a sample")).collect()
}

pub(super) fn bytes(sample: &Value) -> Vec<u8> {
    STANDARD.decode(sample["b64"].as_str().expect("text")).expect("base64")
}

/// Sends one datagram from a socket of its own, as Gluster does.
pub(super) fn send(to: impl Into<SocketAddr>, bytes: &[u8]) {
    let to = to.into();
    let from = if to.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
    let socket = UdpSocket::bind(from).expect("bind");
    socket.send_to(bytes, to).expect("send");
}

/// Sends a request as it stands and returns the whole answer.
pub(super) fn exchange(port: u16, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("connect");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("timeout");
    stream.write_all(request).expect("write");
    answer(&mut stream)
}

/// Reads one answer with a Content-Length.
pub(super) fn answer(stream: &mut impl Read) -> String {
    let mut text = Vec::new();
    let mut byte = [0];
    loop {
        if let Some(at) = text.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&text[..at]).to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if text.len() >= at + 4 + length.map_or(0, |length| length.parse().expect("a length")) {
                break;
            }
        }
        match stream.read(&mut byte) {
            Ok(1) => text.push(byte[0]),
            _ => break,
        }
    }
    String::from_utf8(text).expect("text")
}

/// The status of an answer.
pub(super) fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0)
}

/// Posts a body with further headers and returns the status.
pub(super) fn post(port: u16, path: &str, headers: &str, body: &str) -> u16 {
    let length = body.len();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\
         {headers}\r\n{body}"
    );
    status(&exchange(port, request.as_bytes()))
}

/// A posted object.
pub(super) fn object(event: &str, value: &str) -> String {
    serde_json::json!({"event": event, "message": {"name": value}, "nodeid": "n", "ts": 1})
        .to_string()
}
