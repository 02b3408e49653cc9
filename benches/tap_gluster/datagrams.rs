//! From UDP to files in a queue: the tap as its users run it, fed at a rate and all at once.

use std::net::UdpSocket;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::decode::messages;
use crate::common::mount::Eventfs;
use crate::common::row::Row;
use crate::common::tap::Tap;
use crate::common::{Broken, scale};

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
        ("Gluster, 20 000 datagrams a second, one event a file", &[][..]),
        ("Gluster, 20 000 datagrams a second, --batch 1000", &["--batch", "1000"]),
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
        eprintln!("bursts: not measured: only root may have a buffer for them");
        return Ok(Vec::new());
    }
    let (bursts, mut rows) = (scale(3, 1), Vec::new());
    for (name, words) in [
        ("Gluster, bursts of 50 000 datagrams, one event a file", &[][..]),
        ("Gluster, bursts of 50 000 datagrams, --batch 1000", &["--batch", "1000"]),
    ] {
        let mut worst = Round::run(BURST, None, words)?;
        for _ in 1..bursts {
            let round = Round::run(BURST, None, words)?;
            if round.lost() >= worst.lost() {
                worst = round;
            }
        }
        let (sent, took) = (worst.sending, worst.sending + worst.behind);
        let rate = f64::from(BURST) / took.as_secs_f64();
        rows.push(worst.row(name).under(format!(
            "worst of {bursts}; sent in {} ms, in files after {} ms ({rate:.0}/s)",
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
        let port = UdpSocket::bind("127.0.0.1:0")?.local_addr()?.port();
        let source = ["gluster", "--udp", &format!("127.0.0.1:{port}")];
        let tap = Tap::start(&source, &queue, words)?;
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
        let behind = wait_for(count, &queue)?;
        let ended = tap.end()?;
        let counters = serde_json::from_str(ended.stderr.lines().last().unwrap_or_default())?;
        Ok(Self { sent: count, counters, sending, behind })
    }

    fn lost(&self) -> u64 {
        u64::from(self.sent) - self.counters["written"].as_u64().unwrap_or(0)
    }

    fn row(&self, name: &str) -> Row {
        let measured =
            if self.lost() == 0 { "none lost".into() } else { format!("{} lost", self.lost()) };
        Row::checked(name, "none lost", measured, self.lost() == 0)
    }
}

/// Waits until so many are accounted for, and says how long that took.
fn wait_for(count: u32, queue: &Path) -> Result<Duration, Broken> {
    let start = Instant::now();
    while start.elapsed() < BOUND {
        let text = xattr::get(queue, "user.tap.gluster")?.unwrap_or_default();
        let counters: Value = serde_json::from_slice(&text).unwrap_or_default();
        if counters["received"] == count && counters["backlog"] == 0 {
            return Ok(start.elapsed());
        }
        std::thread::sleep(PAUSE);
    }
    Err("not all came".into())
}
