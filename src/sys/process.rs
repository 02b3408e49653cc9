//! Processes: descriptors that tell their end, and what `/proc` says of them.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::MetadataExt;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use procfs::process::Process;

/// A descriptor that becomes readable when every thread of the process has ended.
pub struct Pidfd(OwnedFd);

/// Takes hold of a process: its number may be given again, the descriptor stays its own.
///
/// # Errors
/// `ESRCH` when there is no such process, `EINVAL` or `ENOENT` for a thread that is not the leader,
/// `EMFILE`.
pub fn pidfd_open(pid: u32) -> io::Result<Pidfd> {
    let pid = libc::pid_t::try_from(pid).map_err(|_| io::Error::from_raw_os_error(libc::ESRCH))?;
    // SAFETY: pidfd_open takes two numbers and returns a new descriptor or -1.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor for us alone.
    Ok(Pidfd(unsafe { OwnedFd::from_raw_fd(fd as i32) }))
}

impl Pidfd {
    /// Whether the process has ended (a zombie has).
    pub fn has_ended(&self) -> bool {
        let mut fds = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        matches!(poll(&mut fds, PollTimeout::ZERO), Ok(1..))
    }
}

impl AsFd for Pidfd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Pidfd {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// What `/proc` says of a process or thread.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Info {
    /// Number of the process, for a thread too.
    pub pid: u32,
    /// Number of the parent process; 0 when it is outside our namespace.
    pub parent: u32,
    /// Effective user.
    pub uid: u32,
    /// Numbers of the process in its namespaces, ours first, its own last.
    pub pids_by_namespace: Vec<u32>,
}

/// Reads `/proc/ID/status`.
///
/// # Errors
/// When there is no such process.
pub fn info(id: u32) -> io::Result<Info> {
    let status = open(id)?.status().map_err(io::Error::other)?;
    let number = |pid: i32| u32::try_from(pid).unwrap_or(0);
    Ok(Info {
        pid: number(status.tgid),
        parent: number(status.ppid),
        uid: status.euid,
        pids_by_namespace: status.nstgid.unwrap_or_default().into_iter().map(number).collect(),
    })
}

fn open(id: u32) -> io::Result<Process> {
    let id = i32::try_from(id).map_err(|_| io::Error::from_raw_os_error(libc::ESRCH))?;
    Process::new(id).map_err(|_| io::Error::from_raw_os_error(libc::ESRCH))
}

/// Read files and search directories whatever their mode: `CAP_DAC_READ_SEARCH`.
pub const MAY_READ_ALL: u64 = 1 << 2;

/// Read, write and search whatever the mode: `CAP_DAC_OVERRIDE`.
pub const MAY_WRITE_ALL: u64 = 1 << 1;

/// Do what the owner of a file may: `CAP_FOWNER`.
pub const MAY_OWN_ALL: u64 = 1 << 3;

/// Supplementary groups and effective capabilities of a process or thread.
///
/// # Errors
/// When there is no such process.
pub fn powers(id: u32) -> io::Result<(Vec<u32>, u64)> {
    let status = open(id)?.status().map_err(io::Error::other)?;
    Ok((status.groups, status.capeff))
}

/// Number of the process that leads the session of a process.
///
/// # Errors
/// When there is no such process.
pub fn session(id: u32) -> io::Result<u32> {
    let stat = open(id)?.stat().map_err(io::Error::other)?;
    Ok(u32::try_from(stat.session).unwrap_or(0))
}

/// Numbers of all processes that `/proc` shows.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn all() -> io::Result<Vec<u32>> {
    let names =
        std::fs::read_dir("/proc")?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    Ok(names.filter_map(|name| name.parse().ok()).collect())
}

/// Identity of the process-number namespace of a process, or of the `up`-th one above it.
///
/// # Errors
/// When the process is gone, or the namespace has no such ancestor that we may see.
pub fn pid_namespace(id: u32, up: usize) -> io::Result<u64> {
    let mut file = File::open(format!("/proc/{id}/ns/pid"))?;
    for _ in 0..up {
        file = parent_namespace(file.as_fd())?;
    }
    Ok(file.metadata()?.ino())
}

fn parent_namespace(namespace: BorrowedFd<'_>) -> io::Result<File> {
    /// `_IO(0xb7, 2)` of linux/nsfs.h.
    const NS_GET_PARENT: libc::Ioctl = 0xb702;
    // SAFETY: NS_GET_PARENT takes no argument and returns a new descriptor or -1.
    let fd = unsafe { libc::ioctl(namespace.as_raw_fd(), NS_GET_PARENT) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor for us alone.
    Ok(unsafe { File::from_raw_fd(fd) })
}

/// Whether `/proc` belongs to our own process-number namespace: else its numbers mean strangers.
pub fn proc_is_ours() -> bool {
    std::fs::read_link("/proc/self")
        .is_ok_and(|target| target.as_os_str() == std::process::id().to_string().as_str())
}

/// Number of the calling thread.
pub fn thread_id() -> u32 {
    u32::try_from(nix::unistd::gettid().as_raw()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_is_seen_to_end_even_as_a_zombie() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("sleep");
        let pidfd = pidfd_open(child.id()).expect("pidfd");
        assert!(!pidfd.has_ended());
        let info = info(child.id()).expect("status");
        assert_eq!((info.pid, info.parent), (child.id(), std::process::id()));
        assert_eq!(info.pids_by_namespace.first(), Some(&child.id()));
        child.kill().expect("kill");
        for _ in 0..1_000 {
            if pidfd.has_ended() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        assert!(pidfd.has_ended());
        child.wait().expect("wait");
    }

    #[test]
    fn our_namespace_has_an_identity() {
        let own = std::process::id();
        assert!(pid_namespace(own, 0).expect("namespace") > 0);
        assert!(proc_is_ours());
        assert!(all().expect("proc").contains(&own));
        assert!(session(own).is_ok());
        assert!(self::info(0).is_err());
    }
}
