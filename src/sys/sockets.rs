//! What is asked of sockets beyond the wrappers of nix.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Numbers that SO_MEMINFO gives, and the place of the drops among them: SK_MEMINFO_VARS and
/// SK_MEMINFO_DROPS of linux/sock_diag.h.
const MEMINFO_VARS: usize = 9;
const MEMINFO_DROPS: usize = 8;

/// Packets that the kernel has dropped at a socket for want of room, since it was made. It wraps around.
///
/// The same count as SO_RXQ_OVFL's, but it needs no further packet to be told.
///
/// # Errors
/// What getsockopt(2) says; kernels before 4.12 do not know the question.
pub fn dropped(socket: BorrowedFd<'_>) -> io::Result<u32> {
    let mut numbers = [0u32; MEMINFO_VARS];
    let mut length = size_of_val(&numbers) as libc::socklen_t;
    // SAFETY: the buffer is as long as said and lives over the call; the descriptor is borrowed.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            numbers.as_mut_ptr().cast(),
            &mut length,
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(numbers[MEMINFO_DROPS])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::os::fd::AsFd;

    #[test]
    fn a_socket_that_is_full_counts_what_it_drops() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        nix::sys::socket::setsockopt(&socket, nix::sys::socket::sockopt::RcvBuf, &4096).unwrap();
        assert_eq!(dropped(socket.as_fd()).unwrap(), 0);
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        for _ in 0..100 {
            sender.send_to(&[0; 200], socket.local_addr().unwrap()).unwrap();
        }
        socket.set_nonblocking(true).unwrap();
        let mut kept = 0;
        while socket.recv(&mut [0; 300]).is_ok() {
            kept += 1;
        }
        assert_eq!(dropped(socket.as_fd()).unwrap(), 100 - kept);
        assert!(kept > 0 && kept < 100);
    }
}
