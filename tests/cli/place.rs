//! A directory to mount on by whatever command; what serves it is ended with the test.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use nix::mount::{MntFlags, umount2};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::common::{EVENTFS, is_listed, spawn, wait_until};

/// Runs a command with closed input; its output is read to the end.
pub(crate) fn output(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    spawn(command).wait_with_output().expect("output")
}

/// Runs eventfs.
pub(crate) fn eventfs<S: AsRef<OsStr>>(args: &[S]) -> Output {
    output(Command::new(EVENTFS).args(args))
}

/// The text of an output stream.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// Exit status and standard error.
pub(crate) fn outcome(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), text(&output.stderr))
}

/// Demands a failure as the contract describes it; returns the line without the program's name.
pub(crate) fn one_line(output: &Output, status: i32) -> String {
    let (code, said) = outcome(output);
    assert_eq!(code, Some(status), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert_eq!(text(&output.stdout), "");
    said.strip_prefix("eventfs: ").unwrap_or_else(|| panic!("{said}")).trim_end().to_owned()
}

/// Whether ordinary users can run the program where it was built.
pub(crate) fn users_can_run_it() -> bool {
    let path = Path::new(EVENTFS);
    path.ancestors()
        .skip(1)
        .all(|dir| fs::metadata(dir).is_ok_and(|metadata| metadata.permissions().mode() & 0o1 != 0))
}

/// An empty directory below a temporary one.
pub(crate) struct Place {
    pub(crate) point: PathBuf,
    dir: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().expect("temporary directory");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("chmod");
        let point = dir.path().join("mnt");
        fs::create_dir(&point).expect("mkdir");
        Self { point, dir }
    }

    /// The directory around the mountpoint.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Something in the mount.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.point.join(name)
    }

    /// Runs `eventfs ARGS... MOUNTPOINT`.
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        output(Command::new(EVENTFS).args(args).arg(&self.point))
    }

    /// Mounts in the background.
    pub(crate) fn mount(&self, args: &[&str]) {
        let output = self.run(args);
        assert_eq!(outcome(&output), (Some(0), String::new()));
    }

    /// Runs it, demands exit status 1, one line, and nothing left behind.
    pub(crate) fn refused(&self, args: &[&str]) -> String {
        let line = one_line(&self.run(args), 1);
        self.demand_nothing_left();
        line
    }

    pub(crate) fn demand_nothing_left(&self) {
        assert!(!is_listed(&self.point), "something is mounted");
        assert_eq!(self.daemons(), [0; 0], "a daemon is left");
    }

    /// Numbers of the processes that were started for this place and run our program.
    pub(crate) fn daemons(&self) -> Vec<u32> {
        let here = self.dir.path().as_os_str().as_bytes();
        let numbers = fs::read_dir("/proc").expect("proc").flatten();
        let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        numbers
            .filter(|pid: &u32| {
                // Strangers' command lines are not looked at: reading one may block.
                fs::read_link(format!("/proc/{pid}/exe"))
                    .is_ok_and(|path| path == Path::new(EVENTFS))
                    && fs::read(format!("/proc/{pid}/cmdline"))
                        .is_ok_and(|line| line.windows(here.len()).any(|part| part == here))
            })
            .collect()
    }

    /// The one process that serves.
    pub(crate) fn daemon(&self) -> u32 {
        let all = self.daemons();
        assert_eq!(all.len(), 1, "{all:?}");
        all[0]
    }

    /// Sends a signal to the one process that serves.
    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.daemon().cast_signed()), signal).expect("kill");
    }

    /// Waits until nothing serves any more.
    pub(crate) fn wait_end(&self) {
        wait_until("the end of the daemon", || self.daemons().is_empty());
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        for pid in self.daemons() {
            let _ = kill(Pid::from_raw(pid.cast_signed()), Signal::SIGTERM);
        }
        let flags = MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW;
        let gone = || self.daemons().is_empty();
        let start = std::time::Instant::now();
        while !gone() && start.elapsed() < crate::common::BOUND {
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        while is_listed(&self.point) && umount2(&self.point, flags).is_ok() {}
        for pid in self.daemons() {
            let _ = kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL);
        }
    }
}
