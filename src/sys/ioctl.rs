//! An ioctl with one buffer for both directions.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Sends the buffer and receives the answer in it.
///
/// # Errors
/// What the system says. `ENOTTY`: the file system does not know the request.
///
/// # Panics
/// When the request number does not say that it reads and writes exactly `N` bytes.
pub fn exchange<const N: usize>(
    fd: BorrowedFd<'_>,
    request: u64,
    buffer: &mut [u8; N],
) -> io::Result<()> {
    let size = (request >> 16 & 0x3fff) as usize;
    assert_eq!(size, N, "the request carries its buffer's size");
    // SAFETY: the number tells the kernel to read and write N bytes at the pointer, and the buffer
    // has N bytes and is ours alone for the call.
    let result =
        unsafe { libc::ioctl(fd.as_raw_fd(), request as libc::Ioctl, buffer.as_mut_ptr()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
