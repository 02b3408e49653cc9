//! From UDP to files in a queue: the tap as its users run it, fed at a rate and all at once.

use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::decode::messages;
use crate::common::mount::Eventfs;
use crate::common::table::Row;
use crate::common::{Broken, scale};

const EVENTFS: &str = env!("CARGO_BIN_EXE_eventfs");

/// Datagrams a second that must not be lost.
const RATE: u32 = 20_000;

/// Datagrams of a burst that must not be lost, for root.
const BURST: u32 = 50_000;

/// Longest wait for anything.
const BOUND: Duration = Duration::from_secs(60);

const PAUSE: Duration = Duration::from_millis(1);

pub(crate) fn steady() -> Result<Vec<Row>, Broken> {
    let seconds = scale(10, 2);
    let mut rows = Vec::new();
    for (name, words) in [
        ("20 000 datagrams a second, one event a file", &[][..]),
        ("the same, --batch 1000", &["--batch", "1000"]),
    ] {
        let round = Round::run(RATE * seconds, Some(RATE), words)?;
        let sent = f64::from(round.sent) / round.sending.as_secs_f64();
        rows.push(round.row(name).under(format!(
            "{seconds} s, sent at {sent:.0}/s; the last file {} ms after the last datagram",
            round.behind.as_millis()
        )));
    }
    Ok(rows)
}

pub(crate) fn bursts() -> Result<Vec<Row>, Broken> {
    if !nix::unistd::geteuid().is_root() {
        return Ok(vec![Row::told("bursts", "not root: skipped".to_owned())]);
    }
    let mut rows = Vec::new();
    for (name, words) in [
        ("a burst of 50 000, one event a file", &[][..]),
        ("the same, --batch 1000", &["--batch", "1000"]),
    ] {
        let mut worst = Round::run(BURST, None, words)?;
        for _ in 1..scale(5, 1) {
            let round = Round::run(BURST, None, words)?;
            if round.lost() >= worst.lost() {
                worst = round;
            }
        }
        let (sent, took) = (worst.sending, worst.sending + worst.behind);
        let rate = f64::from(BURST) / took.as_secs_f64();
        rows.push(worst.row(name).under(format!(
            "worst of {}; sent in {} ms, in files after {} ms ({rate:.0}/s)",
            scale(5, 1),
            sent.as_millis(),
            took.as_millis()
        )));
    }
    Ok(rows)
}

/// What became of datagrams.
struct Round {
    sent: u32,
    counters: Value,
    /// From the first to the last datagram.
    sending: Duration,
    /// From the last datagram to the last file.
    behind: Duration,
}

impl Round {
    fn run(count: u32, rate: Option<u32>, words: &[&str]) -> Result<Self, Broken> {
        let mount = Eventfs::start(&["-o", "size=4g"])?;
        let queue = mount.queue("q")?;
        let (tap, port) = Tap::start(&queue, words)?;
        let messages = messages()?;
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.connect(("127.0.0.1", port))?;
        let start = Instant::now();
        for (number, message) in (0..count).zip(messages.iter().cycle()) {
            if let Some(rate) = rate
                && number % 20 == 0
            {
                let due = start + Duration::from_secs(number.into()) / rate;
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
            }
            socket.send(message)?;
        }
        let sending = start.elapsed();
        let behind = tap.wait_for(count, &queue)?;
        let counters = tap.end()?;
        Ok(Self { sent: count, counters, sending, behind })
    }

    fn lost(&self) -> u64 {
        u64::from(self.sent) - self.counters["written"].as_u64().unwrap_or(0)
    }

    fn row(&self, name: &str) -> Row {
        let shown = format!("{} lost", self.lost());
        Row::checked(name, "0 lost", shown, self.lost() == 0)
    }
}

struct Tap {
    child: Child,
    dir: tempfile::TempDir,
}

impl Tap {
    fn start(queue: &Path, words: &[&str]) -> Result<(Self, u16), Broken> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("notify");
        let notify = UnixDatagram::bind(&path)?;
        notify.set_read_timeout(Some(BOUND))?;
        let port = UdpSocket::bind("127.0.0.1:0")?.local_addr()?.port();
        let child = Command::new(EVENTFS)
            .args(["tap", "gluster", "--udp", &format!("127.0.0.1:{port}"), "--queue"])
            .arg(queue)
            .args(words)
            .env("NOTIFY_SOCKET", &path)
            .env("EVENTFS_WEBHOOK_DIR", dir.path().join("hooks"))
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        notify.recv(&mut [0; 64])?;
        Ok((Self { child, dir }, port))
    }

    /// Waits until so many are accounted for, and says how long that took.
    fn wait_for(&self, count: u32, queue: &Path) -> Result<Duration, Broken> {
        let start = Instant::now();
        while start.elapsed() < BOUND {
            let text = xattr::get(queue, "user.tap.gluster")?.unwrap_or_default();
            let counters: Value = serde_json::from_slice(&text).unwrap_or_default();
            if counters["received"] == count && counters["backlog"] == 0 {
                return Ok(start.elapsed());
            }
            std::thread::sleep(PAUSE);
        }
        Err(format!("not all came: {}", self.dir.path().display()).into())
    }

    fn end(mut self) -> Result<Value, Broken> {
        kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGTERM)?;
        let stderr = self.child.stderr.take().map(std::io::read_to_string).transpose()?;
        let text = stderr.unwrap_or_default();
        if !self.child.wait()?.success() {
            return Err(format!("the tap failed: {text}").into());
        }
        Ok(serde_json::from_str(text.lines().last().unwrap_or_default())?)
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
