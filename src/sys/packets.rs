//! Many packets of a socket in one system call.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Room for a burst of packets, reused.
#[derive(Debug)]
pub struct Packets {
    bytes: Vec<u8>,
    packet_bytes_max: usize,
    /// Of each packet: its length, and whether it was longer than its room.
    received: Vec<(usize, bool)>,
}

impl Packets {
    /// Room for `count` packets of up to `packet_bytes_max` bytes. Memory is taken as packets touch it.
    pub fn new(count: usize, packet_bytes_max: usize) -> Self {
        Self {
            bytes: vec![0; count * packet_bytes_max],
            packet_bytes_max,
            received: Vec::with_capacity(count),
        }
    }

    /// How many fit.
    pub fn room(&self) -> usize {
        self.bytes.len() / self.packet_bytes_max
    }

    /// Takes what a socket has, without waiting; returns the number of packets. An empty packet is the
    /// end of the connection.
    ///
    /// # Errors
    /// `WouldBlock` when there is nothing; what the system says.
    pub fn receive(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        self.received.clear();
        let mut parts: Vec<libc::iovec> = self
            .bytes
            .chunks_mut(self.packet_bytes_max)
            .map(|room| libc::iovec { iov_base: room.as_mut_ptr().cast(), iov_len: room.len() })
            .collect();
        let mut headers: Vec<libc::mmsghdr> = parts.iter_mut().map(header).collect();
        let count = libc::c_uint::try_from(headers.len()).unwrap_or(libc::c_uint::MAX);
        let flags = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
        // SAFETY: every header points to one part, every part to its own room in `bytes`; all of them
        // live until the call returns, and `count` is their number. No time-out is given.
        let got = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr(),
                count,
                flags as _,
                std::ptr::null_mut(),
            )
        };
        let got = usize::try_from(got).map_err(|_| io::Error::last_os_error())?;
        let told = |header: &libc::mmsghdr| {
            let length = (header.msg_len as usize).min(self.packet_bytes_max);
            (length, header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0)
        };
        self.received.extend(headers.iter().take(got).map(told));
        Ok(got)
    }

    /// The packets received last: their bytes, and whether they were cut.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], bool)> {
        let rooms = self.bytes.chunks(self.packet_bytes_max);
        rooms
            .zip(&self.received)
            .map(|(room, &(length, cut))| (room.get(..length).unwrap_or_default(), cut))
    }
}

fn header(part: &mut libc::iovec) -> libc::mmsghdr {
    // SAFETY: all fields are numbers and pointers, for which zero is a value.
    let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
    header.msg_hdr.msg_iov = part;
    header.msg_hdr.msg_iovlen = 1;
    header
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, send, socketpair};
    use std::os::fd::AsFd;

    #[test]
    fn packets_keep_their_borders() {
        let kind = SockType::SeqPacket;
        let (one, other) =
            socketpair(AddressFamily::Unix, kind, None, SockFlag::SOCK_CLOEXEC).unwrap();
        let mut packets = Packets::new(4, 8);
        assert_eq!(packets.receive(other.as_fd()).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        for packet in ["one", "a longer one", "3"] {
            send(one.as_raw_fd(), packet.as_bytes(), MsgFlags::empty()).unwrap();
        }
        assert_eq!(packets.receive(other.as_fd()).unwrap(), 3);
        let got: Vec<(&[u8], bool)> = packets.iter().collect();
        assert_eq!(got, [(&b"one"[..], false), (b"a longer", true), (b"3", false)]);
        drop(one);
        assert!(packets.receive(other.as_fd()).unwrap() > 0);
        assert_eq!(packets.iter().next(), Some((&b""[..], false)));
        assert_eq!(packets.room(), 4);
    }
}
