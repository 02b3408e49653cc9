//! Going into the background.

use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{
    SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, sigaction, sigprocmask,
};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{
    ForkResult, Pid, chdir, dup2_stderr, dup2_stdin, dup2_stdout, fork, pipe, setsid,
};

use super::plain;

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

/// The child's end: dropped without a word it means failure.
pub struct Report {
    word: File,
}

/// First byte of the child's word when it serves; anything else is the text of a failure.
const READY: u8 = 0;

/// Splits off the daemon, which leaves terminal and working directory at once: a thread that it
/// starts with descriptors of its own must not take those of the caller along. Call it while there
/// is a single thread.
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
            let report = Report { word: writer.into() };
            match leave_terminal() {
                Ok(()) => Ok(Side::Child(report)),
                Err(error) => {
                    report.failed(&format!("/dev/null: {}", plain(&error)));
                    std::process::exit(1)
                }
            }
        }
    }
}

fn leave_terminal() -> io::Result<()> {
    setsid()?;
    chdir("/")?;
    let null = File::options().read(true).write(true).open("/dev/null")?;
    dup2_stdin(&null)?;
    dup2_stdout(&null)?;
    dup2_stderr(&null)?;
    Ok(())
}

impl Waiting {
    /// Waits until the daemon serves or has failed.
    ///
    /// # Errors
    /// The text of the failure; empty if the daemon died without a word.
    pub fn wait(mut self) -> Result<(), String> {
        let mut first = [0];
        let mut word = Vec::new();
        if matches!(self.word.read(&mut first), Ok(1)) {
            if first == [READY] {
                return Ok(());
            }
            word.extend_from_slice(&first);
            // A failed daemon ends, and with it its end of the pipe; what was read counts anyway.
            let _ = self.word.read_to_end(&mut word);
        }
        // So that no zombie stays.
        let _: nix::Result<WaitStatus> = waitpid(self.child, None);
        Err(String::from_utf8_lossy(&word).into_owned())
    }
}

impl Report {
    /// Tells the parent to return.
    ///
    /// # Errors
    /// When the parent is gone.
    pub fn ready(&mut self) -> io::Result<()> {
        self.word.write_all(&[READY])
    }

    /// Tells the parent why there is no mount.
    pub fn failed(mut self, why: &str) {
        // Nobody is left to hear it if that fails.
        let _ = self.word.write_all(why.as_bytes());
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

/// Set once a signal of [`flag_at`] has come.
static FLAG: AtomicBool = AtomicBool::new(false);

extern "C" fn raise(_signal: libc::c_int) {
    FLAG.store(true, Ordering::Relaxed);
}

/// A flag that the first of these signals sets; the next one of its kind does what it always does.
///
/// # Errors
/// For signals that cannot be caught.
pub fn flag_at(signals: &[Signal]) -> io::Result<&'static AtomicBool> {
    let flags = SaFlags::SA_RESETHAND | SaFlags::SA_RESTART;
    let action = SigAction::new(SigHandler::Handler(raise), flags, SigSet::empty());
    for signal in signals {
        // SAFETY: the handler only stores into a static, which may be done at any moment.
        unsafe { sigaction(*signal, &action) }?;
    }
    Ok(&FLAG)
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

/// How many files this process may have open.
pub fn descriptor_limit() -> u64 {
    getrlimit(Resource::RLIMIT_NOFILE).map_or(u64::MAX, |(soft, _)| soft)
}
