//! `eventfs pop --all` against a compiled loop that reads and unlinks through `head`, on the same
//! mount in one run: a ratio, because a shared machine is never quiet.
//!
//! `cargo bench --bench consume`; `EVENTFS_BENCH_QUICK=1` makes a short run.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

const EVENTFS: &str = env!("CARGO_BIN_EXE_eventfs");

/// How much faster pop must be than the loop.
const TARGET: f64 = 4.0;

const EVENT_BYTES: usize = 200;

fn main() -> ExitCode {
    match report() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("broken: {error}");
            ExitCode::FAILURE
        }
    }
}

fn report() -> io::Result<()> {
    let quick = std::env::var_os("EVENTFS_BENCH_QUICK").is_some();
    let (count, rounds) = if quick { (10_000, 1) } else { (100_000, 3) };
    let mount = Mount::new()?;
    let queue = mount.point.join("q");
    fs::create_dir(&queue)?;
    let mut ratios = Vec::new();
    println!("events a second, {count} events of {EVENT_BYTES} bytes:");
    for _ in 0..rounds {
        fill(&queue, count)?;
        let by_loop = count as f64 / time(|| drain_by_loop(&queue, count))?.as_secs_f64();
        fill(&queue, count)?;
        let by_pop = count as f64 / time(|| drain_by_pop(&queue))?.as_secs_f64();
        println!("  loop {by_loop:9.0}   pop --all {by_pop:9.0}   ratio {:5.1}", by_pop / by_loop);
        ratios.push(by_pop / by_loop);
    }
    ratios.sort_by(f64::total_cmp);
    let ratio = ratios[ratios.len() / 2];
    let verdict = if ratio >= TARGET { "holds" } else { "MISSED" };
    println!(
        "pop --all against the loop: target {TARGET:.1}, measured {ratio:.1} times: {verdict}"
    );
    Ok(())
}

fn time(work: impl FnOnce() -> io::Result<()>) -> io::Result<Duration> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed())
}

fn fill(queue: &Path, count: usize) -> io::Result<()> {
    for number in 0..count {
        fs::write(queue.join(format!("event-{number:07}")), [b'x'; EVENT_BYTES])?;
    }
    Ok(())
}

/// What a program without the client library does.
fn drain_by_loop(queue: &Path, count: usize) -> io::Result<()> {
    let head = queue.join("head");
    let mut out = File::options().write(true).open("/dev/null")?;
    let mut content = vec![0; 2 * EVENT_BYTES];
    for _ in 0..count {
        let mut event = File::open(&head)?;
        let length = event.read(&mut content)?;
        drop(event);
        out.write_all(&content[..length])?;
        fs::remove_file(&head)?;
    }
    expect_empty(queue)
}

fn drain_by_pop(queue: &Path) -> io::Result<()> {
    let mut pop = Command::new(EVENTFS);
    let status = pop.arg("pop").arg(queue).arg("--all").stdout(Stdio::null()).status()?;
    if !status.success() {
        return Err(io::Error::other(format!("pop: {status}")));
    }
    expect_empty(queue)
}

fn expect_empty(queue: &Path) -> io::Result<()> {
    match fs::read_dir(queue)?.next() {
        None => Ok(()),
        Some(_) => Err(io::Error::other("events are left")),
    }
}

/// A private mount that ends with its value.
struct Mount {
    point: PathBuf,
    daemon: Child,
    _dir: tempfile::TempDir,
}

impl Mount {
    fn new() -> io::Result<Self> {
        let dir = tempfile::tempdir()?;
        let point = dir.path().join("mnt");
        fs::create_dir(&point)?;
        let mut daemon = Command::new(EVENTFS);
        let daemon = daemon.args(["-f", "-o", "notify=lazy"]).arg(&point).spawn()?;
        let mount = Self { point, daemon, _dir: dir };
        let start = Instant::now();
        while !mount.is_there()? {
            if start.elapsed() > Duration::from_secs(20) {
                return Err(io::Error::other("the mount does not come"));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(mount)
    }

    fn is_there(&self) -> io::Result<bool> {
        let mounts = fs::read_to_string("/proc/self/mountinfo")?;
        let point = self.point.display().to_string();
        Ok(mounts.lines().any(|line| line.split(' ').nth(4) == Some(&point)))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let pid = nix::unistd::Pid::from_raw(self.daemon.id() as i32);
        // Whether it was there or not: it is gone now.
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        let _ = self.daemon.wait();
    }
}
