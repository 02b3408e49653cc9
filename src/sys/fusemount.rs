//! Mounting: by mount(2) where allowed, else through the setuid helper `fusermount3`.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, IoSliceMut};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;
use std::process::{Command, Stdio};

use nix::mount::{MsFlags, mount};
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg, socketpair,
};

use super::mounts::escape_option;
use super::plain;

/// The file system type as `mount` shows it.
pub const FS_TYPE: &str = "fuse.eventfs";

/// What to ask of the kernel.
#[derive(Clone, Debug)]
pub struct Request {
    /// Shown as the source.
    pub source: OsString,
    /// Whether other users get through to the filesystem at all.
    pub allow_other: bool,
    /// `MS_*` flags with their option words; `nosuid` and `nodev` are always added.
    pub flags: Vec<Flag>,
}

/// A generic mount flag and its word in option lists.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Flag {
    bits: MsFlags,
    word: &'static str,
}

impl Flag {
    /// Read-only.
    pub const RO: Flag = Flag { bits: MsFlags::MS_RDONLY, word: "ro" };
    /// No programs are run from it.
    pub const NOEXEC: Flag = Flag { bits: MsFlags::MS_NOEXEC, word: "noexec" };
    /// Writes are synchronous.
    pub const SYNC: Flag = Flag { bits: MsFlags::MS_SYNCHRONOUS, word: "sync" };
    /// Directory changes are synchronous.
    pub const DIRSYNC: Flag = Flag { bits: MsFlags::MS_DIRSYNC, word: "dirsync" };
    /// No access times.
    pub const NOATIME: Flag = Flag { bits: MsFlags::MS_NOATIME, word: "noatime" };
    /// No access times of directories.
    pub const NODIRATIME: Flag = Flag { bits: MsFlags::MS_NODIRATIME, word: "nodiratime" };
    /// Access times now and then.
    pub const RELATIME: Flag = Flag { bits: MsFlags::MS_RELATIME, word: "relatime" };
    /// Access times always.
    pub const STRICTATIME: Flag = Flag { bits: MsFlags::MS_STRICTATIME, word: "strictatime" };
    /// Times are kept in memory first.
    pub const LAZYTIME: Flag = Flag { bits: MsFlags::MS_LAZYTIME, word: "lazytime" };
    const NOSUID: Flag = Flag { bits: MsFlags::MS_NOSUID, word: "nosuid" };
    const NODEV: Flag = Flag { bits: MsFlags::MS_NODEV, word: "nodev" };
}

/// Mounts on a directory and returns the descriptor that serves it.
///
/// # Errors
/// What the system or the helper says; then nothing is mounted.
pub fn mount_fuse(point: &Path, request: &Request) -> io::Result<OwnedFd> {
    match mount_directly(point, request) {
        Err(error)
            if matches!(error.raw_os_error(), Some(libc::EPERM | libc::EACCES))
                && !nix::unistd::geteuid().is_root() =>
        {
            mount_by_helper(point, request)
        }
        other => other,
    }
}

fn mount_directly(point: &Path, request: &Request) -> io::Result<OwnedFd> {
    let device = File::options().read(true).write(true).open("/dev/fuse").map_err(|error| {
        match error.raw_os_error() {
            // The caller may still succeed through the helper.
            Some(libc::EACCES | libc::EPERM) => error,
            _ => io::Error::new(error.kind(), format!("/dev/fuse: {}", plain(&error))),
        }
    })?;
    let ids = (nix::unistd::geteuid(), nix::unistd::getegid());
    let mut data = format!(
        "fd={},rootmode=40000,user_id={},group_id={},default_permissions",
        device.as_raw_fd(),
        ids.0,
        ids.1
    );
    if request.allow_other {
        data.push_str(",allow_other");
    }
    let flags = all_flags(request).fold(MsFlags::empty(), |all, flag| all | flag.bits);
    mount(Some(request.source.as_os_str()), point, Some(FS_TYPE), flags, Some(data.as_str()))
        .map_err(io::Error::from)?;
    Ok(device.into())
}

fn all_flags(request: &Request) -> impl Iterator<Item = Flag> + '_ {
    [Flag::NOSUID, Flag::NODEV].into_iter().chain(request.flags.iter().copied())
}

fn mount_by_helper(point: &Path, request: &Request) -> io::Result<OwnedFd> {
    // The helper's end must survive exec, so it has no close-on-exec flag; no thread runs yet that
    // could start another program meanwhile.
    let (ours, theirs) =
        socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::empty())?;
    let mut options = OsString::from("default_permissions,subtype=eventfs,fsname=");
    options.push(escape_option(&request.source));
    for flag in all_flags(request) {
        options.push(",");
        options.push(flag.word);
    }
    if request.allow_other {
        options.push(",allow_other");
    }
    let child = Command::new("fusermount3")
        .args([OsStr::new("-o"), &options, OsStr::new("--"), point.as_os_str()])
        .env("_FUSE_COMMFD", theirs.as_raw_fd().to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| io::Error::new(error.kind(), format!("fusermount3: {}", plain(&error))))?;
    drop(theirs);
    let received = receive_descriptor(ours.as_raw_fd());
    let output = child.wait_with_output()?;
    received.ok_or_else(|| helper_error(&output.stderr))
}

fn helper_error(stderr: &[u8]) -> io::Error {
    let text = String::from_utf8_lossy(stderr);
    let line = text.lines().find(|line| !line.trim().is_empty());
    io::Error::other(line.unwrap_or("fusermount3 failed without a word").trim().to_owned())
}

fn receive_descriptor(socket: RawFd) -> Option<OwnedFd> {
    let mut byte = [0_u8];
    let mut buffers = [IoSliceMut::new(&mut byte)];
    let mut control = nix::cmsg_space!(RawFd);
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<()>(socket, &mut buffers, Some(&mut control), flags).ok()?;
    message.cmsgs().ok()?.find_map(|part| match part {
        ControlMessageOwned::ScmRights(descriptors) => {
            let descriptor = *descriptors.first()?;
            // SAFETY: the kernel has just put this descriptor into our table for us alone.
            Some(unsafe { OwnedFd::from_raw_fd(descriptor) })
        }
        _ => None,
    })
}
