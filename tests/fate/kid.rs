//! Child processes of the tests: they do something, say so, and stay until they are killed.
#![allow(dead_code, unsafe_code, reason = "every test binary uses its own part; fork is unsafe")]

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, waitid, waitpid};
use nix::unistd::{ForkResult, Gid, Pid, Uid, fork, pause, pipe2, setgroups, setresgid, setresuid};

use crate::common::{Mounted, forking, get, set, wait_until};

/// A mount whose queues end with their owners at once, open to every user.
pub(crate) fn strict() -> Mounted {
    Mounted::with("allow_other,root_mode=0777,grace=0")
}

/// A mount with a grace that no test outlives.
pub(crate) fn patient() -> Mounted {
    Mounted::with("allow_other,root_mode=0777,grace=100000")
}

/// Makes a sticky queue that remembers no owner.
pub(crate) fn forlorn(mounted: &Mounted, name: &str) -> PathBuf {
    let queue = mounted.path(name);
    let kid = Kid::with_queue(&queue);
    set(&queue, "user.eventfs_sticky", "1").expect("sticky");
    kid.kill();
    wait_until("the owner to be forgotten", || get(&queue, "user.eventfs_owner").is_none());
    queue
}

/// Waits until nothing has this name.
pub(crate) fn wait_gone(path: &Path) {
    wait_until(
        &format!("the end of {}", path.display()),
        || matches!(fs::symlink_metadata(path), Err(error) if error.raw_os_error() == Some(libc::ENOENT)),
    );
}

/// A process that was forked off; it is killed and reaped at the end of the test.
pub(crate) struct Kid {
    pid: Pid,
    told: u32,
    reaped: bool,
}

impl Kid {
    /// Forks a process that does `work` and stays; returns when it has.
    pub(crate) fn start(work: impl FnOnce() -> io::Result<u32>) -> Self {
        Self::start_then(work, || ())
    }

    /// As [`Kid::start`]; the process goes on with `after` before it just stays.
    pub(crate) fn start_then(work: impl FnOnce() -> io::Result<u32>, after: impl FnOnce()) -> Self {
        let (reader, writer) = pipe2(OFlag::O_CLOEXEC).expect("pipe");
        let guard = forking();
        // SAFETY: the child makes system calls, allocates (glibc keeps malloc usable after fork)
        // and never returns from here.
        let pid = match unsafe { fork() }.expect("fork") {
            ForkResult::Child => stay(writer.into(), work, after),
            ForkResult::Parent { child } => child,
        };
        drop(writer);
        let mut kid = Self { pid, told: 0, reaped: false };
        let mut word = File::from(reader);
        // It has closed its copies of our descriptors.
        word.read_exact(&mut [0]).expect("the child begins");
        drop(guard);
        let mut answer = [0; 8];
        word.read_exact(&mut answer).expect("the child has done its work");
        let number = |at: usize| u32::from_ne_bytes(answer[at..at + 4].try_into().expect("four"));
        assert_eq!(number(0), 0, "work in the child: error number");
        kid.told = number(4);
        kid
    }

    /// A process that has made this queue.
    pub(crate) fn with_queue(queue: &Path) -> Self {
        Self::with_queues(&[queue])
    }

    /// A process that has made these queues.
    pub(crate) fn with_queues<P: AsRef<Path>>(queues: &[P]) -> Self {
        let queues: Vec<PathBuf> = queues.iter().map(|path| path.as_ref().to_owned()).collect();
        Self::start(move || queues.iter().try_for_each(fs::create_dir).map(|()| 0))
    }

    /// A process that does nothing.
    pub(crate) fn idle() -> Self {
        Self::start(|| Ok(0))
    }

    /// Its number.
    pub(crate) fn pid(&self) -> u32 {
        self.pid.as_raw().unsigned_abs()
    }

    /// What its work returned.
    pub(crate) fn told(&self) -> u32 {
        self.told
    }

    /// Kills it and takes its status.
    pub(crate) fn kill(mut self) {
        self.finish();
    }

    /// Kills it and leaves the zombie for now.
    pub(crate) fn kill_unreaped(&self) {
        kill(self.pid, Signal::SIGKILL).expect("kill");
        waitid(Id::Pid(self.pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT).expect("waitid");
    }

    fn finish(&mut self) {
        if !self.reaped {
            self.reaped = true;
            let _ = kill(self.pid, Signal::SIGKILL);
            let _ = waitpid(self.pid, None);
        }
    }
}

impl Drop for Kid {
    fn drop(&mut self) {
        self.finish();
    }
}

fn stay(mut word: File, work: impl FnOnce() -> io::Result<u32>, after: impl FnOnce()) -> ! {
    let lived = catch_unwind(AssertUnwindSafe(|| {
        die_with_parent();
        close_others(word.as_raw_fd());
        word.write_all(b"c").expect("pipe");
        let (error, told) = match work() {
            Ok(told) => (0, told),
            Err(error) => (error.raw_os_error().unwrap_or(-1).unsigned_abs(), 0),
        };
        let mut answer = error.to_ne_bytes().to_vec();
        answer.extend_from_slice(&told.to_ne_bytes());
        word.write_all(&answer).expect("pipe");
        after();
        loop {
            pause();
        }
    }));
    drop::<Result<(), _>>(lived);
    leave(254)
}

/// Ends this process without anything that the parent would do at its end.
pub(crate) fn leave(code: i32) -> ! {
    // SAFETY: _exit takes a number and does not return.
    unsafe { libc::_exit(code) }
}

/// The calling process is killed with the thread that made it.
pub(crate) fn die_with_parent() {
    let _ = set_pdeathsig(Signal::SIGKILL);
}

fn close_others(keep: i32) {
    let keep = keep.unsigned_abs();
    // SAFETY: close_range takes numbers; nothing in this process uses the others any more.
    unsafe {
        if keep > 3 {
            libc::close_range(3, keep - 1, 0);
        }
        libc::close_range(keep + 1, u32::MAX, 0);
    }
}

/// The calling process becomes another user for good. Only in a forked process.
pub(crate) fn become_user(uid: u32) -> io::Result<()> {
    let (user, group) = (Uid::from_raw(uid), Gid::from_raw(uid));
    setgroups(&[group])?;
    setresgid(group, group, group)?;
    setresuid(user, user, user)?;
    die_with_parent();
    Ok(())
}

/// Forks again in a forked process: the new process does `work` and stays. Returns its number.
pub(crate) fn fork_again(work: impl FnOnce() -> io::Result<()>) -> io::Result<u32> {
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC)?;
    // SAFETY: as in `Kid::start_then`; the calling process has a single thread.
    match unsafe { fork() }? {
        ForkResult::Child => {
            drop(reader);
            let error = match work() {
                Ok(()) => 0,
                Err(error) => error.raw_os_error().unwrap_or(-1),
            };
            let _ = File::from(writer).write_all(&error.to_ne_bytes());
            loop {
                pause();
            }
        }
        ForkResult::Parent { child } => {
            drop(writer);
            let mut answer = [0; 4];
            File::from(reader).read_exact(&mut answer)?;
            match i32::from_ne_bytes(answer) {
                0 => Ok(child.as_raw().unsigned_abs()),
                error => Err(io::Error::from_raw_os_error(error)),
            }
        }
    }
}

/// Kills a process that is not a child of the test.
pub(crate) fn kill9(pid: u32) {
    kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL).expect("kill");
}
