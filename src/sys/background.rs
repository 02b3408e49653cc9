//! Going into the background.

use std::fs::File;
use std::io::{self, Read, Write};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{
    ForkResult, Pid, chdir, dup2_stderr, dup2_stdin, dup2_stdout, fork, pipe, setsid,
};

/// Which side of the fork this process is.
pub enum Side {
    /// The process that was started; it waits for word of the other one.
    Parent(Waiting),
    /// The daemon to be.
    Child(Report),
}

/// The parent's end.
pub struct Waiting {
    child: Pid,
    word: File,
}

/// The child's end: dropped without [`Report::ready`] it means failure.
pub struct Report {
    word: File,
}

/// Splits off the daemon. Call it while there is a single thread.
///
/// # Errors
/// When the system has no process or descriptor left.
pub fn split() -> io::Result<Side> {
    let (reader, writer) = pipe()?;
    // SAFETY: the process has one thread, so the child may go on as it likes.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => {
            drop(writer);
            Ok(Side::Parent(Waiting { child, word: reader.into() }))
        }
        ForkResult::Child => {
            drop(reader);
            setsid()?;
            Ok(Side::Child(Report { word: writer.into() }))
        }
    }
}

impl Waiting {
    /// Waits until the daemon serves or has failed. Returns whether it serves.
    pub fn wait(mut self) -> bool {
        let mut word = [0];
        let ready = matches!(self.word.read(&mut word), Ok(1));
        if !ready {
            // It said why on standard error; take its status so that no zombie stays.
            let _: nix::Result<WaitStatus> = waitpid(self.child, None);
        }
        ready
    }
}

impl Report {
    /// Lets go of the terminal and the working directory and tells the parent to return.
    ///
    /// # Errors
    /// When `/dev/null` cannot be opened.
    pub fn ready(mut self) -> io::Result<()> {
        chdir("/")?;
        let null = File::options().read(true).write(true).open("/dev/null")?;
        dup2_stdin(&null)?;
        dup2_stdout(&null)?;
        dup2_stderr(&null)?;
        self.word.write_all(b"1")
    }
}

/// Blocks the signals that end or reload the daemon, for this thread and those that it starts:
/// one thread takes them with [`next_signal`].
///
/// # Errors
/// Never on Linux.
pub fn block_signals(signals: &[Signal]) -> io::Result<SigSet> {
    let set: SigSet = signals.iter().copied().collect();
    sigprocmask(SigmaskHow::SIG_BLOCK, Some(&set), None)?;
    Ok(set)
}

/// Waits for the next of the blocked signals.
pub fn next_signal(set: &SigSet) -> Signal {
    loop {
        if let Ok(signal) = set.wait() {
            return signal;
        }
    }
}

/// Raises the limit of open files to what the administrator allows: every process that owns a queue
/// costs one.
pub fn raise_descriptor_limit() {
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

/// Gives the calling thread a descriptor table of its own that holds nothing above standard error.
///
/// A thread that waits in the kernel for an answer of this very process can die only when the
/// device closes over which the answer would come; so it must not hold the device itself. From then
/// on the thread must use and close no descriptor but those that it opens.
///
/// # Errors
/// What the system says; the table is shared as before then.
pub fn leave_descriptors() -> io::Result<()> {
    // SAFETY: only the table of this thread changes, and the caller keeps to what is said above.
    if unsafe { libc::unshare(libc::CLONE_FILES) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: as above; the others keep their own descriptors.
    if unsafe { libc::close_range(3, libc::c_uint::MAX, 0) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
