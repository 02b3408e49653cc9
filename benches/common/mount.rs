//! Mounts of our own that go when they are dropped.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::signal::{Signal, kill};
use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

use super::{Broken, EVENTFS};

/// Longest wait for a mount or for its end.
const BOUND: Duration = Duration::from_secs(20);

/// Pause between two looks at something that is waited for.
const PAUSE: Duration = Duration::from_millis(5);

/// A private eventfs.
pub(crate) struct Eventfs {
    point: PathBuf,
    daemon: Child,
    log: PathBuf,
    _dir: tempfile::TempDir,
}

impl Eventfs {
    /// Mounts one with these arguments.
    pub(crate) fn start(args: &[&str]) -> Result<Self, Broken> {
        let dir = tempfile::tempdir()?;
        let (point, log) = (dir.path().join("mnt"), dir.path().join("log"));
        let config = dir.path().join("none.toml");
        fs::create_dir(&point)?;
        fs::write(&config, "")?;
        let daemon = Command::new(EVENTFS)
            .arg("-f")
            .args(args)
            .args([OsStr::new("-c"), config.as_os_str(), point.as_os_str()])
            .env_remove("EVENTFS_LOG")
            .env_remove("RUST_LOG")
            .env_remove("JOURNAL_STREAM")
            .env_remove("NOTIFY_SOCKET")
            .stdin(Stdio::null())
            .stderr(File::create(&log)?)
            .spawn()?;
        let mut mounted = Self { point, daemon, log, _dir: dir };
        let start = Instant::now();
        while !(is_listed(&mounted.point) && fs::metadata(&mounted.point).is_ok()) {
            if mounted.daemon.try_wait()?.is_some() || start.elapsed() > BOUND {
                return Err(format!("no mount: {}", mounted.log_text()?).into());
            }
            std::thread::sleep(PAUSE);
        }
        Ok(mounted)
    }

    pub(crate) fn root(&self) -> &Path {
        &self.point
    }

    /// Makes a queue that does not depend on this process.
    pub(crate) fn queue(&self, name: &str) -> io::Result<PathBuf> {
        let path = self.point.join(name);
        fs::create_dir(&path)?;
        xattr::set(&path, "user.eventfs_sticky", b"1")?;
        Ok(path)
    }

    /// What the daemon wrote to its standard error, as soon as it has been silent for a moment.
    pub(crate) fn log_text(&self) -> io::Result<String> {
        let mut len = u64::MAX;
        loop {
            let now = fs::metadata(&self.log)?.len();
            if now == len {
                return fs::read_to_string(&self.log);
            }
            len = now;
            std::thread::sleep(10 * PAUSE);
        }
    }

    /// What the daemon has had of the processors, all its threads.
    pub(crate) fn processor_time(&self) -> Result<Duration, Broken> {
        let clock = clock_getcpuclockid(Pid::from_raw(self.daemon.id().cast_signed()))?;
        Ok(clock_gettime(clock)?.into())
    }

    /// Resident memory of the daemon, bytes.
    pub(crate) fn resident_bytes(&self) -> Result<u64, Broken> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.daemon.id()))?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().strip_suffix("kB")).ok_or("no VmRSS")?;
        Ok(kib.trim().parse::<u64>()? * 1_024)
    }
}

impl Drop for Eventfs {
    fn drop(&mut self) {
        if matches!(self.daemon.try_wait(), Ok(None)) {
            let _ = kill(Pid::from_raw(self.daemon.id().cast_signed()), Signal::SIGTERM);
        }
        let start = Instant::now();
        while matches!(self.daemon.try_wait(), Ok(None)) {
            if start.elapsed() > BOUND {
                let _ = self.daemon.kill();
                let _ = self.daemon.wait();
            }
            std::thread::sleep(PAUSE);
        }
        if is_listed(&self.point) {
            let _ = umount2(&self.point, MntFlags::MNT_DETACH);
        }
    }
}

/// A directory on a tmpfs to compare with.
pub(crate) struct Tmpfs {
    point: PathBuf,
    mounted: bool,
    _dir: tempfile::TempDir,
}

impl Tmpfs {
    /// A private one where we may mount, else a directory in `/dev/shm`; `None` without either.
    pub(crate) fn start() -> Result<Option<Self>, Broken> {
        let dir = tempfile::tempdir()?;
        let point = dir.path().to_owned();
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        let made = mount(Some("none"), &point, Some("tmpfs"), flags, Some("mode=700"));
        if made.is_ok() {
            return Ok(Some(Self { point, mounted: true, _dir: dir }));
        }
        let shared = Path::new("/dev/shm");
        let kind = nix::sys::statfs::statfs(shared).map(|status| status.filesystem_type());
        if kind != Ok(nix::sys::statfs::TMPFS_MAGIC) {
            return Ok(None);
        }
        let dir = tempfile::tempdir_in(shared)?;
        Ok(Some(Self { point: dir.path().to_owned(), mounted: false, _dir: dir }))
    }

    pub(crate) fn root(&self) -> &Path {
        &self.point
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        if self.mounted {
            let _ = umount2(&self.point, MntFlags::MNT_DETACH);
        }
    }
}

/// Whether something is mounted exactly there, without touching it.
fn is_listed(point: &Path) -> bool {
    let text = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    text.lines().any(|line| line.split(' ').nth(4).map(Path::new) == Some(point))
}
