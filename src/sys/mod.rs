//! The operating system's edge: the only `unsafe`, the only raw libc.
//!
//! One safe, documented function per facility. Nothing here knows what eventfs is.
#![allow(unsafe_code)]

pub mod background;
pub mod child;
pub mod clock;
pub mod dir;
pub mod fusemount;
pub mod handle;
pub mod ioctl;
pub mod memory;
pub mod mounts;
pub mod packets;
pub mod poller;
pub mod process;
pub mod sockets;

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// Accepts a connection on a listening socket; it does not block.
///
/// # Errors
/// What the system says, `EAGAIN` when nobody waits.
pub fn accept(listener: std::os::fd::BorrowedFd<'_>) -> nix::Result<OwnedFd> {
    use nix::sys::socket::{SockFlag, accept4};
    use std::os::fd::AsRawFd;
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd: RawFd = accept4(listener.as_raw_fd(), flags)?;
    // SAFETY: the kernel has just made this descriptor for us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The text of a system error, without its number.
pub fn plain(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(code) => nix::errno::Errno::from_raw(code).desc().to_owned(),
        None => error.to_string(),
    }
}
