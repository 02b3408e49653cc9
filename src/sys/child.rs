//! Child processes that end with their parent.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Lets the child get SIGTERM when the thread that starts it ends, however that ends: also by SIGKILL.
pub fn end_with_parent(command: &mut Command) -> &mut Command {
    let parent = std::process::id();
    let arm = move || {
        // SAFETY: prctl with these arguments takes numbers and touches no memory.
        if unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) } != 0 {
            return Err(io::Error::last_os_error());
        }
        // It may have ended before it was asked to tell.
        if std::os::unix::process::parent_id() != parent {
            return Err(io::Error::from_raw_os_error(libc::ESRCH));
        }
        Ok(())
    };
    // SAFETY: the closure runs between fork and exec and only makes two system calls; it allocates
    // nothing and takes no lock.
    unsafe { command.pre_exec(arm) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_child_is_armed() {
        // The signal itself is seen by the tests of the taps that a daemon runs.
        let output = end_with_parent(Command::new("true").arg("x")).output().expect("true");
        assert!(output.status.success());
    }
}
