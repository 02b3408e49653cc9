//! Help for tests on real mounts: a mount that unmounts itself and demands an orderly end.
#![allow(dead_code, unreachable_pub, reason = "every test binary uses its own part")]

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{OnceLock, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

/// The program under test.
pub const EVENTFS: &str = env!("CARGO_BIN_EXE_eventfs");

/// Bound of a wait: generous, because it only matters when something is broken.
pub const BOUND: Duration = Duration::from_secs(20);

/// Waits until a condition holds; panics with `what` when it does not within the bound.
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < BOUND, "waited too long for: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A line that says why a test did not run, counted as skipped by whoever reads the output.
pub fn skip(why: &str) {
    eprintln!("SKIPPED: {why}");
}

/// Whether this process may mount and become other users.
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Held for writing while a new child process may hold copies of this process's descriptors. A close
/// that must be the last one (it publishes an event) is made under [`no_forks`].
static FORKS: RwLock<()> = RwLock::new(());

/// The process that runs the tests: a child made by fork finds the lock held for ever.
static TESTER: OnceLock<u32> = OnceLock::new();

/// Until it is dropped no child process begins, and none holds a copy of a descriptor of ours.
/// `None` in such a child itself.
pub fn no_forks() -> Option<RwLockReadGuard<'static, ()>> {
    let own = std::process::id();
    (*TESTER.get_or_init(|| own) == own)
        .then(|| FORKS.read().unwrap_or_else(std::sync::PoisonError::into_inner))
}

/// To be held from before a fork until the child has executed a program or ended.
pub fn forking() -> Option<RwLockWriteGuard<'static, ()>> {
    let own = std::process::id();
    (*TESTER.get_or_init(|| own) == own)
        .then(|| FORKS.write().unwrap_or_else(std::sync::PoisonError::into_inner))
}

/// Starts a program; returns when it runs.
pub fn spawn(command: &mut Command) -> Child {
    let _guard = forking();
    command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// As [`fs::write`], with a close that is the last one: in a queue the event is published on return.
///
/// # Errors
/// As of [`fs::write`].
pub fn write(path: impl AsRef<Path>, content: impl AsRef<[u8]>) -> io::Result<()> {
    let _guard = no_forks();
    fs::write(path, content)
}

/// Closes a file for the last time: in a queue a new one is published on return.
pub fn close(file: fs::File) {
    let _guard = no_forks();
    drop(file);
}

/// A mount of its own for one test, served by `eventfs -f`.
pub struct Mounted {
    pub point: PathBuf,
    daemon: Child,
    _dir: tempfile::TempDir,
}

impl Mounted {
    /// Mounts with default options (and allow_other, so that other users can be tried).
    pub fn new() -> Self {
        Self::with("allow_other")
    }

    /// Mounts with these `-o` options.
    pub fn with(options: &str) -> Self {
        Self::start(&["-o", options])
    }

    /// Mounts with these arguments before the mountpoint.
    pub fn start<S: AsRef<OsStr>>(args: &[S]) -> Self {
        Self::start_to(args, Stdio::inherit())
    }

    /// As [`Mounted::start`], with the standard error output of the daemon sent there.
    pub fn start_to<S: AsRef<OsStr>>(args: &[S], errors: impl Into<Stdio>) -> Self {
        let dir = tempfile::tempdir().expect("temporary directory");
        // Other users must be able to pass.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("chmod");
        let point = dir.path().join("mnt");
        fs::create_dir(&point).expect("mountpoint");
        let mut command = Command::new(EVENTFS);
        let daemon =
            spawn(command.arg("-f").args(args).arg(&point).stdin(Stdio::null()).stderr(errors));
        let mounted = Self { point, daemon, _dir: dir };
        wait_until("the mount", || is_mounted(&mounted.point));
        mounted
    }

    /// Path of something in the mount.
    pub fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.point.join(relative)
    }

    /// Makes a queue that is sticky, so that it does not depend on this process; returns its path.
    pub fn queue(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir(&path).expect("mkdir");
        set(&path, "user.eventfs_sticky", "1").expect("sticky");
        path
    }

    /// Process number of the daemon.
    pub fn pid(&self) -> u32 {
        self.daemon.id()
    }

    /// Sends a signal to the daemon.
    pub fn signal(&self, signal: nix::sys::signal::Signal) {
        let pid = nix::unistd::Pid::from_raw(self.daemon.id() as i32);
        nix::sys::signal::kill(pid, signal).expect("kill");
    }

    /// Ends the daemon by SIGTERM and demands exit status 0 and no mount left. `drop` does the same.
    pub fn end(mut self) {
        self.finish();
    }

    /// Waits until the daemon has ended by itself; returns whether it says that all was well.
    pub fn wait_end(&mut self) -> bool {
        let mut status = None;
        wait_until("the end of the daemon", || {
            status = self.daemon.try_wait().expect("wait");
            status.is_some()
        });
        status.is_some_and(|status| status.success())
    }

    fn finish(&mut self) {
        if self.daemon.try_wait().ok().flatten().is_none() {
            self.signal(nix::sys::signal::Signal::SIGTERM);
        }
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.daemon.try_wait().expect("wait") {
                break Some(status);
            }
            if start.elapsed() > BOUND {
                abort_all_of(&self.point);
                let _ = self.daemon.kill();
                break self.daemon.wait().ok();
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        let left = is_listed(&self.point);
        if left {
            let _ = nix::mount::umount2(&self.point, nix::mount::MntFlags::MNT_DETACH);
        }
        if !std::thread::panicking() {
            assert!(status.is_some_and(|status| status.success()), "daemon ended with {status:?}");
            assert!(!left, "a mount was left behind");
        }
    }

    /// SIGKILL. The mount is taken off.
    pub fn kill9(&mut self) {
        self.daemon.kill().expect("kill");
        self.daemon.wait().expect("wait");
        let _ = nix::mount::umount2(&self.point, nix::mount::MntFlags::MNT_DETACH);
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if self.daemon.try_wait().ok().flatten().is_none() || is_listed(&self.point) {
            self.finish();
        }
    }
}

/// Takes off what a test has mounted there itself, should it fail before it does that.
pub struct Unmounted(pub PathBuf);

impl Drop for Unmounted {
    fn drop(&mut self) {
        let _ = nix::mount::umount2(&self.0, nix::mount::MntFlags::MNT_DETACH);
    }
}

/// Whether something is mounted exactly there, without touching it.
pub fn is_listed(point: &Path) -> bool {
    let text = fs::read_to_string("/proc/self/mountinfo").expect("mountinfo");
    let point = point.to_str().expect("a test's path is UTF-8");
    text.lines().any(|line| line.split(' ').nth(4) == Some(point))
}

/// Whether an eventfs is mounted there and answers. (stat(2) of a dead one may be answered from the
/// kernel's cache.)
pub fn is_mounted(point: &Path) -> bool {
    is_listed(point) && nix::sys::statvfs::statvfs(point).is_ok()
}

/// Frees a daemon that hangs in the kernel: a forced umount aborts its connection even where it fails
/// itself; and where fusectl is mounted, 1 is written to the connection's `abort` file.
fn abort_all_of(point: &Path) {
    let _ = nix::mount::umount2(point, nix::mount::MntFlags::MNT_FORCE);
    let text = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    for line in text.lines() {
        let mut words = line.split(' ');
        let device = words.nth(2).unwrap_or_default().to_owned();
        if words.nth(1) == point.to_str()
            && let Some((_, minor)) = device.split_once(':')
        {
            let _ = fs::write(format!("/sys/fs/fuse/connections/{minor}/abort"), "1");
        }
    }
}

/// Sets an extended attribute.
pub fn set(path: &Path, name: &str, value: &str) -> io::Result<()> {
    xattr::set(path, name, value.as_bytes())
}

/// Reads an extended attribute as text; `None` where it does not exist.
pub fn get(path: &Path, name: &str) -> Option<String> {
    xattr::get(path, name).expect("getxattr").map(|value| String::from_utf8(value).expect("text"))
}

/// The names in a directory in the order in which it lists them (without `.` and `..`).
pub fn names(dir: &Path) -> Vec<String> {
    fs::read_dir(dir)
        .expect("readdir")
        .map(|entry| entry.expect("entry").file_name().into_string().expect("UTF-8"))
        .collect()
}

/// Runs a shell script in a directory.
pub fn sh(dir: &Path, script: &str) -> Output {
    let mut command = Command::new("bash");
    command.arg("-c").arg(script).current_dir(dir);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    spawn(&mut command).wait_with_output().expect("bash")
}

/// Runs a shell script in a directory, demands success, returns its output.
pub fn sh_ok(dir: &Path, script: &str) -> String {
    let output = sh(dir, script);
    assert!(output.status.success(), "{script}\n{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// The error number of a failed call; panics if it succeeded.
pub fn errno<T>(result: io::Result<T>) -> i32 {
    match result {
        Ok(_) => panic!("the call should have failed"),
        Err(error) => error.raw_os_error().expect("a system error"),
    }
}

/// Runs a closure in a child process under another user and group without supplementary groups;
/// it must return `Ok` or an error number. Only for root.
pub fn as_user<F: FnOnce() -> io::Result<()>>(uid: u32, gid: u32, work: F) -> io::Result<()> {
    as_user_with_groups(uid, gid, &[], work)
}

/// As [`as_user`], with supplementary groups.
pub fn as_user_with_groups<F: FnOnce() -> io::Result<()>>(
    uid: u32,
    gid: u32,
    groups: &[u32],
    work: F,
) -> io::Result<()> {
    use nix::sys::wait::{WaitStatus, waitpid};
    use nix::unistd::{ForkResult, Gid, Uid, fork, setgroups, setresgid, setresuid};
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    let groups: Vec<Gid> = groups.iter().copied().map(Gid::from_raw).collect();
    let _guard = forking();
    #[allow(unsafe_code)]
    // SAFETY: the child only makes system calls and leaves by _exit. Allocation in it is safe with
    // glibc, whose fork handlers keep malloc usable.
    match unsafe { fork() }.expect("fork") {
        ForkResult::Child => {
            let changed = setgroups(&groups)
                .and_then(|()| setresgid(gid, gid, gid))
                .and_then(|()| setresuid(uid, uid, uid));
            let code = match changed {
                Err(_) => 255,
                Ok(()) => match work() {
                    Ok(()) => 0,
                    Err(error) => error.raw_os_error().unwrap_or(254),
                },
            };
            #[allow(unsafe_code)]
            // SAFETY: ends the child without running anything of the parent's.
            unsafe {
                libc::_exit(code)
            }
        }
        ForkResult::Parent { child } => match waitpid(child, None).expect("wait") {
            WaitStatus::Exited(_, 0) => Ok(()),
            WaitStatus::Exited(_, 255) => panic!("cannot become another user"),
            WaitStatus::Exited(_, code) => Err(io::Error::from_raw_os_error(code)),
            other => panic!("child ended with {other:?}"),
        },
    }
}
