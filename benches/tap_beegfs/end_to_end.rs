//! From a metadata server's socket to files in a queue: the tap as its users run it.

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use eventfs::decode::beegfs::{Form, Packet};
use eventfs::sys::packets::Packets;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, connect, recv, send, socket, socketpair,
};
use nix::unistd::Pid;

use super::decode::packet_of;
use crate::common::mount::Eventfs;
use crate::common::table::Row;
use crate::common::{Broken, scale};

const EVENTFS: &str = env!("CARGO_BIN_EXE_eventfs");

/// Events a second with `--batch 1000`.
const BATCH_TARGET: f64 = 400_000.0;

/// Events a second of processor time: the reference listener that BeeGFS ships manages so many.
const REFERENCE: f64 = 240_000.0;

/// Part of the rate of a loop that writes the same files.
const SINGLE_TARGET: f64 = 0.7;

/// Longest wait for anything.
const BOUND: Duration = Duration::from_secs(60);

const PAUSE: Duration = Duration::from_millis(1);

/// Bursts as a busy server sends them, and all of it in files of a thousand.
pub(crate) fn batches() -> Result<Vec<Row>, Broken> {
    let count = scale(500_000, 50_000);
    let rounds = scale(5, 1);
    let mut rates = Vec::new();
    let mut bare = Vec::new();
    let mut by_processor = Vec::new();
    for _ in 0..rounds {
        bare.push(f64::from(count) / receive_only(count)?.as_secs_f64());
        let round = Round::run(count, &["--batch", "1000"])?;
        rates.push(f64::from(count) / round.took.as_secs_f64());
        by_processor.push(f64::from(count) / round.processor.as_secs_f64());
    }
    let (median, best) = (median(&mut rates), rates.last().copied().unwrap_or(0.0));
    let under = format!("{rounds} rounds of {count} events, median; best {best:.0}/s");
    let shown = format!("{median:.0}/s");
    Ok(vec![
        Row::told(
            "bare receive loop on the same packets",
            format!("{:.0}/s", self::median(&mut bare)),
        ),
        Row::checked("socket to files, --batch 1000", "400 k/s", shown, median >= BATCH_TARGET)
            .under(under),
        Row::checked(
            "the same, events a second of the tap's processor time",
            "240 k/s",
            format!("{:.0}/s", self::median(&mut by_processor)),
            self::median(&mut by_processor) >= REFERENCE,
        )
        .under("target: what the reference listener takes without writing anything"),
    ])
}

/// One event a file, against a loop that writes the same files into the same mount.
pub(crate) fn single_files() -> Result<Vec<Row>, Broken> {
    let count = scale(20_000, 5_000);
    let rounds = scale(5, 1);
    let mut ratios = Vec::new();
    let mut rates = Vec::new();
    for _ in 0..rounds {
        let round = Round::run(count, &[])?;
        let by_loop = write_again(&round)?;
        ratios.push(by_loop.as_secs_f64() / round.took.as_secs_f64());
        rates.push(f64::from(count) / round.took.as_secs_f64());
    }
    let ratio = median(&mut ratios);
    let under = format!("{rounds} rounds of {count} events, median; {:.0}/s", median(&mut rates));
    Ok(vec![
        Row::checked(
            "socket to files, one event a file, against a loop",
            "0.70",
            format!("{ratio:.2}"),
            ratio >= SINGLE_TARGET,
        )
        .under(under),
    ])
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// A tap on a mount that has taken its events.
struct Round {
    mount: Eventfs,
    queue: PathBuf,
    took: Duration,
    /// Processor time of the tap, from its start to its end.
    processor: Duration,
}

impl Round {
    fn run(count: u32, words: &[&str]) -> Result<Self, Broken> {
        let mount = Eventfs::start(&["-o", "size=4g"])?;
        let queue = mount.queue("q")?;
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("socket");
        let tap = Tap::start(&path, &queue, words)?;
        let packets: Vec<Vec<u8>> =
            (0..count).map(|number| packet_of(number.into(), number)).collect();
        let server = shake_hands(&path, count)?;
        let start = Instant::now();
        let sender = std::thread::spawn(move || send_all(&server, &packets).map(|()| server));
        let last = format!("\"msn\":{},", count - 1);
        while !ends_with(&queue.join("tail"), &last) {
            if start.elapsed() > BOUND {
                return Err(format!("not all came: {}", tap.end()?).into());
            }
            std::thread::sleep(PAUSE);
        }
        let took = start.elapsed();
        let server = sender.join().map_err(|_| "the sender panicked")??;
        drop(server);
        let before = processor_of_children()?;
        tap.end()?;
        let processor = processor_of_children()?.saturating_sub(before);
        Ok(Self { mount, queue, took, processor })
    }
}

/// Processor time of the child processes that have ended and were waited for.
fn processor_of_children() -> Result<Duration, Broken> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let micros = [usage.user_time(), usage.system_time()]
        .map(|time| time.tv_sec().unsigned_abs() * 1_000_000 + time.tv_usec().unsigned_abs());
    Ok(Duration::from_micros(micros.iter().sum()))
}

struct Tap(Child);

impl Tap {
    fn start(socket: &Path, queue: &Path, words: &[&str]) -> Result<Self, Broken> {
        let child = Command::new(EVENTFS)
            .args(["tap", "beegfs", "--socket"])
            .arg(socket)
            .arg("--queue")
            .arg(queue)
            .args(words)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let start = Instant::now();
        while !socket.exists() {
            if start.elapsed() > BOUND {
                return Err("the tap does not listen".into());
            }
            std::thread::sleep(PAUSE);
        }
        Ok(Self(child))
    }

    /// Its last words.
    fn end(mut self) -> Result<String, Broken> {
        kill(Pid::from_raw(self.0.id() as i32), Signal::SIGTERM)?;
        let stderr = self.0.stderr.take().map(std::io::read_to_string).transpose()?;
        if !self.0.wait()?.success() {
            return Err(format!("the tap failed: {}", stderr.unwrap_or_default()).into());
        }
        Ok(stderr.unwrap_or_default())
    }
}

/// Connects as a server does, up to the request for the stream.
fn shake_hands(path: &Path, count: u32) -> Result<OwnedFd, Broken> {
    let server = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None)?;
    let start = Instant::now();
    while connect(server.as_raw_fd(), &UnixAddr::new(path)?).is_err() {
        if start.elapsed() > BOUND {
            return Err("nobody listens".into());
        }
        std::thread::sleep(PAUSE);
    }
    let say = |packet: Packet<'_>| send(server.as_raw_fd(), &packet.to_bytes(), MsgFlags::empty());
    say(Packet::HandshakeResponse { major: 2, minor: 0, meta_id: 12, mirror_group: 0 })?;
    let mut buffer = [0; 64];
    loop {
        let length = recv(server.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
        match Packet::decode(&buffer[..length], Form::Strict)? {
            Packet::RangeRequest => {
                say(Packet::Range { next: count.into(), oldest: 0 })?;
            }
            Packet::StreamStart { .. } => return Ok(server),
            _ => {}
        }
    }
}

fn send_all(server: &OwnedFd, packets: &[Vec<u8>]) -> nix::Result<()> {
    for packet in packets {
        send(server.as_raw_fd(), packet, MsgFlags::empty())?;
    }
    Ok(())
}

/// Whether the end of a file says this.
fn ends_with(file: &Path, text: &str) -> bool {
    fs::read(file).is_ok_and(|content| {
        let end = content.len().saturating_sub(1_024);
        String::from_utf8_lossy(&content[end..]).contains(text)
    })
}

/// A program that receives the packets as the tap does, and does nothing with them.
fn receive_only(count: u32) -> Result<Duration, Broken> {
    let (near, far) =
        socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
    let packets: Vec<Vec<u8>> = (0..count).map(|number| packet_of(number.into(), number)).collect();
    let start = Instant::now();
    let sender = std::thread::spawn(move || send_all(&far, &packets));
    let mut room = Packets::new(64, 64 << 10);
    let mut got = 0;
    while got < count as usize {
        let mut fds = [nix::poll::PollFd::new(near.as_fd(), nix::poll::PollFlags::POLLIN)];
        nix::poll::poll(&mut fds, nix::poll::PollTimeout::from(1_000_u16))?;
        got += room.receive(near.as_fd())?;
    }
    let took = start.elapsed();
    sender.join().map_err(|_| "the sender panicked")??;
    Ok(took)
}

/// The same names with the same contents, written into another queue of the same mount by a plain loop.
fn write_again(round: &Round) -> Result<Duration, Broken> {
    let mut files = Vec::new();
    for entry in fs::read_dir(&round.queue)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            files.push((entry.file_name(), fs::read(entry.path())?));
        }
    }
    let other = round.mount.queue("again")?;
    let start = Instant::now();
    for (name, content) in &files {
        File::create_new(other.join(name))?.write_all(content)?;
    }
    Ok(start.elapsed())
}
