//! The daemon under test, and how much it holds.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::mount::{MntFlags, umount2};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::common::{EVENTFS, is_listed};

/// Longest wait for anything that must come.
pub(crate) const BOUND: Duration = Duration::from_secs(20);

/// Waits until something holds; `false` when it does not in time.
pub(crate) fn wait_for(mut holds: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    loop {
        if holds() {
            return true;
        }
        if start.elapsed() > BOUND {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// What a process of ours holds of the system.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Census {
    pub(crate) descriptors: usize,
    pub(crate) threads: usize,
    pub(crate) resident_kib: u64,
}

impl Census {
    pub(crate) fn of(pid: u32) -> Self {
        let count =
            |what| fs::read_dir(format!("/proc/{pid}/{what}")).map_or(0, |entries| entries.count());
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse().ok());
        Self {
            descriptors: count("fd"),
            threads: count("task"),
            resident_kib: kib.unwrap_or_default(),
        }
    }
}

/// How a daemon is ended in order.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    Terminate,
    Unmount,
}

/// A running daemon. Dropped, it is killed and its mount detached.
pub(crate) struct Daemon {
    child: Child,
    point: PathBuf,
    log: PathBuf,
    minor: String,
}

impl Daemon {
    /// Mounts. A stale mount of a killed daemon at the same place is the daemon's to clear.
    ///
    /// Whether it answers is asked with statvfs(2): stat(2) of a dead mount may be answered from the
    /// kernel's cache.
    pub(crate) fn start(point: &Path, log: &Path, arguments: &[&str]) -> Result<Self, String> {
        let file = File::create(log).map_err(|error| error.to_string())?;
        let mut command = Command::new(EVENTFS);
        command.arg("-f").args(arguments).arg(point).stdin(Stdio::null()).stderr(file);
        command.env_remove("NOTIFY_SOCKET").env_remove("JOURNAL_STREAM");
        let child = command.spawn().map_err(|error| error.to_string())?;
        let mut daemon = Self { child, point: point.into(), log: log.into(), minor: String::new() };
        let ended = |child: &mut Child| !matches!(child.try_wait(), Ok(None));
        let is_up = || nix::sys::statvfs::statvfs(&daemon.point).map(drop);
        let mut answer = Err(nix::errno::Errno::ETIMEDOUT);
        wait_for(|| {
            // In this order: between the old mount's end and the new one the directory below answers.
            answer = is_up();
            if answer.is_ok() && !is_listed(&daemon.point) {
                answer = Err(nix::errno::Errno::ENOENT);
            }
            answer.is_ok() || ended(&mut daemon.child)
        });
        if let Err(error) = answer {
            let status = daemon.child.try_wait();
            let log = daemon.log_text();
            return Err(format!("the daemon does not mount: {error}, {status:?}: {log}"));
        }
        daemon.minor = minor_of(&daemon.point);
        Ok(daemon)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it serves, at its place. A run is worth nothing when somebody else unmounted it.
    pub(crate) fn check(&mut self) -> Result<(), String> {
        let status = self.child.try_wait();
        if is_listed(&self.point) && matches!(status, Ok(None)) {
            return Ok(());
        }
        let is_listed = is_listed(&self.point);
        let log = self.log_text();
        Err(format!(
            "the mount went by itself, or by a stranger: listed {is_listed}, {status:?}: {log}"
        ))
    }

    fn log_text(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Ends it in order, and tells what was not in order.
    pub(crate) fn end(mut self, how: End) -> Vec<String> {
        let mut found = Vec::new();
        let asked = match how {
            End::Terminate => kill(Pid::from_raw(self.pid().cast_signed()), Signal::SIGTERM),
            End::Unmount => umount2(&self.point, MntFlags::empty()),
        };
        if let Err(error) = asked {
            found.push(format!("{how:?}: {error}"));
            let _ = umount2(&self.point, MntFlags::MNT_DETACH);
        }
        let mut status = None;
        wait_for(|| {
            status = self.child.try_wait().ok().flatten();
            status.is_some()
        });
        if !status.is_some_and(|status| status.success()) {
            found.push(format!("{how:?}: the daemon ended with {status:?}: {}", self.log_text()));
        }
        if is_listed(&self.point) {
            found.push(format!("{how:?}: a mount was left behind"));
        }
        if Path::new("/sys/fs/fuse/connections").join(&self.minor).exists() {
            found.push(format!("{how:?}: the kernel's connection was left behind"));
        }
        found
    }

    /// SIGKILL, as the system does it when memory runs out. The dead mount stays.
    pub(crate) fn kill(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        std::mem::forget(self);
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = umount2(&self.point, MntFlags::MNT_FORCE | MntFlags::MNT_DETACH);
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        if is_listed(&self.point) {
            let _ = umount2(&self.point, MntFlags::MNT_DETACH);
        }
    }
}

/// The number under which fusectl lists the connection of a mount.
fn minor_of(point: &Path) -> String {
    let text = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.split(' ').nth(4).map(Path::new) == Some(point));
    let device = line.and_then(|line| line.split(' ').nth(2));
    device.and_then(|device| device.split_once(':')).map(|(_, minor)| minor).unwrap_or("-").into()
}
